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
    .summary = "List the serial adapters: device, what it is, and its name that stays.",
};

/* The next cell of a line, up to a Tab. */
static char *cell(char **rest)
{
    char *start = *rest;
    char *end = start + strcspn(start, "\t");

    *rest = *end ? end + 1 : end;
    *end = '\0';
    return start;
}

int verb_ports(int argc, char **argv)
{
    struct options options = { 0 };
    auto_text struct text list = { 0 };
    char *rest, *line;
    int r;

    r = options_parse(&usage, argc, argv, &options);
    if (r != 0) {
        return r < 0 ? EXIT_USAGE : EXIT_OK;
    }

    r = serial_list("", &list);
    if (r < 0) {
        (void) fprintf(stderr, "meterstick ports: %s\n", strerror(-r));
        return EXIT_IO;
    }
    if (r == 0) {
        (void) fprintf(stderr, "meterstick ports: no serial adapter is plugged in; looked for /dev/ttyUSB*, "
                               "/dev/ttyACM* and the board's own UARTs\n");
        return EXIT_PORT_ABSENT;
    }

    rest = list.data;
    while ((line = strsep(&rest, "\n"))) {
        const char *device, *description, *stable;

        if (*line == '\0') {
            continue;
        }
        device = cell(&line);
        description = cell(&line);
        stable = cell(&line);
        (void) printf("%-16s %-40s %s\n", device, description, stable);
    }
    return EXIT_OK;
}
