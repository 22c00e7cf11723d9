/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/budget.h"
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

static const struct health_bus alone = { .own_us = 110000, .own_probe_us = 60000, .bus_us = 20000,
                                         .model_us = 500000, .silent_count = 1, .any_alive = true };

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
        struct health_bus bus = alone;

        bus.bus_us = cases[i].bus_us;
        CHECK_EQ(health_probe_timeout_us(&health, &bus), cases[i].expect_us);
        health.answered = true;
        CHECK_EQ(health_probe_timeout_us(&health, &bus), 60000);
        health.state = HEALTH_LIVE;
        CHECK_EQ(health_probe_timeout_us(&health, &bus), 110000);  // it only missed one: no need to be short
    }
}

/* A slow meter among fast ones must not wait for the tenth probe after the start. */
static void test_the_second_probe_is_a_patient_one(void)
{
    struct health health = { .state = HEALTH_NEW };

    CHECK_EQ(health_probe_timeout_us(&health, &alone), 100000);
    (void) health_result(&health, -ETIMEDOUT, 1);
    CHECK_EQ(health_probe_timeout_us(&health, &alone), 500000);
    (void) health_result(&health, -ETIMEDOUT, 1);
    CHECK_EQ(health_probe_timeout_us(&health, &alone), 100000);
}

/* Where many are silent their patient probes do not come together, and each has its own. */
static void test_patient_probes_of_many_are_spread_and_none_is_forgotten(void)
{
    for (int answered = 0; answered < 2; answered++) {
        unsigned each = answered ? 120 : 10;

        for (unsigned probes = 0; probes < each; probes++) {
            unsigned patient = 0;

            for (unsigned index = 0; index < 40; index++) {
                const struct health health = { .state = HEALTH_SILENT, .answered = answered, .probes = probes };
                struct health_bus bus = alone;

                bus.index = index;
                bus.silent_count = 40;
                patient += health_probe_timeout_us(&health, &bus) == 500000;
            }
            CHECK(patient <= 4);
        }
        for (unsigned index = 0; index < 40; index++) {
            unsigned patient = 0;

            for (unsigned probes = 0; probes < each; probes++) {
                const struct health health = { .state = HEALTH_SILENT, .answered = answered, .probes = probes };
                struct health_bus bus = alone;

                bus.index = index;
                bus.silent_count = 40;
                patient += health_probe_timeout_us(&health, &bus) == 500000;
            }
            CHECK_EQ(patient, 1);
        }
    }
}

static void test_a_probe_that_takes_longer_than_we_wait_costs_what_it_takes(void)
{
    struct health health = { .state = HEALTH_SILENT, .probes = 20 };
    uint32_t before_us = health_probe_cost_us(&health, &alone);

    for (int i = 0; i < 40; i++) {
        health_probe_failed(&health, 3000000);  // a gateway that waits for the meter by itself
    }
    CHECK(before_us < 200000);
    CHECK(health_probe_cost_us(&health, &alone) > 2900000);
    CHECK_EQ(health_probe_delay_us(&health, 10 * S, &alone), 20ull * health_probe_cost_us(&health, &alone));
}

static void test_a_meter_that_often_does_not_answer_is_doubtful_until_it_has_made_up_for_it(void)
{
    struct health health = { .state = HEALTH_NEW };
    unsigned rows = 0;

    CHECK_EQ(health_result(&health, 0, 1), 0);
    (void) health_result(&health, -EBADMSG, 2);
    CHECK(!health_wants_probe(&health));    // once is no habit
    CHECK(!health_is_doubtful(&health));
    (void) health_result(&health, 0, 3);
    for (int i = 0; i < 100; i++) {
        (void) health_result(&health, -ETIMEDOUT, 4);
        (void) health_result(&health, 0, 5);
    }
    CHECK_EQ(health.state, HEALTH_LIVE);
    CHECK(health_wants_probe(&health));
    CHECK(health_is_doubtful(&health));
    while (health_is_doubtful(&health)) {
        (void) health_result(&health, 0, 6);
        rows++;
    }
    CHECK(rows >= 10 && rows <= 64);
    CHECK(!health_wants_probe(&health));
}

static void test_without_a_live_meter_probes_come_each_interval(void)
{
    struct health health = { .state = HEALTH_SILENT, .probes = 50 };
    struct health_bus bus = alone;

    bus.silent_count = 79;
    bus.any_alive = false;
    CHECK_EQ(health_probe_delay_us(&health, 10 * S, &bus), 10 * S);
    CHECK(health_probe_delay_us(&health, 600 * S, &bus) <= 60 * S);
}

static void test_a_budget_gives_a_twentieth_and_forgives(void)
{
    struct budget budget;
    uint64_t now_us = 7 * S, spent_us = 0;

    budget_init(&budget, now_us);
    for (; now_us < 3607 * S; now_us += 10000) {
        if (budget_wait_us(&budget, now_us, 0) == 0) {
            budget_spend(&budget, now_us, 100000);
            spent_us += 100000;
        } else {
            uint64_t at_us = now_us + budget_wait_us(&budget, now_us, 0);

            CHECK(budget_wait_us(&budget, at_us - 1, 0) > 0);
            CHECK_EQ(budget_wait_us(&budget, at_us, 0), 0);
        }
    }
    CHECK(spent_us <= 3600 * S / 20 + BUDGET_MOST_US + 100000);
    CHECK(spent_us >= 3600 * S / 20 - 100000);
    budget_spend(&budget, now_us, 3600 * S);
    CHECK(budget_wait_us(&budget, now_us, 0) <= 41 * S);
    CHECK_EQ(budget_wait_us(&budget, now_us, -BUDGET_OWED_US - 1), 0);
    CHECK_EQ(budget_wait_us(&budget, now_us + 3600 * S, BUDGET_MOST_US - 1), 0);
}

