/* SPDX-License-Identifier: MIT */

/* A batch of rows: taken from the journal, appended, and the cursor moved behind them. */

#include "app/outlet/stick_private.h"

#include "app/outlet/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define BATCH_READS   256  // of STICK_BATCH_ROWS: rows that go nowhere take time too
#define SYNC_EACH_MAX 8   // more files than that are synced together

/* Hand over one row. Returns 0: it is behind us, 1: the batch ends before it, 2: it waits for its time. */
typedef int row_taker(struct stick *stick, const struct journal_row *row, void *data);

/* Take the rows after *next, which follows them: 0 there are no more, 1 the batch is full, or what `take` says. */
static int take_rows(struct stick *stick, uint64_t *next, row_taker *take, void *data)
{
    unsigned reads = 0;
    uint64_t after;
    int n, r;

    while ((n = journal_read(stick->journal, *next, NULL, stick->rows, STICK_BATCH_ROWS)) > 0) {
        for (int i = 0; i < n; i++) {
            r = take(stick, &stick->rows[i], data);
            if (r != 0) {
                return r;
            }
            *next = stick->rows[i].seq;
        }
        if (stick->pending_size >= STICK_BATCH_BYTES || ++reads == BATCH_READS) {
            return 1;
        }
    }

    if (journal_take_gap(stick->journal, &after)) {
        stick_note_gap(stick, after);
    }
    return stick_of_journal(stick, n);
}

/* A row of which the journal cannot say whose or when it is goes nowhere: others must not wait for it. */
static int pass_row(struct stick *stick, int r, const struct journal_row *row)
{
    if (r != -EBADMSG) {
        return stick_of_journal(stick, r);
    }

    stick_note_gap(stick, row->seq - 1);
    return 0;
}

/* What follows from the answer to "where does it go". */
static int add_placed(struct stick *stick, int answer, const struct place *place, const struct journal_row *row)
{
    int r;

    if (answer < 0) {
        return pass_row(stick, answer, row);
    }
    if (answer != RENDER_PLACED) {
        return 0;
    }

    r = stick_add_row(stick, place, row);
    return r == -EAGAIN && !stick->journal_failed ? 1 : r;
}

static int take_dated_row(struct stick *stick, const struct journal_row *row, void *data)
{
    struct journal_row *ret_waiting = data;
    struct place place;
    int r, over;

    r = render_place(stick->render, row, &place);
    if (r != RENDER_WAITS) {
        return add_placed(stick, r, &place, row);
    }

    over = render_boot_is_over(stick->render, row);
    if (over < 0) {
        return stick_of_journal(stick, over);
    }
    if (!over || (stick->format == CSV_METERSTICK && row->seq > stick->next_undated)) {
        *ret_waiting = *row;
        return 2;
    }
    stick->passed += stick->format == CSV_ENERGY_SCRIBE;
    return 0;
}

int stick_take_dated(struct stick *stick, struct journal_row *ret_waiting)
{
    return take_rows(stick, &stick->next_dated, take_dated_row, ret_waiting);
}

static int take_undated_row(struct stick *stick, const struct journal_row *row, void *data)
{
    const int64_t *boot = data;
    struct place place;
    int64_t its_boot;
    int r;

    r = render_boot(stick->render, row, &its_boot);
    if (r < 0) {
        return pass_row(stick, r, row);
    }
    if (its_boot != *boot) {
        return 1;  // that boot is over: `dated` passes it, and goes on
    }
    return add_placed(stick, render_place_undated(stick->render, row, &place), &place, row);
}

int stick_take_undated(struct stick *stick, const struct journal_row *waiting)
{
    int64_t boot;
    int r;

    r = render_boot(stick->render, waiting, &boot);
    if (r < 0) {
        return stick_of_journal(stick, r);
    }

    stick->next_undated = MAX(stick->next_undated, stick->next_dated);
    return take_rows(stick, &stick->next_undated, take_undated_row, &boot);
}

