/* SPDX-License-Identifier: MIT */
#pragma once

/* The status file of `stick`, written from what is told of its sticks. */

#include "app/outlet/stick_report.h"

#include <stddef.h>

/*
 * Replace <run_dir>/stick.json. Sticks that are not in are left out. A stick's trouble is its own error; the program's
 * is what keeps it from writing though no stick is at fault, such as that there is no journal yet.
 *
 * state  of the program: "running", "stopped"...
 * nodes  of the devices, as many as reports: who reads it takes a stick whose id is its node for one that is not known
 *        yet. NULL: they have none
 * Errors: those of status_end_and_replace()
 */
int stick_status_write(const char *run_dir, const char *state, const struct stick_report *reports,
                       const char *const *nodes, size_t count) MUST_CHECK;
