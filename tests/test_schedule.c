/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/schedule.h"

#define START 1000123
#define S     1000000ull

static struct schedule schedule_of(unsigned count, uint64_t interval_us)
{
    struct schedule schedule;

    CHECK_EQ(schedule_init(&schedule, START, count), 0);
    for (unsigned i = 0; i < count; i++) {
        schedule_set_interval(&schedule, i, interval_us);
    }
    return schedule;
}

static void test_slices_are_multiples_of_the_interval_since_the_start(void)
{
    struct schedule schedule = schedule_of(1, 10 * S);
    uint64_t until = 0;

    // Each poll begins a little late and takes a while: that never adds up.
    for (uint64_t k = 0; k < 100000; k++) {
        uint64_t now = START + k * 10 * S;

        if (k > 0) {
            CHECK_EQ(schedule_next(&schedule, now - 1, &until), -1);
            CHECK_EQ(until, now);
        }
        CHECK_EQ(schedule_next(&schedule, now + k % 7, &until), 0);
        CHECK_EQ(schedule_take(&schedule, 0, now + k % 7), k);
    }
    CHECK_EQ(schedule.entries[0].skipped, 0);
    schedule_clear(&schedule);
}

static void test_a_late_poll_skips_and_never_bunches(void)
{
    struct schedule schedule = schedule_of(1, 10 * S);
    uint64_t until = 0;

    CHECK_EQ(schedule_take(&schedule, 0, START), 0);
    // The bus was away for 47 s: slices 1, 2 and 3 are gone, 4 is now, the next is 5.
    CHECK_EQ(schedule_next(&schedule, START + 47 * S, &until), 0);
    CHECK_EQ(schedule_take(&schedule, 0, START + 47 * S), 4);
    CHECK_EQ(schedule.entries[0].skipped, 3);
    CHECK_EQ(schedule_next(&schedule, START + 47 * S, &until), -1);
    CHECK_EQ(until, START + 50 * S);
    schedule_clear(&schedule);
}

static void test_each_meter_has_its_own_interval(void)
{
    struct schedule schedule = schedule_of(2, 10 * S);
    unsigned polls[2] = { 0, 0 };

    schedule_set_interval(&schedule, 1, 2 * S);
    for (uint64_t now = START; now < START + 100 * S; now += S / 10) {
        uint64_t until;
        int index;

        while ((index = schedule_next(&schedule, now, &until)) >= 0) {
            (void) schedule_take(&schedule, (unsigned) index, now);
            polls[index]++;
        }
    }
    CHECK_EQ(polls[0], 10);
    CHECK_EQ(polls[1], 50);
    schedule_clear(&schedule);
}

static void test_on_an_overloaded_bus_all_are_asked_equally_often(void)
{
    struct schedule schedule = schedule_of(79, 10 * S);
    unsigned polls[79] = { 0 };
    uint64_t until;

    // 79 meters of 0.3 s are 23.7 s, for an interval of 10 s.
    for (uint64_t now = START; now < START + 2370 * S; now += 3 * S / 10) {
        int index = schedule_next(&schedule, now, &until);

        CHECK(index >= 0);
        (void) schedule_take(&schedule, (unsigned) index, now);
        polls[index]++;
    }
    for (unsigned i = 0; i < 79; i++) {
        CHECK(polls[i] >= 99 && polls[i] <= 101);
    }
    CHECK(schedule.entries[5].skipped >= 130);
    schedule_clear(&schedule);
}

static void test_a_probe_leaves_the_slices_and_comes_back_to_them(void)
{
    struct schedule schedule = schedule_of(2, 10 * S);
    uint64_t until = 0;

    (void) schedule_take(&schedule, 0, START);
    (void) schedule_take(&schedule, 1, START);
    schedule_probe(&schedule, 1, START + 33 * S);
    (void) schedule_take(&schedule, 0, START + 30 * S);
    CHECK_EQ(schedule_next(&schedule, START + 31 * S, &until), -1);
    CHECK_EQ(until, START + 33 * S);
    CHECK_EQ(schedule_next(&schedule, START + 33 * S, &until), 1);
    CHECK_EQ(schedule_take(&schedule, 1, START + 33 * S), 3);
    CHECK_EQ(schedule.entries[1].skipped, 0);  // it was silent, the bus had time
    (void) schedule_take(&schedule, 0, START + 39 * S);
    CHECK_EQ(schedule_next(&schedule, START + 39 * S, &until), -1);
    CHECK_EQ(until, START + 40 * S);
    schedule_clear(&schedule);
}

/* On a bus with more to do than time a probe does not wait for its turn, and does not keep others from theirs. */
static void test_probes_go_first_but_never_two_in_a_row_while_others_wait(void)
{
    struct schedule schedule = schedule_of(79, S);
    unsigned polls[79] = { 0 }, since_probe = 1000, probes = 0;
    uint64_t now = START, until;

    for (unsigned i = 0; i < 79; i++) {
        (void) schedule_take(&schedule, i, START);
    }
    for (unsigned i = 59; i < 79; i++) {
        schedule_probe(&schedule, i, START + S);
    }
    for (now = START + S; now < START + 600 * S; now += S / 10) {
        int index = schedule_next(&schedule, now, &until);

        CHECK(index >= 0);
        (void) schedule_take(&schedule, (unsigned) index, now);
        polls[index]++;
        since_probe++;
        if (index >= 59) {
            CHECK(since_probe >= 2);
            since_probe = 0;
            probes++;
            schedule_probe(&schedule, (unsigned) index, now + 30 * S);
        }
    }
    CHECK(probes >= 20 * 17);
    for (unsigned i = 0; i < 59; i++) {
        CHECK(polls[i] >= 90 && polls[i] <= 102);  // (6000 - probes) / 59, for all the same
    }
    schedule_clear(&schedule);
}

static void test_a_slice_that_is_left_out_is_counted(void)
{
    struct schedule schedule = schedule_of(1, 10 * S);

    (void) schedule_take(&schedule, 0, START);
    schedule_skip(&schedule, 0, START + 10 * S);
    CHECK_EQ(schedule.entries[0].skipped, 1);
    CHECK_EQ(schedule.entries[0].next_us, START + 20 * S);
    CHECK_EQ(schedule_take(&schedule, 0, START + 20 * S), 2);
    CHECK_EQ(schedule.entries[0].skipped, 1);
    schedule_clear(&schedule);
}

TESTS(test_slices_are_multiples_of_the_interval_since_the_start, test_a_late_poll_skips_and_never_bunches,
      test_each_meter_has_its_own_interval, test_on_an_overloaded_bus_all_are_asked_equally_often,
      test_a_probe_leaves_the_slices_and_comes_back_to_them,
      test_probes_go_first_but_never_two_in_a_row_while_others_wait, test_a_slice_that_is_left_out_is_counted)
