/* SPDX-License-Identifier: MIT */

/*
 * For LD_PRELOAD: one call of the C library fails, as it would when memory, descriptors, the card or the kernel's
 * patience are at an end.
 *
 *   FAIL_KIND    malloc, open, read, write, sync, mmap, thread, socket, descriptor, name, lock, poll or clone
 *   FAIL_AT      the n-th call of that kind in this program, counted from 1; 0: none, only count
 *   FAIL_ERRNO   what errno says, a number; else the kind's own
 *   FAIL_COUNTS  a file in which 16 numbers of 8 bytes stand: how often each kind was called, in the order above, then
 *                the bytes that were written to files, then FAIL_AT, which another program may change there
 *   FAIL_BELOW   open, read, write, sync, mmap and name: only of paths below this one (a file's descriptor counts too)
 *   FAIL_PROGRAM only if the program's name ends so; else everything is passed on
 *
 * The C library's own calls to itself are not seen, except malloc.
 */

#undef _FILE_OFFSET_BITS  // open() and open64() are two symbols here
#undef _TIME_BITS

#include "real.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { MALLOC, OPEN, READ, WRITE, SYNC, MMAP, THREAD, SOCKET, DESCRIPTOR, NAME, LOCK, POLL, CLONE, KINDS };

#define BYTES KINDS        // of the counts, what follows those of the kinds
#define AT    (KINDS + 1)

static const struct {
    const char *name;
    int error;
} kinds[KINDS] = {
    [MALLOC] = { "malloc", ENOMEM },
    [OPEN] = { "open", EIO },
    [READ] = { "read", EIO },
    [WRITE] = { "write", EIO },
    [SYNC] = { "sync", EIO },
    [MMAP] = { "mmap", ENOMEM },
    [THREAD] = { "thread", EAGAIN },
    [SOCKET] = { "socket", EMFILE },
    [DESCRIPTOR] = { "descriptor", EMFILE },
    [NAME] = { "name", EIO },
    [LOCK] = { "lock", ENOLCK },
    [POLL] = { "poll", ENOMEM },
    [CLONE] = { "clone", EAGAIN },
};

static struct {
    bool ready, on;
    enum kind kind;
    int error;
    char below[256];
    size_t below_length;
    _Atomic uint64_t *counts;      // shared with whoever looks
    _Atomic uint64_t own[16];
    _Atomic bool of_below[4096];   // descriptors
} shim;

static bool is_this_program(void)
{
    const char *wanted = getenv("FAIL_PROGRAM");
    size_t length = strlen(program_invocation_name), size = wanted ? strlen(wanted) : 0;

    return length >= size && (size == 0 || strcmp(program_invocation_name + length - size, wanted) == 0);
}

