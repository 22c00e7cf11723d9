/* SPDX-License-Identifier: MIT */
#include "app/acquire/recall.h"

#include "app/base/clock.h"
#include "app/base/text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64  // rows read at once

struct entry {
    char meter[METER_ID_SIZE];
    char column[QUANTITY_NAME_SIZE];
    enum counter_memory memory;
    struct counter_level level;    // of this boot; else only its value
    bool this_boot;
    bool wall_known;
    int64_t wall_ms;
};

struct recall {
    struct entry *entries;
    size_t count;
};

int recall_new(struct recall **ret)
{
    *ret = calloc(1, sizeof(**ret));
    return *ret ? 0 : -ENOMEM;
}

void recall_free(struct recall *recall)
{
    if (recall) {
        free(recall->entries);
    }
    free(recall);
}

void recall_freep(struct recall **recall)
{
    recall_free(*recall);
}

static int add(struct recall *recall, const char *meter, const char *column, struct entry **ret)
{
    struct entry *entries;

    if ((recall->count & (recall->count - 1)) == 0) {  // 0, or a power of two: full
        entries = reallocarray(recall->entries, MAX(2 * recall->count, (size_t) 1), sizeof(*entries));
        if (!entries) {
            return -ENOMEM;
        }
        recall->entries = entries;
    }
    *ret = &recall->entries[recall->count++];
    **ret = (struct entry){ .memory = COUNTER_FORGOTTEN };
    (void) snprintf((*ret)->meter, sizeof((*ret)->meter), "%s", meter);
    (void) snprintf((*ret)->column, sizeof((*ret)->column), "%s", column);
    return 0;
}

int recall_keep(struct recall *recall, const char *meter, const char *column, enum counter_memory memory,
                const struct counter_level *level)
{
    struct entry *entry;
    int r;

    r = add(recall, meter, column, &entry);
    if (r < 0) {
        return r;
    }
    entry->memory = memory;
    entry->level = *level;
    entry->this_boot = true;
    return 0;
}

/* --- out of the journal --- */

/* A counter that is looked for, in rows of one id of its meter. Entries have one for each id that has the column. */
struct want {
    int64_t meter;
    uint16_t column;
    size_t entry;
};

struct search {
    struct recall *recall;
    struct meters *meters;
    struct want *wants;            // by id, newest first
    size_t count;
    size_t missing;                // entries whose value was not found yet
    int error;
};

static int find_or_add_entry(struct search *search, const char *meter, const char *column, size_t *ret)
{
    struct entry *entry;
    int r;

    for (size_t i = search->recall->count; i > 0; i--) {
        entry = &search->recall->entries[i - 1];
        if (text_equal(entry->column, column) && text_equal(entry->meter, meter)) {
            *ret = i - 1;
            return 0;
        }
    }
    r = add(search->recall, meter, column, &entry);
    *ret = search->recall->count - 1;
    search->missing += r == 0;
    return r;
}

static int want_column(struct search *search, const struct journal_meter *meter, unsigned column)
{
    struct want *wants;
    size_t entry;
    int r;

    r = find_or_add_entry(search, meter->name, meter->layout.columns[column].name, &entry);
    if (r < 0) {
        return r;
    }
    if ((search->count & (search->count - 1)) == 0) {
        wants = reallocarray(search->wants, MAX(2 * search->count, (size_t) 1), sizeof(*wants));
        if (!wants) {
            return -ENOMEM;
        }
        search->wants = wants;
    }
    search->wants[search->count++] = (struct want){ .meter = meter->id, .column = (uint16_t) column, .entry = entry };
    return 0;
}

/* Those of its columns that a meter of now counts as well. */
static void want_meter(void *data, const struct journal_meter *meter)
{
    struct search *search = data;
    struct meters_entry now;

    for (unsigned slot = 0; slot < meters_count(search->meters); slot++) {
        if (!meters_get(search->meters, slot, &now) || now.retired || !text_equal(now.name, meter->name)) {
            continue;
        }
        for (unsigned i = 0; i < meter->layout.count && search->error == 0; i++) {
            const struct quantity *quantity = meter->layout.columns[i].quantity;

            if (quantity && quantity->kind == QUANTITY_COUNTER
                && layout_find(now.layout, meter->layout.columns[i].name) >= 0) {
                search->error = want_column(search, meter, i);
            }
        }
        return;
    }
}

