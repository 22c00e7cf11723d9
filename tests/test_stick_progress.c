// SPDX-License-Identifier: MIT
// link: ms_outlet

#include "tests/test.h"

#include "app/outlet/stick_progress.h"

static void test_nothing_is_said_of_a_stick_that_is_up_to_date(void)
{
    struct stick_progress progress = {};

    CHECK_NAN(stick_progress_percent(&progress));
    CHECK_NAN(stick_progress_eta_s(&progress));
    stick_progress_look(&progress, 100, 1000);
    CHECK_NAN(stick_progress_percent(&progress));
    stick_progress_begin(&progress, 100, 1000);
    stick_progress_end(&progress);
    CHECK_NAN(stick_progress_percent(&progress));
    CHECK_NAN(stick_progress_eta_s(&progress));
}

static void test_an_even_pace_is_told_to_the_second(void)
{
    struct stick_progress progress = {};

    stick_progress_begin(&progress, 100000, 5000);
    CHECK_EQ(stick_progress_percent(&progress), 0);
    CHECK_NAN(stick_progress_eta_s(&progress));
    stick_progress_look(&progress, 99000, 6000);
    CHECK_EQ(stick_progress_percent(&progress), 1);
    CHECK_NAN(stick_progress_eta_s(&progress));  // one second says too little
    for (unsigned s = 2; s <= 99; s++) {
        stick_progress_look(&progress, 100000 - s * 1000, 5000 + s * 1000);
        CHECK_EQ(stick_progress_percent(&progress), s);
        CHECK_NEAR(stick_progress_eta_s(&progress), 100 - s, 1);
    }
}

static void test_it_is_never_a_hundred_before_it_is_done(void)
{
    struct stick_progress progress = {};

    stick_progress_begin(&progress, 1000000, 0);
    stick_progress_look(&progress, 1, 60000);
    CHECK_EQ(stick_progress_percent(&progress), 99);
    stick_progress_look(&progress, 0, 60001);
    CHECK_EQ(stick_progress_percent(&progress), 99);
    CHECK_EQ(stick_progress_eta_s(&progress), 0);
}

static void test_rows_that_come_meanwhile_do_not_lead_the_percentage_back(void)
{
    struct stick_progress progress = {};
    double percent = 0, now;
    uint64_t backlog = 10000;

    stick_progress_begin(&progress, backlog, 0);
    for (uint64_t ms = 1000; ms <= 200000; ms += 1000) {
        // from second 50 to 60 more comes than is written
        backlog += (ms > 50000 && ms <= 60000) ? 400 : 20;
        backlog -= backlog < 100 ? backlog : 100;
        stick_progress_look(&progress, backlog, ms);
        now = stick_progress_percent(&progress);
        CHECK(now >= percent && now <= 99);
        percent = now;
    }
    CHECK_EQ(percent, 99);

    // Before it had done anything, too.
    stick_progress_begin(&progress, 100, 0);
    stick_progress_look(&progress, 5000, 4000);
    CHECK_EQ(stick_progress_percent(&progress), 0);
    CHECK_NAN(stick_progress_eta_s(&progress));
}

static void test_the_time_left_neither_jumps_with_a_pause_nor_hides_one_that_lasts(void)
{
    struct stick_progress progress = {};
    double eta_s, before = NAN;

    stick_progress_begin(&progress, 1000000, 0);
    for (unsigned batch = 1; batch <= 300; batch++) {
        // each tenth batch waits two seconds for the stick
        stick_progress_look(&progress, 1000000 - batch * 2000, batch * 100 + batch / 10 * 2000);
        eta_s = stick_progress_eta_s(&progress);
        if (batch > 50) {
            CHECK(fabs(eta_s - before) <= 0.3 * before);
        }
        before = eta_s;
    }
    CHECK_NEAR(before, 400000.0 / 2000 * 0.3, 20);

    for (unsigned s = 1; s <= 60; s++) {
        stick_progress_look(&progress, 400000, 90000 + s * 1000);
    }
    CHECK(stick_progress_eta_s(&progress) > 20 * before);
    for (unsigned s = 61; s <= 600; s++) {
        stick_progress_look(&progress, 400000, 90000 + s * 1000);
    }
    CHECK_NAN(stick_progress_eta_s(&progress));
}

static void test_odd_numbers_do_no_harm(void)
{
    struct stick_progress progress = {};

    stick_progress_begin(&progress, 0, 1000);
    stick_progress_look(&progress, 0, 9000);
    CHECK_EQ(stick_progress_percent(&progress), 0);
    CHECK_NAN(stick_progress_eta_s(&progress));
    stick_progress_begin(&progress, UINT64_MAX, 1000);
    stick_progress_look(&progress, 0, 1000);  // in no time
    CHECK_NAN(stick_progress_eta_s(&progress));
    CHECK_EQ(stick_progress_percent(&progress), 99);
    stick_progress_look(&progress, 10, 500);  // a clock that goes back
    CHECK_EQ(stick_progress_percent(&progress), 99);
}

TESTS(test_nothing_is_said_of_a_stick_that_is_up_to_date, test_an_even_pace_is_told_to_the_second,
      test_it_is_never_a_hundred_before_it_is_done, test_rows_that_come_meanwhile_do_not_lead_the_percentage_back,
      test_the_time_left_neither_jumps_with_a_pause_nor_hides_one_that_lasts, test_odd_numbers_do_no_harm)
