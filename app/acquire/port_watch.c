/* SPDX-License-Identifier: MIT */
#include "app/acquire/port_watch.h"

#include "app/base/macros.h"

#define AGAIN_US     UINT64_C(1000000)
#define AGAIN_MAX_US UINT64_C(4000000)   // polling goes on within 5 s of an adapter's return
#define STEADY_US    UINT64_C(10000000)  // who was there so long has not just come and gone
#define FLAPS_MAX    4u

bool port_watch_failed(struct port_watch *watch, int error, uint64_t now_us)
{
    bool is_news = watch->error != error;
    bool is_early = watch->opened_us > 0 && now_us < watch->opened_us + STEADY_US;

    if (watch->error == 0) {
        watch->flaps = is_early ? MIN(watch->flaps + 1, FLAPS_MAX) : 0;
    }
    watch->again_us = now_us + MIN(AGAIN_US << (watch->flaps / 2), AGAIN_MAX_US);  // one dip is no habit
    watch->error = error;
    return is_news;
}

bool port_watch_opened(struct port_watch *watch, uint64_t now_us)
{
    bool was_gone = watch->error != 0;

    watch->error = 0;
    watch->opened_us = now_us;
    return was_gone;
}

bool port_watch_is_due(const struct port_watch *watch, bool told, uint64_t now_us)
{
    return watch->error != 0 && (now_us >= watch->again_us || (told && watch->flaps < 2));
}
