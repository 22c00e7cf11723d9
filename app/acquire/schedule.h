/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * When each meter of a bus is asked next. Pure: takes the monotonic time, in us, as an argument.
 *
 * A meter's slices begin at start + k * interval, for ever: there is no drift. A slice that could not begin before
 * the next one does is skipped and counted, never made up for, so polls never bunch (ES-13). Of several meters that
 * are due the next in turn is taken, so that on a bus with more to do than time all are asked equally often.
 * A silent meter leaves its slices for single probes at times of their own: it has no turn to wait for, which on a slow
 * bus would take longer than it may stay unfound, but between two probes whoever else is due has one.
 */

#include "app/base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct schedule_entry {
    uint64_t interval_us;
    uint64_t next_us;      // when it is due
    bool probe;            // not a slice of its own
    uint64_t taken_us;     // when it was asked last
    uint64_t skipped;      // slices that passed without a poll, since the start
};

struct schedule {
    uint64_t start_us;
    unsigned count;
    unsigned turn;         // where to begin looking for one that is due
    bool probed;           // the last that was taken was a probe
    struct schedule_entry *entries;
};

/* All are due at start_us. Errors: -ENOMEM. Cleared with schedule_clear(). */
int schedule_init(struct schedule *ret, uint64_t start_us, unsigned count) MUST_CHECK;
void schedule_set_interval(struct schedule *schedule, unsigned index, uint64_t interval_us);
void schedule_clear(struct schedule *schedule);

/* The next that is due, or -1; then *ret_wait_until_us is when the first will be. */
int schedule_next(const struct schedule *schedule, uint64_t now_us, uint64_t *ret_wait_until_us);

/*
 * It is asked now, for the slice that now is in; its next turn is the slice after that, until schedule_probe() says
 * otherwise. Returns the slice's number, from 0.
 */
uint64_t schedule_take(struct schedule *schedule, unsigned index, uint64_t now_us);

/* It is asked next at that time, outside of its slices. */
void schedule_probe(struct schedule *schedule, unsigned index, uint64_t next_us);

/* It is not asked in the slice that now is in: no time for it. */
void schedule_skip(struct schedule *schedule, unsigned index, uint64_t now_us);

/* The slice that a time is in, from 0, and when a slice begins. */
uint64_t schedule_slice(const struct schedule *schedule, unsigned index, uint64_t now_us);
uint64_t schedule_slice_us(const struct schedule *schedule, unsigned index, uint64_t slice);
