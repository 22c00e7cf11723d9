/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/average.h"
#include "app/acquire/guard.h"

#define POLL_MS   10000
#define DAY       8640  // polls
#define BOOT_MS   86400000
#define MAX_PARTS 4

/* A meter with one counter, and the guard of it, fed with words. */
struct rig {
    struct model *model;
    struct selection selection;
    struct line *line;
    struct source *source;
    struct guard *guard;
    const struct point *point;
    struct sample sample;
    struct guard_book book;
    uint64_t seq;
    char events[4096];              // "held dropped ..."
    char text[GUARD_TEXT_SIZE];     // of the last
};

static struct rig rig;  // too large for small stacks

static void start(const char *model, const char *points, double max_power_w)
{
    auto_problems struct problems problems = { 0 };
    struct endpoint endpoint = { .kind = ENDPOINT_TCP, .host = "127.0.0.1", .service = "502" };
    struct source_setup setup = { .kind = SOURCE_MODBUS, .meter = "main", .unit = 1 };

    rig = (struct rig){ 0 };
    CHECK_EQ(model_find(model, &problems, &rig.model), 0);
    CHECK_EQ(selection_parse(rig.model, points, "", 0, &problems, &rig.selection), 0);
    CHECK_EQ(line_new(&endpoint, &rig.model->serial, &rig.line), 0);
    setup.line = rig.line;
    setup.model = rig.model;
    setup.selection = &rig.selection;
    CHECK_EQ(source_open(&setup, &rig.source), 0);
    CHECK_EQ(guard_new(rig.source, max_power_w, &rig.guard), 0);
    rig.point = &rig.model->points[rig.selection.points[0]];
}

static void stop(void)
{
    guard_free(rig.guard);
    source_close(rig.source);
    line_close(rig.line);
    model_free(rig.model);
}

static void take_events(void)
{
    const struct guard_note *notes;
    unsigned count = guard_take_notes(rig.guard, &notes);

    for (unsigned i = 0; i < count; i++) {
        const char *code = guard_event(&rig.book, 0, "main", source_layout(rig.source), &notes[i], rig.seq, rig.text);

        if (strlen(rig.events) + 20 < sizeof(rig.events)) {
            (void) strcat(strcat(rig.events, *rig.events ? " " : ""), code);
        }
    }
}

/* One poll of one counter. Returns what goes into the row. */
static double read_words(const uint16_t *words, uint64_t boot_ms)
{
    double values[2];

    sample_clear(&rig.sample, "main", 1, REASON_NONE);
    rig.sample.boot_ms = boot_ms;
    rig.sample.word_count = rig.point->word_count;
    memcpy(rig.sample.words, words, rig.point->word_count * sizeof(words[0]));
    point_decode(rig.model, rig.point, words, values);
    rig.sample.values[0] = values[0];
    rig.sample.reasons[0] = isnan(values[0]) ? REASON_NOT_AVAILABLE : REASON_NONE;
    guard_judge(rig.guard, &rig.sample);
    rig.seq++;
    take_events();
    return rig.sample.values[0];
}

static double read_raw(uint32_t raw, uint64_t boot_ms)
{
    return read_words((uint16_t[]){ (uint16_t) (raw >> 16), (uint16_t) raw }, boot_ms);
}

/*
 * A day of a CVM-NRG96 at 1080 W: u32.abcd, 1 Wh. From `at` on the register holds the literal words, one pair each
 * `gap` polls, and the true count in between and afterwards. `parts`: where the true count begins, and what follows a
 * change of level.
 */
