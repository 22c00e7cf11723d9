/* SPDX-License-Identifier: MIT */

#include "app/outlet/page_file.h"

#include "app/base/file.h"
#include "app/outlet/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define NAME_SIZE 32

static const char *new_name(const char *name, char buffer[static NAME_SIZE])
{
    (void) snprintf(buffer, NAME_SIZE, "%s.new", name);
    return buffer;
}

int page_file_begin(struct page_file *file, int folder_fd, const char *name)
{
    char path[NAME_SIZE];
    int fd = tree_open(folder_fd, new_name(name, path), O_WRONLY | O_CREAT | O_TRUNC);

    if (fd < 0) {
        return fd;
    }

    file->folder_fd = folder_fd;
    file->fd = fd;
    file->name = name;
    file->error = 0;
    file->size = 0;
    file->used = 0;
    return 0;
}

static void flush(struct page_file *file)
{
    if (file->error == 0 && file->used > 0) {
        file->error = MIN(file_write_all(file->fd, file->buffer, file->used), 0);
    }
    file->used = 0;
}

void page_file_add(struct page_file *file, const char *bytes, size_t size)
{
    file->size += size;
    while (size > 0 && file->error == 0) {
        size_t part = MIN(size, sizeof(file->buffer) - file->used);

        memcpy(file->buffer + file->used, bytes, part);
        file->used += part;
        bytes += part;
        size -= part;
        if (file->used == sizeof(file->buffer)) {
            flush(file);
        }
    }
}

static bool is_exfat(int folder_fd)
{
    struct statfs status;

    return fstatfs(folder_fd, &status) == 0 && (uint32_t) status.f_type == EXFAT_SUPER_MAGIC;
}

/*
 * On exFAT the old one goes first, and is gone on the stick before the name is taken. Linux renames there in place and
 * removes what had the name only then: a cut in between leaves two files of one name, which fsck.exfat 1.2 does not
 * mind and every reader shows. Of such two one goes here, and the other by the rename.
 */
static int take_name(const struct page_file *file)
{
    char path[NAME_SIZE];

    if (is_exfat(file->folder_fd)) {
        if (unlinkat(file->folder_fd, file->name, 0) < 0) {
            if (errno != ENOENT) {
                return -errno;
            }
        } else if (fsync(file->folder_fd) < 0) {
            return -errno;
        }
    }
    return renameat(file->folder_fd, new_name(file->name, path), file->folder_fd, file->name) < 0 ? -errno : 0;
}

int page_file_end(struct page_file *file)
{
    int r;

    flush(file);
    r = file->error;
    if (r == 0) {
        r = tree_sync_grown(file->folder_fd, file->fd);
    }
    if (r == 0) {
        r = take_name(file);
    }
    if (r < 0) {
        page_file_abandon(file);
        return r;
    }

    (void) close(take_fd(&file->fd));  // what matters was synced
    return fsync(file->folder_fd) < 0 ? -errno : 0;
}

void page_file_abandon(struct page_file *file)
{
    if (file->name && file->fd >= 0) {
        (void) close(take_fd(&file->fd));
        page_file_remove_leftover(file->folder_fd, file->name);
    }
}

void page_file_remove_leftover(int folder_fd, const char *name)
{
    char path[NAME_SIZE];

    (void) unlinkat(folder_fd, new_name(name, path), 0);  // mostly there is none; else the next insertion tries again
}

bool page_file_holds(int folder_fd, const char *name, const struct text *text)
{
    auto_close int fd = tree_open(folder_fd, name, O_RDONLY);
    char buffer[1024];
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || (size_t) status.st_size != text->size) {
        return false;
    }

    for (size_t at = 0; at < text->size;) {
        size_t part = MIN(sizeof(buffer), text->size - at);

        if (tree_read(fd, at, buffer, part) < 0 || memcmp(buffer, text->data + at, part) != 0) {
            return false;
        }
        at += part;
    }
    return true;
}
