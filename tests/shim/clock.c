/* SPDX-License-Identifier: MIT */

/*
 * For LD_PRELOAD: the clocks of one program are those of a file that a test has (tests/io/virtual_clock.py).
 *
 *   CLOCK_FILE      struct clock_file: how fast the boot and the monotonic clock run, which are one, and what the wall
 *                   clock says. Steps of the wall clock cancel a timerfd as they do in the kernel (timerfd_create(2)).
 *   CLOCK_ROOT      /proc/sys/kernel/random/boot_id and /sys/class/rtc are read below this directory instead
 *   CLOCK_GRACE_US  see below; 0 if it is not there
 *   CLOCK_NO_SYNC   fsync() and fdatasync() do nothing: a card does not become faster with the clock
 *
 * Waits end by these clocks: poll(), epoll_wait() with timerfds, sleeps, condition variables, semaphores. What is not
 * seen is the C library's own calls to itself. So that a slow or busy machine does not look like a slow meter or card,
 *   - the clocks run at another rate while a thread of the program works than while all of them wait,
 *   - they stand still while a thread whose wait is over has not been given a processor yet,
 *   - and who waits for an answer of a socket counts as working for the first CLOCK_GRACE_US.
 */

#undef _FILE_OFFSET_BITS  // open() and open64() are two symbols here
#undef _TIME_BITS

#include "clock_rate.h"
#include "real.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define TIMERS 16

struct timer {
    int fd;                        // 0: unused
    clockid_t clock;
    int64_t due_ns;                // NEVER: not armed
    int64_t sets;                  // of the wall clock, as far as this timer has told
};

static struct timer timers[TIMERS];
static const char *root;
static bool no_sync;

/* --- the clock --- */

static void map_file(const char *path)
{
    int fd = REAL(open)(path, O_RDWR | O_CLOEXEC);
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (mapped == MAP_FAILED) {
        abort();
    }
    close(fd);
    file = mapped;
    atomic_store(&file->busy, 1);
    renew();
    unlock();  // whoever was killed with it
}

__attribute__((constructor)) static void prepare(void)
{
    const char *path = getenv("CLOCK_FILE"), *grace = getenv("CLOCK_GRACE_US");

    root = getenv("CLOCK_ROOT");
    no_sync = getenv("CLOCK_NO_SYNC");
    grace_ns = grace ? atoll(grace) * 1000 : 0;
    file = &own;
    atomic_store(&own.busy, 1);
    atomic_store(&own.rate, 1);
    own.slots[0] = (struct slot){ .rate = 1, .limit_ns = NEVER };
    if (path) {
        map_file(path);
    }
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    switch (clock) {
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        *ret = timespec_of(now_ns());
        return 0;
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        *ret = timespec_of(now_ns() + atomic_load(&file->wall_ns));
        return 0;
    default:
        return REAL(clock_gettime)(clock, ret);
    }
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    struct timespec now;

    (void) zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *ret = (struct timeval){ .tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000 };
    return 0;
}

time_t time(time_t *ret)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (ret) {
        *ret = now.tv_sec;
    }
    return now.tv_sec;
}

/* --- waits --- */

static bool is_socket(int fd)
{
    int type;
    socklen_t size = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

/* An answer is on its way, but whoever sends it has no part in these clocks. */
static int poll_soon(struct pollfd *fds, nfds_t count, int64_t until_ns)
{
    const struct timespec grace = timespec_of(grace_ns);

    if (grace_ns == 0 || count != 1 || !is_socket(fds[0].fd) || until_ns - now_ns() < SECOND_NS / 100) {
        return 0;
    }
    return REAL(ppoll)(fds, count, &grace, NULL);
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    int64_t until_ns = timeout ? after_ns(timeout) : NEVER;
    unsigned tries = 0;
    int r;

    if (timeout && ns_of(timeout) == 0) {
        return REAL(ppoll)(fds, count, timeout, mask);
    }
    r = poll_soon(fds, count, until_ns);
    if (r != 0) {
        return r;
    }
    begin_wait(until_ns);
    do {
        const struct timespec rest = rest_until(until_ns, &tries);

        r = REAL(ppoll)(fds, count, &rest, mask);
    } while (r == 0 && now_ns() < until_ns);
    end_wait();
    return r;
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    const struct timespec wait = timespec_of(timeout * (SECOND_NS / 1000));

    return ppoll(fds, count, timeout < 0 ? NULL : &wait, NULL);
}

static int sleep_until(int64_t until_ns)
{
    unsigned tries = 0;

    begin_wait(until_ns);
    while (now_ns() < until_ns) {
        const struct timespec rest = rest_until(until_ns, &tries);

        REAL(clock_nanosleep)(CLOCK_MONOTONIC, 0, &rest, NULL);
    }
    end_wait();
    return 0;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *ret_rest)
{
    (void) ret_rest;
    return sleep_until(flags & TIMER_ABSTIME ? boot_ns_of(clock, time) : after_ns(time));
}

int nanosleep(const struct timespec *time, struct timespec *ret_rest)
{
    (void) ret_rest;
    return sleep_until(after_ns(time));
}

int usleep(useconds_t us)
{
    return sleep_until(now_ns() + us * INT64_C(1000));
}

unsigned sleep(unsigned s)
{
    return (unsigned) sleep_until(now_ns() + s * SECOND_NS);
}

static int wait_for_condition(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_ns)
{
    unsigned tries = 0;
    int r;

    begin_wait(until_ns);
    do {
        const struct timespec rest = rest_until(until_ns, &tries), until = timespec_of(real_ns() + ns_of(&rest));

        r = REAL(pthread_cond_clockwait)(condition, mutex, CLOCK_MONOTONIC, &until);
    } while (r == ETIMEDOUT && now_ns() < until_ns);
    end_wait();
    return r;
}

int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    return wait_for_condition(condition, mutex, NEVER);
}

