/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * <run-dir>/leds.sock, at which `led` and `ip` ask (question.h). Mode 0660: who may be asked by is the directory's and
 * the group's matter. It comes again when somebody removes it.
 */

#include "app/base/limits.h"
#include "app/leds/question.h"

#include <sys/types.h>

#define SERVER_PER_SECOND 20  // questions that are answered; a person types one

struct server {
    char path[PATH_SIZE];
    int fd;                   // -1: none
    dev_t device;             // of the socket's name, as we made it
    ino_t inode;
    int error;                // why there is none, as was told; 0: there is one
    uint64_t second;          // of the boot clock, in which so many
    unsigned asked;           // questions came
};

/* A name that is too long for a socket is told: there is none then. */
void server_begin(struct server *server, const char *run_dir);

/*
 * Whether the socket is there and ours; if not, make it. A name that is in the way is removed only if it is a socket of
 * this user behind which nobody is. A failure is told once.
 *
 * before  called with the descriptor before it is closed     after  with the new one
 */
void server_look(struct server *server, void (*before)(int fd, void *data), void (*after)(int fd, void *data),
                 void *data);

/*
 * Take what was asked, some at a time. take gets each question and answers NULL, or says why not.
 */
void server_take(struct server *server, uint64_t now_boot_ms,
                 const char *(*take)(const struct question *question, void *data), void *data);

/* Remove the name, if it is still ours. */
void server_end(struct server *server);
