/* SPDX-License-Identifier: MIT */
#include "app/cli/simulate_wire.h"

#include <math.h>
#include <string.h>

#define REQUEST_CHARACTERS 8
#define STALE_US           50000  // half a request so long ago is none any more

static bool has_time(const struct wire *wire)
{
    return wire->character_us > 0;
}

void wire_receive(struct wire *wire, const uint8_t *bytes, size_t size, uint64_t now_us)
{
    if (wire->busy && wire->rtu) {
        wire->counters.collisions += size;  // a meter that talks does not hear
        return;
    }
    if (wire->in_size > 0 && now_us - wire->in_last_us > STALE_US) {
        wire->in_size = 0;
    }
    if (wire->in_size == 0) {
        wire->in_first_us = now_us;
        if (has_time(wire) && wire->counters.requests > 0
            && (double) now_us < wire->free_us + wire->silence_us) {
            wire->counters.silence_violations++;
        }
        if (wire->counters.first_us == 0) {
            wire->counters.first_us = now_us;
        }
    }
    if (size > sizeof(wire->in) - wire->in_size) {
        wire->in_size = 0;
        size = MIN(size, sizeof(wire->in));
    }
    memcpy(wire->in + wire->in_size, bytes, size);
    wire->in_size += size;
    wire->in_last_us = now_us;
}

bool wire_request(struct wire *wire, struct modbus_request *ret)
{
    size_t skipped = 0, size;

    if (wire->busy || wire->in_size == 0) {
        return false;
    }
    size = modbus_request_find(wire->rtu ? MODBUS_RTU : MODBUS_TCP, wire->in, wire->in_size, ret,
                               &skipped);
    if (size == 0) {
        return false;
    }
    wire->counters.requests++;
    if (wire->rtu) {
        wire->counters.collisions +=
            wire->in_size - skipped - size;  // whatever came close behind it
        wire->in_size = 0;
    } else {
        wire->in_size -= skipped + size;
        memmove(wire->in, wire->in + skipped + size, wire->in_size);
    }
    return true;
}

void wire_answer(struct wire *wire, const struct answer *answer)
{
    double request_us = REQUEST_CHARACTERS * wire->character_us;
    double begin_us = (double) wire->in_first_us;

    wire->busy = true;
    wire->answer = *answer;
    wire->sent = 0;
    if (answer->size == 0) {
        wire->start_us = begin_us + request_us;
        wire->counters.busy_us += request_us + wire->silence_us;
        wire->counters.work_us += request_us + wire->silence_us;
        wire->counters.silent++;
        return;
    }
    wire->start_us = begin_us + request_us + wire->silence_us + wire->turnaround_us
                     + (double) answer->late_ms * 1000;
    request_us += (double) answer->size * wire->character_us + 2 * wire->silence_us;
    wire->counters.work_us += request_us;
    wire->counters.busy_us += request_us + wire->turnaround_us;
    wire->counters.answers++;
}

/* When the first `count` characters of the answer have passed. */
static double passed_us(const struct wire *wire, size_t count)
{
    double fragments =
        (double) ((count - 1) / WIRE_CHUNK) * (double) wire->answer.fragment_ms * 1000;

    return wire->start_us + (double) count * wire->character_us + fragments;
}

/* How many characters go over together next. */
static size_t next_count(const struct wire *wire)
{
    size_t left = wire->answer.size - wire->sent;

    return has_time(wire) || wire->answer.fragment_ms > 0 ? MIN(left, (size_t) WIRE_CHUNK) : left;
}

static void finish(struct wire *wire, double at_us)
{
    wire->busy = false;
    wire->free_us = at_us;
    wire->counters.last_us = (uint64_t) at_us;
    if (!wire->rtu && wire->in_size > 0) {
        wire->in_first_us = (uint64_t) at_us;  // a request sent ahead begins now
    }
}

size_t wire_due(struct wire *wire, uint64_t now_us, const uint8_t **ret)
{
    size_t count;

    if (!wire->busy) {
        return 0;
    }
    if (wire->answer.size == 0) {
        if ((double) now_us >= wire->start_us) {
            finish(wire, wire->start_us);
        }
        return 0;
    }
    count = next_count(wire);
    if ((double) now_us < passed_us(wire, wire->sent + count)) {
        return 0;
    }
    *ret = wire->answer.bytes + wire->sent;
    wire->sent += count;
    if (wire->sent == wire->answer.size) {
        finish(wire, passed_us(wire, wire->sent));
    }
    return count;
}

uint64_t wire_next_us(const struct wire *wire)
{
    if (!wire->busy) {
        return UINT64_MAX;
    }
    return (uint64_t) ceil(wire->answer.size == 0 ? wire->start_us
                                                  : passed_us(wire, wire->sent + next_count(wire)));
}
