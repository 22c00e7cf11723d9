/* SPDX-License-Identifier: MIT */
// link: ms_drivers ms_base
#include "tests/test.h"

#include "app/base/clock.h"
#include "app/base/file.h"
#include "drivers/source_ops.h"

#include <dirent.h>
#include <errno.h>
#include <sys/wait.h>

static struct sample sample;

static struct layout columns_of(const char *const *names, const char *const *units, unsigned count)
{
    struct layout columns = { .count = count };

    for (unsigned i = 0; i < count; i++) {
        snprintf(columns.columns[i].name, QUANTITY_NAME_SIZE, "%s", names[i]);
        snprintf(columns.columns[i].unit, UNIT_SIZE, "%s", units[i]);
        columns.columns[i].quantity = quantity_find(names[i]);
    }
    return columns;
}

static struct source *open_command(const char *command)
{
    static const char *const names[] = { "-", "voltage", "power_active", "power_factor_direction" };
    static const char *const units[] = { "", "V", "kW", "" };
    static struct layout columns;
    struct source *source = NULL;

    columns = columns_of(names, units, 4);
    CHECK_EQ(source_exec_open(&(struct source_setup){ .kind = SOURCE_EXEC,
                                                      .meter = "kitchen",
                                                      .command = command,
                                                      .columns = &columns },
                              &source),
             0);
    return source;
}

/* Run a command once, within so many ms. Returns what source_next() does; the problem goes to *problem. */
static int run(const char *command, unsigned ms, char problem[static 256])
{
    struct source *source = open_command(command);
    int r = source->ops->next(source, clock_monotonic_us() + ms * 1000u, &sample);

    snprintf(problem, 256, "%s", source->ops->problem(source));
    source->ops->close(source);
    return r;
}

static unsigned open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    while (readdir(directory)) {
        count++;
    }
    closedir(directory);
    return count;
}

static const struct {
    const char *command;
    double values[3];
} good_cases[] = {
    { "echo '\"2026/11/20 10:00:00\",230.1,0.042,\"lagging\"'", { 230.1, 42, 1 } },
    { "printf 'x,230.1,-1.5,leading\\r\\n'", { 230.1, -1500, -1 } },
    { "printf 'x,230.1,1,0'", { 230.1, 1000, 0 } },
    { "echo '\"a, \"\"b\"\"\", \"230\" , 1 ,unity'", { 230, 1000, 0 } },
    { "echo Time,Voltage,Power,Direction; echo; echo x,1,2,1", { 1, 2000, 1 } },
    { "echo connecting...; echo x,1,2,1; echo x,3,4,1", { 1, 2000, 1 } },
    { "echo x,,,1", { NAN, NAN, 1 } },
    { "echo x,NaN,2,", { NAN, 2000, NAN } },
    { "echo noise >&2; echo x,1,2,1; echo more >&2", { 1, 2000, 1 } },
    { "echo x,5000,2,1", { NAN, 2000, 1 } },  // no quantity is beyond its bounds
};

static void test_the_first_line_that_is_a_reading_is_the_sample(void)
{
    char problem[256];

    for (size_t i = 0; i < ARRAY_SIZE(good_cases); i++) {
        int r = run(good_cases[i].command, 5000, problem);

        if (r != 0) {
            fail_msg("%s: %d, %s", good_cases[i].command, r, problem);
        }
        CHECK_EQ(sample.value_count, 3);
        for (size_t k = 0; k < 3; k++) {
            CHECK_NEAR(sample.values[k], good_cases[i].values[k], 0);
            CHECK_EQ(sample.reasons[k] == REASON_NONE, !isnan(sample.values[k]));
        }
        CHECK(sample.boot_ms > 0);
    }
}

static const struct {
    const char *command;
    int result;
    const char *problem;
} bad_cases[] = {
    { "exit 3", -EBADMSG, "exit status 3" },
    { "echo x,1,2,1; echo 'no adapter' >&2; exit 1", -EBADMSG, "exit status 1: no adapter" },
    { "echo x,1,2,1; kill -9 $$", -EBADMSG, "ended by signal 9" },
    { "no-such-program-here", -EBADMSG, "exit status 127" },
    { "true", -EBADMSG, "no line with 4 numbers" },
    { "echo x,1,2", -EBADMSG, "no line with 4 numbers" },
    { "echo x,1,2,1,7", -EBADMSG, "no line with 4 numbers" },
    { "echo x,1,2W,1", -EBADMSG, "no line with 4 numbers" },
    { "echo x,,,", -ETIMEDOUT, "no value" },
    { "yes 0123456789", -EBADMSG, "64 KiB" },
};

