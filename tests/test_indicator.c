// SPDX-License-Identifier: MIT
// link: ms_leds

#include "tests/test.h"

#include "app/base/macros.h"
#include "leds/indicator.h"
#include "leds/terminal.h"

#define NOW 100000

/* A plant in which all is well: two meters read each 10 s, one stick, a known clock. */
#define GOOD_METER   "{\"name\":\"a\",\"state\":\"live\",\"committed_boot_ms\":95000,\"slice_ms\":10000}"
#define SILENT_METER "{\"name\":\"b\",\"state\":\"silent\",\"committed_boot_ms\":95000,\"slice_ms\":10000}"
#define NEVER_METER  "{\"name\":\"c\",\"state\":\"live\",\"committed_boot_ms\":null,\"slice_ms\":1}"
#define ACQUIRE(state, meters, journal, known)                                                     \
    "{\"state\":\"" state "\",\"meters\":[" meters "],\"journal\":{\"state\":\"" journal "\"},"      \
    "\"clock\":{\"known\":" known "}}"
#define SEARCH(state, meters, search, rounds)                                                      \
    "{\"state\":\"" state "\",\"meters\":[" meters "],\"journal\":{\"state\":\"ok\"},"               \
    "\"clock\":{\"known\":true},\"scan\":{\"state\":\"" search "\",\"percent\":12,\"left_s\":61,"    \
    "\"rounds\":" rounds "}}"
#define GOOD_ACQUIRE ACQUIRE("running", GOOD_METER "," GOOD_METER, "ok", "true")
#define STICK(sticks) "{\"state\":\"running\",\"sticks\":[" sticks "]}"
#define ONE(state, backlog) "{\"id\":\"x\",\"state\":\"" state "\",\"backlog\":" backlog "}"
#define GOOD_STICK STICK(ONE("idle", "0"))

