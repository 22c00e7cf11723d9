/* SPDX-License-Identifier: MIT */
#pragma once

/* Frames in a file, a JSON line each. */

#include "leds/indicator.h"

#include "app/base/macros.h"

/* A record that is appended to; -1 is none. */
struct record {
    const char *path;
    int fd;
    bool failed;       // the last one was not written, as was told
};

/* path NULL: none. Errors: those of open(2) */
int record_open(struct record *record, const char *path) MUST_CHECK;
void record_close(struct record *record);

/* Append it. A failure is told once. */
void record_frame(struct record *record, const struct frame *frame, const enum light lights[static BLINKT_PIXELS],
                  uint64_t now_boot_ms);
