/* SPDX-License-Identifier: MIT */

#undef _FILE_OFFSET_BITS  // pread() and pread64() are two symbols here
#undef _TIME_BITS

#include "tests/stick_device.h"

#include "tests/shim/real.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECTOR     512
#define MAX_FD     256
#define MAX_NAMES  1024
#define MAX_SIZE   65536  // of a file

/* A file's bytes. */
struct image {
    bool exists;
    size_t size;
    unsigned char *bytes;
};

/* What may differ from what is durable. */
struct name {
    char path[300];
    bool is_directory;
    bool is_named;              // durably
    struct image sent;          // without a flush yet
    struct image durable;
};

static struct {
    char directory[200];
    size_t length;
    uint64_t random;
    bool of_device[MAX_FD];
    bool no_openat2;
    uint64_t calls, at;
    int error;
    bool for_good, dead, failed;
    struct name names[MAX_NAMES];
    unsigned name_count;
} device;

uint64_t device_random(uint64_t limit)
{
    device.random = device.random * 6364136223846793005u + 1442695040888963407u;
    return (device.random >> 33) % limit;
}

static bool is_of_device(int fd)
{
    return fd >= 0 && fd < MAX_FD && device.of_device[fd];
}

/* Whether this call is the one that fails, or comes after it. */
static bool fails(void)
{
    device.calls++;
    if (!device.dead && (device.at == 0 || device.calls != device.at)) {
        return false;
    }

    device.dead = device.for_good;
    device.failed = true;
    errno = device.error;
    return true;
}

/* --- images --- */

static void image_clear(struct image *image)
{
    free(image->bytes);
    *image = (struct image){ 0 };
}

static void image_copy(struct image *to, const struct image *from)
{
    image_clear(to);
    to->exists = from->exists;
    to->size = from->size;
    to->bytes = malloc(from->size + 1);
    if (!to->bytes) {
        abort();
    }
    if (from->size > 0) {
        memcpy(to->bytes, from->bytes, from->size);
    }
}

static void image_read(struct image *image, const char *path)
{
    int fd = REAL(open64)(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    image_clear(image);
    if (fd < 0) {
        return;
    }
    image->bytes = malloc(MAX_SIZE);
    n = image->bytes ? REAL(pread64)(fd, image->bytes, MAX_SIZE, 0) : -1;
    if (n < 0 || n == MAX_SIZE) {
        abort();
    }
    image->exists = true;
    image->size = (size_t) n;
    (void) REAL(close)(fd);
}

static void image_write(const struct image *image, const char *path)
{
    int fd = REAL(open64)(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || REAL(pwrite64)(fd, image->bytes, image->size, 0) != (ssize_t) image->size) {
        abort();
    }
    (void) REAL(close)(fd);
}

/* --- names --- */

static void path_of_fd(int fd, char ret[static 300])
{
    char link[64];
    ssize_t n;

    (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, ret, 299);
    if (n < 0) {
        abort();
    }
    ret[n] = '\0';
}

static struct name *name_of(const char *path)
{
    for (unsigned i = 0; i < device.name_count; i++) {
        if (strcmp(device.names[i].path, path) == 0) {
            return &device.names[i];
        }
    }
    return NULL;
}

/* What is about to be changed, with what is durable of it. */
static struct name *touch(const char *path, bool is_directory)
{
    struct name *name = name_of(path);

    if (name) {
        return name;
    }
    if (device.name_count == MAX_NAMES) {
        abort();
    }

    name = &device.names[device.name_count++];
    *name = (struct name){ .is_directory = is_directory };
    (void) snprintf(name->path, sizeof(name->path), "%s", path);
    name->is_named = access(path, F_OK) == 0;
    if (!is_directory) {
        image_read(&name->durable, path);
        image_copy(&name->sent, &name->durable);
    }
    return name;
}

static void touch_fd(int fd)
{
    char path[300];

    path_of_fd(fd, path);
    (void) touch(path, false);
}

/* All names in a directory are durable, those that are gone as well. */
static void sync_names(const char *directory)
{
    size_t length = strlen(directory);

    for (unsigned i = 0; i < device.name_count; i++) {
        struct name *name = &device.names[i];

        if (strncmp(name->path, directory, length) == 0 && name->path[length] == '/' &&
            !strchr(name->path + length + 1, '/')) {
            name->is_named = access(name->path, F_OK) == 0;
            if (!name->is_named) {
                image_clear(&name->durable);
                image_clear(&name->sent);
            }
        }
    }
}

static void send(struct name *name)
{
    if (!name->is_directory) {
        image_read(&name->sent, name->path);
    }
}

static void flush(void)
{
    for (unsigned i = 0; i < device.name_count; i++) {
        image_copy(&device.names[i].durable, &device.names[i].sent);
    }
}

static void forget_names(void)
{
    for (unsigned i = 0; i < device.name_count; i++) {
        image_clear(&device.names[i].sent);
        image_clear(&device.names[i].durable);
    }
    device.name_count = 0;
}

/* --- for the test --- */

void device_plug(const char *directory, uint64_t seed)
{
    forget_names();
    (void) snprintf(device.directory, sizeof(device.directory), "%s", directory);
    device.length = strlen(directory);
    device.random = seed;
    device_fail_at(0, 0, false);
}

void device_unplug(void)
{
    forget_names();
    device.directory[0] = '\0';
    device.no_openat2 = false;
    device_fail_at(0, 0, false);
}

int device_open_root(void)
{
    int fd = REAL(open64)(device.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fd >= MAX_FD) {
        abort();
    }
    device.of_device[fd] = true;
    return fd;
}

void device_set_openat2(bool there)
{
    device.no_openat2 = !there;
}

void device_fail_at(uint64_t n, int error, bool for_good)
{
    device.calls = 0;
    device.at = n;
    device.error = error;
    device.for_good = for_good;
    device.dead = device.failed = false;
}

uint64_t device_calls(void)
{
    return device.calls;
}

bool device_has_failed(void)
{
    return device.failed;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void) status;
    (void) kind;
    (void) walk;
    return remove(path);
}