static void test_anything_else_is_no_sample_and_says_why(void)
{
    char problem[256];

    for (size_t i = 0; i < ARRAY_SIZE(bad_cases); i++) {
        int r = run(bad_cases[i].command, 3000, problem);

        if (r != bad_cases[i].result) {
            fail_msg("%s: %d, %s", bad_cases[i].command, r, problem);
        }
        CHECK_HAS(problem, bad_cases[i].problem);
        CHECK_EQ(sample_present(&sample), 0);
        CHECK(sample.reasons[0] != REASON_NONE);
    }
}

/* Dead, or dead and not yet collected by init. */
static bool is_alive(const char *pid_file)
{
    auto_free char *pid = NULL;
    auto_free char *stat = NULL;
    char path[64];
    size_t size = 0;

    CHECK_EQ(file_read(pid_file, 100, &pid, &size), 0);
    CHECK(atoi(pid) > 1);
    snprintf(path, sizeof(path), "/proc/%d/stat", atoi(pid));
    return file_read(path, 4096, &stat, &size) == 0 && !strstr(stat, ") Z ");
}

/* The deadline holds, and nothing of the group outlives it, even what ignores SIGTERM. */
static void test_a_program_that_hangs_is_killed_with_its_children_by_the_deadline(void)
{
    static const char *const commands[] = {
        "sleep 100 & echo $! >%s; wait",
        "trap '' TERM; sleep 100 & echo $! >%s; wait; sleep 100",
        "sleep 100 & echo $! >%s; exec sleep 100 >&- 2>&-",
    };

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        char path[] = "/tmp/test-exec-XXXXXX";
        char command[256], problem[256];
        uint64_t start_ms = clock_monotonic_ms();
        int fd = mkstemp(path);

        close(fd);
        snprintf(command, sizeof(command), commands[i], path);
        CHECK_EQ(run(command, 600, problem), -ETIMEDOUT);
        CHECK(clock_monotonic_ms() - start_ms < 1200);
        CHECK_HAS(problem, "not done after 600 ms");
        for (int tries = 0; tries < 100 && is_alive(path); tries++) {
            usleep(10000);
        }
        CHECK(!is_alive(path));
        unlink(path);
    }
}

/* What a program leaves behind holds the pipes open: the reading must not wait for it. */
static void test_a_reading_does_not_wait_for_what_the_program_left_behind(void)
{
    uint64_t start_ms = clock_monotonic_ms();
    char problem[256];

    CHECK_EQ(run("sleep 100 & echo x,1,2,1", 5000, problem), 0);
    CHECK(clock_monotonic_ms() - start_ms < 2000);
}

static void test_nothing_leaks(void)
{
    unsigned before = open_descriptors();
    char problem[256];

    for (int i = 0; i < 20; i++) {
        CHECK_EQ(run("echo x,1,2,1", 5000, problem), 0);
    }
    CHECK_EQ(run("sleep 5", 200, problem), -ETIMEDOUT);
    CHECK_EQ(open_descriptors(), before);
    CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1);  // no child, not even a dead one
    CHECK_EQ(errno, ECHILD);
}

static void test_the_program_gets_a_small_clean_world(void)
{
    char problem[256];

    setenv("SECRET", "1", 1);
    // descriptors beyond 2 would show as further entries; ls itself has one for the directory
    CHECK_EQ(
        run("test -z \"$SECRET\" && test \"$METERSTICK_METER\" = kitchen && test -n \"$PATH\" && "
            "test $(ls /proc/self/fd | wc -l) -le 4 && ! read line && echo x,1,2,1",
            5000, problem),
        0);
    unsetenv("SECRET");
}

static void test_an_unknown_unit_is_refused(void)
{
    static const char *const names[] = { "voltage" };
    static const char *const units[] = { "furlong" };
    struct layout columns = columns_of(names, units, 1);
    struct source *source = NULL;

    CHECK_EQ(
        source_exec_open(
            &(struct source_setup){ .meter = "kitchen", .command = "true", .columns = &columns },
            &source),
        -EINVAL);
    CHECK(!source);
}

TESTS(test_the_first_line_that_is_a_reading_is_the_sample,
      test_anything_else_is_no_sample_and_says_why,
      test_a_program_that_hangs_is_killed_with_its_children_by_the_deadline,
      test_a_reading_does_not_wait_for_what_the_program_left_behind, test_nothing_leaks,
      test_the_program_gets_a_small_clean_world, test_an_unknown_unit_is_refused)
