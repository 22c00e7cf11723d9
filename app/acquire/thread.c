/* SPDX-License-Identifier: MIT */
#include "app/acquire/thread.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

/* Resolving a host name is the deepest that a bus thread goes, a checkpoint of SQLite the writer. */
#define STACK_SIZE (256 * 1024)

void thread_condition_init(pthread_cond_t *ret)
{
    pthread_condattr_t attributes;

    (void) pthread_condattr_init(&attributes);  // none of these can fail in glibc
    (void) pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void) pthread_cond_init(ret, &attributes);
    (void) pthread_condattr_destroy(&attributes);
}

bool thread_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_us)
{
    const struct timespec until = { .tv_sec = (time_t) (deadline_us / 1000000),
                                    .tv_nsec = (long) (deadline_us % 1000000) * 1000 };

    return pthread_cond_timedwait(condition, mutex, &until) == 0;
}

static void *begin(void *data)
{
    struct thread *thread = data;

    thread->run(thread->data);

    (void) pthread_mutex_lock(&thread->mutex);
    thread->ended = true;
    (void) pthread_cond_signal(&thread->change);
    (void) pthread_mutex_unlock(&thread->mutex);
    return NULL;
}

int thread_start(struct thread *thread, const char *name, void (*run)(void *data), void *data)
{
    char short_name[16];
    pthread_attr_t attributes;
    int r;

    *thread = (struct thread){ .run = run, .data = data };
    (void) pthread_mutex_init(&thread->mutex, NULL);
    thread_condition_init(&thread->change);

    r = pthread_attr_init(&attributes);
    if (r != 0) {
        return -r;
    }
    r = pthread_attr_setstacksize(&attributes, STACK_SIZE);
    r = r ? r : pthread_create(&thread->id, &attributes, begin, thread);
    (void) pthread_attr_destroy(&attributes);
    if (r != 0) {
        return -r;
    }

    (void) snprintf(short_name, sizeof(short_name), "%s", name);
    (void) pthread_setname_np(thread->id, short_name);  // only for people who look
    return 0;
}

int thread_join(struct thread *thread, uint64_t deadline_us)
{
    bool in_time = true;

    (void) pthread_mutex_lock(&thread->mutex);
    while (!thread->ended && in_time) {
        in_time = thread_wait(&thread->change, &thread->mutex, deadline_us);
    }
    in_time = thread->ended;
    (void) pthread_mutex_unlock(&thread->mutex);
    if (!in_time) {
        return -ETIMEDOUT;
    }

    (void) pthread_join(thread->id, NULL);  // it is about to return
    (void) pthread_cond_destroy(&thread->change);
    (void) pthread_mutex_destroy(&thread->mutex);
    return 0;
}
