/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whether the supply voltage was ever too low in this boot. A file <run-dir>/leds.power, which holds the boot id, keeps
 * that over a restart of `leds`; what it cannot write it knows for itself.
 */

#include "leds/facts.h"

struct power_latch {
    bool low;      // it was, in this boot
    bool kept;     // the file says so
};

/* What the file says. */
void power_latch_begin(struct power_latch *latch, const char *run_dir, const char *boot_id);

/* Look at the board. Returns what pixel 7 shows. */
enum power_fact power_latch_look(struct power_latch *latch, const char *sys_dir, const char *run_dir,
                                 const char *boot_id);
