// SPDX-License-Identifier: MIT
// link: ms_leds

#include "tests/test.h"

#include "app/base/macros.h"
#include "app/base/text.h"
#include "leds/scene.h"
#include "leds/terminal.h"

#include <errno.h>

#define ALL_WELL  "PG.WG..."
#define WHEN_TOLD (UINT64_MAX / 2)  // as who looks again only when told to

/* A run of the scene: what a camera before the pixels would have seen, written down. */
struct film {
    struct scene scene;
    struct facts facts;
    uint64_t now_ms, next_ms;
    char letters[BLINKT_PIXELS + 1];     // of the last frame
    enum light lights[BLINKT_PIXELS];
    struct text said;
    char last;
    uint64_t dark_ms;                    // so far
    uint64_t status_ms, bar_ms, spelled_ms;
    uint64_t away_ms, longest_away_ms;   // without the status
};

static void film_clear(struct film *film)
{
    text_clear(&film->said);
}

#define auto_film CLEANUP(film_clear)

/* Two meters, one stick, a clock: nothing blinks. */
static const struct facts all_well = {
    .acquire_alive = true, .meter_count = 2, .meter_good_count = 2, .journal_ok = true, .clock_known = true,
    .stick_alive = true, .stick_count = 1, .stick_percent = NAN, .turns_boot_ms = UINT64_MAX,
};

static const char *const symbols[] = { "...BB...", "B.......", "BB......", "BBB.....", "BBBB....", "BBBBB...",
                                       "BBBBBB..", "BBBBBBB.", "BBBBBBBB", "BBB..BBB", "W......W" };

/* '0' to '9', '.', their red ones as 'a' to 'j', '_' dark, '#' the bar, '/' what has the status's colours. */
static char read_letters(const char *letters)
{
    char blue[BLINKT_PIXELS + 1];

    if (strcmp(letters, "........") == 0) {
        return '_';
    }
    for (unsigned i = 0; i <= BLINKT_PIXELS; i++) {
        blue[i] = letters[i] == 'R' ? 'B' : letters[i];
    }
    for (unsigned i = 0; i < ARRAY_SIZE(symbols); i++) {
        if (strcmp(letters, symbols[i]) == 0) {
            return i == 10 ? '.' : (char) ('0' + i);
        }
        if (!strchr(letters, 'B') && strcmp(blue, symbols[i]) == 0) {
            return (char) ('a' + i);
        }
    }
    return letters[0] == 'W' ? '#' : '/';
}

/* Ask for the frame of now, and read it. */
static char look(struct film *film)
{
    struct frame frame;

    scene_frame(&film->scene, &film->facts, film->now_ms, 3, false, &frame, film->lights, &film->next_ms);
    CHECK_EQ(frame.brightness, 3);
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        film->letters[i] = terminal_letter(&frame.pixels[i]);
    }
    CHECK(film->next_ms > film->now_ms);
    return read_letters(film->letters);
}

/*
 * "192" as it is read, "_" for a short dark between symbols and "|" for a long one, "/" for the status, "#" for the
 * bar; the digits of silent meters are 'a' (0) to 'j'.
 */
static void note(struct film *film, char c, uint64_t ms)
{
    if (c == '_') {
        film->dark_ms += ms;
        return;
    }
    if (film->dark_ms > 0 && film->dark_ms < 1000 && film->last != '/') {
        text_add_char(&film->said, '_');
    } else if (film->dark_ms >= 1000) {
        text_add_char(&film->said, '|');
    }
    if (c != film->last || film->dark_ms >= 1000 || (film->dark_ms > 0 && c != '/')) {
        text_add_char(&film->said, c);
    }
    film->last = c;
    film->dark_ms = 0;
}

static void spend(struct film *film, char c, uint64_t ms)
{
    *(c == '/' ? &film->status_ms : c == '#' ? &film->bar_ms : &film->spelled_ms) += ms;
    film->away_ms = c == '/' ? 0 : film->away_ms + ms;
    film->longest_away_ms = MAX(film->longest_away_ms, film->away_ms);
}

