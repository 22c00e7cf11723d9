/* SPDX-License-Identifier: MIT */

/*
 * SQLite file format, section 4, and walformat.html for the index:
 *
 *   header  magic, version, page size, checkpoint number, two salts, two sums
 *   frame   page number, size of the database if it is a commit's last or else 0, the salts again, two sums; the page
 *
 * The sums go on from frame to frame. A log that was folded into its file begins anew with other salts, over the old
 * frames. The index (-shm) is no part of the file format, but says how many frames were committed and folded: it is
 * written after the log was synced, and believed only if its salts are the log's.
 */

#include "app/journal/segment_log.h"

#include "app/base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_SIZE       32
#define HEADER_SUMMED     24
#define HEADER_SALTS      16
#define FRAME_SIZE        24           // without the page
#define FRAME_SUMMED      8
#define FRAME_SALTS       8
#define SALTS_SIZE        8
#define MAGIC             0x377f0682u  // plus 1: sums count in big-endian words
#define VERSION           3007000u
#define PAGE_SIZE_MAX     65536u
#define INDEX_SIZE        100          // two equal headers, and how much was folded
#define INDEX_HEADER_SIZE 48
#define INDEX_SUMMED      40

struct sums {
    uint32_t a, b;
};

/* What a log has. */
struct frames {
    uint32_t found;   // up to the last commit that SQLite will find
    uint32_t behind;  // commits behind the first frame that is not sound
};

