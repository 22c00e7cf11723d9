/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * All buses of a configuration: made, started, changed, watched and ended together. Used by the core's thread.
 *
 * A change to another configuration leaves those alone that it asks the same of: they go on with what they have, the
 * configuration that they were made of included. What has ended waits until its last row is durable.
 */

#include "app/acquire/bus.h"
#include "app/acquire/meters.h"
#include "app/acquire/writer.h"

struct buses_entry;

struct buses_list {
    struct buses_entry **entries;
    unsigned count, capacity;
};

struct buses {
    struct meters *meters;
    struct buses_list now;           // in the configuration's order
    struct buses_list next;          // as it will be, while a change is under way
    struct buses_list gone;          // ended, but rows of them may wait
    struct recall *recall;           // what the counters of those that ended stood at, for those that begin
    bool changing;
    bool is_told;                    // that one cannot start
};

/* What a change does to how many buses. */
struct buses_news {
    unsigned kept, changed, added, removed;
};

/* The room in a queue that 60 s of a configuration's rows take, and what happens meanwhile. */
size_t buses_queue_capacity(const struct config *config);

void buses_init(struct buses *ret, struct meters *meters);
void buses_clear(struct buses *buses);

/*
 * Begin to change, from no bus at all as well. Modbus meters of a bus share one; whatever else there is has one of its
 * own. `common` is a bus_setup without meters and stop_fd. Says what went wrong; then nothing has changed.
 *
 * Errors: -EBUSY rows of meters that went before wait for the card   and those of bus_new()
 */
int buses_change(struct buses *buses, const struct bus_setup *common, struct buses_news *ret) MUST_CHECK;

/*
 * Go on with it: first those end that are no longer wanted, since they may have the port of another, then the new ones
 * begin. 1: done; 0: not yet, a poll may take 20 s. Errors: -EAGAIN no thread could be made; the next call tries again
 */
int buses_change_step(struct buses *buses, struct queue *queue) MUST_CHECK;

/*
 * For the first buses, between buses_change() and the first step: give their meters slots, and tell them what the
 * journal knows of their counters (as bus_recall()).
 */
int buses_take_slots(struct buses *buses) MUST_CHECK;
void buses_recall(struct buses *buses, const struct recall *recall, const struct epoch *epoch);

/* Free what has ended and of which no row waits. */
void buses_release(struct buses *buses, struct queue *queue, struct writer *writer);

/* Whether any of them, also one that has ended, was made of that configuration. */
bool buses_use(const struct buses *buses, const struct config *config);

/* End all. True if their threads have ended in time. */
void buses_stop(struct buses *buses);
bool buses_join(struct buses *buses, uint64_t deadline_us);

unsigned buses_number(const struct buses *buses);
struct bus *buses_at(const struct buses *buses, unsigned index);

/* An adapter came or went: those that wait for their port look for it at once. */
void buses_look_again(struct buses *buses);

/* How many meters there are, are live, and were not asked yet. */
struct buses_counts {
    unsigned meters, live, new;
};
void buses_count(const struct buses *buses, struct buses_counts *ret);

/* The name of a bus whose thread has not gone round for so long; NULL if all have. */
const char *buses_stuck(const struct buses *buses, uint64_t now_ms, uint64_t limit_ms);
