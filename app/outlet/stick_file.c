/* SPDX-License-Identifier: MIT */

#include "app/outlet/stick_file.h"

#include "app/base/text.h"
#include "app/outlet/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_SIZE 16384

void stick_file_clear(struct stick_file *file)
{
    text_clear(&file->pending);
    free(file->held);
    *file = (struct stick_file){};
}

void stick_file_drop(struct stick_file *file)
{
    text_clear(&file->pending);
    file->pending_first = file->pending_last = 0;
}

/* Digits after "-r" at the end of the name; a day's own "-20" is none. */
unsigned stick_file_revision(const char *name)
{
    const char *mark = strrchr(name, '-');
    unsigned revision = 0;

    if (!mark || mark[1] != 'r') {
        return 0;
    }
    for (mark += 2; *mark >= '0' && *mark <= '9'; mark++) {
        revision = revision * 10 + (unsigned) (*mark - '0');
    }
    return text_equal(mark, ".csv") ? revision : 0;
}

void stick_file_name(const struct place *place, unsigned revision, char ret[static CURSOR_NAME_SIZE])
{
    char mark[16] = "";

    if (revision > 0) {
        (void) snprintf(mark, sizeof(mark), "-r%u", revision);
    }
    (void) snprintf(ret, CURSOR_NAME_SIZE, "%.*s%s.csv", CURSOR_NAME_SIZE - 20, place->base, mark);
}

bool stick_file_is_for(const struct stick_file *file, const struct place *place)
{
    char after = file->at.name[strnlen(file->at.name, place->prefix)];

    return file->at.undated == place->undated && file->at.boot == place->boot &&
           strncmp(file->at.name, place->base, place->prefix) == 0 && (after == '.' || after == '-');
}

static int crc_of(int fd, uint64_t length, uint32_t *ret)
{
    char chunk[CHUNK_SIZE];
    uint32_t crc = 0;
    int r;

    for (uint64_t done = 0; done < length;) {
        size_t size = (size_t) MIN(length - done, (uint64_t) sizeof(chunk));

        r = tree_read(fd, done, chunk, size);
        if (r < 0) {
            return r;
        }
        crc = cursor_crc(crc, chunk, size);
        done += size;
    }

    *ret = crc;
    return 0;
}

/*
 * FAT and exFAT number their inodes anew at each mount, and keep no change time. Between two mounts that leaves size
 * and modification time; whoever pulls the stick makes us begin anew, and read it.
 */
static bool is_unchanged(const struct stat *a, const struct stat *b, bool remounted)
{
    if (remounted) {
        return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
               a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
    }

    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

int stick_file_check(struct stick_file *file, int folder_fd)
{
    auto_close int fd = tree_open(folder_fd, file->at.name, O_RDONLY);
    struct stat status;
    uint32_t crc;
    int r;

    if (fd < 0) {
        // A link or a device by that name is not ours: it is passed as a changed file is.
        return fd == -ELOOP || fd == -ENXIO ? 0 : fd;
    }
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode) || (uint64_t) status.st_size < file->at.length) {
        return 0;
    }

    if (!is_unchanged(&status, &file->seen, file->remounted)) {
        r = crc_of(fd, file->at.length, &crc);
        if (r < 0) {
            return r;
        }
        if (crc != file->at.crc) {
            return 0;
        }
        file->seen = status;
    }

    return 1;
}

