/* SPDX-License-Identifier: MIT */

#include "app/outlet/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int tree_open(int directory_fd, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t) (flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK),  // a pipe must not hold us
        .mode = flags & O_CREAT ? 0644 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };
    long fd = syscall(SYS_openat2, directory_fd, path, &how, sizeof(how));

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
