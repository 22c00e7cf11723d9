/* SPDX-License-Identifier: MIT */
// link: ms_drivers ms_base
#include "tests/test.h"

#include "app/base/file.h"
#include "app/base/json.h"
#include "drivers/currentcost.h"

#define HEAD "<msg><src>CC128-v0.11</src><dsb>00089</dsb><time>13:02:39</time><tmpr>18.7</tmpr>"
#define GOOD \
    HEAD "<sensor>1</sensor><id>01234</id><type>1</type><ch1><watts>00345</watts></ch1></msg>\r\n"
#define HISTORY \
    "<msg><src>CC128-v0.11</src><dsb>00089</dsb><time>13:10:50</time><hist><dsw>00032</dsw>" \
    "<type>1</type><units>kwhr</units><data><sensor>0</sensor><h024>001.1</h024></data>" \
    "</hist></msg>\r\n"

/* Feed a text in pieces, as a serial port gives it, and count what comes out. */
struct heard {
    unsigned readings, impulses, histories, damaged;
    struct currentcost last;  // reading or impulse
    const char *damage;
};

static void feed(const char *text, size_t size, size_t piece, struct heard *ret)
{
    static char buffer[2 * CURRENTCOST_MAX_SIZE];
    size_t held = 0;

    *ret = (struct heard){ 0 };
    for (size_t at = 0; at < size; at += piece) {
        size_t take = size - at < piece ? size - at : piece;
        struct currentcost message;
        size_t used;

        CHECK(held + take <= sizeof(buffer));
        memcpy(buffer + held, text + at, take);
        held += take;
        while ((used = currentcost_parse(buffer, held, &message)) > 0) {
            memmove(buffer, buffer + used, held - used);
            held -= used;
            ret->readings += message.kind == CURRENTCOST_READING;
            ret->impulses += message.kind == CURRENTCOST_IMPULSE;
            ret->histories += message.kind == CURRENTCOST_HISTORY;
            if (message.kind == CURRENTCOST_DAMAGED) {
                ret->damaged++;
                ret->damage = message.damage;
            } else if (message.kind == CURRENTCOST_READING || message.kind == CURRENTCOST_IMPULSE) {
                ret->last = message;
            }
        }
        CHECK_EQ(message.kind, CURRENTCOST_NOTHING);
    }
}

static void feed_text(const char *text, struct heard *ret)
{
    feed(text, strlen(text), strlen(text), ret);
}

static int hex(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* One vector against what it was decoded to, by hand, in the same line. */
static void check_message(const char *id, const struct json *decoded, const struct heard *heard)
{
    static const char *const channels[] = { "power_ch1", "power_ch2", "power_ch3" };
    const struct currentcost *message = &heard->last;
    const char *clock = json_member_string(decoded, "clock");
    int hours = 0, minutes = 0, seconds = 0;

    if (json_member(decoded, "error")) {
        CHECK_EQ(heard->damaged, 1);
        CHECK_STR(heard->damage, json_member_string(decoded, "error"));
        CHECK_EQ(heard->readings + heard->impulses + heard->histories, 0);
        return;
    }
    if (json_member(decoded, "history")) {
        CHECK_EQ(heard->histories, 1);
        CHECK_EQ(heard->readings + heard->impulses + heard->damaged, 0);
        return;
    }
    if (heard->readings + heard->impulses != 1 || heard->damaged != 0) {
        fail_msg("%s: %u readings, %u damaged", id, heard->readings, heard->damaged);
    }
    CHECK_STR(message->source, json_member_string(decoded, "src"));
    CHECK_EQ(message->days_since_birth, json_member_number(decoded, "days_since_birth"));
    CHECK_EQ(message->sensor, json_member_number(decoded, "sensor"));
    CHECK_EQ(message->radio_id, json_member_number(decoded, "radio_id"));
    CHECK_EQ(message->type, json_member_number(decoded, "type"));
    CHECK_NEAR(message->temperature_degc, json_member_number(decoded, "temperature"), 1e-7);
    for (size_t i = 0; i < CURRENTCOST_CHANNELS; i++) {
        CHECK_NEAR(message->watts[i], json_member_number(decoded, channels[i]), 0);
    }
    CHECK_NEAR(message->impulses, json_member_number(decoded, "impulses"), 0);
    CHECK_NEAR(message->impulses_per_unit, json_member_number(decoded, "impulses_per_unit"), 0);
    if (clock) {
        CHECK_EQ(sscanf(clock, "%d:%d:%d", &hours, &minutes, &seconds), 3);
        CHECK_EQ(message->clock_s, hours * 3600 + minutes * 60 + seconds);
    } else {
        CHECK_EQ(message->clock_s, -1);
    }
}

static unsigned check_vector(const char *line, size_t size)
{
    static char bytes[CURRENTCOST_MAX_SIZE];
    static const size_t pieces[] = { 1, 2, 3, 7, 64, sizeof(bytes) };
    auto_json struct json *vector = NULL;
    const char *digits;
    size_t count = 0;

    CHECK_EQ(json_parse(line, size, &vector, NULL), 0);
    if (strcmp(json_member_string(vector, "kind"), "xml") != 0) {
        return 0;
    }
    digits = json_member_string(vector, "response_hex");
    for (; digits[2 * count]; count++) {
        bytes[count] = (char) (hex(digits[2 * count]) << 4 | hex(digits[2 * count + 1]));
    }
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        struct heard heard;

        feed(bytes, count, pieces[i], &heard);
        check_message(json_member_string(vector, "id"), json_member(vector, "decoded"), &heard);
    }
    return 1;
}

