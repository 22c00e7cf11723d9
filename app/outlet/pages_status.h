/* SPDX-License-Identifier: MIT */
#pragma once

/* status.txt: how the logger is, in words for people. Pure but for the addresses of the machine. */

#include "app/base/json.h"
#include "app/base/text.h"
#include "app/journal/journal.h"

struct pages_status {
    const char *appliance;
    const struct json *acquire;   // its status file; NULL: there is none, or it is not to be believed
    double free_bytes;            // on the stick, about; NAN: not known
    int64_t now_ms;               // wall time, as far as the system knows it
    uint64_t now_boot_ms;
};

/*
 * ret        the text, lines with LF
 * ret_lasts  what stays as it is while everything goes on: the same without the times that only tick
 * Errors: -ENOMEM
 */
int pages_status(const struct pages_status *status, struct text *ret, struct text *ret_lasts) MUST_CHECK;

/* "192.168.1.20", IPv4 first; the loopback and link-local ones left out. Returns how many; -Exxx: nobody can say. */
int pages_status_addresses(struct text *ret);
