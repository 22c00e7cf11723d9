/* SPDX-License-Identifier: MIT */
#include "app/acquire/health.h"

#include <errno.h>

#define PROBE_MIN_US         100000     // a meter may need so long after its own power-up
#define PROBE_OVERHEAD_US    20000      // request, silences and wake-up at 9600 Bd
#define FOUND_WITHIN_US      55000000   // promised are 60 s; the rest is for the probe, the poll and a busy bus
#define SLOW_PROBE_EACH      10
#define BUDGET_DIVISOR       20         // 5 %

static bool is_down(enum health_state state)
{
    return state == HEALTH_SILENT || state == HEALTH_REFUSED;
}

static unsigned succeeded(struct health *health)
{
    unsigned change = health->missing ? HEALTH_BACK : 0;

    *health = (struct health){ .state = HEALTH_LIVE, .answered = true };
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
    return health->state == HEALTH_NEW || health->state == HEALTH_SILENT || health->timed_out;
}

static uint32_t short_timeout_us(uint32_t bus_us, uint32_t model_us)
{
    return bus_us == 0 ? model_us : MIN(MAX(bus_us, (uint32_t) PROBE_MIN_US), model_us);
}

uint32_t health_probe_timeout_us(const struct health *health, uint32_t own_us, uint32_t bus_us, uint32_t model_us)
{
    if (health->answered) {
        return own_us;
    }
    // Not the first: with many dead meters that would hold up the others' first rows. But soon.
    if (health->probes % SLOW_PROBE_EACH == 0 && health->state == HEALTH_SILENT) {
        return model_us;
    }
    return short_timeout_us(bus_us, model_us);
}

uint32_t health_probe_cost_us(const struct health *health, uint32_t own_us, uint32_t bus_us, uint32_t model_us)
{
    uint32_t timeout_us = own_us;

    if (!health->answered) {
        uint32_t usual_us = short_timeout_us(bus_us, model_us);

        timeout_us = usual_us + (model_us - usual_us) / SLOW_PROBE_EACH;
    }
    return timeout_us + PROBE_OVERHEAD_US;
}

uint64_t health_probe_delay_us(const struct health *health, uint64_t interval_us, unsigned silent_count,
                               uint32_t probe_cost_us, bool any_alive)
{
    uint64_t delay_us = MIN(interval_us, (uint64_t) FOUND_WITHIN_US);
    uint64_t budget_us = (uint64_t) silent_count * probe_cost_us * BUDGET_DIVISOR;

    if (!any_alive) {
        return delay_us;  // nobody is waiting for the bus
    }
    for (unsigned i = 0; i < health->probes && delay_us < FOUND_WITHIN_US; i++) {
        delay_us = MIN(delay_us * 2, (uint64_t) FOUND_WITHIN_US);
    }
    return MAX(delay_us, budget_us);
}
