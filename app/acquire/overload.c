/* SPDX-License-Identifier: MIT */
#include "app/acquire/overload.h"

struct overload_round overload_worse(struct overload_round a, struct overload_round b)
{
    return (uint64_t) b.cycle_ms * a.interval_ms > (uint64_t) a.cycle_ms * b.interval_ms ? b : a;
}

enum overload_news overload_update(struct overload *overload, struct overload_round worst, uint64_t now_us)
{
    const uint64_t cycle_ms = worst.cycle_ms, interval_ms = worst.interval_ms;
    const bool changed = overload->told ? 10 * cycle_ms < 11 * interval_ms : 2 * cycle_ms > 3 * interval_ms;
    unsigned left_out;

    if (!changed || !rate_allows(&overload->rate, now_us, &left_out)) {
        return OVERLOAD_NO_NEWS;  // what is not said now is said later, if it is still so
    }
    overload->told = !overload->told;
    return overload->told ? OVERLOAD_BEGAN : OVERLOAD_ENDED;
}
