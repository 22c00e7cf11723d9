/* SPDX-License-Identifier: MIT */
#pragma once

/* The questions of a scan on a line: one a call, so that others may use the line between them. */

#include "drivers/scan.h"

/* The longest that a question takes, answer included. Pure. */
uint64_t scan_line_worst_us(const struct scan_question *question);

/*
 * Ask one question, if it is over by until_us whatever happens (monotonic; 0: it may take as long as it does; a display
 * is listened for only then). Returns 1: asked, call again. 0: not now; *ret_again_us is the earliest time, UINT64_MAX
 * if the scan is done. Errors: those of line_transact() about the port; the same question comes again
 */
int scan_line_step(struct scan *scan, struct line *line, uint64_t until_us, uint64_t *ret_again_us) MUST_CHECK;
