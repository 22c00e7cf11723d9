// SPDX-License-Identifier: MIT
// link: ms_acquire
// share: 3
//
// Any readings of a counter at any times. Whatever is believed without an event that says why goes on from what was
// believed before: it does not fall, and rises by no more than the connection carries.

#include "app/acquire/counter.h"
#include "app/base/macros.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define STEP_SIZE 6  // flags, two bytes of time, three of the reading

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A float may fall by its last bit: the same number, rounded otherwise. */
static double last_bit(const struct counter_limits *limits, double value)
{
    return limits->float_bits ? fabs(value) * ldexp(1, 2 - (int) limits->float_bits) : 0;
}

static void check_believed(const struct counter_limits *limits, const struct counter_judgement *judgement, double value)
{
    const double hours = (double) (judgement->elapsed_ms + COUNTER_SLACK_MS) / 3600e3;
    const double bit = last_bit(limits, judgement->before);

    if (isnan(judgement->before)) {
        return;
    }
    assert(value >= judgement->before - bit);
    assert(value <= judgement->before + limits->most_per_hour * hours + limits->resolution + 2 * bit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct counter_limits kinds[] = {
        { .per_hour = 1e4, .most_per_hour = 1e4, .resolution = 1, .width = 4294967296.0 },
        { .per_hour = 1e6, .most_per_hour = 1e9, .resolution = 10, .width = 1e8 },
        { .per_hour = 1e4, .most_per_hour = 1e4, .resolution = 0.001, .float_bits = 24 },
    };
    const struct counter_limits *limits;
    struct counter_judgement judgement;
    struct counter counter;
    int64_t ms = 0;
    double value = 0;

    if (size == 0) {
        return 0;
    }
    limits = &kinds[data[0] % ARRAY_SIZE(kinds)];
    counter_init(&counter, limits, data[0] & 64 ? COUNTER_FORGOTTEN : COUNTER_NEW, NULL);

    for (data++, size--; size >= STEP_SIZE; data += STEP_SIZE, size -= STEP_SIZE) {
        const double number = data[3] << 16 | data[4] << 8 | data[5];

        ms += 1 + (data[1] << 8 | data[2]) * (data[0] & 1 ? 1000 : 1);
        value = data[0] & 8 ? (limits->width > 0 ? limits->width : 4294967296.0) - limits->resolution  // all ones
                : data[0] & 2 ? value + fmod(number, 256) * limits->resolution   // near the one before
                : data[0] & 4 ? limits->width - number * limits->resolution    // near the register's end
                              : number * limits->resolution;
        counter_judge(&counter, value, data[0] & 8, ms, &judgement);
        if (judgement.verdict == COUNTER_BELIEVED || judgement.verdict == COUNTER_DROPPED) {
            check_believed(limits, &judgement, value);
        }
        if (!counter_verdict_holds(judgement.verdict)) {
            assert(counter.held == 0 && fabs(counter.last.value - value) <= last_bit(limits, value));
        }
    }
    return 0;
}
