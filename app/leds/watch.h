/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A status file of another program, read again only when it was replaced: with 1000 meters it is large, and the
 * lights look ten times a second.
 */

#include "app/base/json.h"

#include <sys/stat.h>

/* Which version of a file was last seen. Zero-initialised: none. */
struct watch_seen {
    ino_t inode;
    struct timespec changed;
};

struct watch {
    const char *program;
    struct watch_seen seen;
    struct json *status;  // NULL: none, or not to be understood
};

/* Whether a file is another than the one last seen; one that is gone is another, too. */
bool watch_changed(const char *path, struct watch_seen *seen);

/* Read <run_dir>/<program>.json, if it is another than before. */
void watch_read(struct watch *watch, const char *run_dir);

/*
 * The status that was read, which belongs to watch, if it is to be believed, else NULL. now_boot_ms is a time after it
 * was read: a status of the future is none.
 */
const struct json *watch_believe(const struct watch *watch, const char *boot_id, uint64_t now_boot_ms);

void watch_clear(struct watch *watch);