static const struct glitch {
    const char *name;
    struct {
        unsigned at;
        uint32_t count;
    } parts[MAX_PARTS];
    unsigned at, gap;
    uint16_t words[8][2];
    unsigned word_count;
    const char *events;
    const char *says;        // in the last event
    unsigned empty;          // cells
    int64_t added;           // to last minus first, for a change of level that an event names
    int64_t energy;          // last minus first
} glitches[] = {
    { "a single zero", { { 0, 1234567 } }, 4000, 1, { { 0x0000, 0x0000 } }, 1, "held dropped",
      "words 0013056a value 1246570 Wh goes on from 1246564 Wh; 1 held since seq 4000 dropped", 1, 0, 25917 },
    { "all bits set", { { 0, 1234567 } }, 4000, 1, { { 0xFFFF, 0xFFFF } }, 1, "held dropped", "dropped", 1, 0, 25917 },
    { "all bits set for longer than a level needs", { { 0, 1234567 } }, 4000, 1,
      { { 0xFFFF, 0xFFFF }, { 0xFFFF, 0xFFFF }, { 0xFFFF, 0xFFFF }, { 0xFFFF, 0xFFFF }, { 0xFFFF, 0xFFFF } }, 5,
      "held held held held held dropped", "5 held since seq 4000 dropped", 5, 0, 25917 },
    { "a step back by one", { { 0, 1234567 } }, 4000, 1, { { 0x0013, 0x0560 } }, 1, "held dropped",
      "dropped", 1, 0, 25917 },
    { "words swapped", { { 0, 1234567 } }, 4000, 1, { { 0x0564, 0x0013 } }, 1, "held dropped", "dropped", 1, 0, 25917 },
    { "a flipped bit in the high word", { { 0, 1234567 } }, 4000, 1, { { 0x0053, 0x0564 } }, 1, "held dropped",
      "dropped", 1, 0, 25917 },
    { "a cleared bit in the high word", { { 0, 1234567 } }, 4000, 1, { { 0x0003, 0x0564 } }, 1, "held dropped",
      "dropped", 1, 0, 25917 },
    { "high word old, low word new", { { 0, 0x0013D121 } }, 4000, 1, { { 0x0013, 0x0001 } }, 1, "held dropped",
      "words 00140004 value 1310724 Wh goes on", 1, 0, 25917 },
    { "high word new, low word old", { { 0, 0x0013D121 } }, 4000, 1, { { 0x0014, 0xFFFE } }, 1, "held dropped",
      "dropped", 1, 0, 25917 },
    { "a jump beyond the connection and back", { { 0, 1234567 } }, 4000, 1, { { 0x0013, 0x3000 } }, 1, "held dropped",
      "dropped", 1, 0, 25917 },
    { "zeros while the meter starts", { { 0, 1234567 } }, 4000, 1,
      { { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } }, 8,
      "held held held held held held held held dropped", "8 held since seq 4000 dropped", 8, 0, 25917 },
    { "a zero at every second reading", { { 0, 1234567 } }, 4000, 2, { { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } }, 4,
      "held dropped held dropped held dropped held dropped", "1 held since seq 4006 dropped", 4, 0, 25917 },
    { "garbage of many kinds", { { 0, 1234567 } }, 4000, 1,
      { { 0, 0 }, { 0xFFFF, 0xFFFF }, { 0x0564, 0x0013 }, { 0x7FFF, 0xFFFF }, { 0x0001, 0x0001 } }, 5,
      "held held held held held dropped", "5 held since seq 4000 dropped", 5, 0, 25917 },
    { "in the day's first row but one", { { 0, 1234567 } }, 1, 1, { { 0, 0 } }, 1, "held dropped",
      "dropped", 1, 0, 25917 },
    { "in the day's last row", { { 0, 1234567 } }, DAY - 1, 1, { { 0, 0 } }, 1, "held", "a step back from 1260481 Wh",
      1, 0, 25914 },
    { "a reset", { { 0, 1234567 }, { 4000, 0 } }, 0, 1, { { 0 } }, 0, "held held released",
      "value 6 Wh is a reset, from 1246564 Wh; 2 held since seq 4000 released", 2, 1246564, 25914 },
    { "a meter exchange to a higher count", { { 0, 1234567 }, { 4000, 87654321 } }, 0, 1, { { 0 } }, 0,
      "held held released", "is another level (meter exchange), from 1246564 Wh", 2, 1246564 - 87654321, 25914 },
    { "a meter exchange to a lower count", { { 0, 1234567 }, { 4000, 654321 } }, 0, 1, { { 0 } }, 0,
      "held held released", "is another level (meter exchange), from 1246564 Wh", 2, 1246564 - 654321, 25914 },
    { "a rollover", { { 0, 0xFFFFD000 } }, 0, 1, { { 0 } }, 0, "held held released",
      "is a rollover at 4294967296 Wh, from 4294967293 Wh; 2 held since seq 4096 released", 2,
      INT64_C(1) << 32, 25917 },
    { "a display that begins again", { { 0, 99990000 }, { 3334, 2 } }, 0, 1, { { 0 } }, 0, "held held released",
      "is a rollover at 100000000 Wh, from 99999999 Wh", 2, 100000000, 25917 },
    { "another level for a while", { { 0, 1234567 }, { 4000, 20 }, { 5000, 1249567 } }, 0, 1, { { 0 } }, 0,
      "held held released held held released", "is a return to where the counter stood earlier, from 3017 Wh", 4,
      0, 25917 },
};

