/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How fast a meter answers: what its last answers took, and what follows from it for the next request. Pure. Times are
 * from the request's end on the wire to the answer's first character.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LATENCY_MEASURED 8            // answers that are remembered
#define LATENCY_MOST_US  10000000     // longest time-out: a bus must go round before the watchdog wants to see it

struct latency {
    uint32_t longest_us;              // the configured time-out, or the model's
    uint32_t expect_us;               // least of the remembered; 0: none yet
    uint32_t slowest_us;              // most of them
    uint32_t last_us;                 // last measured; 0: none yet
    uint32_t measured_us[LATENCY_MEASURED];
    size_t measured_count;
    unsigned request_count;           // since one was measured
    bool measuring;                   // in the request at hand
};

/*
 * How long to sleep before the answer to the next request is looked for. A wake-up costs more than all else that a
 * request makes us do, so we sleep until the answer should be there, as early as the meter was lately; to know that, we
 * wake earlier now and then and wait for its last bytes. To wake too early costs little, to wake too late costs time of
 * the bus.
 */
uint32_t latency_sleep_us(struct latency *latency);

/* An answer took so long. is_bound: it was there when we woke, so it took at most that. Returns whether it was new. */
bool latency_learn(struct latency *latency, uint32_t latency_us, bool is_bound);

/* How long a request waits: three times the slowest, at least 100 ms, at most the longest. */
uint32_t latency_timeout_us(const struct latency *latency);

/*
 * How long a request waits that only asks whether a silent meter is back: shorter, since it is asked for that again and
 * again at the cost of the others, and all of them pay for it.
 */
uint32_t latency_probe_us(const struct latency *latency);
