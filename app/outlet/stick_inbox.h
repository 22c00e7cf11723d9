/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A meterstick.conf in the root of a stick, on its way to acquire, and the answer on its way back: the file goes to
 * <state-dir>/inbox/<sha256>.conf, the answer comes in acquire's status and goes to RESULT.txt beside the file. Nothing
 * else is decided here. One thread.
 */

#include "app/base/sha256.h"
#include "app/base/text.h"

#include <stdbool.h>
#include <stdint.h>

#define STICK_INBOX_NAME   "meterstick.conf"
#define STICK_INBOX_RESULT "RESULT.txt"

/* Zero-initialised but for the directories, which are the caller's. */
struct stick_inbox {
    const char *state_dir, *run_dir;
    char sha256[SHA256_TEXT_SIZE];   // of what was last on the stick; "": nothing
    bool is_waiting;                 // nobody has answered it yet
    bool is_refused;
    uint64_t brought_ms;             // into the inbox; 0: not by us
    uint64_t looked_ms;              // for an answer
    int error;                       // of the last try to bring it, as it was logged
};

/* What an answer may be. */
enum stick_inbox_result {
    STICK_INBOX_ADOPTED,
    STICK_INBOX_REFUSED,
    STICK_INBOX_OFF,      // configure = no
};

/*
 * The root is open for writing: bring what is there, and write the answer if there is one and it does not stand there.
 * What fails is tried again at the next burst.
 */
void stick_inbox_visit(struct stick_inbox *inbox, int root_fd, bool configure, const char *appliance, uint64_t now_ms);

/* While the stick is closed, looked at once a second: whether an answer has come that is to be written. */
bool stick_inbox_is_answered(struct stick_inbox *inbox, uint64_t now_ms);

/* The stick is another. */
void stick_inbox_forget(struct stick_inbox *inbox);

/* What RESULT.txt says; text is acquire's, faults one a line. Pure. */
void stick_inbox_say(struct text *ret, enum stick_inbox_result result, const char *appliance, const char *sha256,
                     const char *text);
