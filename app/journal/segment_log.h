/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A segment's write-ahead log, as it is found before SQLite opens it: which of the commits in it SQLite will find, and
 * whether there were more. SQLite ends at the first frame that is not sound and says nothing of those behind it.
 */

#include "app/base/macros.h"

#include <stdbool.h>

enum segment_log {
    SEGMENT_LOG_MISSING,
    SEGMENT_LOG_EMPTY,     // or a power cut kept only its size
    SEGMENT_LOG_SOUND,     // SQLite will find all that was committed
    SEGMENT_LOG_TORN,      // a commit is not sound: the power was cut while it was written, or it is damaged
    SEGMENT_LOG_BROKEN,    // commits that were acknowledged are not sound; those before them are
    SEGMENT_LOG_NONSENSE,  // nothing in it may be used: the segment's file has more than SQLite would find
};

/*
 * Reads the whole log. Commits are made durable one by one, so a power cut leaves one at most that is not sound, and
 * nobody has seen its rows; a killed program leaves none. Errors: as open()
 */
int segment_log(const char *path, enum segment_log *ret) MUST_CHECK;

/* Whether the log is a header and nothing else, as one is left that was killed at its first frame. */
bool segment_log_is_bare(const char *path);
