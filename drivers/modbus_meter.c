/* SPDX-License-Identifier: MIT */
#include "drivers/modbus_meter.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define MUTED_US    600000000ULL   // a refused point is asked for again after 10 min
#define BARRIERS_US 3600000000ULL  // joined requests are tried again after 1 h

static int compare_slots(const void *a, const void *b)
{
    const struct point *x = ((const struct meter_slot *) a)->point, *y = ((const struct meter_slot *) b)->point;

    return x->table != y->table ? (int) x->table - (int) y->table : (int) x->address - (int) y->address;
}

int meter_init(struct modbus_meter *meter, const struct model *model, const struct selection *selection,
               unsigned max_registers, const struct plan_timing *timing)
{
    *meter = (struct modbus_meter){
        .slots = calloc(MAX(selection->point_count, 1u), sizeof(*meter->slots)),
        .slot_count = selection->point_count,
        .requests = calloc(MAX(selection->point_count, 1u), sizeof(*meter->requests)),
        .timing = *timing,
        .limits = { .max_registers = max_registers ? MIN(max_registers, model->max_registers)
                                                   : model->max_registers,
                    .even = model->even,
                    .read_gaps = model->read_gaps,
                    .avoid = model->avoid,
                    .avoid_count = model->avoid_count },
        .stale = true,
    };
    if (!meter->slots || !meter->requests) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < meter->slot_count; i++) {
        meter->slots[i].point = &model->points[selection->points[i]];
        meter->slots[i].selected = (uint16_t) i;
    }
    qsort(meter->slots, meter->slot_count, sizeof(*meter->slots), compare_slots);
    return meter_plan(meter, 0);
}

void meter_clear(struct modbus_meter *meter)
{
    free(meter->slots);
    free(meter->requests);
    meter->slots = NULL;
    meter->requests = NULL;
}

struct meter_request meter_request_for(const struct modbus_meter *meter, unsigned first, unsigned last)
{
    unsigned start = meter->slots[first].point->address, end = 0;

    for (unsigned i = first; i < last; i++) {
        end = MAX(end, (unsigned) meter->slots[i].point->address + meter->slots[i].point->word_count);
    }
    if (meter->limits.even) {
        start &= ~1u;
        end += end & 1;
    }
    return (struct meter_request){
        .block = { .table = meter->slots[first].point->table, .address = (uint16_t) start,
                   .count = (uint16_t) (end - start) },
        .first = first,
        .last = last,
    };
}

/* Plan the points from first on, up to a barrier or a muted one. Returns where it stopped. */
static int plan_stretch(struct modbus_meter *meter, unsigned first, uint64_t now_us)
{
    struct plan_span spans[MAX_POINTS];
    struct plan_block blocks[MAX_POINTS];
    unsigned last = first, next = first;
    int block_count;

    for (; last < meter->slot_count && (last == first || !meter->slots[last].barrier)
           && meter->slots[last].muted_until_us <= now_us;
         last++) {
        const struct point *point = meter->slots[last].point;

        spans[last - first] = (struct plan_span){ .table = point->table, .address = point->address,
                                                  .count = (uint16_t) point->word_count };
    }

    block_count = plan_make(spans, last - first, &meter->limits, &meter->timing, blocks);
    if (block_count < 0) {
        return block_count;
    }
    for (int i = 0; i < block_count; i++) {
        unsigned start = next;

        while (next < last && meter->slots[next].point->table == blocks[i].table
               && meter->slots[next].point->address + meter->slots[next].point->word_count
                      <= blocks[i].address + blocks[i].count) {
            next++;
        }
        meter->requests[meter->request_count++] =
            (struct meter_request){ .block = blocks[i], .first = start, .last = next };
    }
    assert(next == last);
    return (int) MAX(last, first + 1);  // a muted point is stepped over
}

/* Whether time has made the plan stale. */
static bool may_ask_again(struct modbus_meter *meter, uint64_t now_us)
{
    bool again = false;

    if (meter->barriers_until_us > 0 && now_us >= meter->barriers_until_us) {
        for (unsigned i = 0; i < meter->slot_count; i++) {
            meter->slots[i].barrier = false;
        }
        meter->barriers_until_us = 0;
        again = true;
    }
    for (unsigned i = 0; i < meter->slot_count; i++) {
        if (meter->slots[i].muted_until_us > 0 && now_us >= meter->slots[i].muted_until_us) {
            meter->slots[i].muted_until_us = 0;
            again = true;
        }
    }
    return again;
}

int meter_plan(struct modbus_meter *meter, uint64_t now_us)
{
    int next = 0;

    if (!may_ask_again(meter, now_us) && !meter->stale) {
        return 0;
    }
    meter->request_count = 0;
    while (next < (int) meter->slot_count) {
        next = plan_stretch(meter, (unsigned) next, now_us);
        if (next < 0) {
            return next;
        }
    }
    meter->stale = false;
    return 0;
}

void meter_split(struct modbus_meter *meter, const struct meter_request *request, uint64_t now_us,
                 unsigned *ret_middle)
{
    unsigned middle = request->first + (request->last - request->first) / 2;

    assert(request->last - request->first >= 2);
    meter->slots[middle].barrier = true;
    meter->barriers_until_us = now_us + BARRIERS_US;
    meter->stale = true;
    *ret_middle = middle;
}

void meter_mute(struct modbus_meter *meter, unsigned slot, enum reason reason, uint64_t now_us)
{
    meter->slots[slot].muted_until_us = now_us + MUTED_US;
    meter->slots[slot].muted_reason = (uint8_t) reason;
    meter->stale = true;
}

void meter_learn_turnaround(struct modbus_meter *meter, double turnaround_us)
{
    if (fabs(turnaround_us - meter->timing.turnaround_us) > meter->timing.turnaround_us / 4) {
        meter->timing.turnaround_us = turnaround_us;
        meter->stale = true;
    }
}
