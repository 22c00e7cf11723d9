/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The guard of one meter's counters: counter.h says what is believed. It takes what is not out of a sample (NAN,
 * REASON_HELD) and notes it; the notes travel with the row that holds the sample, and the journal writer makes events
 * of them, since only it knows the row's seq. Used by the thread of the meter's bus; nothing here waits or writes.
 *
 * What a counter may rise by: energies by max_power, for W, var and VA alike; without it by 1 MW, and by up to 1 GW
 * where several readings in line show it. Seconds by two a second. Plain counts (impulses) by a thousand a second.
 *
 * Held back and dropped is noted up to 60 times a meter and hour; beyond, one note a minute counts. A change of level
 * (rollover, reset, return, exchange, rise) is noted always.
 */

#include "app/acquire/counter.h"
#include "app/base/macros.h"
#include "drivers/source.h"

#include <stddef.h>
#include <stdint.h>

#define GUARD_WORDS     4    // registers of one number, at most
#define GUARD_NOTES_MAX 128  // of a row; meters have up to 40 counters
#define GUARD_TEXT_SIZE 256
#define GUARD_CODE_SIZE 16

struct guard_note {
    uint16_t column;
    uint16_t word_count;                 // 0: not of registers
    uint16_t words[GUARD_WORDS];
    uint32_t untold;                     // not 0: only a count of what was not noted, for all columns
    uint64_t boot_ms;                    // of the reading
    double value;
    struct counter_judgement judgement;
};

struct guard;

/* For the columns of a source, which outlives it. max_power_w: NAN = not given. Errors: -ENOMEM */
int guard_new(const struct source *source, double max_power_w, struct guard **ret) MUST_CHECK;
void guard_free(struct guard *guard);

/*
 * What a counter is judged against first; COUNTER_NEW unless this is called. level: of COUNTER_KNOWN and
 * COUNTER_KNOWN_SINCE. A column that is no counter is left alone.
 */
void guard_remember(struct guard *guard, unsigned column, enum counter_memory memory,
                    const struct counter_level *level);

/* The last believed value of a column. Returns COUNTER_NEW and leaves *ret alone where there is none. */
enum counter_memory guard_last(const struct guard *guard, unsigned column, struct counter_level *ret);

/* Judge a sample that came from the source. */
void guard_judge(struct guard *guard, struct sample *sample);

/* What was noted since the last call; valid until the next guard_judge(). Returns how many. */
unsigned guard_take_notes(struct guard *guard, const struct guard_note **ret);

/*
 * The seqs of rows with which counters began to be held back, so that the event which judges them can name them. One
 * writer's memory; a note whose beginning it does not have is told without.
 */
#define GUARD_BOOK_SIZE 256

struct guard_book {
    struct {
        uint64_t boot_ms, seq;
        uint16_t meter, column;
    } entries[GUARD_BOOK_SIZE];
    unsigned next;
};

/*
 * A note as an event. Returns its code: "held", "dropped", "released".
 *
 * book, meter  may be NULL, 0: then no seq is named, as in the log
 * seq          of the row that it came with
 * To ask again for the same row, after a commit that failed, does no harm.
 */
const char *guard_event(struct guard_book *book, unsigned meter, const char *name, const struct layout *layout,
                        const struct guard_note *note, uint64_t seq, char ret[static GUARD_TEXT_SIZE]);
