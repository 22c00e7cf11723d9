/* SPDX-License-Identifier: MIT */

/* Whole segments of the other place: the oldest that has no room, those that are copied, those that are kept. */

#include "app/journal/journal_copy.h"

#include "app/base/file.h"
#include "app/journal/journal_private.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* How many rows a segment has. */
static int count_rows(struct journal *journal, uint64_t first, int64_t *ret)
{
    auto_database struct database *database = NULL;
    int r;

    r = journal_database(journal, first, DATABASE_READ, &database);
    return r < 0 ? r : database_number(database, "SELECT count(*) FROM sample", ret);
}

int journal_drop(struct journal *journal, uint64_t bytes_max)
{
    struct segments *segments = &journal->reader.segments;
    uint64_t bytes = 0;
    int64_t rows = 0;
    size_t keep;
    int r;

    r = segments_read(segments, journal->directory);
    if (r < 0) {
        return r;
    }
    for (keep = segments->count; keep > 0; keep--) {
        char path[PATH_SIZE];
        struct stat status;

        if (journal_path(journal, segments->first[keep - 1], ".db", path) == 0 && stat(path, &status) == 0) {
            bytes += (uint64_t) status.st_size;
        }
        if (bytes > bytes_max && keep < segments->count) {
            break;
        }
    }

    for (size_t i = 0; i < keep; i++) {
        int64_t count = 0;

        (void) !count_rows(journal, segments->first[i], &count);  // one that cannot be read has none that count
        r = segment_remove(journal->directory, segments->first[i], ".db");
        if (r < 0) {
            return r;
        }
        rows += count;
    }
    return (int) rows;
}

void journal_remove_all(const char *directory)
{
    auto_segments struct segments segments = {};
    char path[PATH_SIZE];

    if (segments_read(&segments, directory) < 0) {
        return;
    }
    for (size_t i = 0; i < segments.count; i++) {
        (void) !segment_remove(directory, segments.first[i], ".db");  // what stays is known by its seqs
    }
    if (file_path(path, sizeof(path), directory, "id") == 0) {
        (void) unlink(path);
    }
}

/* One file: without its log. */
static int seal(const char *path)
{
    auto_database struct database *database = NULL;
    int r;

    r = database_open(path, DATABASE_WRITE, &database);
    return r < 0 ? r : database_seal(database);
}

static int move_segment(const char *directory, const char *to, uint64_t first)
{
    char from_path[PATH_SIZE], new_path[PATH_SIZE], path[PATH_SIZE], name[SEGMENT_NAME_SIZE];
    int r;

    r = file_path(from_path, sizeof(from_path), directory, segment_name(first, ".db", name));
    r = r < 0 ? r : file_path(path, sizeof(path), to, name);
    r = r < 0 ? r : file_path(new_path, sizeof(new_path), to, segment_name(first, ".new", name));
    if (r < 0) {
        return r;
    }

    r = seal(from_path);
    if (r < 0 && r != -EBADMSG) {
        return r;  // a damaged one is moved all the same
    }
    r = file_copy(from_path, new_path, 0640);
    if (r < 0) {
        return r;
    }

    if (rename(new_path, path) < 0) {
        return -errno;
    }
    r = file_sync_directory(to);
    return r < 0 ? r : segment_remove(directory, first, ".db");
}

int journal_move_oldest(const char *directory, const char *to)
{
    auto_segments struct segments segments = {};
    char id[JOURNAL_ID_SIZE];
    int r;

    r = segments_read(&segments, directory);
    if (r < 0 || segments.count == 0) {
        return r == -ENOENT ? 0 : r;
    }
    r = journal_directory_id(directory, id);
    r = r < 0 ? r : file_make_directories(to, 0750);
    r = r < 0 ? r : journal_write_id(to, id);
    r = r < 0 ? r : move_segment(directory, to, segments.first[0]);
    return r < 0 ? r : 1;
}
