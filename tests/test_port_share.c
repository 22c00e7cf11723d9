/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/modbus_peer.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* A pty whose line shares it, by a semaphore and a directory of side locks that nobody else uses. */
struct shared {
    struct rig rig;
    char name[48], directory[48];
};

static void start_shared(struct shared *shared, const enum deed *deeds, size_t deed_count)
{
    static unsigned number;

    (void) snprintf(shared->name, sizeof(shared->name), "/meterstick-share-%d-%u", (int) getpid(), number++);
    (void) snprintf(shared->directory, sizeof(shared->directory), "/tmp/meterstick-share-XXXXXX");
    CHECK(mkdtemp(shared->directory));
    CHECK_EQ(setenv("METERSTICK_LOCK_DIR", shared->directory, 1), 0);
    start_pty(&shared->rig, deeds, deed_count);
    CHECK_EQ(line_share(shared->rig.line, shared->name, true), 0);
}

/* Another line on the same pty, as of another program: a lock is its line's own. */
static void add_line(const struct shared *shared, struct rig *ret)
{
    static const struct serial_setting fast = { 115200, 'N', 8, 1 };
    struct endpoint endpoint = { .kind = ENDPOINT_SERIAL };

    *ret = (struct rig){ .keeper = -1 };
    CHECK_EQ(text_copy(endpoint.path, sizeof(endpoint.path), shared->rig.path), 0);
    CHECK_EQ(line_new(&endpoint, &fast, &ret->line), 0);
    CHECK_EQ(line_share(ret->line, shared->name, true), 0);
}

static sem_t *open_semaphore(const struct shared *shared)
{
    sem_t *semaphore = sem_open(shared->name, O_CREAT, 0660, 1);

    CHECK(semaphore != SEM_FAILED);
    return semaphore;
}

static void stop_shared(struct shared *shared)
{
    DIR *directory = opendir(shared->directory);
    struct dirent *entry;

    stop_pty(&shared->rig);
    while (directory && (entry = readdir(directory))) {
        (void) unlinkat(dirfd(directory), entry->d_name, 0);
    }
    (void) closedir(directory);
    (void) rmdir(shared->directory);
    (void) sem_unlink(shared->name);
}

static void test_two_programs_have_a_port_open_and_take_turns(void)
{
    static const enum deed deeds[] = { ANSWER };
    struct shared shared;
    struct rig other;
    int value = -1;
    sem_t *semaphore;

    start_shared(&shared, deeds, 1);
    add_line(&shared, &other);
    for (uint16_t i = 0; i < 20; i++) {
        CHECK_EQ(ask(&shared.rig, (uint16_t) (7 * i), 3), 0);
        CHECK_EQ(ask(&other, (uint16_t) (900 + 7 * i), 3), 0);
    }
    CHECK_STR(line_warning(other.line), "");
    semaphore = open_semaphore(&shared);
    CHECK_EQ(sem_getvalue(semaphore, &value), 0);
    CHECK_EQ(value, 1);
    (void) sem_close(semaphore);
    line_close(other.line);
    stop_shared(&shared);
}

