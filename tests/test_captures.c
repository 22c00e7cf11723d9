/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "app/base/file.h"
#include "app/base/ini.h"
#include "drivers/currentcost.h"
#include "tests/exchange.h"

#include <glob.h>

/*
 * Every file of tests/captures: the recorded answer goes through the frame parser, the model and the
 * codecs, and must come out as exactly the values that stand below it, no more and no fewer.
 */

#define MAX_EXPECTED 130

struct capture {
    const char *file;
    char model_id[MODEL_ID_SIZE];
    char framing[8];
    char origin[256];
    struct model *model;
    unsigned exchange_count;

    /* the exchange being read */
    char name[16];
    unsigned line;
    char request[MAX_LINE_SIZE], answer[MAX_LINE_SIZE], message[MAX_LINE_SIZE];
    char error[32], kind[16];
    struct { char name[QUANTITY_NAME_SIZE + 16], text[EXCHANGE_TEXT]; } expected[MAX_EXPECTED];
    size_t expected_count;
};

static struct exchange exchange;   // large; one at a time

static void compare(const struct capture *capture)
{
    for (size_t i = 0; i < capture->expected_count; i++) {
        const struct exchange_value *value = exchange_find(&exchange, capture->expected[i].name);

        if (!value || !text_equal(value->text, capture->expected[i].text)) {
            fail_msg("%s:%u: %s is \"%s\", not \"%s\"", capture->file, capture->line,
                     capture->expected[i].name, value ? value->text : "(absent)",
                     capture->expected[i].text);
        }
    }
    if (exchange.value_count != capture->expected_count) {
        fail_msg("%s:%u: %zu values, not %zu", capture->file, capture->line, exchange.value_count,
                 capture->expected_count);
    }
}

static void check_modbus(const struct capture *capture)
{
    enum modbus_framing framing = text_equal(capture->framing, "tcp") ? MODBUS_TCP : MODBUS_RTU;
    uint8_t request[EXCHANGE_BYTES], answer[EXCHANGE_BYTES];
    int request_size = exchange_hex(capture->request, request, sizeof(request));
    int answer_size = exchange_hex(capture->answer, answer, sizeof(answer));
    const char *problem;

    CHECK(request_size > 0 && answer_size >= 0);
    problem = exchange_run(framing, capture->model, request, (size_t) request_size, answer,
                           (size_t) answer_size, &exchange);
    if (*problem != '\0' || !text_equal(exchange.error, capture->error)) {
        fail_msg("%s:%u: %s%s, not %s", capture->file, capture->line, problem, exchange.error,
                 capture->error);
    }
    compare(capture);
}

static void add_number(const char *name, const char *ending, double number)
{
    char text[DECIMAL_SIZE];

    (void) decimal_print(number, text);
    exchange_add(&exchange, name, ending, text, number);
}

/* As the source names them: the sum of a sensor's channels, each channel, and what has no sensor. */
static void add_message(const struct currentcost *message)
{
    double sum = 0;
    char name[32], channel[8];
    unsigned channels = 0;

    memset(&exchange, 0, sizeof(exchange));
    if (message->kind == CURRENTCOST_READING || message->kind == CURRENTCOST_IMPULSE) {
        add_number("temperature", "", message->temperature_degc);
    }
    if (message->kind == CURRENTCOST_IMPULSE) {
        snprintf(name, sizeof(name), "impulses_s%u", message->sensor);
        add_number(name, "", message->impulses);
    }
    if (message->kind == CURRENTCOST_READING && message->sensor < CURRENTCOST_SENSORS) {
        snprintf(name, sizeof(name), "power_active_s%u", message->sensor);
        for (unsigned i = 0; i < CURRENTCOST_CHANNELS; i++) {
            if (!isnan(message->watts[i])) {
                snprintf(channel, sizeof(channel), "_ch%u", i + 1);
                add_number(name, channel, message->watts[i]);
                sum += message->watts[i];
                channels++;
            }
        }
        if (channels > 0) {
            add_number(name, "", sum);
        }
    }
}

static void check_text(const struct capture *capture)
{
    static const char *const kinds[] = {
        [CURRENTCOST_NOTHING] = "nothing", [CURRENTCOST_READING] = "reading",
        [CURRENTCOST_IMPULSE] = "impulse", [CURRENTCOST_HISTORY] = "history",
        [CURRENTCOST_DAMAGED] = "damaged",
    };
    struct currentcost message = { 0 };
    char stream[MAX_LINE_SIZE + 2];
    size_t size, done = 0;

    // What is no message, such as the half of one, goes by before it.
    size = (size_t) snprintf(stream, sizeof(stream), "%s\r\n", capture->message);
    while (done < size) {
        size_t used = currentcost_parse(stream + done, size - done, &message);

        if (used == 0 || (message.kind != CURRENTCOST_NOTHING && message.kind != CURRENTCOST_DAMAGED)) {
            break;
        }
        done += used;
    }
    if (!text_equal(kinds[message.kind], capture->kind)) {
        fail_msg("%s:%u: %s, not %s", capture->file, capture->line, kinds[message.kind], capture->kind);
    }
    add_message(&message);
    compare(capture);
}

