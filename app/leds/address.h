/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The IPv4 address by which the appliance is reached: that of the interface that the default route goes through, the
 * best route first; else one of any other interface but the loopback. From the kernel's answers to RTM_GETROUTE and
 * RTM_GETADDR (rtnetlink(7)). address_take() and address_choose() are pure.
 */

#include "app/base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_TEXT_SIZE 16           // "255.255.255.255" and the end
#define ADDRESS_NONE      "127.0.0.1"  // what is read out if there is none (ES-05)
#define ADDRESS_MAX       64           // addresses that are kept; more interfaces than that have no person in front

struct address_entry {
    uint8_t bytes[4];
    int interface;
    bool is_local;      // 169.254.x.x: the machine gave it to itself
    bool is_secondary;  // another of the same network
};

/* What was learned so far; zero-initialised is nothing. */
struct address_table {
    bool has_route;
    int interface;          // of the best default route
    uint32_t metric;        // of that
    uint8_t source[4];      // which the route prefers, 0.0.0.0: it does not say
    unsigned count;
    struct address_entry entries[ADDRESS_MAX];
};

/*
 * Take what one recv() gave: netlink messages, one after the other, as they may come from anybody.
 * Returns 1 if the last of an answer was among them, 0 if not.
 * Errors: -EAGAIN  the tables changed meanwhile: ask again    -EBADMSG  no such messages    what the kernel says
 */
int address_take(struct address_table *table, const void *bytes, size_t size) MUST_CHECK;

/* The address as text, ADDRESS_NONE if there is none. Returns buffer. */
const char *address_choose(const struct address_table *table, char buffer[static ADDRESS_TEXT_SIZE]);

/* Ask the kernel now. It answers at once. Errors: those of socket(2) and of address_take(); buffer is ADDRESS_NONE */
int address_find(char buffer[static ADDRESS_TEXT_SIZE]);

/* A socket that has something to read when an address or a route has changed. Errors: those of socket(2) */
int address_watch_open(int *ret_fd) MUST_CHECK;

/* Read what it has, which nobody needs: only that there was something. */
void address_watch_drain(int fd);