static bool is_held(const struct stick_file *file, uint64_t seq)
{
    size_t low = 0, high = file->held_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (file->held[middle] == seq) {
            return true;
        }
        if (file->held[middle] < seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return false;
}

int stick_file_add(struct stick_file *file, struct render *render, const struct place *place,
                   const struct journal_row *row)
{
    int r;

    if (row->seq <= file->at.last || row->seq <= file->pending_last || is_held(file, row->seq)) {
        return 0;
    }

    if (file->at.length == 0 && file->pending.size == 0) {
        r = render_add_header(render, place, &file->pending);
        if (r < 0) {
            return r;
        }
    }

    r = render_add_row(render, place, row, &file->pending);
    if (r < 0) {
        return r;
    }

    file->pending_first = file->pending_first ? file->pending_first : row->seq;
    file->pending_last = row->seq;
    file->touched = true;
    return 0;
}

/* How many of the bytes beyond the cursor are those that we are about to write. */
static int equal_tail(int fd, uint64_t offset, uint64_t size, const struct text *pending, size_t *ret)
{
    char chunk[CHUNK_SIZE];
    size_t limit = (size_t) MIN(size - offset, (uint64_t) pending->size);
    int r;

    for (*ret = 0; *ret < limit;) {
        size_t length = MIN(limit - *ret, sizeof(chunk));

        r = tree_read(fd, offset + *ret, chunk, length);
        if (r < 0) {
            return r;
        }
        for (size_t i = 0; i < length; i++) {
            if (chunk[i] != pending->data[*ret + i]) {
                *ret += i;
                return 0;
            }
        }
        *ret += length;
    }

    return 0;
}

static int write_pending(const struct stick_file *file, int fd, uint64_t size)
{
    uint64_t end = file->at.length + file->pending.size;
    size_t equal = 0;
    int r;

    if (size > file->at.length) {
        r = equal_tail(fd, file->at.length, size, &file->pending, &equal);
        if (r < 0) {
            return r;
        }
    }

    // First the cut: a tail of somebody's old bytes must not stand behind a new row, were the plug pulled now. And
    // durably: what follows may bring the shorter chain to the stick before the shorter size.
    if (size > file->at.length + equal && (ftruncate(fd, (off_t) (file->at.length + equal)) < 0 || fsync(fd) < 0)) {
        return -errno;
    }
    if (file->at.length + equal < end) {
        return tree_write(fd, file->at.length + equal, file->pending.data + equal, file->pending.size - equal);
    }

    return 0;
}

/* The meter's folder: opened so that a new file's name is durable as well. */
static int open_for_writing(int folder_fd, const char *name, bool *ret_new)
{
    auto_close int directory_fd = -1;
    const char *slash = strchr(name, '/');
    char directory[CURSOR_NAME_SIZE];
    int fd;

    fd = tree_open(folder_fd, name, O_RDWR);
    *ret_new = fd == -ENOENT;
    if (fd != -ENOENT || !slash) {
        return fd;
    }

    (void) snprintf(directory, sizeof(directory), "%.*s", (int) (slash - name), name);
    directory_fd = tree_open_directory(folder_fd, directory);
    if (directory_fd < 0) {
        return directory_fd;
    }

    fd = tree_open(directory_fd, slash + 1, O_RDWR | O_CREAT | O_EXCL);
    if (fd >= 0 && fsync(directory_fd) < 0) {
        int error = -errno;

        (void) close(fd);
        return error;
    }
    return fd;
}

int stick_file_write(struct stick_file *file, int folder_fd, struct cursor_file *ret)
{
    auto_close int fd = -1;
    struct stat status;
    bool is_new;
    int r;

    fd = open_for_writing(folder_fd, file->at.name, &is_new);
    if (fd < 0) {
        return fd;
    }
    if (fstat(fd, &status) < 0) {
        return -errno;
    }

    r = write_pending(file, fd, (uint64_t) status.st_size);
    if (r < 0) {
        return r;
    }
    if (fstat(fd, &file->seen) < 0) {
        return -errno;
    }

    *ret = file->at;
    ret->length += file->pending.size;
    ret->crc = cursor_crc(file->at.crc, file->pending.data, file->pending.size);
    ret->first = file->at.first ? file->at.first : file->pending_first;
    ret->last = MAX(file->at.last, file->pending_last);
    return 0;
}

int stick_file_sync(const struct stick_file *file, int folder_fd)
{
    auto_close int fd = tree_open(folder_fd, file->at.name, O_RDWR);

    if (fd < 0) {
        return fd;
    }

    return fsync(fd) < 0 ? -errno : 0;
}

void stick_file_cut(const struct stick_file *file, int folder_fd)
{
    auto_close int fd = tree_open(folder_fd, file->at.name, O_RDWR);
    struct stat status;

    if (fd >= 0 && fstat(fd, &status) == 0 && (uint64_t) status.st_size > file->at.length &&
        ftruncate(fd, (off_t) file->at.length) == 0) {
        (void) fsync(fd);  // the next burst cuts it if this one could not
    }
}