static void finish_exchange(struct capture *capture)
{
    if (*capture->name == '\0') {
        return;
    }

    if (text_equal(capture->framing, "text")) {
        check_text(capture);
    } else {
        check_modbus(capture);
    }
    capture->exchange_count++;
    *capture->name = *capture->request = *capture->answer = *capture->message = '\0';
    *capture->error = *capture->kind = '\0';
    capture->expected_count = 0;
}

static void head(struct capture *capture, const char *key, const char *value)
{
    if (text_equal(key, "model")) {
        CHECK_EQ(text_copy(capture->model_id, sizeof(capture->model_id), value), 0);
    } else if (text_equal(key, "framing")) {
        CHECK_EQ(text_copy(capture->framing, sizeof(capture->framing), value), 0);
    } else if (text_equal(key, "origin")) {
        CHECK_EQ(text_copy(capture->origin, sizeof(capture->origin), value), 0);
    } else {
        fail_msg("%s: %s?", capture->file, key);
    }
}

static void begin_exchange(struct capture *capture, const struct ini_entry *entry)
{
    auto_problems struct problems problems = { 0 };

    finish_exchange(capture);
    CHECK_EQ(text_copy(capture->name, sizeof(capture->name), entry->name), 0);
    capture->line = entry->line;
    if (!capture->model && !text_equal(capture->framing, "text") &&
        model_find(capture->model_id, &problems, &capture->model) < 0) {
        fail_msg("%s: %s", capture->file, problems_text(&problems));
    }
}

static void handle(const struct ini_entry *entry, void *data)
{
    struct capture *capture = data;
    char *place = NULL;
    size_t size = MAX_LINE_SIZE;

    if (!entry->key) {
        return;  // a header
    }
    if (text_equal(entry->kind, "capture")) {
        head(capture, entry->key, entry->value);
        return;
    }

    CHECK_STR(entry->kind, "exchange");
    if (!text_equal(entry->name, capture->name)) {
        begin_exchange(capture, entry);
    }
    if (text_equal(entry->key, "request")) {
        place = capture->request;
    } else if (text_equal(entry->key, "answer")) {
        place = capture->answer;
    } else if (text_equal(entry->key, "text")) {
        place = capture->message;
    } else if (text_equal(entry->key, "error")) {
        place = capture->error;
        size = sizeof(capture->error);
    } else if (text_equal(entry->key, "kind")) {
        place = capture->kind;
        size = sizeof(capture->kind);
    }
    if (place) {
        CHECK_EQ(text_copy(place, size, entry->value), 0);
        return;
    }

    CHECK(capture->expected_count < MAX_EXPECTED);
    CHECK_EQ(text_copy(capture->expected[capture->expected_count].name,
                       sizeof(capture->expected[0].name), entry->key), 0);
    CHECK_EQ(text_copy(capture->expected[capture->expected_count].text,
                       sizeof(capture->expected[0].text), entry->value), 0);
    capture->expected_count++;
}

static void test_every_capture_decodes_to_exactly_its_values(void)
{
    static struct capture capture;   // large
    unsigned exchanges = 0;
    glob_t found;

    CHECK_EQ(glob(TEST_SOURCE_DIR "/captures/*/*.capture", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        auto_problems struct problems problems = { 0 };
        char folder[MODEL_ID_SIZE + 2];

        memset(&capture, 0, sizeof(capture));
        capture.file = found.gl_pathv[i] + strlen(TEST_SOURCE_DIR "/captures/");
        if (ini_read(found.gl_pathv[i], handle, &capture, &problems) < 0) {
            fail_msg("%s: %s", capture.file, problems_text(&problems));
        }
        finish_exchange(&capture);

        snprintf(folder, sizeof(folder), "%s/", capture.model_id);
        CHECK(text_starts(capture.file, folder));
        CHECK(text_starts(capture.origin, "real ") || text_starts(capture.origin, "computed from "));
        CHECK(capture.exchange_count > 0);
        exchanges += capture.exchange_count;
        model_free(capture.model);
    }
    CHECK(found.gl_pathc >= 20);
    CHECK(exchanges >= 60);
    globfree(&found);
}

static bool has_real_capture(const char *id)
{
    char pattern[PATH_SIZE];
    bool real = false;
    glob_t found;

    snprintf(pattern, sizeof(pattern), "%s/captures/%s/*.capture", TEST_SOURCE_DIR, id);
    CHECK_EQ(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        auto_free char *text = NULL;
        size_t size;

        CHECK_EQ(file_read(found.gl_pathv[i], MAX_FILE_SIZE, &text, &size), 0);
        real = real || strstr(text, "\norigin  = real ");
    }
    globfree(&found);
    return real;
}

/* verified = capture is a claim about real bytes. */
static void test_a_model_verified_by_capture_has_a_real_one(void)
{
    auto_text struct text list = { 0 };
    char *rest, *path;

    CHECK(model_list(&list) >= 0);
    for (path = strtok_r(list.data, "\n", &rest); path; path = strtok_r(NULL, "\n", &rest)) {
        auto_problems struct problems problems = { 0 };
        auto_model struct model *model = NULL;

        CHECK_EQ(model_load(path, &problems, &model), 0);
        CHECK_EQ(has_real_capture(model->id), model->verified != VERIFIED_DOCUMENT);
    }
}

TESTS(test_every_capture_decodes_to_exactly_its_values, test_a_model_verified_by_capture_has_a_real_one)
