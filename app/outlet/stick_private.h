/* SPDX-License-Identifier: MIT */
#pragma once

/* What the stick*.c files know of a stick and nobody else does. */

#include "app/outlet/cursor.h"
#include "app/outlet/render.h"
#include "app/outlet/stick.h"
#include "app/outlet/stick_file.h"

#include <sys/stat.h>

#define STICK_BATCH_ROWS  128
#define STICK_BATCH_BYTES (1024 * 1024)  // of text: enough for each file to get several sectors at a time

struct stick {
    char appliance[METER_ID_SIZE];
    struct journal *journal;
    struct render *render;
    enum csv_format format;
    struct pages *pages;            // the caller's, NULL: none

    /* what the stick holds, as far as is known */
    bool loaded;
    dev_t device;
    ino_t inode;
    struct cursor cursor;           // without files: those are here
    struct stick_file **files;
    unsigned file_count;
    unsigned found_file;            // the one last looked for, if it is still there
    bool changed;                   // the cursor on the stick is behind

    /* one burst */
    int root_fd, device_fd;         // the caller's
    int folder_fd;
    uint64_t next_dated, next_undated;
    size_t pending_size;
    size_t written_files;           // in the last batch
    bool journal_failed;
    bool gap;
    uint64_t gap_after;
    uint64_t passed;
    struct journal_row *rows;
};

/* stick.c */
void stick_note_gap(struct stick *stick, uint64_t after);
void stick_forget(struct stick *stick);
void stick_close_fd(int *fd);

/* Hand a result on; an error is the journal's, not the stick's. */
int stick_of_journal(struct stick *stick, int r) MUST_CHECK;

/* stick_folder.c: the appliance's folder and the cursor in it */
int stick_add_file(struct stick *stick, struct stick_file **ret) MUST_CHECK;
void stick_remove_file(struct stick *stick, unsigned index);
int stick_open_folder(struct stick *stick) MUST_CHECK;

/* Make the cursor on the stick say what we say, durably. */
int stick_save_cursor(struct stick *stick) MUST_CHECK;

/* stick_place.c: add a row to its file. -EAGAIN without journal_failed: what is pending has to be written first */
int stick_add_row(struct stick *stick, const struct place *place, const struct journal_row *row) MUST_CHECK;

/* stick_batch.c */

/* Make all durable that was done on the stick so far. */
int stick_sync(struct stick *stick) MUST_CHECK;

/*
 * Rows after `dated` in order, up to the first whose time may still be learned. Returns 1 if the batch is full, 0 at
 * the end, and 2 with that row in *ret_waiting.
 */
int stick_take_dated(struct stick *stick, struct journal_row *ret_waiting) MUST_CHECK;

/* While `dated` waits: the rows of that boot that have no time, to its end. Returns as stick_take_dated(). */
int stick_take_undated(struct stick *stick, const struct journal_row *waiting) MUST_CHECK;

/* Append what is pending, and move the cursor behind it. */
int stick_write_batch(struct stick *stick) MUST_CHECK;
