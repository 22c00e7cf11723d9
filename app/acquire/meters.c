/* SPDX-License-Identifier: MIT */
#include "app/acquire/meters.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>

struct meters {
    pthread_mutex_t mutex;
    unsigned count;
    uint64_t stamp;
    struct meters_entry entries[METERS_SLOTS];  // stamp 0: free
};

int meters_new(struct meters **ret)
{
    struct meters *meters = calloc(1, sizeof(*meters));

    if (!meters) {
        return -ENOMEM;
    }
    (void) pthread_mutex_init(&meters->mutex, NULL);  // cannot fail for a default mutex of glibc

    *ret = meters;
    return 0;
}

void meters_free(struct meters *meters)
{
    if (!meters) {
        return;
    }
    (void) pthread_mutex_destroy(&meters->mutex);
    free(meters);
}

int meters_add(struct meters *meters, const char *name, const char *model, const struct layout *layout)
{
    unsigned slot = 0;

    (void) pthread_mutex_lock(&meters->mutex);
    while (slot < METERS_SLOTS && meters->entries[slot].stamp != 0) {
        slot++;
    }
    if (slot < METERS_SLOTS) {
        meters->entries[slot] = (struct meters_entry){ .name = name, .model = model, .layout = layout,
                                                       .stamp = ++meters->stamp };
        meters->count = MAX(meters->count, slot + 1);
    }
    (void) pthread_mutex_unlock(&meters->mutex);
    return slot < METERS_SLOTS ? (int) slot : -ENOSPC;
}

unsigned meters_room(struct meters *meters)
{
    unsigned room = 0;

    (void) pthread_mutex_lock(&meters->mutex);
    for (unsigned i = 0; i < METERS_SLOTS; i++) {
        room += meters->entries[i].stamp == 0;
    }
    (void) pthread_mutex_unlock(&meters->mutex);
    return room;
}

void meters_retire(struct meters *meters, unsigned slot)
{
    (void) pthread_mutex_lock(&meters->mutex);
    assert(meters->entries[slot].stamp != 0);
    meters->entries[slot].retired = true;
    (void) pthread_mutex_unlock(&meters->mutex);
}

void meters_remove(struct meters *meters, unsigned slot)
{
    (void) pthread_mutex_lock(&meters->mutex);
    meters->entries[slot] = (struct meters_entry){ .stamp = 0 };
    (void) pthread_mutex_unlock(&meters->mutex);
}

bool meters_get(struct meters *meters, unsigned slot, struct meters_entry *ret)
{
    (void) pthread_mutex_lock(&meters->mutex);
    *ret = meters->entries[slot];
    (void) pthread_mutex_unlock(&meters->mutex);
    return ret->stamp != 0;
}

unsigned meters_count(struct meters *meters)
{
    unsigned count;

    (void) pthread_mutex_lock(&meters->mutex);
    count = meters->count;
    (void) pthread_mutex_unlock(&meters->mutex);
    return count;
}

uint64_t meters_stamp(struct meters *meters)
{
    uint64_t stamp;

    (void) pthread_mutex_lock(&meters->mutex);
    stamp = meters->stamp;
    (void) pthread_mutex_unlock(&meters->mutex);
    return stamp;
}
