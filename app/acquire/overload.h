/* SPDX-License-Identifier: MIT */
#pragma once

/* Whether a bus keeps its meters' intervals, told when it changes and ten times a minute at most. Pure. */

#include "app/acquire/rate.h"

#include <stdbool.h>
#include <stdint.h>

/* How long a round of one meter takes lately, and how long it should. */
struct overload_round {
    uint32_t cycle_ms, interval_ms;
};

struct overload {
    bool told;           // that it does not
    struct rate rate;
};

enum overload_news { OVERLOAD_NO_NEWS, OVERLOAD_BEGAN, OVERLOAD_ENDED };

/* The one that is the more behind; a meter that was not measured is not. */
struct overload_round overload_worse(struct overload_round a, struct overload_round b);

/* worst: of all meters that answer. It begins half an interval behind and ends a tenth of one behind. */
enum overload_news overload_update(struct overload *overload, struct overload_round worst, uint64_t now_us);