/* Let time pass. */
static void roll(struct film *film, uint64_t ms, uint64_t step_ms)
{
    uint64_t end_ms = film->now_ms + ms;

    while (film->now_ms < end_ms) {
        char c = look(film);
        uint64_t then_ms = MIN(MIN(film->next_ms, end_ms), film->now_ms + step_ms);

        note(film, c, then_ms - film->now_ms);
        spend(film, c, then_ms - film->now_ms);
        film->now_ms = then_ms;
    }
    (void) look(film);
}

static const char *said(struct film *film)
{
    return text_string(&film->said);
}

static void begin_with(struct film *film, const char *address, unsigned first_times)
{
    *film = (struct film){ .facts = all_well, .now_ms = 7000 };
    CHECK_EQ(scene_set_address(&film->scene, address, first_times), 0);
}

/* Nothing more to tell at the start. */
static void begin(struct film *film)
{
    begin_with(film, "10.0.0.7", 0);
    roll(film, 10000, WHEN_TOLD);
}

static void forget(struct film *film)
{
    text_reset(&film->said);
    film->last = '\0';
    film->status_ms = film->bar_ms = film->spelled_ms = film->longest_away_ms = 0;
}

static void write_stick(struct film *film, uint64_t ms)
{
    film->facts.stick_writing = true;
    roll(film, ms, WHEN_TOLD);
    film->facts.stick_writing = false;
    (void) look(film);
}

