/* SPDX-License-Identifier: MIT */
#include "drivers/port_lock_private.h"

#include "app/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/*
 * The file has one record at its beginning, and locks far behind it, a byte each. Byte 0 is the lock. Whoever has to
 * wait stands in a line, bytes PLACES to 1: nobody overtakes, whoever dies leaves no gap for long, and the holder sees
 * that there is somebody. Open file description locks, since those of the process would be shared by its threads.
 */
#define PLACES     32
#define LOCK_START 4096
#define MAGIC      UINT32_C(0x4d534c31)  // another layout gets another

static bool set_lock(const struct port_side *side, short type, off_t place)
{
    struct flock range = { .l_type = type, .l_whence = SEEK_SET, .l_start = LOCK_START + place, .l_len = 1 };

    return fcntl(side->fd, F_OFD_SETLK, &range) == 0;
}

/* The same id for everybody of this boot: a record or an inode number of the last one means nothing. */
static uint64_t boot_number(void)
{
    char id[CLOCK_BOOT_ID_SIZE];
    uint64_t number = UINT64_C(14695981039346656037);  // FNV-1a

    clock_boot_id(id);
    for (const char *c = id; *c; c++) {
        number = (number ^ (unsigned char) *c) * UINT64_C(1099511628211);
    }
    return number;
}

static void side_close(struct port_side *side)
{
    if (side->fd >= 0) {
        (void) close(side->fd);
        side->fd = -1;
    }
}

static void refuse(struct port_side *side, const char *what, int error)
{
    side_close(side);
    (void) snprintf(side->warning, sizeof(side->warning),
                    "%s: %s (%s); the semaphore alone guards the port: who is killed while holding it may cost seconds",
                    what, strerror(error), error == ENOENT ? "systemd-tmpfiles --create makes it" : "see port-sharing");
}

static void side_open(struct port_side *side)
{
    struct stat directory, status;

    side_close(side);
    if (stat(side->directory, &directory) < 0) {
        refuse(side, side->directory, errno);
        return;
    }
    side->fd = open(side->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0660);
    if (side->fd < 0 || fstat(side->fd, &status) < 0) {
        refuse(side, side->path, errno);
        return;
    }
    if (!S_ISREG(status.st_mode)) {
        refuse(side, side->path, EINVAL);
        return;
    }
    side->owner = directory.st_uid;
    side->group = directory.st_gid;
    if (status.st_uid == geteuid()) {
        (void) fchmod(side->fd, 0660);  // whatever the umask took
        // root gives it to those who share it; where that fails it still works for us
        (void) !fchown(side->fd, geteuid() == 0 ? side->owner : (uid_t) -1, side->group);
    }
    side->dev = status.st_dev;
    side->ino = status.st_ino;
    side->warning[0] = '\0';
}

/* Somebody may have removed the file, or made the directory only now. */
static bool is_current(const struct port_side *side)
{
    struct stat status;

    return side->fd >= 0 && stat(side->path, &status) == 0 && status.st_ino == side->ino && status.st_dev == side->dev;
}

int port_side_init(const char *directory, const char *name, struct port_side *ret)
{
    *ret = (struct port_side){ .fd = -1, .owner = (uid_t) -1, .group = (gid_t) -1, .boot = boot_number(),
                              .pid = (uint32_t) getpid() };
    ret->random = (uint32_t) clock_monotonic_us() ^ ret->pid << 16;
    ret->random |= 1;  // never 0
    if (snprintf(ret->directory, sizeof(ret->directory), "%s", directory) >= (int) sizeof(ret->directory)
        || snprintf(ret->path, sizeof(ret->path), "%s/%s", directory, name) >= (int) sizeof(ret->path)) {
        return -EINVAL;
    }
    side_open(ret);
    return 0;
}

void port_side_clear(struct port_side *side)
{
    side_close(side);
}

/* 0.2 to 1 ms, so that two who wait do not keep step; not beyond the deadline */
static void pause_a_little(struct port_side *side, uint64_t now_us, uint64_t deadline_us)
{
    side->random ^= side->random << 13;
    side->random ^= side->random >> 17;
    side->random ^= side->random << 5;
    clock_sleep_until_us(MIN(now_us + 200 + side->random % 800, deadline_us));
}

/* Go forward from place to place until the lock itself is had. */
static int stand_in_line(struct port_side *side, uint64_t deadline_us)
{
    off_t place = PLACES;

    for (;;) {
        uint64_t now_us;

        if (set_lock(side, F_WRLCK, place)) {
            if (place < PLACES) {
                (void) set_lock(side, F_UNLCK, place + 1);
            }
            if (place == 0) {
                return 0;
            }
            place--;
            continue;
        }
        if (errno != EAGAIN && errno != EACCES) {
            return -errno;
        }
        now_us = clock_monotonic_us();
        if (now_us >= deadline_us) {
            if (place < PLACES) {
                (void) set_lock(side, F_UNLCK, place + 1);
            }
            return -ETIMEDOUT;
        }
        pause_a_little(side, now_us, deadline_us);
    }
}

int port_side_lock(struct port_side *side, uint64_t deadline_us)
{
    int r;

    for (unsigned tries = 0; tries < 100; tries++) {
        if (side->fd < 0) {
            side_open(side);
        }
        if (side->fd < 0) {
            return 0;
        }
        if (port_side_wanted(side) || !set_lock(side, F_WRLCK, 0)) {
            r = stand_in_line(side, deadline_us);
            if (r == -ETIMEDOUT) {
                return r;
            }
            if (r < 0) {
                refuse(side, side->path, -r);
                return 0;
            }
        }
        if (is_current(side)) {
            return 0;
        }
        side_close(side);
    }
    refuse(side, side->path, ESTALE);  // somebody removes it again and again
    return 0;
}

void port_side_unlock(struct port_side *side)
{
    if (side->fd >= 0 && !set_lock(side, F_UNLCK, 0)) {
        side_close(side);  // drops it as well
    }
}

bool port_side_wanted(const struct port_side *side)
{
    struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_START + 1, .l_len = PLACES };

    return side->fd >= 0 && fcntl(side->fd, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}

struct port_witness port_side_read(const struct port_side *side)
{
    struct port_witness witness;

    if (side->fd < 0 || pread(side->fd, &witness, sizeof(witness), 0) != sizeof(witness) || witness.magic != MAGIC
        || witness.boot != side->boot || witness.state > PORT_POSTING || witness.written_us > clock_monotonic_us()) {
        return (struct port_witness){ .state = PORT_FREE };
    }
    return witness;
}

void port_side_write(const struct port_side *side, const struct port_witness *witness)
{
    struct port_witness record = *witness;

    if (side->fd < 0) {
        return;
    }
    record.magic = MAGIC;
    record.boot = side->boot;
    record.pid = side->pid;
    if (pwrite(side->fd, &record, sizeof(record), 0) != sizeof(record)) {
        (void) !ftruncate(side->fd, 0);  // no record reads as PORT_FREE: at worst the next one is patient
    }
}
