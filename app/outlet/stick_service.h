/* SPDX-License-Identifier: MIT */
#pragma once

/* One stick, served: when it is written to, what is logged of it, and what is told of it. One thread. */

#include "app/base/macros.h"
#include "app/base/options.h"
#include "app/outlet/stick_report.h"
#include "app/outlet/stick_root.h"

#include <stdint.h>

struct stick_service;

/* Told each change of the report, and at least once a second while the service is at work. */
typedef void stick_service_tell(const struct stick_report *report, void *data);

struct stick_service_setup {
    const struct options *options;
    struct stick_root *root;        // the stick
    bool is_watched;                // who watches all sticks logs that this one came or went
    stick_service_tell *tell;
    void *data;
};

/*
 * What the setup points to is the caller's, and outlives the service. Without --config the settings are those of
 * <state-dir>/good.conf, read again when it changes; defaults without it.
 */
int stick_service_new(const struct stick_service_setup *setup, struct stick_service **ret) MUST_CHECK;

/* The stick is closed: what was not written stays in the journal. */
void stick_service_free(struct stick_service *service);

/*
 * Do what is due: notice that the stick came or went, write a burst, tell. Returns when to be called again at the
 * latest (monotonic ms). While the stick catches up it stays open between two calls.
 */
uint64_t stick_service_step(struct stick_service *service, uint64_t now_ms);

/*
 * Write all there is, for at most that long, and close the stick.
 * Errors: those of stick_root_open() and stick_burst(); -ENOENT there is no journal yet
 */
int stick_service_flush(struct stick_service *service, uint64_t most_ms) MUST_CHECK;
