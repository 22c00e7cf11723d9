/* SPDX-License-Identifier: MIT */
#include "app/acquire/guard.h"

#include "app/base/text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_POWER_W 1e6     // beyond any house, shop and most plants: one reading's word
#define MOST_POWER_W    1e9     // the bound of power in quantity.c: several readings' word
#define SECONDS_PER_H   7200.0  // a counter of seconds, and as much again for a clock that is set
#define COUNTS_PER_H    3.6e6   // the fastest S0 outputs give 33 impulses a second
#define UNKNOWN_STEP_WH 1e3     // programs and displays may show whole kWh

#define TOLD_PER_HOUR   60
#define HOUR_MS         3600000
#define MINUTE_MS       60000
#define NOTES_MIN       16

struct guarded {
    uint16_t column;
    uint16_t word_offset, word_count;
    struct counter counter;
};

struct guard {
    unsigned note_count, note_capacity;
    struct guard_note *notes;
    unsigned told;                 // in the hour
    uint64_t hour_ms;              // its beginning
    uint32_t untold;
    uint64_t untold_ms;            // when they were last counted out
    unsigned guarded_count;
    struct guarded guarded[];
};

static bool is_counter(const struct column *column)
{
    return column->quantity && column->quantity->kind == QUANTITY_COUNTER;
}

static void limits_of(const struct column *column, const struct point *point, double max_power_w,
                      struct counter_limits *ret)
{
    const bool is_energy = text_ends(column->unit, "h");

    *ret = (struct counter_limits){ .resolution = is_energy ? UNKNOWN_STEP_WH : 1 };
    if (is_energy) {
        ret->per_hour = isnan(max_power_w) ? DEFAULT_POWER_W : max_power_w;
        ret->most_per_hour = isnan(max_power_w) ? MOST_POWER_W : max_power_w;
    } else {
        ret->per_hour = ret->most_per_hour = text_equal(column->unit, "s") ? SECONDS_PER_H : COUNTS_PER_H;
    }
    if (!point) {
        return;
    }

    ret->resolution = decimal_scale_signed(1, point->resolution);
    switch (point->codec->type) {
    case TYPE_FLOAT:
        ret->float_bits = point->word_count == 2 ? 24 : 53;
        break;
    case TYPE_UNSIGNED:
    case TYPE_SIGNED:
        ret->width = ldexp(ret->resolution, (int) point->word_count * 16 - (point->codec->type == TYPE_SIGNED));
        break;
    case TYPE_PF4Q:
    case TYPE_TEXT:
    case TYPE_DATETIME4:
    case TYPE_MESSAGE:
        break;
    }
}

int guard_new(const struct source *source, double max_power_w, struct guard **ret)
{
    const struct layout *layout = source_layout(source);
    struct guard *guard;
    unsigned count = 0;

    for (unsigned i = 0; i < layout->count; i++) {
        count += is_counter(&layout->columns[i]);
    }
    guard = calloc(1, sizeof(*guard) + count * sizeof(guard->guarded[0]));
    if (!guard) {
        return -ENOMEM;
    }
    guard->note_capacity = MIN(MAX(2 * count, (unsigned) NOTES_MIN), (unsigned) GUARD_NOTES_MAX);
    guard->notes = calloc(guard->note_capacity, sizeof(guard->notes[0]));
    if (!guard->notes) {
        guard_free(guard);
        return -ENOMEM;
    }

    for (unsigned i = 0; i < layout->count; i++) {
        struct guarded *guarded = &guard->guarded[guard->guarded_count];
        struct counter_limits limits;
        const struct point *point;
        unsigned offset = 0;

        if (!is_counter(&layout->columns[i])) {
            continue;
        }
        point = source_point(source, i, &offset);
        limits_of(&layout->columns[i], point, max_power_w, &limits);
        guarded->column = (uint16_t) i;
        guarded->word_offset = (uint16_t) offset;
        guarded->word_count = (uint16_t) (point ? MIN(point->word_count, (unsigned) GUARD_WORDS) : 0);
        counter_init(&guarded->counter, &limits, COUNTER_NEW, NULL);
        guard->guarded_count++;
    }

    *ret = guard;
    return 0;
}

void guard_free(struct guard *guard)
{
    if (guard) {
        free(guard->notes);
    }
    free(guard);
}

