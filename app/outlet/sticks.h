/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The sticks that are plugged in, each served by a child, and the one status file that tells of all. The parent never
 * waits for a stick, a child or the journal, which it does not open. One thread.
 */

#include "app/outlet/sticks_child.h"

/* What is there: as block_list(). */
typedef int sticks_find(void *data, struct block_volume ret[static BLOCK_VOLUMES_MAX]);

/* Whether the USB device of a volume is in its socket: as block_is_plugged(). */
typedef bool sticks_is_plugged(void *data, const struct block_volume *volume);

/* Called at least every 2 s, from the first look on, as long as all goes round. count: how many sticks are in */
typedef void sticks_alive(void *data, size_t count);

struct sticks_setup {
    const char *run_dir;
    int signal_fd;            // readable: end
    uint64_t look_ms;         // how often to look though udev tells of nothing; 0: as usual
    sticks_find *find;
    sticks_is_plugged *is_plugged;
    sticks_child_work *work;
    sticks_alive *alive;      // NULL: nobody is told
    void *data;               // of all four
};

/*
 * Serve whatever comes until a signal, and then let each child write its last burst: for 4 s, and not longer whatever
 * hangs. Errors: -ENOMEM, and those of signalfd()
 */
int sticks_serve(const struct sticks_setup *setup) MUST_CHECK;

/*
 * Serve what is there now, each stick by a child whose work ends by itself.
 * Errors: -ENODEV there is no stick   -EIO one of them was not written   and as above
 */
int sticks_serve_once(const struct sticks_setup *setup) MUST_CHECK;
