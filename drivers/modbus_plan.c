/* SPDX-License-Identifier: MIT */
#include "drivers/modbus_plan.h"

#include "app/base/macros.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_CHARACTERS 8  // unit, function, address, count, checksum
#define ANSWER_CHARACTERS  5  // unit, function, byte count, checksum; and two a register

/* Of plans that take the same time, the one with fewer requests, then with fewer registers. */
#define TIE_REQUEST_US  1e-3
#define TIE_REGISTER_US 1e-6

double plan_block_us(const struct plan_timing *timing, unsigned register_count)
{
    unsigned characters = REQUEST_CHARACTERS + ANSWER_CHARACTERS + 2 * register_count;

    return characters * timing->character_us + 2 * timing->silence_us + timing->turnaround_us;
}

double plan_us(const struct plan_timing *timing, const struct plan_block *blocks, size_t block_count)
{
    double sum = 0;

    for (size_t i = 0; i < block_count; i++) {
        sum += plan_block_us(timing, blocks[i].count);
    }
    return sum;
}

static int compare_spans(const void *a, const void *b)
{
    const struct plan_span *x = a, *y = b;

    if (x->table != y->table) {
        return x->table < y->table ? -1 : 1;
    }
    if (x->address != y->address) {
        return x->address < y->address ? -1 : 1;
    }
    return x->count == y->count ? 0 : x->count < y->count ? -1 : 1;
}

/* Most registers of a request: the model's limit, and what a hold of the line leaves time for. */
static unsigned most_registers(const struct plan_limits *limits, const struct plan_timing *timing)
{
    unsigned most = MIN(limits->max_registers, (unsigned) MODBUS_MAX_REGISTERS);
    double spare_us = timing->max_hold_us - timing->timeout_us - plan_block_us(timing, 0);

    if (timing->max_hold_us > 0 && timing->character_us > 0) {
        double fitting = spare_us / (2 * timing->character_us);

        most = MIN(most, (unsigned) MAX(fitting, 1.0));  // a longer point goes alone, whatever it takes
    }
    return most;
}

static bool may_touch_gap(const struct plan_limits *limits, enum modbus_table table, unsigned first,
                          unsigned last)
{
    if (!limits->read_gaps) {
        return false;
    }
    for (size_t i = 0; i < limits->avoid_count; i++) {
        const struct plan_range *avoid = &limits->avoid[i];

        if (avoid->table == table && first <= avoid->last && last >= avoid->first) {
            return false;
        }
    }
    return true;
}

/* The request from one address to before another, widened to even ends where the meter wants that. */
static struct plan_block block_of(const struct plan_limits *limits, enum modbus_table table, unsigned first,
                                  unsigned end)
{
    if (limits->even) {
        first &= ~1u;
        end += end & 1;
    }
    return (struct plan_block){ .table = table, .address = (uint16_t) first,
                                .count = (uint16_t) (end - first) };
}

struct plan_step {
    double cost_us;           // of the best plan for the spans from here on
    size_t next;              // the first span that is not in this step's block
    struct plan_block block;
};

/* The best block that begins with span i, given the best plans for all that come after. */
static int choose_block(const struct plan_span *spans, size_t span_count, size_t i, unsigned most,
                        const struct plan_limits *limits, const struct plan_timing *timing,
                        struct plan_step *steps)
{
    unsigned end = spans[i].address;

    steps[i].cost_us = HUGE_VAL;
    for (size_t j = i; j < span_count && spans[j].table == spans[i].table; j++) {
        struct plan_block block;
        double cost_us;

        if (spans[j].address > end
            && !may_touch_gap(limits, spans[j].table, end, spans[j].address - 1u)) {
            break;
        }
        end = MAX(end, (unsigned) spans[j].address + spans[j].count);
        block = block_of(limits, spans[i].table, spans[i].address, end);
        if (end > 65536 || block.count > limits->max_registers || (block.count > most && j > i)) {
            break;
        }

        cost_us = plan_block_us(timing, block.count) + steps[j + 1].cost_us + TIE_REQUEST_US
                  + block.count * TIE_REGISTER_US;
        if (cost_us < steps[i].cost_us) {
            steps[i] = (struct plan_step){ .cost_us = cost_us, .next = j + 1, .block = block };
        }
    }
    return isinf(steps[i].cost_us) ? -EMSGSIZE : 0;
}

int plan_make(const struct plan_span *spans, size_t span_count, const struct plan_limits *limits,
              const struct plan_timing *timing, struct plan_block *ret_blocks)
{
    auto_free struct plan_span *sorted = calloc(span_count + 1, sizeof(*sorted));
    auto_free struct plan_step *steps = calloc(span_count + 1, sizeof(*steps));
    unsigned most = most_registers(limits, timing);
    int block_count = 0;
    int r;

    if (!sorted || !steps) {
        return -ENOMEM;
    }
    memcpy(sorted, spans, span_count * sizeof(*sorted));
    qsort(sorted, span_count, sizeof(*sorted), compare_spans);

    for (size_t i = span_count; i-- > 0;) {
        r = choose_block(sorted, span_count, i, most, limits, timing, steps);
        if (r < 0) {
            return r;
        }
    }
    for (size_t i = 0; i < span_count; i = steps[i].next) {
        ret_blocks[block_count++] = steps[i].block;
    }
    return block_count;
}
