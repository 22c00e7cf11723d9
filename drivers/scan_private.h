/* SPDX-License-Identifier: MIT */
#pragma once

/* Between scan.c, which goes through the addresses, and scan_candidate.c, which holds a model against who answers. */

#include "drivers/modbus_meter.h"
#include "drivers/scan.h"

/* A model that is held against an address. */
struct candidate {
    const struct model *model;         // NULL: none
    struct selection selection;
    struct modbus_meter meter;
    double values[MAX_POINTS];         // the first number of each selected point
    struct scan_evidence evidence;
    size_t identity;                   // the next to ask for
    unsigned request;                  // the next of the plan
    bool without_gaps;                 // a joined request was refused
};

/* Begin; what was there before is freed. Errors: -ENOMEM and what meter_init() gives */
int candidate_begin(struct candidate *candidate, const struct model *model,
                    const struct serial_setting *serial) MUST_CHECK;
void candidate_clear(struct candidate *candidate);

/* The next request, unit left out. false: it is judged. */
bool candidate_next(const struct candidate *candidate, struct modbus_request *ret);

/* The answer to it: words, or NULL with an exception, or NULL and 0 if there was none. */
void candidate_answer(struct candidate *candidate, unsigned unit, const uint16_t *words, unsigned exception);

/* The first request that a meter of the model answers: to find it, and to ask once more. */
int candidate_first(const struct model *model, const struct serial_setting *serial,
                    struct modbus_request *ret) MUST_CHECK;
