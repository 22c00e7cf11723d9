/* SPDX-License-Identifier: MIT */
// link: ms_base
#include "tests/port_lock.h"

#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

static void test_a_port_is_taken_by_one_at_a_time(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *mine = lock_of(&place), *other = lock_of(&place);
    uint64_t now_us = clock_monotonic_us();

    CHECK_EQ(port_lock_until_us(mine), 0);
    CHECK_EQ(take(mine, 1000), 0);
    CHECK(port_lock_until_us(mine) >= now_us + PORT_LOCK_HOLD_US);
    CHECK(port_lock_until_us(mine) <= clock_monotonic_us() + PORT_LOCK_HOLD_US);
    CHECK_EQ(value_of(&place), 0);
    CHECK_EQ(take(other, 20), -ETIMEDOUT);
    CHECK(strstr(port_lock_problem(other), "another Meterstick program"));
    (void) port_lock_release(mine);
    CHECK_EQ(port_lock_until_us(mine), 0);
    CHECK_EQ(value_of(&place), 1);
    CHECK_EQ(take(other, 1000), 0);
    CHECK_STR(port_lock_problem(other), "");
}

static void test_only_names_of_semaphores_are_taken(void)
{
    static const char *const names[] = { "", "/", "rs485", "/a/b", "/.", "/..", "none" };
    auto_port_lock struct port_lock *lock = NULL;
    char name[300];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        CHECK_EQ(port_lock_new(names[i], "/tmp", &lock), -EINVAL);
    }
    memset(name, 'a', sizeof(name));
    name[0] = '/';
    name[253] = '\0';
    CHECK_EQ(port_lock_new(name, "/tmp", &lock), -EINVAL);
    CHECK(!lock);
}

static void read_semaphore(const char *path, unsigned char ret[static sizeof(sem_t)])
{
    auto_close int fd = open(path, O_RDONLY);

    CHECK_EQ(read(fd, ret, sizeof(sem_t)), sizeof(sem_t));
}

static void test_the_semaphore_that_we_make_is_that_of_the_c_library(void)
{
    struct place ours = place_new(), theirs = place_new();
    auto_port_lock struct port_lock *lock = lock_of(&ours);
    unsigned char mine[sizeof(sem_t)], its[sizeof(sem_t)];
    mode_t mask = umask(0077);  // h5: what others may do does not depend on who was first
    struct stat status;

    CHECK_EQ(take(lock, 1000), 0);
    (void) umask(mask);
    (void) port_lock_release(lock);
    CHECK_EQ(stat(ours.path, &status), 0);
    CHECK_EQ(status.st_mode & 07777, 0660);
    CHECK_EQ(stat(ours.side, &status), 0);
    CHECK_EQ(status.st_mode & 07777, 0660);

    CHECK_EQ(sem_close(client_open(&theirs)), 0);
    read_semaphore(ours.path, mine);
    read_semaphore(theirs.path, its);
    CHECK_EQ(memcmp(mine, its, sizeof(mine)), 0);
}

static unsigned open_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    while (readdir(directory)) {
        count++;
    }
    (void) closedir(directory);
    return count;
}

static void test_nothing_stays_open_but_the_side_lock(void)
{
    struct place place = place_new();
    unsigned before = open_files();
    auto_port_lock struct port_lock *lock = lock_of(&place);
    char line[512];
    FILE *maps;

    CHECK_EQ(open_files(), before + 1);
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ(take(lock, 1000), 0);
        CHECK_EQ(port_lock_release(lock), 0);
    }
    CHECK_EQ(open_files(), before + 1);
    maps = fopen("/proc/self/maps", "re");
    while (fgets(line, sizeof(line), maps)) {
        CHECK(!strstr(line, place.path));
    }
    (void) fclose(maps);
}

