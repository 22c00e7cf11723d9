// SPDX-License-Identifier: MIT
// link: ms_leds

#include "tests/scene_bed.h"

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

static void search(struct film *film, double percent, double left_min)
{
    film->facts.searching = true;
    film->facts.search_percent = percent;
    film->facts.search_left_min = left_min;
}

static void test_a_search_shows_its_bar_and_the_minutes_left_now_and_then(void)
{
    auto_film struct film film;

    begin(&film);
    film.facts.meter_count = film.facts.meter_good_count = 0;
    film.facts.any_reading = false;
    search(&film, 40, 14);
    forget(&film);
    roll(&film, 9900, WHEN_TOLD);
    CHECK_STR(said(&film), "/");
    CHECK_STR(film.letters, "PC.WG...");
    roll(&film, 2000, WHEN_TOLD);
    CHECK_STR(film.letters, "WWWCCCCC");
    roll(&film, 20000, WHEN_TOLD);
    CHECK_STR(said(&film), "/%|B_E|/");
    search(&film, 99.9, 1);
    roll(&film, 55000, WHEN_TOLD);
    CHECK_STR(said(&film), "/%|B_E|/%|B|/");
    CHECK(film.status_ms > 2 * (film.bar_ms + film.spelled_ms));
    CHECK(film.longest_away_ms <= 13300);

    // It is over while it is shown: what is not true any more is not.
    for (unsigned i = 0; i < 60 && film.letters[0] != 'W'; i++) {
        roll(&film, 500, WHEN_TOLD);
    }
    CHECK_STR(film.letters, "WWWWWWWC");
    film.facts = all_well;
    roll(&film, 60000, WHEN_TOLD);
    CHECK_STR(said(&film), "/%|B_E|/%|B|/%/");
}

/* Neither may be taken for the other, and blue means one thing. */
static void test_a_search_makes_way_for_a_stick_and_a_failure(void)
{
    auto_film struct film film;

    begin(&film);
    search(&film, 0, 120);
    roll(&film, 12000, WHEN_TOLD);
    CHECK_STR(film.letters, "WCCCCCCC");
    forget(&film);
    write_stick(&film, 3000);
    CHECK_STR(said(&film), "/");
    roll(&film, 18000, WHEN_TOLD);
    CHECK_STR(said(&film), "/%|B_C_A|/");  // from its beginning

    roll(&film, 30000, WHEN_TOLD);
    CHECK_STR(film.letters, "WCCCCCCC");
    film.facts.clock_known = false;
    forget(&film);
    roll(&film, 9900, WHEN_TOLD);
    CHECK_STR(said(&film), "/");
    roll(&film, 20000, WHEN_TOLD);
    CHECK_STR(said(&film), "/%|B_C_A|/");
}

static void test_a_search_and_silent_meters_take_turns(void)
{
    auto_film struct film film;

    begin(&film);
    film.facts.meter_good_count = 1;
    film.facts.silent_count = 1;
    film.facts.silent_numbers[0] = 2;
    search(&film, 40, 7);
    forget(&film);
    roll(&film, 175000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|c|/%|H|/|c|/%|H|/|c|/");
    CHECK(film.status_ms > 2 * (film.bar_ms + film.spelled_ms));
}

static void test_an_address_goes_before_a_search(void)
{
    auto_film struct film film;

    begin_with(&film, "1.2", 2);
    search(&film, 40, 7);
    roll(&film, 90000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|1_._2|1_._2|/%|H|/");
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

/* A number that was interrupted waits for its turn as every one does. */
static void test_after_an_address_the_status_is_seen_first(void)
{
    auto_film struct film film;

    begin(&film);
    film.facts.meter_good_count = 1;
    film.facts.silent_count = 1;
    film.facts.silent_numbers[0] = 2;
    roll(&film, 13000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|c");
    write_stick(&film, 100);
    CHECK_EQ(scene_read_out(&film.scene, "1", 1), 0);
    roll(&film, 30000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|c/|1|/");
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

    switch (draw_number(random, 9)) {
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
    case 7:
        search(film, (double) draw_number(random, 100), (double) (1 + draw_number(random, 100)));
        facts->searching = draw_number(random, 3) > 0;
        break;
    default:
        scene_hold_pixel(&film->scene, draw_number(random, BLINKT_PIXELS), COLOUR_GREEN, film->now_ms + 3000);
        break;
    }
}

/* Two that see the same things happen: one looks each 50 ms, one only when told. */
static void test_who_looks_only_when_told_to_misses_nothing(void)
{
    uint64_t runs = test_share(2000);

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
    uint64_t runs = test_share(2000);

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

TESTS(test_a_silent_meters_number_is_spelled_in_red_now_and_then,
      test_with_79_dead_of_1000_the_status_is_mostly_seen_and_eight_are_told,
      test_no_number_is_spelled_if_none_is_read_or_all_are, test_an_address_goes_before_a_number,
      test_a_search_shows_its_bar_and_the_minutes_left_now_and_then,
      test_a_search_makes_way_for_a_stick_and_a_failure, test_a_search_and_silent_meters_take_turns,
      test_an_address_goes_before_a_search,
      test_after_an_address_the_status_is_seen_first,
      test_a_stick_that_catches_up_has_a_bar_by_turns_with_the_status,
      test_a_new_failure_cuts_the_bar_off_and_the_end_does, test_a_held_pixel_has_its_colour_until_then,
      test_a_hold_ends_when_its_pixel_has_something_to_say,
      test_brightness_0_is_dark_and_the_lights_are_told_all_the_same,
      test_the_first_programs_colours_are_those_of_the_status_and_the_bar,
      test_who_looks_only_when_told_to_misses_nothing, test_pixel_2_is_lit_while_a_stick_is_written)
