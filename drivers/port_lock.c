/* SPDX-License-Identifier: MIT */
#include "drivers/port_lock.h"

#include "app/base/clock.h"
#include "app/base/log.h"
#include "drivers/port_lock_private.h"

#include <assert.h>
#include <errno.h>
#include <linux/serial.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

/*
 * The semaphore alone has one flaw that cannot be mended from outside: who is killed while holding takes the token into
 * the grave. So all programs of ours stand in line for a side lock first, which the kernel takes from the dead, and the
 * one at the head writes down what it is about to do with the token (the witness). Its successor reads that: HELD means
 * that the token is now its own; WANT or POSTING that it may be. What is not written down, because another program
 * died, is found out by proof (nobody alive has the semaphore open, and it is 0) or, last of all, by patience.
 * A lost token is adopted and never posted on behalf of the dead: then a wrong guess cannot make two of one.
 */

// How long nothing may move until the token is taken for lost without proof: five times what other programs wait.
// Shorter patience mistook a holder without CPU for a dead one: 1.34 s without were measured.
#ifndef PORT_LOCK_STUCK_US
#define PORT_LOCK_STUCK_US UINT64_C(10000000)
#endif

#define PAUSE_US      UINT64_C(5000)     // off the bus after a release, so that another program gets in
#define SLICE_US      UINT64_C(20000)    // between two looks at what else may have happened
#define DOUBT_US      UINT64_C(500)      // the same if one of ours may have died with the token
#define SLICE_MAX_US  UINT64_C(2000000)  // as long as other programs wait
#define LASTING_US    UINT64_C(1500000)  // no turn is that long; all but the whole of a wait of 2 s
#define HEARTBEAT_MS  500                // who writes no witness for longer does not watch any more
#define REMEMBER_US   UINT64_C(60000000)

struct port_lock {
    char *name;
    struct port_semaphore semaphore;
    struct port_side side;
    uint64_t until_us;  // 0: not held
    char problem[PORT_PROBLEM_SIZE];
};

/* One wait for the token */
struct waiting {
    uint64_t began_us;
    uint64_t deadline_us;
    uint64_t still_since_us;    // the token was away and nothing moved since then
    uint64_t activity;
    int fd;
    bool in_doubt;              // the dead one before us may have taken it
    enum port_state state;      // what the witness says meanwhile
};

int port_lock_new(const char *name, const char *directory, struct port_lock **ret)
{
    auto_port_lock struct port_lock *lock = calloc(1, sizeof(*lock));
    int r;

    if (!lock) {
        return -ENOMEM;
    }
    lock->semaphore.fd = -1;
    lock->side.fd = -1;
    r = port_semaphore_init(name, &lock->semaphore);
    if (r < 0) {
        return r;
    }
    lock->name = strdup(name);
    if (!lock->name) {
        return -ENOMEM;
    }
    r = port_side_init(directory ? directory : PORT_LOCK_DIRECTORY, name + 1, &lock->side);
    if (r < 0) {
        return r;
    }

    *ret = TAKE(lock);
    return 0;
}

void port_lock_free(struct port_lock *lock)
{
    if (!lock) {
        return;
    }
    if (lock->until_us > 0) {
        (void) port_lock_release(lock);
    }
    port_semaphore_close(&lock->semaphore);
    port_side_clear(&lock->side);
    free(lock->name);
    free(lock);
}

void port_lock_freep(struct port_lock **lock)
{
    port_lock_free(*lock);
}

/* A witness about the semaphore that is open */
static struct port_witness witness_of(const struct port_lock *lock, enum port_state state)
{
    return (struct port_witness){ .state = (uint16_t) state,
                                  .dev = lock->semaphore.dev,
                                  .ino = lock->semaphore.ino,
                                  .written_us = clock_monotonic_us() };
}

static void put(const struct port_lock *lock, enum port_state state)
{
    const struct port_witness witness = witness_of(lock, state);

    port_side_write(&lock->side, &witness);
}

