/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A process that serves one stick, so that a call that does not return delays nobody else. It is forked without exec,
 * dies with its parent, and tells its reports over a socket of its own.
 */

#include "app/outlet/stick_report.h"
#include "board/block.h"

#include <sys/types.h>

struct sticks_child {
    pid_t pid;               // 0: none
    int fd;                  // where its reports come in
};

/* What the child has. */
struct sticks_child_life {
    struct block_volume volume;
    int report_fd;           // for sticks_child_tell(); POLLHUP: nobody listens any more, and nothing is expected
    int signal_fd;           // readable: SIGTERM or SIGINT came, the last burst may begin
};

/* What it does; runs in the child, and returns its exit status. */
typedef int sticks_child_work(const struct sticks_child_life *life, void *data);

/*
 * Begin one. Of the descriptors it has the first three and the log's, of the signals the usual meaning.
 * Errors: those of socketpair() and fork()
 */
int sticks_child_begin(const struct block_volume *volume, sticks_child_work *work, void *data,
                       struct sticks_child *ret) MUST_CHECK;

/* In the child: does not wait. What the parent has no time for now is told again within a second. */
void sticks_child_tell(const struct sticks_child_life *life, const struct stick_report *report);

/* In the parent: the next report, without waiting. Returns 1, or 0 if there is none. */
int sticks_child_hear(const struct sticks_child *child, struct stick_report *ret) MUST_CHECK;

/* In the parent: do not listen any more. The process is not waited for. */
void sticks_child_close(struct sticks_child *child);

/* Whether that process ended, and how: "" well, else "ended with 1", "was killed by signal 9". */
#define STICKS_CHILD_HOW_SIZE 40
bool sticks_child_is_over(pid_t pid, char how[static STICKS_CHILD_HOW_SIZE]);
