/* SPDX-License-Identifier: MIT */

#include "app/outlet/page_runs.h"

#include "app/journal/segment.h"

#include <errno.h>
#include <stdlib.h>

void page_runs_clear(struct page_runs *runs)
{
    free(runs->runs);
    *runs = (struct page_runs){};
}

/* The first row at or after a seq. It is there unless the journal was pruned just now. */
static int probe(struct journal *journal, uint64_t seq, struct journal_row *ret)
{
    int r = journal_read(journal, seq - 1, NULL, ret, 1);

    return r == 0 ? -EAGAIN : MIN(r, 0);
}

/* Between a row outside and a row of the run. Epochs are numbered in the order in which they were. */
static int narrow(struct journal *journal, uint64_t outside, uint64_t inside, struct journal_row *first)
{
    const int64_t epoch = first->epoch;

    while (inside - outside > 1) {
        uint64_t middle = outside + (inside - outside) / 2;
        struct journal_row row;
        int r = probe(journal, middle, &row);

        if (r < 0) {
            return r;
        }
        if (row.epoch == epoch) {
            inside = middle;
            *first = row;
        } else {
            outside = MAX(row.seq, middle);
        }
    }

    return 0;
}

/* first: a row of the run; becomes its first one. */
static int find_begin(struct journal *journal, struct journal_row *first)
{
    const uint64_t block = MAX(first->seq / SEGMENT_BOOT_ROWS * SEGMENT_BOOT_ROWS, (uint64_t) 1);
    const int64_t epoch = first->epoch;
    uint64_t inside = first->seq;
    struct journal_row row;
    int r;

    r = probe(journal, block, &row);
    if (r < 0) {
        return r;
    }
    if (row.epoch == epoch) {
        *first = row;  // most boots have one epoch
        return 0;
    }

    for (uint64_t step = 1; inside > block; step *= 2) {
        uint64_t at = inside - block > step ? inside - step : block;

        r = probe(journal, at, &row);
        if (r < 0) {
            return r;
        }
        if (row.epoch != epoch) {
            return narrow(journal, row.seq, inside, first);
        }
        inside = at;
        *first = row;
    }
    return 0;
}

int page_runs_step(struct page_runs *runs, struct journal *journal)
{
    struct journal_row last, first;
    struct page_run run;
    struct page_run *grown;
    char quality[4];
    int64_t wall_ms = 0;
    int r;

    if (runs->count == PAGE_RUNS_MAX) {
        return 0;
    }
    r = journal_read_back(journal, runs->before ? runs->before : UINT64_MAX, &last, 1);
    if (r <= 0) {
        return r;
    }

    first = last;
    r = find_begin(journal, &first);
    if (r >= 0) {
        r = journal_row_time(journal, &last, &wall_ms, quality);
    }
    if (r < 0) {
        return r;
    }

    grown = reallocarray(runs->runs, runs->count + 1, sizeof(*grown));
    if (!grown) {
        return -ENOMEM;
    }
    run = (struct page_run){ .first_seq = first.seq, .last_seq = last.seq, .epoch = last.epoch,
                             .first_boot_ms = first.boot_ms, .last_boot_ms = last.boot_ms,
                             .known = quality[0] != CLOCK_ESTIMATED && quality[0] != CLOCK_UNKNOWN };
    run.zero_ms = run.known ? wall_ms - (int64_t) last.boot_ms : 0;
    runs->runs = grown;
    grown[runs->count++] = run;
    runs->before = first.seq;
    return 1;
}

const struct page_run *page_runs_find(const struct page_runs *runs, int64_t epoch)
{
    for (unsigned i = 0; i < runs->count; i++) {
        if (runs->runs[i].epoch == epoch) {
            return &runs->runs[i];
        }
    }

    return NULL;
}

bool page_runs_newest(const struct page_runs *runs, int64_t *ret_wall_ms)
{
    for (unsigned i = 0; i < runs->count; i++) {
        if (runs->runs[i].known) {
            *ret_wall_ms = runs->runs[i].zero_ms + (int64_t) runs->runs[i].last_boot_ms;
            return true;
        }
    }

    return false;
}

int page_runs_seek(const struct page_run *run, struct journal *journal, int64_t wall_ms, uint64_t *ret)
{
    uint64_t low = run->first_seq, high = run->last_seq;  // the row at low is before, that at high is not
    uint64_t low_ms = run->first_boot_ms, high_ms = run->last_boot_ms;
    uint64_t wanted_ms;

    if (wall_ms - run->zero_ms <= (int64_t) low_ms) {
        *ret = run->first_seq;
        return 0;
    }
    wanted_ms = (uint64_t) (wall_ms - run->zero_ms);
    if (wanted_ms > high_ms) {
        *ret = run->last_seq + 1;
        return 0;
    }

    // Rows come at an even pace: most guesses are near, and each second step halves what is left.
    for (bool guess = true; high - low > 1; guess = !guess) {
        double share = (double) (wanted_ms - low_ms) / (double) MAX(high_ms - low_ms, (uint64_t) 1);
        uint64_t at = low + (guess ? (uint64_t) ((double) (high - low) * share) : (high - low) / 2);
        struct journal_row row;
        int r;

        at = MIN(MAX(at, low + 1), high - 1);
        r = probe(journal, at, &row);
        if (r < 0) {
            return r;
        }
        if (row.seq >= high || row.boot_ms >= wanted_ms) {
            high = at;
            high_ms = row.seq >= high ? high_ms : row.boot_ms;
        } else {
            low = row.seq;
            low_ms = MAX(row.boot_ms, low_ms);
        }
        high_ms = MAX(high_ms, wanted_ms);
        low_ms = MIN(low_ms, wanted_ms);
    }

    *ret = high;
    return 0;
}
