/* SPDX-License-Identifier: MIT */
#include "app/config/sharing.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static bool has_serial_port_before(const struct config *config, int bus)
{
    for (int i = 0; i < bus; i++) {
        if (endpoint_is_serial(&config->buses[i].port)) {
            return true;
        }
    }
    return false;
}

void sharing_decide(const struct config *config, int bus, const struct endpoint *port, struct sharing *ret)
{
    const struct bus_config *own = config && bus >= 0 ? &config->buses[bus] : NULL;

    *ret = (struct sharing){ .pty_too = own && own->lock[0] };
    if (!endpoint_is_serial(port) || (own && text_equal(own->lock, "none"))) {
        return;
    }
    if (own && own->lock[0]) {
        (void) snprintf(ret->name, sizeof(ret->name), "%s", own->lock);
    } else if (own && has_serial_port_before(config, bus)) {
        (void) snprintf(ret->name, sizeof(ret->name), "%s-%s", SHARING_DEFAULT, own->name);
    } else {
        (void) snprintf(ret->name, sizeof(ret->name), "%s", SHARING_DEFAULT);
    }
}

/* The device behind links, by-id names and sockets. Errors: it is not there */
static int find_device(const struct endpoint *port, char ret[static PATH_MAX])
{
    char path[PATH_SIZE];
    int r;

    r = serial_find("", port, path, sizeof(path), NULL);
    return r < 0 || !realpath(path, ret) ? -ENOENT : 0;
}

int sharing_find_bus(const struct config *config, const struct endpoint *port)
{
    char wanted[PATH_MAX], device[PATH_MAX];

    if (!endpoint_is_serial(port) || find_device(port, wanted) < 0) {
        return SHARING_NO_BUS;
    }
    for (unsigned i = 0; i < config->bus_count; i++) {
        const struct endpoint *other = &config->buses[i].port;

        if (endpoint_is_serial(other) && find_device(other, device) == 0 && text_equal(device, wanted)) {
            return (int) i;
        }
    }
    return SHARING_NO_BUS;
}

int sharing_apply(const struct sharing *sharing, struct line *line)
{
    return sharing->name[0] ? line_share(line, sharing->name, sharing->pty_too) : 0;
}