int stick_sync(struct stick *stick)
{
    // syncfs() sends no flush on FAT: the fsync() of the device does, or of any one thing there, for all.
    if (syncfs(stick->folder_fd) < 0 || fsync(stick->device_fd >= 0 ? stick->device_fd : stick->folder_fd) < 0) {
        return -errno;
    }

    return 0;
}

/*
 * Make durable what was appended. The chains come first, with the device: Linux writes a file's entry before them, and
 * an entry that is ahead of its chain costs all of the file until fsck; on exFAT, where the first cluster that is not
 * the next one turns a file without a chain into one with, even then.
 */
static int sync_files(struct stick *stick, unsigned count)
{
    int r;

    if (stick->device_fd >= 0 && fsync(stick->device_fd) < 0) {
        return -errno;
    }
    if (count > SYNC_EACH_MAX) {
        return stick_sync(stick);
    }

    for (unsigned i = 0; i < stick->file_count; i++) {
        if (stick->files[i]->pending.size > 0) {
            r = stick_file_sync(stick->files[i], stick->folder_fd);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

/* Append all that is pending, durably. The cursor's new entries come into `at`. */
static int write_files(struct stick *stick, struct cursor_file *at)
{
    unsigned count = 0;
    int r;

    for (unsigned i = 0; i < stick->file_count; i++) {
        count += stick->files[i]->pending.size > 0;
    }

    for (unsigned i = 0; i < stick->file_count; i++) {
        struct stick_file *file = stick->files[i];

        at[i] = file->at;
        if (file->pending.size == 0) {
            continue;
        }
        r = stick_file_write(file, stick->folder_fd, &at[i]);
        if (r < 0) {
            if (r == -ENOSPC) {
                stick_file_cut(file, stick->folder_fd);
            }
            return r;
        }
    }

    return count > 0 ? sync_files(stick, count) : 0;
}

/* What the cursor need not name any more: a meter's older days. */
static void close_older_days(struct stick *stick)
{
    for (unsigned i = stick->file_count; i > 0; i--) {
        const struct cursor_file *old = &stick->files[i - 1]->at;
        bool followed = false;

        if (old->undated || stick->files[i - 1]->touched) {
            continue;
        }
        for (unsigned j = 0; j < stick->file_count && !followed; j++) {
            const struct cursor_file *newer = &stick->files[j]->at;
            size_t folder = strcspn(old->name, "/") + 1;

            followed = stick->files[j]->touched && !newer->undated && newer->last > old->last &&
                       strncmp(old->name, newer->name, folder) == 0;
        }
        if (followed) {
            stick_remove_file(stick, i - 1);
            stick->changed = true;
        }
    }
}

int stick_write_batch(struct stick *stick)
{
    auto_free struct cursor_file *at = NULL;
    bool unlisted = false;
    int r;

    for (unsigned i = 0; i < stick->file_count; i++) {
        unlisted |= !stick->files[i]->listed;
    }

    // A file is named before its first byte: so whatever a cut-off burst leaves is known to be ours.
    if (unlisted) {
        r = stick_save_cursor(stick);
        if (r < 0) {
            return r;
        }
    }

    if (stick->pending_size > 0) {
        at = calloc(MAX(stick->file_count, 1u), sizeof(*at));
        if (!at) {
            return -ENOMEM;
        }
        r = write_files(stick, at);
        if (r < 0) {
            return r;
        }
        stick->written_files = 0;
        for (unsigned i = 0; i < stick->file_count; i++) {
            stick->written_files += stick->files[i]->pending.size > 0;
            stick->files[i]->at = at[i];
            stick_file_drop(stick->files[i]);
        }
        stick->pending_size = 0;
        stick->changed = true;
    }

    if (stick->next_dated != stick->cursor.dated || stick->next_undated != stick->cursor.undated || stick->changed) {
        close_older_days(stick);
        stick->cursor.dated = stick->next_dated;
        stick->cursor.undated = stick->next_undated;
        return stick_save_cursor(stick);
    }
    return 0;
}
