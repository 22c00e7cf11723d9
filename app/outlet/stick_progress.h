/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How far a stick has caught up, and how long it will still take, from nothing but its backlog. Rows that come in the
 * meantime make it longer: the percentage does not go back for them, the time left does. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialised: it is not catching up. */
struct stick_progress {
    bool on;
    uint64_t begin, backlog;   // rows, then and now
    uint64_t begin_ms, seen_ms;
    double rows_per_ms;        // of late; negative: they come faster than they are written
    unsigned percent;
};

/* The stick has begun to catch up, and so many rows are left; or it is up to date, gone or another one. */
void stick_progress_begin(struct stick_progress *progress, uint64_t backlog, uint64_t now_ms);
void stick_progress_end(struct stick_progress *progress);

/* So many rows are left now. */
void stick_progress_look(struct stick_progress *progress, uint64_t backlog, uint64_t now_ms);

/* 0 to 99, never less than before; NAN: it is not catching up. */
double stick_progress_percent(const struct stick_progress *progress);

/* Whole seconds; NAN: it is not catching up, or nobody can tell (yet). */
double stick_progress_eta_s(const struct stick_progress *progress);
