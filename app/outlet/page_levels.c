/* SPDX-License-Identifier: MIT */

#include "app/outlet/page_levels.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX 20000  // of each kind: a flapping meter has one a minute

void page_levels_clear(struct page_levels *levels)
{
    free(levels->levels);
    free(levels->absences);
    *levels = (struct page_levels){};
}

/* The number after a word of the text; NAN if it is not there. */
static double number_after(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    double value;
    char *end;

    if (!at) {
        return NAN;
    }
    value = strtod(at + strlen(word), &end);
    return end == at + strlen(word) ? NAN : value;
}

/* "kitchen: " of the text. Returns the rest, NULL if it does not begin with a meter on the page. */
static const char *cut_meter(const char *text, const struct page_meters *meters, unsigned *ret)
{
    const char *colon = strstr(text, ": ");
    char name[METER_ID_SIZE];
    int index;

    if (!colon || (size_t) (colon - text) >= sizeof(name)) {
        return NULL;
    }
    memcpy(name, text, (size_t) (colon - text));
    name[colon - text] = '\0';
    index = page_meters_find(meters, name);
    if (index < 0) {
        return NULL;
    }

    *ret = (unsigned) index;
    return colon + 2;
}

/* "energy_active_import seq 43 words 0000 value 12 Wh is a reset, from 1234568 Wh; 3 held since seq 41 released" */
static bool parse_level(const char *text, const struct page_meter *meter, struct page_level *ret)
{
    char column[QUANTITY_NAME_SIZE];
    double value, before;
    int length = 0;

    if (sscanf(text, "%47s seq %" SCNu64 "%n", column, &ret->seq, &length) != 2 || length == 0) {
        return false;
    }
    for (ret->series = 0; ret->series < PAGE_SERIES; ret->series++) {
        if (text_equal(column, meter->energy[ret->series])) {
            break;
        }
    }
    if (ret->series == PAGE_SERIES || strstr(text, " is a rise")) {
        return false;  // the count of a rise goes on
    }

    value = number_after(text, " value ");
    before = number_after(text, " from ");
    ret->correction = before - value;
    if (strstr(text, " is a rollover at ")) {
        ret->correction = number_after(text, " is a rollover at ");
    }
    return true;
}

static void add_level(struct page_levels *levels, const struct page_level *level)
{
    struct page_level *grown;

    for (unsigned i = 0; i < levels->level_count; i++) {
        if (levels->levels[i].event == level->event) {
            return;
        }
    }
    if (levels->level_count == EVENTS_MAX) {
        return;
    }
    grown = reallocarray(levels->levels, levels->level_count + 1, sizeof(*grown));
    if (!grown) {
        levels->failed = true;
        return;
    }
    levels->levels = grown;
    grown[levels->level_count++] = *level;
}

static void add_absence(struct page_levels *levels, const struct page_absence *absence)
{
    struct page_absence *grown;

    for (unsigned i = 0; i < levels->absence_count; i++) {
        if (levels->absences[i].event == absence->event) {
            return;
        }
    }
    if (levels->absence_count == EVENTS_MAX) {
        return;
    }
    grown = reallocarray(levels->absences, levels->absence_count + 1, sizeof(*grown));
    if (!grown) {
        levels->failed = true;
        return;
    }
    levels->absences = grown;
    grown[levels->absence_count++] = *absence;
}

void page_levels_take(struct page_levels *levels, const struct page_meters *meters, const struct journal_event *event)
{
    struct page_absence absence = { .event = event->id, .epoch = event->epoch, .boot_ms = event->boot_ms };
    struct page_level level = { .event = event->id };
    const char *text = cut_meter(event->text, meters, &level.meter);
    const char *end;

    if (!text) {
        return;
    }
    if (text_equal(event->code, "released")) {
        if (parse_level(text, &meters->meters[level.meter], &level)) {
            add_level(levels, &level);
        }
        return;
    }

    end = strstr(text, " slices without a row");
    absence.meter = level.meter;
    while (end && end > text && end[-1] >= '0' && end[-1] <= '9') {
        end--;
    }
    absence.slices = end ? strtoull(end, NULL, 10) : 0;
    if (absence.slices > 0) {
        add_absence(levels, &absence);
    }
}

double page_levels_correction(const struct page_levels *levels, unsigned meter, unsigned series, uint64_t first_seq,
                              uint64_t last_seq, unsigned *ret_count)
{
    double sum = 0;

    *ret_count = 0;
    for (unsigned i = 0; i < levels->level_count; i++) {
        const struct page_level *level = &levels->levels[i];

        if (level->meter == meter && level->series == series && level->seq > first_seq && level->seq <= last_seq) {
            sum += level->correction;
            (*ret_count)++;
        }
    }

    return sum;
}
