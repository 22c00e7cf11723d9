/* SPDX-License-Identifier: MIT */

#include "app/outlet/stick_volume.h"

#include "app/base/log.h"
#include "app/base/text.h"
#include "app/outlet/stick_fsck.h"
#include "app/outlet/stick_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

/* Its name, before anything is done with it. */
static void peek(struct stick_volume *volume)
{
    auto_close int fd = open(volume->node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    uint8_t head[VOLUME_HEAD_SIZE];
    struct stat status;
    ssize_t n;

    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISBLK(status.st_mode) &&
        posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM) == 0 && (n = pread(fd, head, sizeof(head), 0)) > 0) {
        volume_look(head, (size_t) n, &volume->look);
    }
}

int stick_volume_init(struct stick_volume *volume, const char *node, const char *mount_parent)
{
    const char *slash = strrchr(node, '/');
    int r;

    *volume = (struct stick_volume){ .check_limit_ms = STICK_FSCK_LIMIT_MS, .pin_fd = -1, .root_fd = -1 };
    r = text_copy(volume->node, sizeof(volume->node), node);
    if (r >= 0) {
        r = text_copy(volume->parent, sizeof(volume->parent), mount_parent);
    }
    if (r < 0) {
        return r;
    }

    volume->name = volume->node + (slash ? slash + 1 - node : 0);
    peek(volume);
    return 0;
}

static void close_fds(struct stick_volume *volume)
{
    if (volume->root_fd >= 0) {
        (void) close(take_fd(&volume->root_fd));  // what matters was synced
    }
    if (volume->pin_fd >= 0) {
        (void) close(take_fd(&volume->pin_fd));
    }
}

bool stick_volume_is_in(const struct stick_volume *volume)
{
    struct stat status;

    return stat(volume->node, &status) == 0 && S_ISBLK(status.st_mode);
}

/* Remember in words what went wrong. Returns the error. */
PRINTF_LIKE(3, 4) static int fail(struct stick_volume *volume, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void) vsnprintf(volume->error, sizeof(volume->error), format, arguments);
    va_end(arguments);
    return error;
}

/* What the kernel says of a device that is not there any more, in several words. */
static int device_error(int error)
{
    return error == ENOENT || error == ENXIO || error == ENOMEDIUM ? -ENODEV : -error;
}

/* Claim the device: nobody has it mounted, and nobody mounts it while we look. */
static int claim(struct stick_volume *volume, int *ret_fd)
{
    auto_close int fd = open(volume->node, O_RDONLY | O_EXCL | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0) {
        if (errno == EBUSY) {
            return fail(volume, -EBUSY, "in use by another program");
        }
        if (errno == EACCES || errno == EPERM) {
            return fail(volume, -EIO, "%s may not be opened (%s)", volume->node, strerror(errno));
        }
        return device_error(errno);
    }
    if (!S_ISBLK(status.st_mode)) {
        return -ENODEV;
    }

    (void) posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);  // a few sectors, not a megabyte around each
    *ret_fd = take_fd(&fd);
    return 0;
}

static int read_at(int fd, uint64_t offset, void *ret, size_t size)
{
    ssize_t n = pread(fd, ret, size, (off_t) offset);

    if (n < 0) {
        return device_error(errno);
    }
    return (size_t) n < size ? -EUCLEAN : 0;  // the volume says that it is larger than the device
}

/* Names of what is not for us stand further within. */
static int look_at_name(struct stick_volume *volume, int fd)
{
    auto_free uint8_t *bytes = malloc(VOLUME_NAME_SIZE);
    ssize_t n;

    if (!bytes) {
        return -ENOMEM;
    }
    n = pread(fd, bytes, VOLUME_NAME_SIZE, 0);
    if (n < 0) {
        return device_error(errno);
    }

    volume_look(bytes, (size_t) n, &volume->look);
    return 0;
}

/* Which file system it is, and whether it is clean. Others than ours are refused. */
static int look(struct stick_volume *volume, int fd)
{
    uint8_t head[VOLUME_HEAD_SIZE], entries[VOLUME_ENTRY_SIZE], info[VOLUME_INFO_SIZE];
    ssize_t n = pread(fd, head, sizeof(head), 0);
    int r = 0;

    if (n < 0) {
        return device_error(errno);
    }
    volume_look(head, (size_t) n, &volume->look);
    if (volume->look.kind != VOLUME_FAT && volume->look.kind != VOLUME_EXFAT) {
        r = look_at_name(volume, fd);
        return r < 0 ? r : fail(volume, -EMEDIUMTYPE, "%s: only FAT and exFAT are written",
                                volume_kind_name(volume->look.kind));
    }

    // Windows' bits, which fsck does not touch: once it had been here, they count no more.
    if (volume->look.fat_offset && !volume->checked) {
        r = read_at(fd, volume->look.fat_offset, entries, sizeof(entries));
        if (r >= 0) {
            volume_look_at_fat(&volume->look, entries);
        }
    }
    if (r >= 0 && volume->look.info_offset) {
        r = read_at(fd, volume->look.info_offset, info, sizeof(info));
        if (r >= 0) {
            volume_look_at_info(&volume->look, info);
        }
    }
    return r == -EUCLEAN ? fail(volume, r, "damaged: it ends within its own tables") : r;
}

/* Damaged, and not repaired: said at each try until it is plugged again. */
static int fail_damaged(struct stick_volume *volume)
{
    const char *fsck = stick_fsck_name(volume->look.kind);

    if (volume->given_up == -ETIMEDOUT) {
        return fail(volume, -EUCLEAN, "damaged: %s did not end within %" PRIu64 " s", fsck,
                    volume->check_limit_ms / 1000);
    }
    if (volume->given_up == -ENOENT) {
        return fail(volume, -EUCLEAN, "damaged, and %s is not installed", fsck);
    }
    return fail(volume, -EUCLEAN, "damaged: %s could not repair it", fsck);
}