/* ES-01, ES-04 */
static void test_the_address_is_read_out_twice_at_the_start_after_10_s_of_status(void)
{
    auto_film struct film film;

    begin_with(&film, "10.0.0.7", 2);
    roll(&film, 9999, WHEN_TOLD);
    CHECK_STR(said(&film), "/");
    CHECK_STR(film.letters, ALL_WELL);
    roll(&film, 200000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|1_0_._0_._0_._7|1_0_._0_._0_._7|/");
    CHECK_EQ(film.longest_away_ms, 2 * spell_length_ms("10.0.0.7") - SPELL_EDGE_MS);
    CHECK_STR(film.letters, ALL_WELL);
    CHECK_EQ(film.next_ms, UINT64_MAX);
}

static void test_without_times_nothing_is_read_out_at_the_start(void)
{
    auto_film struct film film;

    begin(&film);
    roll(&film, 600000, WHEN_TOLD);
    CHECK_STR(said(&film), "/");
}

static void test_what_is_no_address_is_refused(void)
{
    struct scene scene = {};

    CHECK_EQ(scene_set_address(&scene, "fe80::1", 2), -EINVAL);
    CHECK_EQ(scene_read_out(&scene, "", 2), -EINVAL);
    CHECK_EQ(scene_read_out(&scene, "1234567890123456", 1), -EINVAL);
    CHECK_STR(scene.address, "");
    CHECK_EQ(scene.read_out.left, 0);
}

/* The first one came before the network did: "127.0.0.1" is not what anybody wants to know. */
static void test_another_address_takes_the_place_of_one_that_waits_or_is_read_out(void)
{
    auto_film struct film film;

    begin_with(&film, "127.0.0.1", 2);
    roll(&film, 5000, WHEN_TOLD);
    CHECK_EQ(scene_set_address(&film.scene, "10.0.0.7", 2), 0);
    roll(&film, 9000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|1");
    CHECK_EQ(scene_set_address(&film.scene, "9.4", 2), 0);
    roll(&film, 100000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|1|9_._4|9_._4|/");
}

static void test_an_address_that_changed_is_read_out_once_and_not_too_often(void)
{
    auto_film struct film film;

    begin(&film);
    forget(&film);
    CHECK_EQ(scene_set_address(&film.scene, "1.2", 2), 0);
    roll(&film, 30000, WHEN_TOLD);
    CHECK_STR(said(&film), "|1_._2|/");
    CHECK_EQ(scene_set_address(&film.scene, "3.4", 2), 0);
    roll(&film, 35000, WHEN_TOLD);
    CHECK_STR(said(&film), "|1_._2|/");
    roll(&film, 60000, WHEN_TOLD);
    CHECK_STR(said(&film), "|1_._2|/|3_._4|/");

    // Gone and back within that time: nothing to tell.
    CHECK_EQ(scene_set_address(&film.scene, "127.0.0.1", 2), 0);
    roll(&film, 5000, WHEN_TOLD);
    CHECK_EQ(scene_set_address(&film.scene, "3.4", 2), 0);
    roll(&film, 300000, WHEN_TOLD);
    CHECK_STR(said(&film), "|1_._2|/|3_._4|/");
}

static void test_the_first_real_address_is_read_out_as_often_as_the_first(void)
{
    auto_film struct film film;

    begin_with(&film, "127.0.0.1", 2);
    roll(&film, 100000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|1_2_7_._0_._0_._1|1_2_7_._0_._0_._1|/");
    forget(&film);
    CHECK_EQ(scene_set_address(&film.scene, "1.2", 2), 0);
    roll(&film, 100000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|1_._2|1_._2|/");
}

static void test_who_asks_sees_it_at_once_and_may_ask_for_any(void)
{
    auto_film struct film film;

    begin(&film);
    forget(&film);
    CHECK_EQ(scene_read_out(&film.scene, "1.2", 1), 0);
    roll(&film, 60000, WHEN_TOLD);
    CHECK_EQ(scene_read_out(&film.scene, "3.4", 2), 0);
    roll(&film, 3000, WHEN_TOLD);
    CHECK_EQ(scene_read_out(&film.scene, "3.4", 1), 0);  // again: once more after this one
    roll(&film, 60000, WHEN_TOLD);
    CHECK_STR(said(&film), "|1_._2|/|3_._4|3_._4|/");
    CHECK_EQ(scene_read_out(&film.scene, "5.6", 1), 0);
    roll(&film, 4000, WHEN_TOLD);
    CHECK_EQ(scene_read_out(&film.scene, "7.8", 1), 0);
    roll(&film, 60000, WHEN_TOLD);
    CHECK_STR(said(&film), "|1_._2|/|3_._4|3_._4|/|5|7_._8|/");
}

static void test_after_a_halt_the_address_is_read_out_once(void)
{
    auto_film struct film film;

    begin(&film);
    forget(&film);
    film.facts.acquire_alive = false;
    film.facts.halted = true;
    roll(&film, 9000, WHEN_TOLD);
    CHECK_STR(said(&film), "/");  // the failure first
    roll(&film, 100000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|1_0_._0_._0_._7|/");

    // Again within 5 min: not again. Later, but over before its turn has come: neither.
    film.facts.halted = false;
    (void) look(&film);
    film.facts.halted = true;
    roll(&film, 250000, WHEN_TOLD);
    film.facts = all_well;
    roll(&film, 100000, WHEN_TOLD);
    film.facts.halted = true;
    film.facts.acquire_alive = false;
    roll(&film, 8000, WHEN_TOLD);
    film.facts = all_well;
    roll(&film, 100000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|1_0_._0_._0_._7|/");
}

/* Before the first look nothing was running that could have halted. */
static void test_an_acquire_that_does_not_live_yet_is_no_halt(void)
{
    auto_film struct film film;

    *(&film) = (struct film){ .facts = { .halted = true, .stick_percent = NAN } };
    CHECK_EQ(scene_set_address(&film.scene, "1.2", 0), 0);
    roll(&film, 20000, WHEN_TOLD);
    film.facts = all_well;
    roll(&film, 100000, WHEN_TOLD);
    CHECK_STR(said(&film), "/");
}

static void test_a_burst_is_seen_at_once_and_the_address_begins_again_after_it(void)
{
    auto_film struct film film;

    begin_with(&film, "12.7", 1);
    roll(&film, 15000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|1_2");
    film.facts.stick_writing = true;
    (void) look(&film);
    CHECK_STR(film.letters, "PGBWG...");
    roll(&film, 90000, WHEN_TOLD);  // and for as long as it takes
    CHECK_STR(film.letters, "PGBWG...");
    film.facts.stick_writing = false;
    (void) look(&film);
    CHECK_STR(film.letters, ALL_WELL);
    roll(&film, 60000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|1_2/|1_2_._7|/");
}

/* burst = 5 s, and each takes 1 s */
static void test_bursts_of_every_5_s_do_not_keep_an_address_from_its_end(void)
{
    auto_film struct film film;

    begin_with(&film, "12.7", 1);
    for (unsigned i = 0; i < 40; i++) {
        roll(&film, 4000, WHEN_TOLD);
        write_stick(&film, 1000);
    }
    CHECK_EQ(film.scene.read_out.left, 0);
    CHECK_STR(film.scene.told, "12.7");
    CHECK_HAS(said(&film), "7");
}

static void test_a_new_failure_cuts_an_address_off_and_it_comes_later(void)
{
    auto_film struct film film;

    begin_with(&film, "12.7", 2);
    roll(&film, 15000, WHEN_TOLD);
    film.facts.meter_good_count = 1;
    film.now_ms = 22000;
    (void) look(&film);
    CHECK_STR(film.letters, "PY.WG...");
    roll(&film, 9999, WHEN_TOLD);
    CHECK_STR(said(&film), "/|1_2/");
    roll(&film, 60000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|1_2/|1_2_._7|1_2_._7|/");
}

/* From yellow to red is news, from red to yellow is good news, and a failure that was there before is none. */
static void test_only_what_is_worse_is_a_new_failure(void)
{
    static const struct { unsigned before, after; const char *said; } cases[] = {
        { 2, 1, "/|1/" }, { 1, 0, "/|1/" }, { 0, 1, "/|1_2" }, { 1, 2, "/|1_2" }, { 1, 1, "/|1_2" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_film struct film film;

        begin_with(&film, "12.7", 2);
        film.facts.meter_good_count = cases[i].before;
        roll(&film, 13000, WHEN_TOLD);
        film.facts.meter_good_count = cases[i].after;
        roll(&film, 3000, WHEN_TOLD);
        CHECK_STR(said(&film), cases[i].said);
    }
}

/* A meter with a loose wire: it falls silent every 50 s. */
static void test_a_meter_that_comes_and_goes_does_not_keep_an_address_from_its_end(void)
{
    auto_film struct film film;

    begin_with(&film, "192.168.178.123", 2);
    for (unsigned i = 0; i < 4; i++) {
        film.facts.meter_good_count = 1;
        roll(&film, 20000, WHEN_TOLD);
        film.facts.meter_good_count = 2;
        roll(&film, 30000, WHEN_TOLD);
    }
    CHECK_EQ(film.scene.read_out.left, 0);
    CHECK_HAS(said(&film), "|1_9_2_._1_6_8_._1_7_8_._1_2_3|1_9_2_._1_6_8_._1_7_8_._1_2_3|/");
}

static void test_a_silent_meters_number_is_spelled_in_red_now_and_then(void)
{
    auto_film struct film film;

    begin(&film);
    film.facts.meter_count = 79;
    film.facts.meter_good_count = 76;
    film.facts.silent_count = 3;
    memcpy(film.facts.silent_numbers, (const unsigned[]){ 5, 42, 70 }, 3 * sizeof(unsigned));
    forget(&film);
    roll(&film, 9900, WHEN_TOLD);
    CHECK_STR(said(&film), "/");
    roll(&film, 120000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|f|/|e_c|/|h_a|/|f|/");
    CHECK(film.status_ms > 3 * film.spelled_ms);

    // It is back while it is spelled: what is not true any more is not shown.
    roll(&film, 22000, WHEN_TOLD);
    CHECK_HAS(said(&film), "|f|/|e");
    film.facts.silent_numbers[1] = 70;
    film.facts.silent_count = 2;
    film.facts.meter_good_count = 77;
    (void) look(&film);
    CHECK_EQ(film.letters[0], 'P');
}

static void test_with_79_dead_of_1000_the_status_is_mostly_seen_and_eight_are_told(void)
{
    auto_film struct film film;

    begin(&film);
    film.facts.meter_count = 1000;
    film.facts.meter_good_count = 921;
    film.facts.silent_count = FACTS_SILENT_MAX;
    for (unsigned i = 0; i < FACTS_SILENT_MAX; i++) {
        film.facts.silent_numbers[i] = 1000 - FACTS_SILENT_MAX + i;  // as long as numbers can be
    }
    forget(&film);
    roll(&film, 8 * 43000, WHEN_TOLD);
    CHECK_HAS(said(&film), "|j_j_c|/|j_j_d|/|j_j_e|/|j_j_f|/|j_j_g|/|j_j_h|/|j_j_i|/|j_j_j|/");
    CHECK(film.status_ms > 2 * film.spelled_ms);
    CHECK(film.longest_away_ms <= 13000);
}

/* If no meter gives readings, the fault is not with one of them. */
static void test_no_number_is_spelled_if_none_is_read_or_all_are(void)
{
    auto_film struct film film;

    begin(&film);
    film.facts.meter_good_count = 0;
    film.facts.silent_count = 2;
    memcpy(film.facts.silent_numbers, (const unsigned[]){ 1, 2 }, 2 * sizeof(unsigned));
    roll(&film, 300000, WHEN_TOLD);
    CHECK_STR(said(&film), "/");
    film.facts = all_well;
    roll(&film, 300000, WHEN_TOLD);
    CHECK_STR(said(&film), "/");
}

static void test_an_address_goes_before_a_number(void)
{
    auto_film struct film film;

    begin_with(&film, "1.2", 2);
    film.facts.meter_good_count = 1;
    film.facts.silent_count = 1;
    film.facts.silent_numbers[0] = 2;
    roll(&film, 120000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|1_._2|1_._2|/|c|/|c|/");
}

/* Blank: from 0 to 99 %, and never a dark pixel 2, and never all white. */
static void test_a_stick_that_catches_up_has_a_bar_by_turns_with_the_status(void)
{
    static const struct { double percent; const char *bar; } cases[] = {
        { 0, "WBBBBBBB" }, { 14, "WBBBBBBB" }, { 15, "WWBBBBBB" }, { 50, "WWWWBBBB" }, { 86, "WWWWWWWB" },
        { 99, "WWWWWWWB" }, { 100, "WWWWWWWB" }, { -5, "WBBBBBBB" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_film struct film film;

        begin(&film);
        forget(&film);
        film.facts.stick_writing = film.facts.stick_behind = true;
        film.facts.stick_percent = cases[i].percent;
        roll(&film, 4999, WHEN_TOLD);
        CHECK_STR(film.letters, "PGBCG...");
        roll(&film, 5000, WHEN_TOLD);
        CHECK_STR(film.letters, cases[i].bar);
        roll(&film, 90001, WHEN_TOLD);
        CHECK_EQ(film.bar_ms, 50000);
        CHECK_EQ(film.status_ms, 50000);
    }
}

static void test_a_new_failure_cuts_the_bar_off_and_the_end_does(void)
{
    auto_film struct film film;

    begin(&film);
    film.facts.stick_writing = film.facts.stick_behind = true;
    film.facts.stick_percent = 50;
    roll(&film, 6000, WHEN_TOLD);
    CHECK_STR(film.letters, "WWWWBBBB");
    film.facts.clock_known = false;
    forget(&film);
    roll(&film, 9500, WHEN_TOLD);
    CHECK_STR(said(&film), "/");
    CHECK_EQ(film.letters[PIXEL_WRITING], 'B');
    roll(&film, 1000, WHEN_TOLD);
    CHECK_STR(film.letters, "WWWWBBBB");
    film.facts.stick_writing = film.facts.stick_behind = false;
    film.facts.stick_percent = NAN;
    (void) look(&film);
    CHECK_EQ(film.letters[PIXEL_WRITING], '.');
}

/* ES-07 */
static void test_a_held_pixel_has_its_colour_until_then(void)
{
    auto_film struct film film;

    begin(&film);
    scene_hold_pixel(&film.scene, 7, COLOUR_CYAN, film.now_ms + 5000);
    scene_hold_pixel(&film.scene, 0, COLOUR_DARK, film.now_ms + 7000);
    (void) look(&film);
    CHECK_STR(film.letters, ".G.WG..C");
    CHECK_EQ(film.next_ms, film.now_ms + 5000);
    roll(&film, 5000, WHEN_TOLD);
    CHECK_STR(film.letters, ".G.WG...");
    scene_hold_pixel(&film.scene, 0, COLOUR_DARK, 0);
    (void) look(&film);
    CHECK_STR(film.letters, ALL_WELL);

    CHECK_EQ(scene_read_out(&film.scene, "3", 1), 0);
    scene_hold_pixel(&film.scene, 7, COLOUR_RED, film.now_ms + 60000);
    roll(&film, 3000, WHEN_TOLD);
    CHECK_STR(film.letters, "BBB....R");
}

/* A hold is no lie about what changed since. */
static void test_a_hold_ends_when_its_pixel_has_something_to_say(void)
{
    auto_film struct film film;

    begin(&film);
    scene_hold_pixel(&film.scene, 1, COLOUR_WHITE, film.now_ms + 60000);
    scene_hold_pixel(&film.scene, 2, COLOUR_DARK, film.now_ms + 60000);
    (void) look(&film);
    CHECK_STR(film.letters, "PW.WG...");
    film.facts.meter_good_count = 1;
    film.facts.stick_writing = true;
    (void) look(&film);
    CHECK_STR(film.letters, "PYBWG...");
    scene_hold_pixel(&film.scene, 2, COLOUR_DARK, film.now_ms + 60000);
    (void) look(&film);
    CHECK_STR(film.letters, "PYBWG...");
}

static void test_brightness_0_is_dark_and_the_lights_are_told_all_the_same(void)
{
    auto_film struct film film;
    struct frame frame;
    uint8_t bits[BLINKT_SIZE];

    begin(&film);
    scene_frame(&film.scene, &film.facts, film.now_ms, 0, false, &frame, film.lights, &film.next_ms);
    blinkt_bits(&frame, bits);
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        CHECK_EQ(bits[4 + i * 4], 0xE0);
    }
    CHECK_EQ(film.lights[0], LIGHT_PROGRAM_RUNNING);
}

/* ES-11. Digits are blue in both. */
static void test_the_first_programs_colours_are_those_of_the_status_and_the_bar(void)
{
    struct scene scene = {};
    struct facts facts = all_well;
    struct frame frame;
    enum light lights[BLINKT_PIXELS];
    uint64_t next_ms;

    facts.stick_writing = true;
    facts.stick_percent = 50;
    scene_frame(&scene, &facts, 1000, 3, true, &frame, lights, &next_ms);
    CHECK_EQ(terminal_letter(&frame.pixels[PIXEL_ACQUISITION]), 'B');
    CHECK_EQ(terminal_letter(&frame.pixels[PIXEL_WRITING]), 'G');
    scene_frame(&scene, &facts, 17000, 3, true, &frame, lights, &next_ms);
    CHECK_EQ(terminal_letter(&frame.pixels[0]), 'W');
    CHECK_EQ(terminal_letter(&frame.pixels[7]), 'G');
    facts.stick_writing = false;
    CHECK_EQ(scene_read_out(&scene, "3", 1), 0);
    scene_frame(&scene, &facts, 17001, 3, true, &frame, lights, &next_ms);
    scene_frame(&scene, &facts, 18001, 3, true, &frame, lights, &next_ms);
    scene_frame(&scene, &facts, 20001, 3, true, &frame, lights, &next_ms);
    CHECK_EQ(terminal_letter(&frame.pixels[0]), 'B');
}

static unsigned draw_number(uint64_t *state, unsigned below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned) (*state >> 33) % below;
}

/* One of the things that can happen. */
static void happen(struct film *film, uint64_t *random)
{
    struct facts *facts = &film->facts;

    switch (draw_number(random, 8)) {
    case 0:
        facts->stick_writing = !facts->stick_writing;
        facts->stick_percent = draw_number(random, 2) ? draw_number(random, 100) : NAN;
        break;
    case 1:
        facts->meter_good_count = draw_number(random, 3);
        facts->silent_count = 2 - facts->meter_good_count;
        memcpy(facts->silent_numbers, (const unsigned[]){ 1, 2 }, 2 * sizeof(unsigned));
        break;
    case 2:
        facts->acquire_alive = !facts->acquire_alive;
        facts->halted = !facts->acquire_alive;
        break;
    case 3:
        facts->clock_known = !facts->clock_known;
        break;
    case 4:
        facts->stick_refused = !facts->stick_refused;
        break;
    case 5:
        CHECK_EQ(scene_set_address(&film->scene, draw_number(random, 2) ? "127.0.0.1" : "192.168.1.20", 2), 0);
        break;
    case 6:
        CHECK_EQ(scene_read_out(&film->scene, "10.99.0.1", 1 + draw_number(random, 2)), 0);
        break;
    default:
        scene_hold_pixel(&film->scene, draw_number(random, BLINKT_PIXELS), COLOUR_GREEN, film->now_ms + 3000);
        break;
    }
}

/* Two that see the same things happen: one looks each 50 ms, one only when told. */
static void test_who_looks_only_when_told_to_misses_nothing(void)
{
    uint64_t runs = test_share(4000);

    for (uint64_t run = 0; run < runs; run++) {
        auto_film struct film often = { .facts = all_well }, told = { .facts = all_well };
        uint64_t random = run, again;

        for (unsigned i = 0; i < 30; i++) {
            uint64_t ms = 50 * (1 + draw_number(&random, draw_number(&random, 3) ? 100 : 1600));

            again = random;
            happen(&often, &random);
            happen(&told, &again);
            roll(&often, ms, 50);
            roll(&told, ms, WHEN_TOLD);
            if (strcmp(often.letters, told.letters) != 0) {
                fail_msg("run %llu, at %llu ms: %s, not %s", (unsigned long long) run,
                         (unsigned long long) told.now_ms, told.letters, often.letters);
            }
        }
        CHECK_EQ(often.status_ms, told.status_ms);
        CHECK_STR(said(&told), said(&often));
    }
}

/* Dark is safe to pull: whatever else goes on, pixel 2 is lit while a stick is being written; nothing is spelled. */
static void test_pixel_2_is_lit_while_a_stick_is_written(void)
{
    uint64_t runs = test_share(4000);

    for (uint64_t run = 0; run < runs; run++) {
        auto_film struct film film = { .facts = all_well };
        uint64_t random = run;

        for (unsigned i = 0; i < 60; i++) {
            uint64_t end_ms = film.now_ms + 50 * (1 + draw_number(&random, 400));

            happen(&film, &random);
            while (film.now_ms < end_ms) {
                roll(&film, 50, 50);
                CHECK(!film.facts.stick_writing || film.letters[PIXEL_WRITING] != '.');
                CHECK(!film.facts.stick_writing || film.scene.play == SCENE_PLAY_NOTHING);
            }
        }
    }
}

TESTS(test_the_address_is_read_out_twice_at_the_start_after_10_s_of_status,
      test_without_times_nothing_is_read_out_at_the_start, test_what_is_no_address_is_refused,
      test_another_address_takes_the_place_of_one_that_waits_or_is_read_out,
      test_an_address_that_changed_is_read_out_once_and_not_too_often,
      test_the_first_real_address_is_read_out_as_often_as_the_first,
      test_who_asks_sees_it_at_once_and_may_ask_for_any, test_after_a_halt_the_address_is_read_out_once,
      test_an_acquire_that_does_not_live_yet_is_no_halt,
      test_a_burst_is_seen_at_once_and_the_address_begins_again_after_it,
      test_bursts_of_every_5_s_do_not_keep_an_address_from_its_end,
      test_a_new_failure_cuts_an_address_off_and_it_comes_later, test_only_what_is_worse_is_a_new_failure,
      test_a_meter_that_comes_and_goes_does_not_keep_an_address_from_its_end,
      test_a_silent_meters_number_is_spelled_in_red_now_and_then,
      test_with_79_dead_of_1000_the_status_is_mostly_seen_and_eight_are_told,
      test_no_number_is_spelled_if_none_is_read_or_all_are, test_an_address_goes_before_a_number,
      test_a_stick_that_catches_up_has_a_bar_by_turns_with_the_status,
      test_a_new_failure_cuts_the_bar_off_and_the_end_does, test_a_held_pixel_has_its_colour_until_then,
      test_a_hold_ends_when_its_pixel_has_something_to_say,
      test_brightness_0_is_dark_and_the_lights_are_told_all_the_same,
      test_the_first_programs_colours_are_those_of_the_status_and_the_bar,
      test_who_looks_only_when_told_to_misses_nothing, test_pixel_2_is_lit_while_a_stick_is_written)
