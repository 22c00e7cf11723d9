/* SPDX-License-Identifier: MIT */
// link: ms_base
#include "tests/test.h"

#include "app/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* A directory of the test's own; each test leaves it empty. */
static char scratch[] = "/tmp/meterstick-file-XXXXXX";

static const char *at(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    static bool made;
    char *path = paths[next++ % 4];

    if (!made) {
        made = mkdtemp(scratch) != NULL;
        CHECK(made);
    }
    CHECK_EQ(file_path(path, sizeof(paths[0]), scratch, name), 0);
    return path;
}

static void check_content(const char *name, const char *expected)
{
    auto_free char *text = NULL;
    size_t size = 0;

    CHECK_EQ(file_read(at(name), 1 << 20, &text, &size), 0);
    CHECK_STR(text, expected);
    CHECK_EQ(size, strlen(expected));
}

static void test_a_file_is_replaced_whole_and_nothing_stays_beside_it(void)
{
    struct stat status;

    CHECK_EQ(file_replace(at("status"), "first, the longer one", 21, 0640, false), 0);
    check_content("status", "first, the longer one");
    CHECK_EQ(file_replace(at("status"), "second", 6, 0640, true), 0);
    check_content("status", "second");
    CHECK_EQ(stat(at("status"), &status), 0);
    CHECK_EQ(status.st_mode & 0777, 0640);
    CHECK_EQ(access(at("status.tmp"), F_OK), -1);
    CHECK_EQ(unlink(at("status")), 0);
}

static void test_the_mode_is_the_callers_whatever_the_umask(void)
{
    mode_t before = umask(0077);
    struct stat status;

    CHECK_EQ(file_replace(at("status"), "x", 1, 0644, false), 0);
    (void) umask(before);
    CHECK_EQ(stat(at("status"), &status), 0);
    CHECK_EQ(status.st_mode & 0777, 0644);
    CHECK_EQ(unlink(at("status")), 0);
}

static void test_a_rest_of_an_earlier_try_does_no_harm(void)
{
    CHECK_EQ(file_replace(at("status.tmp"), "a rest that is longer", 21, 0644, false), 0);
    CHECK_EQ(file_replace(at("status"), "new", 3, 0644, false), 0);
    check_content("status", "new");
    CHECK_EQ(unlink(at("status")), 0);
}

static void test_a_link_in_the_place_of_the_temporary_file_is_not_followed(void)
{
    CHECK_EQ(file_replace(at("victim"), "old", 3, 0644, false), 0);
    CHECK_EQ(symlink("victim", at("status.tmp")), 0);
    CHECK_EQ(file_replace(at("status"), "new", 3, 0644, false), -ELOOP);
    check_content("victim", "old");
    CHECK_EQ(unlink(at("status.tmp")), 0);
    CHECK_EQ(unlink(at("victim")), 0);
}

static void test_what_cannot_be_replaced_stays_as_it_was(void)
{
    CHECK_EQ(file_replace(at("none/status"), "x", 1, 0644, false), -ENOENT);
    CHECK_EQ(mkdir(at("directory"), 0755), 0);
    CHECK_EQ(file_replace(at("directory"), "x", 1, 0644, false), -EISDIR);
    CHECK_EQ(access(at("directory.tmp"), F_OK), -1);
    CHECK_EQ(rmdir(at("directory")), 0);
}

static atomic_bool stop_reading;

/* Reads a path over and over; only whole contents may be seen. */
static void *watch(void *data)
{
    uintptr_t torn = 0;

    while (!stop_reading) {
        auto_free char *text = NULL;
        size_t size = 0;

        if (file_read(data, 1 << 20, &text, &size) != 0 || (size != 10 && size != 20000)) {
            torn++;
        }
    }
    return (void *) torn;
}

static void test_a_reader_sees_the_old_or_the_new_file_never_half(void)
{
    static char large[20000], path[256];
    pthread_t reader;
    void *torn = NULL;
    bool failed = false;

    memset(large, 'x', sizeof(large));
    CHECK_EQ(file_path(path, sizeof(path), at("."), "status"), 0);
    CHECK_EQ(file_replace(path, large, 10, 0644, false), 0);
    CHECK_EQ(pthread_create(&reader, NULL, watch, path), 0);
    for (int i = 0; i < 500; i++) {
        failed |= file_replace(path, large, i % 2 ? 10 : sizeof(large), 0644, false) != 0;
    }
    stop_reading = true;
    CHECK_EQ(pthread_join(reader, &torn), 0);
    CHECK(!failed && torn == NULL);
    CHECK_EQ(unlink(path), 0);
}