static uint32_t true_count(const struct glitch *glitch, unsigned poll)
{
    unsigned part = 0;

    while (part + 1 < MAX_PARTS && glitch->parts[part + 1].at > 0 && poll >= glitch->parts[part + 1].at) {
        part++;
    }
    return glitch->parts[part].count + 3 * (poll - glitch->parts[part].at);
}

/* The literal words of a poll, if it has some. */
static const uint16_t *glitch_words(const struct glitch *glitch, unsigned poll)
{
    unsigned index = poll >= glitch->at ? (poll - glitch->at) / glitch->gap : 0;

    if (poll < glitch->at || (poll - glitch->at) % glitch->gap > 0 || index >= glitch->word_count) {
        return NULL;
    }
    return glitch->words[index];
}

static void test_each_glitch_leaves_a_day_exact(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(glitches); i++) {
        const struct glitch *glitch = &glitches[i];
        double first = NAN, last = NAN;
        unsigned empty = 0;

        print_message("%s\n", glitch->name);
        start("circutor-cvm-nrg96", "energy_active_import", NAN);
        for (unsigned poll = 0; poll < DAY; poll++) {
            const uint16_t *words = glitch_words(glitch, poll);
            uint32_t count = true_count(glitch, poll);
            uint64_t boot_ms = BOOT_MS + UINT64_C(1) * poll * POLL_MS;
            double value;

            rig.seq = poll - 1;  // read_raw() counts on: the row's seq is the number of the poll
            value = words ? read_words(words, boot_ms) : read_raw(count, boot_ms);
            if (isnan(value)) {
                CHECK_EQ(rig.sample.reasons[0], REASON_HELD);
                empty++;
                continue;
            }
            CHECK(!words);
            CHECK_NEAR(value, count, 0);
            first = isnan(first) ? value : first;
            last = value;
        }

        CHECK_STR(rig.events, glitch->events);
        CHECK_HAS(rig.text, glitch->says);
        CHECK_EQ(empty, glitch->empty);
        CHECK_NEAR(last - first + (double) glitch->added, (double) glitch->energy, 0);
        stop();
    }
}

/* --- other formats --- */

