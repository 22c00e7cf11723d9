/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * By which semaphore a serial port is shared with other programs. It belongs to the port: the first [bus] with a serial
 * port, in reading order, has /rs485, each further one /rs485-<bus>; lock = says otherwise. Who finds no
 * [bus] for a port takes /rs485, as programs do that know no configuration.
 */

#include "app/config/config.h"

#define SHARING_DEFAULT "/rs485"
#define SHARING_NO_BUS  (-1)

struct sharing {
    char name[sizeof(((struct bus_config *) NULL)->lock)];  // "": the port belongs to one program at a time
    bool pty_too;                                           // pseudo-terminals are shared only where lock = is given
};

/* config may be NULL. bus: its index, or SHARING_NO_BUS. Pure. */
void sharing_decide(const struct config *config, int bus, const struct endpoint *port, struct sharing *ret);

/* The configured bus that has this serial port now, by whatever name; SHARING_NO_BUS. Looks at devices. */
int sharing_find_bus(const struct config *config, const struct endpoint *port);

/* Let a new line share its port as that was decided. Errors: those of line_share() */
int sharing_apply(const struct sharing *sharing, struct line *line) MUST_CHECK;
