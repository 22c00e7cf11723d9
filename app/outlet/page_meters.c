/* SPDX-License-Identifier: MIT */

#include "app/outlet/page_meters.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first that a layout has, of those with the right unit. */
static const char *const power_names[] = { "power_active", "power_active_total", "power", NULL };
static const char *const energy_names[PAGE_SERIES][8] = {
    { "energy_active_import", "energy_active_import_total", "energy_active_import_f64", "energy_active_import_f32",
      "energy_active_total", "energy_active_sum", "energy_active_partial", NULL },
    { "energy_active_export", "energy_active_export_total", "energy_active_export_f64", "energy_active_export_f32",
      NULL },
};

static int find_with_unit(const struct layout *layout, const char *const *names, const char *unit)
{
    for (; *names; names++) {
        int at = layout_find(layout, *names);

        if (at >= 0 && text_equal(layout->columns[at].unit, unit)) {
            return at;
        }
    }

    return -1;
}

int page_meters_power(const struct layout *layout)
{
    int at = find_with_unit(layout, power_names, "W");

    for (unsigned i = 0; at < 0 && i < layout->count; i++) {
        const struct column *column = &layout->columns[i];

        // of many inputs the first; not "power_active_demand", and no highest or lowest one
        if (text_starts(column->name, "power_active_") && text_equal(column->unit, "W") &&
            !text_starts(column->name, "power_active_demand") && !strchr(column->name, '.')) {
            at = (int) i;
        }
    }
    return at;
}

int page_meters_energy(const struct layout *layout, unsigned series)
{
    return find_with_unit(layout, energy_names[series], "Wh");
}

double page_meters_value(const struct journal_row *row, int column)
{
    return column >= 0 && (unsigned) column < row->value_count ? row->values[column] : NAN;
}

int page_meters_find(const struct page_meters *meters, const char *name)
{
    for (unsigned i = 0; i < meters->count; i++) {
        if (text_equal(meters->meters[i].name, name)) {
            return (int) i;
        }
    }

    return -1;
}

static void copy_name(char ret[static QUANTITY_NAME_SIZE], const struct layout *layout, int column)
{
    (void) snprintf(ret, QUANTITY_NAME_SIZE, "%s", column >= 0 ? layout->columns[column].name : "");
}

static int add_meter(struct page_meters *meters, const struct journal_meter *from)
{
    struct page_meter *grown = reallocarray(meters->meters, meters->count + 1, sizeof(*grown));
    struct page_meter *meter;

    if (!grown) {
        meters->failed = true;
        return -1;
    }
    meters->meters = grown;

    meter = &grown[meters->count];
    *meter = (struct page_meter){};
    memcpy(meter->name, from->name, sizeof(meter->name));
    memcpy(meter->model, from->model, sizeof(meter->model));
    copy_name(meter->power, &from->layout, page_meters_power(&from->layout));
    for (unsigned i = 0; i < PAGE_SERIES; i++) {
        copy_name(meter->energy[i], &from->layout, page_meters_energy(&from->layout, i));
    }
    return (int) meters->count++;
}

/* Newest first: the first id of a name says what its columns are called. */
static void take_meter(void *data, const struct journal_meter *from)
{
    struct page_meters *meters = data;
    struct page_columns *grown;
    int index = page_meters_find(meters, from->name);

    if (index < 0 && meters->count < MAX_METERS) {
        index = add_meter(meters, from);
    }
    if (index < 0 || meters->failed) {
        return;
    }

    grown = reallocarray(meters->columns, meters->column_count + 1, sizeof(*grown));
    if (!grown) {
        meters->failed = true;
        return;
    }
    meters->columns = grown;
    meters->meters[index].first_id = from->id;
    grown[meters->column_count++] = (struct page_columns){
        .id = from->id,
        .meter = (unsigned) index,
        .power = (int16_t) layout_find(&from->layout, meters->meters[index].power),
        .energy = { (int16_t) layout_find(&from->layout, meters->meters[index].energy[0]),
                    (int16_t) layout_find(&from->layout, meters->meters[index].energy[1]) },
    };
}

static int compare_ids(const void *a, const void *b)
{
    const int64_t x = ((const struct page_meter *) a)->first_id, y = ((const struct page_meter *) b)->first_id;

    return (x > y) - (x < y);
}

static int compare_columns(const void *a, const void *b)
{
    const int64_t x = ((const struct page_columns *) a)->id, y = ((const struct page_columns *) b)->id;

    return (x > y) - (x < y);
}

/* Oldest id first, which is the order of the configuration; the columns follow their meters. */
static int sort(struct page_meters *meters)
{
    auto_free unsigned *place = calloc(MAX(meters->count, 1u), sizeof(*place));
    auto_free struct page_meter *before = calloc(MAX(meters->count, 1u), sizeof(*before));

    if (!place || !before || meters->count == 0) {
        return meters->count == 0 ? 0 : -ENOMEM;
    }

    memcpy(before, meters->meters, meters->count * sizeof(*before));
    qsort(meters->meters, meters->count, sizeof(*meters->meters), compare_ids);
    for (unsigned i = 0; i < meters->count; i++) {
        place[i] = (unsigned) page_meters_find(meters, before[i].name);
    }
    for (unsigned i = 0; i < meters->column_count; i++) {
        meters->columns[i].meter = place[meters->columns[i].meter];
    }
    qsort(meters->columns, meters->column_count, sizeof(*meters->columns), compare_columns);
    return 0;
}

int page_meters_load(struct page_meters *meters, struct journal *journal)
{
    int r;

    r = journal_each_meter(journal, take_meter, meters);
    if (r >= 0) {
        r = meters->failed ? -ENOMEM : sort(meters);
    }
    return r;
}

void page_meters_clear(struct page_meters *meters)
{
    free(meters->meters);
    free(meters->columns);
    *meters = (struct page_meters){};
}

const struct page_columns *page_meters_columns(const struct page_meters *meters, int64_t id)
{
    const struct page_columns wanted = { .id = id };

    return meters->column_count == 0 ? NULL
                                     : bsearch(&wanted, meters->columns, meters->column_count,
                                               sizeof(*meters->columns), compare_columns);
}
