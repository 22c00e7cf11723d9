/* SPDX-License-Identifier: MIT */
#pragma once

/* When a stick is written to, what is logged of it, and the status file. One thread. */

#include "app/base/macros.h"
#include "app/base/options.h"

#include <stdint.h>

struct stick_service;

/*
 * options    the caller's, and outlive the service. Without --config the settings are those of <state-dir>/good.conf,
 *            read again when it changes; defaults without it
 * directory  the stick
 */
int stick_service_new(const struct options *options, const char *directory, struct stick_service **ret) MUST_CHECK;
void stick_service_free(struct stick_service *service);

/*
 * Do what is due: notice that the stick came or went, write a burst, replace the status. Returns when to be called
 * again at the latest (monotonic ms).
 */
uint64_t stick_service_step(struct stick_service *service, uint64_t now_ms);

/* Write all there is, for at most that long. Errors: those of stick_burst(); -ENOENT there is no journal yet */
int stick_service_flush(struct stick_service *service, uint64_t most_ms) MUST_CHECK;
