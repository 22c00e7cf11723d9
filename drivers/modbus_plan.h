/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which registers to read together, so that a poll takes the fewest seconds of the bus.
 *
 * A request of w registers costs  (8 + 5 + 2w) characters + 2 silences + the meter's turnaround;  on TCP, where
 * characters cost nothing, a request costs its round trip. Dynamic programming over the sorted points weighs
 * reading a gap against one more request. Pure.
 */

#include "app/base/macros.h"
#include "drivers/modbus_frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Registers that belong together and are never split: one point. */
struct plan_span {
    enum modbus_table table;
    uint16_t address;   // on the wire
    uint16_t count;
};

/* One request. */
struct plan_block {
    enum modbus_table table;
    uint16_t address;
    uint16_t count;
};

/* Both ends included, on the wire. */
struct plan_range {
    enum modbus_table table;
    uint16_t first;
    uint16_t last;
};

struct plan_limits {
    unsigned max_registers;            // of a request
    bool even;                         // requests start at even addresses and take an even number of registers
    bool read_gaps;                    // may a request read registers that nobody asked for?
    const struct plan_range *avoid;    // registers that no request may touch unless a point is there
    size_t avoid_count;
};

struct plan_timing {
    double character_us;               // 0 on TCP
    double silence_us;                 // 0 on TCP
    double turnaround_us;              // from the request's end (TCP: its sending) to the answer's first character
    double max_hold_us;                // a request with time-out fits into this; 0 = no limit
    double timeout_us;                 // how long an answer may be late
};

/* Bus time of a request that reads so many registers. */
double plan_block_us(const struct plan_timing *timing, unsigned register_count);
double plan_us(const struct plan_timing *timing, const struct plan_block *blocks, size_t block_count);

/*
 * Make the plan. Spans may come in any order, overlap and repeat; each is inside one block.
 * Returns the number of blocks, at most span_count, in the order of tables and addresses.
 *
 * Errors: -EMSGSIZE a span is longer than max_registers    -ENOMEM
 */
int plan_make(const struct plan_span *spans, size_t span_count, const struct plan_limits *limits,
              const struct plan_timing *timing, struct plan_block *ret_blocks) MUST_CHECK;