static void test_a_full_card_is_told_and_the_old_file_stays(void)
{
    struct rlimit before, small;
    char bytes[10000] = { 0 };
    int r;

    CHECK_EQ(file_replace(at("status"), "old", 3, 0644, false), 0);
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){ .rlim_cur = 5000, .rlim_max = before.rlim_max };
    (void) signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    r = file_replace(at("status"), bytes, sizeof(bytes), 0644, false);  // 5000 bytes go, then none
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK_EQ(r, -EFBIG);
    check_content("status", "old");
    CHECK_EQ(access(at("status.tmp"), F_OK), -1);
    CHECK_EQ(unlink(at("status")), 0);

    r = open("/dev/full", O_WRONLY | O_CLOEXEC);
    CHECK(r >= 0);
    CHECK_EQ(file_write_all(r, "x", 1), -ENOSPC);
    CHECK_EQ(file_write_all(r, "", 0), 0);
    (void) close(r);
}

static void *drain(void *data)
{
    char bytes[1000];
    size_t sum = 0;
    ssize_t count;

    while ((count = read(*(int *) data, bytes, sizeof(bytes))) > 0) {
        sum += (size_t) count;
    }
    return (void *) sum;
}

static void test_short_writes_are_gone_on_with(void)
{
    static char bytes[300000];  // several times what a pipe holds
    int ends[2];
    pthread_t reader;
    void *sum;

    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(pthread_create(&reader, NULL, drain, &ends[0]), 0);
    CHECK_EQ(file_write_all(ends[1], bytes, sizeof(bytes)), 0);
    (void) close(ends[1]);
    CHECK_EQ(pthread_join(reader, &sum), 0);
    CHECK_EQ((uintptr_t) sum, sizeof(bytes));
    (void) close(ends[0]);
    CHECK_EQ(file_write_all(-1, "x", 1), -EBADF);
}

static void test_a_file_is_read_up_to_its_limit(void)
{
    auto_free char *text = NULL, *zeros = NULL, *kernel = NULL;
    char *none = NULL;
    size_t size = 7;

    CHECK_EQ(file_replace(at("file"), "12345", 5, 0644, false), 0);
    CHECK_EQ(file_read(at("file"), 5, &text, &size), 0);
    CHECK_STR(text, "12345");
    CHECK_EQ(size, 5);
    CHECK_EQ(file_read(at("file"), 4, &none, &size), -EFBIG);
    CHECK_EQ(file_read(at("absent"), 4, &none, &size), -ENOENT);
    CHECK_EQ(file_read(scratch, 4, &none, &size), -EISDIR);
    CHECK(none == NULL);
    CHECK_EQ(size, 5);

    CHECK_EQ(file_replace(at("file"), "a\0b", 3, 0644, false), 0);
    CHECK_EQ(file_read(at("file"), 100, &zeros, &size), 0);
    CHECK_EQ(size, 3);
    CHECK_EQ(memcmp(zeros, "a\0b", 4), 0);
    CHECK_EQ(unlink(at("file")), 0);

    CHECK_EQ(file_read("/proc/self/smaps", 1 << 20, &kernel, &size), 0);  // its size says 0
    CHECK(size > 4096);
    CHECK_EQ(strlen(kernel), size);
    CHECK_EQ(file_read("/dev/zero", 100000, &none, &size), -EFBIG);
}

static void test_a_pipe_without_a_writer_is_not_waited_for(void)
{
    auto_free char *text = NULL;
    size_t size = 7;

    CHECK_EQ(mkfifo(at("pipe"), 0600), 0);
    CHECK_EQ(file_read(at("pipe"), 100, &text, &size), 0);
    CHECK_EQ(size, 0);
    CHECK_EQ(unlink(at("pipe")), 0);
}

static void test_a_copy_is_the_same_and_what_was_there_goes(void)
{
    auto_free char *text = NULL, *bytes = malloc(100000);
    size_t size;

    CHECK(bytes);
    for (size_t i = 0; i < 100000; i++) {
        bytes[i] = (char) (i * 7 + i / 1000);
    }
    CHECK_EQ(file_copy(at("none"), at("copy"), 0640), -ENOENT);
    CHECK_EQ(access(at("copy"), F_OK), -1);
    CHECK_EQ(file_replace(at("old"), bytes, 100000, 0644, false), 0);
    CHECK_EQ(file_copy(at("old"), at("copy"), 0640), 0);
    CHECK_EQ(file_read(at("copy"), 200000, &text, &size), 0);
    CHECK_EQ(size, 100000);
    CHECK_EQ(memcmp(text, bytes, size), 0);
    CHECK_EQ(file_replace(at("old"), "x", 1, 0644, false), 0);
    CHECK_EQ(file_copy(at("old"), at("copy"), 0640), 0);
    free(TAKE(text));
    CHECK_EQ(file_read(at("copy"), 200000, &text, &size), 0);
    CHECK_STR(text, "x");
    CHECK_EQ(unlink(at("old")), 0);
    CHECK_EQ(unlink(at("copy")), 0);
}