/* Have it repaired. The claim is given up for fsck, which has one of its own, and is ours again afterwards. */
static int check(struct stick_volume *volume, int *fd, stick_root_tell *tell, void *data)
{
    const char *fsck = stick_fsck_name(volume->look.kind);
    auto_close int open_fd = -1;
    int r;

    if (volume->given_up) {
        return fail_damaged(volume);
    }
    if (volume->look.kind == VOLUME_EXFAT) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
        open_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (open_fd < 0) {
            return device_error(errno);
        }
        (void) close(take_fd(fd));
    }

    log_info("stick %s was not left clean: %s is at work", volume->node, fsck);
    r = stick_fsck_run(volume->look.kind, open_fd >= 0 ? open_fd : *fd, volume->check_limit_ms, tell, data);
    if (r >= 0) {
        volume->checked = true;
        if (*fd < 0) {
            r = claim(volume, fd);
        }
        if (r >= 0) {
            r = look(volume, *fd);
        }
        if (r >= 0 && (volume->look.dirty || volume->look.failing)) {
            r = -EUCLEAN;
        }
        if (r != -EUCLEAN) {
            return r;
        }
    }

    if (r == -ECANCELED) {
        return fail(volume, r, "%s was stopped", fsck);
    }
    volume->given_up = r;
    return fail_damaged(volume);
}

/* What is mounted is seen by nobody else from now on. */
static int make_private(struct stick_volume *volume)
{
    int r = volume->is_private ? 0 : stick_mount_make_private(volume->parent);

    volume->is_private = r >= 0;
    return r >= 0 ? 0 : fail(volume, -EIO, "no mount namespace of our own (%s), and others would see the stick in %s",
                             strerror(-r), volume->parent);
}

static int mount_it(struct stick_volume *volume)
{
    int r;

    r = stick_mount(volume->pin_fd, volume->look.kind, volume->parent, volume->name, &volume->root_fd);
    switch (r) {
    case -EROFS:
        return fail(volume, r, "write-protected");
    case -EBUSY:
        return fail(volume, r, "in use by another program");
    case -EUCLEAN:
        return fail(volume, r, "damaged: the kernel does not accept it");
    case -EMEDIUMTYPE:
        return fail(volume, r, "%s is not known to this kernel", volume_kind_name(volume->look.kind));
    case -EACCES:
        return fail(volume, -EIO, "mounting is not allowed: CAP_SYS_ADMIN is needed");
    case -EPERM:
    case -ENOTEMPTY:
    case -EEXIST:
        return fail(volume, -EIO, "%s/%s is not an empty directory of our own", volume->parent, volume->name);
    case -ENOENT:
    case -ENXIO:
    case -ENOMEDIUM:
        return -ENODEV;
    }

    return r;
}

static int open_volume(struct stick_volume *volume, stick_root_tell *tell, void *data)
{
    auto_close int fd = -1;
    int r, protected = 0;
    char path[64];

    stick_mount_clear(volume->parent, volume->name);
    r = claim(volume, &fd);
    if (r >= 0) {
        r = look(volume, fd);
    }
    if (r >= 0) {
        r = make_private(volume);
    }
    if (r < 0) {
        return r;
    }
    if (ioctl(fd, BLKROGET, &protected) == 0 && protected) {
        return fail(volume, -EROFS, "write-protected");
    }
    if (volume->look.dirty || volume->look.failing) {
        r = check(volume, &fd, tell, data);
        if (r < 0) {
            return r;
        }
    }
    tell(STICK_WRITING, data);

    // From the claim to mount()'s own: the pin holds the device, whatever happens to its name.
    (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    volume->pin_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (volume->pin_fd < 0) {
        return device_error(errno);
    }
    (void) close(take_fd(&fd));
    return mount_it(volume);
}

int stick_volume_open(struct stick_volume *volume, stick_root_tell *tell, void *data)
{
    int r;

    *volume->error = '\0';
    r = open_volume(volume, tell, data);
    if (r < 0) {
        close_fds(volume);
        return r;
    }

    // FAT's flag that it is in use must not come after what is written now: without it nobody would call fsck.
    if (fsync(volume->pin_fd) < 0) {
        int error = errno;

        r = stick_volume_close(volume);
        return r < 0 ? r : device_error(error);
    }
    return 0;
}

/* The name once more: a device that is gone says so here, where umount() did not. */
static int flush_device(const struct stick_volume *volume)
{
    auto_close int fd = open(volume->node, O_RDONLY | O_CLOEXEC);
    struct stat before, now;

    if (fd < 0 || fstat(fd, &now) < 0 || fstat(volume->pin_fd, &before) < 0) {
        return device_error(errno);
    }
    if (now.st_rdev != before.st_rdev) {
        return -ENODEV;
    }

    return fsync(fd) < 0 ? device_error(errno) : 0;
}

int stick_volume_close(struct stick_volume *volume)
{
    int r, flush_r, sync_r;

    if (volume->root_fd < 0) {
        return 0;
    }

    // All else before the flag that says it is clean. An error that is told here is not told again by the flush below.
    sync_r = syncfs(volume->root_fd) < 0 || fsync(volume->pin_fd) < 0 ? device_error(errno) : 0;
    (void) close(take_fd(&volume->root_fd));  // what matters was synced
    r = stick_mount_end(volume->parent, volume->name);
    flush_r = flush_device(volume);
    close_fds(volume);
    if (flush_r < 0 || sync_r < 0) {
        return flush_r < 0 ? flush_r : sync_r;
    }
    return r < 0 ? fail(volume, -EIO, "it could not be unmounted (%s)", strerror(-r)) : 0;
}