/* What stood in a sector before: zeros, anything, or rows of another day. */
static void fill_with_old(unsigned char *bytes, size_t size)
{
    static const char row[] = "2026-11-19T10:00:02.000Z,2026-11-19 11:00:02,Nm,2,,2\r\n";
    uint64_t kind = device_random(3);
    size_t shift = device_random(sizeof(row) - 1);

    for (size_t i = 0; i < size; i++) {
        const char old = row[(shift + i) % (sizeof(row) - 1)];

        bytes[i] = kind == 0 ? 0 : kind == 1 ? (unsigned char) device_random(256) : (unsigned char) old;
    }
}

/* Each sector is the durable one or the newer one, and so is the size. */
static void mix(const struct name *name, const struct image *now)
{
    struct image mixed = { .size = device_random(2) ? now->size : name->durable.size };

    mixed.bytes = malloc(mixed.size + SECTOR);
    if (!mixed.bytes) {
        abort();
    }
    for (size_t at = 0; at < mixed.size; at += SECTOR) {
        const struct image *from = device_random(2) ? now : &name->durable;
        size_t held = from->size > at ? from->size - at : 0;

        fill_with_old(mixed.bytes + at, SECTOR);
        if (held > 0) {
            memcpy(mixed.bytes + at, from->bytes + at, held < SECTOR ? held : SECTOR);
        }
        // The bytes of a sector that both have are written over with themselves.
        if (held < SECTOR && name->durable.size > at + held) {
            size_t more = name->durable.size - at - held;

            memcpy(mixed.bytes + at + held, name->durable.bytes + at + held,
                   more < SECTOR - held ? more : SECTOR - held);
        }
    }

    image_write(&mixed, name->path);
    image_clear(&mixed);
}

