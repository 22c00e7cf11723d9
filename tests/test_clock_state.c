/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/clock_state.h"
#include "app/base/clock.h"
#include "app/base/file.h"

#include <stdlib.h>

#define BUILD INT64_C(1760000000000)
#define LAST  INT64_C(1790000000000)
#define NOW   INT64_C(1790000100000)
#define YEAR  (INT64_C(31557600) * 1000)

static void test_the_letter_is_a_table_of_facts(void)
{
    static const struct {
        const char *what;
        struct clock_facts facts;
        enum clock_quality expect;
    } cases[] = {
        { "trusted", { .trusted = true, .wall_ms = 0 }, CLOCK_NTP },
        { "synchronised", { .synchronised = true, .wall_ms = NOW }, CLOCK_NTP },
        { "nothing speaks for it", { .wall_ms = NOW }, CLOCK_ESTIMATED },
        { "1970", { .wall_ms = 100000 }, CLOCK_UNKNOWN },
        { "1970 of an RTC", { .rtc = true, .wall_ms = 100000 }, CLOCK_UNKNOWN },
        { "RTC, first start", { .rtc = true, .wall_ms = NOW }, CLOCK_RTC },
        { "RTC, after the last row", { .rtc = true, .wall_ms = NOW, .last_known_ms = LAST }, CLOCK_RTC },
        { "RTC, before the last row", { .rtc = true, .wall_ms = LAST - 1, .last_known_ms = LAST }, CLOCK_ESTIMATED },
        { "RTC, 5 years past it",
          { .rtc = true, .wall_ms = LAST + 5 * YEAR + 1, .last_known_ms = LAST }, CLOCK_ESTIMATED },
        { "NTP lost", { .was_synchronised = true, .was_known = true, .wall_ms = NOW }, CLOCK_HELD },
        { "NTP lost, RTC there", { .was_synchronised = true, .rtc = true, .wall_ms = NOW }, CLOCK_HELD },
        { "known earlier in this boot", { .was_known = true, .wall_ms = NOW }, CLOCK_HELD },
        { "set by a person", { .stepped = true, .wall_ms = NOW, .last_known_ms = LAST }, CLOCK_RTC },
        { "set by a person to nonsense",
          { .stepped = true, .wall_ms = LAST - 1, .last_known_ms = LAST }, CLOCK_ESTIMATED },
        { "set back, but not before we began",
          { .stepped = true, .wall_ms = NOW - 3600000, .last_known_ms = LAST - 7200000, .newest_known_ms = NOW },
          CLOCK_RTC },
        { "5 years past what we know since",
          { .stepped = true, .wall_ms = NOW + 5 * YEAR + 1, .newest_known_ms = NOW }, CLOCK_ESTIMATED },
        { "running for 6 years",
          { .stepped = true, .wall_ms = LAST + 6 * YEAR, .last_known_ms = LAST, .newest_known_ms = LAST + 6 * YEAR },
          CLOCK_RTC },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct clock_facts facts = cases[i].facts;

        facts.build_ms = BUILD;
        facts.newest_known_ms = facts.newest_known_ms ? facts.newest_known_ms : facts.last_known_ms;
        if (clock_letter(&facts) != cases[i].expect) {
            fail_msg("%s: %c, not %c", cases[i].what, clock_letter(&facts), cases[i].expect);
        }
    }
}

static bool look(struct clock_state *state, uint64_t boot_ms, int64_t wall_ms, bool synchronised)
{
    clock_state_hear(state, synchronised);
    return clock_state_look(state, boot_ms, wall_ms);
}

static void test_an_epoch_begins_with_a_step_or_another_letter_and_never_else(void)
{
    struct clock_state state;

    clock_state_init(&state, false, false, 0, CLOCK_UNKNOWN, BUILD);
    CHECK(look(&state, 1000, 101000, false));        // 1970: U
    CHECK_EQ(state.epoch.source, CLOCK_UNKNOWN);
    CHECK_EQ(state.epoch.wall_ms, 100000);
    CHECK_EQ(state.epoch.error_ms, -1);
    for (int i = 0; i < 1000; i++) {
        CHECK(!look(&state, 2000 + (uint64_t) i * 1000, 102001 + i * 1000, false));  // a ms is no step
    }

    CHECK(look(&state, 3600000, NOW, false));        // NTP after an hour: the clock is set, and then it says so
    CHECK_EQ(state.epoch.source, CLOCK_RTC);
    CHECK(look(&state, 3600001, NOW + 1, true));
    CHECK_EQ(state.epoch.source, CLOCK_NTP);
    CHECK_EQ(state.epoch.wall_ms, NOW - 3600000);
    CHECK(!look(&state, 3601000, NOW + 1000, true));
    CHECK(look(&state, 3603000, NOW + 3000, false)); // lost
    CHECK_EQ(state.epoch.source, CLOCK_HELD);
    CHECK(!look(&state, 3604000, NOW + 4000, false));
    CHECK(look(&state, 3605000, NOW + 3605000, false)); // a person
    CHECK_EQ(state.epoch.source, CLOCK_RTC);
    CHECK(look(&state, 3606000, NOW + 3606000, true));  // found again
    CHECK_EQ(state.epoch.source, CLOCK_NTP);
}