/* The same while waiting: who comes after us goes on from our patience. Nobody watches any more after due_us. */
static void put_waiting(const struct port_lock *lock, const struct waiting *waiting, enum port_state state,
                        uint64_t due_us)
{
    struct port_witness witness = witness_of(lock, state);

    witness.due_ms = (uint32_t) ((due_us - MIN(due_us, witness.written_us)) / 1000 + HEARTBEAT_MS);
    witness.activity = waiting->activity;
    witness.stuck_ms = (witness.written_us - waiting->still_since_us) / 1000;
    witness.flags = witness.written_us - MAX(waiting->began_us, waiting->still_since_us) >= LASTING_US
                        ? PORT_FLAG_LASTING : 0;
    port_side_write(&lock->side, &witness);
}

/* Bytes that went over the line, both ways, where the driver counts them */
static uint64_t line_activity(int fd)
{
    struct serial_icounter_struct counter = { 0 };

    if (fd < 0 || ioctl(fd, TIOCGICOUNT, &counter) < 0) {
        return 0;
    }
    return (uint64_t) (uint32_t) counter.rx << 32 | (uint32_t) counter.tx;
}

/*
 * How long the ones before us have seen the token away. Watched without a break counts whole; after a break only what
 * one of them saw for so long that a live program would have let go, since it was away for a time of its own.
 */
static uint64_t inherited_us(const struct port_witness *witness, uint64_t activity, uint64_t now_us)
{
    uint64_t age_us = now_us - MIN(now_us, witness->written_us);

    if (witness->stuck_ms == 0 || witness->activity != activity) {
        return 0;
    }
    if (age_us <= witness->due_ms * UINT64_C(1000)) {
        return witness->stuck_ms * 1000 + age_us;
    }
    return (witness->flags & PORT_FLAG_LASTING) && age_us < REMEMBER_US ? witness->stuck_ms * 1000 : 0;
}

/*
 * How long to stay in the queue of the semaphore. It is first come first served there, and each look means to queue
 * again behind those who stay: so looks become rare while others are there who may be alive.
 */
static uint64_t slice_us(const struct waiting *waiting, enum port_others others, uint64_t now_us)
{
    uint64_t least = waiting->in_doubt ? DOUBT_US : SLICE_US;

    return others == PORT_OTHERS_NONE ? least : MIN(MAX((now_us - waiting->began_us) / 2, least), SLICE_MAX_US);
}

/*
 * Wait until the token is ours. *ret_adopted: it was the property of a dead one.
 * Errors: -ETIMEDOUT; -ESTALE the semaphore of that name is another by now
 */
static int wait_for_token(struct port_lock *lock, struct waiting *waiting, bool *ret_adopted)
{
    uint64_t until_us = waiting->began_us + slice_us(waiting, PORT_OTHERS_NONE, waiting->began_us);

    for (;;) {
        enum port_others others;
        uint64_t now_us, activity;
        bool posted;
        int value = 1;

        PORT_LOCK_STEP(5);
        if (port_semaphore_wait(&lock->semaphore, MIN(until_us, waiting->deadline_us), &posted) == 0) {
            return 0;
        }
        if (port_semaphore_moved(&lock->semaphore)) {
            return -ESTALE;
        }
        others = port_semaphore_others(&lock->semaphore, &value);
        if (others == PORT_OTHERS_NONE && value == 0) {
            log_info("semaphore %s: whoever had it is dead: taken over", lock->name);
            *ret_adopted = true;
            return 0;
        }
        activity = line_activity(waiting->fd);
        now_us = clock_monotonic_us();
        if (posted || activity != waiting->activity) {
            waiting->activity = activity;
            waiting->still_since_us = now_us;
        }
        if (now_us - waiting->still_since_us >= PORT_LOCK_STUCK_US && lock->side.fd >= 0) {
            log_warning("semaphore %s: not given back for %u s while the line was still: taken for lost", lock->name,
                        (unsigned) (PORT_LOCK_STUCK_US / 1000000));
            *ret_adopted = true;
            return 0;
        }
        if (now_us >= waiting->deadline_us) {
            return -ETIMEDOUT;
        }
        until_us = now_us + slice_us(waiting, others, now_us);
        put_waiting(lock, waiting, waiting->state, until_us);
    }
}

