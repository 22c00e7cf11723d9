/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/overload.h"
#include "app/base/macros.h"

#define S UINT64_C(1000000)

static void test_it_begins_half_an_interval_behind_and_ends_when_it_is_kept(void)
{
    static const struct {
        uint32_t cycle_ms;
        enum overload_news expect;
    } rounds[] = {
        { 0, OVERLOAD_NO_NEWS },    { 1000, OVERLOAD_NO_NEWS }, { 1500, OVERLOAD_NO_NEWS }, { 1501, OVERLOAD_BEGAN },
        { 9000, OVERLOAD_NO_NEWS }, { 1100, OVERLOAD_NO_NEWS }, { 1099, OVERLOAD_ENDED },   { 1000, OVERLOAD_NO_NEWS },
    };
    struct overload overload = { 0 };

    for (size_t i = 0; i < ARRAY_SIZE(rounds); i++) {
        CHECK_EQ(overload_update(&overload, (struct overload_round){ rounds[i].cycle_ms, 1000 }, i * S),
                 rounds[i].expect);
    }
}

static void test_the_meter_that_is_the_most_behind_counts(void)
{
    const struct overload_round none = { 0, 1 }, fast = { 900, 1000 }, slow = { 2000, 1000 }, minute = { 60000, 60000 };

    CHECK_EQ(overload_worse(none, fast).cycle_ms, 900);
    CHECK_EQ(overload_worse(fast, slow).cycle_ms, 2000);
    CHECK_EQ(overload_worse(slow, minute).cycle_ms, 2000);
    CHECK_EQ(overload_worse(fast, minute).cycle_ms, 60000);
    CHECK_EQ(overload_worse(fast, none).cycle_ms, 900);
}

static void test_a_bus_at_its_limit_is_ten_lines_a_minute(void)
{
    struct overload overload = { 0 };
    unsigned told = 0;

    for (unsigned i = 0; i < 36000; i++) {
        told += overload_update(&overload, (struct overload_round){ i % 2 ? 1000 : 3000, 1000 }, i * S / 10)
                != OVERLOAD_NO_NEWS;
    }
    CHECK(told >= 590 && told <= 600);
}

TESTS(test_it_begins_half_an_interval_behind_and_ends_when_it_is_kept, test_the_meter_that_is_the_most_behind_counts,
      test_a_bus_at_its_limit_is_ten_lines_a_minute)
