/* SPDX-License-Identifier: MIT */

/* Which file a row goes into: the one that grows, the next revision of one that is no longer ours, or a new one. */

#include "app/outlet/stick_private.h"

#include "app/outlet/tree.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define REVISIONS_MAX 9999
#define PENDING_MIN   (size_t) 1024
#define PENDING_MAX   (size_t) 16384

/* Whether there is a file of that name: 1 and *ret_fd open, 0 if what is there is no file, -ENOENT. */
static int open_existing(struct stick *stick, const char *name, int *ret_fd)
{
    auto_close int fd = tree_open(stick->folder_fd, name, O_RDONLY);
    struct stat status;

    if (fd < 0) {
        return fd == -ELOOP || fd == -ENXIO ? 0 : fd;
    }
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode)) {
        return 0;
    }

    *ret_fd = take_fd(&fd);
    return 1;
}

/* A new file for a place, the revision free on the stick. */
static int begin_file(struct stick *stick, const struct place *place, unsigned revision, struct stick_file **ret)
{
    char name[CURSOR_NAME_SIZE];
    struct stick_file *file;
    int r;

    for (;; revision++) {
        auto_close int fd = -1;

        stick_file_name(place, revision, name);
        r = open_existing(stick, name, &fd);
        if (r == -ENOENT) {
            break;
        }
        if (r < 0) {
            return r;
        }
        if (revision == REVISIONS_MAX) {
            return -EEXIST;
        }
    }

    r = stick_add_file(stick, &file);
    if (r < 0) {
        return r;
    }

    memcpy(file->at.name, name, sizeof(file->at.name));
    file->at.meter = place->meter;
    file->at.boot = place->boot;
    file->at.undated = place->undated;
    file->checked = true;
    *ret = file;
    return 0;
}

/*
 * The newest revision of a file on the stick, *ret_fd (-1: none, or no file), and the first number that is free. The
 * seqs of all before it go to `held`.
 */
static int find_newest(struct stick *stick, const struct place *place, struct stick_file *held, int *ret_fd,
                       unsigned *ret_free)
{
    auto_close int newest_fd = -1;
    int r;

    for (unsigned revision = 0; revision <= REVISIONS_MAX; revision++) {
        char name[CURSOR_NAME_SIZE];
        int fd = -1;

        stick_file_name(place, revision, name);
        r = open_existing(stick, name, &fd);
        if (r == -ENOENT) {
            *ret_free = revision;
            *ret_fd = take_fd(&newest_fd);
            return 0;
        }
        if (r >= 0 && newest_fd >= 0 && render_has_seq(stick->render)) {
            r = stick_file_hold(held, newest_fd);
        }
        stick_close_fd(&newest_fd);
        newest_fd = fd;
        if (r < 0) {
            return r;
        }
    }

    return -EEXIST;
}

/* A file that the cursor does not name: none, or one from before, perhaps of a lost cursor. */
static int meet_file(struct stick *stick, const struct place *place, const struct journal_row *row,
                     struct stick_file **ret)
{
    auto_close int newest_fd = -1;
    struct stick_file held = {};
    struct stick_file *file;
    unsigned revision;
    int r;

    r = find_newest(stick, place, &held, &newest_fd, &revision);
    if (r >= 0) {
        r = begin_file(stick, place, revision, &file);
    }
    if (r >= 0 && newest_fd >= 0) {
        r = stick_file_prove(file, stick->render, stick->journal, place, row, newest_fd);
        if (r > 0) {
            stick_file_name(place, revision - 1, file->at.name);
        } else if (r == 0 && render_has_seq(stick->render)) {
            r = stick_file_hold(&held, newest_fd);
        }
    }
    if (r < 0) {
        stick_file_clear(&held);
        return r;
    }

    file->held = held.held;
    file->held_count = held.held_count;
    *ret = file;
    return 0;
}

/*
 * A person edited, shortened or removed it: the rows it no longer provably holds go into the next revision, or all of
 * them into one of the same name if it is gone. The new file is the last of the list.
 */