int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock,
                           const struct timespec *until)
{
    return wait_for_condition(condition, mutex, boot_ns_of(clock, until));
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
    // where glibc keeps the clock of the condition's attributes
    bool is_monotonic = condition->__data.__wrefs & 2;

    return pthread_cond_clockwait(condition, mutex, is_monotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME, until);
}

int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *until)
{
    int64_t until_ns = boot_ns_of(clock, until);
    unsigned tries = 0;
    int r;

    begin_wait(until_ns);
    do {
        const struct timespec rest = rest_until(until_ns, &tries), real_until = timespec_of(real_ns() + ns_of(&rest));

        r = REAL(sem_clockwait)(semaphore, CLOCK_MONOTONIC, &real_until);
    } while (r < 0 && errno == ETIMEDOUT && now_ns() < until_ns);
    end_wait();
    return r;
}

int sem_timedwait(sem_t *semaphore, const struct timespec *until)
{
    return sem_clockwait(semaphore, CLOCK_REALTIME, until);
}

/* --- threads --- */

struct start {
    void *(*function)(void *);
    void *data;
};

static void *begin_thread(void *data)
{
    struct start start = *(struct start *) data;
    void *ret;

    free(data);
    ret = start.function(start.data);
    begin_wait(FREE);
    return ret;
}

int pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*function)(void *), void *data)
{
    struct start *start = malloc(sizeof(*start));
    int r;

    if (!start) {
        return EAGAIN;
    }
    *start = (struct start){ function, data };
    atomic_fetch_add(&file->busy, 1);
    r = REAL(pthread_create)(ret, attributes, begin_thread, start);
    if (r != 0) {
        atomic_fetch_sub(&file->busy, 1);
        free(start);
    }
    return r;
}

int pthread_join(pthread_t thread, void **ret)
{
    int r;

    begin_wait(NEVER);
    r = REAL(pthread_join)(thread, ret);
    end_wait();
    return r;
}

/* --- timers --- */

static struct timer *find_timer(int fd)
{
    for (unsigned i = 0; fd > 0 && i < TIMERS; i++) {
        if (timers[i].fd == fd) {
            return &timers[i];
        }
    }
    return NULL;
}

/* That of the wall clock is never due: it is made readable by the bell. */
int timerfd_create(clockid_t clock, int flags)
{
    struct timer *timer = NULL;
    int fd;

    for (unsigned i = 0; i < TIMERS && !timer; i++) {
        timer = timers[i].fd == 0 ? &timers[i] : NULL;
    }
    if (!timer) {
        abort();
    }
    if (clock == CLOCK_REALTIME && getenv("CLOCK_FILE")) {
        fd = inotify_init1((flags & TFD_NONBLOCK ? IN_NONBLOCK : 0) | (flags & TFD_CLOEXEC ? IN_CLOEXEC : 0));
        if (fd >= 0 && inotify_add_watch(fd, getenv("CLOCK_FILE"), IN_MODIFY) < 0) {
            abort();
        }
    } else {
        fd = REAL(timerfd_create)(CLOCK_MONOTONIC, flags);
    }
    if (fd >= 0) {
        *timer = (struct timer){ .fd = fd, .clock = clock, .due_ns = NEVER, .sets = atomic_load(&file->sets) };
    }
    return fd;
}

