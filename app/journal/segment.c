/* SPDX-License-Identifier: MIT */

#include "app/journal/segment.h"

#include "app/base/file.h"
#include "app/base/limits.h"
#include "app/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *const log_endings[] = { "-wal", "-shm", "-journal", "-wal.bad" };

const char *segment_name(uint64_t first, const char *ending, char buffer[static SEGMENT_NAME_SIZE])
{
    (void) snprintf(buffer, SEGMENT_NAME_SIZE, "%0*" PRIu64 "%s", SEGMENT_DIGITS, first, ending);
    return buffer;
}

int segment_file(const char *directory, uint64_t first, char ret[static PATH_SIZE])
{
    char name[SEGMENT_NAME_SIZE];

    return file_path(ret, PATH_SIZE, directory, segment_name(first, ".db", name));
}

int segment_parse(const char *name, uint64_t *ret_first, const char **ret_ending)
{
    uint64_t first = 0;

    for (size_t i = 0; i < SEGMENT_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9') {
            return -EINVAL;
        }
        first = first * 10 + (uint64_t) (name[i] - '0');
    }
    if (name[SEGMENT_DIGITS] != '.' || first == 0) {
        return -EINVAL;
    }

    *ret_first = first;
    *ret_ending = name + SEGMENT_DIGITS;
    return 0;
}

uint64_t segment_next_boot(uint64_t highest)
{
    return highest == 0 ? 1 : (highest / SEGMENT_BOOT_ROWS + 1) * SEGMENT_BOOT_ROWS;
}

static int add_number(uint64_t **numbers, size_t *count, size_t *capacity, uint64_t number)
{
    if (*count == *capacity) {
        size_t more = MAX((size_t) 16, *capacity * 2);
        uint64_t *grown = reallocarray(*numbers, more, sizeof(*grown));

        if (!grown) {
            return -ENOMEM;
        }
        *numbers = grown;
        *capacity = more;
    }

    (*numbers)[(*count)++] = number;
    return 0;
}

static int add_name(struct segments *segments, const char *name)
{
    const char *ending;
    uint64_t first;

    if (segment_parse(name, &first, &ending) < 0) {
        return 0;
    }

    segments->highest = MAX(segments->highest, first);
    if (text_equal(ending, ".db")) {
        return add_number(&segments->first, &segments->count, &segments->capacity, first);
    }
    if (text_equal(ending, ".db.bad")) {
        return add_number(&segments->bad, &segments->bad_count, &segments->bad_capacity, first);
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return (x > y) - (x < y);
}

static void close_directory(DIR **directory)
{
    if (*directory) {
        (void) closedir(*directory);
    }
}

int segments_read(struct segments *segments, const char *directory)
{
    CLEANUP(close_directory) DIR *stream = opendir(directory);
    const struct dirent *entry;
    int r;

    if (!stream) {
        return -errno;
    }

    segments->count = segments->bad_count = 0;
    segments->highest = 0;
    while (errno = 0, (entry = readdir(stream))) {
        r = add_name(segments, entry->d_name);
        if (r < 0) {
            return r;
        }
    }
    if (errno != 0) {
        return -errno;
    }

    if (segments->count > 0) {
        qsort(segments->first, segments->count, sizeof(*segments->first), compare);
    }
    if (segments->bad_count > 0) {
        qsort(segments->bad, segments->bad_count, sizeof(*segments->bad), compare);
    }
    return 0;
}

void segments_clear(struct segments *segments)
{
    free(segments->first);
    free(segments->bad);
    *segments = (struct segments){};
}

size_t segments_find(const struct segments *segments, uint64_t seq)
{
    size_t low = 0, high = segments->count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (segments->first[middle] <= seq) {
            low = middle;
        } else {
            high = middle;
        }
    }

    return low;
}

#define HEADER_SIZE 100

/* SQLite file format, section 1.3: the header. */
static int read_header(const char *path, unsigned char ret[static HEADER_SIZE])
{
    static const char magic[] = "SQLite format 3";  // its NUL included
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0) {
        return -errno;
    }

    n = pread(fd, ret, HEADER_SIZE, 0);
    if (n < 0) {
        return errno == EISDIR ? -EBADMSG : -errno;
    }

    return n < HEADER_SIZE || memcmp(ret, magic, sizeof(magic)) != 0 ? -EBADMSG : 0;
}

/* Whether there is such a file. What cannot be looked at is not said to be missing: a file would be removed for it. */
static int look_for(const char *path, bool *ret)
{
    *ret = access(path, F_OK) == 0;
    return *ret || errno == ENOENT ? 0 : -errno;
}

/* Byte 18 is the file format write version, 2 = WAL. A rollback journal beside it is of a writer that was killed. */
int segment_is_open(const char *path, bool *ret)
{
    unsigned char header[HEADER_SIZE] = { 0 };
    char rollback[PATH_SIZE + 16];
    int r;

    r = read_header(path, header);
    if (r < 0) {
        return r;
    }

    if (header[18] == 2) {
        *ret = true;
        return 0;
    }
    (void) snprintf(rollback, sizeof(rollback), "%s-journal", path);
    return look_for(rollback, ret);
}

