// SPDX-License-Identifier: MIT
// link: ms_outlet -Wl,--wrap=fsync -Wl,--wrap=unlinkat -Wl,--wrap=renameat -Wl,--wrap=fstatfs64
//
// In which order a stick gets what belongs together: D the directory, F the file, U an old name gone, R a name taken.
// On exFAT a page whose entry came before its chain led fsck.exfat into the clusters of a CSV file, of which it
// cut four rows; one of 1,331 moments of a power cut.

#include "tests/test.h"

#include "app/outlet/cursor.h"
#include "app/outlet/page_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static char folder[128], order[64];
static int folder_fd;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);

int __real_fstatfs64(int fd, struct statfs *ret);
int __wrap_fstatfs64(int fd, struct statfs *ret);

static bool is_exfat;

static int did(int r, const char *what)
{
    if (r == 0) {
        strncat(order, what, sizeof(order) - strlen(order) - 1);
    }
    return r;
}

int __wrap_fsync(int fd)
{
    struct stat status;

    CHECK_EQ(fstat(fd, &status), 0);
    return did(__real_fsync(fd), S_ISDIR(status.st_mode) ? "D" : "F");
}

int __wrap_unlinkat(int fd, const char *name, int flags)
{
    return did(__real_unlinkat(fd, name, flags), "U");
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return did(__real_renameat(from_fd, from, to_fd, to), "R");
}

/* What fstatfs() is called with _FILE_OFFSET_BITS=64. */
int __wrap_fstatfs64(int fd, struct statfs *ret)
{
    int r = __real_fstatfs64(fd, ret);

    if (r == 0 && is_exfat) {
        ret->f_type = EXFAT_SUPER_MAGIC;
    }
    return r;
}

static void make_folder(void)
{
    snprintf(folder, sizeof(folder), "%s/test-sync-order-XXXXXX", TEST_BINARY_DIR);
    CHECK(mkdtemp(folder));
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    CHECK(folder_fd >= 0);
}

static void remove_folder(const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CHECK_EQ(unlinkat(folder_fd, names[i], 0), 0);
    }
    close(folder_fd);
    CHECK_EQ(rmdir(folder), 0);
}

static void write_page(const char *text)
{
    auto_page_file struct page_file file = { .fd = -1 };

    *order = '\0';
    CHECK_EQ(page_file_begin(&file, folder_fd, "status.txt"), 0);
    page_file_add(&file, text, strlen(text));
    CHECK_EQ(page_file_end(&file), 0);
}

static void test_a_page_has_its_chain_then_its_size_then_its_name(void)
{
    make_folder();
    write_page("the first");
    CHECK_STR(order, "DFRD");
    write_page("the second");
    CHECK_STR(order, "DFRD");  // nobody ever sees none
    is_exfat = true;
    write_page("the third");
    CHECK_STR(order, "DFUDRD");
    is_exfat = false;
    remove_folder((const char *const[]){ "status.txt" }, 1);
}

static void save(struct cursor *cursor)
{
    *order = '\0';
    CHECK_EQ(cursor_save(folder_fd, cursor), 0);
}

static void test_a_cursor_that_outgrows_its_clusters_does_too(void)
{
    auto_cursor struct cursor cursor = { .journal = "01234567-89ab-4cde-8f01-23456789abcd" };
    struct cursor_file *file;

    make_folder();
    save(&cursor);
    CHECK_STR(order, "DF");
    save(&cursor);
    CHECK_STR(order, "DF");
    save(&cursor);
    CHECK_STR(order, "F");  // where it stood, two before

    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(cursor_add_file(&cursor, &file), 0);
        snprintf(file->name, sizeof(file->name), "kitchen/boot-%d.csv", i);
    }
    save(&cursor);
    CHECK_STR(order, "DF");
    remove_folder((const char *const[]){ ".cursor.0", ".cursor.1" }, 2);
}

TESTS(test_a_page_has_its_chain_then_its_size_then_its_name, test_a_cursor_that_outgrows_its_clusters_does_too)
