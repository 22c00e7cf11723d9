/* SPDX-License-Identifier: MIT */
#include "drivers/source_ops.h"

#include <math.h>
#include <string.h>

static const struct bounds *find_bounds(const struct source_setup *setup, const char *name)
{
    for (size_t i = 0; i < setup->bounds_count; i++) {
        if (strcmp(setup->bounds[i].name, name) == 0) {
            return &setup->bounds[i];
        }
    }
    return NULL;
}

/* The ratio of current_a is that of input a, in decimal: 12.34 A x 0.1 is 1.234 A. */
static struct decimal find_ratio(const struct source_setup *setup, const char *name)
{
    struct decimal ratio = { .digits = 1 };
    char text[DECIMAL_SIZE];

    for (size_t i = 0; i < setup->input_count; i++) {
        const char letters[] = { 'c', 'u', 'r', 'r', 'e', 'n', 't', '_', setup->inputs[i].letter,
                                 '\0' };

        if (strcmp(name, letters) == 0) {
            (void) decimal_print(setup->inputs[i].ratio, text);
            if (decimal_parse(text, &ratio) < 0) {
                return (struct decimal){ .digits = 1 };  // the configuration refused it already
            }
        }
    }
    return ratio;
}

void source_limits(const struct source_setup *setup, const struct layout *layout,
                   struct source_limit ret[static MAX_POINTS])
{
    for (unsigned i = 0; i < layout->count; i++) {
        const struct column *column = &layout->columns[i];
        const struct quantity *quantity = column->quantity;
        const struct bounds *bounds = find_bounds(setup, column->name);

        if (!bounds && quantity) {
            bounds = find_bounds(setup, quantity->name);
        }
        ret[i] = (struct source_limit){
            .min = bounds     ? bounds->min
                   : quantity ? quantity->min
                              : -HUGE_VAL,
            .max = bounds     ? bounds->max
                   : quantity ? quantity->max
                              : HUGE_VAL,
            .ratio = find_ratio(setup, column->name),
        };
    }
}

void source_apply_limits(const struct source_limit *limits, struct sample *sample)
{
    for (unsigned i = 0; i < sample->value_count; i++) {
        double value = sample->values[i];

        if (isnan(value)) {
            continue;
        }
        value = decimal_scale_double(value, limits[i].ratio);
        if (!(value >= limits[i].min && value <= limits[i].max)) {
            sample->values[i] = NAN;
            sample->reasons[i] = REASON_OUT_OF_BOUNDS;
        } else {
            sample->values[i] = value;
        }
    }
}
