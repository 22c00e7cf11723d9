/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is told of one stick: by who serves it, at each change and at least once a second. A plain value of fixed size,
 * without pointers: one process hands it to another over a socket.
 */

#include "app/base/limits.h"
#include "app/base/macros.h"

#include <stdbool.h>
#include <stdint.h>

#define STICK_ID_SIZE    PATH_SIZE
#define STICK_ERROR_SIZE 160

#define STICK_BACKLOG_UNKNOWN UINT64_MAX  // nobody has looked at it yet

enum stick_state {
    STICK_IDLE,      // safe to pull
    STICK_CHECKING,  // fsck is at work
    STICK_WRITING,   // or about to write, or flushing
    STICK_FULL,
    STICK_READONLY,
    STICK_REFUSED,   // not a file system for us, damaged beyond repair, or in use by another program
    STICK_SLOW,      // a call has not returned for long: only who watches from outside can tell
    STICK_FAILED,
};

struct stick_report {
    bool in;                       // else the stick is gone, and nothing below counts
    char id[STICK_ID_SIZE];        // UUID of the file system, or the directory
    enum stick_state state;
    double percent, eta_s;         // of catching up; NAN: it is not, or nobody can tell yet
    uint64_t backlog;              // rows that are not on the stick, or STICK_BACKLOG_UNKNOWN
    bool is_configuration_refused; // that it brought; its rows are written all the same
    bool gap;                      // rows are missing there that the journal has no more
    char error[STICK_ERROR_SIZE];  // in words, "" = none
};

/* The word of the status file: "idle", "checking"... Pure. */
const char *stick_report_state_name(enum stick_state state);

/*
 * What a burst that ended so leaves behind: 0, -EAGAIN (the journal is just being changed) and -ENOENT (there is none
 * yet) a stick that is well. Pure.
 */
enum stick_state stick_report_state_of(int error);

/* Whether both say the same. Pure. */
bool stick_report_is_same(const struct stick_report *a, const struct stick_report *b);
