/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The configuration in force, and another one in its place while the program runs.
 *
 * Who asks (SIGHUP) gets the files read anew by a thread of their own, since they are on the card. What is not valid
 * changes nothing; what is valid takes its place: buses that it asks the same of go on undisturbed, the others end
 * and begin. Then it is kept as the last good one. Whoever asks while that is under way is served once more after it.
 * Used by the core's thread; every function returns at once.
 */

#include "app/acquire/buses.h"
#include "app/acquire/configuration.h"

struct reload_setup {
    const struct options *options;
    struct buses *buses;
    struct bus_setup bus;            // what all buses share, without configuration and queue
    void (*taken)(void *data);       // another configuration is in force: reload_config()
    void (*changed)(void *data);     // from any thread: reload_step() has something to do
    void *data;
};

struct reload;

/* With a first configuration, which becomes the reload's own, unless this fails. problem "": nothing is wrong. */
int reload_new(const struct reload_setup *setup, struct config *config, const char *problem,
               struct reload **ret) MUST_CHECK;
void reload_free(struct reload *reload);

/* Make the first buses; the core starts them with buses_change_step(). Events go to that queue. */
int reload_begin(struct reload *reload, struct queue *queue) MUST_CHECK;

const struct config *reload_config(const struct reload *reload);

/* What people should know about the configuration; NULL if all is well. */
const char *reload_problem(const struct reload *reload);

/* Begin, or once more when done. */
void reload_ask(struct reload *reload);

/* Go on, as far as it goes now. Returns true if nothing is under way. */
bool reload_step(struct reload *reload);

/* The program ends: whether its thread has ended in time. */
bool reload_end(struct reload *reload, uint64_t deadline_us);
