/* SPDX-License-Identifier: MIT */
#pragma once

/* Between finder.c, which decides, and finder_port.c, which searches at one port. */

#include "app/acquire/finder.h"
#include "app/acquire/thread.h"
#include "app/config/sharing.h"
#include "drivers/scan_line.h"

#include <stdatomic.h>

#define FINDER_PORTS  16   // adapters that one appliance looks at by itself
#define FINDER_MODELS 128

enum finder_state { FINDER_SEARCHING, FINDER_ENDING, FINDER_HANDED };

struct finder_port {
    struct finder *finder;
    struct endpoint endpoint;
    char bus[METER_ID_SIZE];
    bool named;                      // its [bus] stands in the configuration
    struct sharing sharing;
    struct scan *scan;               // of the thread that searches, or of the bus's
    enum finder_state state;
    struct thread thread;
    bool started, joined;
    int stop_fd;
    uint64_t look_us;                // of the thread: when "auto" is looked for again
    unsigned adopted;                // meters, by the core
    bool told[256];                  // that two meters are at this address

    pthread_mutex_t mutex;           // of what the core looks at
    struct text found;               // as configuration
    struct text clashes;             // to be told, a line each
    unsigned meters, things;
    uint64_t found_us;               // when the last was
    struct scan_progress progress;
    char text[SCAN_TEXT_SIZE];
    uint64_t began_us;
    unsigned rounds;                 // of all that there is to ask, in which nothing was found
    bool failing;                    // the port cannot be used; text says why
    bool done;
};

struct finder {
    struct finder_setup setup;
    struct model *models[FINDER_MODELS];
    unsigned model_count;
    struct finder_port *ports[FINDER_PORTS];
    unsigned port_count;
    bool any_adapter;
    bool ended;                      // all ports are done, and adopted.conf says so
    char *written;                   // adopted.conf as it was written last; NULL: not yet
    atomic_bool stopped;
};

int finder_port_new(struct finder *finder, const struct endpoint *endpoint, const char *bus, bool named,
                    const struct sharing *sharing, struct finder_port **ret) MUST_CHECK;

/* Its bus exists already: go on in its pauses, with what was found before. */
void finder_port_resume(struct finder_port *port, const struct config *config, unsigned bus);

/* Begin to search. Errors: -EAGAIN, -ENOMEM; it may be tried again */
int finder_port_start(struct finder_port *port) MUST_CHECK;
void finder_port_free(struct finder_port *port);
