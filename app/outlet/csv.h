/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The table that a person opens: utc, local, quality, a column for each value, seq. RFC 4180, so lines end
 * with CR LF; a missing value is an empty field, never 0. Pure.
 */

#include "app/base/text.h"
#include "drivers/sample.h"

#include <stdbool.h>
#include <stdint.h>

struct csv_row {
    bool timed;               // wall_ms is known or estimated; else utc and local are empty
    int64_t wall_ms;
    const char *quality;      // clock letter, then m and g
    uint64_t boot_ms;
    const double *values;     // NAN = missing
    unsigned value_count;     // fewer than columns: the rest is empty
    uint64_t seq;
};

/*
 * with_boot  a first column boot_s, seconds since the boot: for files of rows whose time is not known
 * columns    how many of values are printed
 */
void csv_add_header(struct text *text, const struct layout *layout, bool with_boot);
void csv_add_row(struct text *text, const struct csv_row *row, unsigned columns, bool with_boot);

/*
 * One field, quoted if it has to be. A text that a spreadsheet would take for a formula gets an apostrophe before it
 * (CWE-1236).
 */
void csv_add_text(struct text *text, const char *field);

/*
 * The seq of a line of such a table, whatever program has saved it since: the digits of its last field, quoted or
 * not. 0 if it has none. size is without the line end.
 */
uint64_t csv_line_seq(const char *line, size_t size);
