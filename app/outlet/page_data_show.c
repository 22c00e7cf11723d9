/* SPDX-License-Identifier: MIT */

/* What was gathered, as the page asks for it. */

#include "app/outlet/page_data_private.h"

#include <math.h>

bool page_data_can_show(const struct page_data *data)
{
    return data->rows;  // prepared: the meters and the newest row are known
}

const struct page_meters *page_data_meters(const struct page_data *data)
{
    return &data->meters;
}

bool page_data_now(const struct page_data *data, int64_t *ret_wall_ms)
{
    if (data->timed) {
        *ret_wall_ms = data->now_ms;
    }
    return data->timed;
}

int64_t page_data_day(const struct page_data *data, unsigned index)
{
    return data->days[index + 1];
}

int64_t page_data_day_end(const struct page_data *data, unsigned index)
{
    return data->days[index];
}

bool page_data_day_is_read(const struct page_data *data, unsigned index)
{
    return data->day_done[index];
}

int64_t page_data_month(const struct page_data *data, unsigned index)
{
    return data->months[index + 1];
}

uint64_t page_data_unknown_rows(const struct page_data *data)
{
    uint64_t rows = 0;

    for (unsigned i = 0; i < data->runs.count; i++) {
        const struct page_run *run = &data->runs.runs[i];

        rows += run->known ? 0 : run->last_seq - run->first_seq + 1;
    }
    return rows;
}

static struct page_use use_of(const struct page_data *data, const struct page_energy *energy, unsigned meter,
                              unsigned series)
{
    struct page_use use = { .known = PAGE_NONE, .wh = NAN };

    if (energy->first_seq == 0 || energy->last_seq == 0) {
        return use;
    }

    use.from_ms = energy->first_ms;
    use.to_ms = energy->last_ms;
    use.wh = energy->last - energy->first +
             page_levels_correction(&data->levels, meter, series, energy->first_seq, energy->last_seq, &use.levels);
    use.wh = round(use.wh * 1e6) / 1e6;  // what a difference of doubles has beyond that is not the meter's
    use.known = use.wh >= 0 ? PAGE_KNOWN : PAGE_UNCERTAIN;
    return use;
}

struct page_use page_data_day_use(const struct page_data *data, unsigned meter, unsigned series, unsigned day)
{
    if (!data->day_done[day]) {
        return (struct page_use){ .known = PAGE_PENDING, .wh = NAN };
    }
    return use_of(data, &data->day_energy[(meter * PAGE_SERIES + series) * PAGE_DAYS + day], meter, series);
}

struct page_use page_data_month_use(const struct page_data *data, unsigned meter, unsigned series, unsigned month)
{
    if (!data->month_done[month]) {
        return (struct page_use){ .known = PAGE_PENDING, .wh = NAN };
    }
    return use_of(data, &data->month_energy[(meter * PAGE_SERIES + series) * PAGE_MONTHS + month], meter, series);
}

enum page_known page_data_day_power(const struct page_data *data, unsigned meter, unsigned day,
                                    struct page_power *ret)
{
    const struct page_power *power = &data->day_power[meter * PAGE_DAYS + day];

    if (!data->day_done[day]) {
        return PAGE_PENDING;
    }
    if (power->count == 0) {
        return PAGE_NONE;
    }

    *ret = *power;
    return PAGE_KNOWN;
}

const struct page_bucket *page_data_curve(const struct page_data *data, unsigned meter, unsigned *ret_count)
{
    *ret_count = (unsigned) ((data->days[0] - data->days[PAGE_DAYS]) / PAGE_BUCKET_MS);
    return meter < PAGE_CURVES_MAX ? &data->buckets[meter * PAGE_BUCKETS] : NULL;
}

const struct page_quality *page_data_quality(const struct page_data *data, unsigned meter)
{
    return &data->quality[meter];
}

bool page_data_is_seen(const struct page_data *data, unsigned meter)
{
    bool seen = data->quality[meter].rows > 0;

    for (unsigned i = 0; i < PAGE_SERIES * PAGE_MONTHS && !seen; i++) {
        seen = data->month_energy[meter * PAGE_SERIES * PAGE_MONTHS + i].first_seq > 0;
    }
    return seen;
}
