/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A bus: a thread that asks its meters in turn, since every call that talks to a meter may block. It owns its line,
 * its sources and its schedule, reads the configuration and pushes rows and events. A Current Cost display and a
 * program are a bus of their own each.
 */

#include "app/acquire/finder.h"
#include "app/acquire/health.h"
#include "app/acquire/learned.h"
#include "app/acquire/queue.h"
#include "app/acquire/recall.h"
#include "app/config/config.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BUS_PROBLEM_SIZE 160

struct bus_setup {
    const struct config *config;
    const unsigned *meters;         // indices in the configuration; copied
    unsigned meter_count;
    struct queue *queue;
    uint64_t start_us;              // monotonic; when slices begin to count, for all buses the same
    uint64_t quiet_until_us;        // monotonic; an answer to a program before us may come until then (RTU); 0: none
    struct finder *finder;          // what else may be on its line; NULL: nobody looks
    struct learned *learned;        // what was learned of the meters; NULL: nothing is kept
    int stop_fd;                    // becomes readable, and stays so, when the bus is to end
    const atomic_bool *keep_words;  // whether rows carry the raw words
    atomic_uint *busy_buses;        // as in struct writer_setup
    atomic_bool *commit_wanted;
    void (*changed)(void *data);    // called from the bus's thread when a meter's state changes
    void *data;
};

/* What others may know of a meter: a copy of one moment. */
struct bus_meter_status {
    enum health_state state;
    char problem[BUS_PROBLEM_SIZE]; // of the last failure, "" while all is well
    uint64_t next_us;               // monotonic; when it is asked next
    uint32_t latency_us;            // 0: none yet
    uint32_t cycle_ms;              // measured time between polls; 0: none yet
    uint64_t skipped;               // slices for which there was no time
    uint64_t boot_ms;               // of the values; 0: none yet
    unsigned value_count;
};

struct bus;

/*
 * What its counters stood at before: hand it to the bus before bus_start(), and keep it after bus_join() for the bus
 * that takes its place. A bus that is handed nothing believes each counter's first reading. recall, epoch: as
 * recall_level()
 */
void bus_recall(struct bus *bus, const struct recall *recall, const struct epoch *epoch);
int bus_remember(const struct bus *bus, struct recall *recall) MUST_CHECK;

/* Make the sources of its meters. Nothing is opened yet. Errors: -ENOMEM and those of source_open() */
int bus_new(const struct bus_setup *setup, struct bus **ret) MUST_CHECK;
int bus_start(struct bus *bus) MUST_CHECK;

/* After stop_fd was made readable. Errors: -ETIMEDOUT it still waits for a meter, and nothing may be freed */
int bus_join(struct bus *bus, uint64_t deadline_us) MUST_CHECK;
void bus_free(struct bus *bus);

/* Which slot of meters.h the rows of one of its meters carry. Before bus_start(). */
void bus_set_slot(struct bus *bus, unsigned meter, uint16_t slot);
uint16_t bus_slot(const struct bus *bus, unsigned meter);

/* From any thread: an adapter came or went, so look for the port now if it is gone. */
void bus_look_again(struct bus *bus);

const char *bus_name(const struct bus *bus);

/* The one that it was made of, for as long as it lives. */
const struct config *bus_config(const struct bus *bus);
unsigned bus_meter_count(const struct bus *bus);
unsigned bus_meter_index(const struct bus *bus, unsigned meter);    // in the configuration
const struct layout *bus_meter_layout(const struct bus *bus, unsigned meter);

/* When its thread last went round (monotonic): the watchdog's question. */
uint64_t bus_ticked_ms(const struct bus *bus);

/* ret_values has room for the layout, or is NULL. */
void bus_get_meter(struct bus *bus, unsigned meter, struct bus_meter_status *ret, double *ret_values);

/* Why its port is not open, "" if it is. */
void bus_get_problem(struct bus *bus, char ret[static BUS_PROBLEM_SIZE]);
