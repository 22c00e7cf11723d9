/* SPDX-License-Identifier: MIT */
#pragma once

/* The checker of a file system as a child of ours, with nothing but the device: no capabilities, no environment. */

#include "app/base/macros.h"
#include "app/outlet/stick_root.h"
#include "app/outlet/volume.h"

#include <stdint.h>

#define STICK_FSCK_LIMIT_MS 120000  // DESIGN section 6; 8 GB of FAT32 took 1 s, its tables are read whole

/* "fsck.fat" or "fsck.exfat". Pure. */
const char *stick_fsck_name(enum volume_kind kind);

/*
 * Check and repair the file system of a device until nothing is found, thrice at most, telling STICK_CHECKING once a
 * second. fsck.exfat claims the device as we do: our claim must have been given up before.
 *
 * device_fd  the device: fsck opens that one, whatever has its name by now
 * limit_ms   then it is killed; of each run
 *
 * Errors: -EUCLEAN it could not repair all   -ETIMEDOUT it was killed   -ENOENT it is not installed
 *         -ECANCELED we have been told to end: it is not begun then, or stopped after a moment
 */
int stick_fsck_run(enum volume_kind kind, int device_fd, uint64_t limit_ms, stick_root_tell *tell,
                   void *data) MUST_CHECK;
