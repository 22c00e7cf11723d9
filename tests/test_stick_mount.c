// SPDX-License-Identifier: MIT
// link: ms_outlet

/* Who sees a mount; what a stick's root says where there is no device. Mounting itself wants a kernel of its own. */

#include "tests/test.h"

#include "app/outlet/stick_mount.h"
#include "app/outlet/stick_root.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Lines as of proc(5), and of systemd's services. */
static const char mountinfo[] =
    "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
    "24 22 0:22 / /proc rw,nosuid shared:12 master:5 - proc proc rw\n"
    "300 22 0:25 / /run/with\\040blank rw master:11 - tmpfs tmpfs rw,mode=755\n"
    "31 22 0:26 / /run/lock rw,noexec - tmpfs shared:9 rw\n"
    "32 22 0:27 / /tmp rw unbindable propagate_from:3 master:2 shared:7 - tmpfs tmpfs rw\n"
    "33 22 0:28 / /end rw - tmpfs tmpfs rw";

static void test_who_sees_a_mount_stands_in_its_line(void)
{
    CHECK_EQ(stick_mount_sharing(mountinfo, 22), 1);
    CHECK_EQ(stick_mount_sharing(mountinfo, 24), 2);
    CHECK_EQ(stick_mount_sharing(mountinfo, 300), 0);  // gets others' mounts, gives none away
    CHECK_EQ(stick_mount_sharing(mountinfo, 31), 0);   // the name of a source is no field
    CHECK_EQ(stick_mount_sharing(mountinfo, 32), 2);
    CHECK_EQ(stick_mount_sharing(mountinfo, 33), 0);
    CHECK_EQ(stick_mount_sharing(mountinfo, 3), -ENOENT);
    CHECK_EQ(stick_mount_sharing(mountinfo, 2), -ENOENT);
    CHECK_EQ(stick_mount_sharing("", 22), -ENOENT);
    CHECK_EQ(stick_mount_sharing("22 1 0:1 / / rw shared:1", 22), 1);
}

static void fail_when_told(enum stick_state state, void *data)
{
    (void) state;
    *(bool *) data = true;
}

static void test_what_is_no_device_is_no_stick_and_is_not_touched(void)
{
    auto_stick_root struct stick_root *root = NULL;
    char directory[128], file[160];
    uint64_t bytes;
    bool told = false;
    int fd, r;

    snprintf(directory, sizeof(directory), "%s/test-mount-XXXXXX", TEST_BINARY_DIR);
    CHECK(mkdtemp(directory));
    snprintf(file, sizeof(file), "%s/sdz1", directory);

    // none at all, and a file by that name
    for (int made = 0; made <= 1; made++) {
        if (made) {
            fd = open(file, O_RDWR | O_CREAT, 0600);
            CHECK(fd >= 0);
            CHECK_EQ(write(fd, "precious", 8), 8);
            close(fd);
        }
        stick_root_free(root);
        CHECK_EQ(stick_root_new_volume(file, directory, &root), 0);
        CHECK_STR(stick_root_id(root), "sdz1");
        CHECK(!stick_root_is_in(root));
        r = stick_root_open(root, fail_when_told, &told, &fd);
        CHECK_EQ(r, -ENODEV);
        CHECK(!told && !stick_root_is_open(root));
        CHECK_EQ(stick_root_device_fd(root), -1);
        CHECK(!stick_root_space(root, &bytes));
        CHECK_EQ(stick_root_close(root), 0);
    }
    CHECK_EQ(unlink(file), 0);
    CHECK_EQ(rmdir(directory), 0);  // no mount point was made
}

TESTS(test_who_sees_a_mount_stands_in_its_line, test_what_is_no_device_is_no_stick_and_is_not_touched)
