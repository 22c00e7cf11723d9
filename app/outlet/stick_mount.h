/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A volume mounted where nobody else sees it: below a directory of ours, in a mount namespace that others do not share.
 * Of another process's namespaces nothing is changed.
 */

#include "app/base/macros.h"
#include "app/outlet/volume.h"

/*
 * Make sure that what is mounted below a directory stays unseen: one whose mounts are shared with others gets this
 * process a mount namespace of its own.
 * Errors: -EPERM  they are shared, and we may not have one
 */
int stick_mount_make_private(const char *parent) MUST_CHECK;

/*
 * Unmount what a process of ours left mounted at <parent>/<name> when it was killed. Else the kernel does that, unless
 * other processes live in the same namespace.
 */
void stick_mount_clear(const char *parent, const char *name);

/*
 * Mount a device at <parent>/<name>, which is made if it is not there, must be ours alone and empty. *ret_fd is the
 * root of the volume.
 *
 * Errors: -EROFS  write-protected      -EMEDIUMTYPE  the kernel does not know the file system
 *         -EUCLEAN  the kernel does not accept it, or it is not what is mounted now
 *         -EBUSY  in use by another program      -ENOTEMPTY, -EPERM, -EEXIST  the directory is not as it must be
 *         -EACCES  we may not mount      and those of mount(2)
 */
int stick_mount(int device_fd, enum volume_kind kind, const char *parent, const char *name, int *ret_fd) MUST_CHECK;

/* Unmount it; its descriptors are closed. Errors: those of umount2(2); it goes then when nothing is open there. */
int stick_mount_end(const char *parent, const char *name) MUST_CHECK;

/*
 * What the lines of a mountinfo say of one mount: 0 it is private, 1 events go from it to others, 2 they do, and come
 * from others as well: so the namespace is not the first one. Pure.
 * Errors: -ENOENT there is no such mount
 */
int stick_mount_sharing(const char *mountinfo, unsigned mount_id) MUST_CHECK;
