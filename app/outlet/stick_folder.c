/* SPDX-License-Identifier: MIT */

/* The folder of an appliance on a stick: whose it is, and the cursor in it. */

#include "app/outlet/stick_private.h"

#include "app/outlet/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TOP_FOLDER  "kwhmeter"
#define FOLDERS_MAX 99  // journals that one stick has met under one name

void stick_remove_file(struct stick *stick, unsigned index)
{
    stick_file_clear(stick->files[index]);
    free(stick->files[index]);
    stick->files[index] = stick->files[--stick->file_count];
}

int stick_add_file(struct stick *stick, struct stick_file **ret)
{
    struct stick_file **grown = reallocarray(stick->files, stick->file_count + 1, sizeof(*grown));
    struct stick_file *file;

    if (!grown) {
        return -ENOMEM;
    }
    stick->files = grown;

    file = calloc(1, sizeof(*file));
    if (!file) {
        return -ENOMEM;
    }

    *ret = grown[stick->file_count++] = file;
    return 0;
}

int stick_save_cursor(struct stick *stick)
{
    auto_cursor struct cursor cursor = {
        .generation = stick->cursor.generation,
        .dated = stick->cursor.dated,
        .undated = stick->cursor.undated,
    };
    int r;

    memcpy(cursor.journal, stick->cursor.journal, sizeof(cursor.journal));
    for (unsigned i = 0; i < stick->file_count; i++) {
        struct cursor_file *file;

        r = cursor_add_file(&cursor, &file);
        if (r < 0) {
            return r;
        }
        *file = stick->files[i]->at;
    }

    r = cursor_save(stick->folder_fd, &cursor);
    if (r < 0) {
        return r;
    }

    stick->cursor.generation = cursor.generation;
    stick->changed = false;
    for (unsigned i = 0; i < stick->file_count; i++) {
        stick->files[i]->listed = true;
    }
    return 0;
}

/* Take over what the stick says of itself. */
static int adopt_cursor(struct stick *stick, const struct cursor *cursor)
{
    int r;

    stick_forget(stick);
    memcpy(stick->cursor.journal, cursor->journal, sizeof(cursor->journal));
    stick->cursor.generation = cursor->generation;
    stick->cursor.dated = cursor->dated;
    stick->cursor.undated = cursor->undated;
    for (unsigned i = 0; i < cursor->file_count; i++) {
        struct stick_file *file;

        r = stick_add_file(stick, &file);
        if (r < 0) {
            return r;
        }
        file->at = cursor->files[i];
        file->listed = true;
    }

    stick->loaded = true;
    return 0;
}

/* Whether a cursor is of this journal, and not of a time that the journal has lost: it was put back from a copy. */
static bool is_ours(const struct stick *stick, const struct cursor *cursor, uint64_t ceiling)
{
    return text_equal(cursor->journal, journal_id(stick->journal)) &&
           MAX(cursor->dated, cursor->undated) <= ceiling;
}

static void name_folder(const struct stick *stick, int number, char ret[static METER_ID_SIZE + 8])
{
    (void) snprintf(ret, METER_ID_SIZE + 8, number == 1 ? "%s" : "%s-%d", stick->appliance, number);
}

/*
 * The newest folder of our name that is ours, else the first that is nobody's, else a new one. Fills *ret if it has a
 * cursor; returns 1 then.
 */
static int find_folder(struct stick *stick, int top_fd, struct cursor *ret)
{
    auto_close int nobodys_fd = -1;
    char name[METER_ID_SIZE + 8];
    uint64_t ceiling = 0;
    int number, r;

    r = stick_of_journal(stick, journal_ceiling(stick->journal, &ceiling));
    if (r < 0) {
        return r;
    }

    for (number = 1; number <= FOLDERS_MAX; number++) {
        auto_cursor struct cursor cursor = {};
        auto_close int fd = -1;

        name_folder(stick, number, name);
        fd = tree_open(top_fd, name, O_RDONLY | O_DIRECTORY);
        if (fd == -ENOENT) {
            break;
        }
        if (fd == -ENOTDIR) {
            continue;  // a file by that name
        }
        if (fd < 0) {
            return fd;
        }

        r = cursor_load(fd, &cursor);
        if (r < 0 && r != -ENOENT && r != -EBADMSG) {
            return r;
        }
        if (r == 0 && is_ours(stick, &cursor, ceiling)) {
            stick_close_fd(&stick->folder_fd);
            stick->folder_fd = take_fd(&fd);
            cursor_clear(ret);
            *ret = cursor;
            cursor = (struct cursor){};
        } else if (r < 0 && nobodys_fd < 0) {
            nobodys_fd = take_fd(&fd);
        }
    }
    if (stick->folder_fd >= 0) {
        return 1;
    }
    if (nobodys_fd < 0) {
        nobodys_fd = number <= FOLDERS_MAX ? tree_open_directory(top_fd, name) : -EEXIST;
    }
    if (nobodys_fd < 0) {
        return nobodys_fd;
    }

    stick->folder_fd = take_fd(&nobodys_fd);
    return 0;
}

int stick_open_folder(struct stick *stick)
{
    auto_cursor struct cursor cursor = {};
    auto_close int top_fd = -1;
    struct stat status;
    int r;

    if (fstat(stick->root_fd, &status) < 0) {
        return -errno;
    }

    top_fd = tree_open_directory(stick->root_fd, TOP_FOLDER);
    if (top_fd < 0) {
        return top_fd;
    }

    r = find_folder(stick, top_fd, &cursor);
    if (r < 0) {
        return r;
    }

    // Another stick, or this one after somebody's hands: what we remember of it is worth nothing. A volume that was
    // mounted anew is the same by its device's number; were that another one, it would only be read once more.
    if (r > 0 && (!stick->loaded || status.st_dev != stick->device || status.st_ino != stick->inode ||
                  cursor.generation != stick->cursor.generation)) {
        r = adopt_cursor(stick, &cursor);
    } else if (r == 0) {
        stick_forget(stick);
        (void) snprintf(stick->cursor.journal, sizeof(stick->cursor.journal), "%s", journal_id(stick->journal));
        stick->loaded = true;
        r = stick_save_cursor(stick);  // from now on the folder is ours
    }
    if (r < 0) {
        return r;
    }

    stick->device = status.st_dev;
    stick->inode = status.st_ino;
    return 0;
}