/* Hazard h2, and fault 19: root can do what the sticky directory forbids to everybody else. */
static void test_unlink_while_one_of_us_holds_lets_no_other_of_us_in(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *mine = lock_of(&place), *other = lock_of(&place);

    CHECK_EQ(take(mine, 1000), 0);
    CHECK_EQ(sem_unlink(place.name), 0);
    CHECK_EQ(take(other, 20), -ETIMEDOUT);
    CHECK_EQ(sem_close(client_open(&place)), 0);  // made again, with value 1
    CHECK_EQ(take(other, 20), -ETIMEDOUT);
    (void) port_lock_release(mine);
    CHECK_EQ(value_of(&place), 1);
    CHECK_EQ(take(other, 1000), 0);
    CHECK_EQ(value_of(&place), 0);
}

static void test_who_waits_goes_over_to_the_semaphore_that_took_the_name(void)
{
    for (unsigned again = 0; again < 2; again++) {  // made again by the client, or by us
        struct place place = place_new();
        auto_port_lock struct port_lock *lock = lock_of(&place);
        pid_t holder = child(client_holds, &place);
        pid_t pid = child_new();

        if (pid == 0) {
            clock_sleep_until_us(clock_monotonic_us() + 50000);
            (void) sem_unlink(place.name);  // also what RemoveIPC= does at a logout (h6)
            if (again) {
                (void) sem_close(client_open(&place));
            }
            _exit(0);
        }
        CHECK_EQ(take(lock, 5000), 0);
        CHECK_EQ(value_of(&place), 0);
        (void) port_lock_release(lock);
        CHECK_EQ(value_of(&place), 1);
        end(pid);
        end(holder);
    }
}

/* Hazard h3, fault 18 */
static void test_surplus_tokens_are_drained(void)
{
    struct place place = place_new();
    auto_port_lock struct port_lock *lock = lock_of(&place);
    sem_t *sem = client_open(&place);

    for (unsigned i = 0; i < 1000; i++) {
        CHECK_EQ(sem_post(sem), 0);
    }
    CHECK_EQ(take(lock, 1000), 0);
    CHECK_EQ(value_of(&place), 0);
    (void) port_lock_release(lock);
    CHECK_EQ(value_of(&place), 1);

    CHECK_EQ(take(lock, 1000), 0);
    CHECK_EQ(sem_post(sem), 0);  // somebody who never had it gives it back while we do
    (void) port_lock_release(lock);
    CHECK_EQ(value_of(&place), 1);
    CHECK_EQ(sem_close(sem), 0);
}

/* A filter of the kernel that kills who waits by a clock that can be set. */
static int forbid_the_wall_clock(void)
{
    enum { NR = offsetof(struct seccomp_data, nr), SECOND = offsetof(struct seccomp_data, args[1]),
           FIRST = offsetof(struct seccomp_data, args[0]) };
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR),
#ifdef __NR_futex_time64
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_futex_time64, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clock_nanosleep_time64, 4, 0),
#else
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_futex, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clock_nanosleep, 4, 0),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SECOND),  // futex(word, operation, ...)
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FUTEX_CLOCK_REALTIME, 3, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, FIRST),   // clock_nanosleep(clock, ...)
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLOCK_REALTIME, 1, 2),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0
               ? -errno
               : 0;
}

/*
 * Hazard h4, fault 22. The clock of this machine is not set for it: the kernel itself says that nothing of ours waits
 * by it, so a step of any size changes nothing. The client, which does, shows that the filter bites.
 */
static void test_steps_of_the_clock_neither_cut_nor_prolong_a_wait(void)
{
    struct place place = place_new();
    pid_t holder = child(client_holds, &place);

    for (unsigned ours = 0; ours < 2; ours++) {
        pid_t pid = child_new();
        int status;

        if (pid == 0) {
            auto_port_lock struct port_lock *lock = lock_of(&place), *second = lock_of(&place);
            sem_t *sem = client_open(&place);
            uint64_t began_us = clock_monotonic_us();

            if (forbid_the_wall_clock() < 0) {
                _exit(77);
            }
            if (!ours) {
                (void) client_wait(sem);
                _exit(0);
            }
            if (take(lock, 300) != -ETIMEDOUT || clock_monotonic_us() - began_us < 300000) {
                _exit(1);
            }
            (void) sem_post(sem);  // now the side lock's wait
            if (take(lock, 300) < 0 || take(second, 50) != -ETIMEDOUT) {
                _exit(2);
            }
            _exit(0);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
            end(holder);
            print_message("seccomp filters are not allowed here\n");
            skip();
        }
        CHECK_EQ(ours ? WEXITSTATUS(status) : WTERMSIG(status), ours ? 0 : SIGSYS);
        CHECK_EQ(WIFEXITED(status), ours);
    }
    end(holder);
}

