/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tests read like sentences: CHECK(condition), CHECK_EQ(a, b), CHECK_STR(a, b), CHECK_NEAR(a, b, by).
 * A test file defines static void test_xxx(void) functions and ends with
 *
 *     TESTS(test_codecs_match_the_manuals, test_damaged_cursor_is_reported)
 */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fail_msg("%s:%d: %s is not so", __FILE__, __LINE__, #condition);                       \
        }                                                                                          \
    } while (0)

#define CHECK_EQ(a, b)                                                                             \
    do {                                                                                           \
        long long check_a = (long long) (a), check_b = (long long) (b);                            \
        if (check_a != check_b) {                                                                  \
            fail_msg("%s:%d: %s is %lld, not %lld", __FILE__, __LINE__, #a, check_a, check_b);     \
        }                                                                                          \
    } while (0)

#define CHECK_STR(a, b)                                                                            \
    do {                                                                                           \
        const char *check_a = (a), *check_b = (b);                                                 \
        if (!check_a || !check_b || strcmp(check_a, check_b) != 0) {                               \
            fail_msg("%s:%d: %s is \"%s\", not \"%s\"", __FILE__, __LINE__, #a,                    \
                     check_a ? check_a : "(null)", check_b ? check_b : "(null)");                  \
        }                                                                                          \
    } while (0)

#define CHECK_NEAR(a, b, by)                                                                       \
    do {                                                                                           \
        double check_a = (a), check_b = (b);                                                       \
        if (!(fabs(check_a - check_b) <= (by)) && !(isnan(check_a) && isnan(check_b))) {           \
            fail_msg("%s:%d: %s is %.17g, not %.17g", __FILE__, __LINE__, #a, check_a, check_b);   \
        }                                                                                          \
    } while (0)

#define CHECK_NAN(a)      CHECK(isnan(a))
#define CHECK_HAS(a, b)                                                                            \
    do {                                                                                           \
        const char *check_a = (a), *check_b = (b);                                                 \
        if (!check_a || !strstr(check_a, check_b)) {                                               \
            fail_msg("%s:%d: \"%s\" does not have \"%s\"", __FILE__, __LINE__,                     \
                     check_a ? check_a : "(null)", check_b);                                       \
        }                                                                                          \
    } while (0)

/* How far to count where the full figure is `full`: 1 % of it, or $METERSTICK_COUNT_PERCENT; never 0. */
static inline uint64_t test_share(uint64_t full)
{
    const char *text = getenv("METERSTICK_COUNT_PERCENT");
    double count = (double) full * (text && *text ? strtod(text, NULL) : 1) / 100;

    return count < 1 ? 1 : (uint64_t) count;
}

/* cmocka hands each test a state: ours is the function itself. */
typedef void test_function(void);

static inline void test_call(void **state)
{
    (*(test_function **) state)();
}

static inline int test_run(const char *file, test_function *const *functions, size_t count, char *names)
{
    struct CMUnitTest tests[128];
    char *rest = names;

    for (size_t i = 0; i < count; i++) {
        tests[i] = (struct CMUnitTest){ .name = strtok_r(rest, ", \n", &rest),
                                        .test_func = test_call,
                                        .initial_state = (void *) functions[i] };
    }
    return _cmocka_run_group_tests(file, tests, count, NULL, NULL);
}

/* The main function of a test file. */
#define TESTS(...)                                                                                 \
    int main(void)                                                                                 \
    {                                                                                              \
        static test_function *const functions[] = { __VA_ARGS__ };                                 \
        static char names[] = #__VA_ARGS__;                                                        \
                                                                                                   \
        return test_run(__FILE__, functions, sizeof(functions) / sizeof(functions[0]), names);     \
    }
