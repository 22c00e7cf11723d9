// SPDX-License-Identifier: MIT
// link: ms_leds

#include "tests/scene_bed.h"

#include <errno.h>

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

/* Twice from the beginning, each time that it is read out. */
static void test_each_read_out_begins_again_twice(void)
{
    auto_film struct film film;

    begin_with(&film, "1.2", 2);
    roll(&film, 8000, WHEN_TOLD);
    for (unsigned i = 0; i < 3; i++) {
        roll(&film, 5000, WHEN_TOLD);
        write_stick(&film, 100);
    }
    roll(&film, 12000, WHEN_TOLD);  // into the second one
    CHECK_STR(said(&film), "/|1/|1/|1/._2|1_.");
    write_stick(&film, 100);
    roll(&film, 60000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|1/|1/|1/._2|1_./|1_._2|/");
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

/* An acquire that dies again and again is seen each time. */
static void test_light_0_always_cuts_off(void)
{
    auto_film struct film film;

    begin_with(&film, "1.2", 1);
    for (unsigned i = 0; i < 3; i++) {
        roll(&film, 13000, WHEN_TOLD);
        film.facts.acquire_alive = false;
        (void) look(&film);
        CHECK_EQ(film.letters[0], 'R');
        film.facts.acquire_alive = true;
    }
    roll(&film, 30000, WHEN_TOLD);
    CHECK_STR(said(&film), "/|1/|1/|1/|1_._2|/");
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

TESTS(test_the_address_is_read_out_twice_at_the_start_after_10_s_of_status,
      test_without_times_nothing_is_read_out_at_the_start, test_what_is_no_address_is_refused,
      test_another_address_takes_the_place_of_one_that_waits_or_is_read_out,
      test_an_address_that_changed_is_read_out_once_and_not_too_often,
      test_the_first_real_address_is_read_out_as_often_as_the_first,
      test_who_asks_sees_it_at_once_and_may_ask_for_any, test_after_a_halt_the_address_is_read_out_once,
      test_an_acquire_that_does_not_live_yet_is_no_halt,
      test_a_burst_is_seen_at_once_and_the_address_begins_again_after_it,
      test_bursts_of_every_5_s_do_not_keep_an_address_from_its_end,
      test_each_read_out_begins_again_twice, test_light_0_always_cuts_off,
      test_a_new_failure_cuts_an_address_off_and_it_comes_later, test_only_what_is_worse_is_a_new_failure,
      test_a_meter_that_comes_and_goes_does_not_keep_an_address_from_its_end)
