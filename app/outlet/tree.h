/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Files below an open directory, and never anything else: no links, no "..", no other file system. A path could by
 * now be the SD card below an empty mount point; the open directory of the stick cannot.
 * Errors are those of the system call, negative: -ELOOP a link, -EXDEV out of the tree, -ENOSPC also after a short
 * write
 */

#include "app/base/macros.h"

#include <stddef.h>
#include <stdint.h>

/* Open a file or directory below; flags as open(). Returns the descriptor. */
int tree_open(int directory_fd, const char *path, int flags) MUST_CHECK;

/* Open a directory below, making it (durably) if it is not there. Returns the descriptor. */
int tree_open_directory(int directory_fd, const char *name) MUST_CHECK;

/* All of it, or an error. Reading beyond the end is -EBADMSG: it was there a moment ago. */
int tree_read(int fd, uint64_t offset, void *ret, size_t size) MUST_CHECK;
int tree_write(int fd, uint64_t offset, const void *bytes, size_t size) MUST_CHECK;

/*
 * Make a file in that directory durable that has grown, its chain of clusters first. fsync() of the file alone writes
 * its entry before the FAT: were the power cut in between, what stood in the FAT before would lead the file into the
 * clusters of others, and fsck.exfat 1.2 cuts those.
 */
int tree_sync_grown(int directory_fd, int fd) MUST_CHECK;