/* Every row of the table that status files decide. NULL: missing, damaged or stale. */
static const struct {
    const char *acquire, *stick;
    enum indicator_pixel pixel;
    enum light light;
} cases[] = {
    { GOOD_ACQUIRE, GOOD_STICK, PIXEL_PROGRAM, LIGHT_PROGRAM_RUNNING },
    { NULL, GOOD_STICK, PIXEL_PROGRAM, LIGHT_PROGRAM_DEAD },
    { ACQUIRE("stopped", GOOD_METER, "ok", "true"), GOOD_STICK, PIXEL_PROGRAM, LIGHT_PROGRAM_DEAD },
    { "{}", GOOD_STICK, PIXEL_PROGRAM, LIGHT_PROGRAM_DEAD },
    { "{\"state\":\"running\",\"meters\":null}", GOOD_STICK, PIXEL_PROGRAM, LIGHT_PROGRAM_DEAD },
    { ACQUIRE("failed", GOOD_METER, "ok", "true"), GOOD_STICK, PIXEL_PROGRAM, LIGHT_PROGRAM_RUNNING },

    { GOOD_ACQUIRE, NULL, PIXEL_ACQUISITION, LIGHT_ACQUISITION_GOOD },
    { ACQUIRE("running", GOOD_METER "," SILENT_METER, "ok", "true"), NULL, PIXEL_ACQUISITION,
      LIGHT_ACQUISITION_SILENT },
    { ACQUIRE("running", SILENT_METER, "ok", "true"), NULL, PIXEL_ACQUISITION, LIGHT_ACQUISITION_FAILED },
    { ACQUIRE("failed", GOOD_METER, "ok", "true"), NULL, PIXEL_ACQUISITION, LIGHT_ACQUISITION_FAILED },
    { ACQUIRE("running", "", "ok", "true"), NULL, PIXEL_ACQUISITION, LIGHT_ACQUISITION_FAILED },
    { NULL, GOOD_STICK, PIXEL_ACQUISITION, LIGHT_ACQUISITION_FAILED },
    { SEARCH("starting", "", "running", "0"), NULL, PIXEL_ACQUISITION, LIGHT_ACQUISITION_SEARCHING },
    { SEARCH("starting", NEVER_METER, "running", "0"), NULL, PIXEL_ACQUISITION, LIGHT_ACQUISITION_SEARCHING },
    { SEARCH("starting", "", "running", "1"), NULL, PIXEL_ACQUISITION, LIGHT_ACQUISITION_FAILED },
    { SEARCH("starting", "", "waiting", "0"), NULL, PIXEL_ACQUISITION, LIGHT_ACQUISITION_FAILED },
    { SEARCH("starting", "", "stopped", "0"), NULL, PIXEL_ACQUISITION, LIGHT_ACQUISITION_FAILED },
    { SEARCH("failed", NEVER_METER, "running", "0"), NULL, PIXEL_ACQUISITION, LIGHT_ACQUISITION_FAILED },
    { SEARCH("running", SILENT_METER, "running", "0"), NULL, PIXEL_ACQUISITION, LIGHT_ACQUISITION_FAILED },
    { SEARCH("running", GOOD_METER, "running", "0"), NULL, PIXEL_ACQUISITION, LIGHT_ACQUISITION_GOOD },
    { SEARCH("running", GOOD_METER "," SILENT_METER, "running", "0"), NULL, PIXEL_ACQUISITION,
      LIGHT_ACQUISITION_SILENT },
    { SEARCH("stopped", "", "running", "0"), NULL, PIXEL_ACQUISITION, LIGHT_ACQUISITION_FAILED },

    { GOOD_ACQUIRE, GOOD_STICK, PIXEL_WRITING, LIGHT_WRITING_IDLE },
    { GOOD_ACQUIRE, STICK(""), PIXEL_WRITING, LIGHT_WRITING_IDLE },
    { GOOD_ACQUIRE, STICK(ONE("idle", "0") "," ONE("writing", "5")), PIXEL_WRITING, LIGHT_WRITING_NOW },
    { GOOD_ACQUIRE, STICK(ONE("checking", "5")), PIXEL_WRITING, LIGHT_WRITING_NOW },
    { GOOD_ACQUIRE, STICK(ONE("full", "5")), PIXEL_WRITING, LIGHT_WRITING_FAILED },
    { GOOD_ACQUIRE, STICK(ONE("readonly", "5")), PIXEL_WRITING, LIGHT_WRITING_FAILED },
    { GOOD_ACQUIRE, STICK(ONE("slow", "5")), PIXEL_WRITING, LIGHT_WRITING_FAILED },
    { GOOD_ACQUIRE, STICK(ONE("failed", "5")), PIXEL_WRITING, LIGHT_WRITING_FAILED },
    { GOOD_ACQUIRE, STICK("{}"), PIXEL_WRITING, LIGHT_WRITING_FAILED },
    { GOOD_ACQUIRE, STICK(ONE("refused", "0")), PIXEL_WRITING, LIGHT_WRITING_IDLE },
    { GOOD_ACQUIRE, STICK(ONE("full", "5") "," ONE("writing", "5")), PIXEL_WRITING, LIGHT_WRITING_BOTH },
    { ACQUIRE("running", GOOD_METER, "memory", "true"), GOOD_STICK, PIXEL_WRITING, LIGHT_WRITING_FAILED },
    { ACQUIRE("running", GOOD_METER, "full", "true"), GOOD_STICK, PIXEL_WRITING, LIGHT_WRITING_FAILED },
    { ACQUIRE("running", GOOD_METER, "readonly", "true"), GOOD_STICK, PIXEL_WRITING, LIGHT_WRITING_FAILED },
    { ACQUIRE("running", GOOD_METER, "failed", "true"), GOOD_STICK, PIXEL_WRITING, LIGHT_WRITING_FAILED },
    { NULL, GOOD_STICK, PIXEL_WRITING, LIGHT_WRITING_FAILED },
    { GOOD_ACQUIRE, NULL, PIXEL_WRITING, LIGHT_WRITING_FAILED },

    { GOOD_ACQUIRE, STICK(""), PIXEL_STICK, LIGHT_STICK_NONE },
    { GOOD_ACQUIRE, GOOD_STICK, PIXEL_STICK, LIGHT_STICK_CURRENT },
    { GOOD_ACQUIRE, STICK(ONE("idle", "0") "," ONE("writing", "5")), PIXEL_STICK, LIGHT_STICK_BEHIND },
    { GOOD_ACQUIRE, STICK(ONE("idle", "0") "," ONE("refused", "0")), PIXEL_STICK, LIGHT_STICK_REFUSED },
    { GOOD_ACQUIRE, STICK(ONE("full", "0")), PIXEL_STICK, LIGHT_STICK_BEHIND },
    { GOOD_ACQUIRE, STICK(ONE("checking", "0")), PIXEL_STICK, LIGHT_STICK_BEHIND },
    { GOOD_ACQUIRE, STICK(ONE("writing", "0")), PIXEL_STICK, LIGHT_STICK_BEHIND },
    { GOOD_ACQUIRE, STICK(ONE("idle", "null")), PIXEL_STICK, LIGHT_STICK_BEHIND },
    { GOOD_ACQUIRE, STICK("{\"state\":\"idle\",\"backlog\":0,\"error\":\"?\"}"), PIXEL_STICK, LIGHT_STICK_BEHIND },
    { GOOD_ACQUIRE, NULL, PIXEL_STICK, LIGHT_STICK_DEAD },
    { GOOD_ACQUIRE, "{\"state\":\"running\",\"sticks\":{}}", PIXEL_STICK, LIGHT_STICK_DEAD },
    { NULL, GOOD_STICK, PIXEL_STICK, LIGHT_STICK_CURRENT },

    { GOOD_ACQUIRE, NULL, PIXEL_CLOCK, LIGHT_CLOCK_KNOWN },
    { ACQUIRE("running", GOOD_METER, "ok", "false"), NULL, PIXEL_CLOCK, LIGHT_CLOCK_UNKNOWN },
    { NULL, GOOD_STICK, PIXEL_CLOCK, LIGHT_CLOCK_UNKNOWN },

    { GOOD_ACQUIRE, GOOD_STICK, PIXEL_OUTLETS, LIGHT_OUTLETS_NONE },
    { GOOD_ACQUIRE, GOOD_STICK, PIXEL_ALARM, LIGHT_ALARM_NONE },
    { GOOD_ACQUIRE, GOOD_STICK, PIXEL_POWER, LIGHT_POWER_UNTOLD },
};

