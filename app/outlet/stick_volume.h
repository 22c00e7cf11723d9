/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The volume kind of a stick's root: looked at, checked if it was not left clean, mounted, unmounted, flushed. What the
 * calls are, in which order, and what each of them was seen to do on a real kernel and at a pull, stands in DESIGN
 * section 6. One thread.
 */

#include "app/base/limits.h"
#include "app/outlet/stick_report.h"
#include "app/outlet/stick_root.h"
#include "app/outlet/volume.h"

#include <sys/stat.h>

struct stick_volume {
    char node[PATH_SIZE];           // "/dev/sda1"
    char parent[PATH_SIZE];         // where the mount point is made
    const char *name;               // of both: "sda1"
    uint64_t check_limit_ms;
    struct volume look;             // as last looked at
    char error[STICK_ERROR_SIZE];   // of the last failure, "" = none
    bool is_private;                // our mounts are not seen by others
    bool checked;                   // fsck has been at it since it was plugged
    int given_up;                   // why it was in vain, 0: it was not
    int pin_fd;                     // the device, while it is mounted
    int root_fd;
};

int stick_volume_init(struct stick_volume *volume, const char *node, const char *mount_parent) MUST_CHECK;
bool stick_volume_is_in(const struct stick_volume *volume);

/* As stick_root_open(); fills volume->error. */
int stick_volume_open(struct stick_volume *volume, stick_root_tell *tell, void *data) MUST_CHECK;

/* As stick_root_close(). */
int stick_volume_close(struct stick_volume *volume) MUST_CHECK;
