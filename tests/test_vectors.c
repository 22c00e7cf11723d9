/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "app/base/file.h"
#include "app/base/json.h"
#include "drivers/modbus_plan.h"
#include "tests/exchange.h"

/*
 * Every line of tests/captures/vectors.jsonl of the kinds rtu, tcp and plan (xml: test_currentcost.c). Their
 * values have the unit of the maker's list, ours the base unit; they agree to a millionth.
 */

#define NEAR 1e-6

static struct exchange exchange;   // large; one at a time
static const char *vector_id;

static bool contains(const char *string, const char *part)
{
    return strstr(string, part) != NULL;
}

/* Which values the makers give in k: powers and float energies of Schneider's, energies of the DDS238. */
static bool in_kilo(const char *meter, const char *name)
{
    bool base_units = contains(meter, "em1200") && !contains(meter, "em1200h");

    if (contains(meter, "dds238")) {
        return text_starts(name, "energy_");
    }
    if (!text_starts(meter, "schneider-") || base_units || text_equal(meter, "schneider-em6400")) {
        return false;
    }
    return (text_starts(name, "power_") && !text_starts(name, "power_factor")) ||
           (text_ends(name, "_f32") && !text_equal(meter, "schneider-iem3000"));
}

/* Vectors name the maximum bank's values without the bank. */
static const struct exchange_value *find_value(const char *name)
{
    const struct exchange_value *value = exchange_find(&exchange, name);

    for (size_t i = 0; !value && i < exchange.value_count; i++) {
        size_t size = strcspn(exchange.values[i].name, ".");

        if (size == strlen(name) && memcmp(exchange.values[i].name, name, size) == 0) {
            value = &exchange.values[i];
        }
    }
    return value;
}

static double direction_number(const char *direction)
{
    return text_equal(direction, "lagging") ? 1 : text_equal(direction, "leading") ? -1 : 0;
}

static void check_value(const char *meter, const char *name, const struct json *wanted)
{
    const struct exchange_value *value = find_value(name);
    double number = json_as_number(wanted);

    if (!value) {
        fail_msg("%s: no %s", vector_id, name);
        return;
    }
    if (json_as_string(wanted) && text_ends(name, "_direction")) {
        number = direction_number(json_as_string(wanted));
    } else if (json_as_string(wanted)) {
        CHECK_STR(value->text, json_as_string(wanted));
        return;
    }
    if (in_kilo(meter, name)) {
        number *= 1000;
    }
    if (isnan(number) != isnan(value->number) ||
        fabs(value->number - number) > NEAR * fmax(1e-9, fabs(number))) {
        fail_msg("%s: %s is %.12g, not %.12g", vector_id, name, value->number, number);
    }
}

/* Meters without a model: one float. */
static void check_generic(const uint8_t *answer, const struct json *decoded)
{
    const char *name = json_next_key(decoded, NULL);
    unsigned word_count;
    const struct codec *codec = codec_find(contains(name, "cdab") ? "f32.cdab" : "f32.abcd", &word_count);
    uint16_t words[2];
    double values[2];

    CHECK(codec && word_count == 2);
    modbus_words(answer + exchange.answer.offset, 2, words);
    codec_decode(codec, words, (struct decimal){ 1, 0 }, false, values);
    CHECK_NEAR(values[0], json_member_number(decoded, name), fabs(values[0]) * NEAR);
}

/* Functions 6 and 16: we never send them, but must recognise the frames of those who do. */
static void check_write(const uint8_t *request, size_t request_size, const uint8_t *answer,
                        size_t answer_size, const struct json *decoded)
{
    struct modbus_request found;
    struct modbus_answer refusal;
    size_t skipped;

    CHECK_EQ(modbus_request_find(MODBUS_RTU, request, request_size, &found, &skipped), request_size);
    CHECK_EQ((int) found.table, request[1]);
    CHECK_EQ(modbus_crc(answer, answer_size - 2),
             answer[answer_size - 2] | answer[answer_size - 1] << 8);
    if (json_as_bool(json_member(decoded, "echo"))) {
        CHECK(request_size == answer_size && memcmp(request, answer, request_size) == 0);
        return;
    }
    modbus_answer_find(MODBUS_RTU, &found, answer, answer_size, &refusal);
    CHECK_STR(exchange_error(&refusal, exchange.error_text, sizeof(exchange.error_text)),
              json_member_string(decoded, "error"));
}

static void check_exchange(const struct json *vector, enum modbus_framing framing)
{
    const struct json *decoded = json_member(vector, "decoded");
    const char *meter = json_member_string(vector, "meter");
    const char *error = json_member_string(decoded, "error");
    auto_problems struct problems problems = { 0 };
    auto_model struct model *model = NULL;
    uint8_t request[EXCHANGE_BYTES], answer[EXCHANGE_BYTES];
    int request_size = exchange_hex(json_member_string(vector, "request_hex"), request, sizeof(request));
    int answer_size = exchange_hex(json_member_string(vector, "response_hex"), answer, sizeof(answer));

    CHECK(request_size >= 8 && answer_size >= 0);
    if (framing == MODBUS_RTU && request[1] != MODBUS_HOLDING && request[1] != MODBUS_INPUT) {
        check_write(request, (size_t) request_size, answer, (size_t) answer_size, decoded);
        return;
    }
    if (!text_equal(meter, "generic")) {
        CHECK_EQ(model_find(meter, &problems, &model), 0);
    }

    CHECK_STR(exchange_run(framing, model, request, (size_t) request_size, answer, (size_t) answer_size,
                           &exchange), "");
    if (!text_equal(exchange.error, error ? error : "")) {
        fail_msg("%s: error \"%s\", not \"%s\"", vector_id, exchange.error, error ? error : "");
    }
    if (error) {
        return;
    }
    if (!model) {
        check_generic(answer, decoded);
        return;
    }
    for (const char *name = json_next_key(decoded, NULL); name; name = json_next_key(decoded, name)) {
        check_value(meter, name, json_member(decoded, name));
    }
}

