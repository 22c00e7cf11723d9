/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Between source.c and the drivers behind it; nobody else includes this. Each driver's own struct has struct
 * source as its first member and fills in the table. source.c calls straight through it; an operation that is
 * NULL means: nothing open, no texts, no timing, no registers, and a probe that is a poll whose values are thrown away.
 */

#include "drivers/source.h"

struct source_ops {
    void (*close)(struct source *source);  // frees it
    void (*shut)(struct source *source);
    int (*next)(struct source *source, uint64_t deadline_us, struct sample *ret);
    const struct layout *(*layout)(const struct source *source);
    const char *(*problem)(const struct source *source);
    int (*identity)(const struct source *source, unsigned index, const char **ret_name,
                    const char **ret_text);
    void (*timing)(const struct source *source, struct source_timing *ret);
    int (*probe)(struct source *source, uint32_t timeout_us);
    unsigned (*learned)(const struct source *source, struct text *ret);
    int (*teach)(struct source *source, const char *learned);
    const struct point *(*point)(const struct source *source, unsigned column, unsigned *ret_word_offset);
};

struct source {
    const struct source_ops *ops;
};

/* As source_open(), one a driver. */
int source_modbus_open(const struct source_setup *setup, struct source **ret) MUST_CHECK;
int source_currentcost_open(const struct source_setup *setup, struct source **ret) MUST_CHECK;
int source_exec_open(const struct source_setup *setup, struct source **ret) MUST_CHECK;

/* What a number may be, and what it is multiplied with: worked out once, when the source is opened. */
struct source_limit {
    double min, max;       // both included, after the ratio
    struct decimal ratio;  // 1 unless the input has one
};

/*
 * The limits of a layout's columns: those of the setup for the point's name, else for the quantity, else the
 * quantity's own. The ratio is that of the input whose letter the column's name ends in (current_a, current_p).
 */
void source_limits(const struct source_setup *setup, const struct layout *layout,
                   struct source_limit ret[static MAX_POINTS]);

/* Apply them to a sample: what lies beyond becomes missing for REASON_OUT_OF_BOUNDS. */
void source_apply_limits(const struct source_limit *limits, struct sample *sample);