static uint32_t word_at(const unsigned char *bytes, bool big_endian)
{
    return big_endian ? (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 | (uint32_t) bytes[2] << 8 | bytes[3]
                      : (uint32_t) bytes[3] << 24 | (uint32_t) bytes[2] << 16 | (uint32_t) bytes[1] << 8 | bytes[0];
}

static struct sums add_up(struct sums sums, const unsigned char *bytes, size_t size, bool big_endian)
{
    for (size_t i = 0; i < size; i += 8) {
        sums.a += word_at(bytes + i, big_endian) + sums.b;
        sums.b += word_at(bytes + i + 4, big_endian) + sums.a;
    }
    return sums;
}

static struct sums sums_at(const unsigned char *bytes, bool big_endian)
{
    return (struct sums){ word_at(bytes, big_endian), word_at(bytes + 4, big_endian) };
}

static bool equal(struct sums x, struct sums y)
{
    return x.a == y.a && x.b == y.b;
}

static bool is_header(const unsigned char header[static HEADER_SIZE])
{
    const uint32_t magic = word_at(header, true), page_size = word_at(header + 8, true);

    return (magic & ~1u) == MAGIC && word_at(header + 4, true) == VERSION && page_size >= 512
           && page_size <= PAGE_SIZE_MAX && (page_size & (page_size - 1)) == 0
           && equal(add_up((struct sums){}, header, HEADER_SUMMED, magic & 1), sums_at(header + HEADER_SUMMED, true));
}

static void close_file(FILE **file)
{
    if (*file) {
        (void) fclose(*file);
    }
}

/* Frame by frame from the end of the header on. Errors: -EIO, -ENOMEM */
static int read_frames(FILE *log, const unsigned char header[static HEADER_SIZE], struct frames *ret)
{
    const bool big_endian = word_at(header, true) & 1;
    const size_t page_size = word_at(header + 8, true);
    auto_free unsigned char *frame = malloc(FRAME_SIZE + page_size);
    struct sums sums = sums_at(header + HEADER_SUMMED, true);
    bool sound = true;
    uint32_t count = 0;

    if (!frame) {
        return -ENOMEM;
    }
    *ret = (struct frames){};
    while (fread(frame, FRAME_SIZE + page_size, 1, log) == 1) {
        const bool is_ours = memcmp(frame + FRAME_SALTS, header + HEADER_SALTS, SALTS_SIZE) == 0;
        const bool is_commit = word_at(frame + 4, true) != 0;

        count++;
        sums = add_up(sums, frame, FRAME_SUMMED, big_endian);
        sums = add_up(sums, frame + FRAME_SIZE, page_size, big_endian);
        sound = sound && is_ours && word_at(frame, true) != 0 && equal(sums, sums_at(frame + 16, true));
        if (sound && is_commit) {
            ret->found = count;
        }
        ret->behind += !sound && is_ours && is_commit;
    }
    return ferror(log) ? -EIO : 0;
}

/* How many frames the index says were committed, and folded. False: there is none, or of another log. */
static bool read_index(const char *path, const unsigned char salts[static SALTS_SIZE], uint32_t *ret_committed,
                       uint32_t *ret_folded)
{
    static const unsigned char none[SALTS_SIZE];
    const bool big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    unsigned char index[INDEX_SIZE];
    char index_path[PATH_SIZE + 16];
    auto_close int fd = -1;

    (void) snprintf(index_path, sizeof(index_path), "%s-shm", path);
    fd = open(index_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || pread(fd, index, sizeof(index), 0) != INDEX_SIZE
        || memcmp(index, index + INDEX_HEADER_SIZE, INDEX_HEADER_SIZE) != 0 || word_at(index, big_endian) != VERSION
        || !equal(add_up((struct sums){}, index, INDEX_SUMMED, big_endian), sums_at(index + INDEX_SUMMED, big_endian))
        || (memcmp(salts, none, SALTS_SIZE) != 0 && memcmp(index + 32, salts, SALTS_SIZE) != 0)) {
        return false;
    }
    *ret_committed = word_at(index + 16, big_endian);
    *ret_folded = word_at(index + 2 * INDEX_HEADER_SIZE, big_endian);
    return true;
}

/* Without a header nothing is in it, unless frames are: the header is synced before the first. */
static int look_at_empty(const char *path, FILE *log, enum segment_log *ret)
{
    static const unsigned char no_salts[SALTS_SIZE];
    unsigned char bytes[4096];
    uint32_t committed, folded;
    size_t size;

    while ((size = fread(bytes, 1, sizeof(bytes), log)) > 0) {
        for (size_t i = 0; i < size; i++) {
            if (bytes[i]) {
                *ret = SEGMENT_LOG_NONSENSE;
                return 0;
            }
        }
    }
    if (ferror(log)) {
        return -EIO;
    }
    // after a power cut the index may be older than the log
    *ret = read_index(path, no_salts, &committed, &folded) && committed > folded ? SEGMENT_LOG_TORN : SEGMENT_LOG_EMPTY;
    return 0;
}

static int look_at_frames(const char *path, FILE *log, const unsigned char header[static HEADER_SIZE],
                          enum segment_log *ret)
{
    uint32_t committed = 0, folded = 0;
    struct frames frames;
    int r;

    r = read_frames(log, header, &frames);
    if (r < 0) {
        return r;
    }
    if (!read_index(path, header + HEADER_SALTS, &committed, &folded)) {
        committed = folded = 0;
    }
    *ret = folded > frames.found                                ? SEGMENT_LOG_NONSENSE
           : committed > frames.found || frames.behind > 1      ? SEGMENT_LOG_BROKEN
           : frames.behind == 1                                 ? SEGMENT_LOG_TORN
                                                                : SEGMENT_LOG_SOUND;
    return 0;
}

int segment_log(const char *path, enum segment_log *ret)
{
    static const unsigned char zeroes[HEADER_SIZE];
    CLEANUP(close_file) FILE *log = NULL;
    unsigned char header[HEADER_SIZE] = { 0 };
    char log_path[PATH_SIZE + 16];
    size_t size;

    (void) snprintf(log_path, sizeof(log_path), "%s-wal", path);
    log = fopen(log_path, "re");
    if (!log && errno == ENOENT) {
        *ret = SEGMENT_LOG_MISSING;
        return 0;
    }
    if (!log) {
        return -errno;
    }

    errno = 0;
    size = fread(header, 1, sizeof(header), log);
    if (ferror(log) && errno == EISDIR) {
        *ret = SEGMENT_LOG_NONSENSE;
        return 0;
    }
    if (ferror(log)) {
        return errno ? -errno : -EIO;
    }
    if (size < sizeof(header) || memcmp(header, zeroes, sizeof(header)) == 0) {
        return look_at_empty(path, log, ret);
    }
    if (!is_header(header)) {
        *ret = SEGMENT_LOG_NONSENSE;
        return 0;
    }
    return look_at_frames(path, log, header, ret);
}

bool segment_log_is_bare(const char *path)
{
    char log_path[PATH_SIZE + 16];
    struct stat status;

    (void) snprintf(log_path, sizeof(log_path), "%s-wal", path);
    return stat(log_path, &status) == 0 && status.st_size == HEADER_SIZE;
}
