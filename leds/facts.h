/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the lights have to tell, taken from the status files of the other programs. Pure: the caller reads the files
 * and passes NULL for one that is missing, damaged or stale, which always counts as failed and never as "nothing to
 * tell".
 */

#include "app/base/json.h"

#include <stdbool.h>
#include <stdint.h>

enum power_fact { POWER_UNTOLD, POWER_GOOD, POWER_LOW };
enum outlets_fact { OUTLETS_NONE, OUTLETS_DELIVERED, OUTLETS_BEHIND, OUTLETS_FAILING };
enum alarm_fact { ALARM_NONE, ALARM_WAS, ALARM_NOW };

#define FACTS_SILENT_MAX 8  // numbers at once; nobody stays at the cupboard for more

struct facts {
    bool acquire_alive;
    bool halted;                 // it is not alive, or it says that it failed
    unsigned meter_count;
    unsigned meter_good_count;   // live, and their last committed row is young enough
    unsigned silent_count;       // of silent_numbers, not of the silent meters
    unsigned silent_numbers[FACTS_SILENT_MAX];  // the lowest of those that are not good; the first meter is 1
    bool acquisition_failed;     // it says so itself
    bool searching;              // for meters that no configuration names, and somewhere it can
    bool searching_anew;         // once all was looked for, and nothing was there
    bool any_reading;            // some meter has given one, even if it is not good any more
    double search_percent;       // NAN: not searching
    double search_left_min;      // at least 1; NAN: not searching
    bool journal_ok;
    bool clock_known;
    bool stick_alive;
    unsigned stick_count;
    bool stick_writing;          // any: not safe to pull
    bool stick_failed;           // any full, read-only, slow or failed
    bool stick_refused;          // any
    bool stick_behind;           // any that is not known to have every row: with a backlog or an error, or at work
    double stick_percent;        // of the one being written that is farthest behind; NAN: none catches up
    enum outlets_fact outlets;
    enum alarm_fact alarm;
    enum power_fact power;
    uint64_t turns_boot_ms;      // when the first good meter is not good any more, if no row comes; UINT64_MAX: none
};

/*
 * acquire, stick  status documents to be believed, or NULL
 * commit_ms       the journal's commit interval: a meter is good while its last committed row is younger than
 *                 3 x slice_ms + commit_ms, and STATUS_EVERY_MS until the status says so
 */
void facts_gather(const struct json *acquire, const struct json *stick, uint64_t now_boot_ms, uint64_t commit_ms,
                  struct facts *ret);
