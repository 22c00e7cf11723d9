/* SPDX-License-Identifier: MIT */
#pragma once

/* The CSV line that a program prints for its meter (ES-18). Pure. */

#include "drivers/sample.h"

#include <stdbool.h>

/* What the cells of a line are. */
struct exec_cells {
    unsigned count;
    int columns[MAX_POINTS];    // index into the sample's values; -1: skipped
    int exponents[MAX_POINTS];  // of ten, to the base unit
};

/*
 * Read a line without its end into a sample's values and reasons. Each cell that is not skipped must be a number,
 * a word for the direction of the power factor, or empty: a missing value.
 *
 * Returns false if that is not what it is, or has more or fewer cells; some values may have changed then.
 */
bool exec_line_parse(const struct exec_cells *cells, const char *line, const char *end,
                     struct sample *ret);
