/* SPDX-License-Identifier: MIT */

#include "app/outlet/svg.h"

#include <math.h>

struct svg_scale svg_scale(double min, double max, unsigned most_steps, unsigned height)
{
    static const double rounds[] = { 1, 2, 5, 10 };
    struct svg_scale scale = { .height = height, .step = 1 };
    double rough, power;

    min = isfinite(min) ? fmin(min, 0) : 0;
    max = isfinite(max) ? fmax(max, 0) : 0;
    if (max - min <= 0) {
        scale.high = 1;
        return scale;
    }

    // One step less than wished for, since both ends are rounded outwards.
    rough = (max - min) / (most_steps > 1 ? most_steps - 1 : 1);
    power = pow(10, floor(log10(rough)));
    for (unsigned i = 0; i < ARRAY_SIZE(rounds); i++) {
        scale.step = rounds[i] * power;
        if (scale.step >= rough * (1 - 1e-9)) {
            break;
        }
    }
    scale.low = floor(min / scale.step + 1e-9) * scale.step;
    scale.high = ceil(max / scale.step - 1e-9) * scale.step;
    return scale;
}

unsigned svg_y(const struct svg_scale *scale, double value)
{
    double share = (scale->high - value) / (scale->high - scale->low);

    return (unsigned) lround(fmin(fmax(share, 0), 1) * scale->height);
}

int svg_decimals(const struct svg_scale *scale)
{
    int decimals = -(int) floor(log10(scale->step) + 1e-9);

    return MAX(decimals, 0);
}

unsigned svg_step_count(const struct svg_scale *scale)
{
    return (unsigned) lround((scale->high - scale->low) / scale->step);
}

double svg_step(const struct svg_scale *scale, unsigned index)
{
    double value = scale->low + index * scale->step;

    return fabs(value) < scale->step / 1e6 ? 0 : value;
}

void svg_add_steps(struct text *text, const struct svg_scale *scale, unsigned count, svg_column_at *column,
                   const void *data)
{
    unsigned run = 0, last_y = 0;  // columns at the same height that are not drawn yet
    bool pen = false;

    for (unsigned x = 0; x <= count; x++) {
        struct svg_column at = x < count ? column(x, data) : (struct svg_column){ .there = false };
        unsigned y = at.there ? svg_y(scale, at.middle) : 0;

        if (pen && at.there && y == last_y) {
            run++;
            continue;
        }
        if (run > 0) {
            text_addf(text, "h%u", run);
        }
        if (at.there && pen) {
            text_addf(text, "V%u", y);
        } else if (at.there) {
            text_addf(text, "M%u %u", x, y);
        }
        pen = at.there;
        run = at.there;
        last_y = y;
    }
}

/* One edge of a band, from a column to another; backwards if it is the lower one. */
static void add_edge(struct text *text, const struct svg_scale *scale, unsigned from, unsigned to,
                     svg_column_at *column, const void *data, bool lower)
{
    unsigned run = 0, last_y = 0;

    for (unsigned i = 0; i <= to - from; i++) {
        unsigned x = lower ? to - 1 - i : from + i;
        bool more = i < to - from;
        struct svg_column at = more ? column(x, data) : (struct svg_column){ .there = true };
        unsigned y = more ? svg_y(scale, lower ? at.low : at.high) : last_y + 1;

        if (i > 0 && y == last_y) {
            run++;
            continue;
        }
        if (run > 0) {
            text_addf(text, "h%s%u", lower ? "-" : "", run);
        }
        if (more) {
            text_addf(text, "V%u", y);
        }
        run = 1;
        last_y = y;
    }
}

void svg_add_band(struct text *text, const struct svg_scale *scale, unsigned count, svg_column_at *column,
                  const void *data)
{
    for (unsigned from = 0; from < count;) {
        unsigned to = from;

        while (to < count && column(to, data).there) {
            to++;
        }
        if (to > from) {
            text_addf(text, "M%u %u", from, svg_y(scale, column(from, data).low));
            add_edge(text, scale, from, to, column, data, false);
            add_edge(text, scale, from, to, column, data, true);
            text_add_char(text, 'z');
        }
        from = to + 1;
    }
}

void svg_add_gaps(struct text *text, const struct svg_scale *scale, unsigned count, svg_column_at *column,
                  const void *data)
{
    for (unsigned from = 0; from < count;) {
        unsigned to = from;

        while (to < count && !column(to, data).there) {
            to++;
        }
        if (to > from) {
            text_addf(text, "M%u 0h%uv%uh-%uz", from, to - from, scale->height, to - from);
        }
        from = to + 1;
    }
}

void svg_add_bar(struct text *text, const struct svg_scale *scale, double x, double width, double value)
{
    unsigned zero = svg_y(scale, 0), y = svg_y(scale, value);

    text_addf(text, "<rect x=\"%.4g\" y=\"%u\" width=\"%.4g\" height=\"%u\"/>", x, MIN(zero, y), width,
              MAX(zero, y) - MIN(zero, y));
}
