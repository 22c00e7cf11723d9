/* SPDX-License-Identifier: MIT */
#pragma once

/* One meter of a bus: what a poll's result makes of it. Only bus.c uses this; all in the bus's thread. */

#include "app/acquire/absence.h"
#include "app/acquire/average.h"
#include "app/acquire/bus.h"
#include "app/acquire/guard.h"
#include "app/acquire/rate.h"

struct bus_meter {
    unsigned index;                  // in the configuration
    uint16_t slot;                   // in its rows
    const struct meter_config *config;
    struct source *source;
    uint32_t model_timeout_us;
    struct health health;
    struct absence absence;
    unsigned learned_version;        // of source_learned(), as it was kept last
    struct guard *guard;
    struct average *average;         // NULL: each poll is a row
    bool any_row;
    uint64_t row_slice;              // of the last row, if there is any
    uint64_t polled_us;              // when it was last asked; 0: never
    uint32_t latency_us;             // measured; 0: none yet
    uint32_t cycle_ms;               // between polls, smoothed; 0: none yet

    /* Others look at these; the bus's mutex guards them. */
    struct bus_meter_status status;
    double *values;                  // [layout->count], of the last poll that was answered
};

/* A poll and its outcome. */
struct bus_poll {
    struct queue *queue;
    struct sample *scratch;          // for an averaged row, while the poll's own sample is still wanted
    uint64_t now_us;                 // when it began
    uint64_t slice, next_slice;      // its own, and that of the next poll
    int result;                      // of source_next() or source_probe()
    const char *port_problem;        // the result is about the port, not about the meter; else NULL
    bool urgent;                     // its row is
    bool keep_words;

    /* Set by bus_meter_result(). */
    const char *problem;             // words for a failure
    bool is_first;                   // its first row since the start
    bool was_down;                   // it was silent or refused before
    uint64_t missing_ms;             // how long, if it is back
};

int bus_meter_init(struct bus_meter *ret, const struct config *config, unsigned index, struct line *line) MUST_CHECK;
void bus_meter_clear(struct bus_meter *meter);

/* As bus_recall() and bus_remember(). */
void bus_meter_recall(struct bus_meter *meter, const struct recall *recall, const struct epoch *epoch);
int bus_meter_remember(const struct bus_meter *meter, struct recall *recall) MUST_CHECK;

/*
 * Update its health, let the guard take out of the sample what it does not believe, push the row and the events.
 * Returns enum health_change.
 */
unsigned bus_meter_result(struct bus_meter *meter, struct bus_poll *poll, struct sample *sample);

/* Update what others look at; the bus's mutex is held. */
void bus_meter_publish(struct bus_meter *meter, const struct bus_poll *poll, const struct sample *sample);

/* How often a bus may say that a meter of it is lost, or back. */
struct bus_rates {
    struct rate lost, back;
};

/* Tell people what has changed. */
void bus_meter_log(const struct bus_meter *meter, const char *bus, unsigned change, const struct bus_poll *poll,
                   struct bus_rates *rates);

/* It is asked no more, from that slice on: push the row that is being averaged, and tell what is untold. */
void bus_meter_end(struct bus_meter *meter, struct queue *queue, struct sample *scratch, uint64_t slice);
