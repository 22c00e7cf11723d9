/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/health.h"
#include "app/acquire/schedule.h"

#include <errno.h>
#include <stdlib.h>

#define S 1000000ull

static void test_a_meter_is_lost_after_three_misses_and_back_with_a_row(void)
{
    struct health health = { .state = HEALTH_NEW };

    CHECK_EQ(health_result(&health, 0, 1), 0);
    CHECK_EQ(health.state, HEALTH_LIVE);
    CHECK_EQ(health_result(&health, -ETIMEDOUT, 2), HEALTH_MISSED);
    CHECK_EQ(health.state, HEALTH_LIVE);
    CHECK(health_wants_probe(&health));
    CHECK_EQ(health_result(&health, -EBADMSG, 3), 0);
    CHECK(!health_wants_probe(&health));  // it is there: a poll asks again what came damaged
    CHECK_EQ(health_result(&health, -ETIMEDOUT, 4), HEALTH_LOST);
    CHECK_EQ(health.state, HEALTH_SILENT);
    CHECK(health_wants_probe(&health));
    CHECK_EQ(health.missing_us, 2);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(health_result(&health, -ETIMEDOUT, 5), 0);  // no repetition
    }
    CHECK_EQ(health_result(&health, 0, 6), HEALTH_BACK);
    CHECK_EQ(health.state, HEALTH_LIVE);
    CHECK_EQ(health_result(&health, 0, 7), 0);
}

static void test_a_single_miss_is_told_and_is_no_loss(void)
{
    struct health health = { .state = HEALTH_NEW };

    CHECK_EQ(health_result(&health, 0, 1), 0);
    CHECK_EQ(health_result(&health, -ETIMEDOUT, 2), HEALTH_MISSED);
    CHECK_EQ(health_result(&health, 0, 3), HEALTH_BACK);
    CHECK_EQ(health_result(&health, -ETIMEDOUT, 4), HEALTH_MISSED);  // counted anew
    CHECK_EQ(health_result(&health, -ETIMEDOUT, 5), 0);
    CHECK_EQ(health.state, HEALTH_LIVE);
}

static void test_one_that_never_answered_is_silent_at_once(void)
{
    struct health health = { .state = HEALTH_NEW };

    CHECK(health_wants_probe(&health));
    CHECK_EQ(health_result(&health, -ETIMEDOUT, 1), HEALTH_MISSED | HEALTH_LOST);
    CHECK_EQ(health.state, HEALTH_SILENT);
}

static void test_one_that_refuses_everything_keeps_its_slices(void)
{
    struct health health = { .state = HEALTH_NEW };

    CHECK_EQ(health_result(&health, -EOPNOTSUPP, 1), HEALTH_MISSED | HEALTH_LOST);
    CHECK_EQ(health.state, HEALTH_REFUSED);
    CHECK(!health_wants_probe(&health));
    CHECK_EQ(health_result(&health, -ETIMEDOUT, 2), 0);
    CHECK_EQ(health.state, HEALTH_SILENT);
}

