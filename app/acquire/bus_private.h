/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Between bus.c, which has the thread and the port, and bus_ask.c, which asks the meters; nobody else includes this.
 * All in the bus's thread.
 */

#include "app/acquire/budget.h"
#include "app/acquire/bus_meter.h"
#include "app/acquire/overload.h"
#include "app/acquire/port_watch.h"
#include "app/acquire/schedule.h"
#include "app/acquire/thread.h"

struct bus {
    struct bus_setup setup;
    const char *name;
    struct line *line;             // NULL: the meter has a port of its own, or is a program
    struct finder_port *finding;   // in its pauses; NULL: nothing
    bool without_numbers;          // RTU: an answer does not say which question it is to
    struct schedule schedule;
    struct bus_meter *meters;
    unsigned meter_count;
    struct sample *sample, *scratch;
    struct budget budget;          // for meters that do not answer
    uint64_t idle_us;              // when nobody was due last
    struct bus_rates rates;
    struct text words;             // of what was learned
    bool row_pushed;
    bool busy;
    struct overload overload;

    struct port_watch port;
    char warning[BUS_PROBLEM_SIZE];  // about it, told last
    int wake_fd;                   // eventfd: an adapter came or went
    bool told, hung_up;            // what wait_until() found

    struct thread thread;
    atomic_uint_fast64_t ticked_ms;
    pthread_mutex_t mutex;         // of what others look at: the meters' status and values, and
    char problem[BUS_PROBLEM_SIZE];
};

/* The port, opened again if it was gone. Errors: as line_open() */
int bus_use_port(struct bus *bus, uint64_t now_us);

/* What the port's error means for all meters of the bus, told once. */
void bus_port_failed(struct bus *bus, int r);

/* Returns true if the bus is to end. */
bool bus_wait_until(struct bus *bus, uint64_t until_us);

/* Whether a meter that may not answer is not to be asked now: it, and others like it, have cost the rest enough. */
bool bus_put_off(struct bus *bus, unsigned index);

/* Ask one meter, and do with the outcome whatever there is to do. */
void bus_poll_meter(struct bus *bus, unsigned index);