/* Hazard h5, fault 20 */
static void test_a_semaphore_of_another_user_is_told_with_the_remedy(void)
{
    struct place place = place_new();
    pid_t pid;
    int status;

    if (geteuid() != 0) {
        print_message("only root can be two users\n");
        skip();
    }
    CHECK_EQ(sem_close(sem_open(place.name, O_CREAT, 0600, 1)), 0);
    CHECK_EQ(chmod(place.directory, 0777), 0);
    pid = child_new();
    if (pid == 0) {
        struct port_lock *lock;
        char remedy[256];

        if (setgid(65534) < 0 || setuid(65534) < 0 || port_lock_new(place.name, place.directory, &lock) < 0) {
            _exit(1);
        }
        (void) snprintf(remedy, sizeof(remedy), "chmod 0660 %s", place.path);
        _exit(take(lock, 100) != -EACCES ? 2 : !strstr(port_lock_problem(lock), remedy) ? 3
              : !strstr(port_lock_problem(lock), "root") ? 4 : 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

static volatile unsigned *shared_counter(void)
{
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(memory != MAP_FAILED);
    return memory;
}

/* Hazard h7: we could always be quicker than who has to be woken first. Two of ours, so that it is no single pause. */
static void test_a_client_gets_in_between_our_holds(void)
{
    struct place place = place_new();
    sem_t *sem = client_open(&place);
    pid_t ours[2];

    for (unsigned i = 0; i < 2; i++) {
        ours[i] = child_new();
        if (ours[i] == 0) {
            struct port_lock *lock = lock_of(&place);

            for (;;) {
                if (take(lock, 5000) < 0) {
                    _exit(1);
                }
                clock_sleep_until_us(clock_monotonic_us() + 10000);
                clock_sleep_until_us(clock_monotonic_us() + port_lock_release(lock));
            }
        }
    }
    for (unsigned i = 0; i < 20; i++) {
        CHECK_EQ(client_wait(sem), 0);  // not within 2 s: it gives up
        clock_sleep_until_us(clock_monotonic_us() + 1000);
        CHECK_EQ(sem_post(sem), 0);
    }
    end(ours[0]);
    end(ours[1]);
    CHECK_EQ(sem_close(sem), 0);
}

/* Fault 24: eight who want it all the time */
static void test_nobody_of_ours_starves(void)
{
    struct place place = place_new();
    volatile unsigned *counts = shared_counter();
    volatile unsigned *worst_ms = counts + 8;
    uint64_t end_us = clock_monotonic_us() + test_share(300) * 1000000;
    unsigned least = UINT_MAX, most = 0;
    pid_t pids[8];

    for (unsigned i = 0; i < 8; i++) {
        pids[i] = child_new();
        if (pids[i] == 0) {
            struct port_lock *lock = lock_of(&place);

            while (clock_monotonic_us() < end_us) {
                uint64_t began_us = clock_monotonic_us();

                if (take(lock, 5000) < 0) {
                    _exit(1);
                }
                worst_ms[i] = MAX(worst_ms[i], (unsigned) ((clock_monotonic_us() - began_us) / 1000));
                counts[i]++;
                clock_sleep_until_us(clock_monotonic_us() + 5000);
                (void) port_lock_release(lock);  // and no pause: the worst neighbour there is
            }
            _exit(0);
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        int status;

        CHECK_EQ(waitpid(pids[i], &status, 0), pids[i]);
        CHECK_EQ(status, 0);
        CHECK(worst_ms[i] <= 2000);
        least = MIN(least, counts[i]);
        most = MAX(most, counts[i]);
    }
    print_message("holds: %u to %u\n", least, most);
    CHECK(least * 2 >= most);
}

/* Fault 23 */
static void test_a_file_that_is_no_semaphore_is_refused_and_no_signal_comes(void)
{
    static const long sizes[] = { 0, 1, sizeof(sem_t) / 2, sizeof(sem_t) - 1, sizeof(sem_t) + 1, 4096 };

    for (size_t i = 0; i < ARRAY_SIZE(sizes) + 3; i++) {
        struct place place = place_new();
        auto_port_lock struct port_lock *lock = lock_of(&place);

        if (i < ARRAY_SIZE(sizes)) {
            CHECK_EQ(sem_close(client_open(&place)), 0);
            CHECK_EQ(truncate(place.path, sizes[i]), 0);
        } else if (i == ARRAY_SIZE(sizes)) {
            CHECK_EQ(symlink("/dev/null", place.path), 0);
        } else {
            CHECK_EQ(i == ARRAY_SIZE(sizes) + 1 ? mkfifo(place.path, 0660) : mkdir(place.path, 0770), 0);
        }
        CHECK_EQ(take(lock, 20), -EINVAL);
        CHECK(strstr(port_lock_problem(lock), "is not a semaphore"));
        (void) remove(place.path);
        CHECK_EQ(take(lock, 1000), 0);  // the next try finds it mended
    }
}

static void test_full_shared_memory_is_told_and_leaves_nothing_behind(void)
{
    struct place place = place_new();
    pid_t pid = child_new();
    int status;

    if (pid == 0) {
        struct port_lock *lock = lock_of(&place);
        int fd;

        if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) < 0
            || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
            || mount("none", "/dev/shm", "tmpfs", 0, "size=4k,mode=1777") < 0) {
            _exit(77);
        }
        fd = open("/dev/shm/full", O_RDWR | O_CREAT, 0600);
        if (write(fd, &place, sizeof(place)) < 0 || take(lock, 20) != -ENOSPC
            || !strstr(port_lock_problem(lock), "is full") || access(place.path, F_OK) == 0) {
            _exit(1);
        }
        _exit(ftruncate(fd, 0) < 0 || take(lock, 1000) != 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("file systems cannot be mounted here\n");
        skip();
    }
    CHECK_EQ(status, 0);
}

static void test_calls_that_would_break_the_protocol_are_nowhere(void)
{
    static const char *const files[] = { "port_lock.c", "port_lock_semaphore.c", "port_lock_side.c" };
    static const char *const calls[] = { "sem_unlink(", "sem_timedwait(", "sem_wait(", "unlink(", "CLOCK_REALTIME" };

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        auto_free char *text = NULL;
        char path[512];
        size_t size;

        (void) snprintf(path, sizeof(path), "%s/../drivers/%s", TEST_SOURCE_DIR, files[i]);
        CHECK_EQ(file_read(path, 100000, &text, &size), 0);
        for (size_t call = 0; call < ARRAY_SIZE(calls); call++) {
            CHECK(!strstr(text, calls[call]));
        }
    }
}

TESTS(test_a_port_is_taken_by_one_at_a_time, test_only_names_of_semaphores_are_taken,
      test_the_semaphore_that_we_make_is_that_of_the_c_library, test_nothing_stays_open_but_the_side_lock,
      test_unlink_while_one_of_us_holds_lets_no_other_of_us_in,
      test_who_waits_goes_over_to_the_semaphore_that_took_the_name, test_surplus_tokens_are_drained,
      test_steps_of_the_clock_neither_cut_nor_prolong_a_wait, test_a_semaphore_of_another_user_is_told_with_the_remedy,
      test_a_client_gets_in_between_our_holds, test_nobody_of_ours_starves,
      test_a_file_that_is_no_semaphore_is_refused_and_no_signal_comes,
      test_full_shared_memory_is_told_and_leaves_nothing_behind,
      test_calls_that_would_break_the_protocol_are_nowhere)
