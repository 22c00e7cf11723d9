/* SPDX-License-Identifier: MIT */

#include "app/outlet/stick_root.h"

#include "app/base/text.h"
#include "app/outlet/stick_volume.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

struct stick_root {
    bool is_volume;
    struct stick_volume volume;
    char directory[PATH_SIZE];
    int fd;                     // of the directory kind
};

static struct stick_root *new_root(void)
{
    struct stick_root *root = calloc(1, sizeof(*root));

    if (root) {
        root->fd = -1;
    }
    return root;
}

int stick_root_new_directory(const char *directory, struct stick_root **ret)
{
    auto_stick_root struct stick_root *root = new_root();
    int r;

    if (!root) {
        return -ENOMEM;
    }

    r = text_copy(root->directory, sizeof(root->directory), directory);
    if (r < 0) {
        return r;
    }

    *ret = TAKE(root);
    return 0;
}

int stick_root_new_volume(const char *node, const char *mount_parent, struct stick_root **ret)
{
    auto_stick_root struct stick_root *root = new_root();
    int r;

    if (!root) {
        return -ENOMEM;
    }

    r = stick_volume_init(&root->volume, node, mount_parent);
    if (r < 0) {
        return r;
    }
    root->is_volume = true;

    *ret = TAKE(root);
    return 0;
}

void stick_root_set_check_limit(struct stick_root *root, uint64_t ms)
{
    root->volume.check_limit_ms = ms;
}

void stick_root_free(struct stick_root *root)
{
    if (root) {
        (void) stick_root_close(root);  // who wants to know closes it before
        free(root);
    }
}

void stick_root_freep(struct stick_root **root)
{
    stick_root_free(*root);
}

const char *stick_root_id(const struct stick_root *root)
{
    if (root->is_volume) {
        return *root->volume.look.id ? root->volume.look.id : root->volume.name;
    }
    return root->directory;
}

bool stick_root_is_volume(const struct stick_root *root)
{
    return root->is_volume;
}

bool stick_root_is_in(const struct stick_root *root)
{
    struct stat status;

    if (root->is_volume) {
        return stick_volume_is_in(&root->volume);
    }
    return stat(root->directory, &status) == 0 && S_ISDIR(status.st_mode);
}

int stick_root_open(struct stick_root *root, stick_root_tell *tell, void *data, int *ret_fd)
{
    int r;

    if (root->is_volume) {
        r = stick_volume_open(&root->volume, tell, data);
        if (r < 0) {
            return r;
        }
        *ret_fd = root->volume.root_fd;
        return 0;
    }

    root->fd = open(root->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root->fd < 0) {
        return errno == ENOENT || errno == ENOTDIR ? -ENODEV : -errno;
    }

    if (tell) {
        tell(STICK_WRITING, data);
    }
    *ret_fd = root->fd;
    return 0;
}

bool stick_root_is_open(const struct stick_root *root)
{
    return (root->is_volume ? root->volume.root_fd : root->fd) >= 0;
}

int stick_root_device_fd(const struct stick_root *root)
{
    return root->is_volume ? root->volume.pin_fd : -1;
}

bool stick_root_space(const struct stick_root *root, uint64_t *ret_bytes)
{
    struct statvfs status;

    // Never fstatvfs() on FAT: the first one after each mount reads the whole table. exFAT has counted at the mount.
    if (root->is_volume && root->volume.look.kind == VOLUME_FAT) {
        *ret_bytes = root->volume.look.free_bytes;
        return root->volume.look.free_known;
    }
    if (!stick_root_is_open(root) || fstatvfs(root->is_volume ? root->volume.root_fd : root->fd, &status) < 0) {
        return false;
    }

    *ret_bytes = (uint64_t) status.f_bavail * status.f_frsize;
    return true;
}

const char *stick_root_error(const struct stick_root *root)
{
    return root->is_volume && *root->volume.error ? root->volume.error : NULL;
}

int stick_root_close(struct stick_root *root)
{
    if (root->is_volume) {
        return stick_volume_close(&root->volume);
    }
    if (root->fd >= 0) {
        (void) close(take_fd(&root->fd));  // what matters was synced
    }
    return 0;
}