/* timedate1 is asked once a minute: what it said before the step is not about the clock as it is now. */
static void test_who_was_synchronised_before_a_step_is_asked_again(void)
{
    struct clock_state state;

    clock_state_init(&state, false, false, 0, CLOCK_UNKNOWN, BUILD);
    CHECK(look(&state, 1000, NOW, true));
    CHECK_EQ(state.epoch.source, CLOCK_NTP);
    CHECK(clock_state_look(&state, 2000, NOW + 3601000));        // a person, or NTP itself
    CHECK_EQ(state.epoch.source, CLOCK_RTC);
    CHECK(!clock_state_look(&state, 3000, NOW + 3602000));
    CHECK(!look(&state, 4000, NOW + 3603000, false));
    CHECK_EQ(state.epoch.source, CLOCK_RTC);
    CHECK(look(&state, 5000, NOW + 3604000, true));              // NTP it was
    CHECK_EQ(state.epoch.source, CLOCK_NTP);

    CHECK(clock_state_look(&state, 6000, NOW + 50 * YEAR));      // nobody's clock
    CHECK_EQ(state.epoch.source, CLOCK_ESTIMATED);
    CHECK(!look(&state, 7000, NOW + 50 * YEAR + 1000, false));
    CHECK(clock_state_look(&state, 8000, 8000));
    CHECK_EQ(state.epoch.source, CLOCK_UNKNOWN);
    CHECK(clock_state_look(&state, 9000, NOW + 9000));           // set right by hand
    CHECK_EQ(state.epoch.source, CLOCK_RTC);
}

static void test_a_held_clock_drifts_fifty_millionths(void)
{
    CHECK_EQ(clock_error_ms(CLOCK_HELD, UINT64_C(30) * 86400 * 1000), 100 + 129600);
    CHECK_EQ(clock_error_ms(CLOCK_NTP, 0), 100);
}

/* A service that was restarted still knows that the clock was set in this boot. */
static void test_what_was_known_before_a_restart_is_held(void)
{
    struct clock_state state;

    clock_state_init(&state, false, false, LAST, CLOCK_NTP, BUILD);
    CHECK(clock_state_look(&state, 1000, NOW));
    CHECK_EQ(state.epoch.source, CLOCK_HELD);
}

static void test_the_rtc_that_set_the_clock_says_so(void)
{
    char root[] = "/tmp/meterstick-test-XXXXXX";
    char path[256];

    CHECK(mkdtemp(root));
    CHECK(!clock_rtc_set_it(root));
    (void) snprintf(path, sizeof(path), "%s/sys/class/rtc/rtc1", root);
    CHECK_EQ(file_make_directories(path, 0755), 0);
    (void) snprintf(path, sizeof(path), "%s/sys/class/rtc/rtc1/hctosys", root);
    CHECK_EQ(file_replace(path, "0\n", 2, 0644, false), 0);
    CHECK(!clock_rtc_set_it(root));
    CHECK_EQ(file_replace(path, "1\n", 2, 0644, false), 0);
    CHECK(clock_rtc_set_it(root));
    (void) snprintf(path, sizeof(path), "rm -rf %s", root);
    CHECK_EQ(system(path), 0);
}

static void test_both_clocks_are_read_at_one_instant(void)
{
    uint64_t boot_ms;
    int64_t wall_ms, zero_ms;

    clock_read_pair(&boot_ms, &wall_ms);
    zero_ms = wall_ms - (int64_t) boot_ms;
    for (int i = 0; i < 10000; i++) {
        clock_read_pair(&boot_ms, &wall_ms);
        CHECK_NEAR((double) (wall_ms - (int64_t) boot_ms), (double) zero_ms, 3);
    }
}

TESTS(test_the_letter_is_a_table_of_facts, test_an_epoch_begins_with_a_step_or_another_letter_and_never_else,
      test_who_was_synchronised_before_a_step_is_asked_again, test_a_held_clock_drifts_fifty_millionths,
      test_what_was_known_before_a_restart_is_held, test_the_rtc_that_set_the_clock_says_so,
      test_both_clocks_are_read_at_one_instant)
