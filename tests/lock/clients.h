/* SPDX-License-Identifier: MIT */
#pragma once

/* Those who share the port: ours through port_lock.c, and others as they write it, with sem_open(). */

#include "tests/lock/observer.h"

#include <sys/types.h>

struct client {
    const char *name;       // of the semaphore
    const char *directory;  // of the side lock
    int line;               // where frames are sent to
    unsigned slot;
    unsigned random;
    bool kills_itself;      // ours: at one of the steps of the protocol
    bool unlinks;           // others: what they do after a time-out
    bool rude;              // others: post twice now and then
    bool keeps_open;        // others: one sem_open() for all
    unsigned hold_us;       // longest
};

/* Neither returns. */
void client_ours(const struct client *client);
void client_other(const struct client *client);

uint64_t client_now_us(void);