static void test_every_known_message_is_understood_in_pieces_of_any_size(void)
{
    auto_free char *text = NULL;
    size_t size = 0;
    unsigned count = 0;

    CHECK_EQ(file_read(TEST_SOURCE_DIR "/captures/vectors.jsonl", 1 << 20, &text, &size), 0);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        count += check_vector(line, strlen(line));
    }
    CHECK_EQ(count, 18);
}

static void test_half_a_message_waits_and_the_rest_completes_it(void)
{
    struct currentcost message;
    size_t size = strlen(GOOD) - 2;  // up to the last '>'

    for (size_t half = 0; half < size; half++) {
        CHECK_EQ(currentcost_parse(GOOD, half, &message), 0);
        CHECK_EQ(message.kind, CURRENTCOST_NOTHING);
    }
    CHECK_EQ(currentcost_parse(GOOD, size, &message), size);
    CHECK_EQ(message.kind, CURRENTCOST_READING);
}

static void test_noise_before_and_between_messages_is_dropped(void)
{
    struct heard heard;

    feed_text("\xff\x01<ms<m<msg" GOOD "\r\n\x80garbage>" GOOD "<", &heard);
    CHECK_EQ(heard.readings, 2);
    CHECK_EQ(heard.damaged, 0);
}

static void test_noise_without_a_message_never_piles_up(void)
{
    struct currentcost message;
    char noise[CURRENTCOST_MAX_SIZE];

    memset(noise, 'x', sizeof(noise));
    CHECK_EQ(currentcost_parse(noise, sizeof(noise), &message), sizeof(noise));
    noise[sizeof(noise) - 2] = '<';
    noise[sizeof(noise) - 1] = 'm';
    CHECK_EQ(currentcost_parse(noise, sizeof(noise), &message), sizeof(noise) - 2);
    CHECK_EQ(message.kind, CURRENTCOST_NOTHING);
}

static void test_a_message_cut_by_the_next_one_is_damaged_and_the_next_one_is_good(void)
{
    struct heard heard;

    feed_text(HEAD "<sensor>1</sensor><id>01234</id><type>1</type><ch1><watts>0" GOOD, &heard);
    CHECK_EQ(heard.damaged, 1);
    CHECK_STR(heard.damage, "cut off");
    CHECK_EQ(heard.readings, 1);
    CHECK_NEAR(heard.last.watts[0], 345, 0);
}

static const struct {
    const char *rest;
    const char *damage;
} damaged_cases[] = {
    { "<sensor>1</sensor><type>1</type><ch1><watts>0345</watts></ch1></msg>", "watts" },
    { "<sensor>1</sensor><type>1</type><ch1><watts>000345</watts></ch1></msg>", "watts" },
    { "<sensor>1</sensor><type>1</type><ch1><watts>00a45</watts></ch1></msg>", "watts" },
    { "<sensor>1</sensor><type>1</type><ch1><watts></watts></ch1></msg>", "watts" },
    { "<sensor>1</sensor><type>1</type><ch1><wats>00345</wats></ch1></msg>", "watts" },
    { "<sensor>1</sensor><type>1</type><ch4><watts>00345</watts></ch4></msg>", "watts" },
    { "<sensor>1</sensor><type>1</type></msg>", "watts" },
    { "<sensor>1</sensor><type>1</type><ch1><watts>00345</watts></ch1><ch1><watts>00345</watts></ch1></msg>",
      "watts" },
    { "<sensor></sensor><type>1</type><ch1><watts>00345</watts></ch1></msg>", "sensor" },
    { "<sensor>x</sensor><type>1</type><ch1><watts>00345</watts></ch1></msg>", "sensor" },
    { "<sensor>-1</sensor><type>1</type><ch1><watts>00345</watts></ch1></msg>", "sensor" },
    { "<type>1</type><ch1><watts>00345</watts></ch1></msg>", "sensor" },
    { "<sensor>1</sensor><sensor>2</sensor><type>1</type><ch1><watts>00345</watts></ch1></msg>",
      "sensor" },
    { "<sensor>1</sensor><type>q</type><ch1><watts>00345</watts></ch1></msg>", "type" },
    { "<sensor>1</sensor><type>2</type><imp>000001476</imp><ipu>1000</ipu></msg>", "impulses" },
    { "<sensor>1</sensor><type>2</type><ipu>1000</ipu></msg>", "impulses" },
    { "<sensor>1</sensor<type>1</type><ch1><watts>00345</watts></ch1></msg>", "markup" },
    { "<sensor>1</sensr><type>1</type><ch1><watts>00345</watts></ch1></msg>", "markup" },
    { "sensor>1</sensor><type>1</type><ch1><watts>00345</watts></ch1></msg>", "markup" },
    { "<sensor>1</sensor><type>1</type><ch1><watts>00345</watts></msg>", "markup" },
    { "<sensor>1</sensor><type>1</type><ch1><watts>\x80"
      "0345</watts></ch1></msg>",
      "character" },
};

