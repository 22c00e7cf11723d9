/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whether a meter is there, and how often one that is not is asked again. Pure.
 *
 * A meter that never answered, or was silent HEALTH_LOST_AFTER times in a row, leaves its slices. Its probes come less
 * and less often, and those of all silent meters of a bus together take at most 5 % of its time while any
 * meter of it is alive; still each is found again within 60 s, or, where silent meters x probe time is more than 3 s,
 * within (silent meters x probe time / 5 %). budget.h holds them to it, probe for probe.
 *
 * A meter that answers, but often does not, keeps its slices; a short question goes before each poll, so that a silence
 * costs no more than that, and comes out of the same budget.
 */

#include "app/base/macros.h"

#include <stdbool.h>
#include <stdint.h>

#define HEALTH_LOST_AFTER 3

enum health_state {
    HEALTH_NEW,       // not asked yet
    HEALTH_LIVE,
    HEALTH_SILENT,
    HEALTH_REFUSED,   // it answers, but nothing that we asked for
};

struct health {
    enum health_state state;
    bool answered;           // ever, since the start
    bool missing;            // no row since a missed slice
    bool timed_out;          // the last time
    unsigned failures;       // polls and probes in a row
    unsigned probes;         // since it fell silent
    unsigned unreliable;     // more with each failure, less with each row
    uint32_t spent_us;       // by a probe that failed, lately; 0: none did
    uint64_t missing_us;     // since when, if missing
};

/* What a result changed: each is an event of its own. */
enum health_change {
    HEALTH_MISSED = 1 << 0,  // the first slice without a row
    HEALTH_LOST = 1 << 1,    // silent from now on
    HEALTH_BACK = 1 << 2,    // a row again
};

/* A poll or probe ended with 0 or -Exxx. Returns enum health_change, or'ed. */
unsigned health_result(struct health *health, int result, uint64_t now_us);

/*
 * Whether the next question is a probe before a poll: also after a single time-out, so that a meter that dies costs the
 * others one time-out a slice and not one for each request and attempt.
 */
bool health_wants_probe(const struct health *health);

/* Whether it is asked from the budget for those that do not answer: it is silent, or often was lately. */
bool health_is_doubtful(const struct health *health);

/* What a probe depends on, beside the meter itself. */
struct health_bus {
    uint32_t own_us;         // the meter's time-out, as adapted to its latency
    uint32_t own_probe_us;   // the same for a probe: shorter
    uint32_t bus_us;         // the longest latency measured on its bus; 0 = none yet
    uint32_t model_us;       // the time-out of its model
    unsigned index;          // of the meter, so that not all have their patient probe at a time
    unsigned silent_count;   // meters of the bus
    bool any_alive;          // of them
};

/*
 * How long a probe waits for an answer. One that never answered: as long as the slowest meter of its bus may take, and
 * each tenth time as its model says, since it may be slower than all others. One that did: as long as it took itself;
 * and as its model says each tenth time, or more seldom where many are silent.
 */
uint32_t health_probe_timeout_us(const struct health *health, const struct health_bus *bus);

/* What a probe takes on average. */
uint32_t health_probe_cost_us(const struct health *health, const struct health_bus *bus);

/* A probe failed after so long: that may be more than we waited, where a gateway waits for us. */
void health_probe_failed(struct health *health, uint64_t took_us);

/* How long to wait before the next probe. */
uint64_t health_probe_delay_us(const struct health *health, uint64_t interval_us, const struct health_bus *bus);
