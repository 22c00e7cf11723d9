/* SPDX-License-Identifier: MIT */

#include "app/outlet/page_data.h"

#include "app/base/clock.h"
#include "app/outlet/page_calendar.h"
#include "app/outlet/page_data_private.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum stage { STAGE_METERS, STAGE_RUNS, STAGE_PREPARE, STAGE_EVENTS, STAGE_TASKS, STAGE_DONE };

/* What people look at first, first: 100 + n is month n, n is day n. */
#define MONTH 100
static const int tasks[] = { MONTH + 0, MONTH + 1, 0, 1, MONTH + 2, MONTH + 3, MONTH + 4, MONTH + 5, MONTH + 6,
                             MONTH + 7, MONTH + 8, MONTH + 9, MONTH + 10, MONTH + 11, MONTH + 12, 2, 3, 4, 5, 6 };

static_assert(ARRAY_SIZE(tasks) == PAGE_DAYS + PAGE_MONTHS, "each day and month is a task");

int page_data_new(struct journal *journal, struct page_data **ret)
{
    struct page_data *data = calloc(1, sizeof(*data));

    if (!data) {
        return -ENOMEM;
    }

    data->journal = journal;
    *ret = data;
    return 0;
}

void page_data_free(struct page_data *data)
{
    if (!data) {
        return;
    }

    page_meters_clear(&data->meters);
    page_runs_clear(&data->runs);
    page_levels_clear(&data->levels);
    free(data->task.ranges);
    free(data->day_energy);
    free(data->month_energy);
    free(data->day_power);
    free(data->quality);
    free(data->buckets);
    free(data->found);
    free(data->rows);
    free(data);
}

void page_data_freep(struct page_data **data)
{
    page_data_free(*data);
}

bool page_data_row_time(struct page_data *data, const struct journal_row *row, int64_t *ret_wall_ms)
{
    if (!data->last_run || data->last_run->epoch != row->epoch) {
        data->last_run = page_runs_find(&data->runs, row->epoch);
    }
    if (!data->last_run || !data->last_run->known) {
        return false;
    }

    *ret_wall_ms = data->last_run->zero_ms + (int64_t) row->boot_ms;
    return true;
}

void page_data_widen(struct page_energy *energy, uint64_t seq, int64_t wall_ms, double wh)
{
    if (energy->first_seq == 0 || seq < energy->first_seq) {
        energy->first_seq = seq;
        energy->first_ms = wall_ms;
        energy->first = wh;
    }
    if (seq > energy->last_seq) {
        energy->last_seq = seq;
        energy->last_ms = wall_ms;
        energy->last = wh;
    }
}

/* --- the days: each row is read --- */

static void take_power(struct page_data *data, unsigned meter, unsigned day, int64_t wall_ms, double watt)
{
    struct page_power *power = &data->day_power[meter * PAGE_DAYS + day];
    uint64_t at = (uint64_t) (wall_ms - data->days[PAGE_DAYS]) / PAGE_BUCKET_MS;

    power->min = power->count > 0 ? MIN(power->min, watt) : watt;
    power->max = power->count > 0 ? MAX(power->max, watt) : watt;
    power->sum += watt;
    power->count++;
    if (meter < PAGE_CURVES_MAX && at < PAGE_BUCKETS) {
        struct page_bucket *bucket = &data->buckets[meter * PAGE_BUCKETS + at];

        bucket->min = bucket->count > 0 ? MIN(bucket->min, (float) watt) : (float) watt;
        bucket->max = bucket->count > 0 ? MAX(bucket->max, (float) watt) : (float) watt;
        bucket->count++;
        bucket->mean += ((float) watt - bucket->mean) / (float) bucket->count;
    }
}