static void map_counts(const char *path)
{
    int fd = REAL(open)(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *mapped;

    if (fd < 0 || REAL(ftruncate)(fd, sizeof(shim.own)) < 0) {
        abort();
    }
    mapped = REAL(mmap)(NULL, sizeof(shim.own), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) {
        shim.counts = mapped;
    }
    REAL(close)(fd);
}

__attribute__((constructor)) static void prepare(void)
{
    const char *kind = getenv("FAIL_KIND"), *at = getenv("FAIL_AT"), *error = getenv("FAIL_ERRNO");
    const char *counts = getenv("FAIL_COUNTS"), *below = getenv("FAIL_BELOW");

    shim.counts = shim.own;
    shim.kind = KINDS;
    if (!is_this_program()) {
        return;
    }
    for (enum kind i = 0; kind && i < KINDS; i++) {
        if (strcmp(kind, kinds[i].name) == 0) {
            shim.kind = i;
            shim.error = error && *error ? atoi(error) : kinds[i].error;
        }
    }
    if (below) {
        snprintf(shim.below, sizeof(shim.below), "%s", below);
        shim.below_length = strlen(below);
    }
    if (counts) {
        map_counts(counts);
    }
    shim.counts[AT] = at ? strtoull(at, NULL, 10) : 0;
    shim.on = true;
}

/* Whether this call is the one that fails; errno is set then. */
static bool fails(enum kind kind)
{
    uint64_t n;

    if (!shim.on) {
        return false;
    }
    n = atomic_fetch_add(&shim.counts[kind], 1) + 1;
    if (kind != shim.kind || n != shim.counts[AT]) {
        return false;
    }
    errno = shim.error;
    return true;
}

static bool is_below(const char *path)
{
    return shim.below_length == 0 || strncmp(path, shim.below, shim.below_length) == 0;
}

static bool fd_is_below(int fd)
{
    return shim.below_length == 0 || (fd >= 0 && fd < 4096 && shim.of_below[fd]);
}

static int opened(int fd, const char *path)
{
    if (fd >= 0 && fd < 4096) {
        shim.of_below[fd] = is_below(path);
    }
    return fd;
}

/* --- memory --- */

/* By their other names: dlsym() may itself allocate. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    return fails(MALLOC) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(MALLOC) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails(MALLOC) ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(old, bytes);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    void *memory = fails(MALLOC) ? NULL : __libc_memalign(alignment, size);

    if (!memory) {
        return ENOMEM;
    }
    *ret = memory;
    return 0;
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (fd_is_below(fd) && fails(MMAP)) {
        return MAP_FAILED;
    }
    return REAL(mmap)(address, size, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t offset)
{
    if (fd_is_below(fd) && fails(MMAP)) {
        return MAP_FAILED;
    }
    return REAL(mmap64)(address, size, protection, flags, fd, offset);
}

/* --- files --- */

int open(const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    return is_below(path) && fails(OPEN) ? -1 : opened(REAL(open)(path, flags, mode), path);
}

int open64(const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    return is_below(path) && fails(OPEN) ? -1 : opened(REAL(open64)(path, flags, mode), path);
}

DIR *opendir(const char *path)
{
    return is_below(path) && fails(OPEN) ? NULL : REAL(opendir)(path);
}

int scandir64(const char *path, struct dirent64 ***ret, int (*filter)(const struct dirent64 *),
              int (*compare)(const struct dirent64 **, const struct dirent64 **))
{
    return is_below(path) && fails(OPEN) ? -1 : REAL(scandir64)(path, ret, filter, compare);
}

FILE *fopen64(const char *path, const char *mode)
{
    return is_below(path) && fails(OPEN) ? NULL : REAL(fopen64)(path, mode);
}

ssize_t read(int fd, void *bytes, size_t size)
{
    return fd_is_below(fd) && fails(READ) ? -1 : REAL(read)(fd, bytes, size);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset)
{
    return fd_is_below(fd) && fails(READ) ? -1 : REAL(pread)(fd, bytes, size, offset);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t offset)
{
    return fd_is_below(fd) && fails(READ) ? -1 : REAL(pread64)(fd, bytes, size, offset);
}

ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
    return fails(READ) ? -1 : REAL(recv)(fd, bytes, size, flags);
}

static ssize_t wrote(int fd, ssize_t count)
{
    if (count > 0 && shim.on && fd_is_below(fd)) {
        atomic_fetch_add(&shim.counts[BYTES], (uint64_t) count);
    }
    return count;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    return fd_is_below(fd) && fails(WRITE) ? -1 : wrote(fd, REAL(write)(fd, bytes, size));
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return fd_is_below(fd) && fails(WRITE) ? -1 : wrote(fd, REAL(pwrite)(fd, bytes, size, offset));
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    return fd_is_below(fd) && fails(WRITE) ? -1 : wrote(fd, REAL(pwrite64)(fd, bytes, size, offset));
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return fd_is_below(fd) && fails(WRITE) ? -1 : wrote(fd, REAL(writev)(fd, parts, count));
}

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    return fails(WRITE) ? -1 : REAL(send)(fd, bytes, size, flags);
}

int ftruncate(int fd, off_t size)
{
    return fd_is_below(fd) && fails(WRITE) ? -1 : REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return fd_is_below(fd) && fails(WRITE) ? -1 : REAL(ftruncate64)(fd, size);
}

int fsync(int fd)
{
    return fd_is_below(fd) && fails(SYNC) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return fd_is_below(fd) && fails(SYNC) ? -1 : REAL(fdatasync)(fd);
}

int rename(const char *from, const char *to)
{
    return is_below(from) && fails(NAME) ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path)
{
    return is_below(path) && fails(NAME) ? -1 : REAL(unlink)(path);
}

