/* SPDX-License-Identifier: MIT */
#pragma once

/* The status file of `stick`, written from what is told of its sticks. */

#include "app/outlet/stick_report.h"

#include <stddef.h>

/*
 * Replace <run_dir>/stick.json. Sticks that are not in are left out; the program's error is that of the first stick
 * that has one.
 *
 * state  of the program: "running", "stopped"...
 * Errors: those of status_end_and_replace()
 */
int stick_status_write(const char *run_dir, const char *state, const struct stick_report *reports,
                       size_t count) MUST_CHECK;
