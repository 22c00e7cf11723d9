/* SPDX-License-Identifier: MIT */
#include "app/acquire/average.h"

#include "app/base/text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

/*
 * The mean is the first value plus the mean distance to it, so that a value that stands still comes out as it went
 * in: three times 230.1 is 230.1 and not 230.09999999999997.
 */
struct cell {
    double first;
    double distance;      // sum of (value - first)
    double last;
    unsigned count;
    bool is_mean;
    uint8_t reason;       // why the last poll did not have it
};

struct average {
    uint64_t period_us;
    uint64_t period;      // of the polls it holds
    unsigned poll_count;
    uint64_t boot_ms;
    char meter[METER_ID_SIZE];
    unsigned cell_count;
    struct cell cells[];
};

int average_new(const struct layout *layout, uint64_t period_us, struct average **ret)
{
    struct average *average;

    average = calloc(1, sizeof(*average) + layout->count * sizeof(average->cells[0]));
    if (!average) {
        return -ENOMEM;
    }

    average->period_us = MAX(period_us, (uint64_t) 1);
    average->cell_count = layout->count;
    for (unsigned i = 0; i < layout->count; i++) {
        const struct column *column = &layout->columns[i];

        average->cells[i].is_mean = column->quantity && column->quantity->kind == QUANTITY_GAUGE &&
                                    text_equal(quantity_bank(column->name), "");
    }

    *ret = average;
    return 0;
}

void average_free(struct average *average)
{
    free(average);
}

void average_add(struct average *average, const struct sample *sample, uint64_t slice_us)
{
    if (average->poll_count == 0) {
        average->period = slice_us / average->period_us;
    }
    average->poll_count++;
    average->boot_ms = sample->boot_ms;
    (void) snprintf(average->meter, sizeof(average->meter), "%s", sample->meter);

    for (unsigned i = 0; i < MIN(average->cell_count, sample->value_count); i++) {
        struct cell *cell = &average->cells[i];

        if (isnan(sample->values[i])) {
            cell->reason = sample->reasons[i];
            continue;
        }
        if (cell->count == 0) {
            cell->first = sample->values[i];
        }
        cell->count++;
        cell->distance += sample->values[i] - cell->first;
        cell->last = sample->values[i];
    }
}

bool average_is_due(const struct average *average, uint64_t next_slice_us)
{
    return average->poll_count > 0 && next_slice_us / average->period_us > average->period;
}

static double cell_value(const struct cell *cell)
{
    if (cell->count == 0) {
        return NAN;
    }
    return cell->is_mean ? cell->first + cell->distance / cell->count : cell->last;
}

bool average_take(struct average *average, struct sample *ret)
{
    if (average->poll_count == 0) {
        return false;
    }

    sample_clear(ret, average->meter, average->cell_count, REASON_NONE);
    ret->boot_ms = average->boot_ms;
    for (unsigned i = 0; i < average->cell_count; i++) {
        struct cell *cell = &average->cells[i];

        ret->values[i] = cell_value(cell);
        ret->reasons[i] = cell->count == 0 ? cell->reason : REASON_NONE;
        *cell = (struct cell){ .is_mean = cell->is_mean };
    }
    average->poll_count = 0;
    return true;
}
