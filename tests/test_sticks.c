/* SPDX-License-Identifier: MIT */
// link: ms_outlet

/*
 * The supervisor with real processes: what is plugged in is said by the test, and what a child does by the serial
 * number of its stick. Faults 27, 28, 38, 39 and 43 of reliability.md.
 */

#include "tests/test.h"

#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/status.h"
#include "app/outlet/sticks.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PATIENCE_MS 30000

/* What both processes see. */
struct scene {
    _Atomic unsigned lock;   // odd while the test changes the rest
    int error;               // of finding
    unsigned count;
    struct block_volume volumes[BLOCK_VOLUMES_MAX];
};

static struct scene *scene;
static char run_dir[64];
static pid_t supervisor;
static int end_fd;

/* --- the supervisor's two functions --- */

static int find(void *data, struct block_volume ret[static BLOCK_VOLUMES_MAX])
{
    const struct scene *from = data;
    unsigned before;
    int count;

    do {
        before = from->lock;
        memcpy(ret, from->volumes, sizeof(from->volumes));
        count = from->error ? from->error : (int) from->count;
    } while (before % 2 || from->lock != before);
    return count;
}

static bool is_plugged(void *data, const struct block_volume *volume)
{
    (void) data;
    (void) volume;
    return false;
}

static int count_entries(const char *path)
{
    DIR *listing = opendir(path);
    int count = -3;  // ".", "..", and the listing's own

    while (listing && readdir(listing)) {
        count++;
    }
    if (listing) {
        (void) closedir(listing);
    }
    return count;
}

static int work(const struct sticks_child_life *life, void *data)
{
    const char *script = life->volume.serial;
    struct stick_report report = { .in = true, .percent = NAN, .eta_s = NAN };
    struct pollfd polls[2] = { { life->signal_fd, POLLIN, 0 }, { life->report_fd, 0, 0 } };

    (void) data;
    (void) snprintf(report.id, sizeof(report.id), "ID-%s", life->volume.port);
    if (strcmp(script, "dies") == 0) {
        return 3;
    }
    if (strcmp(script, "hangs") == 0) {
        report.state = STICK_WRITING;
        sticks_child_tell(life, &report);
        for (;;) {
            (void) poll(NULL, 0, 1000);  // SIGTERM is blocked, and nobody reads it
        }
    }
    if (strcmp(script, "once") == 0 || strcmp(script, "once fails") == 0) {
        report.state = strcmp(script, "once") == 0 ? STICK_IDLE : STICK_FULL;
        sticks_child_tell(life, &report);
        return report.state == STICK_IDLE ? 0 : 1;
    }
    (void) snprintf(report.error, sizeof(report.error), "%d descriptors", count_entries("/proc/self/fd"));
    for (report.backlog = 1;; report.backlog++) {
        sticks_child_tell(life, &report);
        (void) poll(polls, 2, 20);
        if (polls[0].revents) {
            report.state = STICK_WRITING;  // the last burst
            sticks_child_tell(life, &report);
            return 0;
        }
        if (polls[1].revents) {
            return 0;
        }
    }
}

/* --- the test's --- */

static struct sticks_setup setup_of(void)
{
    return (struct sticks_setup){ .run_dir = run_dir, .signal_fd = end_fd, .look_ms = 5, .find = find,
                                  .is_plugged = is_plugged, .work = work, .data = scene };
}

static void begin(void)
{
    (void) snprintf(run_dir, sizeof(run_dir), "/tmp/meterstick-sticks-XXXXXX");
    CHECK(mkdtemp(run_dir));
    scene = mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(scene != MAP_FAILED);
    end_fd = eventfd(0, EFD_CLOEXEC);
    CHECK(end_fd >= 0);
}

static void begin_supervisor(void)
{
    struct sticks_setup setup = setup_of();

    supervisor = fork();
    CHECK(supervisor >= 0);
    if (supervisor == 0) {
        _exit(sticks_serve(&setup) == 0 ? 0 : 1);
    }
}