static int take_time(struct journal *journal, const struct journal_row *row, struct entry *entry)
{
    char boot_id[CLOCK_BOOT_ID_SIZE], quality[4];
    struct epoch epoch;
    int64_t wall_ms = 0;
    int r;

    r = journal_epoch(journal, row->epoch, &epoch);
    if (r < 0) {
        return r;
    }
    clock_boot_id(boot_id);
    entry->this_boot = *boot_id && text_equal(boot_id, epoch.boot_id);
    entry->level.ms = (int64_t) row->boot_ms;

    r = journal_row_time(journal, row, &wall_ms, quality);
    if (r < 0) {
        return r;
    }
    entry->wall_known = quality[0] != CLOCK_ESTIMATED && quality[0] != CLOCK_UNKNOWN;
    entry->wall_ms = wall_ms;
    return 0;
}

static int take_row(struct search *search, struct journal *journal, const struct journal_row *row)
{
    for (size_t i = 0; i < search->count; i++) {
        const struct want *want = &search->wants[i];
        struct entry *entry = &search->recall->entries[want->entry];
        int r;

        if (want->meter != row->meter || entry->memory != COUNTER_FORGOTTEN || want->column >= row->value_count
            || isnan(row->values[want->column])) {
            continue;
        }
        r = take_time(journal, row, entry);
        if (r < 0) {
            return r;
        }
        entry->level.value = row->values[want->column];
        entry->memory = COUNTER_KNOWN;
        search->missing--;
    }
    return 0;
}

/* It is not in any row: it was never believed yet. */
static void forget_the_rest(struct recall *recall)
{
    for (size_t i = 0; i < recall->count; i++) {
        if (recall->entries[i].memory == COUNTER_FORGOTTEN) {
            recall->entries[i].memory = COUNTER_NEW;
        }
    }
}

static int search_rows(struct search *search, struct journal *journal, uint64_t deadline_us)
{
    auto_free struct journal_row *rows = malloc(BATCH * sizeof(*rows));
    uint64_t before = UINT64_MAX;
    int r;

    if (!rows) {
        return -ENOMEM;
    }
    while (search->missing > 0 && clock_monotonic_us() < deadline_us) {
        r = journal_read_back(journal, before, rows, BATCH);
        if (r == 0) {
            forget_the_rest(search->recall);
        }
        if (r <= 0) {
            return r;
        }
        before = rows[r - 1].seq;
        for (int i = 0, count = r; i < count && search->missing > 0; i++) {
            r = take_row(search, journal, &rows[i]);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

int recall_read(struct recall *recall, struct journal *journal, struct meters *meters, uint64_t deadline_us)
{
    struct search search = { .recall = recall, .meters = meters };
    int r;

    r = journal_each_meter(journal, want_meter, &search);
    r = r < 0 ? r : search.error;
    if (r >= 0) {
        r = search_rows(&search, journal, deadline_us);
    }
    free(search.wants);
    return r;
}

/* --- into a guard --- */

static const struct entry *find(const struct recall *recall, const char *meter, const char *column)
{
    for (size_t i = 0; i < recall->count; i++) {
        if (text_equal(recall->entries[i].meter, meter) && text_equal(recall->entries[i].column, column)) {
            return &recall->entries[i];
        }
    }
    return NULL;
}

enum counter_memory recall_level(const struct recall *recall, const char *meter, const char *column,
                                 const struct epoch *epoch, uint64_t now_boot_ms, struct counter_level *ret)
{
    const struct entry *entry = recall ? find(recall, meter, column) : NULL;
    int64_t ms;

    if (!entry) {
        return recall ? COUNTER_NEW : COUNTER_FORGOTTEN;
    }
    if (entry->memory == COUNTER_NEW || entry->memory == COUNTER_FORGOTTEN) {
        return entry->memory;
    }
    *ret = entry->level;
    if (entry->this_boot) {
        ret->moved_ms = ret->ms - COUNTER_SLACK_MS;
        return entry->memory;
    }

    ms = entry->wall_ms - epoch->wall_ms;
    if (entry->wall_known && clock_quality_known(epoch->source) && ms <= (int64_t) now_boot_ms) {
        ret->ms = ms;
        ret->moved_ms = ms - COUNTER_SLACK_MS;
        return COUNTER_KNOWN;
    }
    ret->ms = ret->moved_ms = 0;
    return COUNTER_KNOWN_SINCE;
}