/* Bytes 60 to 63, the most significant first. */
int segment_version(const char *path, uint32_t *ret)
{
    unsigned char header[HEADER_SIZE] = { 0 };
    int r;

    r = read_header(path, header);
    if (r < 0) {
        return r;
    }

    *ret = (uint32_t) header[60] << 24 | (uint32_t) header[61] << 16 | (uint32_t) header[62] << 8 | header[63];
    return 0;
}

static void remove_file(const char *directory, const char *name)
{
    char path[PATH_SIZE];

    if (file_path(path, sizeof(path), directory, name) == 0) {
        (void) unlink(path);  // what stays is removed at the next start
    }
}

static int has_file(const char *directory, uint64_t first, const char *ending, bool *ret)
{
    char path[PATH_SIZE], name[SEGMENT_NAME_SIZE];
    int r;

    r = file_path(path, sizeof(path), directory, segment_name(first, ending, name));
    return r < 0 ? r : look_for(path, ret);
}

static int rename_file(const char *directory, uint64_t first, const char *ending, const char *new_ending)
{
    char path[PATH_SIZE], new_path[PATH_SIZE], name[SEGMENT_NAME_SIZE];
    int r;

    r = file_path(path, sizeof(path), directory, segment_name(first, ending, name));
    if (r >= 0) {
        r = file_path(new_path, sizeof(new_path), directory, segment_name(first, new_ending, name));
    }
    if (r < 0) {
        return r;
    }

    return rename(path, new_path) < 0 ? -errno : 0;
}

/* A log and its segment are one: alone it is a leftover. Where that cannot be seen, it stays as it is. */
static void follow_segment(const char *directory, uint64_t first, const char *name)
{
    bool whole, bad;
    char ending[16];

    if (has_file(directory, first, ".db", &whole) < 0 || whole || has_file(directory, first, ".db.bad", &bad) < 0) {
        return;
    }
    if (!bad) {
        remove_file(directory, name);
        return;
    }

    (void) snprintf(ending, sizeof(ending), ".db.bad%s", name + SEGMENT_DIGITS + strlen(".db"));
    (void) rename_file(directory, first, name + SEGMENT_DIGITS, ending);  // or at the next start
}

void segment_remove_leftovers(const char *directory)
{
    CLEANUP(close_directory) DIR *stream = opendir(directory);
    const struct dirent *entry;

    while (stream && (entry = readdir(stream))) {
        const char *ending;
        uint64_t first;

        if (segment_parse(entry->d_name, &first, &ending) < 0) {
            continue;
        }
        if (text_starts(ending, ".new")) {
            remove_file(directory, entry->d_name);
        } else if (text_starts(ending, ".db-") && strlen(ending) <= strlen(".db-journal")) {
            follow_segment(directory, first, entry->d_name);
        }
    }
}

int segment_remove(const char *directory, uint64_t first, const char *ending)
{
    char path[PATH_SIZE], name[SEGMENT_NAME_SIZE], log_ending[24];
    int r;

    r = file_path(path, sizeof(path), directory, segment_name(first, ending, name));
    if (r < 0) {
        return r;
    }

    // The file first: a log without its segment is a leftover, a segment without its log has lost rows.
    if (unlink(path) < 0 && errno != ENOENT && !(errno == EISDIR && rmdir(path) == 0)) {
        return -errno;
    }

    for (size_t i = 0; i < ARRAY_SIZE(log_endings); i++) {
        (void) snprintf(log_ending, sizeof(log_ending), "%s%s", ending, log_endings[i]);
        remove_file(directory, segment_name(first, log_ending, name));
    }
    return 0;
}

#define LOG_ASIDE ".db-wal.bad"

int segment_set_log_aside(const char *directory, uint64_t first)
{
    int r;

    r = rename_file(directory, first, ".db-wal", LOG_ASIDE);
    return r < 0 ? r : file_sync_directory(directory);
}

int segment_copy_log_aside(const char *directory, uint64_t first)
{
    char path[PATH_SIZE], new_path[PATH_SIZE], name[SEGMENT_NAME_SIZE];
    int r;

    r = file_path(path, sizeof(path), directory, segment_name(first, ".db-wal", name));
    r = r < 0 ? r : file_path(new_path, sizeof(new_path), directory, segment_name(first, ".new-wal", name));
    r = r < 0 ? r : file_copy(path, new_path, 0640);
    if (r == -ENOSPC && truncate(new_path, 0) == 0) {
        r = 0;  // that it is there is what counts
    }
    r = r < 0 ? r : rename_file(directory, first, ".new-wal", LOG_ASIDE);
    return r < 0 ? r : file_sync_directory(directory);
}

int segment_has_log_aside(const char *directory, uint64_t first, bool *ret)
{
    return has_file(directory, first, LOG_ASIDE, ret);
}

/* The file first: should that be all that happens, its logs follow at the next start. */
int segment_set_aside(const char *directory, uint64_t first)
{
    char ending[16], bad_ending[24];
    int r;

    r = rename_file(directory, first, ".db", ".db.bad");
    if (r < 0) {
        return r;
    }

    for (size_t i = 0; i < ARRAY_SIZE(log_endings); i++) {
        (void) snprintf(ending, sizeof(ending), ".db%s", log_endings[i]);
        (void) snprintf(bad_ending, sizeof(bad_ending), ".db.bad%s", log_endings[i]);
        r = rename_file(directory, first, ending, bad_ending);
        if (r < 0 && r != -ENOENT) {
            return r;
        }
    }
    return file_sync_directory(directory);
}
