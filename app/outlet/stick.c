/* SPDX-License-Identifier: MIT */

#include "app/outlet/stick.h"

#include "app/base/clock.h"
#include "app/base/log.h"
#include "app/outlet/pages.h"
#include "app/outlet/stick_private.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int stick_open(const struct stick_setup *setup, struct stick **ret)
{
    auto_stick struct stick *stick = NULL;
    int r;

    stick = calloc(1, sizeof(*stick));
    if (!stick) {
        return -ENOMEM;
    }
    stick->root_fd = stick->device_fd = stick->folder_fd = -1;
    stick->journal = setup->journal;
    stick->format = setup->format;
    stick->pages = setup->pages;

    stick->rows = calloc(STICK_BATCH_ROWS, sizeof(*stick->rows));
    if (!stick->rows) {
        return -ENOMEM;
    }

    r = text_copy(stick->appliance, sizeof(stick->appliance), setup->appliance);
    if (r >= 0) {
        r = render_new(setup->journal, setup->format, &stick->render);
    }
    if (r < 0) {
        return r;
    }

    *ret = TAKE(stick);
    return 0;
}

void stick_close_fd(int *fd)
{
    if (*fd >= 0) {
        (void) close(take_fd(fd));  // what matters was synced
    }
}

void stick_forget(struct stick *stick)
{
    while (stick->file_count > 0) {
        stick_remove_file(stick, stick->file_count - 1);
    }
    cursor_clear(&stick->cursor);
    stick->loaded = stick->changed = false;
}

void stick_close(struct stick *stick)
{
    if (!stick) {
        return;
    }

    stick_forget(stick);
    stick_close_fd(&stick->folder_fd);
    render_free(stick->render);
    free(stick->files);
    free(stick->rows);
    free(stick);
}

void stick_closep(struct stick **stick)
{
    stick_close(*stick);
}

bool stick_journal_failed(const struct stick *stick)
{
    return stick->journal_failed;
}

bool stick_has_gap(const struct stick *stick)
{
    return stick->gap;
}

uint64_t stick_gap_after(const struct stick *stick)
{
    return stick->gap_after;
}

void stick_note_gap(struct stick *stick, uint64_t after)
{
    if (!stick->gap) {
        stick->gap = true;
        stick->gap_after = after;
    }
}

uint64_t stick_passed(const struct stick *stick)
{
    return stick->passed;
}

int stick_backlog(struct stick *stick, uint64_t *ret)
{
    return journal_backlog(stick->journal, MAX(stick->cursor.dated, stick->cursor.undated), ret);
}

int stick_of_journal(struct stick *stick, int r)
{
    if (r < 0) {
        stick->journal_failed = true;
    }

    return r;
}

/*
 * Remove a file whose rows stand in dated files by now, if it is ours alone; one that was named and of which nothing
 * was durable is, whatever it holds. Returns 1 if it is removed, 0 if it stays.
 */
static int remove_undated(struct stick *stick, struct stick_file *file)
{
    auto_text struct text next = {};
    struct stat status;
    int r;

    r = stick_file_check(file, stick->folder_fd);
    if (r < 0) {
        return r == -ENOENT ? 0 : r;
    }
    // Without a byte it is one that was being removed: the chain was gone already, and fsck made its size true.
    if (r == 0 && (fstatat(stick->folder_fd, file->at.name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
                   !S_ISREG(status.st_mode) || status.st_size > 0)) {
        return 0;
    }

    if (r == 1 && file->at.length > 0 && (uint64_t) file->seen.st_size > file->at.length) {
        r = stick_file_render_next(file, stick->render, stick->journal, &next);
        if (r < 0) {
            return r == -EBADMSG ? 0 : stick_of_journal(stick, r);
        }
        r = stick_file_is_tail_ours(file, stick->folder_fd, &next);
        if (r <= 0) {
            return r;
        }
    }

    return unlinkat(stick->folder_fd, file->at.name, 0) < 0 && errno != ENOENT ? -errno : 1;
}

/* Files of rows of unknown time that stand in dated files by now, or that never will. */
static int finish_undated(struct stick *stick)
{
    bool gone = false;
    int r;

    for (unsigned i = stick->file_count; i > 0; i--) {
        struct stick_file *file = stick->files[i - 1];
        int known;

        if (!file->at.undated || file->at.last > stick->cursor.dated) {
            continue;
        }

        known = render_boot_is_known(stick->render, file->at.boot);
        if (known < 0) {
            return stick_of_journal(stick, known);
        }
        r = known ? remove_undated(stick, file) : 0;
        if (r < 0) {
            return r;
        }
        gone |= r > 0;
        stick_remove_file(stick, i - 1);
        stick->changed = true;
    }

    // Gone for good before the cursor forgets them: what it does not name, nobody removes any more.
    r = gone ? stick_sync(stick) : 0;
    if (r < 0) {
        return r;
    }
    return stick->changed ? stick_save_cursor(stick) : 0;
}

static int look_for_gap(struct stick *stick)
{
    uint64_t first;
    int r;

    r = journal_first_seq(stick->journal, &first);
    if (r < 0) {
        return stick_of_journal(stick, r);
    }

    if (stick->cursor.dated > 0 && first > stick->cursor.dated + 1) {
        stick_note_gap(stick, stick->cursor.dated);
    }
    return 0;
}

/* They can be made anew at any time: the data and the cursor are durable by now, and nothing of this concerns them. */
static void write_pages(struct stick *stick)
{
    int r = pages_write(stick->pages, stick->folder_fd, clock_monotonic_ms());

    if (r < 0) {
        log_debug("the pages beside the data were not written (%s)", strerror(-r));
    }
}

static int burst(struct stick *stick)
{
    struct journal_row waiting;
    int more, r;

    r = stick_of_journal(stick, render_refresh(stick->render));
    if (r >= 0) {
        r = stick_open_folder(stick);
    }
    if (r >= 0) {
        r = look_for_gap(stick);
    }
    if (r < 0) {
        return r;
    }

    stick->next_dated = stick->cursor.dated;
    stick->next_undated = stick->cursor.undated;
    more = stick_take_dated(stick, &waiting);
    if (more == 2) {
        more = stick->format == CSV_METERSTICK ? stick_take_undated(stick, &waiting) : 0;
    }
    if (more < 0) {
        return more;
    }

    r = stick_write_batch(stick);
    if (r >= 0) {
        r = finish_undated(stick);
    }
    if (r >= 0 && more == 0 && stick->pages) {
        (void) malloc_trim(0);  // what the batches had: together with the pages' it was most of all memory
        write_pages(stick);
    }
    return r < 0 ? r : more;
}

int stick_burst(struct stick *stick, int root_fd, int device_fd)
{
    int r;

    stick->journal_failed = false;
    stick->root_fd = root_fd;
    stick->device_fd = device_fd;
    for (unsigned i = 0; i < stick->file_count; i++) {
        stick->files[i]->checked = stick->files[i]->touched = false;
        stick->files[i]->remounted = device_fd >= 0;
    }

    r = burst(stick);
    if (r < 0) {
        stick_forget(stick);  // the stick itself says where it is
        stick->pending_size = 0;
    }

    stick_close_fd(&stick->folder_fd);
    return r;
}
