/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whether what answered is a meter of some model. Numbers can always be made of registers, so they are believed only
 * if they agree with each other: a model needs evidence, and one contradiction refuses it. All pure.
 */

#include "drivers/model.h"

#include <stdbool.h>
#include <stdint.h>

#define SCAN_REASON_SIZE 120
#define SCAN_ENOUGH      3      // points of evidence that a model needs

/* What speaks for a model, and what against it; zero-initialised is "nothing yet". */
struct scan_evidence {
    unsigned points;
    bool refused;
    char reason[SCAN_REASON_SIZE];   // why, for people; "" if it is not
};

void scan_refuse(struct scan_evidence *evidence, const char *format, ...) PRINTF_LIKE(2, 3);

/* What an identity's register holds; words NULL: the meter has none. */
void scan_judge_identity(const struct model *model, const struct identity *identity, unsigned unit,
                         const uint16_t *words, struct scan_evidence *evidence);

/*
 * What the selected points say; values[i] is the first number of selection->points[i], NAN if the meter says that it
 * does not have it.
 *
 *   refused by   a value beyond its quantity's bounds, more active than apparent power, phases that are not in their
 *                total, a total energy that is not import + export, a mains frequency that is none, half of the values
 *                or more missing
 *   believed for phases whose powers add up, S = sqrt(P^2 + Q^2), S = U I, sqrt(3) between the voltages, 45 to 65 Hz
 */
void scan_judge_values(const struct model *model, const struct selection *selection, const double *values,
                       struct scan_evidence *evidence);

/* Whether one has all registers of the other, read the same way: then it is the other one with more in it. */
bool scan_has_all_of(const struct model *more, const struct model *less);
