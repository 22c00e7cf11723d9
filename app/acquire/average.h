/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * log_every: several polls become one row (CVM-04). Gauges are averaged over the polls that had them; counters, facts
 * and the meter's own maxima and minima are the last that came. What never came in the period is missing, for the
 * reason of the last poll. The row carries the time of the last poll and no raw words. Pure.
 */

#include "app/base/macros.h"
#include "drivers/sample.h"

#include <stdbool.h>
#include <stdint.h>

struct average;

/* The layout is the caller's and outlives it. Errors: -ENOMEM. The caller frees *ret with average_free(). */
int average_new(const struct layout *layout, uint64_t period_us, struct average **ret) MUST_CHECK;
void average_free(struct average *average);

/* Take a poll into the row. slice_us: when its slice began, since the start. */
void average_add(struct average *average, const struct sample *sample, uint64_t slice_us);

/* Whether the period of the polls that it holds has ended when the next slice begins; false if it holds none. */
bool average_is_due(const struct average *average, uint64_t next_slice_us);

/* The row so far, into *ret; empty afterwards. Returns false if there is none. */
bool average_take(struct average *average, struct sample *ret);