static void take_row(struct page_data *data, const struct journal_row *row)
{
    const struct page_columns *columns = page_meters_columns(&data->meters, row->meter);
    struct page_quality *quality;
    unsigned day = 0;
    int64_t wall_ms;
    double watt;

    if (!columns || !page_data_row_time(data, row, &wall_ms) || wall_ms >= data->days[0] ||
        wall_ms < data->days[PAGE_DAYS]) {
        return;
    }
    while (wall_ms < data->days[day + 1]) {
        day++;
    }

    quality = &data->quality[columns->meter];
    quality->rows++;
    quality->missing += strchr(row->quality, 'm') != NULL;
    quality->held += strchr(row->quality, 'g') != NULL;
    quality->corrected += row->quality[0] == CLOCK_ESTIMATED || row->quality[0] == CLOCK_UNKNOWN;
    for (unsigned i = 0; i < PAGE_SERIES; i++) {
        double wh = page_meters_value(row, columns->energy[i]);

        if (!isnan(wh)) {
            page_data_widen(&data->day_energy[(columns->meter * PAGE_SERIES + i) * PAGE_DAYS + day], row->seq, wall_ms,
                            wh);
        }
    }
    watt = page_meters_value(row, columns->power);
    if (!isnan(watt)) {
        take_power(data, columns->meter, day, wall_ms, watt);
    }
}

/* Returns 1 if there is more of the day, 0 at its end. */
static int read_day(struct page_data *data, uint64_t until_ms)
{
    struct page_task *task = &data->task;

    while (task->range < task->range_count) {
        const struct page_range *range = &task->ranges[task->range];
        int n;

        task->next = MAX(task->next, range->first);
        n = journal_read(data->journal, task->next - 1, NULL, data->rows, PAGE_BATCH_ROWS);
        if (n < 0) {
            return n;
        }
        for (int i = 0; i < n && data->rows[i].seq <= range->last; i++) {
            take_row(data, &data->rows[i]);
        }
        data->looked_at += (uint64_t) n;
        task->next = n > 0 ? data->rows[n - 1].seq + 1 : range->last + 1;
        if (task->next > range->last) {
            task->range++;
            task->next = 0;
        }
        if (clock_monotonic_ms() >= until_ms) {
            return 1;
        }
    }

    return 0;
}

/* --- one after another --- */

/* Where the rows of a period are. slack_ms: so much around it as well. */
static int plan(struct page_data *data, int64_t begin_ms, int64_t end_ms)
{
    struct page_task *task = &data->task;
    int r;

    free(task->ranges);
    *task = (struct page_task){ .ranges = calloc(MAX(data->runs.count, 1u), sizeof(*task->ranges)) };
    if (!task->ranges) {
        return -ENOMEM;
    }

    for (unsigned i = data->runs.count; i > 0; i--) {
        const struct page_run *run = &data->runs.runs[i - 1];
        struct page_range range;

        if (!run->known || run->zero_ms + (int64_t) run->first_boot_ms > end_ms + PAGE_RUNS_SLACK_MS ||
            run->zero_ms + (int64_t) run->last_boot_ms < begin_ms - PAGE_RUNS_SLACK_MS) {
            continue;
        }
        r = page_runs_seek(run, data->journal, begin_ms, &range.first);
        if (r >= 0) {
            r = page_runs_seek(run, data->journal, end_ms, &range.last);
        }
        if (r < 0) {
            return r;
        }
        if (range.last > range.first) {
            range.last--;
            task->ranges[task->range_count++] = range;
        }
    }

    task->planned = true;
    return 0;
}

/* Rows stand nearly in the order of their time: what lies a little beyond a month's ends may be in it. */
static int plan_month(struct page_data *data, unsigned month)
{
    return plan(data, data->months[month + 1] - PAGE_RUNS_SLACK_MS, data->months[month] + PAGE_RUNS_SLACK_MS);
}

/* The days share the rows among them, so that none is read twice; only where the oldest begins there may be more. */
static int plan_day(struct page_data *data, unsigned day)
{
    return plan(data, data->days[day + 1] - (day + 1 == PAGE_DAYS ? PAGE_RUNS_SLACK_MS : 0),
                data->days[day] + (day == 0 ? PAGE_RUNS_SLACK_MS : 0));
}

