/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * When a bus looks for its port that is gone. Pure.
 *
 * Each second, and at once when somebody is told of a new adapter. An adapter that comes and goes, on a loose plug, is
 * looked for less often, down to once in 4 s: it costs a few lines of the log and not thousands.
 */

#include <stdbool.h>
#include <stdint.h>

struct port_watch {
    int error;               // why it is not open; 0: it is, as far as we know
    uint64_t again_us;       // when it is looked for
    uint64_t opened_us;      // when it was last opened; 0: never
    unsigned flaps;          // how often in a row it was lost soon after
};

/* It is gone, or could not be opened. Returns true if that is news: another reason than before. */
bool port_watch_failed(struct port_watch *watch, int error, uint64_t now_us);

/* It was opened. Returns true if it was gone before. */
bool port_watch_opened(struct port_watch *watch, uint64_t now_us);

/* Whether to look for it now. told: an adapter came or went. */
bool port_watch_is_due(const struct port_watch *watch, bool told, uint64_t now_us);
