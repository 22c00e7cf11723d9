/* SPDX-License-Identifier: MIT */
#include "drivers/port_lock_private.h"

#include "app/base/clock.h"
#include "app/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#define SHM_DIRECTORY "/dev/shm"  // where glibc's sem_open() looks: <this>/sem.<name without the slash>

// Somebody opens the file while the lease is held: the kernel sends a signal, one that nobody minds. SIGIO would kill.
#define LEASE_SIGNAL SIGURG

/* A write lease is granted only while this descriptor is the one that has the file open or mapped. */
static int lease_probe(int fd)
{
    return fcntl(fd, F_SETSIG, LEASE_SIGNAL) < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0 ? -errno : 0;
}

static void lease_end(int fd)
{
    (void) fcntl(fd, F_SETLEASE, F_UNLCK);  // where it fails there is none
}

static bool probe_says(int fd, int expect)
{
    int r = lease_probe(fd);

    if (r == 0) {
        lease_end(fd);
    }
    return r == expect;
}

/* The proof is only used where this kernel and file system show that they give it: alone, opened twice, mapped. */
static bool self_test(void)
{
    auto_close int fd = open(SHM_DIRECTORY, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    auto_close int second = -1;
    char path[32];
    void *memory;
    bool good;

    if (fd < 0 || ftruncate(fd, sizeof(sem_t)) < 0 || !probe_says(fd, 0)) {
        return false;
    }
    (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    second = open(path, O_RDWR | O_CLOEXEC);
    if (second < 0) {
        return false;
    }
    good = probe_says(fd, -EAGAIN);
    memory = mmap(NULL, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED, second, 0);
    if (memory == MAP_FAILED) {
        return false;
    }
    (void) close(take_fd(&second));
    good = good && probe_says(fd, -EAGAIN);
    (void) munmap(memory, sizeof(sem_t));
    return good && probe_says(fd, 0);
}

int port_semaphore_init(const char *name, struct port_semaphore *ret)
{
    *ret = (struct port_semaphore){ .fd = -1 };
    if (name[0] != '/' || name[1] == '\0' || name[1] == '.' || strchr(name + 1, '/')
        || strlen(name) > NAME_MAX - strlen("sem.")) {
        return -EINVAL;
    }
    (void) snprintf(ret->path, sizeof(ret->path), SHM_DIRECTORY "/sem.%s", name + 1);
    ret->lease_proves = self_test();
    return 0;
}

/* As sem_open() does it: written first, then given its name, so that nobody ever sees half of it. */
static int create(const char *path, uid_t owner, gid_t group)
{
    auto_close int fd = open(SHM_DIRECTORY, O_TMPFILE | O_RDWR | O_CLOEXEC, 0660);
    char source[32];
    sem_t fresh;
    int r;

    if (fd < 0) {
        return -errno;
    }
    memset(&fresh, 0, sizeof(fresh));
    (void) sem_init(&fresh, 1, 1);  // cannot fail for 1
    r = file_write_all(fd, &fresh, sizeof(fresh));
    if (r < 0) {
        return r;
    }
    (void) fchmod(fd, 0660);                                                  // whatever the umask
    (void) !fchown(fd, geteuid() == 0 ? owner : (uid_t) -1, group);           // or it stays with our own group
    (void) snprintf(source, sizeof(source), "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, source, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST ? -errno : 0;
}

static int explain(const char *path, int error, char problem[static PORT_PROBLEM_SIZE])
{
    struct passwd *owner = NULL;
    struct stat status;

    switch (error) {
    case -EACCES:
        if (lstat(path, &status) == 0) {
            owner = getpwuid(status.st_uid);
            (void) snprintf(problem, PORT_PROBLEM_SIZE,
                            "semaphore closed to us (user %s, mode %04o); as root: chmod 0660 %s && chgrp dialout %s, "
                            "and be in dialout", owner ? owner->pw_name : "?", (unsigned) status.st_mode & 07777, path,
                            path);
            break;
        }
        (void) snprintf(problem, PORT_PROBLEM_SIZE, "%s cannot be made: %s", path, strerror(-error));
        break;
    case -EINVAL:
        (void) snprintf(problem, PORT_PROBLEM_SIZE,
                        "%s is not a semaphore of this C library (it has not %zu bytes); remove it while nobody uses "
                        "the port", path, sizeof(sem_t));
        break;
    case -ENOSPC:
        (void) snprintf(problem, PORT_PROBLEM_SIZE, "%s cannot be made: %s is full", path, SHM_DIRECTORY);
        break;
    default:
        (void) snprintf(problem, PORT_PROBLEM_SIZE, "%s: %s", path, strerror(-error));
        break;
    }
    return error;
}

/* The file itself. -EAGAIN: somebody probes with a lease at this moment; -ENOENT: not there */
static int open_file(const char *path)
{
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd >= 0) {
        return fd;
    }
    return errno == ELOOP || errno == EISDIR || errno == ENXIO ? -EINVAL : -errno;
}

static int map_file(struct port_semaphore *semaphore)
{
    struct stat status;
    void *memory;

    if (fstat(semaphore->fd, &status) < 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode) || status.st_size != sizeof(sem_t)) {
        return -EINVAL;  // behind the end of a file that is cut short waits SIGBUS
    }
    memory = mmap(NULL, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED, semaphore->fd, 0);
    if (memory == MAP_FAILED) {
        return -errno;
    }
    semaphore->sem = memory;
    semaphore->dev = status.st_dev;
    semaphore->ino = status.st_ino;
    return 0;
}

int port_semaphore_open(struct port_semaphore *semaphore, uid_t owner, gid_t group, uint64_t deadline_us,
                        char problem[static PORT_PROBLEM_SIZE])
{
    int r;

    for (;;) {
        r = open_file(semaphore->path);
        if (r >= 0) {
            break;
        }
        if (r == -ENOENT) {
            r = create(semaphore->path, owner, group);
        }
        if (r == -EAGAIN && clock_monotonic_us() < deadline_us) {
            clock_sleep_until_us(clock_monotonic_us() + 200);
        } else if (r < 0) {
            return explain(semaphore->path, r, problem);
        }
    }
    semaphore->fd = r;
    r = map_file(semaphore);
    if (r < 0) {
        port_semaphore_close(semaphore);
        return explain(semaphore->path, r, problem);
    }
    return 0;
}

void port_semaphore_close(struct port_semaphore *semaphore)
{
    if (semaphore->sem) {
        (void) munmap(semaphore->sem, sizeof(sem_t));
        semaphore->sem = NULL;
    }
    if (semaphore->fd >= 0) {
        (void) close(take_fd(&semaphore->fd));
    }
}

bool port_semaphore_moved(const struct port_semaphore *semaphore)
{
    struct stat status;

    return stat(semaphore->path, &status) < 0 || status.st_ino != semaphore->ino || status.st_dev != semaphore->dev;
}

bool port_semaphore_try(struct port_semaphore *semaphore)
{
    return sem_trywait(semaphore->sem) == 0;
}

/* How often this thread went to sleep of its own will */
static long sleeps(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_THREAD, &usage) < 0 ? 0 : usage.ru_nvcsw;
}