/* The peer answers when told to: what others may do in the meantime. */
static int open_as_somebody(const char *path)
{
    const struct passwd *nobody = getpwnam("nobody");
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        // root opens everything
        _exit((geteuid() == 0 && (!nobody || setuid(nobody->pw_uid) < 0)) ? 99
              : open(path, O_RDWR | O_NOCTTY | O_NONBLOCK) < 0            ? errno
                                                                          : 0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void *ask_in_thread(void *data)
{
    struct modbus_request request = { .unit = 1, .table = MODBUS_HOLDING, .count = 2 };
    uint16_t taken[MODBUS_MAX_REGISTERS];
    struct line_result how;

    (void) !line_transact(data, &request, 500000, 0, taken, &how);
    return NULL;
}

static void test_a_port_is_exclusive_while_it_is_held_and_no_longer(void)
{
    static const enum deed deeds[] = { ANSWER, STAY_SILENT, ANSWER };
    struct shared shared;
    pthread_t thread;
    int exclusive = 0;
    auto_close int fd = -1;

    start_shared(&shared, deeds, 3);
    CHECK_EQ(chmod(shared.rig.path, 0666), 0);
    CHECK_EQ(ask(&shared.rig, 0, 2), 0);
    CHECK_EQ(open_as_somebody(shared.rig.path), 0);
    fd = open(shared.rig.path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    CHECK(fd >= 0);
    CHECK_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);  // as pymodbus does, when it has the semaphore
    CHECK_EQ(flock(fd, LOCK_UN), 0);

    CHECK_EQ(pthread_create(&thread, NULL, ask_in_thread, shared.rig.line), 0);
    while (shared.rig.peer.request_count < 2) {
        (void) usleep(1000);
    }
    CHECK_EQ(ioctl(fd, TIOCGEXCL, &exclusive), 0);
    CHECK(exclusive);
    CHECK_EQ(open_as_somebody(shared.rig.path), EBUSY);
    CHECK_EQ(flock(fd, LOCK_EX | LOCK_NB), -1);
    (void) pthread_join(thread, NULL);
    CHECK_EQ(ioctl(fd, TIOCGEXCL, &exclusive), 0);
    CHECK(!exclusive);
    stop_shared(&shared);
}

/* Fault 21, and a lock time-out never looks like a silent meter. */
static void test_a_port_that_another_program_keeps_is_a_fault_of_the_port(void)
{
    static const enum deed deeds[] = { ANSWER };
    struct shared shared;
    sem_t *semaphore;
    uint64_t start_us;

    start_shared(&shared, deeds, 1);
    CHECK_EQ(ask(&shared.rig, 0, 2), 0);
    semaphore = open_semaphore(&shared);
    CHECK_EQ(sem_wait(semaphore), 0);
    start_us = clock_monotonic_us();
    CHECK_EQ(ask(&shared.rig, 0, 2), -EBUSY);
    CHECK(clock_monotonic_us() - start_us >= 1900000 && clock_monotonic_us() - start_us < 4000000);
    CHECK_HAS(line_problem(shared.rig.line), "another program uses the port all the time");
    CHECK_HAS(line_problem(shared.rig.line), shared.name);
    CHECK_EQ(shared.rig.peer.request_count, 1);

    // it is not asked again for a second, but says why
    start_us = clock_monotonic_us();
    CHECK_EQ(ask(&shared.rig, 0, 2), -EBUSY);
    CHECK_EQ(line_open(shared.rig.line, UINT64_MAX), -EBUSY);
    CHECK(clock_monotonic_us() - start_us < 500000);
    CHECK_HAS(line_problem(shared.rig.line), "another program uses the port all the time");

    // opening fails as long as it is so: who tries would find the port usable and asking impossible, by turns
    (void) usleep(1100000);
    CHECK_EQ(line_open(shared.rig.line, UINT64_MAX), -EBUSY);
    CHECK_EQ(sem_post(semaphore), 0);
    (void) usleep(1100000);
    CHECK_EQ(line_open(shared.rig.line, UINT64_MAX), 0);
    CHECK_EQ(ask(&shared.rig, 0, 2), 0);
    (void) sem_close(semaphore);
    stop_shared(&shared);
}

static void test_a_program_that_only_locks_the_file_is_waited_for_a_little(void)
{
    static const enum deed deeds[] = { ANSWER };
    auto_close int fd = -1;
    struct shared shared;

    start_shared(&shared, deeds, 1);
    CHECK_EQ(ask(&shared.rig, 0, 2), 0);
    fd = open(shared.rig.path, O_RDWR | O_NOCTTY | O_NONBLOCK);
    CHECK_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
    CHECK_EQ(ask(&shared.rig, 0, 2), -EBUSY);
    CHECK_HAS(line_problem(shared.rig.line), "does not wait for the semaphore");
    CHECK_EQ(shared.rig.peer.request_count, 1);
    CHECK_EQ(flock(fd, LOCK_UN), 0);
    (void) usleep(1100000);
    CHECK_EQ(ask(&shared.rig, 0, 2), 0);
    stop_shared(&shared);
}

/* Faults 20 and 23: another's file, and one that is no semaphore. */
static void test_a_semaphore_that_cannot_be_used_is_named(void)
{
    static const enum deed deeds[] = { ANSWER };
    struct shared shared;
    char path[80];
    int fd;

    start_shared(&shared, deeds, 1);
    (void) snprintf(path, sizeof(path), "/dev/shm/sem.%s", shared.name + 1);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0660);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "x", 1), 1);
    (void) close(fd);
    CHECK_EQ(ask(&shared.rig, 0, 2), -EINVAL);
    CHECK_HAS(line_problem(shared.rig.line), shared.name + 1);
    CHECK_EQ(unlink(path), 0);
    (void) usleep(1100000);
    CHECK_EQ(ask(&shared.rig, 0, 2), 0);
    stop_shared(&shared);
}

