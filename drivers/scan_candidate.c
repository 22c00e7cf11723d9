/* SPDX-License-Identifier: MIT */
#include "drivers/scan_private.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define TURNAROUND_US 10000

int candidate_begin(struct candidate *candidate, const struct model *model, const struct serial_setting *serial)
{
    struct plan_timing timing = { .turnaround_us = TURNAROUND_US };
    auto_problems struct problems problems = { 0 };
    int r;

    candidate_clear(candidate);
    if (serial->baud) {
        timing.character_us = serial_character_us(serial);
        timing.silence_us = serial_silence_us(serial);
    }
    r = selection_parse(model, "log", model->file, 0, &problems, &candidate->selection);
    r = r < 0 ? r : meter_init(&candidate->meter, model, &candidate->selection, 0, &timing);
    if (r < 0) {
        candidate_clear(candidate);
        return r;
    }
    for (unsigned i = 0; i < candidate->selection.point_count; i++) {
        candidate->values[i] = NAN;
    }
    candidate->model = model;
    return 0;
}

void candidate_clear(struct candidate *candidate)
{
    meter_clear(&candidate->meter);
    memset(candidate, 0, sizeof(*candidate));
}

bool candidate_next(const struct candidate *candidate, struct modbus_request *ret)
{
    const struct model *model = candidate->model;

    if (candidate->evidence.refused) {
        return false;
    }
    if (candidate->identity < model->identity_count) {
        const struct identity *identity = &model->identities[candidate->identity];

        *ret = (struct modbus_request){ .table = identity->table, .address = identity->address,
                                        .count = (uint16_t) identity->word_count };
        return true;
    }
    if (candidate->request < candidate->meter.request_count) {
        const struct plan_block *block = &candidate->meter.requests[candidate->request].block;

        *ret = (struct modbus_request){ .table = block->table, .address = block->address, .count = block->count };
        return true;
    }
    return false;
}

static void take_block(struct candidate *candidate, const struct meter_request *request, const uint16_t *words)
{
    for (unsigned i = request->first; i < request->last; i++) {
        const struct meter_slot *slot = &candidate->meter.slots[i];
        double values[2] = { NAN, NAN };

        point_decode(candidate->model, slot->point, words + (slot->point->address - request->block.address), values);
        candidate->values[slot->selected] = values[0];
    }
}

/* A request that reads registers which nobody wants may be refused for those: once more, without. */
static bool leave_gaps_out(struct candidate *candidate)
{
    if (candidate->without_gaps || !candidate->meter.limits.read_gaps) {
        return false;
    }
    candidate->without_gaps = true;
    candidate->meter.limits.read_gaps = false;
    candidate->meter.stale = true;
    candidate->request = 0;
    return meter_plan(&candidate->meter, 0) == 0;
}

void candidate_answer(struct candidate *candidate, unsigned unit, const uint16_t *words, unsigned exception)
{
    const struct model *model = candidate->model;
    const struct meter_request *request;

    if (candidate->identity < model->identity_count) {
        scan_judge_identity(model, &model->identities[candidate->identity], unit, words, &candidate->evidence);
        candidate->identity++;
        return;
    }
    request = &candidate->meter.requests[candidate->request];
    if (!words && exception && leave_gaps_out(candidate)) {
        return;
    }
    if (!words) {
        scan_refuse(&candidate->evidence, "register %u is %s", request->block.address + model->first_number,
                    exception ? "refused" : "not answered");
        return;
    }
    take_block(candidate, request, words);
    candidate->request++;
    if (candidate->request == candidate->meter.request_count) {
        scan_judge_values(model, &candidate->selection, candidate->values, &candidate->evidence);
        if (!candidate->evidence.refused && candidate->evidence.points < SCAN_ENOUGH) {
            scan_refuse(&candidate->evidence, "its values could be those of anything");
        }
    }
}

int candidate_first(const struct model *model, const struct serial_setting *serial, struct modbus_request *ret)
{
    struct candidate *candidate = calloc(1, sizeof(*candidate));
    int r;

    if (!candidate) {
        return -ENOMEM;
    }
    r = candidate_begin(candidate, model, serial);
    if (r == 0) {
        while (candidate->identity < model->identity_count && model->identities[candidate->identity].optional) {
            candidate->identity++;
        }
        r = candidate_next(candidate, ret) ? 0 : -ENOENT;
    }
    candidate_clear(candidate);
    free(candidate);
    return r;
}
