/* SPDX-License-Identifier: MIT */

/*
 * For LD_PRELOAD: the card fails. Calls on paths below $CARD_DIR, and on descriptors of such, do what the first byte of
 * the file $CARD_CONTROL says at that moment:
 *
 *   0  what they should
 *   f  ENOSPC where something would grow
 *   r  EROFS where something would change
 *   e  EIO where something would change
 *   s  fsync() and fdatasync() fail with EIO, but all is there
 *   g  nothing is there any more: ENOENT, and EIO of what was open
 *   x  EIO, whatever it is
 *   p  EACCES, whatever is opened
 *   h  they do not return until it says something else
 */

#undef _FILE_OFFSET_BITS  // open() and open64() are two symbols here
#undef _TIME_BITS

#include "real.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_FD 4096

/* What a call would do. */
enum intent { LOOK, CHANGE, GROW, SYNC };

static struct {
    const char *directory;
    size_t length;
    const volatile char *control;
    _Atomic bool is_below[MAX_FD];
} card;

__attribute__((constructor)) static void prepare(void)
{
    const char *path = getenv("CARD_CONTROL");
    int fd = path ? REAL(open)(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped;

    if (fd < 0) {
        return;
    }
    mapped = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
    (void) REAL(close)(fd);
    if (mapped == MAP_FAILED) {
        abort();
    }
    card.directory = getenv("CARD_DIR");
    card.length = strlen(card.directory);
    card.control = mapped;
}

static char mode(void)
{
    const struct timespec moment = { .tv_nsec = 10000000 };

    while (*card.control == 'h') {
        (void) nanosleep(&moment, NULL);
    }
    return *card.control;
}

/* The error that a call gives; 0: none. */
static int trouble(enum intent intent, bool is_open)
{
    switch (mode()) {
    case 'f':
        return intent == GROW ? ENOSPC : 0;
    case 'r':
        return intent == CHANGE || intent == GROW ? EROFS : 0;
    case 'e':
        return intent != LOOK ? EIO : 0;
    case 's':
        return intent == SYNC ? EIO : 0;
    case 'g':
        return is_open ? EIO : ENOENT;
    case 'x':
        return EIO;
    case 'p':
        return is_open ? 0 : EACCES;
    default:
        return 0;
    }
}

static bool is_below(const char *path)
{
    return card.control && strncmp(path, card.directory, card.length) == 0
           && (path[card.length] == '/' || path[card.length] == '\0');
}

static bool fd_fails(int fd, enum intent intent)
{
    int error = card.control && fd >= 0 && fd < MAX_FD && card.is_below[fd] ? trouble(intent, true) : 0;

    if (error) {
        errno = error;
    }
    return error;
}

static bool path_fails(const char *path, enum intent intent)
{
    int error = is_below(path) ? trouble(intent, false) : 0;

    if (error) {
        errno = error;
    }
    return error;
}

/* --- opening --- */

static int opened(int fd, const char *path)
{
    if (fd >= 0 && fd < MAX_FD) {
        card.is_below[fd] = is_below(path);
    }
    return fd;
}

static enum intent intent_of(const char *path, int flags)
{
    struct stat status;

    if ((flags & O_CREAT) && is_below(path) && REAL(stat)(path, &status) < 0) {
        return GROW;
    }
    return (flags & O_ACCMODE) == O_RDONLY ? LOOK : CHANGE;
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
        if (path_fails(path, intent_of(path, flags))) {                                            \
            return -1;                                                                             \
        }                                                                                          \
        return opened(REAL(name)(path, flags, bits), path);                                        \
    }

OPEN(open)
OPEN(open64)

/* A name below a descriptor: what stands below the card's directory is the card's, too. */
static bool at_fails(int directory_fd, int flags)
{
    enum intent intent = (flags & O_CREAT) ? GROW : (flags & O_ACCMODE) == O_RDONLY ? LOOK : CHANGE;

    return fd_fails(directory_fd, intent);
}

static int opened_at(int fd, int directory_fd)
{
    if (fd >= 0 && fd < MAX_FD) {
        card.is_below[fd] = directory_fd >= 0 && directory_fd < MAX_FD && card.is_below[directory_fd];
    }
    return fd;
}

/* openat2() has no function of its own in the C library. */
long syscall(long number, ...)
{
    long values[6];
    va_list arguments;

    va_start(arguments, number);
    for (size_t i = 0; i < 6; i++) {
        values[i] = va_arg(arguments, long);
    }
    va_end(arguments);
    if (number == SYS_openat2) {
        const struct open_how *how = (const struct open_how *) values[2];

        if (at_fails((int) values[0], (int) how->flags)) {
            return -1;
        }
        return opened_at((int) REAL(syscall)(number, values[0], values[1], values[2], values[3]), (int) values[0]);
    }
    return REAL(syscall)(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}

#define OPENAT(name)                                                                               \
    int name(int directory_fd, const char *path, int flags, ...)                                   \
    {                                                                                              \
        va_list arguments;                                                                         \
        mode_t bits;                                                                               \
                                                                                                   \
        va_start(arguments, flags);                                                                \
        bits = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;                      \
        va_end(arguments);                                                                         \
        if (at_fails(directory_fd, flags)) {                                                       \
            return -1;                                                                             \
        }                                                                                          \
        return opened_at(REAL(name)(directory_fd, path, flags, bits), directory_fd);               \
    }

OPENAT(openat)
OPENAT(openat64)

/* What _FORTIFY_SOURCE makes of open() with two arguments. */
int __open_2(const char *path, int flags)
{
    return open(path, flags);
}

int __open64_2(const char *path, int flags)
{
    return open64(path, flags);
}

int close(int fd)
{
    if (fd >= 0 && fd < MAX_FD) {
        card.is_below[fd] = false;
    }
    return REAL(close)(fd);
}

DIR *opendir(const char *path)
{
    return path_fails(path, LOOK) ? NULL : REAL(opendir)(path);
}

/* --- on descriptors --- */

#define ON_FD(type, name, intent, parameters, arguments)                                           \
    type name parameters                                                                           \
    {                                                                                              \
        return fd_fails(fd, intent) ? (type) -1 : REAL(name) arguments;                            \
    }

ON_FD(ssize_t, read, LOOK, (int fd, void *bytes, size_t size), (fd, bytes, size))
ON_FD(ssize_t, pread, LOOK, (int fd, void *bytes, size_t size, off_t at), (fd, bytes, size, at))
ON_FD(ssize_t, pread64, LOOK, (int fd, void *bytes, size_t size, off64_t at), (fd, bytes, size, at))
ON_FD(ssize_t, write, GROW, (int fd, const void *bytes, size_t size), (fd, bytes, size))
ON_FD(ssize_t, pwrite, GROW, (int fd, const void *bytes, size_t size, off_t at), (fd, bytes, size, at))
ON_FD(ssize_t, pwrite64, GROW, (int fd, const void *bytes, size_t size, off64_t at), (fd, bytes, size, at))
ON_FD(int, ftruncate, CHANGE, (int fd, off_t size), (fd, size))
ON_FD(int, ftruncate64, CHANGE, (int fd, off64_t size), (fd, size))
ON_FD(int, fsync, SYNC, (int fd), (fd))
ON_FD(int, fdatasync, SYNC, (int fd), (fd))
ON_FD(int, syncfs, SYNC, (int fd), (fd))
ON_FD(int, mkdirat, GROW, (int fd, const char *name, mode_t bits), (fd, name, bits))
ON_FD(int, unlinkat, CHANGE, (int fd, const char *name, int flags), (fd, name, flags))
ON_FD(int, fallocate, GROW, (int fd, int how, off_t at, off_t size), (fd, how, at, size))
ON_FD(int, fallocate64, GROW, (int fd, int how, off64_t at, off64_t size), (fd, how, at, size))
ON_FD(int, fstat, LOOK, (int fd, struct stat *ret), (fd, ret))
ON_FD(int, fstat64, LOOK, (int fd, struct stat64 *ret), (fd, ret))

int posix_fallocate64(int fd, off64_t at, off64_t size)
{
    return fd_fails(fd, GROW) ? errno : REAL(posix_fallocate64)(fd, at, size);
}

int posix_fallocate(int fd, off_t at, off_t size)
{
    return fd_fails(fd, GROW) ? errno : REAL(posix_fallocate)(fd, at, size);
}

/* --- on names --- */

/* The kernel looks for the name before it asks whether it may make one. */
int mkdir(const char *path, mode_t bits)
{
    struct stat status;
    const bool is_there = is_below(path) && REAL(stat)(path, &status) == 0;

    return path_fails(path, is_there ? LOOK : GROW) ? -1 : REAL(mkdir)(path, bits);
}

#define ON_PATH(name, intent, parameters, arguments)                                               \
    int name parameters                                                                            \
    {                                                                                              \
        return path_fails(path, intent) ? -1 : REAL(name) arguments;                               \
    }

ON_PATH(access, LOOK, (const char *path, int how), (path, how))
ON_PATH(rename, CHANGE, (const char *path, const char *to), (path, to))
ON_PATH(stat, LOOK, (const char *path, struct stat *ret), (path, ret))
ON_PATH(stat64, LOOK, (const char *path, struct stat64 *ret), (path, ret))
ON_PATH(lstat, LOOK, (const char *path, struct stat *ret), (path, ret))
ON_PATH(lstat64, LOOK, (const char *path, struct stat64 *ret), (path, ret))
ON_PATH(statvfs, LOOK, (const char *path, struct statvfs *ret), (path, ret))
ON_PATH(statvfs64, LOOK, (const char *path, struct statvfs64 *ret), (path, ret))
ON_PATH(unlink, CHANGE, (const char *path), (path))
