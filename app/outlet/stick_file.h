/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One file of a stick that may still grow: whether it is as we left it, what is to be appended, and how that is done so
 * that neither a person's work nor a row is lost. All functions return 0 or -Exxx unless they say more.
 */

#include "app/base/text.h"
#include "app/outlet/cursor.h"
#include "app/outlet/render.h"

#include <sys/stat.h>

struct stick_file {
    struct cursor_file at;       // as it stands in the cursor
    bool listed;                 // the cursor on the stick names it
    bool checked;                // it is as the cursor says, in this burst
    bool touched;                // rows were appended in this burst
    struct stat seen;            // when it last was: st_mtim, st_size and st_ino tell a change
    bool remounted;              // since then: inodes may have other numbers
    struct text pending;         // heading and rows to append
    uint64_t pending_first, pending_last;
    uint64_t *held;              // seqs that an older revision of the file holds, ascending
    size_t held_count;
};

void stick_file_clear(struct stick_file *file);

/* Forget what is to be appended. */
void stick_file_drop(struct stick_file *file);

/* Whether a place is in this file. */
bool stick_file_is_for(const struct stick_file *file, const struct place *place);

/* A name for the place: revision 0 is "<base>.csv", 1 "<base>-r1.csv"... */
void stick_file_name(const struct place *place, unsigned revision, char ret[static CURSOR_NAME_SIZE]);
unsigned stick_file_revision(const char *name);

/*
 * Compare the file with its cursor. Returns 1 if it is as we left it (bytes beyond the cursor do not count), 0 if it is
 * shorter or changed, -ENOENT if it is gone.
 */
int stick_file_check(struct stick_file *file, int folder_fd) MUST_CHECK;

/* Add a row, after the heading if it is the first; not if the file or an older revision holds it already. */
int stick_file_add(struct stick_file *file, struct render *render, const struct place *place,
                   const struct journal_row *row) MUST_CHECK;

/*
 * Rows that were in the file, and are no longer or no longer provably, once more. `old_fd` is what is left of it (held
 * open by the caller), -1 if nothing is.
 */
int stick_file_add_again(struct stick_file *file, struct render *render, struct journal *journal,
                         const struct place *place, const struct cursor_file *was, int old_fd) MUST_CHECK;

/*
 * Whether an unlisted file is wholly ours: every line of it the rendering of a row, from the given one on or from the
 * one its first line names. Returns 1 and fills at.length, crc, first, last and meter, or 0.
 */
int stick_file_prove(struct stick_file *file, struct render *render, struct journal *journal,
                     const struct place *place, const struct journal_row *row, int fd) MUST_CHECK;

/*
 * What a burst would append to a file of rows of unknown time, about a sector of it; and whether what stands behind the
 * cursor there may be what one left that was cut off (1), or is somebody's (0).
 */
int stick_file_render_next(const struct stick_file *file, struct render *render, struct journal *journal,
                           struct text *ret) MUST_CHECK;
int stick_file_is_tail_ours(const struct stick_file *file, int folder_fd, const struct text *next) MUST_CHECK;

/* Remember which seqs the lines of a file end with. */
int stick_file_hold(struct stick_file *file, int fd) MUST_CHECK;

/*
 * Append what is pending: bytes beyond the cursor stay where they are equal, one write for the rest. *ret becomes the
 * cursor's new entry, once it is durable: by stick_file_sync(), or when the caller syncs the file system.
 */
int stick_file_write(struct stick_file *file, int folder_fd, struct cursor_file *ret) MUST_CHECK;
int stick_file_sync(const struct stick_file *file, int folder_fd) MUST_CHECK;

/* Take back bytes beyond the cursor after a failed write, as far as the stick still lets us. */
void stick_file_cut(const struct stick_file *file, int folder_fd);
