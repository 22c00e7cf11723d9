/* SPDX-License-Identifier: MIT */
#pragma once

#include "app/base/macros.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* A thread with a small stack, whose end can be waited for with a deadline. Does not move while it runs. */
struct thread {
    pthread_t id;
    void (*run)(void *data);
    void *data;
    pthread_mutex_t mutex;
    pthread_cond_t change;
    bool ended;
};

/* Start run(data) under that name, of which 15 characters count. Errors: -EAGAIN, -ENOMEM */
int thread_start(struct thread *thread, const char *name, void (*run)(void *data), void *data) MUST_CHECK;

/* Wait for its end. Errors: -ETIMEDOUT it still runs at the deadline (monotonic clock) */
int thread_join(struct thread *thread, uint64_t deadline_us) MUST_CHECK;

/* A condition whose waits have deadlines on the monotonic clock, and one such wait: false at the deadline. */
void thread_condition_init(pthread_cond_t *ret);
bool thread_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_us);
