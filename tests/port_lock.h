/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the tests of the port lock share: the lock, built once more with a hook at each step of the protocol; a place of
 * its own for each test; children that die at a step; and clients as others write them, with sem_open().
 */

#include "tests/test.h"

#include <sys/ioctl.h>

/* The hook: a child dies or stops there. 8 is the use of the port, between take and release. */
static struct { int step, signal; } test_fate;
static void test_step(int number);
#define PORT_LOCK_STEP(number) test_step(number)

/* 10 s of patience are too long for a test of it. */
static uint64_t test_stuck_us = 10000000;
#define PORT_LOCK_STUCK_US test_stuck_us

/* A driver that counts the bytes of the line: no pty does. */
static int test_icount = -1;
static int test_ioctl(int fd, unsigned long request, void *argument);
#define ioctl test_ioctl

#include "drivers/port_lock.c"
#include "drivers/port_lock_semaphore.c"
#include "drivers/port_lock_side.c"

#undef ioctl

#include <dirent.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void test_step(int number)
{
    if (number == test_fate.step) {
        (void) raise(test_fate.signal);
    }
}

static int test_ioctl(int fd, unsigned long request, void *argument)
{
    (void) fd;
    if (request != TIOCGICOUNT || test_icount < 0) {
        errno = ENOTTY;
        return -1;
    }
    ((struct serial_icounter_struct *) argument)->rx = test_icount;
    return 0;
}

/* A semaphore and a directory of side locks that nobody else uses */
struct place {
    char name[64];       // "/..."
    char path[128];      // its file
    char directory[64];
    char side[160];      // the side lock's file
};

static void places_remove(void)
{
    char command[160];

    // failed tests leave by longjmp: everything of this process goes at its end
    (void) snprintf(command, sizeof(command), "rm -rf /dev/shm/sem.meterstick-%d-* /tmp/meterstick-lock-%d-*", getpid(),
                    getpid());
    (void) !system(command);
}

static inline struct place place_new(void)
{
    static unsigned count;
    struct place place;

    if (count == 0) {
        CHECK_EQ(atexit(places_remove), 0);
    }
    (void) snprintf(place.name, sizeof(place.name), "/meterstick-%d-%u", getpid(), count++);
    (void) snprintf(place.path, sizeof(place.path), "/dev/shm/sem.%s", place.name + 1);
    (void) snprintf(place.directory, sizeof(place.directory), "/tmp/meterstick-lock-%d-%u", getpid(), count);
    (void) snprintf(place.side, sizeof(place.side), "%s/%s", place.directory, place.name + 1);
    CHECK_EQ(mkdir(place.directory, 0770), 0);
    test_fate.step = 0;
    test_stuck_us = 10000000;
    test_icount = -1;
    return place;
}

static inline struct port_lock *lock_of(const struct place *place)
{
    struct port_lock *lock = NULL;

    CHECK_EQ(port_lock_new(place->name, place->directory, &lock), 0);
    CHECK_STR(port_lock_warning(lock), "");
    return lock;
}

/* Take it within so many ms. Returns what port_lock_take() does, or 1 if it was dirty. */
static inline int take(struct port_lock *lock, unsigned ms)
{
    bool dirty = false;
    int r = port_lock_take(lock, -1, clock_monotonic_us() + ms * UINT64_C(1000), &dirty);

    return r < 0 ? r : dirty;
}

/* The value as any other program sees it */
static inline int value_of(const struct place *place)
{
    sem_t *sem = sem_open(place->name, 0);
    int value = -1;

    CHECK(sem != SEM_FAILED);
    CHECK_EQ(sem_getvalue(sem, &value), 0);
    CHECK_EQ(sem_close(sem), 0);
    return value;
}

/* fork(), and no child outlives the test */
static inline pid_t child_new(void)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    return pid;
}

/* A child that goes through the protocol once and has that fate. Returns its id when the fate has come. */
static inline pid_t child_with_fate(const struct place *place, int step, int signal)
{
    pid_t pid = child_new();
    siginfo_t info;

    if (pid == 0) {
        struct port_lock *lock = NULL;
        bool dirty;

        test_fate.step = step;
        test_fate.signal = signal;
        if (port_lock_new(place->name, place->directory, &lock) == 0
            && port_lock_take(lock, -1, clock_monotonic_us() + 20000000, &dirty) == 0) {
            test_step(8);
            (void) port_lock_release(lock);
        }
        _exit(1);
    }
    // one that was killed is no zombie: its descriptors are closed when it can be waited for
    CHECK_EQ(waitid(P_PID, (id_t) pid, &info, WEXITED | WSTOPPED | (signal == SIGSTOP ? WNOWAIT : 0)), 0);
    if (info.si_code != CLD_EXITED || (step != 4 && step != 5)) {  // who inherits does not wait: it goes through
        CHECK_EQ(info.si_status, signal);
    }
    return pid;
}

static inline void end(pid_t pid)
{
    (void) kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

/* A child that does something until it is ended. Returns when it has begun: function() writes a byte to say so. */
static inline pid_t child(void (*function)(const struct place *place, int ready), const struct place *place)
{
    int ends[2];
    pid_t pid;
    char byte;

    CHECK_EQ(pipe(ends), 0);
    pid = child_new();
    if (pid == 0) {
        function(place, ends[1]);
        _exit(0);
    }
    (void) close(ends[1]);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    (void) close(ends[0]);
    return pid;
}

static inline sem_t *client_open(const struct place *place)
{
    sem_t *sem = sem_open(place->name, O_CREAT, 0660, 1);

    if (sem == SEM_FAILED) {
        _exit(2);
    }
    return sem;
}

static inline int client_wait(sem_t *sem)
{
    struct timespec until;

    (void) clock_gettime(CLOCK_REALTIME, &until);  // as the others do it
    until.tv_sec += 2;
    return sem_timedwait(sem, &until);
}

/* Clients: one that has it open, one that holds it */
static inline void client_looks(const struct place *place, int ready)
{
    (void) client_open(place);
    (void) !write(ready, "", 1);
    (void) pause();
}

static inline void client_holds(const struct place *place, int ready)
{
    if (client_wait(client_open(place)) < 0) {
        _exit(3);
    }
    (void) !write(ready, "", 1);
    (void) pause();
}
