/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A serial port that several programs have open at the same time: whoever holds its lock (port_lock.h) has it for
 * itself, and nobody touches it without.
 *
 * Within a hold the port is also flock'ed and exclusive (TIOCEXCL), as far as that goes, against programs that know
 * nothing of the lock; between holds it is neither, so that those who only wait and post may open it.
 */

#include "drivers/serial.h"

#include <stdbool.h>
#include <stdint.h>

struct port_share;

/*
 * name       of the semaphore: "/rs485"
 * directory  of the side locks; NULL: $METERSTICK_LOCK_DIR, else PORT_LOCK_DIRECTORY
 * pty_too    share pseudo-terminals as well
 *
 * Errors: as port_lock_new()
 */
int port_share_new(const char *name, const char *directory, bool pty_too, struct port_share **ret) MUST_CHECK;
void port_share_free(struct port_share *share);

/*
 * Whether the device that a serial port means now is shared: links to a pseudo-terminal may come and go. One that is
 * absent is; but nobody has to be waited for to see that it is absent.
 */
bool port_share_applies(const struct port_share *share, const struct endpoint *port);
bool port_share_is_absent(const struct endpoint *port);

/* Where the programs that share the port keep what only they know of it: a file for each purpose. */
int port_share_path(const struct port_share *share, const char *purpose, char *ret, size_t size) MUST_CHECK;

/*
 * Take the port, when it is our turn: within as long as other programs wait. If the one before us died with it, the
 * line has come to rest; if it may have been another program, the line has been silent.
 *
 * fd         the open port, -1 if it is not open yet
 * rest_us    how late an answer may begin; silence_us: between frames
 * *ret_died  somebody did
 *
 * Errors: -EBUSY other programs use the port all the time    -ENODEV the adapter is gone
 *         -EACCES, -ENOSPC, -EINVAL as port_lock_take(); *problem gets the words
 */
int port_share_take(struct port_share *share, int fd, uint64_t rest_us, double silence_us, struct text *problem,
                    bool *ret_died) MUST_CHECK;

/* When it must be given back (monotonic clock). */
uint64_t port_share_until_us(const struct port_share *share);

/*
 * Give it back when the line has been quiet long enough: other programs may talk at once when they have it, so that
 * the silence is a part of our turn.
 */
void port_share_give(struct port_share *share, int fd, uint64_t quiet_until_us);

/* Time spent on waiting for the port, in all. */
uint64_t port_share_waited_us(const struct port_share *share);

/* We have just set it up; whether another program has done so since. */
void port_share_keep_setting(struct port_share *share, int fd);
bool port_share_setting_changed(const struct port_share *share, int fd);

/* Why it is shared less safely than it could be; "" if there is nothing to say. */
const char *port_share_warning(const struct port_share *share);
