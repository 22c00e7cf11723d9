/* SPDX-License-Identifier: MIT */

#include "app/outlet/sticks_child.h"

#include "app/base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Everything of the parent's: other children's sockets, udev's, the lock. A child that hangs must not hold them. */
static void close_others(int report_fd)
{
    int a = MIN(report_fd, log_descriptor()), b = MAX(report_fd, log_descriptor());

    a = MAX(a, STDERR_FILENO);
    if (a > STDERR_FILENO + 1) {
        (void) close_range(STDERR_FILENO + 1, (unsigned) a - 1, 0);
    }
    if (b > a + 1) {
        (void) close_range((unsigned) a + 1, (unsigned) b - 1, 0);
    }
    (void) close_range((unsigned) b + 1, ~0U, 0);
}

/* As a program begins, but for the two that are read from a descriptor. */
static int reset_signals(void)
{
    sigset_t signals;

    for (int number = 1; number < NSIG; number++) {
        (void) signal(number, SIG_DFL);  // SIGKILL cannot, and need not
    }
    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGTERM);
    (void) sigaddset(&signals, SIGINT);
    if (sigprocmask(SIG_SETMASK, &signals, NULL) < 0) {
        return -errno;
    }
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int live(struct sticks_child_life *life, pid_t parent, sticks_child_work *work, void *data)
{
    char name[16];  // as long as the kernel takes

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent) {
        return 1;
    }
    close_others(life->report_fd);
    life->signal_fd = reset_signals();
    if (life->signal_fd < 0) {
        return 1;
    }
    (void) snprintf(name, sizeof(name), "stick %s", life->volume.node + strlen("/dev/"));
    (void) prctl(PR_SET_NAME, name);

    return work(life, data);
}

int sticks_child_begin(const struct block_volume *volume, sticks_child_work *work, void *data,
                       struct sticks_child *ret)
{
    struct sticks_child_life life = { .volume = *volume };
    int pair[2];
    pid_t pid, parent = getpid();

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        return -errno;
    }

    life.report_fd = pair[1];
    pid = fork();
    if (pid == 0) {
        _exit(live(&life, parent, work, data));
    }
    if (pid < 0) {
        int error = errno;

        (void) close(pair[0]);
        (void) close(pair[1]);
        return -error;
    }

    (void) close(pair[1]);
    *ret = (struct sticks_child){ .pid = pid, .fd = pair[0] };
    return 0;
}

void sticks_child_tell(const struct sticks_child_life *life, const struct stick_report *report)
{
    (void) send(life->report_fd, report, sizeof(*report), MSG_DONTWAIT | MSG_NOSIGNAL);
}

int sticks_child_hear(const struct sticks_child *child, struct stick_report *ret)
{
    struct stick_report report;

    for (;;) {
        ssize_t size = recv(child->fd, &report, sizeof(report), MSG_DONTWAIT);

        if (size == (ssize_t) sizeof(report)) {
            report.id[sizeof(report.id) - 1] = report.error[sizeof(report.error) - 1] = '\0';
            *ret = report;
            return 1;
        }
        if (size <= 0) {
            return 0;
        }
    }
}

void sticks_child_close(struct sticks_child *child)
{
    if (child->pid > 0) {
        (void) close(child->fd);
        *child = (struct sticks_child){ .fd = -1 };
    }
}

bool sticks_child_is_over(pid_t pid, char how[static STICKS_CHILD_HOW_SIZE])
{
    int status;
    pid_t r = waitpid(pid, &status, WNOHANG);

    if (r == 0 || (r < 0 && errno == EINTR)) {
        return false;
    }

    how[0] = '\0';
    if (r > 0 && WIFSIGNALED(status)) {
        (void) snprintf(how, STICKS_CHILD_HOW_SIZE, "was killed by signal %d", WTERMSIG(status));
    } else if (r > 0 && WEXITSTATUS(status) != 0) {
        (void) snprintf(how, STICKS_CHILD_HOW_SIZE, "ended with %d", WEXITSTATUS(status));
    }
    return true;
}