static void finish(void)
{
    char command[128];

    (void) snprintf(command, sizeof(command), "rm -rf %s", run_dir);
    CHECK_EQ(system(command), 0);
    CHECK_EQ(munmap(scene, sizeof(*scene)), 0);
    CHECK_EQ(close(end_fd), 0);
}

/* Returns the ms that it took. */
static uint64_t end_supervisor(void)
{
    uint64_t begin_ms = clock_monotonic_ms(), one = 1;
    int status;

    CHECK_EQ(write(end_fd, &one, sizeof(one)), sizeof(one));
    CHECK_EQ(waitpid(supervisor, &status, 0), supervisor);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
    return clock_monotonic_ms() - begin_ms;
}

/* Plug in: socket "1-1" is sda1, and so on; script NULL: pull. */
static void plug(unsigned socket, const char *script)
{
    struct block_volume *volume = NULL;

    scene->lock++;
    for (unsigned i = 0; i < scene->count && !volume; i++) {
        volume = scene->volumes[i].minor == socket ? &scene->volumes[i] : NULL;
    }
    if (!script && volume) {
        *volume = scene->volumes[--scene->count];
    } else if (script) {
        volume = volume ? volume : &scene->volumes[scene->count++];
        *volume = (struct block_volume){ .major = 8, .minor = socket, .partition = 1, .size_bytes = 1000000,
                                         .settled = true, .sequence = volume->sequence + 1 };
        (void) snprintf(volume->node, sizeof(volume->node), "/dev/sd%c1", 'a' + (int) socket - 1);
        (void) snprintf(volume->disk, sizeof(volume->disk), "sd%c", 'a' + (int) socket - 1);
        (void) snprintf(volume->port, sizeof(volume->port), "1-%u", socket);
        (void) snprintf(volume->serial, sizeof(volume->serial), "%s", script);
    }
    scene->lock++;
}

/* The status: "running ID-1-1 idle;ID-1-2 failed;" */
static const char *status(void)
{
    static char text[1024];
    auto_json struct json *json = NULL;
    const struct json *sticks;
    bool fresh;
    size_t size;

    if (status_read(run_dir, "stick", &json, &fresh) < 0) {
        return "";
    }
    sticks = json_member(json, "sticks");
    size = (size_t) snprintf(text, sizeof(text), "%s ", json_member_string(json, "state"));
    for (size_t i = 0; i < json_count(sticks); i++) {
        size += (size_t) snprintf(text + size, sizeof(text) - size, "%s %s;",
                                  json_member_string(json_item(sticks, i), "id"),
                                  json_member_string(json_item(sticks, i), "state"));
    }
    return text;
}

static void wait_status(const char *expect)
{
    uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;

    while (strcmp(status(), expect) != 0) {
        if (clock_monotonic_ms() > end_ms) {
            fail_msg("\"%s\", not \"%s\"", status(), expect);
        }
        clock_sleep_until_us(clock_monotonic_us() + 2000);
    }
}

/* A member of the stick with that id: a number, or NAN. */
static double number(const char *id, const char *member)
{
    auto_json struct json *json = NULL;
    const struct json *sticks;
    bool fresh;

    CHECK_EQ(status_read(run_dir, "stick", &json, &fresh), 0);
    sticks = json_member(json, "sticks");
    for (size_t i = 0; i < json_count(sticks); i++) {
        if (strcmp(json_member_string(json_item(sticks, i), "id"), id) == 0) {
            return json_member_number(json_item(sticks, i), member);
        }
    }
    return NAN;
}

/* Pids of the supervisor's children. */
static unsigned children(pid_t ret[static 64])
{
    char path[64];
    unsigned count = 0;
    auto_free char *text = NULL;
    size_t size;

    (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int) supervisor, (int) supervisor);
    CHECK_EQ(file_read(path, 4096, &text, &size), 0);
    for (char *rest = text, *word = text_word(&rest); *word && count < 64; word = text_word(&rest)) {
        ret[count++] = (pid_t) strtol(word, NULL, 10);
    }
    return count;
}

