/* SPDX-License-Identifier: MIT */
#pragma once

/* What port_lock.c (the protocol), port_lock_semaphore.c and port_lock_side.c (what it stands on) share. */

#include "app/base/limits.h"
#include "app/base/macros.h"

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PORT_PROBLEM_SIZE 320  // a path, an owner, and the words of the remedy

/* A test that builds these files itself dies here, at each step of the protocol. */
#ifndef PORT_LOCK_STEP
#define PORT_LOCK_STEP(number) ((void) 0)
#endif

/*
 * port_lock_semaphore.c: the POSIX semaphore that everybody shares. glibc keeps it as a file that holds one sem_t. It
 * is open only while the side lock is held, and through one descriptor: that makes the lease a proof.
 */
struct port_semaphore {
    char path[PATH_SIZE];
    int fd;             // -1: not open
    sem_t *sem;
    dev_t dev;
    ino_t ino;
    bool lease_proves;  // the self-test at the start
};

/* Whether another process has it open or mapped */
enum port_others { PORT_OTHERS_NONE, PORT_OTHERS_SOME, PORT_OTHERS_UNKNOWN };

/* Does the self-test. Errors: -EINVAL not such a name */
int port_semaphore_init(const char *name, struct port_semaphore *ret) MUST_CHECK;

/*
 * Open it, or make it with value 1 and mode 0660, for that group (and owner, if we are root); -1 leaves them.
 * Errors: -EACCES, -EINVAL, -ENOSPC and others, with their words in problem; -EAGAIN a lease is in the way, for long
 */
int port_semaphore_open(struct port_semaphore *semaphore, uid_t owner, gid_t group, uint64_t deadline_us,
                        char problem[static PORT_PROBLEM_SIZE]) MUST_CHECK;
void port_semaphore_close(struct port_semaphore *semaphore);

/* The name means another file by now, or none */
bool port_semaphore_moved(const struct port_semaphore *semaphore);

/*
 * Wait for the token until that monotonic time; one try at least. *ret_posted: somebody gave it back meanwhile, though
 * another was quicker. Errors: -ETIMEDOUT
 */
int port_semaphore_wait(struct port_semaphore *semaphore, uint64_t until_us, bool *ret_posted) MUST_CHECK;
bool port_semaphore_try(struct port_semaphore *semaphore);

/*
 * The lease: nobody else alive has it open. *ret_value is its value at that moment; unchanged unless it is
 * PORT_OTHERS_NONE.
 */
enum port_others port_semaphore_others(const struct port_semaphore *semaphore, int *ret_value);

/* Give the token back, unless somebody posted twice and it is there already. */
void port_semaphore_post(struct port_semaphore *semaphore);

/*
 * port_lock_side.c: the side lock, which the kernel drops when its holder dies, and the witness record in it, which
 * tells the next one how far the dead one came.
 */
enum port_state { PORT_FREE, PORT_WANT, PORT_HELD, PORT_POSTING };

#define PORT_FLAG_SHARED  1  // released with somebody else about: let them in first
#define PORT_FLAG_LASTING 2  // watched for longer than a turn lasts: stuck_ms counts after a break, too

struct port_witness {
    uint32_t magic;
    uint32_t pid;         // for people
    uint16_t state;       // enum port_state
    uint16_t flags;
    uint32_t due_ms;      // written again so much later; then nobody watches any more
    uint64_t boot;
    uint64_t dev, ino;    // the semaphore that this is about
    uint64_t written_us;  // monotonic
    uint64_t activity;    // of the line
    uint64_t stuck_ms;    // the token was seen away for so long, and nothing moved
};

struct port_side {
    char directory[PATH_SIZE];
    char path[PATH_SIZE];
    int fd;  // -1: cannot be used
    dev_t dev;
    ino_t ino;
    uid_t owner;    // of the directory: whom new files are given to; -1 unknown
    gid_t group;
    uint64_t boot;
    uint32_t pid;
    uint32_t random;
    char warning[PORT_PROBLEM_SIZE];  // why it cannot be used
};

/* Errors: -EINVAL too long */
int port_side_init(const char *directory, const char *name, struct port_side *ret) MUST_CHECK;
void port_side_clear(struct port_side *side);

/* Take it, first come first served. Returns 0 as well where it cannot be used. Errors: -ETIMEDOUT */
int port_side_lock(struct port_side *side, uint64_t deadline_us) MUST_CHECK;
void port_side_unlock(struct port_side *side);

/* Somebody waits for it */
bool port_side_wanted(const struct port_side *side);

/* The record, PORT_FREE if there is none of this boot. Only for the holder. */
struct port_witness port_side_read(const struct port_side *side);
void port_side_write(const struct port_side *side, const struct port_witness *witness);