static struct json *parse(const char *text)
{
    struct json *json = NULL;

    if (text) {
        CHECK_EQ(json_parse(text, strlen(text), &json, NULL), 0);
    }
    return json;
}

static struct facts gather(const char *acquire_text, const char *stick_text, uint64_t now_ms)
{
    auto_json struct json *acquire = parse(acquire_text);
    auto_json struct json *stick = parse(stick_text);
    struct facts facts;

    facts_gather(acquire, stick, now_ms, 10000, &facts);
    return facts;
}

static void test_every_row_of_the_table_follows_from_the_status_files(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct facts facts = gather(cases[i].acquire, cases[i].stick, NOW);
        enum light lights[BLINKT_PIXELS];

        indicator_choose(&facts, lights);
        if (lights[cases[i].pixel] != cases[i].light) {
            fail_msg("case %zu: pixel %u says \"%s\"", i, cases[i].pixel,
                     indicator_meaning(lights[cases[i].pixel])->text);
        }
    }
}

/* The table of the lights as it stands in the manual, line for line. */
static const struct { enum light light; enum indicator_pixel pixel; const char *shown; } table[] = {
    { LIGHT_PROGRAM_RUNNING,    PIXEL_PROGRAM,     "purple" },
    { LIGHT_PROGRAM_DEAD,       PIXEL_PROGRAM,     "red blinking" },
    { LIGHT_PROGRAM_ENDED,      PIXEL_PROGRAM,     "red" },
    { LIGHT_ACQUISITION_GOOD,   PIXEL_ACQUISITION, "green" },
    { LIGHT_ACQUISITION_SILENT, PIXEL_ACQUISITION, "yellow blinking" },
    { LIGHT_ACQUISITION_FAILED, PIXEL_ACQUISITION, "red blinking" },
    { LIGHT_ACQUISITION_SEARCHING, PIXEL_ACQUISITION, "cyan" },
    { LIGHT_WRITING_IDLE,       PIXEL_WRITING,     "dark" },
    { LIGHT_WRITING_NOW,        PIXEL_WRITING,     "blue" },
    { LIGHT_WRITING_FAILED,     PIXEL_WRITING,     "red blinking" },
    { LIGHT_WRITING_BOTH,       PIXEL_WRITING,     "red and blue blinking" },
    { LIGHT_STICK_NONE,         PIXEL_STICK,       "dark" },
    { LIGHT_STICK_CURRENT,      PIXEL_STICK,       "white" },
    { LIGHT_STICK_BEHIND,       PIXEL_STICK,       "cyan" },
    { LIGHT_STICK_REFUSED,      PIXEL_STICK,       "red blinking" },
    { LIGHT_STICK_DEAD,         PIXEL_STICK,       "red blinking" },
    { LIGHT_CLOCK_KNOWN,        PIXEL_CLOCK,       "green" },
    { LIGHT_CLOCK_UNKNOWN,      PIXEL_CLOCK,       "yellow blinking" },
    { LIGHT_OUTLETS_NONE,       PIXEL_OUTLETS,     "dark" },
    { LIGHT_OUTLETS_DELIVERED,  PIXEL_OUTLETS,     "green" },
    { LIGHT_OUTLETS_BEHIND,     PIXEL_OUTLETS,     "cyan" },
    { LIGHT_OUTLETS_FAILING,    PIXEL_OUTLETS,     "red blinking" },
    { LIGHT_ALARM_NONE,         PIXEL_ALARM,       "dark" },
    { LIGHT_ALARM_WAS,          PIXEL_ALARM,       "yellow" },
    { LIGHT_ALARM_NOW,          PIXEL_ALARM,       "red blinking" },
    { LIGHT_POWER_UNTOLD,       PIXEL_POWER,       "dark" },
    { LIGHT_POWER_GOOD,         PIXEL_POWER,       "green" },
    { LIGHT_POWER_LOW,          PIXEL_POWER,       "yellow blinking" },
};

