/* SPDX-License-Identifier: MIT */
#undef _FILE_OFFSET_BITS  // open() and open64() are two symbols here: both are ours
#undef _TIME_BITS

#include "tests/crash/recorder_private.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct recorder recorder;

#define REAL(name) ((__typeof__(&name)) real(#name))

static void *real(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    assert(function);
    return function;
}

/* A path below the root, without it; "" is the root itself. NULL: not ours. */
static const char *inside(const char *path)
{
    size_t length = strlen(recorder.root);

    if (!recorder.on || strncmp(path, recorder.root, length) != 0) {
        return NULL;
    }
    return path[length] == '/' ? path + length + 1 : path[length] == '\0' ? path + length : NULL;
}

static struct recorder_operation *add(enum recorder_kind kind, unsigned file, const char *name)
{
    struct recorder_operation *operation;

    if (recorder.count == recorder.capacity) {
        recorder.capacity = recorder.capacity * 2 + 1024;
        recorder.operations = recorder_must(
            realloc(recorder.operations, recorder.capacity * sizeof(*recorder.operations)));
    }
    operation = &recorder.operations[recorder.count++];
    *operation = (struct recorder_operation){ .kind = kind,
                                              .file = file,
                                              .name = name ? recorder_must(strdup(name)) : NULL };
    return operation;
}

static int find_name(const char *name)
{
    for (unsigned i = 0; i < recorder.name_count; i++) {
        if (strcmp(recorder.names[i].name, name) == 0) {
            return (int) i;
        }
    }
    return -1;
}

static void set_name(const char *name, unsigned file)
{
    int at = find_name(name);

    if (at < 0) {
        for (at = 0; at < (int) recorder.name_count && recorder.names[at].name[0]; at++) {
        }
        recorder.name_count += (unsigned) at == recorder.name_count;
        assert(at < RECORDER_FILES_MAX);
    }
    snprintf(recorder.names[at].name, RECORDER_NAME_SIZE, "%s", name);
    recorder.names[at].file = file;
}

static bool is_shared_memory(const char *name)
{
    size_t length = strlen(name);

    return length > 4 && strcmp(name + length - 4, "-shm") == 0;
}

static bool is_ours(int fd)
{
    return recorder.on && fd >= 0 && fd < FDS_MAX && recorder.fds[fd].used;
}

/* The same of a path below an open directory, in `buffer`. */
static const char *inside_at(int directory_fd, const char *path, char buffer[static RECORDER_NAME_SIZE])
{
    if (*path == '/' || directory_fd == AT_FDCWD) {
        return inside(path);
    }
    if (!is_ours(directory_fd)) {
        return NULL;
    }
    snprintf(buffer, RECORDER_NAME_SIZE, "%s%s%s", recorder.fds[directory_fd].name,
             *recorder.fds[directory_fd].name ? "/" : "", path);
    return buffer;
}

static void opened(int fd, const char *name, int flags)
{
    struct stat status;
    int at;

    if (fd < 0 || !name || fd >= FDS_MAX || is_shared_memory(name)) {
        return;
    }
    (void) fstat(fd, &status);
    recorder.fds[fd].used = true;
    recorder.fds[fd].is_directory = S_ISDIR(status.st_mode);
    snprintf(recorder.fds[fd].name, RECORDER_NAME_SIZE, "%s", name);
    if (recorder.fds[fd].is_directory) {
        return;
    }

    at = find_name(name);
    if (at < 0) {
        assert(flags & O_CREAT);
        set_name(name, recorder.file_count++);
        at = find_name(name);
        (void) add(CREATE, recorder.names[at].file, name);
    } else if (flags & O_TRUNC) {
        (void) add(RESIZE, recorder.names[at].file, NULL);
    }
    recorder.fds[fd].file = recorder.names[at].file;
}

static void wrote(int fd, const void *bytes, ssize_t size, off64_t offset)
{
    struct recorder_operation *operation;

    if (size <= 0 || !is_ours(fd)) {
        return;
    }
    operation = add(WRITE, recorder.fds[fd].file, NULL);
    operation->offset = (uint64_t) offset;
    operation->size = (size_t) size;
    operation->bytes = recorder_must(malloc((size_t) size));
    memcpy(operation->bytes, bytes, (size_t) size);
}

static int synced(int fd, int (*call)(int))
{
    if (is_ours(fd)) {
        (void) add(recorder.fds[fd].is_directory ? SYNC_DIR : SYNC, recorder.fds[fd].file,
                   recorder.fds[fd].name);
        return 0;  // what is recorded need not be on this machine's disk
    }
    return recorder.forget_syncs ? 0 : call(fd);
}

static void resized(int fd, int64_t size)
{
    if (is_ours(fd)) {
        add(RESIZE, recorder.fds[fd].file, NULL)->offset = (uint64_t) size;
    }
}

/* --- in the place of the C library's --- */

