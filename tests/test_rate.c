/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/rate.h"

#define S 1000000ull

static void test_ten_lines_a_minute_and_then_how_many_were_left_out(void)
{
    struct rate rate = { 0 };
    unsigned said = 0, told = 0, left_out = 0;

    for (uint64_t now_us = 0; now_us < 3600 * S; now_us += S / 2) {
        left_out = 0;
        if (rate_allows(&rate, now_us, &left_out)) {
            said++;
            told += left_out;
            CHECK(left_out == 0 || left_out == 110);
        }
    }
    CHECK_EQ(said, 600);
    CHECK_EQ(said + told + rate.left_out, 7200);
}

static void test_who_says_little_is_not_kept_from_it(void)
{
    struct rate rate = { 0 };
    unsigned left_out = 7;

    for (uint64_t now_us = 0; now_us < 3600 * S; now_us += 6 * S) {
        CHECK(rate_allows(&rate, now_us, &left_out));
        CHECK_EQ(left_out, 0);
    }
}

TESTS(test_ten_lines_a_minute_and_then_how_many_were_left_out, test_who_says_little_is_not_kept_from_it)
