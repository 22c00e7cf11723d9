/* SPDX-License-Identifier: MIT */

#include "app/outlet/stick_fsck.h"

#include "app/base/clock.h"
#include "app/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define TELL_MS     1000
#define STOP_MS     1500  // of the five seconds that a stop may take: most checks end within them
#define REPAIRED_RC 1     // 0: nothing was wrong; both are good
#define RUNS_MAX    3     // until nothing is wrong

static const char *const folders[] = { "/usr/sbin", "/sbin" };

const char *stick_fsck_name(enum volume_kind kind)
{
    return kind == VOLUME_EXFAT ? "fsck.exfat" : "fsck.fat";
}

static int find_program(enum volume_kind kind, char *ret, size_t size)
{
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        (void) snprintf(ret, size, "%s/%s", folders[i], stick_fsck_name(kind));
        if (access(ret, X_OK) == 0) {
            return 0;
        }
    }

    return -ENOENT;
}

/* We were told to end, by a signal that is blocked and waits for who runs us. */
static bool is_stopping(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

/*
 * No capability survives the exec: those of a unit are ambient, and cleared; root would get all anew, but for the
 * bounding set, which only root may empty.
 */
static void drop_capabilities(void)
{
    (void) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
        (void) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }
    (void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* In the child: never returns. */
static void run_program(const char *program, enum volume_kind kind, int device_fd, pid_t parent)
{
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    char device[32], name[32], option[] = "-a";
    char *arguments[] = { name, option, device, NULL };
    char *environment[] = { path, NULL };
    sigset_t none;
    int null_fd, fd;

    // It ends with us: one that outlives us would hold our mount namespace, and the device.
    (void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) {
        _exit(127);
    }
    drop_capabilities();
    (void) sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);

    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    fd = fcntl(device_fd, F_DUPFD, 3);  // not closed at exec
    if (null_fd < 0 || fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 || dup2(null_fd, 2) < 0) {
        _exit(127);
    }

    (void) snprintf(name, sizeof(name), "%s", stick_fsck_name(kind));
    (void) snprintf(device, sizeof(device), "/proc/self/fd/%d", fd);
    option[1] = kind == VOLUME_EXFAT ? 'p' : 'a';
    (void) execve(program, arguments, environment);
    _exit(127);
}

/* Until it ends, or the time is over. Returns 0, -ETIMEDOUT or -ECANCELED. */
static int wait_for_end(int pid_fd, uint64_t limit_ms, stick_root_tell *tell, void *data)
{
    struct pollfd wait = { .fd = pid_fd, .events = POLLIN };
    uint64_t begin_ms = clock_monotonic_ms(), stopped_ms = 0;

    for (;;) {
        uint64_t ms = clock_monotonic_ms() - begin_ms;
        uint64_t wait_ms = ms < limit_ms ? MIN(limit_ms - ms, (uint64_t) TELL_MS / 2) : 0;

        tell(STICK_CHECKING, data);
        if (poll(&wait, 1, (int) wait_ms) > 0) {
            return 0;
        }
        if (ms >= limit_ms) {
            return -ETIMEDOUT;
        }
        if (is_stopping()) {
            stopped_ms = stopped_ms ? stopped_ms : clock_monotonic_ms();
            if (clock_monotonic_ms() - stopped_ms >= STOP_MS) {
                return -ECANCELED;
            }
        }
    }
}

/* Returns 1 if something was repaired, 0 if nothing was wrong. */
static int run_once(const char *program, enum volume_kind kind, int device_fd, uint64_t limit_ms,
                    stick_root_tell *tell, void *data)
{
    auto_close int pid_fd = -1;
    pid_t parent = getpid(), pid;
    int status = 127 << 8, r;

    if (is_stopping()) {
        return -ECANCELED;
    }

    tell(STICK_CHECKING, data);
    pid = fork();
    if (pid < 0) {
        return -errno;
    }
    if (pid == 0) {
        run_program(program, kind, device_fd, parent);
    }

    pid_fd = pidfd_open(pid, 0);
    r = pid_fd < 0 ? -errno : wait_for_end(pid_fd, limit_ms, tell, data);
    if (r < 0) {
        (void) kill(pid, SIGKILL);
    }
    // One that the kernel does not let die has a stick that hangs: we hang with it, and who watches us sees that.
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (r < 0) {
        return r;
    }

    if (!WIFEXITED(status) || WEXITSTATUS(status) > REPAIRED_RC) {
        log_debug("%s ended with status 0x%x", program, (unsigned) status);
        return -EUCLEAN;
    }
    return WEXITSTATUS(status) == REPAIRED_RC;
}

/*
 * Until it finds nothing. fsck.fat 4.2 makes folders without a cluster of those whose chain is broken, which the kernel
 * does not bear, and takes them away when called again. Half a long name it never takes away; that harms nobody.
 */
int stick_fsck_run(enum volume_kind kind, int device_fd, uint64_t limit_ms, stick_root_tell *tell, void *data)
{
    char program[64];
    int r = find_program(kind, program, sizeof(program));

    if (r < 0) {
        return r;
    }

    for (int runs = 0; runs < RUNS_MAX; runs++) {
        r = run_once(program, kind, device_fd, limit_ms, tell, data);
        if (r <= 0) {
            return r;
        }
    }
    return 0;
}
