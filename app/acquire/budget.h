/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The bus time that goes into questions without an answer: at most 5 % of it while any meter of the bus is alive,
 * whoever does not answer. Silent meters are probed from it, and a meter that flaps is asked from it too, so that
 * neither can stall the others. Pure.
 */

#include <stdint.h>

#define BUDGET_DIVISOR 20                  // 5 %
#define BUDGET_MOST_US INT64_C(1000000)    // may be saved up, for a burst
#define BUDGET_OWED_US INT64_C(2000000)    // at most owed: 40 s later there is some again, whatever went before

struct budget {
    int64_t left_us;                       // below 0: owed
    uint64_t counted_us;                   // until when its share was added (monotonic)
};

void budget_init(struct budget *ret, uint64_t now_us);
void budget_spend(struct budget *budget, uint64_t now_us, uint64_t spent_us);

/* How long until more than least_us is left; 0 if it is now. */
uint64_t budget_wait_us(const struct budget *budget, uint64_t now_us, int64_t least_us);
