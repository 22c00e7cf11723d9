/* SPDX-License-Identifier: MIT */
#include "app/acquire/predecessor.h"

#include "app/base/clock.h"
#include "app/base/macros.h"
#include "app/base/status.h"

#define LATE_MS    2000                      // an answer may come so late,
#define TIMEOUT_MS 500                       // after a time-out that was still running when it was killed
#define SILENT_MS  (STATUS_EVERY_MS + 1000)  // a program that lives has written its status within that

uint64_t predecessor_late_ms(const struct predecessor *predecessor)
{
    uint64_t age_ms = predecessor->now_ms - MIN(predecessor->written_ms, predecessor->now_ms);
    uint64_t most_ms = LATE_MS + (predecessor->stopped ? 0 : TIMEOUT_MS);

    if (predecessor->stopped) {
        return most_ms - MIN(age_ms, most_ms);
    }
    // killed, at any moment after it was written
    return age_ms < SILENT_MS + most_ms ? MIN(most_ms, SILENT_MS + most_ms - age_ms) : 0;
}

uint64_t predecessor_quiet_us(const char *run_dir)
{
    struct predecessor predecessor = { .now_ms = clock_boot_ms() };
    auto_json struct json *status = NULL;
    uint64_t late_ms;
    bool fresh;

    if (status_read(run_dir, "acquire", &status, &fresh) < 0 || !fresh) {
        return 0;
    }
    predecessor.written_ms = (uint64_t) json_member_number(status, "boot_ms");  // it is fresh, so it is a number
    predecessor.stopped = text_equal(json_member_string(status, "state"), "stopped");
    late_ms = predecessor_late_ms(&predecessor);
    return late_ms == 0 ? 0 : clock_monotonic_us() + late_ms * 1000;
}
