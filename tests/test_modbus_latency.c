/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "app/base/macros.h"
#include "drivers/modbus_latency.h"

#include <string.h>

static void learn(struct latency *latency, uint32_t latency_us, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        (void) latency_sleep_us(latency);
        (void) latency_learn(latency, latency_us, false);
    }
}

static void test_a_time_out_follows_the_slowest_of_the_last_answers(void)
{
    static const struct { uint32_t latency_us, timeout_us, probe_us; } cases[] = {
        { 1, 100000, 50000 },        // never shorter, however fast the meter is
        { 10000, 100000, 50000 },
        { 40000, 170000, 105000 },
        { 120000, 410000, 265000 },
        { 400000, 1000000, 825000 }, // never longer than the model's
        { 4000000, 1000000, 1000000 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct latency latency = { .longest_us = 1000000 };

        CHECK_EQ(latency_timeout_us(&latency), 1000000);  // nothing is known yet
        CHECK_EQ(latency_probe_us(&latency), 1000000);
        learn(&latency, cases[i].latency_us, 1);
        CHECK_EQ(latency_timeout_us(&latency), cases[i].timeout_us);
        CHECK_EQ(latency_probe_us(&latency), cases[i].probe_us);
        learn(&latency, 10000, LATENCY_MEASURED - 1);
        CHECK_EQ(latency_timeout_us(&latency), MAX(cases[i].timeout_us, 100000u));
        learn(&latency, 10000, 1);  // now the slow one is forgotten
        CHECK_EQ(latency_timeout_us(&latency), 100000);
    }
}

static void test_it_sleeps_as_long_as_the_fastest_took_and_a_little_less_to_measure(void)
{
    struct latency latency = { .longest_us = 1000000 };

    CHECK_EQ(latency_sleep_us(&latency), 0);
    learn(&latency, 12000, LATENCY_MEASURED);
    learn(&latency, 9000, 1);
    CHECK_EQ(latency.expect_us, 9000);
    CHECK_EQ(latency.slowest_us, 12000);
    for (unsigned i = 0, measured = 0; i < 80; i++) {
        uint32_t us = latency_sleep_us(&latency);

        CHECK(us == 9000 || us == 8750);
        measured += us == 8750;
        CHECK(i != 79 || measured == 10);
    }
}

static void test_an_answer_that_waited_for_us_tells_only_that_it_was_not_later(void)
{
    struct latency latency = { .longest_us = 1000000 };
    unsigned requests = 0;

    learn(&latency, 40000, LATENCY_MEASURED);
    while (latency.expect_us > 6000 && requests < 200) {  // it became faster: found by waking earlier and earlier
        uint32_t slept_us = latency_sleep_us(&latency);

        (void) latency_learn(&latency, MAX(slept_us, 5000u), slept_us > 5000);
        requests++;
    }
    CHECK(requests < 60);
}

TESTS(test_a_time_out_follows_the_slowest_of_the_last_answers,
      test_it_sleeps_as_long_as_the_fastest_took_and_a_little_less_to_measure,
      test_an_answer_that_waited_for_us_tells_only_that_it_was_not_later)
