/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The loop of `leds`: looks at what the other programs say of themselves when a status file is replaced, and once a
 * second; asks the scene what is to be shown, and shows it on the Blinkt, in the terminal, in the record. It waits for
 * nobody, and ends only by a signal.
 */

#include "app/base/options.h"

struct lights_setup {
    const struct options *options;
    bool blinkt, terminal;
    const char *record;     // NULL: none
    unsigned read_outs;     // of the address, at the start
};

/* Until SIGTERM or SIGINT; the farewell frame is shown then. Errors: -ENOMEM, -EMFILE, and those of the record */
int lights_run(const struct lights_setup *setup) MUST_CHECK;

/* Show the farewell frame, and nothing else, whoever ended. A failure is logged. */
void lights_farewell(const struct lights_setup *setup);
