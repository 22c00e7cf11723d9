/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is on the page, as far as it is known by now. It is gathered in small steps, since 400 days of 79 meters are 270
 * million rows: the energy of months by seeks to their ends, the last days by reading them, newest first, up to
 * PAGE_DATA_ROWS_MAX rows in all. Days and months are those of the newest row, not of a clock.
 *
 * A period's energy is its last reading minus its first, each level of the counter for itself (docs/counters.md).
 */

#include "app/journal/journal.h"
#include "app/outlet/page_levels.h"
#include "app/outlet/page_meters.h"
#include "app/outlet/page_runs.h"

#define PAGE_DAYS          7          // the last one is today
#define PAGE_MONTHS        13         // so that each month is there beside the one a year before
#define PAGE_BUCKET_MS     1800000    // of the curve of power
#define PAGE_BUCKETS       (PAGE_DAYS * 48 + 4)  // two days of a year have another hour
#define PAGE_CURVES_MAX    100        // meters with a curve: memory, and what fits in the page
#define PAGE_DATA_ROWS_MAX 40000000   // looked at for one page: minutes of a small machine

struct page_energy {
    uint64_t first_seq, last_seq;     // 0: no reading
    int64_t first_ms, last_ms;        // wall time
    double first, last;               // Wh
};

struct page_power {
    double min, max, sum;             // W
    uint32_t count;
};

struct page_bucket {
    float min, max, mean;             // W
    uint32_t count;                   // 0: nothing is known of it
};

/* Of a meter's rows in the days of the page. */
struct page_quality {
    uint64_t rows, missing, held, corrected, slices_without;
};

struct page_data;

#define auto_page_data CLEANUP(page_data_freep)

/* The journal is the caller's. Errors: -ENOMEM */
int page_data_new(struct journal *journal, struct page_data **ret) MUST_CHECK;
void page_data_free(struct page_data *data);
void page_data_freep(struct page_data **data);

/*
 * Go on until that time (monotonic ms). Returns 1 if there is more, 0 if all is known.
 * Errors: the journal's. -EAGAIN: go on later
 */
int page_data_step(struct page_data *data, uint64_t until_ms) MUST_CHECK;

/* Whether enough is known for a page: the meters, and what the last moment is. */
bool page_data_can_show(const struct page_data *data);

/* How it is read: index 0 is the newest day, the newest month. */
const struct page_meters *page_data_meters(const struct page_data *data);
bool page_data_now(const struct page_data *data, int64_t *ret_wall_ms);   // of the newest row; false: no time is known
int64_t page_data_day(const struct page_data *data, unsigned index);      // where it begins; PAGE_DAYS at most
bool page_data_day_is_read(const struct page_data *data, unsigned index);
int64_t page_data_day_end(const struct page_data *data, unsigned index);
int64_t page_data_month(const struct page_data *data, unsigned index);
uint64_t page_data_unknown_rows(const struct page_data *data);            // about: rows whose time is not known

enum page_known {
    PAGE_NONE,       // no reading: the period was looked through
    PAGE_PENDING,    // not looked through yet
    PAGE_UNCERTAIN,  // readings, but what the counter did between them is not known
    PAGE_KNOWN,
};

/* What was used in a period. */
struct page_use {
    enum page_known known;
    double wh;            // of PAGE_KNOWN
    unsigned levels;      // how often the counter began anew in it
    int64_t from_ms, to_ms;  // wall time of the two readings
};

struct page_use page_data_day_use(const struct page_data *data, unsigned meter, unsigned series, unsigned day);
struct page_use page_data_month_use(const struct page_data *data, unsigned meter, unsigned series, unsigned month);
enum page_known page_data_day_power(const struct page_data *data, unsigned meter, unsigned day,
                                    struct page_power *ret);

/* NULL: this meter has no curve. Buckets count from the beginning of the oldest day. */
const struct page_bucket *page_data_curve(const struct page_data *data, unsigned meter, unsigned *ret_count);
const struct page_quality *page_data_quality(const struct page_data *data, unsigned meter);

/* Whether the meter has any row in the days, or any reading in the months. */
bool page_data_is_seen(const struct page_data *data, unsigned meter);