static size_t read_spans(const struct json *list, struct plan_span *ret)
{
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *pair = json_item(list, i);

        ret[i] = (struct plan_span){ MODBUS_HOLDING, (uint16_t) json_as_number(json_item(pair, 0)),
                                     (uint16_t) json_as_number(json_item(pair, 1)) };
    }
    return json_count(list);
}

static size_t read_blocks(const struct json *list, struct plan_block *ret)
{
    for (size_t i = 0; i < json_count(list); i++) {
        ret[i] = (struct plan_block){ MODBUS_HOLDING,
                                      (uint16_t) json_member_number(json_item(list, i), "address"),
                                      (uint16_t) json_member_number(json_item(list, i), "count") };
    }
    return json_count(list);
}

/* Each value in one block and no more; blocks apart, in order and not too long. */
static void check_cover(const struct plan_span *spans, size_t span_count, const struct plan_block *blocks,
                        size_t block_count, unsigned max_registers)
{
    for (size_t i = 0; i < block_count; i++) {
        CHECK(blocks[i].count > 0 && blocks[i].count <= max_registers);
        CHECK(i == 0 || blocks[i].address >= blocks[i - 1].address + blocks[i - 1].count);
    }
    for (size_t i = 0; i < span_count; i++) {
        unsigned holders = 0;

        for (size_t j = 0; j < block_count; j++) {
            holders += spans[i].address >= blocks[j].address &&
                       spans[i].address + spans[i].count <= blocks[j].address + blocks[j].count;
        }
        CHECK_EQ(holders, 1);
    }
}

/*
 * The golden plan is FlexPower's (FX-04): the fewest requests, made greedily. Ours has the fewest requests
 * where only requests cost, and never takes more bus time where characters do.
 */
static void check_plan(const struct json *vector)
{
    static const struct plan_timing timings[] = {
        { .character_us = 1041.7, .silence_us = 3645.8, .turnaround_us = 20000 },   // 9600 8N1
        { .character_us = 1041.7, .silence_us = 3645.8, .turnaround_us = 1000 },
        { .character_us = 520.8, .silence_us = 1822.9, .turnaround_us = 5000 },     // 19200 8N1
        { .character_us = 86.8, .silence_us = 1750, .turnaround_us = 5000 },        // 115200 8N1
        { .character_us = 0, .silence_us = 0, .turnaround_us = 2000 },              // TCP
    };
    const struct json *input = json_member(vector, "input");
    const struct json *chunks = json_member(json_member(vector, "decoded"), "chunks");
    struct plan_limits limits = { .max_registers = (unsigned) json_member_number(input, "max_registers"),
                                  .read_gaps = true };
    struct plan_span spans[64];
    struct plan_block golden[64], blocks[64];
    size_t span_count = read_spans(json_member(input, "registers"), spans);
    size_t golden_count = read_blocks(chunks, golden);
    size_t values = 0;

    for (size_t i = 0; i < json_count(chunks); i++) {
        values += (size_t) json_member_number(json_item(chunks, i), "values");
    }
    CHECK_EQ(values, span_count);
    check_cover(spans, span_count, golden, golden_count, limits.max_registers);

    for (size_t i = 0; i < ARRAY_SIZE(timings); i++) {
        int count = plan_make(spans, span_count, &limits, &timings[i], blocks);

        CHECK(count > 0);
        check_cover(spans, span_count, blocks, (size_t) count, limits.max_registers);
        CHECK(plan_us(&timings[i], blocks, (size_t) count) <=
              plan_us(&timings[i], golden, golden_count) + 1e-6);
        if (timings[i].character_us <= 0) {
            CHECK_EQ(count, golden_count);
        }
    }
}

static void check_kind(const char *kind, void (*check)(const struct json *vector), unsigned expected)
{
    auto_free char *text = NULL;
    size_t size;
    char *rest, *line;
    unsigned count = 0;

    CHECK_EQ(file_read(TEST_SOURCE_DIR "/captures/vectors.jsonl", 1 << 20, &text, &size), 0);
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        auto_json struct json *vector = NULL;

        CHECK_EQ(json_parse(line, strlen(line), &vector, NULL), 0);
        if (text_equal(json_member_string(vector, "kind"), kind)) {
            vector_id = json_member_string(vector, "id");
            check(vector);
            count++;
        }
    }
    CHECK_EQ(count, expected);
}

static void check_rtu(const struct json *vector)
{
    check_exchange(vector, MODBUS_RTU);
}

static void check_tcp(const struct json *vector)
{
    check_exchange(vector, MODBUS_TCP);
}

static void test_serial_vectors_decode_or_fail_as_they_should(void)
{
    check_kind("rtu", check_rtu, 63);
}

static void test_tcp_vectors_decode_or_fail_as_they_should(void)
{
    check_kind("tcp", check_tcp, 5);
}

static void test_plans_never_take_more_time_than_the_greedy_ones(void)
{
    check_kind("plan", check_plan, 3);
}

TESTS(test_serial_vectors_decode_or_fail_as_they_should, test_tcp_vectors_decode_or_fail_as_they_should,
      test_plans_never_take_more_time_than_the_greedy_ones)