/* The task at hand. Returns 1 if there is more of it. */
static int do_task(struct page_data *data, uint64_t until_ms)
{
    int task = tasks[data->task_index];
    int r = 0;

    if (!data->task.planned) {
        r = task < MONTH ? plan_day(data, (unsigned) task) : plan_month(data, (unsigned) (task - MONTH));
    }
    if (r >= 0) {
        r = task < MONTH ? read_day(data, until_ms) : page_data_search_month(data, (unsigned) (task - MONTH), until_ms);
    }
    if (r != 0) {
        return r;
    }

    if (task < MONTH) {
        data->day_done[task] = true;
    } else {
        data->month_done[task - MONTH] = true;
    }
    data->task.planned = false;
    data->task_index++;
    return 0;
}

static void take_event(void *user, const struct journal_event *event)
{
    struct page_data *data = user;

    page_levels_take(&data->levels, &data->meters, event);
}

/* Days and months around the newest row, and room for what is found. */
static int prepare(struct page_data *data)
{
    const size_t meters = MAX(data->meters.count, 1u);

    data->timed = page_runs_newest(&data->runs, &data->now_ms);
    for (int i = 0; i <= PAGE_DAYS && data->timed; i++) {
        data->days[i] = page_calendar_day(data->now_ms, 1 - i);
    }
    for (int i = 0; i <= PAGE_MONTHS && data->timed; i++) {
        data->months[i] = page_calendar_month(data->now_ms, 1 - i);
    }

    data->day_energy = calloc(meters * PAGE_SERIES * PAGE_DAYS, sizeof(*data->day_energy));
    data->month_energy = calloc(meters * PAGE_SERIES * PAGE_MONTHS, sizeof(*data->month_energy));
    data->day_power = calloc(meters * PAGE_DAYS, sizeof(*data->day_power));
    data->quality = calloc(meters, sizeof(*data->quality));
    data->buckets = calloc(MIN(meters, (size_t) PAGE_CURVES_MAX) * PAGE_BUCKETS, sizeof(*data->buckets));
    data->found = calloc(meters, sizeof(*data->found));
    data->rows = calloc(PAGE_BATCH_ROWS, sizeof(*data->rows));
    return data->day_energy && data->month_energy && data->day_power && data->quality && data->buckets && data->found &&
                   data->rows
               ? 0
               : -ENOMEM;
}

/* Slices without a row, of the days of the page. */
static void count_absences(struct page_data *data)
{
    for (unsigned i = 0; i < data->levels.absence_count; i++) {
        const struct page_absence *absence = &data->levels.absences[i];
        const struct page_run *run = page_runs_find(&data->runs, absence->epoch);
        int64_t wall_ms = run ? run->zero_ms + (int64_t) absence->boot_ms : 0;

        if (run && run->known && wall_ms >= data->days[PAGE_DAYS] && wall_ms < data->days[0]) {
            data->quality[absence->meter].slices_without += absence->slices;
        }
    }
}

static int do_stage(struct page_data *data, uint64_t until_ms)
{
    int r;

    switch ((enum stage) data->stage) {
    case STAGE_METERS:
        page_meters_clear(&data->meters);
        r = page_meters_load(&data->meters, data->journal);
        break;
    case STAGE_RUNS:
        r = page_runs_step(&data->runs, data->journal);
        break;
    case STAGE_PREPARE:
        r = prepare(data);
        break;
    case STAGE_EVENTS:
        r = journal_events_back(data->journal, &data->walk, PAGE_LEVELS_CODES, take_event, data);
        if (r == 0) {
            count_absences(data);
            r = data->levels.failed ? -ENOMEM : 0;
        }
        break;
    case STAGE_TASKS:
        r = data->timed && data->task_index < ARRAY_SIZE(tasks) && data->looked_at < PAGE_DATA_ROWS_MAX ? 1 : 0;
        if (r > 0) {
            r = do_task(data, until_ms);
            r = r == 0 ? 1 : r;
        }
        break;
    case STAGE_DONE:
        return 0;
    default:
        return -EINVAL;
    }

    data->stage += r == 0;
    return r < 0 ? r : 1;
}

int page_data_step(struct page_data *data, uint64_t until_ms)
{
    uint64_t after;
    int r;

    do {
        r = do_stage(data, until_ms);
    } while (r > 0 && clock_monotonic_ms() < until_ms);

    (void) journal_take_gap(data->journal, &after);  // what is told of gaps is told of the rows that a stick carries
    return r;
}
