/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What can be measured: the one table of quantities, their units, bounds and names.
 *
 * A point is called <quantity>[_<phase>][_<tariff>][_<copy>][.<bank>], for example voltage_l1_n,
 * power_active_total, energy_active_import_l1_t2, energy_active_import_f32, current_l2.max. The quantity decides
 * everything that does not depend on the meter.
 *
 * phase   l1 l2 l3 total avg n g; of voltages also l12 l23 l31 l1_n l2_n l3_n ll_avg ln_avg n_g; of many-channel
 *         devices a to p; of radio sensors s0 to s9, their channels s0_ch1 to s0_ch3
 * tariff  t1 to t8, of energies        copy  f32 f64 b2        bank  max min, of gauges
 *
 * power_factor_l1_direction is the second number of power_factor_l1. A register that has no name here is
 * a "value", "value_a" to "value_p".
 * All pure; the table is immutable.
 */

#include "app/base/limits.h"
#include "app/base/macros.h"

#include <stdbool.h>
#include <stddef.h>

enum quantity_kind {
    QUANTITY_GAUGE,    // may rise and fall: averaged by log_every
    QUANTITY_COUNTER,  // only rises: the last value counts, guarded against steps back
    QUANTITY_FACT,     // settings, serial numbers, net energies, directions: the last value counts, no guard
};

struct quantity {
    const char *name;        // "voltage"; the longest name that a point's name begins with decides
    enum quantity_kind kind;
    const char *units;       // base units it may have, the usual one first: "V", "W VA A"; "" = a plain number
    double min;              // bounds in the base unit, both included; a meter's own bounds replace them
    double max;
    int decimals;            // for the eye only; nothing is rounded below it
    const char *obis;        // C.D.E of IEC 62056-61 for the total or only phase, "" where there is none
    unsigned suffixes;       // what may follow it in a name: the table's own business
};

/*
 * The quantity of a point's name; NULL if the name is not one (unknown quantity, phase, copy or bank).
 * The bank of a name is its end from the dot on: quantity_bank("voltage_l1_n.max") is "max", "" for none.
 */
const struct quantity *quantity_find(const char *name);
const char *quantity_bank(const char *name);

/* The known name nearest to a misspelt one, for messages; NULL if nothing is near. */
const char *quantity_nearest(const char *name);

/* All quantities in the table's order; *ret_count of them. */
const struct quantity *quantity_all(size_t *ret_count);

/*
 * A unit as printed in a data sheet, for example "kWh" or "mA", in terms of its base unit.
 *
 * ret_base      "Wh"; a static string. "1" and "" (a plain number) both give ""
 * ret_exponent  10^exponent base units make one of the unit: kWh is 3, mA is -3
 *
 * Errors: -EINVAL  no such unit
 */
int quantity_unit(const char *unit, const char **ret_base, int *ret_exponent) MUST_CHECK;

/* Whether a quantity may be given in that base unit. */
bool quantity_has_unit(const struct quantity *quantity, const char *base);

/*
 * The ending that a unit has in a column's name: "V" is "v", "degC" is "degc", "%" is "percent", "" is "".
 * Static string; an unknown unit gives "".
 */
const char *quantity_unit_suffix(const char *base);