static const struct guarded *find(const struct guard *guard, unsigned column)
{
    for (unsigned i = 0; i < guard->guarded_count; i++) {
        if (guard->guarded[i].column == column) {
            return &guard->guarded[i];
        }
    }
    return NULL;
}

void guard_remember(struct guard *guard, unsigned column, enum counter_memory memory,
                    const struct counter_level *level)
{
    struct guarded *guarded = (struct guarded *) find(guard, column);

    if (guarded) {
        const struct counter_limits limits = guarded->counter.limits;

        counter_init(&guarded->counter, &limits, memory, level);
    }
}

enum counter_memory guard_last(const struct guard *guard, unsigned column, struct counter_level *ret)
{
    const struct guarded *guarded = find(guard, column);

    if (!guarded || guarded->counter.memory == COUNTER_NEW) {
        return COUNTER_NEW;
    }
    *ret = guarded->counter.last;
    return guarded->counter.memory;
}

/* --- notes --- */

/* Room for a note. What changes a level displaces one that does not. */
static struct guard_note *new_note(struct guard *guard, bool releases)
{
    if (guard->note_count < guard->note_capacity) {
        return &guard->notes[guard->note_count++];
    }
    for (unsigned i = guard->note_count; releases && i > 0; i--) {
        struct guard_note *note = &guard->notes[i - 1];

        if (note->untold == 0 && !counter_verdict_releases(note->judgement.verdict)) {
            guard->untold++;
            return note;
        }
    }
    return NULL;
}

static void note(struct guard *guard, const struct guarded *guarded, const struct sample *sample,
                 const struct counter_judgement *judgement)
{
    const bool releases = counter_verdict_releases(judgement->verdict);
    struct guard_note *note = NULL;

    if (releases || guard->told < TOLD_PER_HOUR) {
        note = new_note(guard, releases);
    }
    if (!note) {
        guard->untold++;
        return;
    }
    guard->told += !releases;
    *note = (struct guard_note){ .column = guarded->column,
                                 .word_count = guarded->word_count,
                                 .boot_ms = sample->boot_ms,
                                 .value = sample->values[guarded->column],
                                 .judgement = *judgement };
    memcpy(note->words, sample->words + guarded->word_offset, guarded->word_count * sizeof(note->words[0]));
}

/* Once a minute, what was not told. */
static void count_untold(struct guard *guard, uint64_t boot_ms)
{
    struct guard_note *note;

    if (boot_ms >= guard->hour_ms + HOUR_MS || guard->hour_ms == 0) {
        guard->hour_ms = boot_ms;
        guard->told = 0;
    }
    if (guard->untold == 0 || boot_ms < guard->untold_ms + MINUTE_MS) {
        return;
    }
    note = new_note(guard, false);
    if (note) {
        *note = (struct guard_note){ .untold = guard->untold, .boot_ms = boot_ms };
        guard->untold = 0;
        guard->untold_ms = boot_ms;
    }
}

unsigned guard_take_notes(struct guard *guard, const struct guard_note **ret)
{
    unsigned count = guard->note_count;

    *ret = guard->notes;
    guard->note_count = 0;
    return count;
}

/* --- judging --- */

static bool are_all_ones(const struct guarded *guarded, const struct sample *sample)
{
    for (unsigned i = 0; i < guarded->word_count; i++) {
        if (sample->words[guarded->word_offset + i] != 0xFFFF) {
            return false;
        }
    }
    return guarded->word_count > 0;
}

void guard_judge(struct guard *guard, struct sample *sample)
{
    count_untold(guard, sample->boot_ms);
    for (unsigned i = 0; i < guard->guarded_count; i++) {
        struct guarded *guarded = &guard->guarded[i];
        double value = sample->values[guarded->column];
        struct counter_judgement judgement;

        if (isnan(value)) {
            continue;
        }
        counter_judge(&guarded->counter, value, are_all_ones(guarded, sample), (int64_t) sample->boot_ms, &judgement);
        if (judgement.verdict == COUNTER_BELIEVED) {
            continue;
        }
        note(guard, guarded, sample, &judgement);
        if (counter_verdict_holds(judgement.verdict)) {
            sample->values[guarded->column] = NAN;
            sample->reasons[guarded->column] = REASON_HELD;
        }
    }
}
