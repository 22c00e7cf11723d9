/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the journal's events say about the sums: where a counter's old level ended and the new one began
 * (docs/counters.md), and how many slices a meter has no row for. Pure.
 */

#include "app/journal/journal.h"
#include "app/outlet/page_meters.h"

/* Codes that page_levels_take() wants to see, as journal_events_back() takes them. */
#define PAGE_LEVELS_CODES " released back flapping skipped missing "

struct page_level {
    int64_t event;
    unsigned meter, series;
    uint64_t seq;       // the first row of the new level
    double correction;  // to be added to a difference across it; NAN: what was before is not known
};

struct page_absence {
    int64_t event;
    int64_t epoch;
    uint64_t boot_ms;
    unsigned meter;
    uint64_t slices;
};

struct page_levels {
    struct page_level *levels;
    unsigned level_count;
    struct page_absence *absences;
    unsigned absence_count;
    bool failed;        // no memory
};

/* Each event counts once, however often it is told. */
void page_levels_take(struct page_levels *levels, const struct page_meters *meters, const struct journal_event *event);
void page_levels_clear(struct page_levels *levels);

/* What to add to the difference of two readings of a series; NAN: it cannot be known. *ret_count: levels between. */
double page_levels_correction(const struct page_levels *levels, unsigned meter, unsigned series, uint64_t first_seq,
                              uint64_t last_seq, unsigned *ret_count);
