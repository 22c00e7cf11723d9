/* SPDX-License-Identifier: MIT */
#pragma once

/* Whether an acquire was here a moment ago: an answer to its last question may still come. */

#include <stdbool.h>
#include <stdint.h>

/* What the status file that it left says. Pure. */
struct predecessor {
    uint64_t written_ms;   // boot clock, in this boot
    uint64_t now_ms;
    bool stopped;          // it ended by itself: nothing was asked after it was written
};

/* For how long from now an answer to it may come, in ms; 0: none may. */
uint64_t predecessor_late_ms(const struct predecessor *predecessor);

/* Until when (monotonic clock) an RTU line is better not asked: 0 if nobody was here. Reads <run-dir>/acquire.json. */
uint64_t predecessor_quiet_us(const char *run_dir);