/* The token, the side lock being held. Errors as port_lock_take(), and -ESTALE: again */
static int take_token(struct port_lock *lock, int fd, uint64_t deadline_us, bool *ret_dirty)
{
    struct waiting waiting = { .fd = fd, .deadline_us = deadline_us };
    struct port_witness before;
    bool adopted = false;
    int r;

    r = port_semaphore_open(&lock->semaphore, lock->side.owner, lock->side.group, deadline_us, lock->problem);
    if (r < 0) {
        return r;
    }
    PORT_LOCK_STEP(2);
    before = port_side_read(&lock->side);
    if (before.dev != lock->semaphore.dev || before.ino != lock->semaphore.ino) {
        before = (struct port_witness){ .state = PORT_FREE };
    }
    PORT_LOCK_STEP(3);

    if (before.state == PORT_HELD) {  // its holder died with the token, which is ours with the lock
        log_info("semaphore %s: process %u died with it: taken over", lock->name, (unsigned) before.pid);
    } else {
        if (before.flags & PORT_FLAG_SHARED) {
            clock_sleep_until_us(MIN(before.written_us + PAUSE_US, deadline_us));
        }
        waiting.in_doubt = before.state != PORT_FREE;
        waiting.state = waiting.in_doubt ? (enum port_state) before.state : PORT_WANT;
        waiting.activity = line_activity(fd);
        waiting.began_us = clock_monotonic_us();
        waiting.still_since_us = waiting.began_us - inherited_us(&before, waiting.activity, waiting.began_us);
        if (!waiting.in_doubt) {
            put_waiting(lock, &waiting, PORT_WANT, waiting.began_us + SLICE_US);
        }
        PORT_LOCK_STEP(4);
        r = wait_for_token(lock, &waiting, &adopted);
        if (r == -ETIMEDOUT) {
            put_waiting(lock, &waiting, waiting.in_doubt ? waiting.state : PORT_FREE, 0);
            (void) snprintf(lock->problem, sizeof(lock->problem), "another program has the semaphore %s and does not "
                            "give it back", lock->name);
        }
        if (r < 0) {
            return r;
        }
    }

    PORT_LOCK_STEP(6);
    put(lock, PORT_HELD);
    PORT_LOCK_STEP(7);
    while (port_semaphore_try(&lock->semaphore)) {  // somebody posted twice: who holds it must see 0
    }
    *ret_dirty = before.state != PORT_FREE || adopted;
    return 0;
}

int port_lock_take(struct port_lock *lock, int fd, uint64_t deadline_us, bool *ret_dirty)
{
    int r;

    assert(lock->until_us == 0);
    lock->problem[0] = '\0';
    r = port_side_lock(&lock->side, deadline_us);
    if (r < 0) {
        (void) snprintf(lock->problem, sizeof(lock->problem), "another Meterstick program (process %u) has %s",
                        (unsigned) port_side_read(&lock->side).pid, lock->side.path);
        return r;
    }
    PORT_LOCK_STEP(1);
    do {
        r = take_token(lock, fd, deadline_us, ret_dirty);
        if (r < 0) {
            port_semaphore_close(&lock->semaphore);
        }
    } while (r == -ESTALE && clock_monotonic_us() < deadline_us);
    if (r < 0) {
        port_side_unlock(&lock->side);
        return r == -ESTALE || r == -EAGAIN ? -ETIMEDOUT : r;
    }
    lock->until_us = clock_monotonic_us() + PORT_LOCK_HOLD_US;
    return 0;
}

uint64_t port_lock_release(struct port_lock *lock)
{
    struct port_witness witness;
    bool shared, wanted;
    int value;

    assert(lock->until_us > 0);
    put(lock, PORT_POSTING);
    PORT_LOCK_STEP(9);
    port_semaphore_post(&lock->semaphore);
    PORT_LOCK_STEP(10);
    shared = port_semaphore_others(&lock->semaphore, &value) != PORT_OTHERS_NONE;
    witness = witness_of(lock, PORT_FREE);
    witness.flags = shared ? PORT_FLAG_SHARED : 0;
    port_side_write(&lock->side, &witness);
    PORT_LOCK_STEP(11);
    wanted = port_side_wanted(&lock->side);
    port_semaphore_close(&lock->semaphore);
    port_side_unlock(&lock->side);
    lock->until_us = 0;
    return shared || wanted ? PAUSE_US : 0;
}

uint64_t port_lock_until_us(const struct port_lock *lock)
{
    return lock->until_us;
}

const char *port_lock_problem(const struct port_lock *lock)
{
    return lock->problem;
}

const char *port_lock_warning(const struct port_lock *lock)
{
    return lock->side.warning;
}
