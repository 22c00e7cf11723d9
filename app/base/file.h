/* SPDX-License-Identifier: MIT */
#pragma once

/* Whole files, and directories. Errors are those of the system call, negative. */

#include "app/base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Read a file whole. *ret is on the heap and ends with a NUL that is not counted.
 * Errors: -EFBIG  larger than max_size    -EISDIR
 */
int file_read(const char *path, size_t max_size, char **ret, size_t *ret_size) MUST_CHECK;

/*
 * Replace a file whole: a reader sees the old or the new one, never half. Written beside it as
 * <path>.tmp and renamed. mode: the file's, whatever the umask.
 * durable: on the card before it returns (fsync of file and directory).
 */
int file_replace(const char *path, const void *bytes, size_t size, mode_t mode, bool durable) MUST_CHECK;

/* All of a buffer, or an error; -ENOSPC after a short write at the end of the space. */
int file_write_all(int fd, const void *bytes, size_t size) MUST_CHECK;

/* Copy a file; the bytes are on the card before it returns, the name not yet. */
int file_copy(const char *from, const char *to, mode_t mode) MUST_CHECK;

/*
 * Open a file, made if it is not there, and hold it until *ret is closed: a killed program lets go of it.
 * Errors: -EBUSY somebody holds it
 */
int file_lock(const char *path, int *ret) MUST_CHECK;

/* mkdir -p, durably. Errors: -ENOTDIR if a part of it is a file */
int file_make_directories(const char *path, mode_t mode) MUST_CHECK;

/* fsync a directory: the names in it are durable then. Errors: those of open() and fsync() */
int file_sync_directory(const char *directory) MUST_CHECK;

/* dir + "/" + name. Errors: -ENAMETOOLONG */
int file_path(char *ret, size_t size, const char *directory, const char *name) MUST_CHECK;

/* The directory in which the running program stands, without the slash at the end. */
int file_program_directory(char *ret, size_t size) MUST_CHECK;
