/* SPDX-License-Identifier: MIT */

#include "app/outlet/stick_root.h"

#include "app/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct stick_root {
    char directory[PATH_SIZE];
    int fd;
};

int stick_root_new_directory(const char *directory, struct stick_root **ret)
{
    auto_stick_root struct stick_root *root = calloc(1, sizeof(*root));
    int r;

    if (!root) {
        return -ENOMEM;
    }
    root->fd = -1;

    r = text_copy(root->directory, sizeof(root->directory), directory);
    if (r < 0) {
        return r;
    }

    *ret = TAKE(root);
    return 0;
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
    return root->directory;
}

bool stick_root_is_in(const struct stick_root *root)
{
    struct stat status;

    return stat(root->directory, &status) == 0 && S_ISDIR(status.st_mode);
}

int stick_root_open(struct stick_root *root, stick_root_tell *tell, void *data, int *ret_fd)
{
    (void) tell;
    (void) data;
    root->fd = open(root->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root->fd < 0) {
        return errno == ENOENT || errno == ENOTDIR ? -ENODEV : -errno;
    }

    *ret_fd = root->fd;
    return 0;
}

bool stick_root_is_open(const struct stick_root *root)
{
    return root->fd >= 0;
}

int stick_root_device_fd(const struct stick_root *root)
{
    (void) root;
    return -1;
}

const char *stick_root_error(const struct stick_root *root)
{
    (void) root;
    return NULL;
}

int stick_root_close(struct stick_root *root)
{
    if (root->fd >= 0) {
        (void) close(take_fd(&root->fd));  // what matters was synced
    }
    return 0;
}
