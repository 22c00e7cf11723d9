/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sharing a serial port with other programs: the POSIX semaphore that they wait for and post, and around it what makes
 * it survive kill -9 (an OFD side lock, a witness record and a lease proof). docs/port-sharing.md tells other programs
 * how to join. A lock is used by one thread; programs and threads each have their own of the same name.
 */

#include "app/base/macros.h"

#include <stdbool.h>
#include <stdint.h>

#define PORT_LOCK_HOLD_US   UINT64_C(1000000)  // longest hold: who waits 2 s never times out because of us
#define PORT_LOCK_DIRECTORY "/run/lock/meterstick"

struct port_lock;

#define auto_port_lock CLEANUP(port_lock_freep)

/*
 * name       of the semaphore: "/rs485"
 * directory  of the side locks: <directory>/<name without the slash>; NULL: PORT_LOCK_DIRECTORY
 *
 * Nothing is taken yet. Where the side lock cannot be used the semaphore alone serves: port_lock_warning() says why.
 * Errors: -ENOMEM, -EINVAL not such a name
 */
int port_lock_new(const char *name, const char *directory, struct port_lock **ret) MUST_CHECK;
void port_lock_free(struct port_lock *lock);
void port_lock_freep(struct port_lock **lock);

/*
 * Take the port; the hold may last PORT_LOCK_HOLD_US.
 *
 * fd           the open port, for its activity counters (TIOCGICOUNT); -1: none
 * deadline_us  monotonic clock
 * *ret_dirty   the one before us died with the port in use: the caller lets the line come to rest and flushes it
 *
 * Errors: -ETIMEDOUT another program has it all the time   -EACCES the semaphore belongs to somebody who shares it with
 *         nobody   -ENOSPC, -EINVAL the shared memory is full or its file is damaged; port_lock_problem() has the words
 */
int port_lock_take(struct port_lock *lock, int fd, uint64_t deadline_us, bool *ret_dirty) MUST_CHECK;

/*
 * Give it back. Returns how long to stay off the bus, in us: 0 if nobody else has the semaphore open or waits for the
 * side lock, else long enough to let one of them in.
 */
uint64_t port_lock_release(struct port_lock *lock);

/* When the hold must have ended (monotonic clock); 0: it is not held. Ask before each request. */
uint64_t port_lock_until_us(const struct port_lock *lock);

/* Words for the last failure, and why the side lock is not used; "" if there is nothing to say. */
const char *port_lock_problem(const struct port_lock *lock);
const char *port_lock_warning(const struct port_lock *lock);