static void test_a_probe_of_an_unknown_meter_waits_as_long_as_the_slowest_of_its_bus(void)
{
    static const struct {
        unsigned probes;
        uint32_t bus_us, expect_us;
    } cases[] = {
        { 1, 0, 500000 },       // nothing measured yet: the model's
        { 1, 20000, 100000 },   // at least 100 ms
        { 1, 230000, 230000 },
        { 9, 800000, 500000 },  // at most the model's
        { 10, 20000, 500000 },  // each tenth
        { 11, 20000, 100000 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct health health = { .state = HEALTH_SILENT, .probes = cases[i].probes };

        CHECK_EQ(health_probe_timeout_us(&health, 40000, cases[i].bus_us, 500000), cases[i].expect_us);
        health.answered = true;
        CHECK_EQ(health_probe_timeout_us(&health, 40000, cases[i].bus_us, 500000), 40000);
    }
}

/* A slow meter among fast ones must not wait for the tenth probe after the start. */
static void test_the_second_probe_is_a_patient_one(void)
{
    struct health health = { .state = HEALTH_NEW };

    CHECK_EQ(health_probe_timeout_us(&health, 0, 20000, 500000), 100000);
    (void) health_result(&health, -ETIMEDOUT, 1);
    CHECK_EQ(health_probe_timeout_us(&health, 0, 20000, 500000), 500000);
    (void) health_result(&health, -ETIMEDOUT, 1);
    CHECK_EQ(health_probe_timeout_us(&health, 0, 20000, 500000), 100000);
}

static void test_without_a_live_meter_probes_come_each_interval(void)
{
    struct health health = { .state = HEALTH_SILENT, .probes = 50 };

    CHECK_EQ(health_probe_delay_us(&health, 10 * S, 79, 120000, false), 10 * S);
    CHECK(health_probe_delay_us(&health, 600 * S, 79, 120000, false) <= 60 * S);
}

/*
 * A bus of live and dead meters, on paper: what share of the time goes into probes, and how long a dead one is not
 * asked at most?
 */
static void simulate(unsigned live, unsigned dead, uint64_t interval_us, double *ret_share, double *ret_longest_s)
{
    const uint64_t end_us = 3600 * S;
    unsigned count = live + dead;
    struct health *healths = calloc(count, sizeof(*healths));
    uint64_t *asked_us = calloc(count, sizeof(*asked_us));
    uint64_t now_us = 0, probing_us = 0, longest_us = 0;
    struct schedule schedule;

    CHECK_EQ(schedule_init(&schedule, 0, count), 0);
    for (unsigned i = 0; i < count; i++) {
        schedule_set_interval(&schedule, i, interval_us);
    }
    while (now_us < end_us) {
        uint64_t until_us = 0;
        int index = schedule_next(&schedule, now_us, &until_us);

        if (index < 0) {
            now_us = until_us;
            continue;
        }
        if ((unsigned) index < live) {
            (void) schedule_take(&schedule, (unsigned) index, now_us);
            now_us += 50000;
            continue;
        }

        struct health *health = &healths[index];
        uint32_t timeout_us = health_probe_timeout_us(health, 0, 20000, 500000);
        uint32_t cost_us = health_probe_cost_us(health, 0, 20000, 500000);

        if (now_us > 120 * S) {  // after the first round, which asks all
            longest_us = MAX(longest_us, now_us - asked_us[index]);
        }
        asked_us[index] = now_us;
        now_us += timeout_us;
        probing_us += timeout_us;
        (void) health_result(health, -ETIMEDOUT, now_us);
        schedule_probe(&schedule, (unsigned) index,
                       now_us + health_probe_delay_us(health, interval_us, dead, cost_us, live > 0));
    }
    schedule_clear(&schedule);
    free(healths);
    free(asked_us);
    *ret_share = (double) probing_us / (double) end_us;
    *ret_longest_s = (double) longest_us / 1e6;
}

static void test_dead_meters_take_a_twentieth_of_the_bus_and_are_found_in_time(void)
{
    static const struct { unsigned live, dead; uint64_t interval_us; double longest_s; } cases[] = {
        { 1, 1, 10 * S, 60 },
        { 1, 1, 1 * S, 60 },
        { 3, 5, 10 * S, 60 },
        { 1, 17, 10 * S, 60 },     // 17 x 0.16 s is under 3 s
        { 39, 40, 10 * S, 150 },   // 40 x 0.16 s / 5 % = 128 s, and 20 s where all take their patient probe
        { 1, 78, 10 * S, 290 },
        { 1, 1, 600 * S, 60 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double share = 1, longest_s = 1e9;

        simulate(cases[i].live, cases[i].dead, cases[i].interval_us, &share, &longest_s);
        CHECK(share <= 0.05);
        CHECK(longest_s <= cases[i].longest_s);
    }
}

TESTS(test_a_meter_is_lost_after_three_misses_and_back_with_a_row, test_a_single_miss_is_told_and_is_no_loss,
      test_one_that_never_answered_is_silent_at_once, test_one_that_refuses_everything_keeps_its_slices,
      test_a_probe_of_an_unknown_meter_waits_as_long_as_the_slowest_of_its_bus,
      test_the_second_probe_is_a_patient_one, test_without_a_live_meter_probes_come_each_interval,
      test_dead_meters_take_a_twentieth_of_the_bus_and_are_found_in_time)
