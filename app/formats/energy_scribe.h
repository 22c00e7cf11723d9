/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The lines of the energy-scribe programs, for people whose scripts read them: `read --format energy-scribe` and
 * the stick's `csv = energy-scribe`. Pure text over (model, layout, values, time).
 *
 * Titles, order and time format are theirs (ES-20 to ES-27, ES-31 to ES-33); what was wrong is not repeated:
 * Current Cost's sensor 0 has a column of its own (the last, so that the others stay where they were), a missing
 * value is an empty field (JSON: null), no number is cut to two decimals, and units are called what they are.
 *
 *   schneider-iem2150        V A kW kvar - direction Hz Wh
 *   hiking-dds238-2-zn-s, -b V A W var - Hz kWh
 *   currentcost-cc128        W of each sensor
 *   schneider-pm5100         V A kW kVA kvar - Wh varh Hz %, and texts (read only, no log file)
 */

#include "app/base/text.h"
#include "drivers/sample.h"

#include <stdbool.h>
#include <stdint.h>

/* A text of the meter: "meter_name", "PM5110". */
struct energy_scribe_text {
    const char *name;
    const char *text;              // NULL: it did not come
};

struct energy_scribe_reading {
    const char *model;             // id
    const struct layout *layout;
    const double *values;          // base units, in layout order; NAN = missing
    int64_t wall_ms;
    const struct energy_scribe_text *texts;  // only the PM5100 shows them; may be NULL
    unsigned text_count;
};

/* Whether there is such a format for a model; for `logs`, whether it had log files. */
bool energy_scribe_knows(const char *model);
bool energy_scribe_logs(const char *model);

/* The points it needs, a list as selection_parse() takes; NULL if it does not know the model. */
const char *energy_scribe_points(const char *model);

/* Add the heading or one row, without a line end. The model must be known. */
void energy_scribe_header(struct text *ret, const char *model);
void energy_scribe_row(struct text *ret, const struct energy_scribe_reading *reading);

/* The other two shapes: a JSON document, and a value and unit a line. They end with a line end. */
void energy_scribe_json(struct text *ret, const struct energy_scribe_reading *reading);
void energy_scribe_lines(struct text *ret, const struct energy_scribe_reading *reading);

/* What it prints when nobody names a shape: true for lines (PM5100), false for a row. */
bool energy_scribe_prefers_lines(const char *model);