static int replace_file(struct stick *stick, unsigned index, const struct place *place)
{
    auto_close int old_fd = -1;
    struct cursor_file was = stick->files[index]->at;
    struct stick_file *file;
    struct place old_place = *place;
    unsigned revision = stick_file_revision(was.name);
    const char *name;
    int r;

    r = open_existing(stick, was.name, &old_fd);
    if (r < 0 && r != -ENOENT) {
        return r;
    }

    // An energy-scribe log keeps the name of its first row.
    (void) snprintf(old_place.base, sizeof(old_place.base), "%.*s",
                    (int) (strlen(was.name) - strlen(".csv") - (revision ? strlen(strrchr(was.name, '-')) - 4 : 0)),
                    was.name);
    r = render_meter_name(stick->render, was.meter, &name);
    if (r < 0 && r != -EBADMSG) {
        return stick_of_journal(stick, r);
    }
    old_place.meter = r < 0 ? place->meter : was.meter;  // one whose segment was damaged is not known any more
    stick_remove_file(stick, index);
    stick->changed = true;

    r = begin_file(stick, &old_place, revision, &file);
    if (r < 0) {
        return r;
    }
    if (old_fd >= 0 && render_has_seq(stick->render)) {
        r = stick_file_hold(file, old_fd);
        if (r < 0) {
            return r;
        }
    }

    r = stick_file_add_again(file, stick->render, stick->journal, &old_place, &was, old_fd);
    if (r < 0) {
        return stick_of_journal(stick, r);
    }

    stick->pending_size += file->pending.size;
    return 0;
}

/*
 * Whether there is one for that place, the newest revision of it. Most often it is the next, since rows come slice by
 * slice in the order of the meters; only of rows of unknown time several revisions are listed.
 */
static bool look_for_file(struct stick *stick, const struct place *place, unsigned *ret_index)
{
    unsigned first = stick->found_file + 1, newest = 0;
    bool found = false;

    for (unsigned i = 0; i < stick->file_count && !(found && !place->undated); i++) {
        unsigned index = (first + i) % stick->file_count;
        unsigned revision = stick_file_revision(stick->files[index]->at.name);

        if (stick_file_is_for(stick->files[index], place) && (!found || revision > newest)) {
            *ret_index = stick->found_file = index;
            newest = revision;
            found = true;
        }
    }

    return found;
}

/* The file that a row of that place goes into. */
static int find_file(struct stick *stick, const struct place *place, const struct journal_row *row,
                     struct stick_file **ret)
{
    unsigned index = 0;
    int r;

    if (!look_for_file(stick, place, &index)) {
        return meet_file(stick, place, row, ret);
    }

    if (!stick->files[index]->checked) {
        r = stick_file_check(stick->files[index], stick->folder_fd);
        if (r == 0 || (r == -ENOENT && stick->files[index]->at.length > 0)) {
            r = replace_file(stick, index, place);
            index = stick->file_count - 1;
        }
        if (r < 0 && r != -ENOENT) {
            return r;
        }
        stick->files[index]->checked = true;
    }

    r = render_same_header(stick->render, stick->files[index]->at.meter, place->meter);
    if (r < 0 && r != -EBADMSG) {
        return stick_of_journal(stick, r);
    }
    r = MAX(r, 0);  // columns that nobody knows any more are others
    if (r == 0 && stick->files[index]->pending.size == 0) {
        // Other columns: the old file is done with, until those of unknown time are removed, all revisions.
        unsigned revision = stick_file_revision(stick->files[index]->at.name);

        if (!place->undated) {
            stick_remove_file(stick, index);
        }
        stick->changed = true;
        return begin_file(stick, place, revision + 1, ret);
    }
    if (r == 0) {
        return -EAGAIN;  // what is pending for the old columns goes first
    }

    *ret = stick->files[index];
    return 0;
}

int stick_add_row(struct stick *stick, const struct place *place, const struct journal_row *row)
{
    struct stick_file *file = NULL;
    size_t before;
    int r;

    r = find_file(stick, place, row, &file);
    if (r < 0) {
        return r;
    }
    assert(file);

    // All files of a batch grow side by side: what each had before it grew would lie about as holes.
    if (file->pending.capacity == 0) {
        text_reserve(&file->pending,
                     MAX(PENDING_MIN, MIN(PENDING_MAX, STICK_BATCH_BYTES / MAX(stick->written_files, (size_t) 1))));
    }

    before = file->pending.size;
    r = stick_file_add(file, stick->render, place, row);
    if (r < 0) {
        return stick_of_journal(stick, r);
    }

    stick->pending_size += file->pending.size - before;
    return 0;
}