int port_semaphore_wait(struct port_semaphore *semaphore, uint64_t until_us, bool *ret_posted)
{
    const struct timespec until = { .tv_sec = (time_t) (until_us / 1000000),
                                    .tv_nsec = (long) (until_us % 1000000) * 1000 };
    long before;

    *ret_posted = false;
    if (port_semaphore_try(semaphore)) {
        return 0;
    }
    // Whoever posts wakes one who waits. If another takes the token first we sleep a second time: somebody is alive.
    before = sleeps();
    while (sem_clockwait(semaphore->sem, CLOCK_MONOTONIC, &until) < 0) {
        if (errno != EINTR) {
            *ret_posted = sleeps() - before > 1;
            return -ETIMEDOUT;
        }
        before = sleeps();
    }
    return 0;
}

enum port_others port_semaphore_others(const struct port_semaphore *semaphore, int *ret_value)
{
    int r;

    if (!semaphore->lease_proves) {
        return PORT_OTHERS_UNKNOWN;
    }
    r = lease_probe(semaphore->fd);
    if (r < 0) {
        return r == -EAGAIN ? PORT_OTHERS_SOME : PORT_OTHERS_UNKNOWN;  // -EACCES: it is not ours
    }
    (void) sem_getvalue(semaphore->sem, ret_value);  // before anybody can open it
    lease_end(semaphore->fd);
    return PORT_OTHERS_NONE;
}

void port_semaphore_post(struct port_semaphore *semaphore)
{
    int value = 0;

    if (sem_getvalue(semaphore->sem, &value) == 0 && value > 0) {
        return;
    }
    (void) sem_post(semaphore->sem);  // cannot overflow from 0
}
