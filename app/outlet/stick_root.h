/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How the root of a stick is come by: a directory that is simply there (--dir), or a volume on a device, mounted for
 * a burst only. In between a volume is closed in every sense, and may be pulled. One thread.
 */

#include "app/base/macros.h"
#include "app/outlet/stick_report.h"

#include <stdbool.h>

struct stick_root;

#define auto_stick_root CLEANUP(stick_root_freep)

/*
 * Told before anything is written: STICK_CHECKING when fsck begins, and once a second until it ends, STICK_WRITING
 * then. What is refused after a look is not told of.
 */
typedef void stick_root_tell(enum stick_state state, void *data);

/* Strings are copied. Nothing is touched before it is opened. Errors: -ENOMEM, -ENAMETOOLONG */
int stick_root_new_directory(const char *directory, struct stick_root **ret) MUST_CHECK;

/*
 * A volume on a device, "/dev/sda1". Its first sector is read, for its id.
 *
 * mount_parent  a directory that only we write to: the mount point is made in it, 0700, and named like the device
 */
int stick_root_new_volume(const char *node, const char *mount_parent, struct stick_root **ret) MUST_CHECK;

/* How long fsck may take, STICK_FSCK_LIMIT_MS at first. */
void stick_root_set_check_limit(struct stick_root *root, uint64_t ms);

/* Closes it too. */
void stick_root_free(struct stick_root *root);
void stick_root_freep(struct stick_root **root);

/* The directory, or the UUID of the file system ("1234-ABCD"); the device's name ("sda1") where there is none. */
const char *stick_root_id(const struct stick_root *root);

/* Whether opening it writes to it: it is a volume, and is mounted. */
bool stick_root_is_volume(const struct stick_root *root);

/* Whether it is there: nothing is written. */
bool stick_root_is_in(const struct stick_root *root);

/*
 * Open the root for writing below it. *ret_fd stays the root's, valid until it is closed. tell: NULL for a directory
 * of which nobody wants to know.
 *
 * Errors: -ENODEV  it is gone   -EBUSY  in use by another program   -EUCLEAN  damaged, and not repaired
 *         -EMEDIUMTYPE  not a file system for us   -EROFS  write-protected   and -EIO, -EACCES ...
 */
int stick_root_open(struct stick_root *root, stick_root_tell *tell, void *data, int *ret_fd) MUST_CHECK;

bool stick_root_is_open(const struct stick_root *root);

/* The device below the open root, for its flush; -1 if there is none or it is a directory. It stays the root's. */
int stick_root_device_fd(const struct stick_root *root);

/*
 * About how much is free on an open root, as far as that is known without making the stick read all its tables: of
 * FAT32 it is the volume's own note, from before it was mounted. false if it is not known.
 */
bool stick_root_space(const struct stick_root *root, uint64_t *ret_bytes);

/* The last failure of opening or closing in words, for people; NULL if errno says it all. */
const char *stick_root_error(const struct stick_root *root);

/* Close it, a volume down to the device's own flush: only after 0 it is safe to pull. Nothing to do if not open. */
int stick_root_close(struct stick_root *root);