int mkdir(const char *path, mode_t mode)
{
    return is_below(path) && fails(NAME) ? -1 : REAL(mkdir)(path, mode);
}

int stat(const char *path, struct stat *ret)
{
    return is_below(path) && fails(NAME) ? -1 : REAL(stat)(path, ret);
}

int stat64(const char *path, struct stat64 *ret)
{
    return is_below(path) && fails(NAME) ? -1 : REAL(stat64)(path, ret);
}

int fstat(int fd, struct stat *ret)
{
    return fd_is_below(fd) && fails(NAME) ? -1 : REAL(fstat)(fd, ret);
}

int fstat64(int fd, struct stat64 *ret)
{
    return fd_is_below(fd) && fails(NAME) ? -1 : REAL(fstat64)(fd, ret);
}

int lstat64(const char *path, struct stat64 *ret)
{
    return is_below(path) && fails(NAME) ? -1 : REAL(lstat64)(path, ret);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    return is_below(to) && fails(NAME) ? -1 : REAL(linkat)(from_fd, from, to_fd, to, flags);
}

int access(const char *path, int mode)
{
    return is_below(path) && fails(NAME) ? -1 : REAL(access)(path, mode);
}

/* --- locks --- */

int flock(int fd, int operation)
{
    return fd_is_below(fd) && fails(LOCK) ? -1 : REAL(flock)(fd, operation);
}

int fcntl64(int fd, int command, ...)
{
    va_list list;
    void *argument;  // or a number: both are passed alike on what Debian runs on

    va_start(list, command);
    argument = va_arg(list, void *);
    va_end(list);
    if ((command == F_SETLK || command == F_OFD_SETLK) && fd_is_below(fd) && fails(LOCK)) {
        return -1;
    }
    return REAL(fcntl64)(fd, command, argument);
}

/* --- the rest of the kernel --- */

int pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*function)(void *), void *data)
{
    return fails(THREAD) ? shim.error : REAL(pthread_create)(ret, attributes, function, data);
}

int socket(int domain, int type, int protocol)
{
    return fails(SOCKET) ? -1 : REAL(socket)(domain, type, protocol);
}

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    return fails(SOCKET) ? -1 : REAL(connect)(fd, address, size);
}

int eventfd(unsigned count, int flags)
{
    return fails(DESCRIPTOR) ? -1 : REAL(eventfd)(count, flags);
}

int timerfd_create(clockid_t clock, int flags)
{
    return fails(DESCRIPTOR) ? -1 : REAL(timerfd_create)(clock, flags);
}

int epoll_create1(int flags)
{
    return fails(DESCRIPTOR) ? -1 : REAL(epoll_create1)(flags);
}

int pipe2(int fds[2], int flags)
{
    return fails(DESCRIPTOR) ? -1 : REAL(pipe2)(fds, flags);
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    return fails(POLL) ? -1 : REAL(poll)(fds, count, timeout);
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    return fails(POLL) ? -1 : REAL(ppoll)(fds, count, timeout, mask);
}

int posix_spawn(pid_t *ret, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attributes, char *const *arguments, char *const *environment)
{
    return fails(CLONE) ? shim.error : REAL(posix_spawn)(ret, path, actions, attributes, arguments, environment);
}

/* --- as _FORTIFY_SOURCE calls them --- */

ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room);
ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room)
{
    return size > room ? abort(), -1 : read(fd, bytes, size);
}

ssize_t __pread64_chk(int fd, void *bytes, size_t size, off64_t offset, size_t room);
ssize_t __pread64_chk(int fd, void *bytes, size_t size, off64_t offset, size_t room)
{
    return size > room ? abort(), -1 : pread64(fd, bytes, size, offset);
}

ssize_t __recv_chk(int fd, void *bytes, size_t size, size_t room, int flags);
ssize_t __recv_chk(int fd, void *bytes, size_t size, size_t room, int flags)
{
    return size > room ? abort(), -1 : recv(fd, bytes, size, flags);
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room);
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room)
{
    (void) room;
    return poll(fds, count, timeout);
}

int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask, size_t room)
{
    (void) room;
    return ppoll(fds, count, timeout, mask);
}
