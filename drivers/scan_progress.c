/* SPDX-License-Identifier: MIT */

/* How far a scan is, in time and in words. */

#include "drivers/scan_private.h"

#include <stdio.h>

void scan_get_progress(const struct scan *scan, struct scan_progress *ret)
{
    *ret = (struct scan_progress){ .pass = scan_pass_of(scan), .address = scan->address };
    for (unsigned i = 0; i < scan->order.count; i++) {
        ret->total_us += scan->pass_us[i];
        ret->done_us += i < scan->pass ? scan->pass_us[i] : 0;
    }
    if (ret->pass) {
        ret->done_us += scan->pass_us[scan->pass] - scan_pass_us(ret->pass, scan->address);
    }
}

const char *scan_progress_text(const struct scan *scan, char buffer[static SCAN_TEXT_SIZE])
{
    char serial[SERIAL_SETTING_SIZE], left[TEXT_DURATION_SIZE];
    struct scan_progress progress;

    scan_get_progress(scan, &progress);
    (void) text_duration((progress.total_us - progress.done_us) / 1000, left);
    if (!progress.pass) {
        (void) snprintf(buffer, SCAN_TEXT_SIZE, "done");
    } else if (progress.pass->kind == SCAN_PASS_LISTEN) {
        (void) snprintf(buffer, SCAN_TEXT_SIZE, "listening for a display: %u %%, %s left",
                        (unsigned) (100 * progress.done_us / MAX(progress.total_us, 1u)), left);
    } else {
        (void) snprintf(buffer, SCAN_TEXT_SIZE, "%s%saddress %u: %u %%, %s left",
                        progress.pass->serial.baud ? serial_setting_text(&progress.pass->serial, serial) : "",
                        progress.pass->serial.baud ? ", " : "", progress.address,
                        (unsigned) (100 * progress.done_us / MAX(progress.total_us, 1u)), left);
    }
    return buffer;
}
