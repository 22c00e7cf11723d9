/* SPDX-License-Identifier: MIT */

/*
 * The first and the last reading of each meter in a month, without reading what is between: at each end a few slices
 * have nearly all meters. One that was silent then is looked for on its own, further and further in.
 */

#include "app/outlet/page_data_private.h"

#include "app/base/clock.h"

#include <limits.h>
#include <math.h>

#define CHUNK_ROWS    20000  // a meter's rows among so many are found in some 10 ms
#define PATIENCE_ROWS 64     // of a meter, for a second counter that has no value

enum found {
    FOUND_NOTHING,
    FOUND_ALL = 255,         // between: so many rows had a first counter only
};

struct look {
    struct page_data *data;
    unsigned month;
    unsigned meter;          // UINT_MAX: all
    unsigned missing;        // meters not found yet
};

static struct page_energy *energy_of(struct page_data *data, unsigned meter, unsigned series, unsigned month)
{
    return &data->month_energy[(meter * PAGE_SERIES + series) * PAGE_MONTHS + month];
}

static void take_end(struct page_energy *energy, bool backward, const struct journal_row *row, int64_t wall_ms,
                     double wh)
{
    if (!backward && (energy->first_seq == 0 || row->seq < energy->first_seq)) {
        energy->first_seq = row->seq;
        energy->first_ms = wall_ms;
        energy->first = wh;
    } else if (backward && row->seq > energy->last_seq) {
        energy->last_seq = row->seq;
        energy->last_ms = wall_ms;
        energy->last = wh;
    }
}

static bool has_end(const struct page_energy *energy, bool backward)
{
    return backward ? energy->last_seq > 0 : energy->first_seq > 0;
}

static bool see_row(void *user, const struct journal_row *row)
{
    struct look *look = user;
    struct page_data *data = look->data;
    const struct page_columns *columns = page_meters_columns(&data->meters, row->meter);
    const bool backward = data->task.backward;
    unsigned char *found;
    bool all = true;
    int64_t wall_ms;

    if (!columns || !page_data_row_time(data, row, &wall_ms) || wall_ms < data->months[look->month + 1] ||
        wall_ms >= data->months[look->month]) {
        return true;
    }
    found = &data->found[columns->meter];
    if (*found == FOUND_ALL) {
        return look->missing > 0;
    }

    for (unsigned i = 0; i < PAGE_SERIES; i++) {
        struct page_energy *energy = energy_of(data, columns->meter, i, look->month);
        double wh = page_meters_value(row, columns->energy[i]);

        if (!has_end(energy, backward) && !isnan(wh)) {
            take_end(energy, backward, row, wall_ms, wh);
        }
        all = all && (!*data->meters.meters[columns->meter].energy[i] || has_end(energy, backward));
    }
    if (has_end(energy_of(data, columns->meter, 0, look->month), backward)) {
        *found = all || *found >= PATIENCE_ROWS ? FOUND_ALL : (unsigned char) (*found + 1);
    }
    look->missing -= *found == FOUND_ALL;
    return *found != FOUND_ALL || (look->meter == UINT_MAX && look->missing > 0);
}

/* Who has to be looked for from this end. */
static void begin_direction(struct page_data *data, unsigned month)
{
    for (unsigned i = 0; i < data->meters.count; i++) {
        bool wanted = *data->meters.meters[i].energy[0] &&
                      (!data->task.backward || energy_of(data, i, 0, month)->first_seq > 0);

        data->found[i] = wanted ? FOUND_NOTHING : FOUND_ALL;
    }
}

static unsigned count_missing(const struct page_data *data)
{
    unsigned missing = 0;

    for (unsigned i = 0; i < data->meters.count; i++) {
        missing += data->found[i] != FOUND_ALL;
    }
    return missing;
}

/* So many rows of a range, from the end that we come from, behind those that were looked through. */
static int look(struct page_data *data, const struct page_range *range, uint64_t count, struct look *look)
{
    struct page_task *task = &data->task;
    struct journal_search search = { .newest_first = task->backward, .each = see_row, .data = look };

    count = MIN(count, range->last - range->first + 1 - task->next);
    search.after_seq = task->backward ? range->last - task->next - count : range->first - 1 + task->next;
    search.last_seq = search.after_seq + count;
    search.meter = look->meter == UINT_MAX ? NULL : data->meters.meters[look->meter].name;
    data->looked_at += count;
    return journal_search(data->journal, &search);
}

/* One step in a range. Returns 1 if there is more in it, 0 if there is nothing left to look for. */
static int look_further(struct page_data *data, unsigned month, const struct page_range *range)
{
    struct page_task *task = &data->task;
    const uint64_t size = range->last - range->first + 1;
    const uint64_t near_rows = MIN(size, (uint64_t) 256 + 8 * data->meters.count);
    struct look at = { .data = data, .month = month, .meter = UINT_MAX, .missing = count_missing(data) };
    int r;

    if (at.missing == 0) {
        return 0;
    }
    if (!task->near_done) {
        r = look(data, range, near_rows, &at);
        task->near_done = r >= 0;
        task->next = near_rows;
        task->meter = 0;
        return r < 0 ? r : 1;
    }

    while (task->meter < data->meters.count && data->found[task->meter] == FOUND_ALL) {
        task->meter++;
        task->next = near_rows;
    }
    if (task->meter == data->meters.count) {
        return 0;
    }
    if (task->next >= size) {
        task->meter++;
        task->next = near_rows;
        return 1;
    }

    at.meter = task->meter;
    r = look(data, range, CHUNK_ROWS, &at);
    task->next += r < 0 ? 0 : CHUNK_ROWS;
    return r < 0 ? r : 1;
}

int page_data_search_month(struct page_data *data, unsigned month, uint64_t until_ms)
{
    struct page_task *task = &data->task;
    unsigned at;
    int r;

    for (;;) {
        if (task->range == 0 && !task->near_done) {
            begin_direction(data, month);
        }
        if (task->range == task->range_count) {
            if (task->backward) {
                return 0;
            }
            task->backward = true;
            task->range = 0;
            task->near_done = false;
            task->next = 0;
            continue;
        }

        at = task->backward ? task->range_count - 1 - task->range : task->range;
        r = look_further(data, month, &task->ranges[at]);
        if (r < 0) {
            return r;
        }
        if (r == 0) {
            task->range++;
            task->near_done = false;
            task->next = 0;
        }
        if (clock_monotonic_ms() >= until_ms || data->looked_at >= PAGE_DATA_ROWS_MAX) {
            return 1;
        }
    }
}
