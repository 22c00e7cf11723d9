/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The demo's plant: a directory of its own, simulated meters on ptys and a loopback port, and the real acquire, stick
 * and leds on them, each a child process that dies with this one.
 */

#include "app/base/limits.h"
#include "app/base/macros.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct demo_meter {
    const char *name;   // in the configuration
    const char *model;
    const char *where;  // for people
};

#define DEMO_METERS 5
extern const struct demo_meter demo_meters[DEMO_METERS];

/* The meter that a key kills: index into demo_meters. */
#define DEMO_VICTIM 1

enum demo_program {
    DEMO_BUS,      // three meters on one RTU line
    DEMO_TCP,
    DEMO_DISPLAY,  // Current Cost
    DEMO_ACQUIRE,
    DEMO_STICK,
    DEMO_LEDS,
    DEMO_PROGRAMS,
};

struct demo_child {
    pid_t pid;      // 0: not running
    int input;      // what we write is its standard input; -1: nothing
    int wait_status;
};

struct demo_plant {
    char directory[PATH_SIZE];
    char program[PATH_SIZE];  // the meterstick that we are
    bool victim_dead;
    bool stick_out;
    struct demo_child children[DEMO_PROGRAMS];
};

/*
 * Make the directory (NULL: a new one under $TMPDIR) and start everything. On failure the reason is logged and what
 * was started is stopped. The caller ends with demo_plant_stop().
 */
int demo_plant_start(const char *directory, struct demo_plant *ret) MUST_CHECK;

/* Stop in the order in which the readings flow, so that the last of them arrive. Never waits longer than 10 s each. */
void demo_plant_stop(struct demo_plant *plant);

/* Take note of children that have ended. Returns the name of one that ended since the last call, NULL if none. */
const char *demo_plant_reap(struct demo_plant *plant);

/* The keys: kill or revive a meter, pull or put back the stick. Both say what is so now in the plant. */
void demo_plant_toggle_meter(struct demo_plant *plant);
void demo_plant_toggle_stick(struct demo_plant *plant);
