/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pictures as SVG, drawn by hand: scales with round numbers, steps, bands and bars. Coordinates are whole numbers from
 * the top left; the page stretches a picture to its place, so there is no text in it. Pure.
 */

#include "app/base/text.h"

#include <stdbool.h>

/* From low to high in round steps (1, 2 or 5 times a power of ten), both multiples of the step. */
struct svg_scale {
    double low, high, step;
    unsigned height;         // of the picture: low is there, high at 0
};

/* A scale that has 0, all values between two, and at most so many steps. Values that are all 0 get one step. */
struct svg_scale svg_scale(double min, double max, unsigned most_steps, unsigned height);

/* The coordinate of a value; beyond the scale it is at its edge. */
unsigned svg_y(const struct svg_scale *scale, double value);

/* How many decimals the numbers of the scale need, and the number of step `index` from low. */
int svg_decimals(const struct svg_scale *scale);
unsigned svg_step_count(const struct svg_scale *scale);
double svg_step(const struct svg_scale *scale, unsigned index);

/* One of equally wide columns; not there: nothing is drawn, and no line goes across. */
struct svg_column {
    bool there;
    double low, high, middle;
};

/* Path data: the middles as steps, the lows and highs as a band. `column` gives one of `count`. */
typedef struct svg_column svg_column_at(unsigned index, const void *data);
void svg_add_steps(struct text *text, const struct svg_scale *scale, unsigned count, svg_column_at *column,
                   const void *data);
void svg_add_band(struct text *text, const struct svg_scale *scale, unsigned count, svg_column_at *column,
                  const void *data);

/* Path data of whole columns where nothing is there, up to `count`. */
void svg_add_gaps(struct text *text, const struct svg_scale *scale, unsigned count, svg_column_at *column,
                  const void *data);

/* A rectangle from 0 to a value. */
void svg_add_bar(struct text *text, const struct svg_scale *scale, double x, double width, double value);
