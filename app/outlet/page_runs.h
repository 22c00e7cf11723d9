/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The journal as runs of rows of one epoch: within a run wall time is boot clock plus a number, so a moment is found in
 * it by a few seeks. A box that runs undisturbed has one run for months.
 */

#include "app/journal/journal.h"

#define PAGE_RUNS_MAX    2048    // the newest; a boot each four hours for a year
#define PAGE_RUNS_SLACK_MS 120000  // rows stand in the journal in the order of their commit, nearly that of their time

struct page_run {
    uint64_t first_seq, last_seq;
    uint64_t first_boot_ms, last_boot_ms;
    int64_t epoch;
    bool known;         // its time is known by now
    int64_t zero_ms;    // wall time of boottime zero, if known
};

struct page_runs {
    struct page_run *runs;  // newest first
    unsigned count;
    uint64_t before;        // rows from this seq on are in runs; 0: none are yet
};

/* One more run, older than those before. Returns 1, or 0 at the beginning of the journal. Errors: the journal's */
int page_runs_step(struct page_runs *runs, struct journal *journal) MUST_CHECK;
void page_runs_clear(struct page_runs *runs);

/* The run of an epoch; NULL: there is none. */
const struct page_run *page_runs_find(const struct page_runs *runs, int64_t epoch);

/* The newest moment that a row has; false: no row has a known time. */
bool page_runs_newest(const struct page_runs *runs, int64_t *ret_wall_ms);

/*
 * The first seq of a run at or after a moment, as far as rows are in order; last_seq + 1 if all are before. A run whose
 * time is not known has none.
 */
int page_runs_seek(const struct page_run *run, struct journal *journal, int64_t wall_ms, uint64_t *ret) MUST_CHECK;
