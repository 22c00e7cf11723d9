/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who is on the page, and which columns: of each meter its active power and up to two counters of active energy. A
 * meter has several ids in the journal if its model or columns changed; a series is a column's name.
 */

#include "app/journal/journal.h"

#define PAGE_SERIES 2  // energy drawn, energy given back

struct page_meter {
    char name[METER_ID_SIZE];
    char model[MODEL_ID_SIZE];
    char label[LABEL_SIZE];                             // of the configuration, "" = none
    char power[QUANTITY_NAME_SIZE];                     // the column's name, "" = none
    char energy[PAGE_SERIES][QUANTITY_NAME_SIZE];
    int64_t first_id;
};

/* Where these stand in the rows of an id; -1: nowhere. */
struct page_columns {
    int64_t id;
    unsigned meter;
    int16_t power;
    int16_t energy[PAGE_SERIES];
};

struct page_meters {
    struct page_meter *meters;  // in the order in which they came
    unsigned count;
    struct page_columns *columns;
    unsigned column_count;
    bool failed;                // no memory
};

/* All meters of the journal, at most MAX_METERS. Errors: the journal's */
int page_meters_load(struct page_meters *meters, struct journal *journal) MUST_CHECK;
void page_meters_clear(struct page_meters *meters);

/* NULL: no such id. */
const struct page_columns *page_meters_columns(const struct page_meters *meters, int64_t id);

/* The index of a name, -1 if there is none. */
int page_meters_find(const struct page_meters *meters, const char *name);

/* Which column of a layout is the power, and which the counter of a series; -1: none. Pure. */
int page_meters_power(const struct layout *layout);
int page_meters_energy(const struct layout *layout, unsigned series);

/* The value in that column of a row, NAN if it has none. Pure. */
double page_meters_value(const struct journal_row *row, int column);
