/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One poll of one meter, as it travels from a bus thread to the journal and to the screen, and the layout that
 * says what its numbers are. Plain values: copy them freely.
 */

#include "app/base/limits.h"
#include "drivers/quantity.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a value is missing. REASON_NONE: it is there. */
enum reason {
    REASON_NONE = 0,
    REASON_EXCEPTION_FIRST = 1,   // the meter refused with Modbus exception 1...
    REASON_EXCEPTION_LAST = 31,   // ...to 31: the code itself
    REASON_TIMEOUT = 64,          // no answer
    REASON_DAMAGED,               // answers came, but none with a right checksum and length
    REASON_WRONG_ANSWER,          // whole answers of another unit, function, length or transaction
    REASON_DISCONNECTED,          // adapter or connection gone
    REASON_NOT_AVAILABLE,         // the meter says that it does not have it (NaN, 0xFFFF...)
    REASON_OUT_OF_BOUNDS,         // beyond what the quantity can be
    REASON_HELD,                  // held back by the counter guard
    REASON_NOT_READ,              // not asked: no time was left, or the meter has no such input
};

/* "timed out", "exception 2 (illegal data address)", ...: static strings. */
const char *reason_text(enum reason reason);

/* What one number of a sample is. */
struct column {
    char name[QUANTITY_NAME_SIZE];     // "voltage_l1_n", "power_factor_direction"
    char unit[UNIT_SIZE];              // base unit: "V", "" for a plain number
    const struct quantity *quantity;
};

/* What all numbers of a meter's samples are. Made once, then immutable. */
struct layout {
    unsigned count;
    struct column columns[MAX_POINTS];
};

/* Whether they have the same columns in the same order, by name and unit. */
bool layout_is_same(const struct layout *a, const struct layout *b);

struct sample {
    char meter[METER_ID_SIZE];         // name in meterstick.conf, for example "kitchen"
    uint64_t boot_ms;                  // boot clock, when the first reply arrived
    unsigned value_count;
    double values[MAX_POINTS];         // base units, in layout order; NAN = missing
    uint8_t reasons[MAX_POINTS];       // enum reason, why a value is missing
    unsigned word_count;
    uint16_t words[MAX_WORDS];         // as the meter sent them, so that a wrong model can be repaired later
};

/* Empty a sample: every value missing for the same reason. */
void sample_clear(struct sample *sample, const char *meter, unsigned value_count, enum reason reason);

/* How many values are there. 0: the meter did not answer at all. */
unsigned sample_present(const struct sample *sample);

/* The index of a column by name, -1 if there is none. */
int layout_find(const struct layout *layout, const char *name);