/* Whether the wall clock was set since somebody was told. */
static bool was_set(struct timer *timer)
{
    int64_t sets = atomic_load(&file->sets);
    bool ret = timer->sets != sets;

    timer->sets = sets;
    return ret;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *ret_old)
{
    static const struct itimerspec off;
    struct timer *timer = find_timer(fd);
    bool is_on = value->it_value.tv_sec != 0 || value->it_value.tv_nsec != 0;

    if (!timer || ret_old || value->it_interval.tv_sec != 0 || value->it_interval.tv_nsec != 0) {
        abort();  // nobody needs it
    }
    if (timer->clock == CLOCK_REALTIME) {
        if (flags & TFD_TIMER_CANCEL_ON_SET && was_set(timer)) {  // the kernel's timerfd_setup() says it as well
            errno = ECANCELED;
            return -1;
        }
        return 0;
    }
    timer->due_ns = !is_on ? NEVER : flags & TFD_TIMER_ABSTIME ? ns_of(&value->it_value) : after_ns(&value->it_value);
    return REAL(timerfd_settime)(fd, 0, &off, NULL);
}

ssize_t read(int fd, void *bytes, size_t size)
{
    struct timer *timer = find_timer(fd);
    char events[4096];

    if (!timer || timer->clock != CLOCK_REALTIME) {
        return REAL(read)(fd, bytes, size);
    }
    while (REAL(read)(fd, events, sizeof(events)) > 0) {
    }
    errno = was_set(timer) ? ECANCELED : EAGAIN;
    atomic_fetch_add(&file->sets, atomic_exchange(&file->set_again, 0));
    return -1;
}

int close(int fd)
{
    struct timer *timer = find_timer(fd);

    if (timer) {
        *timer = (struct timer){ 0 };
    }
    return REAL(close)(fd);
}

/* Make those readable whose time has come. Returns when the next one is due; 0: one is just firing. */
static int64_t fire_timers(int64_t until_ns)
{
    static const struct itimerspec at_once = { .it_value.tv_nsec = 1 };
    int64_t now = now_ns();

    for (unsigned i = 0; i < TIMERS; i++) {
        if (timers[i].fd != 0 && timers[i].due_ns <= now) {
            timers[i].due_ns = NEVER;
            REAL(timerfd_settime)(timers[i].fd, 0, &at_once, NULL);
            until_ns = 0;
        } else if (timers[i].fd != 0 && timers[i].due_ns < until_ns) {
            until_ns = timers[i].due_ns;
        }
    }
    return until_ns;
}

int epoll_pwait(int epoll, struct epoll_event *events, int count, int timeout, const sigset_t *mask)
{
    const struct timespec at_once = { 0 };
    const int64_t until_ns = timeout < 0 ? NEVER : now_ns() + timeout * (SECOND_NS / 1000);
    unsigned tries = 0;
    int r;

    r = REAL(epoll_pwait2)(epoll, events, count, &at_once, mask);
    if (r != 0 || timeout == 0) {
        return r;
    }
    begin_wait(NEVER);
    do {
        const int64_t next_ns = fire_timers(until_ns);
        struct timespec rest;

        wait_on(next_ns ? next_ns : now_ns());
        rest = next_ns ? rest_until(next_ns, &tries) : timespec_of(CHUNK_NS);
        r = REAL(epoll_pwait2)(epoll, events, count, &rest, mask);
    } while (r == 0 && now_ns() < until_ns);
    end_wait();
    return r;
}

int epoll_wait(int epoll, struct epoll_event *events, int count, int timeout)
{
    return epoll_pwait(epoll, events, count, timeout, NULL);
}

/* --- files --- */

static const char *elsewhere(const char *path, char buffer[static 4096])
{
    if (!root || (strcmp(path, "/proc/sys/kernel/random/boot_id") != 0 && strncmp(path, "/sys/class/rtc/", 15) != 0)) {
        return path;
    }
    snprintf(buffer, 4096, "%s%s", root, path);
    return buffer;
}

int open(const char *path, int flags, ...)
{
    char buffer[4096];
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    return REAL(open)(elsewhere(path, buffer), flags, mode);
}

int open64(const char *path, int flags, ...)
{
    char buffer[4096];
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    return REAL(open64)(elsewhere(path, buffer), flags, mode);
}

int fsync(int fd)
{
    return no_sync ? 0 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return no_sync ? 0 : REAL(fdatasync)(fd);
}

/* --- as _FORTIFY_SOURCE calls them --- */

ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room);
ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room)
{
    return size > room ? abort(), -1 : read(fd, bytes, size);
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room);
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room)
{
    (void) room;
    return poll(fds, count, timeout);
}

int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask, size_t room)
{
    (void) room;
    return ppoll(fds, count, timeout, mask);
}