static void test_a_setting_that_another_program_made_is_undone(void)
{
    static const enum deed deeds[] = { ANSWER };
    struct shared shared;
    struct termios terminal;

    start_shared(&shared, deeds, 1);
    CHECK_EQ(ask(&shared.rig, 0, 2), 0);
    CHECK_EQ(tcgetattr(shared.rig.keeper, &terminal), 0);
    CHECK_EQ(cfsetspeed(&terminal, B1200), 0);
    terminal.c_lflag |= ICANON | ECHO;
    CHECK_EQ(tcsetattr(shared.rig.keeper, TCSANOW, &terminal), 0);
    CHECK_EQ(ask(&shared.rig, 20, 2), 0);
    CHECK_EQ(tcgetattr(shared.rig.keeper, &terminal), 0);
    CHECK_EQ(cfgetospeed(&terminal), B115200);
    CHECK_EQ(terminal.c_lflag & (ICANON | ECHO), 0);
    stop_shared(&shared);
}

/* Bytes that another program did not wait for are in the port's buffer. They would pass for ours by unit and length. */
static void test_what_another_program_left_in_the_buffer_is_not_taken(void)
{
    static const enum deed deeds[] = { ANSWER };
    struct modbus_request foreign = { .unit = 1, .table = MODBUS_HOLDING, .address = 5000, .count = 2 };
    struct shared shared;

    start_shared(&shared, deeds, 1);
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(ask(&shared.rig, 0, 2), 0);
        do_deed(&shared.rig.peer, ANSWER, &foreign, NULL, 0);
        CHECK_EQ(ask(&shared.rig, 10, 2), 0);  // compares the words
    }
    stop_shared(&shared);
}

/* The answer to one program's request comes while another waits for its own. Fault 8, across programs. */
static void test_an_answer_that_comes_late_is_not_credited_to_another_program(void)
{
    static const enum deed deeds[] = { ANSWER, ANSWER, ANSWER_LATE, ANSWER };
    struct shared shared;
    struct rig other;

    start_shared(&shared, deeds, 4);
    add_line(&shared, &other);
    CHECK_EQ(ask(&shared.rig, 0, 2), 0);
    CHECK_EQ(ask(&other, 0, 2), 0);
    CHECK_EQ(ask(&shared.rig, 50, 2), -ETIMEDOUT);
    CHECK_EQ(ask(&other, 10, 2), 0);
    CHECK_EQ(shared.rig.peer.request_count, 4);
    CHECK_EQ(shared.rig.peer.requests[3].count, 3);
    line_close(other.line);
    stop_shared(&shared);
}

/* Who died in the middle of a request: the line rests, and its late answer is nobody's. */
static void test_after_a_death_the_line_rests_and_the_answer_is_nobodys(void)
{
    static const enum deed deeds[] = { ANSWER, ANSWER_LATE, ANSWER };
    struct shared shared;
    uint64_t start_us;
    pid_t pid;

    start_shared(&shared, deeds, 3);
    CHECK_EQ(ask(&shared.rig, 0, 2), 0);
    pid = fork();
    if (pid == 0) {
        struct modbus_request request = { .unit = 1, .table = MODBUS_HOLDING, .address = 30, .count = 2 };
        struct rig other;

        add_line(&shared, &other);
        (void) !line_transact(other.line, &request, 900000, 0, words, &result);
        _exit(0);
    }
    while (shared.rig.peer.request_count < 2) {
        (void) usleep(1000);
    }
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    start_us = clock_monotonic_us();
    CHECK_EQ(ask(&shared.rig, 10, 2), 0);
    CHECK(clock_monotonic_us() - start_us >= TIMEOUT_US);
    CHECK_EQ(shared.rig.peer.request_count, 3);
    CHECK_EQ(shared.rig.peer.requests[2].count, 3);
    stop_shared(&shared);
}

