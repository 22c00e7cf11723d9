/* SPDX-License-Identifier: MIT */
#include "app/acquire/health.h"

#include "app/acquire/budget.h"

#include <errno.h>

#define PROBE_MIN_US         100000     // a meter may need so long after its own power-up
#define PROBE_OVERHEAD_US    12000      // request and silence at 9600 Bd
#define FOUND_WITHIN_US      57000000   // promised are 60 s; the rest is for the probe, the poll and a busy bus
#define PATIENT_EACH         10         // probes
#define PATIENT_TOGETHER     5          // so many silent meters may have their patient probe at a time
#define FAILURE_WEIGHT       8          // rows that make up for a failure
#define UNRELIABLE           24         // three failures lately
#define MOST_UNRELIABLE      64

static bool is_down(enum health_state state)
{
    return state == HEALTH_SILENT || state == HEALTH_REFUSED;
}

static unsigned succeeded(struct health *health)
{
    unsigned change = health->missing ? HEALTH_BACK : 0;
    unsigned unreliable = health->unreliable;

    *health = (struct health){ .state = HEALTH_LIVE,
                               .answered = true,
                               .unreliable = unreliable - MIN(unreliable, 1u) };
    return change;
}

unsigned health_result(struct health *health, int result, uint64_t now_us)
{
    enum health_state down = result == -EOPNOTSUPP ? HEALTH_REFUSED : HEALTH_SILENT;
    unsigned change = 0;

    if (result >= 0) {
        return succeeded(health);
    }

    health->failures++;
    if (health->state == HEALTH_LIVE) {
        health->unreliable = MIN(health->unreliable + FAILURE_WEIGHT, (unsigned) MOST_UNRELIABLE);
    }
    health->timed_out = result == -ETIMEDOUT;
    if (health->state == HEALTH_SILENT) {
        health->probes++;
    }
    if (!health->missing) {
        health->missing = true;
        health->missing_us = now_us;
        change |= HEALTH_MISSED;
    }
    if (is_down(health->state)) {
        health->state = down;
    } else if (!health->answered || health->failures >= HEALTH_LOST_AFTER) {
        health->state = down;
        change |= HEALTH_LOST;
    }
    return change;
}

bool health_wants_probe(const struct health *health)
{
    return health->state == HEALTH_NEW || health->state == HEALTH_SILENT || health->timed_out
           || health->unreliable >= UNRELIABLE;
}

bool health_is_doubtful(const struct health *health)
{
    return health->state == HEALTH_SILENT || health->timed_out || health->unreliable >= UNRELIABLE;
}

static uint32_t usual_timeout_us(const struct health *health, const struct health_bus *bus)
{
    if (health->answered) {
        return health->state == HEALTH_SILENT ? bus->own_probe_us : bus->own_us;
    }
    return bus->bus_us == 0 ? bus->model_us : MIN(MAX(bus->bus_us, (uint32_t) PROBE_MIN_US), bus->model_us);
}

/* Of so many probes one is patient. */
static unsigned patient_each(const struct health *health, const struct health_bus *bus)
{
    return health->answered ? MAX((unsigned) PATIENT_EACH, 3 * bus->silent_count) : PATIENT_EACH;
}

uint32_t health_probe_timeout_us(const struct health *health, const struct health_bus *bus)
{
    unsigned each = patient_each(health, bus);
    // Not the first of those that never answered: with many that would hold up the others' first rows. But soon.
    unsigned phase = health->answered ? each / 2 : 0;

    if (bus->silent_count > PATIENT_TOGETHER) {
        phase += bus->index;
    }
    if (health->state == HEALTH_SILENT && (health->probes + phase) % each == 0) {
        return bus->model_us;
    }
    return usual_timeout_us(health, bus);
}

uint32_t health_probe_cost_us(const struct health *health, const struct health_bus *bus)
{
    uint32_t usual_us = usual_timeout_us(health, bus);
    uint32_t average_us = usual_us + (bus->model_us - MIN(usual_us, bus->model_us)) / patient_each(health, bus);

    return MAX(average_us + PROBE_OVERHEAD_US, health->spent_us);
}

void health_probe_failed(struct health *health, uint64_t took_us)
{
    uint32_t us = (uint32_t) MIN(took_us, (uint64_t) UINT32_MAX / 8);

    health->spent_us = health->spent_us == 0 ? us : (7 * health->spent_us + us) / 8;
}

uint64_t health_probe_delay_us(const struct health *health, uint64_t interval_us, const struct health_bus *bus)
{
    uint64_t delay_us = MIN(interval_us, (uint64_t) FOUND_WITHIN_US);
    uint64_t budget_us = (uint64_t) bus->silent_count * health_probe_cost_us(health, bus) * BUDGET_DIVISOR;

    if (!bus->any_alive) {
        return delay_us;  // nobody is waiting for the bus
    }
    for (unsigned i = 0; i < health->probes && delay_us < FOUND_WITHIN_US; i++) {
        delay_us = MIN(delay_us * 2, (uint64_t) FOUND_WITHIN_US);
    }
    return MAX(delay_us, budget_us);
}
