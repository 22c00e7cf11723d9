/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/predecessor.h"
#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/status.h"

#include <unistd.h>

static void test_an_answer_to_one_that_was_killed_may_come_for_two_and_a_half_seconds(void)
{
    static const struct { uint64_t written_ms; bool stopped; uint64_t late_ms; } cases[] = {
        { 100000, false, 2500 },  // just now
        { 97500, false, 2500 },   // its next status was not due: it may have been killed just now
        { 97000, false, 2500 },
        { 96000, false, 1500 },   // dead for a second at least
        { 94500, false, 0 },
        { 1000, false, 0 },
        { 100000, true, 2000 },   // it ended by itself, and asked nothing after
        { 98500, true, 500 },
        { 98000, true, 0 },
        { 1000, true, 0 },
        { 200000, true, 2000 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct predecessor predecessor = { .written_ms = cases[i].written_ms, .now_ms = 100000,
                                                 .stopped = cases[i].stopped };

        CHECK_EQ(predecessor_late_ms(&predecessor), cases[i].late_ms);
    }
}

static void test_only_a_fresh_status_of_this_boot_counts(void)
{
    char directory[] = "/tmp/meterstick-predecessor-XXXXXX", path[64];
    auto_text struct text text = { 0 };

    CHECK(mkdtemp(directory));
    (void) snprintf(path, sizeof(path), "%s/acquire.json", directory);
    CHECK_EQ(predecessor_quiet_us(directory), 0);
    status_begin(&text, "acquire", "running", NULL);
    CHECK_EQ(status_end_and_replace(&text, directory, "acquire"), 0);
    CHECK(predecessor_quiet_us(directory) > clock_monotonic_us() + 1500000);
    CHECK(predecessor_quiet_us(directory) <= clock_monotonic_us() + 2500000);
    CHECK_EQ(file_replace(path, "{\"boot_id\":\"other\",\"boot_ms\":5}", 31, 0644, false), 0);
    CHECK_EQ(predecessor_quiet_us(directory), 0);
    CHECK_EQ(file_replace(path, "nonsense", 8, 0644, false), 0);
    CHECK_EQ(predecessor_quiet_us(directory), 0);
    (void) unlink(path);
    CHECK_EQ(rmdir(directory), 0);
}

TESTS(test_an_answer_to_one_that_was_killed_may_come_for_two_and_a_half_seconds,
      test_only_a_fresh_status_of_this_boot_counts)
