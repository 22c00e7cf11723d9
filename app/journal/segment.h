/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The journal's files: segments are called by their first seq, so their order and who follows whom stand in the
 * names. 0000000000000001.db, 0000004294967296.db ...
 */

#include "app/base/limits.h"
#include "app/base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEGMENT_DIGITS    16
#define SEGMENT_NAME_SIZE (SEGMENT_DIGITS + 16)          // digits, ".db" or ".new", "-journal"
#define SEGMENT_BOOT_ROWS ((uint64_t) 1 << 32)           // each boot begins at a multiple of it
#define SEGMENT_BAD_ROWS  ((uint64_t) 1 << 24)           // more than fit in a segment
#define SEGMENT_SEQ_MAX   ((uint64_t) 9999999999999999)  // what 16 digits hold: two million boots

/* "0000000000000042.db" for 42 and ".db". Returns buffer. */
const char *segment_name(uint64_t first, const char *ending, char buffer[static SEGMENT_NAME_SIZE]);

/* The path of a segment. Errors: -ENAMETOOLONG */
int segment_file(const char *directory, uint64_t first, char ret[static PATH_SIZE]) MUST_CHECK;

/* The number that a name of ours begins with, whatever follows its 16 digits and dot. Errors: -EINVAL not ours */
int segment_parse(const char *name, uint64_t *ret_first, const char **ret_ending) MUST_CHECK;

/* Where the first segment of a boot begins, given the highest seq and file name so far; 1 in an empty journal. */
uint64_t segment_next_boot(uint64_t highest);

/*
 * The segments of a directory, oldest first. Zero-initialised is empty. A damaged one that was set aside is called
 * 0000000000000001.db.bad, and its log 0000000000000001.db.bad-wal: what SQLite and its tools expect.
 */
struct segments {
    uint64_t *first;
    size_t count;
    size_t capacity;
    uint64_t *bad;     // those that were set aside
    size_t bad_count;
    size_t bad_capacity;
    uint64_t highest;  // of all names, those of damaged ones set aside included
};

#define auto_segments CLEANUP(segments_clear)

/* Look at the directory again. Errors: -ENOENT, -ENOTDIR, -EACCES, -EIO, -ENOMEM */
int segments_read(struct segments *segments, const char *directory) MUST_CHECK;
void segments_clear(struct segments *segments);

/* Index of the segment in which a seq is or would be: the last that begins at or before it; 0 if all begin later. */
size_t segments_find(const struct segments *segments, uint64_t seq);

/* Whether a segment's file is still in write-ahead mode (byte 18 of SQLite's header). Errors: as open(); -EBADMSG */
int segment_is_open(const char *path, bool *ret) MUST_CHECK;

/* A segment's user_version, without SQLite: nothing is touched. Errors: as open(); -EBADMSG no SQLite file */
int segment_version(const char *path, uint32_t *ret) MUST_CHECK;

/*
 * Remove what a killed writer left half made: *.new and their logs, and logs without their segment. Logs of one that
 * was just being set aside follow it.
 */
void segment_remove_leftovers(const char *directory);

/* Remove a segment with its logs, or one that was set aside: ending is ".db" or ".db.bad". */
int segment_remove(const char *directory, uint64_t first, const char *ending) MUST_CHECK;

/*
 * Call a damaged log .bad, durably: it gives room for another one, and says that rows of the segment may be lost. Or
 * only a copy of it, empty where the card is full: what is sound in it is still to be used.
 */
int segment_set_log_aside(const char *directory, uint64_t first) MUST_CHECK;
int segment_copy_log_aside(const char *directory, uint64_t first) MUST_CHECK;
int segment_has_log_aside(const char *directory, uint64_t first, bool *ret) MUST_CHECK;

/* Call a damaged segment and its logs .bad, durably. Nobody may have it open to write. */
int segment_set_aside(const char *directory, uint64_t first) MUST_CHECK;
