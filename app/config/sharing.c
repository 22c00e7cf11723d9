/* SPDX-License-Identifier: MIT */
#include "app/config/sharing.h"

#include <stdio.h>
#include <sys/stat.h>

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

/* The device behind links, by-id names and sockets; 0: it is not there. */
static dev_t find_device(const struct endpoint *port)
{
    char path[PATH_SIZE];
    struct stat status;

    if (!endpoint_is_serial(port) || serial_find("", port, path, sizeof(path), NULL) < 0 || stat(path, &status) < 0) {
        return 0;
    }
    return S_ISCHR(status.st_mode) ? status.st_rdev : 0;
}

int sharing_find_bus(const struct config *config, const struct endpoint *port)
{
    dev_t device = find_device(port);

    for (unsigned i = 0; device != 0 && i < config->bus_count; i++) {
        if (find_device(&config->buses[i].port) == device) {
            return (int) i;
        }
    }
    return SHARING_NO_BUS;
}

int sharing_apply(const struct sharing *sharing, struct line *line)
{
    return sharing->name[0] ? line_share(line, sharing->name, sharing->pty_too) : 0;
}
