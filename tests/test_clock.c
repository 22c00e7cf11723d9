/* SPDX-License-Identifier: MIT */
// link: ms_base
#include "tests/test.h"

#include "app/base/clock.h"

#include <errno.h>
#include <stdlib.h>

#define NOV_20_2026 1795168800000  // 2026-11-20T10:00:00Z

static void in_berlin(void)
{
    CHECK_EQ(clock_set_timezone("Europe/Berlin"), 0);
}

static const char *utc(int64_t wall_ms)
{
    static char buffer[CLOCK_TEXT_SIZE];

    return clock_utc(wall_ms, buffer);
}

static const char *local(int64_t wall_ms)
{
    static char buffer[CLOCK_TEXT_SIZE];

    return clock_local(wall_ms, buffer);
}

static int64_t time_of(const char *text)
{
    int64_t wall_ms = -1;

    if (clock_parse(text, &wall_ms) != 0) {
        fail_msg("'%s' is a time", text);
    }
    return wall_ms;
}

static void test_a_wall_time_has_its_three_forms(void)
{
    char day[CLOCK_TEXT_SIZE];

    in_berlin();
    CHECK_STR(utc(NOV_20_2026), "2026-11-20T10:00:00.000Z");
    CHECK_STR(utc(NOV_20_2026 + 7), "2026-11-20T10:00:00.007Z");
    CHECK_STR(local(NOV_20_2026), "2026-11-20 11:00:00");
    CHECK_STR(clock_day(NOV_20_2026, day), "2026-11-20");
    CHECK_STR(clock_day(time_of("2026-11-20T23:30:00Z"), day), "2026-11-21");
}

static void test_times_before_1970_and_after_2038_are_right(void)
{
    in_berlin();
    CHECK_STR(utc(0), "1970-01-01T00:00:00.000Z");
    CHECK_STR(utc(-1), "1969-12-31T23:59:59.999Z");
    CHECK_STR(utc(-1000), "1969-12-31T23:59:59.000Z");
    CHECK_STR(utc(-86400001), "1969-12-30T23:59:59.999Z");
    CHECK_STR(utc(2208988800000), "2040-01-01T00:00:00.000Z");
    CHECK_STR(local(2208988800000), "2040-01-01 01:00:00");
    CHECK(time_of("2040-07-01 12:00") == 2224749600000);
    CHECK(time_of("1969-12-31T23:59:59.999Z") == -1);
    CHECK_STR(utc(4102444800000), "2100-01-01T00:00:00.000Z");
}

static void test_a_typed_time_is_local_unless_it_says_otherwise(void)
{
    static const struct { const char *text; const char *utc; } cases[] = {
        { "2026-11-20", "2026-11-19T23:00:00.000Z" },
        { "2026-11-20 11:00", "2026-11-20T10:00:00.000Z" },
        { "2026-11-20 11:00:05", "2026-11-20T10:00:05.000Z" },
        { "2026-11-20T11:00:05", "2026-11-20T10:00:05.000Z" },
        { "2026-11-20 11:00:05.25", "2026-11-20T10:00:05.250Z" },
        { "2026-11-20T10:00:00Z", "2026-11-20T10:00:00.000Z" },
        { "2026-11-20T10:00:00.123456789Z", "2026-11-20T10:00:00.123Z" },
        { "2026-11-20T10:00:00z", "2026-11-20T10:00:00.000Z" },
        { "2026-11-20T12:00:00+02:00", "2026-11-20T10:00:00.000Z" },
        { "2026-11-20T04:30:00-05:30", "2026-11-20T10:00:00.000Z" },
        { "2026-11-20T12:00:00+0200", "2026-11-20T10:00:00.000Z" },
        { "2026-11-20T00:30:00+01:00", "2026-11-19T23:30:00.000Z" },
        { "2024-02-29 12:00", "2024-02-29T11:00:00.000Z" },
    };

    in_berlin();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_STR(utc(time_of(cases[i].text)), cases[i].utc);
    }
}

static void test_what_is_no_time_is_refused_and_the_result_stays(void)
{
    static const char *const bad[] = {
        "", "yesterday", "2026", "2026-11", "2026-02-31", "2026-02-29", "2026-04-31 10:00", "2026-13-01", "2026-00-10",
        "2026-11-32", "2026-11-20 25:00", "2026-11-20 10:60", "2026-11-20 10", "2026-11-20T", "2026-11-20 10:00x",
        "2026-11-20x", "2026-11-20 10:00:00+", "2026-11-20 10:00:00+1", "2026-11-20 10:00:00+15:00",
        "2026-11-20 10:00:00+01:60", "2026-11-20 10:00:00+01:000", "2026-11-20 10:00:00+0100x",
        "2026-11-20 10:00:00+-5:00", "2026-11-20 10:00:00ZZ", "2026-02-31T10:00:00Z", "20.11.2026",
    };

    in_berlin();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t wall_ms = 7;

        if (clock_parse(bad[i], &wall_ms) != -EINVAL) {
            fail_msg("'%s' is no time", bad[i]);
        }
        CHECK_EQ(wall_ms, 7);
    }
}

