/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/port_watch.h"
#include "app/base/macros.h"

#include <errno.h>

#define SECOND UINT64_C(1000000)

static void test_a_port_that_is_gone_is_looked_for_each_second_and_when_told(void)
{
    struct port_watch watch = { 0 };

    CHECK(!port_watch_is_due(&watch, true, 0));  // it is not gone
    CHECK(!port_watch_opened(&watch, SECOND));
    CHECK(port_watch_failed(&watch, -ENODEV, 100 * SECOND));
    CHECK(!port_watch_is_due(&watch, false, 101 * SECOND - 1));
    CHECK(port_watch_is_due(&watch, false, 101 * SECOND));
    CHECK(port_watch_is_due(&watch, true, 100 * SECOND));

    CHECK(port_watch_failed(&watch, -ENOENT, 101 * SECOND));  // another reason is news, the same is not
    CHECK(!port_watch_failed(&watch, -ENOENT, 102 * SECOND));
    CHECK(!port_watch_is_due(&watch, false, 103 * SECOND - 1));
    CHECK(port_watch_opened(&watch, 103 * SECOND));
    CHECK(!port_watch_is_due(&watch, true, 200 * SECOND));
}

static void test_one_that_was_never_there_is_looked_for_just_so(void)
{
    struct port_watch watch = { 0 };

    for (uint64_t now_us = 0; now_us < 1000 * SECOND; now_us += SECOND) {
        CHECK_EQ(port_watch_failed(&watch, -ENOENT, now_us), now_us == 0);
        CHECK(port_watch_is_due(&watch, true, now_us));
        CHECK(port_watch_is_due(&watch, false, now_us + SECOND));
    }
}

static void test_one_that_comes_and_goes_is_looked_for_less_often_until_it_stays(void)
{
    static const unsigned seconds[] = { 1, 1, 2, 2, 4, 4, 4 };
    struct port_watch watch = { 0 };
    uint64_t now_us = 100 * SECOND;

    (void) port_watch_opened(&watch, now_us - 50 * SECOND);
    for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
        CHECK(port_watch_failed(&watch, -ENODEV, now_us));
        CHECK(!port_watch_failed(&watch, -ENODEV, now_us + 1));  // looked for in vain: that is no flap
        (void) port_watch_failed(&watch, -ENODEV, now_us);
        CHECK_EQ(watch.again_us, now_us + seconds[i] * SECOND);
        CHECK_EQ(port_watch_is_due(&watch, true, now_us), i < 2);
        now_us = watch.again_us;
        CHECK(port_watch_opened(&watch, now_us));
        now_us += SECOND / 10;
    }

    now_us += 10 * SECOND;
    CHECK(port_watch_failed(&watch, -ENODEV, now_us));
    CHECK_EQ(watch.again_us, now_us + SECOND);
    CHECK(port_watch_is_due(&watch, true, now_us));
}

TESTS(test_a_port_that_is_gone_is_looked_for_each_second_and_when_told,
      test_one_that_was_never_there_is_looked_for_just_so,
      test_one_that_comes_and_goes_is_looked_for_less_often_until_it_stays)
