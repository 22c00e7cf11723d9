/* SPDX-License-Identifier: MIT */
#pragma once

/* What the page_data*.c files know of the page's data and nobody else does. */

#include "app/outlet/page_data.h"

#define PAGE_BATCH_ROWS 256  // half a megabyte: a call opens the newest segment anew

struct page_range {
    uint64_t first, last;
};

/* What is being done: a day is read, or the ends of a month are looked for. */
struct page_task {
    bool planned;
    struct page_range *ranges;   // the rows of the period, oldest first
    unsigned range_count;
    unsigned range;              // at which we are
    uint64_t next;               // day: the row to go on with; month: so many rows of the range are looked through
    bool backward;               // month
    bool near_done;              // month: the end of the range was looked at for all meters
    unsigned meter;              // month: then for each one
};

struct page_data {
    struct journal *journal;
    unsigned stage, task_index;
    bool timed;                  // now_ms is known
    int64_t now_ms;
    int64_t days[PAGE_DAYS + 1];      // where they begin; 0 is tomorrow, 1 today...
    int64_t months[PAGE_MONTHS + 1];
    struct page_meters meters;
    struct page_runs runs;
    struct page_levels levels;
    struct journal_event_walk walk;
    const struct page_run *last_run;  // of the last row

    bool day_done[PAGE_DAYS], month_done[PAGE_MONTHS];
    struct page_energy *day_energy;      // [meter][series][day]
    struct page_energy *month_energy;    // [meter][series][month]
    struct page_power *day_power;        // [meter][day]
    struct page_quality *quality;        // [meter]
    struct page_bucket *buckets;         // [meter < PAGE_CURVES_MAX][PAGE_BUCKETS]
    unsigned char *found;                // [meter], of the month that is looked for
    struct journal_row *rows;            // PAGE_BATCH_ROWS
    struct page_task task;
    uint64_t looked_at;
};

/* page_data.c */
bool page_data_row_time(struct page_data *data, const struct journal_row *row, int64_t *ret_wall_ms);

/* Take a reading as the first and the last of a period if it is. */
void page_data_widen(struct page_energy *energy, uint64_t seq, int64_t wall_ms, double wh);

/* page_data_month.c: the ends of a month. Returns 1 if there is more, 0 if it is done */
int page_data_search_month(struct page_data *data, unsigned month, uint64_t until_ms) MUST_CHECK;
