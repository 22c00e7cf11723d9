// SPDX-License-Identifier: MIT
// link: ms_outlet

#include "tests/test.h"

#include "app/outlet/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char folder[128];
static int folder_fd;

static void make(const char *path, const char *content)
{
    int fd = openat(folder_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, content, strlen(content)), strlen(content));
    (void) close(fd);
}

static void make_tree(void)
{
    snprintf(folder, sizeof(folder), "%s/test-tree-XXXXXX", TEST_BINARY_DIR);
    CHECK(mkdtemp(folder));
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    CHECK(folder_fd >= 0);
    CHECK_EQ(mkdirat(folder_fd, "a", 0755), 0);
    CHECK_EQ(mkdirat(folder_fd, "a/b", 0755), 0);
    make("file", "here");
    make("a/b/file", "below");
    CHECK_EQ(symlinkat("a", folder_fd, "link"), 0);
    CHECK_EQ(symlinkat("file", folder_fd, "file-link"), 0);
    CHECK_EQ(symlinkat("/etc", folder_fd, "away"), 0);
}

static void remove_tree(void)
{
    static const char *const files[] = { "file", "a/b/file", "a/new", "link", "file-link", "away" };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void) unlinkat(folder_fd, files[i], 0);
    }
    (void) unlinkat(folder_fd, "a/b", AT_REMOVEDIR);
    (void) unlinkat(folder_fd, "a/c", AT_REMOVEDIR);
    (void) unlinkat(folder_fd, "a", AT_REMOVEDIR);
    (void) close(folder_fd);
    (void) rmdir(folder);
}

static const struct {
    const char *path;
    int flags, expect;  // 0 = opened
} cases[] = {
    { "file",          O_RDONLY,                     0 },
    { "a",             O_RDONLY | O_DIRECTORY,       0 },
    { "a/b/file",      O_RDWR,                       0 },
    { "a/new",         O_RDWR | O_CREAT | O_EXCL,    0 },
    { "a/b/file",      O_RDWR | O_CREAT | O_EXCL,    -EEXIST },
    { "none",          O_RDONLY,                     -ENOENT },
    { "none/file",     O_RDONLY,                     -ENOENT },
    { "file/file",     O_RDONLY,                     -ENOTDIR },
    { "link/b/file",   O_RDONLY,                     -ELOOP },
    { "file-link",     O_RDONLY,                     -ELOOP },
    { "away/passwd",   O_RDONLY,                     -ELOOP },
    { "../x",          O_RDONLY,                     -EXDEV },
    { "a/../../x",     O_RDONLY,                     -EXDEV },
    { "/etc/passwd",   O_RDONLY,                     -EXDEV },
};

static void check_cases(void)
{
    make_tree();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = tree_open(folder_fd, cases[i].path, cases[i].flags);

        if (cases[i].expect == 0 ? fd < 0 : fd != cases[i].expect) {
            fail_msg("%s: %d", cases[i].path, fd);
        }
        if (fd >= 0) {
            CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
            (void) close(fd);
        }
    }

    int fd = tree_open_directory(folder_fd, "a");
    int made = tree_open_directory(fd, "c");

    CHECK(fd >= 0 && made >= 0);
    (void) close(made);
    (void) close(fd);
    remove_tree();
}

static void test_what_is_below_is_opened_and_nothing_else(void)
{
    check_cases();
}

/* /proc in /: another file system. */
static void check_other_file_system(void)
{
    int root = open("/", O_RDONLY | O_DIRECTORY);

    CHECK_EQ(tree_open(root, "proc/self/status", O_RDONLY), -EXDEV);
    CHECK_EQ(tree_open(root, "proc", O_RDONLY | O_DIRECTORY), -EXDEV);
    (void) close(root);
}

static void test_another_file_system_is_not_entered(void)
{
    check_other_file_system();
}

/* From here on the kernel of this process has no openat2(). */
static void test_a_sandbox_without_openat2_makes_no_difference(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = sizeof(filter) / sizeof(filter[0]), .filter = filter };

    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    CHECK_EQ(syscall(SYS_openat2, -1, "", NULL, 0), -1);
    CHECK_EQ(errno, ENOSYS);
    check_cases();
    check_other_file_system();
}

TESTS(test_what_is_below_is_opened_and_nothing_else, test_another_file_system_is_not_entered,
      test_a_sandbox_without_openat2_makes_no_difference)
