/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/report.h"
#include "app/base/json.h"

#include <errno.h>

static struct layout layout = { .count = 2, .columns = { { .name = "voltage" }, { .name = "current" } } };

static struct json *meter_of(const struct bus_meter_status *status, uint64_t committed_boot_ms)
{
    static const double values[] = { 230.1, NAN };
    auto_text struct text text = {};
    struct json *json = NULL;

    report_add_meter(&text, &(struct report_meter){ .name = "kitchen",
                                                    .layout = &layout,
                                                    .status = status,
                                                    .values = values,
                                                    .committed_boot_ms = committed_boot_ms,
                                                    .row_ms = 10000,
                                                    .now_us = 5000000 });
    CHECK_EQ(json_parse(text.data, text.size, &json, NULL), 0);
    return json;
}

static void test_a_live_meter_shows_its_values_and_its_real_cycle(void)
{
    const struct bus_meter_status status = { .state = HEALTH_LIVE, .cycle_ms = 21700, .latency_us = 10240,
                                             .next_us = 9000000, .value_count = 2 };
    auto_json struct json *meter = meter_of(&status, 1234);

    CHECK_STR(json_member_string(meter, "state"), "live");
    CHECK_NEAR(json_member_number(meter, "committed_boot_ms"), 1234, 0);
    CHECK_NEAR(json_member_number(meter, "slice_ms"), 21700, 0);  // more than the interval: the bus is slow
    CHECK_NEAR(json_member_number(meter, "latency_ms"), 10.2, 0);
    CHECK_NAN(json_member_number(meter, "next_probe_s"));
    CHECK_NEAR(json_member_number(json_member(meter, "values"), "voltage"), 230.1, 0);
    CHECK(json_member(json_member(meter, "values"), "current"));
    CHECK_NAN(json_member_number(json_member(meter, "values"), "current"));
    CHECK(!json_member_string(meter, "last_error"));
}

static void test_a_silent_meter_says_why_and_when_it_is_asked_again(void)
{
    const struct bus_meter_status status = { .state = HEALTH_SILENT, .problem = "timed out 3 times",
                                             .next_us = 17000001 };
    auto_json struct json *meter = meter_of(&status, 0);

    CHECK_STR(json_member_string(meter, "state"), "silent");
    CHECK_NEAR(json_member_number(meter, "next_probe_s"), 13, 0);
    CHECK_NEAR(json_member_number(meter, "slice_ms"), 10000, 0);
    CHECK_STR(json_member_string(meter, "last_error"), "timed out 3 times");
    CHECK_NAN(json_member_number(meter, "committed_boot_ms"));
}

static void test_one_that_was_not_asked_yet_is_not_called_live(void)
{
    CHECK_STR(report_meter_state(HEALTH_NEW), "silent");
    CHECK_STR(report_meter_state(HEALTH_REFUSED), "refused");
}

/* A bus that begins anew, since a meter joins it, is no reason for a light to say that the others are silent. */
static void test_one_whose_bus_begins_anew_goes_on_by_the_age_of_its_row(void)
{
    const struct bus_meter_status status = { .state = HEALTH_NEW };
    auto_json struct json *meter = meter_of(&status, 1234);
    auto_json struct json *other = meter_of(&status, 0);

    CHECK_STR(json_member_string(meter, "state"), "live");
    CHECK_NEAR(json_member_number(meter, "committed_boot_ms"), 1234, 0);
    CHECK_STR(json_member_string(other, "state"), "silent");
}

static void test_the_journal_says_full_readonly_or_failed(void)
{
    CHECK_STR(writer_state_text(writer_state_of(-ENOSPC)), "full");
    CHECK_STR(writer_state_text(writer_state_of(-EROFS)), "readonly");
    CHECK_STR(writer_state_text(writer_state_of(-EIO)), "failed");
    CHECK_STR(writer_state_text(WRITER_OK), "ok");
}

TESTS(test_a_live_meter_shows_its_values_and_its_real_cycle, test_a_silent_meter_says_why_and_when_it_is_asked_again,
      test_one_whose_bus_begins_anew_goes_on_by_the_age_of_its_row,
      test_one_that_was_not_asked_yet_is_not_called_live, test_the_journal_says_full_readonly_or_failed)
