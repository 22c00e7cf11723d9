/* SPDX-License-Identifier: MIT */

#include "app/outlet/stick_mount.h"

#include "app/base/file.h"
#include "app/base/limits.h"
#include "app/base/log.h"
#include "app/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define FLAGS          (MS_NODEV | MS_NOSUID | MS_NOEXEC | MS_NOATIME)
#define OPTIONS        "uid=%u,gid=%u,fmask=0137,dmask=0027,errors=remount-ro%s"
#define MOUNTINFO_SIZE (1024 * 1024)
#define FDINFO_SIZE    4096

int stick_mount_sharing(const char *mountinfo, unsigned mount_id)
{
    while (mountinfo && *mountinfo) {
        const char *end = strchr(mountinfo, '\n');
        size_t size = end ? (size_t) (end - mountinfo) : strlen(mountinfo);
        char line[1024];
        unsigned id;

        // The optional fields stand before " - "; a mount point's own blanks are written as \040.
        (void) snprintf(line, sizeof(line), "%.*s", (int) MIN(size, sizeof(line) - 1), mountinfo);
        if (sscanf(line, "%u ", &id) == 1 && id == mount_id) {
            char *stop = strstr(line, " - ");

            if (stop) {
                *stop = '\0';
            }
            return !strstr(line, " shared:") ? 0 : strstr(line, " master:") ? 2 : 1;
        }
        mountinfo = end ? end + 1 : NULL;
    }

    return -ENOENT;
}

static int sharing_of(const char *directory)
{
    auto_close int fd = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    auto_free char *info = NULL, *mounts = NULL;
    const char *line;
    unsigned mount_id;
    char path[64];
    size_t size;
    int r;

    if (fd < 0) {
        return -errno;
    }
    (void) snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    r = file_read(path, FDINFO_SIZE, &info, &size);
    if (r >= 0) {
        r = file_read("/proc/self/mountinfo", MOUNTINFO_SIZE, &mounts, &size);
    }
    if (r < 0) {
        return r;
    }

    line = strstr(info, "mnt_id:");
    if (!line || sscanf(line, "mnt_id: %u", &mount_id) != 1) {
        return -EBADMSG;
    }
    return stick_mount_sharing(mounts, mount_id);
}

int stick_mount_make_private(const char *parent)
{
    int sharing = sharing_of(parent);

    if (sharing <= 0) {
        return sharing;
    }

    if (unshare(CLONE_NEWNS) < 0) {
        // Our unit does not let us, and need not: what is above it sends us its mounts, and gets none of ours.
        return sharing == 2 ? 0 : -errno;
    }
    if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0) {
        return -errno;
    }
    log_debug("a mount namespace of our own");
    return sharing_of(parent) == 0 ? 0 : -EPERM;
}

static int is_empty(int directory_fd)
{
    DIR *stream;
    const struct dirent *entry;
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), others = 0;

    stream = fd < 0 ? NULL : fdopendir(fd);
    if (!stream) {
        int error = -errno;

        if (fd >= 0) {
            (void) close(fd);
        }
        return error;
    }

    while ((entry = readdir(stream))) {
        others += !text_equal(entry->d_name, ".") && !text_equal(entry->d_name, "..");
    }
    (void) closedir(stream);
    return others == 0;
}

/* The directory to mount at: ours alone, empty, and not mounted on. */
static int open_point(const char *parent, const char *name, int *ret_fd)
{
    auto_close int parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
    struct stat above, status;
    int r;

    if (parent_fd < 0 || fstat(parent_fd, &above) < 0) {
        return -errno;
    }
    if (mkdirat(parent_fd, name, 0700) < 0 && errno != EEXIST) {
        return -errno;
    }
    fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0) {
        return -errno;
    }

    if (status.st_dev != above.st_dev) {
        return -EEXIST;
    }
    if (status.st_uid != geteuid() || (status.st_mode & 077)) {
        return -EPERM;
    }
    r = is_empty(fd);
    if (r <= 0) {
        return r < 0 ? r : -ENOTEMPTY;
    }

    *ret_fd = take_fd(&fd);
    return 0;
}

static int translate(int error)
{
    switch (error) {
    case EINVAL:
        return -EUCLEAN;
    case ENODEV:
        return -EMEDIUMTYPE;
    case EPERM:
        return -EACCES;
    }

    return -error;
}

void stick_mount_clear(const char *parent, const char *name)
{
    struct stat above, status;
    char path[PATH_SIZE];

    if (file_path(path, sizeof(path), parent, name) < 0 || stat(parent, &above) < 0 || lstat(path, &status) < 0 ||
        status.st_dev == above.st_dev) {
        return;
    }

    log_info("%s is still mounted, since a process was killed: unmounting it", path);
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0) {
        log_debug("%s: not unmounted (%s)", path, strerror(errno));  // it is found to be in use
    }
}

int stick_mount(int device_fd, enum volume_kind kind, const char *parent, const char *name, int *ret_fd)
{
    auto_close int point_fd = -1, root_fd = -1;
    char source[64], point[64], options[128], path[PATH_SIZE];
    struct stat device, root;
    int r;

    r = file_path(path, sizeof(path), parent, name);
    if (r >= 0) {
        r = open_point(parent, name, &point_fd);
    }
    if (r < 0) {
        return r;
    }

    // By descriptor: names may have come to mean something else.
    (void) snprintf(source, sizeof(source), "/proc/self/fd/%d", device_fd);
    (void) snprintf(point, sizeof(point), "/proc/self/fd/%d", point_fd);
    (void) snprintf(options, sizeof(options), OPTIONS, (unsigned) geteuid(), (unsigned) getegid(),
                   kind == VOLUME_FAT ? ",utf8=1" : "");
    if (mount(source, point, kind == VOLUME_FAT ? "vfat" : "exfat", FLAGS, options) < 0) {
        return translate(errno);
    }

    root_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root_fd < 0 || fstat(root_fd, &root) < 0 || fstat(device_fd, &device) < 0) {
        r = -errno;
    } else if (root.st_dev != device.st_rdev) {
        r = -EUCLEAN;  // what is open is not the stick: not a byte goes there
    } else if (root.st_uid != geteuid() || (root.st_mode & 0777) != 0750) {
        r = -EBUSY;  // somebody mounted it an instant before us: that mount, with its options, is what we would share
    }
    if (r < 0) {
        if (root_fd >= 0) {
            (void) close(take_fd(&root_fd));
        }
        (void) umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);  // nothing was written
        return r;
    }

    *ret_fd = take_fd(&root_fd);
    return 0;
}

int stick_mount_end(const char *parent, const char *name)
{
    char path[PATH_SIZE];
    int r;

    r = file_path(path, sizeof(path), parent, name);
    if (r < 0) {
        return r;
    }
    if (umount2(path, UMOUNT_NOFOLLOW) == 0) {
        return 0;
    }

    r = -errno;
    (void) umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
    return r;
}
