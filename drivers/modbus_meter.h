/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is known of how one meter answers, and the requests that follow from it. No I/O: source_modbus.c asks, this
 * decides what, and learns from what came back.
 *
 * A meter that refuses a joined request (exception 2 or 3) has a hole in it, or lacks a point: the request is
 * halved until the refused point stands alone. Such a point is left out for a while and then asked for alone, so that
 * the attempt costs no other point; where a request was halved, a barrier stays between its halves for a while. What
 * is refused again is left out for twice as long, at most 10 min for a point and 1 h for a barrier. The first time is
 * 30 s, so that a meter that refused everything for a moment is whole again within a minute.
 */

#include "app/base/text.h"
#include "drivers/model.h"

#include <stdbool.h>
#include <stdint.h>

/* One point to read. The slots of a meter are sorted by table and address. */
struct meter_slot {
    const struct point *point;
    uint16_t selected;          // its index in the selection
    bool barrier;               // not in one request with the slot before
    bool trial;                 // was left out: asked for alone, once
    uint8_t refusals;           // in a row, when asked alone
    uint8_t muted_reason;       // enum reason
    uint64_t muted_until_us;    // refused when asked alone; 0 = not
};

/* One request of the plan, and the slots it serves: first to last - 1. */
struct meter_request {
    struct plan_block block;
    unsigned first, last;
};

struct modbus_meter {
    struct meter_slot *slots;
    unsigned slot_count;
    uint64_t barriers_until_us;     // then all are forgotten
    uint8_t barrier_refusals;       // how often joined requests were refused again, in a row
    bool barriers_on_trial;         // they were forgotten for the poll at hand
    struct plan_limits limits;
    struct plan_timing timing;
    struct meter_request *requests; // the plan
    unsigned request_count;
    bool stale;                     // the plan no longer fits what is known
    uint32_t settings;              // fingerprint of all that the plan follows from, but what was learned
    unsigned version;               // changes with what meter_save() says
};

/* Errors: -ENOMEM, -EMSGSIZE as plan_make(). meter_clear() frees what it took, also after an error. */
int meter_init(struct modbus_meter *meter, const struct model *model, const struct selection *selection,
               unsigned max_registers, const struct plan_timing *timing) MUST_CHECK;
void meter_clear(struct modbus_meter *meter);

/* Make the plan again if it is stale or if something refused may be asked again. */
int meter_plan(struct modbus_meter *meter, uint64_t now_us) MUST_CHECK;

/* The request that serves the slots first to last - 1. */
struct meter_request meter_request_for(const struct modbus_meter *meter, unsigned first, unsigned last);

/* A request with several points was refused: it is to be asked in two halves; *ret_middle parts them. */
void meter_split(struct modbus_meter *meter, const struct meter_request *request, uint64_t now_us,
                 unsigned *ret_middle);

/* A request for one point was refused. */
void meter_mute(struct modbus_meter *meter, unsigned slot, enum reason reason, uint64_t now_us);

/* A request was answered: what was on trial in it is a point like the others again. */
void meter_answered(struct modbus_meter *meter, const struct meter_request *request);

/* The meter's turnaround was measured. A plan made for one that is a quarter off is stale. */
void meter_learn_turnaround(struct modbus_meter *meter, double turnaround_us);

/*
 * What was learned of holes and refused points, as words in one line, "" if there is nothing; and back again, after a
 * restart. Barriers then stay as long as they would, at most 10 min; refused points are on trial at once, since
 * nobody knows how long ago they were refused. The fingerprint of the settings is the first word.
 *
 * Errors: -ESTALE learned with other settings   -EBADMSG no such line; *meter is as it was
 */
void meter_save(const struct modbus_meter *meter, struct text *ret);
int meter_restore(struct modbus_meter *meter, const char *saved, uint64_t now_us) MUST_CHECK;
