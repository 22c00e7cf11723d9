/* SPDX-License-Identifier: MIT */
#pragma once

/* A call that a card may keep for ever, with a limit to how long it is waited for. */

#include "app/base/macros.h"

#include <stdint.h>

struct patience;

/* Begin run(data) in a thread of its own. Errors: -EAGAIN, -ENOMEM */
int patience_begin(void (*run)(void *data), void *data, struct patience **ret) MUST_CHECK;

/*
 * Wait for its end; *patience is freed then. Errors: -ETIMEDOUT it has not returned by the deadline (monotonic clock):
 * what data points to is still its own, and it may be waited for again
 */
int patience_wait(struct patience *patience, uint64_t deadline_us) MUST_CHECK;
