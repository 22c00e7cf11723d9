/* SPDX-License-Identifier: MIT */
#include "board/hotplug.h"

#include "app/base/text.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include <libudev.h>

struct hotplug {
    struct udev *udev;
    struct udev_monitor *monitor;
};

int hotplug_new(const char *subsystem, struct hotplug **ret)
{
    auto_hotplug struct hotplug *hotplug = calloc(1, sizeof(*hotplug));
    int r;

    if (!hotplug) {
        return -ENOMEM;
    }
    hotplug->udev = udev_new();
    if (!hotplug->udev) {
        return -ENOMEM;
    }
    errno = ENOMEM;
    hotplug->monitor = udev_monitor_new_from_netlink(hotplug->udev, "udev");
    if (!hotplug->monitor) {
        return -errno;
    }
    r = udev_monitor_filter_add_match_subsystem_devtype(hotplug->monitor, subsystem, NULL);
    if (r < 0) {
        return r;
    }
    r = udev_monitor_enable_receiving(hotplug->monitor);
    if (r < 0) {
        return r;
    }

    *ret = TAKE(hotplug);
    return 0;
}

void hotplug_free(struct hotplug *hotplug)
{
    if (hotplug) {
        udev_monitor_unref(hotplug->monitor);
        udev_unref(hotplug->udev);
        free(hotplug);
    }
}

void hotplug_freep(struct hotplug **hotplug)
{
    hotplug_free(*hotplug);
}

int hotplug_fd(const struct hotplug *hotplug)
{
    return udev_monitor_get_fd(hotplug->monitor);
}

int hotplug_next(struct hotplug *hotplug, struct hotplug_event *ret)
{
    struct pollfd waiting = { .fd = hotplug_fd(hotplug), .events = POLLIN };

    while (poll(&waiting, 1, 0) > 0) {
        struct udev_device *device;
        const char *action, *node;

        errno = 0;
        device = udev_monitor_receive_device(hotplug->monitor);
        if (!device && errno == ENOBUFS) {  // more came at once than the socket holds
            *ret = (struct hotplug_event){ .gone = false };
            return 1;
        }
        if (!device && errno != 0 && errno != EAGAIN && errno != EINTR) {
            return 0;  // broken: the polling beside us goes on
        }
        if (!device) {
            continue;  // it was not for us
        }

        action = udev_device_get_action(device);
        node = udev_device_get_devnode(device);
        *ret = (struct hotplug_event){ .gone = action && text_equal(action, "remove") };
        (void) snprintf(ret->device, sizeof(ret->device), "%s", node ? node : "");
        udev_device_unref(device);
        return 1;
    }
    return 0;
}