static void wait_children(unsigned expect)
{
    uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
    pid_t pids[64] = { 0 };

    while (children(pids) != expect) {
        if (clock_monotonic_ms() > end_ms) {
            fail_msg("%u children, not %u", children(pids), expect);
        }
        clock_sleep_until_us(clock_monotonic_us() + 2000);
    }
}

static void wait_death(pid_t pid)
{
    uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;

    while (kill(pid, 0) == 0) {
        auto_free char *text = NULL;
        char path[64];
        size_t size;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        if (file_read(path, 4096, &text, &size) == 0 && strstr(text, ") Z ")) {
            break;  // nobody here reaps orphans
        }
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_until_us(clock_monotonic_us() + 2000);
    }
}

/* The fewest within a while: now and then there is one more, of the status file. */
static int descriptors(pid_t pid)
{
    char path[64];
    int fewest = 1000;

    (void) snprintf(path, sizeof(path), "/proc/%d/fd", (int) pid);
    for (int i = 0; i < 50; i++) {
        fewest = MIN(fewest, count_entries(path) + 1);
        clock_sleep_until_us(clock_monotonic_us() + 2000);
    }
    return fewest;
}

/* Fault 39, and what a child inherits. */
static void test_each_stick_has_a_child_with_nothing_of_the_parents(void)
{
    auto_json struct json *json = NULL;
    pid_t pids[64] = { 0 };
    bool fresh;

    begin();
    begin_supervisor();
    wait_status("running ");
    plug(1, "well");
    wait_status("running ID-1-1 idle;");
    plug(2, "well");
    wait_status("running ID-1-1 idle;ID-1-2 idle;");
    CHECK_EQ(children(pids), 2);
    CHECK_EQ(status_read(run_dir, "stick", &json, &fresh), 0);
    CHECK(fresh);
    CHECK_STR(json_member_string(json_item(json_member(json, "sticks"), 1), "node"), "/dev/sdb1");
    // standard input, output and error, its socket and its signals
    CHECK_STR(json_member_string(json_item(json_member(json, "sticks"), 1), "error"), "5 descriptors");

    plug(1, NULL);
    wait_status("running ID-1-2 idle;");
    wait_children(1);
    CHECK(end_supervisor() < 4000);
    CHECK_STR(status(), "stopped ID-1-2 writing;");
    wait_death(pids[0]);
    wait_death(pids[1]);
    finish();
}

/* Fault 38: one that hangs delays nobody; and fault 43. */
static void test_one_that_hangs_delays_neither_the_others_nor_the_end(void)
{
    pid_t pids[64] = { 0 };
    double backlog;

    begin();
    plug(1, "hangs");
    plug(2, "well");
    begin_supervisor();
    wait_status("running ID-1-1 writing;ID-1-2 idle;");
    backlog = number("ID-1-2", "backlog");
    for (uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS; number("ID-1-2", "backlog") < backlog + 10;) {
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_until_us(clock_monotonic_us() + 2000);
    }
    plug(1, NULL);  // it is let go, and nobody waits for it
    plug(3, "well");
    wait_status("running ID-1-2 idle;ID-1-3 idle;");
    plug(1, "hangs");
    wait_status("running ID-1-1 writing;ID-1-2 idle;ID-1-3 idle;");
    CHECK(children(pids) >= 3);
    CHECK(end_supervisor() < 5000);
    for (unsigned i = 0; i < 3; i++) {
        wait_death(pids[i]);
    }
    finish();
}

static void test_a_child_that_dies_is_begun_again_and_the_others_do_not_notice(void)
{
    pid_t pids[64] = { 0 }, other;

    begin();
    plug(1, "well");
    begin_supervisor();
    wait_status("running ID-1-1 idle;");
    CHECK_EQ(children(pids), 1);
    other = pids[0];
    plug(2, "well");
    wait_status("running ID-1-1 idle;ID-1-2 idle;");
    CHECK_EQ(children(pids), 2);
    CHECK_EQ(kill(pids[0] == other ? pids[1] : pids[0], SIGKILL), 0);
    wait_status("running ID-1-1 idle;ID-1-2 failed;");
    wait_status("running ID-1-1 idle;ID-1-2 idle;");
    CHECK_EQ(children(pids), 2);
    CHECK(pids[0] == other || pids[1] == other);

    plug(3, "dies");
    wait_status("running ID-1-1 idle;ID-1-2 idle;sdc1 failed;");
    (void) end_supervisor();
    finish();
}

