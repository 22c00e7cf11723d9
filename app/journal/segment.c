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

static const char *const log_endings[] = { "-wal", "-shm", "-journal" };

const char *segment_name(uint64_t first, const char *ending, char buffer[static SEGMENT_NAME_SIZE])
{
    (void) snprintf(buffer, SEGMENT_NAME_SIZE, "%0*" PRIu64 "%s", SEGMENT_DIGITS, first, ending);
    return buffer;
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

static int segments_add(struct segments *segments, uint64_t first)
{
    if (segments->count == segments->capacity) {
        size_t capacity = MAX((size_t) 16, segments->capacity * 2);
        uint64_t *grown = reallocarray(segments->first, capacity, sizeof(*grown));

        if (!grown) {
            return -ENOMEM;
        }
        segments->first = grown;
        segments->capacity = capacity;
    }

    segments->first[segments->count++] = first;
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

    segments->count = 0;
    segments->highest = 0;
    while (errno = 0, (entry = readdir(stream))) {
        const char *ending;
        uint64_t first;

        if (segment_parse(entry->d_name, &first, &ending) < 0) {
            continue;
        }
        segments->highest = MAX(segments->highest, first);
        if (!text_equal(ending, ".db")) {
            continue;
        }

        r = segments_add(segments, first);
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
    return 0;
}

void segments_clear(struct segments *segments)
{
    free(segments->first);
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

    (void) snprintf(rollback, sizeof(rollback), "%s-journal", path);
    *ret = header[18] == 2 || access(rollback, F_OK) == 0;
    return 0;
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

static bool has_segment(const char *directory, uint64_t first)
{
    char path[PATH_SIZE], name[SEGMENT_NAME_SIZE];

    return file_path(path, sizeof(path), directory, segment_name(first, ".db", name)) == 0 &&
           access(path, F_OK) == 0;
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
        if (text_starts(ending, ".new") || (text_starts(ending, ".db-") && !has_segment(directory, first))) {
            remove_file(directory, entry->d_name);
        }
    }
}

int segment_remove(const char *directory, uint64_t first)
{
    char path[PATH_SIZE], name[SEGMENT_NAME_SIZE], ending[16];
    int r;

    r = file_path(path, sizeof(path), directory, segment_name(first, ".db", name));
    if (r < 0) {
        return r;
    }

    // The file first: a log without its segment is a leftover, a segment without its log has lost rows.
    if (unlink(path) < 0 && errno != ENOENT) {
        return -errno;
    }

    for (size_t i = 0; i < ARRAY_SIZE(log_endings); i++) {
        (void) snprintf(ending, sizeof(ending), ".db%s", log_endings[i]);
        remove_file(directory, segment_name(first, ending, name));
    }
    return 0;
}