/* What one sees of a pixel in a second. */
static void watch(const enum light lights[static BLINKT_PIXELS], unsigned pixel, char *ret, size_t size)
{
    static const char *const names[] = { ['.'] = "dark", ['R'] = "red", ['G'] = "green", ['B'] = "blue",
                                         ['Y'] = "yellow", ['P'] = "purple", ['C'] = "cyan", ['W'] = "white" };
    struct frame first, second;
    char a, b;

    indicator_frame(lights, 7000, 3, false, &first);
    indicator_frame(lights, 7500, 3, false, &second);
    a = terminal_letter(&first.pixels[pixel]);
    b = terminal_letter(&second.pixels[pixel]);
    (void) snprintf(ret, size, "%s%s%s%s", names[(unsigned char) a], a != b && b != '.' ? " and " : "",
                    a != b && b != '.' ? names[(unsigned char) b] : "", a != b ? " blinking" : "");
}

static void test_each_light_is_shown_as_the_table_says(void)
{
    CHECK_EQ(ARRAY_SIZE(table), LIGHT_COUNT - 1);  // all but "see pixel 0"
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        enum light lights[BLINKT_PIXELS];
        char shown[32];

        for (unsigned pixel = 0; pixel < BLINKT_PIXELS; pixel++) {
            lights[pixel] = LIGHT_UNSAID;
        }
        lights[table[i].pixel] = table[i].light;
        watch(lights, table[i].pixel, shown, sizeof(shown));
        CHECK_EQ(indicator_meaning(table[i].light)->pixel, table[i].pixel);
        CHECK_STR(shown, table[i].shown);
    }
}

