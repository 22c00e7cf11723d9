/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What acquire says of itself: the members of its status file beyond those of every program. Pure.
 *
 *     meters   name, state, committed_boot_ms, slice_ms, next_probe_s, last_error; also the measured cycle_ms (VK-04)
 *              and latency_ms, skipped slices, and the last values by name
 *     clock    known, quality
 *     journal  id, seq, state; lost, if rows could not be kept
 *     inbox    []  (nothing is taken from an inbox yet)
 */

#include "app/acquire/bus.h"
#include "app/acquire/writer.h"
#include "app/base/text.h"

/* One meter, as its bus and the writer know it. */
struct report_meter {
    const char *name;
    const struct layout *layout;
    const struct bus_meter_status *status;
    const double *values;            // [status->value_count]
    uint64_t committed_boot_ms;      // 0: none yet
    uint32_t row_ms;                 // between rows: interval or log_every
    uint64_t now_us;
};

/* "live", "silent", "refused" */
const char *report_meter_state(enum health_state state);

void report_add_meter(struct text *text, const struct report_meter *meter);
void report_add_clock(struct text *text, enum clock_quality quality);
void report_add_journal(struct text *text, const struct writer_status *status);
