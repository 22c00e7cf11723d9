/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The clock of clock.c: what it says, at what rate it runs, and when the waits of the threads end, before which it
 * stands still. All of it is static: it is a part of clock.c.
 */

#include "real.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)
#define CHUNK_NS  (10 * INT64_C(1000000))  // so soon a wait notices another rate
#define SHORT_NS  (50 * INT64_C(1000))
#define NEVER     INT64_MAX
#define FREE      (INT64_MAX - 1)
#define THREADS   256

/* virtual = virtual_ns + (real monotonic clock - real_ns) * rate, at most limit_ns */
struct slot {
    int64_t real_ns, virtual_ns, rate, limit_ns;
};

struct clock_file {
    _Atomic uint64_t version;      // slots[version % 2] is in force
    struct slot slots[2];
    _Atomic int64_t rate;          // wanted while all threads wait,
    _Atomic int64_t busy_rate;     // and while one works
    _Atomic int64_t wall_ns;       // wall clock minus boot clock
    _Atomic int64_t sets;          // how often that was set
    _Atomic int64_t latest_ns;     // no clock goes back
    _Atomic int64_t lock;
    _Atomic int64_t busy;          // threads at work
    _Atomic int64_t bell;          // written last, with write(2), for inotify(7)
    _Atomic int64_t set_again;     // 1: the wall clock is set once more when somebody has just been told of it
};

static struct clock_file own, *file;
static int64_t grace_ns;

/* When the waits of the threads end; under the lock. */
static int64_t untils_ns[THREADS];
static unsigned thread_count = 1;          // so many of them were ever used
static _Thread_local unsigned me;          // 0: not given yet

static int64_t real_ns(void)
{
    struct timespec now;

    REAL(clock_gettime)(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

static struct timespec timespec_of(int64_t ns)
{
    int64_t rest = (ns % SECOND_NS + SECOND_NS) % SECOND_NS;

    return (struct timespec){ .tv_sec = (time_t) ((ns - rest) / SECOND_NS), .tv_nsec = (long) rest };
}

static int64_t ns_of(const struct timespec *time)
{
    return time->tv_sec > NEVER / SECOND_NS - 2 ? NEVER : time->tv_sec * SECOND_NS + time->tv_nsec;
}

static int64_t slot_ns(const struct slot *slot, int64_t now_ns)
{
    int64_t ns = slot->virtual_ns + (now_ns - slot->real_ns) * slot->rate;

    return ns < slot->limit_ns ? ns : slot->limit_ns;
}

static int64_t now_ns(void)
{
    uint64_t version;
    struct slot slot;
    int64_t now, latest = atomic_load(&file->latest_ns);

    do {
        version = atomic_load(&file->version);
        slot = file->slots[version % 2];
        now = slot_ns(&slot, real_ns());
    } while (atomic_load(&file->version) != version);

    while (now > latest && !atomic_compare_exchange_weak(&file->latest_ns, &latest, now)) {
    }
    return now > latest ? now : latest;
}

static int64_t wanted_rate(void)
{
    int64_t busy_rate = atomic_load(&file->busy_rate);

    return busy_rate && atomic_load(&file->busy) > 0 ? busy_rate : atomic_load(&file->rate);
}

/* From now on at the rate that is wanted, and up to the first end of a wait; under the lock. */
static void renew(void)
{
    uint64_t version = atomic_load(&file->version);
    int64_t real = real_ns(), now = slot_ns(&file->slots[version % 2], real), limit_ns = NEVER;

    for (unsigned i = 1; i < thread_count; i++) {
        limit_ns = untils_ns[i] < limit_ns ? untils_ns[i] : limit_ns;
    }
    limit_ns = limit_ns > now ? limit_ns : now;
    file->slots[(version + 1) % 2] = (struct slot){ real, now, wanted_rate(), limit_ns };
    atomic_store(&file->version, version + 1);
}

static void lock(void)
{
    while (atomic_exchange(&file->lock, 1)) {
        sched_yield();
    }
}

static void unlock(void)
{
    atomic_store(&file->lock, 0);
}

static void settle(void)
{
    if (file->slots[atomic_load(&file->version) % 2].rate == wanted_rate()) {
        return;
    }
    lock();
    renew();
    unlock();
}

/* Under the lock. */
static void set_until(int64_t until_ns)
{
    for (unsigned i = 1; i < THREADS && me == 0; i++) {
        if (i == thread_count || untils_ns[i] == FREE) {
            me = i;
            thread_count += i == thread_count;
        }
    }
    if (me == 0) {
        abort();
    }
    untils_ns[me] = until_ns;
}

static void begin_wait(int64_t until_ns)
{
    lock();
    set_until(until_ns);
    file->busy--;
    renew();
    unlock();
}

static void wait_on(int64_t until_ns)
{
    lock();
    set_until(until_ns);
    renew();
    unlock();
}

static void end_wait(void)
{
    int error = errno;

    lock();
    set_until(NEVER);
    file->busy++;
    renew();
    unlock();
    errno = error;
}

/*
 * How long to wait really, at most, for a virtual time. tries: how often this wait was too short, since the clocks went
 * slower than they may: the longer the next one is. That it is then too long costs nothing but real time.
 */
static struct timespec rest_until(int64_t until_ns, unsigned *tries)
{
    int64_t left_ns = until_ns == NEVER ? NEVER : until_ns - now_ns();
    int64_t least_ns = *tries > 0 ? SHORT_NS << (*tries < 3 ? *tries : 3) : 0;

    ++*tries;
    settle();  // another rate may be wanted by now
    left_ns = left_ns <= 0 ? 0 : left_ns / atomic_load(&file->rate) + 1;
    left_ns = left_ns > 0 && left_ns < least_ns ? least_ns : left_ns;
    return timespec_of(left_ns < CHUNK_NS ? left_ns : CHUNK_NS);
}

static int64_t after_ns(const struct timespec *time)
{
    int64_t ns = ns_of(time);

    return ns == NEVER ? NEVER : now_ns() + ns;
}

/* An absolute time of one of the clocks as one of the boot clock. */
static int64_t boot_ns_of(clockid_t clock, const struct timespec *time)
{
    int64_t ns = ns_of(time);

    return clock == CLOCK_REALTIME && ns != NEVER ? ns - atomic_load(&file->wall_ns) : ns;
}
