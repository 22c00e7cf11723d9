/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the other programs say of themselves in their status files, as events of the journal: one that changes its state
 * or its error, that falls silent, or speaks again ("program"); a stick that comes, goes, or enters or leaves full,
 * readonly, refused, slow or failed ("stick"), or misses rows that the journal has no more ("gap"). Idle, checking and
 * writing are no news. What is there when we begin is none either. A stick that is called like its device has not been
 * looked at: that it is in is told under the name that it gets, or when it is in trouble. Ten a minute and program, and
 * no more. The core's thread.
 */

#include "app/acquire/queue.h"
#include "app/acquire/rate.h"
#include "app/base/json.h"

#include <stdbool.h>
#include <stdint.h>

#define OTHERS_PROGRAMS 2
#define OTHERS_STICKS   8

struct others_stick {
    char id[96];
    char node[40];               // of its device, "" if it has none
    char trouble[16];            // "full", "readonly", ...; "": none
    char error[128];             // why, in words; "" if nobody says
    bool gap;                    // it misses rows
    bool is_busy;
    bool is_told;                // that it is in
};

struct others_program {
    bool seen;                   // we looked
    bool silent;                 // and there was no status
    char state[16], error[128];
    struct others_stick sticks[OTHERS_STICKS];
    unsigned stick_count;
    struct rate rate;
};

struct others {
    struct others_program programs[OTHERS_PROGRAMS];
};

/* An event: code "program", "stick" or "gap". */
typedef void others_tell(void *data, const char *code, const char *text);

/* The names of the programs: "stick", "leds". */
const char *others_name(unsigned program);

/* Take a program's status, NULL: none that is to be believed. Pure but for tell(). */
void others_take(struct others *others, unsigned program, const struct json *status, uint64_t now_us,
                 others_tell *tell, void *data);

/* Read the status of all and take it. */
void others_look(struct others *others, const char *run_dir, uint64_t now_us, others_tell *tell, void *data);
