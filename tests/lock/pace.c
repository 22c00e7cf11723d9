/* SPDX-License-Identifier: MIT */
#include "tests/lock/pace.h"

#include "app/base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

enum { BUCKETS = 100000, BUCKET_US = 100 };  // up to 10 s

static atomic_uint late[BUCKETS];

static void *keep_pace(void *unused)
{
    (void) unused;
    for (uint64_t due_us = clock_monotonic_us();;) {
        uint64_t now_us;

        due_us += 1000;
        clock_sleep_until_us(due_us);
        now_us = clock_monotonic_us();
        // whoever began to talk meanwhile had no more luck: each millisecond of it counts
        for (; due_us + 1000 <= now_us; due_us += 1000) {
            (void) atomic_fetch_add(&late[(now_us - due_us) / BUCKET_US < BUCKETS ? (now_us - due_us) / BUCKET_US
                                                                                  : BUCKETS - 1], 1);
        }
        (void) atomic_fetch_add(&late[(now_us - due_us) / BUCKET_US], 1);
    }
    return NULL;
}

int pace_start(void)
{
    pthread_t thread;

    return -pthread_create(&thread, NULL, keep_pace, NULL);
}

double pace_late_ms(double of_1000)
{
    unsigned long count = 0, seen = 0;
    size_t bucket = 0;

    for (size_t i = 0; i < BUCKETS; i++) {
        count += atomic_load(&late[i]);
    }
    while (bucket < BUCKETS - 1 && (double) (seen += atomic_load(&late[bucket])) < (double) count * of_1000 / 1000) {
        bucket++;
    }
    return (double) (bucket + 1) * BUCKET_US / 1000;
}