static void test_summer_time_of_berlin_begins_and_ends(void)
{
    in_berlin();
    CHECK_STR(local(time_of("2026-03-29T00:59:59Z")), "2026-03-29 01:59:59");
    CHECK_STR(local(time_of("2026-03-29T01:00:00Z")), "2026-03-29 03:00:00");
    CHECK_STR(local(time_of("2026-10-25T00:59:59Z")), "2026-10-25 02:59:59");
    CHECK_STR(local(time_of("2026-10-25T01:00:00Z")), "2026-10-25 02:00:00");
    CHECK_STR(utc(time_of("2026-07-01 12:00")), "2026-07-01T10:00:00.000Z");
    CHECK_STR(utc(time_of("2026-12-01 12:00")), "2026-12-01T11:00:00.000Z");
    CHECK(time_of("2026-03-30") - time_of("2026-03-29") == 23 * 3600000);
    CHECK(time_of("2026-10-26") - time_of("2026-10-25") == 25 * 3600000);
    // an hour that there is twice, and one that there is not: some time near it, no refusal
    CHECK(llabs((long long) (time_of("2026-10-25 02:30") - time_of("2026-10-25T01:00:00Z"))) <= 1800000);
    CHECK(llabs((long long) (time_of("2026-03-29 02:30") - time_of("2026-03-29T01:00:00Z"))) <= 1800000);
}

static void test_other_programs_formats_are_utc_or_local(void)
{
    char buffer[CLOCK_TEXT_SIZE], tiny[4];

    in_berlin();
    CHECK_STR(clock_format(NOV_20_2026, true, "%Y%m%d-%H.%M.%S", buffer, sizeof(buffer)), "20261120-10.00.00");
    CHECK_STR(clock_format(NOV_20_2026, false, "%Y%m%d-%H.%M.%S", buffer, sizeof(buffer)), "20261120-11.00.00");
    CHECK_STR(clock_format(NOV_20_2026, false, "%Y%m%d", tiny, sizeof(tiny)), "");
}

static void test_only_time_zones_that_exist_are_taken(void)
{
    static const char *const bad[] = { "Europe/Berlim", "Europe", "../etc/passwd", "/etc/passwd", "Mars",
                                       "Europe/Berlin1",
                                       "Etc/GMT+99", "berlin 1" };

    in_berlin();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (clock_set_timezone(bad[i]) != -EINVAL) {
            fail_msg("'%s' is no time zone", bad[i]);
        }
        CHECK_STR(local(NOV_20_2026), "2026-11-20 11:00:00");
    }
    CHECK_EQ(clock_set_timezone(""), 0);
    CHECK_STR(local(NOV_20_2026), "2026-11-20 11:00:00");
    CHECK_EQ(clock_set_timezone("UTC"), 0);
    CHECK_STR(local(NOV_20_2026), "2026-11-20 10:00:00");
    CHECK_EQ(clock_set_timezone("CET-1CEST,M3.5.0,M10.5.0/3"), 0);
    CHECK_STR(local(NOV_20_2026), "2026-11-20 11:00:00");
    CHECK_EQ(clock_set_timezone("<+0545>-5:45"), 0);
    CHECK_STR(local(NOV_20_2026), "2026-11-20 15:45:00");
    CHECK_EQ(clock_set_timezone("America/New_York"), 0);
    CHECK_STR(local(NOV_20_2026), "2026-11-20 05:00:00");
    in_berlin();
}

static void test_a_sleep_ends_no_earlier_than_asked_and_at_once_if_past(void)
{
    uint64_t start_us = clock_monotonic_us();

    clock_sleep_until_us(start_us + 5000);
    CHECK(clock_monotonic_us() >= start_us + 5000);
    start_us = clock_monotonic_us();
    clock_sleep_until_us(start_us - 1000000);
    CHECK(clock_monotonic_us() < start_us + 1000000);
}

static void test_the_clocks_agree_with_each_other(void)
{
    char boot_id[CLOCK_BOOT_ID_SIZE], again[CLOCK_BOOT_ID_SIZE];

    CHECK(clock_boot_ms() + 1 >= clock_monotonic_ms());
    CHECK(clock_wall_ms() > 1700000000000);
    clock_boot_id(boot_id);
    clock_boot_id(again);
    CHECK_STR(boot_id, again);
    CHECK(strlen(boot_id) == 36 || *boot_id == '\0');
}

TESTS(test_a_wall_time_has_its_three_forms, test_times_before_1970_and_after_2038_are_right,
      test_a_typed_time_is_local_unless_it_says_otherwise,
      test_what_is_no_time_is_refused_and_the_result_stays, test_summer_time_of_berlin_begins_and_ends,
      test_other_programs_formats_are_utc_or_local, test_only_time_zones_that_exist_are_taken,
      test_a_sleep_ends_no_earlier_than_asked_and_at_once_if_past, test_the_clocks_agree_with_each_other)
