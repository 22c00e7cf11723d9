/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The journal's own rendering: which file of a stick a row belongs to, and its line there. The same row always gives
 * the same line, so a file on a stick can be compared with it.
 *
 *     kitchen/2026-11-20.csv             a local day
 *     kitchen/boot-17.csv                rows of unknown time of the boot whose first epoch is 17
 *     kitchen/20261120-10.00.00.csv      csv = energy-scribe: of one boot and one day of UTC, named by its first row
 */

#include "app/config/config.h"
#include "app/journal/journal.h"
#include "app/outlet/cursor.h"

struct render;

/* Where a row belongs. */
struct place {
    char base[CURSOR_NAME_SIZE];  // the file's name if it begins with this row, without "-r1" and ".csv"
    size_t prefix;                // how much of base tells its file from others
    int64_t boot;                 // likewise, else 0
    int64_t meter;                // the journal's id
    bool undated;
};

enum render_result {
    RENDER_PLACED,
    RENDER_WAITS,                 // its time is not known
    RENDER_NOWHERE,               // energy-scribe never had a log of such a meter
};

/* The journal is the caller's and outlives it. */
int render_new(struct journal *journal, enum csv_format format, struct render **ret) MUST_CHECK;
void render_free(struct render *render);

/* Which boot writes now: to be asked again before each burst. */
int render_refresh(struct render *render) MUST_CHECK;

/*
 * The place of a row among the dated files. Returns enum render_result. Errors: those of the journal
 */
int render_place(struct render *render, const struct journal_row *row, struct place *ret) MUST_CHECK;

/* Its place among those of unknown time, whether or not it is known by now: RENDER_NOWHERE if it always was. */
int render_place_undated(struct render *render, const struct journal_row *row, struct place *ret) MUST_CHECK;

/* Whether the boot of a row will write no more, so that its time is not learned any more either. Returns 0 or 1. */
int render_boot_is_over(struct render *render, const struct journal_row *row) MUST_CHECK;

/* The boot of a row, as the number of its first epoch. */
int render_boot(struct render *render, const struct journal_row *row, int64_t *ret) MUST_CHECK;

/* Whether the time of that boot (by its first epoch) is known. Returns 0 or 1. */
int render_boot_is_known(struct render *render, int64_t boot) MUST_CHECK;

/* Add the heading of a meter's file, and a row's line at its place. */
int render_add_header(struct render *render, const struct place *place, struct text *text) MUST_CHECK;
int render_add_row(struct render *render, const struct place *place, const struct journal_row *row,
                   struct text *text) MUST_CHECK;

/* Whether two meter ids have the same heading. Returns 0 or 1. */
int render_same_header(struct render *render, int64_t a, int64_t b) MUST_CHECK;

/* The name of a meter by id; valid as long as the render. */
int render_meter_name(struct render *render, int64_t meter, const char **ret) MUST_CHECK;

/* Whether lines end with the seq. */
bool render_has_seq(const struct render *render);
