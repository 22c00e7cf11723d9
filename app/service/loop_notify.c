/* SPDX-License-Identifier: MIT */
#include "app/service/loop.h"

#include "app/base/clock.h"

#include <inttypes.h>

#include <systemd/sd-daemon.h>

void loop_notify_ready(void)
{
    (void) sd_notify(0, "READY=1");
}

void loop_notify_reloading(void)
{
    (void) sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_monotonic_us());
}

void loop_notify_status(const char *status)
{
    (void) sd_notifyf(0, "STATUS=%s", status);
}

void loop_notify_stopping(void)
{
    (void) sd_notify(0, "STOPPING=1");
}

void loop_feed_watchdog(void)
{
    (void) sd_notify(0, "WATCHDOG=1");
}