static void test_outlets_alarm_and_power_have_their_rows(void)
{
    static const enum light outlets[] = { LIGHT_OUTLETS_NONE, LIGHT_OUTLETS_DELIVERED, LIGHT_OUTLETS_BEHIND,
                                          LIGHT_OUTLETS_FAILING };
    static const enum light alarms[] = { LIGHT_ALARM_NONE, LIGHT_ALARM_WAS, LIGHT_ALARM_NOW };
    static const enum light powers[] = { LIGHT_POWER_UNTOLD, LIGHT_POWER_GOOD, LIGHT_POWER_LOW };
    struct facts facts = {};
    enum light lights[BLINKT_PIXELS];

    for (unsigned i = 0; i < ARRAY_SIZE(outlets); i++) {
        facts.outlets = (enum outlets_fact) i;
        indicator_choose(&facts, lights);
        CHECK_EQ(lights[PIXEL_OUTLETS], outlets[i]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(alarms); i++) {
        facts.alarm = (enum alarm_fact) i;
        facts.power = (enum power_fact) i;
        indicator_choose(&facts, lights);
        CHECK_EQ(lights[PIXEL_ALARM], alarms[i]);
        CHECK_EQ(lights[PIXEL_POWER], powers[i]);
    }
}

/* 3 intervals of 10 s, a commit of 10 s, and 2 s until the next status, after the row of 95000. */
static void test_a_live_meter_whose_rows_do_not_reach_the_card_is_not_good(void)
{
    CHECK_EQ(gather(GOOD_ACQUIRE, NULL, 95000 + 41999).meter_good_count, 2);
    CHECK_EQ(gather(GOOD_ACQUIRE, NULL, 95000 + 42000).meter_good_count, 0);
    CHECK_EQ(gather(ACQUIRE("running", NEVER_METER, "ok", "true"), NULL, NOW).meter_good_count, 0);
}

static void test_facts_say_when_a_good_meter_turns(void)
{
    struct facts facts = gather(GOOD_ACQUIRE, NULL, NOW);

    CHECK_EQ(facts.turns_boot_ms, 95000 + 42000);
    CHECK_EQ(gather(GOOD_ACQUIRE, NULL, 95000 + 42000 - 1).meter_good_count, 2);
    facts = gather(ACQUIRE("running", GOOD_METER ",{\"state\":\"live\",\"committed_boot_ms\":97000.5,"
                                      "\"slice_ms\":1000}", "ok", "true"), NULL, NOW);
    CHECK_EQ(facts.turns_boot_ms, 112001);  // the second meter is the first that turns
    CHECK(gather(NULL, NULL, NOW).turns_boot_ms == UINT64_MAX);
}

static void test_facts_name_the_silent_meters_by_their_place(void)
{
    struct facts facts = gather(ACQUIRE("running", SILENT_METER "," GOOD_METER "," SILENT_METER, "ok", "true"), NULL,
                                NOW);

    CHECK_EQ(facts.silent_count, 2);
    CHECK_EQ(facts.silent_numbers[0], 1);
    CHECK_EQ(facts.silent_numbers[1], 3);
    facts = gather(ACQUIRE("running", SILENT_METER "," SILENT_METER "," SILENT_METER "," SILENT_METER ","
                           SILENT_METER "," SILENT_METER "," SILENT_METER "," SILENT_METER "," SILENT_METER,
                           "ok", "true"), NULL, NOW);
    CHECK_EQ(facts.silent_count, FACTS_SILENT_MAX);
    CHECK_EQ(facts.silent_numbers[FACTS_SILENT_MAX - 1], FACTS_SILENT_MAX);
}

static void test_facts_say_how_far_the_slowest_stick_has_caught_up(void)
{
    static const char far[] = "{\"state\":\"writing\",\"backlog\":9,\"percent\":70}";
    static const char near[] = "{\"state\":\"writing\",\"backlog\":9,\"percent\":20}";
    static const char waits[] = "{\"state\":\"idle\",\"backlog\":9,\"percent\":10}";
    char text[256];

    CHECK_NAN(gather(NULL, NULL, NOW).stick_percent);
    CHECK_NAN(gather(NULL, STICK(ONE("writing", "5")), NOW).stick_percent);
    (void) snprintf(text, sizeof(text), STICK("%s,%s,%s," ONE("writing", "5")), far, near, waits);
    CHECK_NEAR(gather(NULL, text, NOW).stick_percent, 20, 0);
}

static void test_facts_know_a_halt(void)
{
    CHECK(!gather(GOOD_ACQUIRE, NULL, NOW).halted);
    CHECK(!gather(ACQUIRE("starting", SILENT_METER, "ok", "true"), NULL, NOW).halted);
    CHECK(gather(ACQUIRE("failed", SILENT_METER, "ok", "true"), NULL, NOW).halted);
    CHECK(gather(ACQUIRE("stopped", GOOD_METER, "ok", "true"), NULL, NOW).halted);
    CHECK(gather(NULL, GOOD_STICK, NOW).halted);
}

static void test_with_no_status_at_all_every_own_light_blinks_and_none_is_dark(void)
{
    struct facts facts = gather(NULL, NULL, NOW);
    enum light lights[BLINKT_PIXELS];

    indicator_choose(&facts, lights);
    for (unsigned i = PIXEL_PROGRAM; i <= PIXEL_CLOCK; i++) {
        CHECK(indicator_meaning(lights[i])->blinks);
        CHECK(indicator_meaning(lights[i])->colour != COLOUR_DARK);
    }
}

/* Someone who cannot tell colours apart knows a failure by its blinking. */
static void test_red_and_failing_yellow_always_blink_and_nothing_else_does(void)
{
    for (unsigned i = 0; i < LIGHT_COUNT; i++) {
        const struct meaning *meaning = indicator_meaning((enum light) i);
        bool fails = (meaning->colour == COLOUR_RED && i != LIGHT_PROGRAM_ENDED)
                     || (meaning->colour == COLOUR_YELLOW && i != LIGHT_ALARM_WAS);

        CHECK_EQ(meaning->blinks, fails);
        CHECK(strlen(meaning->word) <= 9);
        CHECK(*meaning->text);
    }
}

static void test_blinking_is_one_second_lit_first(void)
{
    enum light lights[BLINKT_PIXELS];
    struct facts facts = gather(NULL, GOOD_STICK, NOW);
    struct frame frame;

    indicator_choose(&facts, lights);
    indicator_frame(lights, 7000, 3, false, &frame);
    CHECK_EQ(frame.brightness, 3);
    CHECK_EQ(terminal_letter(&frame.pixels[PIXEL_PROGRAM]), 'R');
    CHECK_EQ(frame.pixels[PIXEL_PROGRAM].red, 200);
    CHECK_EQ(terminal_letter(&frame.pixels[PIXEL_STICK]), 'W');
    indicator_frame(lights, 7499, 3, false, &frame);
    CHECK_EQ(terminal_letter(&frame.pixels[PIXEL_PROGRAM]), 'R');
    indicator_frame(lights, 7500, 3, false, &frame);
    CHECK_EQ(terminal_letter(&frame.pixels[PIXEL_PROGRAM]), '.');
    CHECK_EQ(terminal_letter(&frame.pixels[PIXEL_STICK]), 'W');
}

/* Dark means safe to pull, so it is never dark while a stick is written, not even for half a second. */
static void test_writing_is_never_dark_while_a_stick_is_written(void)
{
    enum light lights[BLINKT_PIXELS];
    struct facts facts = gather(NULL, STICK(ONE("writing", "5")), NOW);
    struct frame frame;

    indicator_choose(&facts, lights);
    indicator_frame(lights, 7000, 3, false, &frame);
    CHECK_EQ(terminal_letter(&frame.pixels[PIXEL_WRITING]), 'R');
    indicator_frame(lights, 7500, 3, false, &frame);
    CHECK_EQ(terminal_letter(&frame.pixels[PIXEL_WRITING]), 'B');
}

/* ES-11: the first program's code had blue for acquiring and green for writing. */
static void test_the_colours_of_the_first_programs_code_can_be_had(void)
{
    enum light lights[BLINKT_PIXELS];
    struct facts facts = gather(GOOD_ACQUIRE, STICK(ONE("writing", "5")), NOW);
    struct frame frame;

    indicator_choose(&facts, lights);
    indicator_frame(lights, 7000, 3, true, &frame);
    CHECK_EQ(terminal_letter(&frame.pixels[PIXEL_ACQUISITION]), 'B');
    CHECK_EQ(terminal_letter(&frame.pixels[PIXEL_WRITING]), 'G');
    CHECK_EQ(terminal_letter(&frame.pixels[PIXEL_CLOCK]), 'G');
}

static void test_the_last_frame_is_one_steady_red_pixel(void)
{
    enum light lights[BLINKT_PIXELS];
    struct frame frame;

    indicator_farewell(lights);
    indicator_frame(lights, 7500, 3, false, &frame);
    CHECK_EQ(terminal_letter(&frame.pixels[0]), 'R');
    for (unsigned i = 1; i < BLINKT_PIXELS; i++) {
        CHECK_EQ(terminal_letter(&frame.pixels[i]), '.');
    }
}

static void test_a_terminal_shows_colours_or_letters(void)
{
    static const char *const words[] = { "running", "", "", "", "", "", "", "far too long" };
    struct frame frame = { .brightness = 3, .pixels = { { 200, 0, 200 }, { 0, 200, 0 } } };
    auto_text struct text letters = {}, colours = {};

    terminal_add_frame(&letters, TERMINAL_LETTERS, &frame, words);
    CHECK_STR(text_string(&letters),
              "P         G         .         .         .         .         .         .         \n"
              "program   meters    writing   stick     clock     outlets   alarm     power     \n"
              "running                                                               far too lo\n");
    terminal_add_frame(&colours, TERMINAL_COLOUR, &frame, words);
    CHECK_HAS(text_string(&colours), "\x1b[48;2;200;0;200m ");
    CHECK_HAS(text_string(&colours), "\x1b[48;2;0;200;0m ");
}

TESTS(test_every_row_of_the_table_follows_from_the_status_files, test_each_light_is_shown_as_the_table_says,
      test_outlets_alarm_and_power_have_their_rows,
      test_a_live_meter_whose_rows_do_not_reach_the_card_is_not_good, test_facts_say_when_a_good_meter_turns,
      test_facts_name_the_silent_meters_by_their_place, test_facts_say_how_far_the_slowest_stick_has_caught_up,
      test_facts_know_a_halt,
      test_with_no_status_at_all_every_own_light_blinks_and_none_is_dark,
      test_red_and_failing_yellow_always_blink_and_nothing_else_does, test_blinking_is_one_second_lit_first,
      test_writing_is_never_dark_while_a_stick_is_written,
      test_the_colours_of_the_first_programs_code_can_be_had, test_the_last_frame_is_one_steady_red_pixel,
      test_a_terminal_shows_colours_or_letters)
