/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The slices of a meter that have no row, each of them told in exactly one event of the journal. Pure.
 *
 *   missed    the first slice without a row, with the reason; counts nothing
 *   lost      silent from now on; counts nothing
 *   back      a row again: all slices between the two rows, that of `missed` among them
 *   flapping  in place of these three once a meter had ABSENCE_PER_HOUR `missed` within an hour: at most one a minute,
 *             with how often it fell silent and the slices between the rows
 *   skipped   slices between two rows in which it was not asked at all, since the bus had no time: told after a minute
 *             and then at most once an hour
 *   missing   at the end of the program (or of its bus): the slices since the last row
 *
 * The last four end in "<n> slices without a row". So, for a meter with a row a slice, from the start of its bus to
 * its end:
 *
 *   rows + sum of n = slices
 *
 * exactly, and between two rows a and b, in slices:  b - a - 1 = n of their `back`, or a part of the next `flapping` or
 * `skipped`. A meter with log_every has a row for several slices, and n counts slices all the same. A program that was
 * killed tells nothing of the slices since its last row: the next `start` stands for them.
 */

#include "app/base/macros.h"

#include <stdbool.h>
#include <stdint.h>

#define ABSENCE_PER_HOUR 60

struct absence {
    uint64_t next_slice;                 // the first that is not accounted for
    uint32_t missed_s[ABSENCE_PER_HOUR]; // when the last of them were told; 0: none
    unsigned missed_count;
    bool folded;                         // the silence that goes on is told by `flapping`
    unsigned silences;                   // that the next `flapping` tells,
    uint64_t silent_slices;              // and the slices,
    uint64_t since_us;                   // from then on; 0: there is nothing to tell
    uint64_t skipped_slices;             // that the next `skipped` tells
    uint64_t skipped_due_us;
};

/* What is to be told now. */
struct absence_news {
    bool missed, lost, back;
    uint64_t back_slices;
    bool flapping;
    unsigned silences;                   // with flapping
    uint64_t silent_slices;
    uint64_t flapping_us;                // how long they took
    uint64_t skipped_slices;             // 0: nothing to tell
    uint64_t missing_slices;             // 0: nothing to tell
};

/* Its slices count from this one on. */
void absence_init(struct absence *ret, uint64_t slice);

/* It was asked in that slice, with that change of its health (enum health_change), and gave a row or not. */
void absence_update(struct absence *absence, unsigned change, uint64_t slice, bool row, uint64_t now_us,
                    struct absence_news *ret);

/* It is not asked any more. slice: the one that now is in, which does not count any more unless it has its row. */
void absence_end(struct absence *absence, bool is_missing, uint64_t slice, uint64_t now_us, struct absence_news *ret);
