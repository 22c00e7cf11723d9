/* SPDX-License-Identifier: MIT */
#pragma once

/* So many log lines of a kind a minute, and no more. Pure. */

#include <stdbool.h>
#include <stdint.h>

#define RATE_PER_MINUTE 10

struct rate {
    uint64_t minute_us;   // when the present one began
    unsigned count;       // lines in it
    unsigned left_out;
};

/* Whether one more may be said. *ret_left_out: how many were not since the last that was, to be said with it. */
bool rate_allows(struct rate *rate, uint64_t now_us, unsigned *ret_left_out);