/* 3.5 characters behind an answer belong to the turn: other programs talk as soon as they have the port. */
static void test_the_port_is_given_back_after_its_silence(void)
{
    static const enum deed deeds[] = { ANSWER };
    static const struct serial_setting slow = { 1200, 'N', 8, 1 };
    struct shared shared;
    struct rig other;
    uint64_t start_us;

    start_shared(&shared, deeds, 1);
    add_line(&shared, &other);
    line_set_serial(shared.rig.line, &slow);
    CHECK_EQ(ask(&shared.rig, 0, 1), 0);
    start_us = clock_monotonic_us();
    CHECK_EQ(ask(&shared.rig, 0, 1), 0);
    CHECK(clock_monotonic_us() - start_us >= 29000);  // 3.5 characters
    line_close(other.line);
    stop_shared(&shared);
}

/* Nobody who waits 2 s may time out because of us: a time-out is cut to what a hold has room for. */
static void test_a_hold_ends_within_a_second_whatever_the_time_out(void)
{
    static const enum deed deeds[] = { ANSWER, STAY_SILENT };
    static const struct serial_setting slow = { 9600, 'E', 8, 1 };
    struct modbus_request request = { .unit = 1, .table = MODBUS_HOLDING, .count = 125 };
    struct shared shared;
    uint64_t start_us;

    start_shared(&shared, deeds, 2);
    CHECK(line_hold_us(shared.rig.line) > 900000 && line_hold_us(shared.rig.line) < 1000000);
    CHECK_EQ(ask(&shared.rig, 0, 2), 0);
    line_set_serial(shared.rig.line, &slow);
    start_us = clock_monotonic_us();
    CHECK_EQ(line_transact(shared.rig.line, &request, 5000000, 0, words, &result), -ETIMEDOUT);
    CHECK(clock_monotonic_us() - start_us >= 500000 && clock_monotonic_us() - start_us < 1000000);
    request.count = 1;
    request.unit = 2;
    start_us = clock_monotonic_us();
    CHECK_EQ(line_transact(shared.rig.line, &request, 5000000, 0, words, &result), -ETIMEDOUT);
    CHECK(clock_monotonic_us() - start_us >= 850000 && clock_monotonic_us() - start_us < 1000000);
    stop_shared(&shared);
}

/* The other waits for a whole time-out of the first, and is not blamed. */
static void test_waiting_for_the_port_is_counted_apart(void)
{
    static const enum deed deeds[] = { ANSWER, ANSWER, STAY_SILENT, ANSWER };
    struct shared shared;
    struct rig other;
    pthread_t thread;
    uint64_t before_us;

    start_shared(&shared, deeds, 4);
    add_line(&shared, &other);
    CHECK_EQ(ask(&shared.rig, 0, 2), 0);
    CHECK_EQ(ask(&other, 0, 2), 0);
    before_us = line_waited_us(other.line);
    CHECK_EQ(pthread_create(&thread, NULL, ask_in_thread, shared.rig.line), 0);
    while (shared.rig.peer.request_count < 3) {
        (void) usleep(1000);
    }
    CHECK_EQ(ask(&other, 0, 3), 0);
    CHECK(line_waited_us(other.line) - before_us >= 400000);
    (void) pthread_join(thread, NULL);
    line_close(other.line);
    stop_shared(&shared);
}

