/* SPDX-License-Identifier: MIT */
#include "drivers/port_share.h"

#include "app/base/clock.h"
#include "drivers/port_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <termios.h>

#define WAIT_US         2000000 // as long as other programs wait
#define REST_MAX_US     500000  // a rest is half a hold at most
#define EARLY_US        100     // before the silence is over, if nobody is there: so long does giving back take
#define FOREIGN_US      200000  // a program that knows only flock() may have the port for so long
#define FOREIGN_LOOK_US 1000
#define PTY_FOLDER      "/dev/pts/"

struct port_share {
    struct port_lock *lock;
    char *name, *directory;
    bool pty_too;
    bool alone;                  // when it was last given back
    uint64_t stay_off_us;        // until then it is somebody else's turn
    uint64_t waited_us;
    struct termios setting;      // as we left it
    bool is_set;
};

int port_share_new(const char *name, const char *directory, bool pty_too, struct port_share **ret)
{
    struct port_share *share = calloc(1, sizeof(*share));
    const char *other = getenv("METERSTICK_LOCK_DIR");
    int r = -ENOMEM;

    if (!share) {
        return -ENOMEM;
    }
    if (!directory) {
        directory = other && *other ? other : PORT_LOCK_DIRECTORY;
    }
    share->pty_too = pty_too;
    share->name = strdup(name);
    share->directory = strdup(directory);
    if (share->name && share->directory) {
        r = port_lock_new(name, directory, &share->lock);
    }
    if (r < 0) {
        port_share_free(share);
        return r;
    }
    *ret = share;
    return 0;
}

void port_share_free(struct port_share *share)
{
    if (!share) {
        return;
    }
    port_lock_free(share->lock);
    free(share->name);
    free(share->directory);
    free(share);
}

/* Asks the kernel what it is behind all links, without opening it: another program may have it to itself right now. */
static bool is_pty(const char *path)
{
    auto_close int fd = open(path, O_PATH | O_CLOEXEC);
    char link[32], device[sizeof(PTY_FOLDER)] = "";

    (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return fd >= 0 && readlink(link, device, sizeof(device) - 1) > 0 && text_starts(device, PTY_FOLDER);
}

bool port_share_applies(const struct port_share *share, const struct endpoint *port)
{
    char path[PATH_SIZE];

    return share->pty_too || serial_find("", port, path, sizeof(path), NULL) < 0 || !is_pty(path);
}

bool port_share_is_absent(const struct endpoint *port)
{
    char path[PATH_SIZE];

    return serial_find("", port, path, sizeof(path), NULL) < 0 || access(path, F_OK) < 0;
}

int port_share_path(const struct port_share *share, const char *purpose, char *ret, size_t size)
{
    int length = snprintf(ret, size, "%s/%s.%s", share->directory, share->name + 1, purpose);

    return length < 0 || (size_t) length >= size ? -ENAMETOOLONG : 0;
}

/* Programs that know nothing of the lock, or another name of it. */
static int shut_out_others(int fd)
{
    uint64_t end_us = clock_monotonic_us() + FOREIGN_US;

    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK) {
            return -ENODEV;
        }
        if (clock_monotonic_us() >= end_us) {
            return -EBUSY;
        }
        clock_sleep_until_us(clock_monotonic_us() + FOREIGN_LOOK_US);
    }
    return ioctl(fd, TIOCEXCL) < 0 && errno != ENOTTY ? -ENODEV : 0;
}

static void let_others_in(int fd)
{
    // before the post, or who takes the port next could not open it
    (void) ioctl(fd, TIOCNXCL);
    (void) flock(fd, LOCK_UN);
}

static int take(struct port_share *share, int fd, struct text *problem, bool *ret_dirty)
{
    bool dirty = false;
    int r;

    r = port_lock_take(share->lock, fd, clock_monotonic_us() + WAIT_US, &dirty);
    if (r < 0) {
        text_addf(problem, r == -ETIMEDOUT ? "another program uses the port all the time: %s" : "%s",
                  port_lock_problem(share->lock));
        return r == -ETIMEDOUT ? -EBUSY : r;  // a silent meter is something else
    }

    r = fd >= 0 ? shut_out_others(fd) : 0;
    if (r < 0) {
        text_addf(problem, r == -EBUSY ? "a program that does not wait for the semaphore %s uses the port"
                                       : "adapter gone", share->name);
        (void) port_lock_release(share->lock);
        return r;
    }
    *ret_dirty = dirty;
    return 0;
}

/* Whatever was under way when its user died comes to an end. */
static void let_rest(int fd, uint64_t rest_us, double silence_us)
{
    clock_sleep_until_us(clock_monotonic_us() + MIN(rest_us, (uint64_t) REST_MAX_US) + (uint64_t) silence_us);
    if (fd >= 0) {
        (void) tcflush(fd, TCIFLUSH);
    }
}

int port_share_take(struct port_share *share, int fd, uint64_t rest_us, double silence_us, struct text *problem,
                    bool *ret_died)
{
    uint64_t start_us = clock_monotonic_us();
    bool dirty = true;

    *ret_died = false;
    // twice at most: after a rest a new hold has its whole time
    for (unsigned i = 0; i < 2 && dirty; i++) {
        int r;

        if (clock_monotonic_us() < share->stay_off_us) {
            clock_sleep_until_us(share->stay_off_us);
        }
        r = take(share, fd, problem, &dirty);
        if (r < 0) {
            return r;
        }
        if (dirty) {
            *ret_died = true;
            let_rest(fd, rest_us, silence_us);
            if (i == 0) {
                port_share_give(share, fd, 0);
            }
        } else if (!share->alone) {
            // programs that know only the semaphore post right behind their answer
            clock_sleep_until_us(clock_monotonic_us() + (uint64_t) silence_us);
        }
    }
    share->waited_us += clock_monotonic_us() - start_us;
    return 0;
}

void port_share_give(struct port_share *share, int fd, uint64_t quiet_until_us)
{
    uint64_t early_us = share->alone ? EARLY_US : 0, pause_us;

    if (clock_monotonic_us() + early_us < quiet_until_us) {
        clock_sleep_until_us(quiet_until_us - early_us);
    }
    if (fd >= 0) {
        let_others_in(fd);
    }
    pause_us = port_lock_release(share->lock);
    share->alone = pause_us == 0;
    share->stay_off_us = clock_monotonic_us() + pause_us;
}

uint64_t port_share_waited_us(const struct port_share *share)
{
    return share->waited_us;
}

uint64_t port_share_until_us(const struct port_share *share)
{
    return port_lock_until_us(share->lock);
}

void port_share_keep_setting(struct port_share *share, int fd)
{
    share->is_set = tcgetattr(fd, &share->setting) == 0;
}

bool port_share_setting_changed(const struct port_share *share, int fd)
{
    const struct termios *ours = &share->setting;
    struct termios now;

    if (!share->is_set || tcgetattr(fd, &now) < 0) {
        return true;
    }
    return now.c_iflag != ours->c_iflag || now.c_oflag != ours->c_oflag || now.c_cflag != ours->c_cflag
           || now.c_lflag != ours->c_lflag || cfgetispeed(&now) != cfgetispeed(ours)
           || cfgetospeed(&now) != cfgetospeed(ours) || now.c_cc[VMIN] != ours->c_cc[VMIN]
           || now.c_cc[VTIME] != ours->c_cc[VTIME];
}

const char *port_share_warning(const struct port_share *share)
{
    return port_lock_warning(share->lock);
}