static void test_a_damaged_message_is_never_a_reading(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(damaged_cases); i++) {
        char text[512];
        struct heard heard;

        snprintf(text, sizeof(text), "%s%s", HEAD, damaged_cases[i].rest);
        feed_text(text, &heard);
        if (heard.damaged != 1 || strcmp(heard.damage, damaged_cases[i].damage) != 0) {
            fail_msg("%s: damaged %u, %s", damaged_cases[i].rest, heard.damaged,
                     heard.damage ? heard.damage : "");
        }
        CHECK_EQ(heard.readings + heard.impulses, 0);
    }
}

/* Whatever single byte is lost, no other number of watts or sensor comes out. */
static void test_a_lost_byte_anywhere_never_changes_the_reading(void)
{
    for (size_t lost = 0; lost < strlen(GOOD); lost++) {
        char text[512];
        struct heard heard;

        snprintf(text, sizeof(text), "%.*s%s", (int) lost, GOOD, GOOD + lost + 1);
        feed_text(text, &heard);
        if (heard.readings > 0) {
            CHECK_EQ(heard.last.sensor, 1);
            CHECK_NEAR(heard.last.watts[0], 345, 0);
            CHECK(isnan(heard.last.temperature_degc) || heard.last.temperature_degc == 18.7);
        }
    }
}

static void test_sensor_10_is_not_sensor_1(void)
{
    struct heard heard;

    feed_text(
        HEAD "<sensor>10</sensor><id>01234</id><type>1</type><ch1><watts>00345</watts></ch1></msg>",
        &heard);
    CHECK_EQ(heard.readings, 1);
    CHECK_EQ(heard.last.sensor, 10);
}

static void test_a_history_message_between_readings_ends_nothing(void)
{
    struct heard heard;

    feed_text(GOOD HISTORY GOOD, &heard);
    CHECK_EQ(heard.readings, 2);
    CHECK_EQ(heard.histories, 1);
    CHECK_EQ(heard.damaged, 0);
}

static void test_a_history_message_may_be_longer_than_a_reading(void)
{
    static char text[CURRENTCOST_MAX_SIZE];
    struct heard heard;
    int length = snprintf(text, sizeof(text), "<msg><src>CC128-v0.11</src><hist>");

    while (length < 10000) {
        length += snprintf(text + length, sizeof(text) - (size_t) length,
                           "<data><h024>001.1</h024></data>");
    }
    strcat(text, "</hist></msg>" GOOD);
    feed(text, strlen(text), 13, &heard);
    CHECK_EQ(heard.histories, 1);
    CHECK_EQ(heard.readings, 1);
    CHECK_EQ(heard.damaged, 0);
}

static void test_an_endless_message_is_given_up_and_the_next_one_is_heard(void)
{
    static char text[3 * CURRENTCOST_MAX_SIZE];
    struct heard heard;

    memset(text, 'A', sizeof(text));
    memcpy(text, "<msg>", 5);
    memcpy(text + sizeof(text) - sizeof(GOOD), GOOD, sizeof(GOOD));
    feed(text, sizeof(text) - 1, 100, &heard);
    CHECK_EQ(heard.damaged, 1);
    CHECK_STR(heard.damage, "overlong");
    CHECK_EQ(heard.readings, 1);
}

static void test_a_reading_stands_for_three_polls_or_periods_and_never_beyond_30_s(void)
{
    CHECK(currentcost_is_fresh(0, 0));
    CHECK(currentcost_is_fresh(2, 30000));
    CHECK(!currentcost_is_fresh(2, 30001));
    CHECK(!currentcost_is_fresh(3, 30000));  // polls each 10 s
    CHECK(currentcost_is_fresh(17, 17000));  // polls each second
    CHECK(!currentcost_is_fresh(19, 19000));
    CHECK(!currentcost_is_fresh(1, 60000));
}

TESTS(test_every_known_message_is_understood_in_pieces_of_any_size,
      test_half_a_message_waits_and_the_rest_completes_it,
      test_noise_before_and_between_messages_is_dropped,
      test_noise_without_a_message_never_piles_up,
      test_a_message_cut_by_the_next_one_is_damaged_and_the_next_one_is_good,
      test_a_damaged_message_is_never_a_reading,
      test_a_lost_byte_anywhere_never_changes_the_reading, test_sensor_10_is_not_sensor_1,
      test_a_history_message_between_readings_ends_nothing,
      test_a_history_message_may_be_longer_than_a_reading,
      test_an_endless_message_is_given_up_and_the_next_one_is_heard,
      test_a_reading_stands_for_three_polls_or_periods_and_never_beyond_30_s)
