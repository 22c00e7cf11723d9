/* SPDX-License-Identifier: MIT */

/*
 * For LD_PRELOAD: the process is killed before the $KILL_AT-th call that changes a file whose path has one of the words
 * of $KILL_WORDS in it ("inbox adopted.conf"): open to write, write, fsync, rename, unlink, mkdir. $KILL_COUNT: a file
 * that gets a byte for each such call, so that the last number is known.
 */

#undef _FILE_OFFSET_BITS  // open() and open64() are two symbols here
#undef _TIME_BITS

#include "real.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_int calls;

static bool is_meant(const char *path)
{
    const char *words = getenv("KILL_WORDS");

    while (words && *words) {
        size_t length = strcspn(words, " ");

        if (length > 0 && memmem(path, strlen(path), words, length)) {
            return true;
        }
        words += length + (words[length] == ' ');
    }
    return false;
}

static void count(const char *path)
{
    const char *at = getenv("KILL_AT"), *counter = getenv("KILL_COUNT");
    int fd;

    if (!is_meant(path)) {
        return;
    }
    if (at && atomic_fetch_add(&calls, 1) + 1 == atoi(at)) {
        (void) kill(getpid(), SIGKILL);
    }
    fd = counter ? REAL(open)(counter, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : -1;
    if (fd >= 0) {
        (void) !REAL(write)(fd, ".", 1);
        (void) REAL(close)(fd);
    }
}

static void count_fd(int fd)
{
    char link[40], path[600];
    ssize_t length;

    (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof(path) - 1);
    if (length > 0) {
        path[length] = '\0';
        count(path);
    }
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list arguments;                                                                         \
        mode_t bits;                                                                               \
                                                                                                   \
        va_start(arguments, flags);                                                                \
        bits = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;                      \
        va_end(arguments);                                                                         \
        if ((flags & O_ACCMODE) != O_RDONLY) {                                                     \
            count(path);                                                                           \
        }                                                                                          \
        return REAL(name)(path, flags, bits);                                                      \
    }

OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *bytes, size_t size)
{
    count_fd(fd);
    return REAL(write)(fd, bytes, size);
}

int fsync(int fd)
{
    count_fd(fd);
    return REAL(fsync)(fd);
}

int rename(const char *from, const char *to)
{
    count(to);
    return REAL(rename)(from, to);
}

int unlink(const char *path)
{
    count(path);
    return REAL(unlink)(path);
}

int mkdir(const char *path, mode_t bits)
{
    count(path);
    return REAL(mkdir)(path, bits);
}