int open(const char *path, int flags, ...);
int open(const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;
    int fd;

    va_start(list, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    fd = REAL(open)(path, flags, mode);
    opened(fd, inside(path), flags);
    return fd;
}

/* openat2() has no function in the C library. */
long syscall(long number, ...)
{
    char buffer[RECORDER_NAME_SIZE];
    long arguments[6], r;
    va_list list;

    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        arguments[i] = va_arg(list, long);
    }
    va_end(list);
    r = REAL(syscall)(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
    if (number == SYS_openat2) {
        const struct open_how *how = (const void *) arguments[2];

        opened((int) r, inside_at((int) arguments[0], (const char *) arguments[1], buffer), (int) how->flags);
    }
    return r;
}

int open64(const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    return open(path, flags | O_LARGEFILE, mode);
}

int close(int fd)
{
    if (fd >= 0 && fd < FDS_MAX) {
        recorder.fds[fd].used = false;
    }
    return REAL(close)(fd);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    off64_t offset = is_ours(fd) ? lseek64(fd, 0, SEEK_CUR) : 0;
    ssize_t count = REAL(write)(fd, bytes, size);

    wrote(fd, bytes, count, offset);
    return count;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    ssize_t count = REAL(pwrite64)(fd, bytes, size, offset);

    wrote(fd, bytes, count, offset);
    return count;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return pwrite64(fd, bytes, size, offset);
}

int ftruncate64(int fd, off64_t size)
{
    int r = REAL(ftruncate64)(fd, size);

    if (r == 0) {
        resized(fd, size);
    }
    return r;
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

int fsync(int fd)
{
    return synced(fd, REAL(fsync));
}

int fdatasync(int fd)
{
    return synced(fd, REAL(fdatasync));
}

int syncfs(int fd)
{
    if (is_ours(fd)) {
        (void) add(SYNC_FS, 0, NULL);
        return 0;
    }
    return recorder.forget_syncs ? 0 : REAL(syncfs)(fd);
}

int rename(const char *from, const char *to)
{
    const char *name = inside(from), *other = inside(to);
    int r = REAL(rename)(from, to);

    if (r == 0 && name && other) {
        int at = find_name(name);
        unsigned file = recorder.names[at].file;

        recorder.names[at].name[0] = '\0';
        set_name(other, file);
        add(RENAME, file, name)->other = recorder_must(strdup(other));
    }
    return r;
}

static void unlinked(const char *name)
{
    if (name && !is_shared_memory(name)) {
        int at = find_name(name);

        assert(at >= 0);
        (void) add(UNLINK, recorder.names[at].file, name);
        recorder.names[at].name[0] = '\0';
    }
}

int unlink(const char *path)
{
    int r = REAL(unlink)(path);

    if (r == 0) {
        unlinked(inside(path));
    }
    return r;
}

int unlinkat(int directory_fd, const char *path, int flags)
{
    char buffer[RECORDER_NAME_SIZE];
    int r = REAL(unlinkat)(directory_fd, path, flags);

    if (r == 0) {
        assert(flags == 0 || !inside_at(directory_fd, path, buffer));  // nobody removes a directory
        unlinked(inside_at(directory_fd, path, buffer));
    }
    return r;
}

int mkdir(const char *path, mode_t mode)
{
    const char *name = inside(path);
    int r = REAL(mkdir)(path, mode);

    if (r == 0 && name) {
        (void) add(MAKE_DIR, 0, name);
    }
    return r;
}

int mkdirat(int directory_fd, const char *path, mode_t mode)
{
    char buffer[RECORDER_NAME_SIZE];
    const char *name = inside_at(directory_fd, path, buffer);
    int r = REAL(mkdirat)(directory_fd, path, mode);

    if (r == 0 && name) {
        (void) add(MAKE_DIR, 0, name);
    }
    return r;
}

/* --- what was recorded --- */

void recorder_begin(const char *root)
{
    recorder_clear();
    snprintf(recorder.root, sizeof(recorder.root), "%s", root);
    recorder.on = true;
}

void recorder_end(void)
{
    recorder.on = false;
}

void recorder_clear(void)
{
    for (size_t i = 0; i < recorder.count; i++) {
        free(recorder.operations[i].bytes);
        free(recorder.operations[i].name);
        free(recorder.operations[i].other);
    }
    free(recorder.operations);
    memset(&recorder, 0, sizeof(recorder));
}

void recorder_forget_syncs(bool forget)
{
    recorder.forget_syncs = forget;
}

size_t recorder_count(void)
{
    return recorder.count;
}

void recorder_mark(uint64_t number)
{
    add(MARK, 0, NULL)->offset = number;
}

uint64_t recorder_marked(size_t cut)
{
    while (cut > 0) {
        if (recorder.operations[--cut].kind == MARK) {
            return recorder.operations[cut].offset;
        }
    }
    return 0;
}

uint64_t recorder_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
