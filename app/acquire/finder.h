/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Looking for meters where no configuration names one: at each serial adapter, or at the buses of a configuration that
 * has no meters. A port has a thread of its own until something is found there. Then <state-dir>/adopted.conf has it,
 * which acquire takes as any other configuration; the scan of that port goes on in the pauses of the bus that it
 * becomes.
 *
 * Who changes adopted.conf meanwhile ends the search: what a person wrote is not written over.
 */

#include "app/base/text.h"
#include "app/config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct finder;
struct finder_port;

struct finder_setup {
    const struct config *config;     // its buses are where to look; none: all adapters, and those that come
    const char *state_dir;           // the caller's
    void (*changed)(void *data);     // from any thread: finder_step() has something to do
    void *data;
};

/*
 * Nothing is opened yet. If the configuration has meters, which an earlier search found that did not come to its end,
 * it goes on; else *ret is NULL. Errors: -ENOMEM, -ENOENT there are no models
 */
int finder_new(const struct finder_setup *setup, struct finder **ret) MUST_CHECK;
void finder_free(struct finder *finder);

/* Go on; the core's thread. true: adopted.conf is another one, and wants to be read. */
bool finder_step(struct finder *finder);

/*
 * Two meters at one address, in words: the next that was not told yet, each once. Returns false if there is none. The
 * core's thread.
 */
bool finder_take_clash(struct finder *finder, char *ret, size_t size);

/* What is to be looked for in the pauses of a bus; NULL: nothing. */
struct finder_port *finder_port(struct finder *finder, const char *bus);

/*
 * From a bus's thread: ask one question, if it is over by until_us (monotonic). Returns when to call again: 0 at once,
 * UINT64_MAX never.
 */
uint64_t finder_search(struct finder_port *port, struct line *line, uint64_t until_us);

/*
 * The value of the status's member "scan":
 *
 *   state    running, waiting (there is no port that can be used), done, stopped
 *   percent  of the time that it takes where nobody answers; left_s is how much of it is to come
 *   found    meters
 *   rounds   in which all ports were looked at to the end and nothing was there
 *   ports    {bus, text}: where it is, or why it cannot be used
 */
void finder_add_status(struct finder *finder, struct text *ret);

/* Somebody else says what there is: the search is over. */
void finder_stop(struct finder *finder, const char *why);

/* The program ends: whether all threads have ended in time. */
bool finder_end(struct finder *finder, uint64_t deadline_us);
