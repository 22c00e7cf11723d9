/* SPDX-License-Identifier: MIT */
#include "drivers/modbus_latency.h"

#include "app/base/macros.h"

#define LEAST_TIMEOUT_US  100000  // a meter that is fast now may be busy next time
#define LEAST_PROBE_US    50000
#define MEASURE_EVERY     8       // requests, of a meter that is known
#define MEASURE_EARLY_US  250     // wake so long before

uint32_t latency_sleep_us(struct latency *latency)
{
    uint32_t early_us = MIN((uint32_t) MEASURE_EARLY_US, latency->expect_us / 2);

    latency->measuring = latency->measured_count < LATENCY_MEASURED || ++latency->request_count % MEASURE_EVERY == 0;
    return latency->expect_us - (latency->measuring ? early_us : 0);
}

bool latency_learn(struct latency *latency, uint32_t latency_us, bool is_bound)
{
    size_t count;

    latency->last_us = latency_us;
    if (is_bound && !latency->measuring) {
        return false;  // as we wanted it
    }
    if (is_bound) {
        latency_us -= latency_us / 8;                  // it was there long before: an attempt to meet it...
        latency->request_count = MEASURE_EVERY - 1;    // ...the next time
    }
    latency->measured_us[latency->measured_count++ % LATENCY_MEASURED] = latency_us;
    count = MIN(latency->measured_count, (size_t) LATENCY_MEASURED);
    latency->expect_us = latency->slowest_us = latency->measured_us[0];
    for (size_t i = 1; i < count; i++) {
        latency->expect_us = MIN(latency->expect_us, latency->measured_us[i]);
        latency->slowest_us = MAX(latency->slowest_us, latency->measured_us[i]);
    }
    return true;
}

static uint32_t wait_us(const struct latency *latency, uint64_t learned_us, uint32_t least_us)
{
    if (latency->expect_us == 0) {
        return latency->longest_us;
    }
    return (uint32_t) MIN(MAX(learned_us, (uint64_t) least_us), (uint64_t) latency->longest_us);
}

uint32_t latency_timeout_us(const struct latency *latency)
{
    return wait_us(latency, 3 * (uint64_t) latency->slowest_us + LEAST_TIMEOUT_US / 2, LEAST_TIMEOUT_US);
}

uint32_t latency_probe_us(const struct latency *latency)
{
    return wait_us(latency, 2 * (uint64_t) latency->slowest_us + LEAST_PROBE_US / 2, LEAST_PROBE_US);
}
