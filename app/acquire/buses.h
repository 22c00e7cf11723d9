/* SPDX-License-Identifier: MIT */
#pragma once

/* All buses of a configuration: made, started, watched and ended together. Used by the core's thread. */

#include "app/acquire/bus.h"
#include "app/acquire/meters.h"

struct buses {
    struct meters *meters;
    struct bus **list;
    unsigned count;
    unsigned running;                // how many threads there are
};

/* The room in a queue that 60 s of a configuration's rows take, and what happens meanwhile. */
size_t buses_queue_capacity(const struct config *config);

/*
 * Make them. Modbus meters of a bus share one; whatever else there is has one of its own. `common` is a bus_setup
 * without meters. Their meters get slots. Says what went wrong. buses_clear() frees what was made, also after an error.
 */
int buses_init(struct buses *ret, struct meters *meters, const struct bus_setup *common) MUST_CHECK;
void buses_clear(struct buses *buses);

/* As bus_recall(), of all of them. */
void buses_recall(struct buses *buses, const struct recall *recall, const struct epoch *epoch);

int buses_start(struct buses *buses) MUST_CHECK;

/* After stop_fd was made readable: true if all threads have ended in time. */
bool buses_join(struct buses *buses, uint64_t deadline_us);

/* An adapter came or went: those that wait for their port look for it at once. */
void buses_look_again(struct buses *buses);

/* How many meters are live, and how many were not asked yet. */
void buses_count(const struct buses *buses, unsigned *ret_live, unsigned *ret_new);

/* The name of a bus whose thread has not gone round for so long; NULL if all have. */
const char *buses_stuck(const struct buses *buses, uint64_t now_ms, uint64_t limit_ms);
