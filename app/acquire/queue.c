/* SPDX-License-Identifier: MIT */
#include "app/acquire/queue.h"

#include "app/acquire/queue_private.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

size_t queue_sample_size(unsigned value_count, unsigned word_count)
{
    return queue_aligned(sizeof(struct queue_header) + value_count * sizeof(double) + word_count * sizeof(uint16_t));
}

int queue_new(size_t capacity, struct queue **ret)
{
    struct queue *queue;

    queue = calloc(1, sizeof(*queue));
    if (!queue) {
        return -ENOMEM;
    }

    // The largest record twice: one being read while another comes.
    queue->capacity = queue_aligned(MAX(capacity, 2 * queue_sample_size(MAX_POINTS, MAX_WORDS)));
    queue->ring = malloc(queue->capacity);  // untouched pages cost nothing until a card hangs
    queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!queue->ring || queue->fd < 0) {
        int r = queue->ring ? -errno : -ENOMEM;

        queue_free(queue);
        return r;
    }
    (void) pthread_mutex_init(&queue->mutex, NULL);  // cannot fail for a default mutex of glibc

    *ret = queue;
    return 0;
}

void queue_free(struct queue *queue)
{
    if (!queue) {
        return;
    }
    macros_close(&queue->fd);
    free(queue->ring);
    free(queue);
}

void queue_wake(struct queue *queue)
{
    uint64_t one = 1;

    (void) !write(queue->fd, &one, sizeof(one));  // EAGAIN: it is awake as often as can be
}

int queue_fd(const struct queue *queue)
{
    return queue->fd;
}

void queue_drain_wakes(struct queue *queue)
{
    uint64_t count;

    (void) !read(queue->fd, &count, sizeof(count));  // EAGAIN: there was none
}

/* Unpack a record; the mutex is held. */
static void unpack(const struct queue_header *header, struct record *ret)
{
    const uint8_t *body = (const uint8_t *) (header + 1);

    ret->kind = (enum record_kind) header->kind;
    ret->boot_ms = header->boot_ms;
    ret->meter = header->meter;
    switch (ret->kind) {
    case RECORD_SAMPLE:
        ret->ordinal = header->ordinal;
        ret->missing = header->flags & QUEUE_FLAG_MISSING;
        ret->held = header->flags & QUEUE_FLAG_HELD;
        ret->value_count = header->value_count;
        ret->word_count = header->word_count;
        ret->note_count = header->note_count;
        memcpy(ret->values, body, header->value_count * sizeof(double));
        body += header->value_count * sizeof(double);
        memcpy(ret->notes, body, header->note_count * sizeof(struct guard_note));
        body += header->note_count * sizeof(struct guard_note);
        memcpy(ret->words, body, header->word_count * sizeof(uint16_t));
        break;
    case RECORD_EVENT:
        memcpy(ret->code, body, QUEUE_CODE_SIZE);
        memcpy(ret->text, body + QUEUE_CODE_SIZE, header->value_count);
        ret->text[header->value_count] = '\0';
        break;
    case RECORD_EPOCH:
        memcpy(&ret->epoch, body, sizeof(ret->epoch));
        break;
    }
}

static int read_locked(struct queue *queue, struct record *ret)
{
    const struct queue_header *header;

    if (queue->has_lost_epoch && !queue->epoch_is_read) {
        ret->kind = RECORD_EPOCH;
        ret->meter = QUEUE_NO_METER;
        ret->boot_ms = 0;
        ret->epoch = queue->lost_epoch;
        queue->epoch_is_read = true;
        return 1;
    }

    if (queue->next < queue->head && queue_header_at(queue, queue->next)->kind == QUEUE_FILLER) {
        queue->next += queue_header_at(queue, queue->next)->size;
    }
    if (queue->next == queue->head) {
        return 0;
    }

    header = queue_header_at(queue, queue->next);
    unpack(header, ret);
    queue->next += header->size;
    queue->read++;
    return 1;
}

/* Hold the mutex, unless another has the queue. */
static int lock_as(struct queue *queue, uint64_t token)
{
    (void) pthread_mutex_lock(&queue->mutex);
    if (queue->token != token) {
        (void) pthread_mutex_unlock(&queue->mutex);
        return -ESTALE;
    }
    return 0;
}

static void rewind_locked(struct queue *queue)
{
    queue->next = queue->tail;
    queue->read = 0;
    queue->lost += queue->lost_unreleased;
    queue->lost_unreleased = 0;
    queue->epoch_is_read = false;
}

/* So that a card that works needs the ring's first pages only. */
static void begin_anew_if_empty(struct queue *queue)
{
    if (queue->tail == queue->head) {
        queue->tail = queue->next = queue->head = 0;
    }
}

