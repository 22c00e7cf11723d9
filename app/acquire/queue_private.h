/* SPDX-License-Identifier: MIT */
#pragma once

/* What the files of the queue know of its ring. */

#include "app/acquire/queue.h"

#include <pthread.h>

/*
 * What stands before each record in the ring. Records are never split: where one does not fit before the ring's end,
 * a filler takes the rest. All sizes are multiples of 8, so that a header always fits there.
 */
struct queue_header {
    uint32_t size;        // with the header and the padding
    uint8_t kind;         // enum record_kind, or QUEUE_FILLER
    uint8_t flags;        // QUEUE_FLAG_MISSING, QUEUE_FLAG_HELD
    uint16_t meter;
    uint64_t boot_ms;
    uint64_t ordinal;     // of a sample
    uint32_t value_count; // of an event: the size of its text
    uint16_t word_count;
    uint16_t note_count;
};

#define QUEUE_FILLER       255
#define QUEUE_ALIGN        8
#define QUEUE_FLAG_MISSING 1
#define QUEUE_FLAG_HELD    2

/*
 * Positions count bytes since the ring was last empty and never wrap: tail <= next <= head <= tail + capacity.
 * From tail to next: read, but not yet released.
 */
struct queue {
    pthread_mutex_t mutex;
    uint8_t *ring;
    size_t capacity;
    uint64_t tail, next, head;
    uint64_t pushed, gone;     // records since the queue was made: all, and those that are no longer in the ring
    uint64_t read;             // from tail to next
    uint64_t samples;          // pushed, since the queue was made
    uint64_t token;            // the reader's
    uint64_t lost;             // for good
    uint64_t lost_unreleased;  // went while they were read but not released: lost only after a rewind
    struct epoch lost_epoch;   // the newest whose record went unreleased; delivered before the next record
    bool has_lost_epoch;
    bool epoch_is_read;
    int fd;
};

static inline size_t queue_aligned(size_t size)
{
    return (size + QUEUE_ALIGN - 1) / QUEUE_ALIGN * QUEUE_ALIGN;
}

static inline struct queue_header *queue_header_at(const struct queue *queue, uint64_t position)
{
    return (struct queue_header *) (queue->ring + position % queue->capacity);
}