/* Fault 27: a hundred dips leave one child, and no descriptor behind; the stick is never out. */
static void test_dips_leave_nothing_behind(void)
{
    int before;

    begin();
    plug(1, "well");
    plug(2, "well");
    begin_supervisor();
    wait_status("running ID-1-1 idle;ID-1-2 idle;");
    before = descriptors(supervisor);
    for (int i = 0; i < 100; i++) {
        uint64_t until_ms = clock_monotonic_ms() + 30;

        if (i % 2) {
            plug(1, NULL);
            clock_sleep_until_us(clock_monotonic_us() + 10000);
        }
        plug(1, "well");
        while (clock_monotonic_ms() < until_ms) {
            CHECK_STR(status(), "running ID-1-1 idle;ID-1-2 idle;");
            clock_sleep_until_us(clock_monotonic_us() + 2000);
        }
    }
    wait_children(2);
    for (uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS; descriptors(supervisor) > before;) {
        CHECK(clock_monotonic_ms() < end_ms);
    }
    (void) end_supervisor();
    finish();
}

static void test_children_end_with_a_parent_that_is_killed(void)
{
    pid_t pids[64] = { 0 };

    begin();
    plug(1, "well");
    plug(2, "hangs");
    begin_supervisor();
    wait_status("running ID-1-1 idle;ID-1-2 writing;");
    CHECK_EQ(children(pids), 2);
    CHECK_EQ(kill(supervisor, SIGKILL), 0);
    CHECK_EQ(waitpid(supervisor, NULL, 0), supervisor);
    wait_death(pids[0]);
    wait_death(pids[1]);
    finish();
}

static void test_who_cannot_find_keeps_what_there_is(void)
{
    begin();
    plug(1, "well");
    begin_supervisor();
    wait_status("running ID-1-1 idle;");
    scene->error = -EACCES;
    for (double backlog = number("ID-1-1", "backlog"); number("ID-1-1", "backlog") < backlog + 10;) {
        clock_sleep_until_us(clock_monotonic_us() + 2000);
    }
    CHECK_STR(status(), "running ID-1-1 idle;");
    scene->error = 0;
    plug(1, NULL);
    wait_status("running ");
    (void) end_supervisor();
    finish();
}

/* ES-17. */
static void test_once_all_sticks_are_written_or_it_failed(void)
{
    static const struct {
        const char *scripts[3];
        int expect;
    } cases[] = {
        { { NULL }, -ENODEV },
        { { "once" }, 0 },
        { { "once", "once", "once" }, 0 },
        { { "once", "once fails", "once" }, -EIO },
        { { "dies" }, -EIO },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct sticks_setup setup;

        begin();
        setup = setup_of();
        for (unsigned k = 0; k < 3 && cases[i].scripts[k]; k++) {
            plug(k + 1, cases[i].scripts[k]);
        }
        CHECK_EQ(sticks_serve_once(&setup), cases[i].expect);
        CHECK_EQ(strncmp(status(), "stopped ", 8), 0);
        finish();
    }

    begin();
    scene->error = -EACCES;
    CHECK_EQ(sticks_serve_once(&(struct sticks_setup){ .run_dir = run_dir, .signal_fd = end_fd, .find = find,
                                                       .is_plugged = is_plugged, .work = work, .data = scene }),
             -EACCES);
    finish();
}

TESTS(test_each_stick_has_a_child_with_nothing_of_the_parents,
      test_one_that_hangs_delays_neither_the_others_nor_the_end,
      test_a_child_that_dies_is_begun_again_and_the_others_do_not_notice, test_dips_leave_nothing_behind,
      test_children_end_with_a_parent_that_is_killed, test_who_cannot_find_keeps_what_there_is,
      test_once_all_sticks_are_written_or_it_failed)
