/* SPDX-License-Identifier: MIT */
#pragma once

/* What the files of the core know of it. */

#include "app/acquire/buses.h"
#include "app/acquire/clock_state.h"
#include "app/acquire/core.h"
#include "app/acquire/finder.h"
#include "app/acquire/inbox.h"
#include "app/acquire/learned.h"
#include "app/acquire/others.h"
#include "app/acquire/reload.h"
#include "app/acquire/writer.h"
#include "app/service/loop.h"

#define CORE_PROGRAM "acquire"  // as its status file is called

/* A meter's last committed row, as the status told it: a bus that begins anew has other slots, and no row yet. */
struct core_rows {
    unsigned count;
    struct {
        uint32_t who;                // of its name, model and address
        uint64_t committed_boot_ms;
    } entries[MAX_METERS];
};

struct core {
    const struct core_setup *setup;
    const struct config *config;     // in force
    struct reload *reload;
    bool reloading;                  // as the service manager was told
    struct inbox *inbox;             // NULL: none
    struct finder *finder;           // NULL: somebody has said which meters there are
    struct loop *loop;
    struct queue *queue;
    struct meters *meters;
    atomic_bool keep_words;
    struct writer *writer;
    struct learned *learned;
    struct buses buses;
    struct clock_state clock;
    struct others others;            // the other programs
    uint64_t start_us;
    char directory[PATH_SIZE];       // of the journal
    char memory[PATH_SIZE];          // where it goes on while its card cannot be used
    atomic_uint busy_buses;
    atomic_bool commit_wanted;

    /* For the status file, kept for the next time. */
    struct text status;
    uint64_t committed[METERS_SLOTS];
    struct core_rows rows, rows_before;
    double values[MAX_POINTS];
    char notified[160];
    bool status_failing;
    const char *stuck;               // the bus that did not tick in time; NULL: none
};

/* core_status.c: replace the status file. state NULL: as the meters are. */
void core_write_status(struct core *core, const char *state);