uint64_t queue_take(struct queue *queue)
{
    uint64_t token;

    (void) pthread_mutex_lock(&queue->mutex);
    rewind_locked(queue);
    token = ++queue->token;
    (void) pthread_mutex_unlock(&queue->mutex);
    return token;
}

int queue_read(struct queue *queue, uint64_t token, struct record *ret)
{
    int r;

    r = lock_as(queue, token);
    if (r < 0) {
        return r;
    }
    r = read_locked(queue, ret);
    (void) pthread_mutex_unlock(&queue->mutex);
    return r;
}

int queue_release(struct queue *queue, uint64_t token)
{
    int r;

    r = lock_as(queue, token);
    if (r < 0) {
        return r;
    }
    queue->tail = queue->next;
    queue->gone += queue->read;
    queue->read = 0;
    begin_anew_if_empty(queue);
    queue->lost_unreleased = 0;
    if (queue->epoch_is_read) {
        queue->has_lost_epoch = false;
    }
    (void) pthread_mutex_unlock(&queue->mutex);
    return 0;
}

int queue_rewind(struct queue *queue, uint64_t token)
{
    int r;

    r = lock_as(queue, token);
    if (r < 0) {
        return r;
    }
    rewind_locked(queue);
    (void) pthread_mutex_unlock(&queue->mutex);
    return 0;
}

uint64_t queue_position(struct queue *queue)
{
    uint64_t position;

    (void) pthread_mutex_lock(&queue->mutex);
    position = queue->gone + queue->read;
    (void) pthread_mutex_unlock(&queue->mutex);
    return position;
}

int queue_release_until(struct queue *queue, uint64_t token, uint64_t position)
{
    int r;

    r = lock_as(queue, token);
    if (r < 0) {
        return r;
    }
    rewind_locked(queue);
    if (queue->gone <= position) {
        queue->has_lost_epoch = false;  // it was pushed before these
    }
    while (queue->gone < position && queue->tail < queue->head) {
        const struct queue_header *header = queue_header_at(queue, queue->tail);

        queue->gone += header->kind != QUEUE_FILLER;
        queue->tail += header->size;
    }
    queue->next = queue->tail;
    begin_anew_if_empty(queue);
    (void) pthread_mutex_unlock(&queue->mutex);
    return 0;
}

uint64_t queue_pushed(struct queue *queue)
{
    uint64_t pushed;

    (void) pthread_mutex_lock(&queue->mutex);
    pushed = queue->pushed;
    (void) pthread_mutex_unlock(&queue->mutex);
    return pushed;
}

bool queue_is_released(struct queue *queue, uint64_t pushed)
{
    bool is_released;

    (void) pthread_mutex_lock(&queue->mutex);
    is_released = queue->gone >= pushed;
    (void) pthread_mutex_unlock(&queue->mutex);
    return is_released;
}

/* Copy all records into another ring, one behind the other; the mutex is held. */
static void move(struct queue *queue, uint8_t *ring, size_t capacity)
{
    uint64_t from = queue->tail, to = 0, next = 0;

    while (from < queue->head) {
        const struct queue_header *header = queue_header_at(queue, from);

        next = from == queue->next ? to : next;
        if (header->kind != QUEUE_FILLER) {
            memcpy(ring + to, header, header->size);
            to += header->size;
        }
        from += header->size;
    }
    queue->next = queue->next == queue->head ? to : next;
    queue->tail = 0;
    queue->head = to;
    free(queue->ring);
    queue->ring = ring;
    queue->capacity = capacity;
}

int queue_grow(struct queue *queue, size_t capacity)
{
    uint8_t *ring;

    capacity = queue_aligned(capacity);
    if (capacity <= queue->capacity) {
        return 0;  // only this function changes it, and one thread calls it
    }
    ring = malloc(capacity);
    if (!ring) {
        return -ENOMEM;
    }
    (void) pthread_mutex_lock(&queue->mutex);
    move(queue, ring, capacity);
    (void) pthread_mutex_unlock(&queue->mutex);
    return 0;
}

bool queue_is_filling(struct queue *queue)
{
    bool is_filling;

    (void) pthread_mutex_lock(&queue->mutex);
    is_filling = queue->head - queue->tail > queue->capacity / 4 * 3;
    (void) pthread_mutex_unlock(&queue->mutex);
    return is_filling;
}

uint64_t queue_lost(struct queue *queue)
{
    uint64_t lost;

    (void) pthread_mutex_lock(&queue->mutex);
    lost = queue->lost;
    (void) pthread_mutex_unlock(&queue->mutex);
    return lost;
}
