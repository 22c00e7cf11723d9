/* SPDX-License-Identifier: MIT */
/* meterstick ports: the serial adapters of this machine (VK-03). */
#include "app/base/exit.h"
#include "app/base/options.h"
#include "app/cli/verbs.h"
#include "drivers/serial.h"

#include <stdio.h>
#include <string.h>

static const struct verb_usage usage = {
    .verb = "ports",
    .synopsis = "",
    .summary = "List the serial adapters: device, what it is, and the names that a port may have.",
};

static void print_name(const char *name, const char *what)
{
    if (*name) {
        (void) printf("    %-24s %s\n", name, what);
    }
}

int verb_ports(int argc, char **argv)
{
    struct options options = { 0 };
    auto_free struct serial_adapter *adapters = NULL;
    int r;

    r = options_parse(&usage, argc, argv, &options);
    if (r != 0) {
        return r < 0 ? EXIT_USAGE : EXIT_OK;
    }

    r = serial_list("", &adapters);
    if (r < 0) {
        (void) fprintf(stderr, "meterstick ports: %s\n", strerror(-r));
        return EXIT_IO;
    }
    if (r == 0) {
        (void) fprintf(stderr, "meterstick ports: no serial adapter is plugged in; looked for /dev/ttyUSB*, "
                               "/dev/ttyACM* and the board's own UARTs\n");
        return EXIT_PORT_ABSENT;
    }

    for (int i = 0; i < r; i++) {
        const struct serial_adapter *adapter = &adapters[i];

        (void) printf("%-16s %s\n", adapter->path, adapter->description);
        print_name(adapter->number, "this adapter, in any socket");
        print_name(adapter->by_id, "the same, as udev names it");
        print_name(adapter->socket, "whatever is plugged into that socket");
        print_name(adapter->by_path, "the same, as udev names it");
    }
    return EXIT_OK;
}