static void settle(struct name *name)
{
    struct image now = { 0 };

    if (name->is_directory) {
        if (!name->is_named && access(name->path, F_OK) == 0 && device_random(2)) {
            (void) nftw(name->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        }
        return;
    }

    image_read(&now, name->path);
    if (now.exists && !name->is_named && device_random(2)) {
        (void) unlink(name->path);
    } else if (now.exists) {
        mix(name, &now);
    } else if (name->is_named && device_random(2)) {
        image_write(&name->durable, name->path);  // its end had not got there
    }
    image_clear(&now);
}

void device_settle(void)
{
    for (unsigned i = 0; i < device.name_count; i++) {
        settle(&device.names[i]);
    }
    forget_names();
    device_fail_at(0, 0, false);
}

/* --- the calls --- */

static int opened(int fd)
{
    if (fd >= MAX_FD) {
        abort();
    }
    if (fd >= 0) {
        device.of_device[fd] = true;
    }
    return fd;
}

/* Before a file is made: its name is not durable yet. */
static void note_creation(int directory_fd, const char *path, uint64_t flags)
{
    char full[700];

    if (flags & O_CREAT) {
        path_of_fd(directory_fd, full);
        (void) snprintf(full + strlen(full), sizeof(full) - strlen(full), "/%s", path);
        (void) touch(full, false);
    }
}

long syscall(long number, ...)
{
    long a[6];
    va_list list;

    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(list, long);
    }
    va_end(list);
    if (number == SYS_openat2 && is_of_device((int) a[0])) {
        if (device.no_openat2) {
            errno = ENOSYS;
            return -1;
        }
        if (fails()) {
            return -1;
        }
        note_creation((int) a[0], (const char *) a[1], ((const struct open_how *) a[2])->flags);
        return opened((int) REAL(syscall)(number, a[0], a[1], a[2], a[3]));
    }
    return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int openat64(int directory_fd, const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    if (!is_of_device(directory_fd)) {
        return REAL(openat64)(directory_fd, path, flags, mode);
    }
    if (fails()) {
        return -1;
    }
    note_creation(directory_fd, path, (uint64_t) flags);
    return opened(REAL(openat64)(directory_fd, path, flags, mode));
}

int close(int fd)
{
    if (is_of_device(fd)) {
        device.of_device[fd] = false;
    }
    return REAL(close)(fd);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t offset)
{
    return is_of_device(fd) && fails() ? -1 : REAL(pread64)(fd, bytes, size, offset);
}

/* One that fails may have got some way; where there is no more room it says how far. */
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    bool trouble = is_of_device(fd) && fails();
    int error = errno;
    ssize_t n;

    if (is_of_device(fd)) {
        touch_fd(fd);
    }
    if (!trouble) {
        return REAL(pwrite64)(fd, bytes, size, offset);
    }

    n = REAL(pwrite64)(fd, bytes, device_random(size + 1), offset);
    errno = error;
    return error == ENOSPC && n > 0 ? n : -1;
}

int ftruncate64(int fd, off64_t size)
{
    if (is_of_device(fd)) {
        if (fails()) {
            return -1;
        }
        touch_fd(fd);
    }
    return REAL(ftruncate64)(fd, size);
}

int unlinkat(int directory_fd, const char *path, int flags)
{
    char full[700];

    if (is_of_device(directory_fd)) {
        if (fails()) {
            return -1;
        }
        path_of_fd(directory_fd, full);
        (void) snprintf(full + strlen(full), sizeof(full) - strlen(full), "/%s", path);
        (void) touch(full, false);
    }
    return REAL(unlinkat)(directory_fd, path, flags);
}

int mkdirat(int directory_fd, const char *path, mode_t mode)
{
    char full[700];

    if (is_of_device(directory_fd)) {
        if (fails()) {
            return -1;
        }
        path_of_fd(directory_fd, full);
        (void) snprintf(full + strlen(full), sizeof(full) - strlen(full), "/%s", path);
        (void) touch(full, true);
    }
    return REAL(mkdirat)(directory_fd, path, mode);
}

/* Nobody here waits for a disk. */
int fsync(int fd)
{
    char path[300];
    struct name *name;
    struct stat status;

    if (!is_of_device(fd)) {
        return 0;
    }
    if (fails()) {
        return -1;
    }

    path_of_fd(fd, path);
    if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) {
        sync_names(path);
    } else {
        name = name_of(path);
        if (name) {
            send(name);
        }
    }
    flush();
    return 0;
}

int fdatasync(int fd)
{
    return fsync(fd);
}

int syncfs(int fd)
{
    if (!is_of_device(fd)) {
        return 0;
    }
    if (fails()) {
        return -1;
    }

    for (unsigned i = 0; i < device.name_count; i++) {
        struct name *name = &device.names[i];

        if (name->is_directory || access(name->path, F_OK) == 0) {
            send(name);
        }
        name->is_named = access(name->path, F_OK) == 0;
    }
    return 0;
}
