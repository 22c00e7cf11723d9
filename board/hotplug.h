/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Devices that come and go. udev tells it when its rules have run, so permissions and links are there by then. Where no
 * udev runs nothing is ever told: whoever asks here also looks by itself now and then.
 */

#include "app/base/macros.h"

#include <stdbool.h>

struct hotplug;

struct hotplug_event {
    bool gone;              // removed; else added or changed
    char device[64];        // "/dev/ttyUSB0"; "" where events were lost: look at everything
};

#define auto_hotplug CLEANUP(hotplug_freep)

/*
 * Listen from now on to the devices of one subsystem of the kernel ("tty", "block"). A child that is started does not
 * inherit it. Errors: -ENOMEM, and those of a netlink socket where none is allowed
 */
int hotplug_new(const char *subsystem, struct hotplug **ret) MUST_CHECK;
void hotplug_free(struct hotplug *hotplug);
void hotplug_freep(struct hotplug **hotplug);

/* Readable when there is an event. Belongs to the hotplug. */
int hotplug_fd(const struct hotplug *hotplug);

/* The next event, without waiting. Returns 1, or 0 if there is none. */
int hotplug_next(struct hotplug *hotplug, struct hotplug_event *ret) MUST_CHECK;
