/* SPDX-License-Identifier: MIT */
#pragma once

/* What `leds` says of itself: its status file, and a line for the service manager. */

#include "leds/indicator.h"

#include "app/base/text.h"

struct report {
    const char *state;    // "running", "stopped"
    const char *error;    // why nothing is seen on a Blinkt, NULL
    const char *address;  // the appliance's
    const enum light *lights;
};

/* Replace <run_dir>/leds.json. Errors: those of status_end_and_replace() */
int report_write(const char *run_dir, const struct report *report) MUST_CHECK;

/* "program running, meters all read...", and what is wrong. */
void report_add_line(struct text *text, const struct report *report);