static void test_other_formats_are_judged_as_exactly(void)
{
    static const char import[] = "energy_active_import";
    static const struct {
        const char *model, *point;
        uint16_t before[4], wrong[4], after[4];
        double first, last;
        const char *events;
    } cases[] = {
        // i64, Wh: zero
        { "schneider-pm5100", import, { 0, 0, 0x003A, 0xDE68 }, { 0, 0, 0, 0 }, { 0, 0, 0x003A, 0xDE6B },
          3858024, 3858027, "held dropped" },
        // i64: all bits set but the sign
        { "schneider-pm5100", import, { 0, 0, 0x003A, 0xDE68 }, { 0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF },
          { 0, 0, 0x003A, 0xDE6B }, 3858024, 3858027, "held dropped" },
        // u32, 0.01 kWh: 12345.67 kWh, swapped, 12345.68 kWh
        { "hiking-dds238-2-zn-s", "energy_active_total", { 0x0012, 0xD687 }, { 0xD687, 0x0012 }, { 0x0012, 0xD688 },
          12345670, 12345680, "held dropped" },
        // f32, Wh: 45231, 45230, 45232
        { "schneider-iem2150", import, { 0x4730, 0xAF00 }, { 0x4730, 0xAE00 }, { 0x4730, 0xB000 },
          45231, 45232, "held dropped" },
        // f32, Wh: the exponent's lowest bit; NaN and infinity never come so far
        { "schneider-iem2150", import, { 0x4730, 0xAF00 }, { 0x4830, 0xAF00 }, { 0x4730, 0xB000 },
          45231, 45232, "held dropped" },
        { "schneider-iem2150", import, { 0x4730, 0xAF00 }, { 0x7FC0, 0x0000 }, { 0x4730, 0xB000 },
          45231, 45232, "" },
        // f32, low word first
        { "schneider-em6400", import, { 0xAF00, 0x4730 }, { 0x0000, 0x0000 }, { 0xB000, 0x4730 }, 45231,
          45232, "held dropped" },
        // f32: 2000000128 Wh, its last bit less, and the same again: one number, rounded otherwise
        { "schneider-iem2150", import, { 0x4EEE, 0x6B29 }, { 0x4EEE, 0x6B29 }, { 0x4EEE, 0x6B28 },
          2000000100, 2000000000, "" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        start(cases[i].model, cases[i].point, NAN);
        CHECK_NEAR(read_words(cases[i].before, BOOT_MS), cases[i].first, 0);
        if (memcmp(cases[i].before, cases[i].wrong, sizeof(cases[i].wrong)) != 0) {
            CHECK_NAN(read_words(cases[i].wrong, BOOT_MS + POLL_MS));
        }
        CHECK_NEAR(read_words(cases[i].after, BOOT_MS + 2 * POLL_MS), cases[i].last, 0);
        CHECK_STR(rig.events, cases[i].events);
        stop();
    }
}

/* Its last bit down and up again must not add up. */
static void test_a_float_cannot_walk_down(void)
{
    start("schneider-iem2150", "energy_active_import", NAN);
    (void) read_words((uint16_t[]){ 0x4EEE, 0x6B29 }, BOOT_MS);
    CHECK(!isnan(read_words((uint16_t[]){ 0x4EEE, 0x6B28 }, BOOT_MS + 1000)));
    CHECK_NAN(read_words((uint16_t[]){ 0x4EEE, 0x6B27 }, BOOT_MS + 2000));
    stop();
}

/* --- power and time --- */

static void test_the_connection_decides_what_a_jump_is(void)
{
    // 25 kW for 10 s are 69 Wh, and one of resolution
    start("circutor-cvm-nrg96", "energy_active_import", 25000);
    for (unsigned i = 0; i < 10; i++) {
        (void) read_raw(1000000 + 60 * i, BOOT_MS + i * POLL_MS);
    }
    CHECK_NEAR(read_raw(1000540 + 70, BOOT_MS + 10 * POLL_MS), 1000610, 0);
    CHECK_NAN(read_raw(1000610 + 71, BOOT_MS + 11 * POLL_MS));
    CHECK_HAS(rig.text, "main: energy_active_import seq 12 words 000f44e9 value 1000681 Wh is held back: "
                        "a jump from 1000610 Wh 10 s before; 70 Wh more would be possible");
    stop();
}

static void test_a_counter_that_is_refreshed_once_a_minute_is_believed(void)
{
    start("circutor-cvm-nrg96", "energy_active_import", 25000);
    for (unsigned i = 0; i < 600; i++) {
        CHECK_NEAR(read_raw(1000000 + 400 * (i / 60), BOOT_MS + i * 1000), 1000000 + 400 * (i / 60), 0);
    }
    CHECK_STR(rig.events, "");
    stop();
}

static void test_a_gap_is_judged_over_its_whole_time(void)
{
    const uint64_t back_ms = BOOT_MS + UINT64_C(3) * 86400000;

    // three days at 20 kW of 25
    start("circutor-cvm-nrg96", "energy_active_import", 25000);
    (void) read_raw(1000000, BOOT_MS);
    CHECK_NEAR(read_raw(2440000, back_ms), 2440000, 0);
    CHECK_STR(rig.events, "");
    stop();

    // three days at 26 kW
    start("circutor-cvm-nrg96", "energy_active_import", 25000);
    (void) read_raw(1000000, BOOT_MS);
    CHECK_NAN(read_raw(2872000, back_ms));
    CHECK_NAN(read_raw(2872010, back_ms + POLL_MS));
    CHECK_NEAR(read_raw(2872020, back_ms + 2 * POLL_MS), 2872020, 0);
    CHECK_HAS(rig.text, "is another level (meter exchange), from 1000000 Wh");
    stop();
}

static void test_without_max_power_a_large_plant_is_learned(void)
{
    // 30 MW: 83333 Wh in 10 s, more than a megawatt
    start("circutor-cvm-nrg96", "energy_active_import", NAN);
    for (unsigned i = 0; i < 100; i++) {
        double value = read_raw(1000000 + 83333 * i, BOOT_MS + i * POLL_MS);

        CHECK(i == 1 || i == 2 ? isnan(value) : value == 1000000 + 83333 * i);
    }
    CHECK_STR(rig.events, "held held released");
    CHECK_HAS(rig.text, "is a rise, faster or for longer than was known to be possible (max_power), from 1000000 Wh");
    stop();

    // whoever said what is possible is obeyed
    start("circutor-cvm-nrg96", "energy_active_import", 1e6);
    CHECK_NEAR(read_raw(1000000, BOOT_MS), 1000000, 0);
    for (unsigned i = 1; i < 50; i++) {
        CHECK_NAN(read_raw(1000000 + 83333 * i, BOOT_MS + i * POLL_MS));
    }
    stop();
}

static void test_a_level_that_stands_still_is_believed_after_ten_minutes(void)
{
    start("circutor-cvm-nrg96", "energy_active_export", NAN);
    CHECK_NEAR(read_raw(5000, BOOT_MS), 5000, 0);
    for (unsigned i = 1; i < 61; i++) {
        CHECK_NAN(read_raw(0, BOOT_MS + i * POLL_MS));
    }
    CHECK_NEAR(read_raw(0, BOOT_MS + 61 * POLL_MS), 0, 0);
    CHECK_HAS(rig.text, "value 0 Wh is a reset, from 5000 Wh; 60 held since seq 2 released");
    stop();
}

static void test_a_value_that_is_missing_is_no_reading(void)
{
    start("circutor-cvm-nrg96", "energy_active_import", NAN);
    (void) read_raw(5000, BOOT_MS);
    sample_clear(&rig.sample, "main", 1, REASON_TIMEOUT);
    guard_judge(rig.guard, &rig.sample);
    CHECK_EQ(rig.sample.reasons[0], REASON_TIMEOUT);
    CHECK_NEAR(read_raw(5001, BOOT_MS + POLL_MS), 5001, 0);
    CHECK_STR(rig.events, "");
    stop();
}

/* --- restarts --- */

static void remember(enum counter_memory memory, double value, int64_t ms)
{
    guard_remember(rig.guard, 0, memory, &(struct counter_level){ .value = value, .ms = ms, .moved_ms = ms });
}

static void test_a_glitch_before_a_restart_and_one_after_it_are_seen(void)
{
    struct counter_level level;

    start("circutor-cvm-nrg96", "energy_active_import", NAN);
    (void) read_raw(1234567, BOOT_MS);
    CHECK_NAN(read_raw(0, BOOT_MS + POLL_MS));
    CHECK_EQ(guard_last(rig.guard, 0, &level), COUNTER_KNOWN);
    CHECK_NEAR(level.value, 1234567, 0);
    stop();

    // the journal's last value, from an earlier boot: its time is before this one began
    start("circutor-cvm-nrg96", "energy_active_import", NAN);
    remember(COUNTER_KNOWN, 1234567, -3600000);
    CHECK_NAN(read_raw(0x00530564, 5000));
    CHECK_HAS(rig.text, "a jump from 1234567 Wh 60 min before");
    CHECK_NEAR(read_raw(1334567, 15000), 1334567, 0);
    CHECK_STR(rig.events, "held dropped");
    stop();

    start("circutor-cvm-nrg96", "energy_active_import", NAN);
    remember(COUNTER_KNOWN, 1234567, BOOT_MS);
    CHECK_NAN(read_raw(1234566, BOOT_MS + 5000));
    CHECK_NEAR(read_raw(1234568, BOOT_MS + 15000), 1234568, 0);
    stop();
}

static void test_after_a_restart_of_unknown_length_readings_in_line_say_how_far_it_went(void)
{
    start("circutor-cvm-nrg96", "energy_active_import", 25000);
    remember(COUNTER_KNOWN_SINCE, 1000000, 0);
    CHECK_NEAR(read_raw(1000100, 15000), 1000100, 0);  // as much as 15 s can be
    stop();

    start("circutor-cvm-nrg96", "energy_active_import", 25000);
    remember(COUNTER_KNOWN_SINCE, 1000000, 0);
    CHECK_NAN(read_raw(1100000, 15000));
    CHECK_NAN(read_raw(1100003, 25000));
    CHECK_NEAR(read_raw(1100006, 35000), 1100006, 0);
    CHECK_HAS(rig.text, "is a rise, faster or for longer");
    stop();
}

static void test_without_a_memory_the_first_readings_must_agree(void)
{
    start("circutor-cvm-nrg96", "energy_active_import", NAN);
    remember(COUNTER_FORGOTTEN, NAN, 0);
    CHECK_NAN(read_raw(0, BOOT_MS));
    CHECK_HAS(rig.text, "what was before is not known");
    CHECK_NAN(read_raw(87654321, BOOT_MS + POLL_MS));
    CHECK_NAN(read_raw(87654321, BOOT_MS + 2 * POLL_MS));
    CHECK_NEAR(read_raw(87654324, BOOT_MS + 3 * POLL_MS), 87654324, 0);
    CHECK_STR(rig.events, "held held held released");
    stop();
}

static void test_a_meter_never_seen_is_believed_but_not_all_ones(void)
{
    start("circutor-cvm-nrg96", "energy_active_import", NAN);
    CHECK_NAN(read_raw(0xFFFFFFFF, BOOT_MS));
    CHECK_NEAR(read_raw(1234567, BOOT_MS + POLL_MS), 1234567, 0);
    CHECK_STR(rig.events, "held dropped");
    stop();
}

/* --- rows and events --- */

static void test_an_averaged_row_has_the_last_believed_count(void)
{
    struct average *average;

    start("circutor-cvm-nrg96", "energy_active_import", NAN);
    CHECK_EQ(average_new(source_layout(rig.source), 30000000, &average), 0);
    for (unsigned i = 0; i < 3; i++) {
        (void) read_raw(i < 2 ? 5000 + i : 0, BOOT_MS + i * POLL_MS);
        average_add(average, &rig.sample, i * UINT64_C(10000000));
    }
    CHECK(average_take(average, &rig.sample));
    CHECK_NEAR(rig.sample.values[0], 5001, 0);

    // none believed: held, not missing
    (void) read_raw(0, BOOT_MS + 3 * POLL_MS);
    average_add(average, &rig.sample, 30000000);
    CHECK(average_take(average, &rig.sample));
    CHECK_NAN(rig.sample.values[0]);
    CHECK_EQ(rig.sample.reasons[0], REASON_HELD);
    average_free(average);
    stop();
}

static void test_a_flood_is_counted_and_a_level_is_named_all_the_same(void)
{
    unsigned held = 0;

    start("circutor-cvm-nrg96", "energy_active_import", NAN);
    for (unsigned i = 0; i < 1800; i++) {
        (void) read_raw(i % 2 ? 0 : 5000 + i, BOOT_MS + i * 1000);
    }
    for (const char *at = rig.events; (at = strstr(at, "held")); at++) {
        held++;
    }
    CHECK(held >= 50 && held <= 30 + 31);
    CHECK_HAS(rig.text, "more values held back or dropped, too many to name each");
    for (unsigned i = 0; i < 2; i++) {
        (void) read_raw(10 + i, BOOT_MS + (1800 + i) * 1000);  // the zero before them is in line
    }
    CHECK_HAS(rig.text, "value 11 Wh is a reset, from 6798 Wh; 2 held released");
    stop();
}

static void test_a_row_that_is_stored_again_keeps_its_events_right(void)
{
    const struct guard_note *notes;
    unsigned count;

    start("circutor-cvm-nrg96", "energy_active_import", NAN);
    (void) read_raw(5000, BOOT_MS);
    sample_clear(&rig.sample, "main", 1, REASON_NONE);
    rig.sample.values[0] = 0;
    rig.sample.boot_ms = BOOT_MS + POLL_MS;
    guard_judge(rig.guard, &rig.sample);
    count = guard_take_notes(rig.guard, &notes);
    CHECK_EQ(count, 1);
    (void) guard_event(&rig.book, 0, "main", source_layout(rig.source), &notes[0], 7, rig.text);
    (void) guard_event(&rig.book, 0, "main", source_layout(rig.source), &notes[0], 4294967296, rig.text);
    CHECK_HAS(rig.text, "seq 4294967296 ");
    (void) read_raw(5001, BOOT_MS + 2 * POLL_MS);
    CHECK_HAS(rig.text, "1 held since seq 4294967296 dropped");

    (void) guard_event(NULL, 0, "main", source_layout(rig.source), &notes[0], 0, rig.text);
    CHECK(!strstr(rig.text, "seq"));
    stop();
}

static void test_only_counters_are_guarded(void)
{
    struct counter_level level;

    start("circutor-cvm-nrg96", "power_active_total,energy_active_import", NAN);
    for (unsigned i = 0; i < 2; i++) {
        sample_clear(&rig.sample, "main", 2, REASON_NONE);
        rig.sample.boot_ms = BOOT_MS + i * POLL_MS;
        rig.sample.values[0] = i ? 0 : 5000;
        rig.sample.values[1] = i ? 0 : 5000;
        guard_judge(rig.guard, &rig.sample);
    }
    CHECK_NEAR(rig.sample.values[0], 0, 0);
    CHECK_NAN(rig.sample.values[1]);
    CHECK_EQ(guard_last(rig.guard, 0, &level), COUNTER_NEW);
    stop();
}

TESTS(test_each_glitch_leaves_a_day_exact, test_other_formats_are_judged_as_exactly, test_a_float_cannot_walk_down,
      test_the_connection_decides_what_a_jump_is, test_a_counter_that_is_refreshed_once_a_minute_is_believed,
      test_a_gap_is_judged_over_its_whole_time, test_without_max_power_a_large_plant_is_learned,
      test_a_level_that_stands_still_is_believed_after_ten_minutes, test_a_value_that_is_missing_is_no_reading,
      test_a_glitch_before_a_restart_and_one_after_it_are_seen,
      test_after_a_restart_of_unknown_length_readings_in_line_say_how_far_it_went,
      test_without_a_memory_the_first_readings_must_agree, test_a_meter_never_seen_is_believed_but_not_all_ones,
      test_an_averaged_row_has_the_last_believed_count, test_a_flood_is_counted_and_a_level_is_named_all_the_same,
      test_a_row_that_is_stored_again_keeps_its_events_right, test_only_counters_are_guarded)