/* A bus on paper: as bus.c asks, with meters that never answered (or fell silent), polls of so long, and its budget. */
struct paper {
    unsigned live, dead;
    bool answered;          // the dead did, once
    uint64_t interval_us;
    uint32_t poll_us;
    double longest_s;       // that a dead one may not be asked
    double share;           // of the time, that they may cost
};

static void run_on_paper(const struct paper *paper, double *ret_share, double *ret_longest_s)
{
    const uint64_t end_us = 7200 * S, settled_us = 600 * S;
    unsigned count = paper->live + paper->dead;
    struct health *healths = calloc(count, sizeof(*healths));
    uint64_t *asked_us = calloc(count, sizeof(*asked_us));
    uint64_t now_us = 0, probing_us = 0, longest_us = 0;
    struct schedule schedule;
    struct budget budget;

    budget_init(&budget, 0);
    CHECK_EQ(schedule_init(&schedule, 0, count), 0);
    for (unsigned i = 0; i < count; i++) {
        schedule_set_interval(&schedule, i, paper->interval_us);
        healths[i].answered = paper->answered;
    }
    while (now_us < end_us) {
        uint64_t until_us = 0, wait_us;
        int index = schedule_next(&schedule, now_us, &until_us);
        struct health_bus bus = alone;
        uint32_t timeout_us;

        if (index < 0) {
            now_us = until_us;
            continue;
        }
        if ((unsigned) index < paper->live) {
            (void) schedule_take(&schedule, (unsigned) index, now_us);
            now_us += paper->poll_us;
            continue;
        }

        bus.index = (unsigned) index;
        bus.silent_count = paper->dead;
        wait_us = budget_wait_us(&budget, now_us, 0);
        if (healths[index].state == HEALTH_SILENT && wait_us > 0) {
            schedule_probe(&schedule, (unsigned) index, now_us + wait_us);
            continue;
        }
        (void) schedule_take(&schedule, (unsigned) index, now_us);
        timeout_us = health_probe_timeout_us(&healths[index], &bus) + 12000;
        if (now_us > settled_us) {
            longest_us = MAX(longest_us, now_us - asked_us[index]);
            probing_us += timeout_us;
        }
        asked_us[index] = now_us;
        now_us += timeout_us;
        budget_spend(&budget, now_us, timeout_us);
        (void) health_result(&healths[index], -ETIMEDOUT, now_us);
        schedule_probe(&schedule, (unsigned) index,
                       now_us + health_probe_delay_us(&healths[index], paper->interval_us, &bus));
    }
    schedule_clear(&schedule);
    free(healths);
    free(asked_us);
    *ret_share = (double) probing_us / (double) (end_us - settled_us);
    *ret_longest_s = (double) longest_us / 1e6;
}

static void test_dead_meters_take_a_twentieth_of_the_bus_and_are_found_in_time(void)
{
    static const struct paper papers[] = {
        { 1, 1, false, 10 * S, 50000, 60, 0.05 },
        { 1, 1, false, 1 * S, 50000, 60, 0.05 },
        { 3, 5, false, 10 * S, 50000, 60, 0.05 },
        { 1, 17, false, 10 * S, 50000, 60, 0.05 },     // 17 x 0.15 s is under 3 s
        { 39, 40, false, 10 * S, 50000, 135, 0.05 },   // 40 x 0.152 s / 5 % = 122 s
        { 1, 78, false, 10 * S, 50000, 260, 0.05 },    // 78 x 0.152 s / 5 % = 238 s
        { 1, 1, false, 600 * S, 50000, 60, 0.05 },
        { 59, 20, true, 10 * S, 274600, 60, 0.029 },   // with more to do than time, at 9600 Bd; the aim of 1.03
        { 59, 20, true, 10 * S, 162300, 60, 0.029 },
        { 59, 20, false, 10 * S, 274600, 68, 0.05 },   // 20 x 0.152 s / 5 % = 61 s
        { 1, 78, true, 10 * S, 274600, 135, 0.05 },   // 78 x 0.074 s / 5 % = 115 s
    };

    for (size_t i = 0; i < sizeof(papers) / sizeof(papers[0]); i++) {
        double share = 1, longest_s = 1e9;

        run_on_paper(&papers[i], &share, &longest_s);
        if (share > papers[i].share || longest_s > papers[i].longest_s) {
            fail_msg("%u live, %u dead: %.4f of the bus, asked after %.1f s", papers[i].live, papers[i].dead, share,
                     longest_s);
        }
    }
}

TESTS(test_a_meter_is_lost_after_three_misses_and_back_with_a_row, test_a_single_miss_is_told_and_is_no_loss,
      test_one_that_never_answered_is_silent_at_once, test_one_that_refuses_everything_keeps_its_slices,
      test_a_probe_of_an_unknown_meter_waits_as_long_as_the_slowest_of_its_bus,
      test_the_second_probe_is_a_patient_one, test_patient_probes_of_many_are_spread_and_none_is_forgotten,
      test_a_probe_that_takes_longer_than_we_wait_costs_what_it_takes,
      test_a_meter_that_often_does_not_answer_is_doubtful_until_it_has_made_up_for_it,
      test_without_a_live_meter_probes_come_each_interval, test_a_budget_gives_a_twentieth_and_forgives,
      test_dead_meters_take_a_twentieth_of_the_bus_and_are_found_in_time)
