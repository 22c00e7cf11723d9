/* SPDX-License-Identifier: MIT */

#include "app/outlet/tree.h"

#include "app/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define SAFE_FLAGS (O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)  // a pipe must not hold us

/* Refuses what openat2() would: a link, or something of another file system than the directory it stands in. */
static int check_opened(int fd, dev_t device)
{
    struct stat status;

    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    if (S_ISLNK(status.st_mode)) {
        return -ELOOP;
    }

    return status.st_dev != device ? -EXDEV : 0;
}

/* One name of a path. Returns the descriptor. */
static int open_name(int directory_fd, const char *name, int flags, dev_t device)
{
    auto_close int fd = openat(directory_fd, name, flags | SAFE_FLAGS, 0644);
    int r;

    if (fd < 0) {
        return -errno;
    }

    r = check_opened(fd, device);
    return r < 0 ? r : take_fd(&fd);
}

/*
 * Name by name, where there is no openat2(): a unit with RestrictSUIDSGID=yes answers ENOSYS (systemd.exec(5): a filter
 * cannot look into its structure).
 */
static int open_by_names(int directory_fd, const char *path, int flags)
{
    auto_close int folder_fd = -1;
    char name[NAME_MAX + 1];
    struct stat status;
    size_t length;

    if (fstat(directory_fd, &status) < 0) {
        return -errno;
    }

    for (;; path += length + 1) {
        int at = folder_fd >= 0 ? folder_fd : directory_fd;
        int fd;

        length = strcspn(path, "/");
        if (length == 0 || length > NAME_MAX) {
            return length == 0 ? -EXDEV : -ENAMETOOLONG;
        }
        memcpy(name, path, length);
        name[length] = '\0';
        if (text_equal(name, "..")) {
            return -EXDEV;
        }
        if (path[length] == '\0') {
            return open_name(at, name, flags, status.st_dev);
        }

        fd = open_name(at, name, O_PATH, status.st_dev);
        if (fd < 0) {
            return fd;
        }
        macros_close(&folder_fd);
        folder_fd = fd;
    }
}

int tree_open(int directory_fd, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t) (flags | SAFE_FLAGS),
        .mode = flags & O_CREAT ? 0644 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };
    long fd = syscall(SYS_openat2, directory_fd, path, &how, sizeof(how));

    if (fd < 0 && errno == ENOSYS) {
        return open_by_names(directory_fd, path, flags);
    }

    return fd < 0 ? -errno : (int) fd;
}

int tree_open_directory(int directory_fd, const char *name)
{
    int fd = tree_open(directory_fd, name, O_RDONLY | O_DIRECTORY);

    if (fd != -ENOENT) {
        return fd;
    }

    if (mkdirat(directory_fd, name, 0755) < 0 && errno != EEXIST) {
        return -errno;
    }
    if (fsync(directory_fd) < 0) {
        return -errno;
    }

    return tree_open(directory_fd, name, O_RDONLY | O_DIRECTORY);
}

int tree_read(int fd, uint64_t offset, void *ret, size_t size)
{
    char *bytes = ret;

    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, bytes + done, size - done, (off_t) (offset + done));

        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n == 0) {
            return -EBADMSG;
        }
        done += n > 0 ? (size_t) n : 0;
    }

    return 0;
}

int tree_write(int fd, uint64_t offset, const void *bytes, size_t size)
{
    ssize_t n = pwrite(fd, bytes, size, (off_t) offset);

    if (n < 0) {
        return -errno;
    }

    // A short write is the end of the space; whole rows or none, so there is no second try for the rest.
    return (size_t) n < size ? -ENOSPC : 0;
}

int tree_sync_grown(int directory_fd, int fd)
{
    // Of a directory it is all that the device has waiting, by ascending sectors: the FAT stands first there.
    return fsync(directory_fd) < 0 || fsync(fd) < 0 ? -errno : 0;
}
