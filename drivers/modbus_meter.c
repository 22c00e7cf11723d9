/* SPDX-License-Identifier: MIT */
#include "drivers/modbus_meter.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_US    30000000ULL    // after a refusal; then twice as long each time,
#define MUTED_US    600000000ULL   // up to 10 min for a point that was refused alone,
#define BARRIERS_US 3600000000ULL  // and up to 1 h for joined requests
#define MAX_DOUBLED 7              // 30 s * 2^7 is more than an hour

static int compare_slots(const void *a, const void *b)
{
    const struct point *x = ((const struct meter_slot *) a)->point, *y = ((const struct meter_slot *) b)->point;

    return x->table != y->table ? (int) x->table - (int) y->table : (int) x->address - (int) y->address;
}

static uint32_t hash(uint32_t hash, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ ((const uint8_t *) bytes)[i]) * 16777619u;  // FNV-1a
    }
    return hash;
}

static uint32_t hash_number(uint32_t before, uint32_t number)
{
    return hash(before, &number, sizeof(number));
}

static uint32_t hash_settings(const struct modbus_meter *meter, const struct model *model)
{
    uint32_t sum = hash(2166136261u, model->id, strlen(model->id));

    sum = hash_number(sum, meter->limits.max_registers);
    sum = hash_number(sum, (uint32_t) meter->limits.even << 1 | meter->limits.read_gaps);
    for (size_t i = 0; i < meter->limits.avoid_count; i++) {
        sum = hash_number(sum, (uint32_t) meter->limits.avoid[i].table);
        sum = hash_number(sum, (uint32_t) meter->limits.avoid[i].first << 16 | meter->limits.avoid[i].last);
    }
    for (unsigned i = 0; i < meter->slot_count; i++) {
        const struct point *point = meter->slots[i].point;

        sum = hash_number(sum, (uint32_t) point->table << 16 | point->word_count);
        sum = hash_number(sum, point->address);
    }
    return sum;
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
    meter->settings = hash_settings(meter, model);
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

/* Plan the points from first on, up to a barrier, a muted one or one on trial. Returns where it stopped. */
static int plan_stretch(struct modbus_meter *meter, unsigned first, uint64_t now_us)
{
    struct plan_span spans[MAX_POINTS];
    struct plan_block blocks[MAX_POINTS];
    unsigned last = first, next = first;
    int block_count;

    for (; last < meter->slot_count && meter->slots[last].muted_until_us <= now_us
           && (last == first
               || !(meter->slots[last].barrier || meter->slots[last].trial || meter->slots[first].trial));
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

/* How long something is left out that was refused so often before. */
static uint64_t left_out_us(unsigned refusals, uint64_t most_us)
{
    return MIN(FIRST_US << MIN(refusals, (unsigned) MAX_DOUBLED), most_us);
}

/* Whether time has made the plan stale. */
static bool may_ask_again(struct modbus_meter *meter, uint64_t now_us)
{
    bool again = false;

    if (meter->barriers_on_trial) {
        meter->barriers_on_trial = false;  // the last poll refused nothing
        meter->barrier_refusals = 0;
        meter->version++;
    }
    if (meter->barriers_until_us > 0 && now_us >= meter->barriers_until_us) {
        for (unsigned i = 0; i < meter->slot_count; i++) {
            meter->slots[i].barrier = false;
        }
        meter->barriers_until_us = 0;
        meter->barriers_on_trial = true;
        again = true;
    }
    for (unsigned i = 0; i < meter->slot_count; i++) {
        if (meter->slots[i].muted_until_us > 0 && now_us >= meter->slots[i].muted_until_us) {
            meter->slots[i].muted_until_us = 0;
            meter->slots[i].trial = true;
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
    if (meter->barriers_on_trial) {
        meter->barriers_on_trial = false;
        meter->barrier_refusals += meter->barrier_refusals < MAX_DOUBLED;
    }
    meter->version += !meter->slots[middle].barrier;
    meter->slots[middle].barrier = true;
    meter->barriers_until_us = now_us + left_out_us(meter->barrier_refusals, BARRIERS_US);
    meter->stale = true;
    *ret_middle = middle;
}

void meter_mute(struct modbus_meter *meter, unsigned slot, enum reason reason, uint64_t now_us)
{
    struct meter_slot *refused = &meter->slots[slot];

    refused->muted_until_us = now_us + left_out_us(refused->refusals, MUTED_US);
    refused->muted_reason = (uint8_t) reason;
    refused->refusals += refused->refusals < MAX_DOUBLED;
    refused->trial = false;
    meter->stale = true;
    meter->version++;
}

void meter_answered(struct modbus_meter *meter, const struct meter_request *request)
{
    for (unsigned i = request->first; i < request->last; i++) {
        struct meter_slot *slot = &meter->slots[i];

        if (slot->trial || slot->refusals > 0) {
            slot->trial = false;
            slot->refusals = 0;
            meter->stale = true;
            meter->version++;
        }
    }
}

void meter_learn_turnaround(struct modbus_meter *meter, double turnaround_us)
{
    if (fabs(turnaround_us - meter->timing.turnaround_us) > meter->timing.turnaround_us / 4) {
        meter->timing.turnaround_us = turnaround_us;
        meter->stale = true;
    }
}

/* --- over a restart --- */

void meter_save(const struct modbus_meter *meter, struct text *ret)
{
    bool any = false;

    text_reset(ret);
    for (unsigned i = 0; i < meter->slot_count; i++) {
        any |= meter->slots[i].barrier || meter->slots[i].refusals > 0;
    }
    if (!any) {
        return;
    }

    text_addf(ret, "%08x again:%u", meter->settings, meter->barrier_refusals);
    for (unsigned i = 0; i < meter->slot_count; i++) {
        const struct meter_slot *slot = &meter->slots[i];

        if (slot->barrier) {
            text_addf(ret, " barrier:%u:%u", (unsigned) slot->point->table, slot->point->address);
        }
        if (slot->refusals > 0) {
            text_addf(ret, " refused:%u:%u:%u:%u", (unsigned) slot->point->table, slot->point->address,
                      slot->muted_reason, slot->refusals);
        }
    }
}

/* Cut a number off a word: "3:3028:2" leaves "3028:2". */
static int cut_number(char **word, unsigned max, unsigned *ret)
{
    char *end = strchrnul(*word, ':');
    bool more = *end == ':';
    uint64_t number;
    int r;

    *end = '\0';
    r = text_to_unsigned(*word, 0, max, &number);
    if (r < 0) {
        return -EBADMSG;
    }
    *ret = (unsigned) number;
    *word = more ? end + 1 : end;
    return 0;
}

/* The slot that "TABLE:ADDRESS..." names. */
static struct meter_slot *cut_slot(const struct modbus_meter *meter, struct meter_slot *slots, char **word)
{
    unsigned table, address;

    if (cut_number(word, MODBUS_INPUT, &table) < 0 || cut_number(word, UINT16_MAX, &address) < 0) {
        return NULL;
    }
    for (unsigned i = 0; i < meter->slot_count; i++) {
        if ((unsigned) slots[i].point->table == table && slots[i].point->address == address) {
            return &slots[i];
        }
    }
    return NULL;
}

static int restore_word(const struct modbus_meter *meter, struct meter_slot *slots, char *word, unsigned *again)
{
    unsigned reason, refusals;
    struct meter_slot *slot;

    if (text_starts(word, "again:")) {
        word += strlen("again:");
        return cut_number(&word, MAX_DOUBLED, again);
    }
    if (text_starts(word, "barrier:")) {
        word += strlen("barrier:");
        slot = cut_slot(meter, slots, &word);
        if (!slot || slot == slots) {
            return -EBADMSG;
        }
        slot->barrier = true;
        return 0;
    }
    if (!text_starts(word, "refused:")) {
        return -EBADMSG;
    }
    word += strlen("refused:");
    slot = cut_slot(meter, slots, &word);
    if (!slot || cut_number(&word, REASON_EXCEPTION_LAST, &reason) < 0
        || cut_number(&word, MAX_DOUBLED, &refusals) < 0 || refusals == 0) {
        return -EBADMSG;
    }
    slot->trial = true;
    slot->muted_reason = (uint8_t) reason;
    slot->refusals = (uint8_t) refusals;
    return 0;
}

int meter_restore(struct modbus_meter *meter, const char *saved, uint64_t now_us)
{
    auto_free char *copy = strdup(saved);
    auto_free struct meter_slot *slots = calloc(MAX(meter->slot_count, 1u), sizeof(*slots));
    char settings[16];
    char *rest = copy, *word;
    unsigned again = 0;

    if (!copy || !slots) {
        return -ENOMEM;
    }
    memcpy(slots, meter->slots, meter->slot_count * sizeof(*slots));
    (void) snprintf(settings, sizeof(settings), "%08x", meter->settings);
    word = text_word(&rest);
    if (!text_equal(word, settings)) {
        return strlen(word) == strlen(settings) && strspn(word, "0123456789abcdef") == strlen(word) ? -ESTALE
                                                                                                    : -EBADMSG;
    }
    while (*(word = text_word(&rest))) {
        int r = restore_word(meter, slots, word, &again);

        if (r < 0) {
            return r;
        }
    }

    memcpy(meter->slots, slots, meter->slot_count * sizeof(*slots));
    meter->barrier_refusals = (uint8_t) again;
    meter->barriers_until_us = now_us + left_out_us(again, MUTED_US);
    meter->barriers_on_trial = false;
    meter->stale = true;
    return 0;
}
