/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The meters that rows in the queue may be of, by slot: the number that a meter has for as long as its bus lives and
 * its last row waits in the queue, whatever the configuration becomes meanwhile. The core adds and removes, the writer
 * looks up. Every function may be called from any thread, and none waits for a card.
 *
 * What an entry points to belongs to the core, and stays until meters_remove().
 */

#include "app/base/limits.h"
#include "drivers/sample.h"

#include <stdbool.h>
#include <stdint.h>

/* Those of a configuration, and those of the one before while their rows wait. */
#define METERS_SLOTS (2 * MAX_METERS)

struct meters_entry {
    const char *name;
    const char *model;               // id, "exec" for a program
    const struct layout *layout;
    uint64_t stamp;                  // no two entries ever have the same; never 0
    bool retired;                    // there will be no more rows than wait already
};

struct meters;

int meters_new(struct meters **ret) MUST_CHECK;
void meters_free(struct meters *meters);

/* Errors: -ENOSPC no slot is free. Else the slot. */
int meters_add(struct meters *meters, const char *name, const char *model, const struct layout *layout) MUST_CHECK;

/* How many slots are free. */
unsigned meters_room(struct meters *meters);

/* Its bus has ended. */
void meters_retire(struct meters *meters, unsigned slot);

/* No row of it waits any more, and nobody looks at it: the slot is free. */
void meters_remove(struct meters *meters, unsigned slot);

/* Whether the slot is in use. */
bool meters_get(struct meters *meters, unsigned slot, struct meters_entry *ret);

/* All slots that were ever in use are below this. */
unsigned meters_count(struct meters *meters);

/* The stamp of the newest entry: another number than last time means that there are new ones. */
uint64_t meters_stamp(struct meters *meters);
