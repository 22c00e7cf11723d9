/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The load behind a simulated meter: what its quantities are at a given time. Sums of slow waves drawn from a
 * seed, so that voltage, current, power and power factor fit each other, counters are the integral of the power,
 * and the same seed and time always give the same numbers. Pure.
 */

#include "drivers/model.h"

#include <stdint.h>

#define LOAD_PHASES 16  // l1 to l3, or the inputs a to p, or radio sensors
#define LOAD_WAVES  5

struct wave {
    double base;
    double amplitudes[LOAD_WAVES];  // of the base; their sum is below 1
    double phases[LOAD_WAVES];
};

struct load {
    uint64_t seed;
    bool three_phase;
    double energy_start_wh[LOAD_PHASES];
    double export_wh;
    struct wave active[LOAD_PHASES];    // W
    struct wave reactive[LOAD_PHASES];  // var
    struct wave voltage[LOAD_PHASES];   // V
    struct wave frequency;
    struct wave temperature;
};

/* A load for a model, drawn from a seed. */
void load_init(struct load *ret, const struct model *model, uint64_t seed);

/* What a point shows so many seconds after the start, in its base unit. */
double load_value(const struct load *load, const struct point *point, double elapsed_s);

/* A number from 0 to 2^64-1 and the next state; never 0 for a state that is not. Also for faults. */
uint64_t load_random(uint64_t *state);