static void test_a_pty_is_not_shared_unless_that_was_said_nor_is_tcp(void)
{
    static const enum deed deeds[] = { ANSWER };
    static const struct serial_setting fast = { 115200, 'N', 8, 1 };
    struct endpoint tcp = { .kind = ENDPOINT_RTU_TCP, .host = "127.0.0.1", .service = "1" };
    auto_line struct line *line = NULL;
    char path[80];
    struct rig rig;

    start_pty(&rig, deeds, 1);
    CHECK_EQ(line_share(rig.line, "/meterstick-share-never", false), 0);
    CHECK_EQ(line_hold_us(rig.line), 0);
    CHECK_EQ(ask(&rig, 0, 2), 0);
    CHECK_EQ(flock(rig.keeper, LOCK_EX | LOCK_NB), -1);  // it belongs to one program, all the time
    CHECK_EQ(line_new(&tcp, &fast, &line), 0);
    CHECK_EQ(line_share(line, "/meterstick-share-never", true), 0);
    CHECK_EQ(line_hold_us(line), 0);
    CHECK_EQ(line_open(line, clock_monotonic_us() + 1000000), -ECONNREFUSED);
    (void) snprintf(path, sizeof(path), "/dev/shm/sem.%s", "meterstick-share-never");
    CHECK_EQ(access(path, F_OK), -1);
    stop_pty(&rig);
}

static void test_an_absent_port_is_absent_whoever_has_the_semaphore(void)
{
    static const enum deed deeds[] = { ANSWER };
    static const struct serial_setting fast = { 115200, 'N', 8, 1 };
    struct endpoint endpoint = { .kind = ENDPOINT_SERIAL, .path = "/dev/no-such-port" };
    auto_line struct line *line = NULL;
    struct shared shared;
    sem_t *semaphore;
    uint64_t start_us;

    start_shared(&shared, deeds, 1);
    semaphore = open_semaphore(&shared);
    CHECK_EQ(sem_wait(semaphore), 0);
    CHECK_EQ(line_new(&endpoint, &fast, &line), 0);
    CHECK_EQ(line_share(line, shared.name, false), 0);
    CHECK(line_hold_us(line) > 0);  // it will have to be taken when it comes
    start_us = clock_monotonic_us();
    CHECK_EQ(line_open(line, UINT64_MAX), -ENOENT);
    CHECK(clock_monotonic_us() - start_us < 1000000);
    (void) sem_close(semaphore);
    stop_shared(&shared);
}

static void test_without_a_place_for_side_locks_the_semaphore_serves_and_a_warning_says_so(void)
{
    static const enum deed deeds[] = { ANSWER };
    struct shared shared;
    struct rig rig;

    start_shared(&shared, deeds, 1);
    CHECK_EQ(setenv("METERSTICK_LOCK_DIR", "/no-such-directory", 1), 0);
    add_line(&shared, &rig);
    CHECK_STR(line_warning(rig.line), "");  // nothing was tried yet
    CHECK_EQ(ask(&rig, 0, 2), 0);
    CHECK_HAS(line_warning(rig.line), "/no-such-directory");
    CHECK_EQ(ask(&shared.rig, 0, 2), 0);
    CHECK_STR(line_warning(shared.rig.line), "");
    line_close(rig.line);
    stop_shared(&shared);
}

TESTS(test_two_programs_have_a_port_open_and_take_turns, test_a_port_is_exclusive_while_it_is_held_and_no_longer,
      test_a_port_that_another_program_keeps_is_a_fault_of_the_port,
      test_a_program_that_only_locks_the_file_is_waited_for_a_little, test_a_semaphore_that_cannot_be_used_is_named,
      test_a_setting_that_another_program_made_is_undone, test_what_another_program_left_in_the_buffer_is_not_taken,
      test_an_answer_that_comes_late_is_not_credited_to_another_program,
      test_after_a_death_the_line_rests_and_the_answer_is_nobodys, test_the_port_is_given_back_after_its_silence,
      test_a_hold_ends_within_a_second_whatever_the_time_out, test_waiting_for_the_port_is_counted_apart,
      test_a_pty_is_not_shared_unless_that_was_said_nor_is_tcp,
      test_an_absent_port_is_absent_whoever_has_the_semaphore,
      test_without_a_place_for_side_locks_the_semaphore_serves_and_a_warning_says_so)
