/* SPDX-License-Identifier: MIT */
#include "app/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

int file_read(const char *path, size_t max_size, char **ret, size_t *ret_size)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    auto_free char *bytes = NULL;
    size_t size = 0, capacity;
    struct stat status;

    if (fd < 0) {
        return -errno;
    }
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    if (S_ISDIR(status.st_mode)) {
        return -EISDIR;
    }

    // files of the kernel say 0: read until the end in any case
    capacity = (status.st_size > 0 ? MIN((size_t) status.st_size, max_size) : 4096) + 1;
    for (;;) {
        char *more = realloc(bytes, capacity + 1);
        ssize_t count;

        if (!more) {
            return -ENOMEM;
        }
        bytes = more;
        count = read(fd, bytes + size, capacity - size);
        if (count < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -errno;
        }
        size += (size_t) count;
        if (size > max_size) {
            return -EFBIG;
        }
        if (count == 0) {
            break;
        }
        if (size == capacity) {
            capacity *= 2;
        }
    }

    bytes[size] = '\0';
    *ret = TAKE(bytes);
    *ret_size = size;
    return 0;
}

int file_write_all(int fd, const void *bytes, size_t size)
{
    const char *rest = bytes;

    while (size > 0) {
        ssize_t count = write(fd, rest, size);

        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return -errno;
        }
        if (count == 0) {
            return -ENOSPC;
        }
        rest += count;
        size -= (size_t) count;
    }
    return 0;
}

int file_copy(const char *from, const char *to, mode_t mode)
{
    auto_close int source = open(from, O_RDONLY | O_CLOEXEC);
    auto_close int target = -1;
    char buffer[16384];
    ssize_t size;
    int r;

    if (source < 0) {
        return -errno;
    }
    target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (target < 0) {
        return -errno;
    }
    while ((size = read(source, buffer, sizeof(buffer))) > 0) {
        r = file_write_all(target, buffer, (size_t) size);
        if (r < 0) {
            return r;
        }
    }
    return size < 0 || fsync(target) < 0 ? -errno : 0;
}

int file_sync_directory(const char *directory)
{
    auto_close int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* The directory that a file stands in, so that its name is durable too. */
static int sync_directory_of(const char *path)
{
    char directory[4096];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? MAX((size_t) (slash - path), (size_t) 1) : 1;

    if (length >= sizeof(directory)) {
        return -ENAMETOOLONG;
    }
    memcpy(directory, slash ? path : ".", length);
    directory[length] = '\0';

    return file_sync_directory(directory);
}

int file_replace(const char *path, const void *bytes, size_t size, mode_t mode, bool durable)
{
    char temporary[4096];
    auto_close int fd = -1;
    int r;

    r = snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    if (r < 0 || (size_t) r >= sizeof(temporary)) {
        return -ENAMETOOLONG;
    }

    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        return -errno;
    }
    (void) fchmod(fd, mode);  // whatever the umask took; a file system without modes refuses
    r = file_write_all(fd, bytes, size);
    if (r == 0 && durable && fsync(fd) < 0) {
        r = -errno;
    }
    if (r == 0 && rename(temporary, path) < 0) {
        r = -errno;
    }
    if (r < 0) {
        (void) unlink(temporary);  // the next replacement would overwrite it anyway
        return r;
    }
    return durable ? sync_directory_of(path) : 0;
}

int file_lock(const char *path, int *ret)
{
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);

    if (fd < 0) {
        return -errno;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    }

    *ret = take_fd(&fd);
    return 0;
}

int file_make_directories(const char *path, mode_t mode)
{
    char part[4096];
    struct stat status;

    if (strlen(path) >= sizeof(part)) {
        return -ENAMETOOLONG;
    }

    for (size_t i = 1;; i++) {
        if (path[i - 1] != '\0' && path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, mode) == 0) {
            (void) sync_directory_of(part);  // as good as the file system can: what is synced below it is to be found
        } else if (errno != EEXIST) {
            return -errno;
        }
        if (path[i] == '\0') {
            break;
        }
    }

    if (stat(path, &status) < 0) {
        return -errno;
    }
    return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
}

int file_path(char *ret, size_t size, const char *directory, const char *name)
{
    int length = snprintf(ret, size, "%s/%s", directory, name);

    return length < 0 || (size_t) length >= size ? -ENAMETOOLONG : 0;
}

int file_program_directory(char *ret, size_t size)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    char *slash;

    if (length < 0) {
        return -errno;
    }
    path[length] = '\0';
    slash = strrchr(path, '/');
    if (!slash || slash == path) {
        return -ENOENT;
    }
    *slash = '\0';
    if ((size_t) (slash - path) >= size) {
        return -ENAMETOOLONG;
    }
    memcpy(ret, path, (size_t) (slash - path) + 1);
    return 0;
}