static void test_directories_are_made_as_deep_as_needed(void)
{
    struct stat status;

    CHECK_EQ(file_make_directories(at("a/b/c"), 0755), 0);
    CHECK_EQ(stat(at("a/b/c"), &status), 0);
    CHECK(S_ISDIR(status.st_mode));
    CHECK_EQ(file_make_directories(at("a/b/c"), 0755), 0);
    CHECK_EQ(file_make_directories(at("a//b/d/"), 0755), 0);
    CHECK_EQ(file_make_directories("/", 0755), 0);
    CHECK_EQ(file_make_directories("", 0755), -ENOENT);
    CHECK_EQ(rmdir(at("a/b/d")), 0);
    CHECK_EQ(rmdir(at("a/b/c")), 0);
    CHECK_EQ(rmdir(at("a/b")), 0);
    CHECK_EQ(rmdir(at("a")), 0);
}

static void test_a_file_in_the_place_of_a_directory_is_told(void)
{
    CHECK_EQ(file_replace(at("file"), "x", 1, 0644, false), 0);
    CHECK_EQ(file_make_directories(at("file"), 0755), -ENOTDIR);
    CHECK_EQ(file_make_directories(at("file/sub"), 0755), -ENOTDIR);
    check_content("file", "x");
    CHECK_EQ(unlink(at("file")), 0);
}

static void test_a_locked_file_is_busy_until_its_holder_closes_it(void)
{
    int fd = -1, other = -1;

    CHECK_EQ(file_lock(at("lock"), &fd), 0);
    CHECK_EQ(file_lock(at("lock"), &other), -EBUSY);
    CHECK_EQ(other, -1);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(file_lock(at("lock"), &other), 0);
    CHECK_EQ(close(other), 0);
    CHECK_EQ(file_lock(at("absent/lock"), &fd), -ENOENT);
    CHECK_EQ(unlink(at("lock")), 0);
}

static void test_a_path_that_does_not_fit_is_refused(void)
{
    char path[10], program[10], long_name[5000];

    memset(long_name, 'x', sizeof(long_name));
    long_name[4999] = '\0';
    CHECK_EQ(file_path(path, sizeof(path), "/dir", "name"), 0);
    CHECK_STR(path, "/dir/name");
    CHECK_EQ(file_path(path, sizeof(path), "/dir", "names"), -ENAMETOOLONG);
    CHECK_EQ(file_make_directories(long_name, 0755), -ENAMETOOLONG);
    CHECK_EQ(file_replace(long_name, "x", 1, 0644, false), -ENAMETOOLONG);
    CHECK_EQ(file_program_directory(program, 2), -ENAMETOOLONG);
}

static void test_the_program_knows_where_it_stands(void)
{
    char directory[4096], path[4200];

    CHECK_EQ(file_program_directory(directory, sizeof(directory)), 0);
    CHECK_EQ(file_path(path, sizeof(path), directory, "test_file"), 0);
    CHECK_EQ(access(path, X_OK), 0);
}

static void test_the_scratch_directory_is_empty_again(void)
{
    CHECK_EQ(rmdir(scratch), 0);
}

TESTS(test_a_copy_is_the_same_and_what_was_there_goes, test_a_file_is_replaced_whole_and_nothing_stays_beside_it,
      test_the_mode_is_the_callers_whatever_the_umask, test_a_rest_of_an_earlier_try_does_no_harm,
      test_a_link_in_the_place_of_the_temporary_file_is_not_followed,
      test_what_cannot_be_replaced_stays_as_it_was, test_a_reader_sees_the_old_or_the_new_file_never_half,
      test_a_full_card_is_told_and_the_old_file_stays, test_short_writes_are_gone_on_with,
      test_a_file_is_read_up_to_its_limit, test_a_pipe_without_a_writer_is_not_waited_for,
      test_directories_are_made_as_deep_as_needed, test_a_file_in_the_place_of_a_directory_is_told,
      test_a_locked_file_is_busy_until_its_holder_closes_it, test_a_path_that_does_not_fit_is_refused,
      test_the_program_knows_where_it_stands,
      test_the_scratch_directory_is_empty_again)
