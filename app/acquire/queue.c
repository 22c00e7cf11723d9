/* SPDX-License-Identifier: MIT */
#include "app/acquire/queue.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

/*
 * What stands before each record in the ring. Records are never split: where one does not fit before the ring's end,
 * a filler takes the rest. All sizes are multiples of 8, so that a header always fits there.
 */
struct header {
    uint32_t size;        // with the header and the padding
    uint8_t kind;         // enum record_kind, or FILLER
    uint8_t flags;        // FLAG_MISSING, FLAG_HELD
    uint16_t meter;
    uint64_t boot_ms;
    uint64_t ordinal;     // of a sample
    uint32_t value_count; // of an event: the size of its text
    uint16_t word_count;
    uint16_t note_count;
};

#define FILLER       255
#define ALIGN        8
#define FLAG_MISSING 1
#define FLAG_HELD    2

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

static size_t aligned(size_t size)
{
    return (size + ALIGN - 1) / ALIGN * ALIGN;
}

size_t queue_sample_size(unsigned value_count, unsigned word_count)
{
    return aligned(sizeof(struct header) + value_count * sizeof(double) + word_count * sizeof(uint16_t));
}

static size_t row_size(unsigned value_count, unsigned word_count, unsigned note_count)
{
    return queue_sample_size(value_count, word_count) + aligned(note_count * sizeof(struct guard_note));
}

int queue_new(size_t capacity, struct queue **ret)
{
    struct queue *queue;

    queue = calloc(1, sizeof(*queue));
    if (!queue) {
        return -ENOMEM;
    }

    // The largest record twice: one being read while another comes.
    queue->capacity = aligned(MAX(capacity, 2 * queue_sample_size(MAX_POINTS, MAX_WORDS)));
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

static struct header *header_at(const struct queue *queue, uint64_t position)
{
    return (struct header *) (queue->ring + position % queue->capacity);
}

/* The oldest record goes. */
static void drop_oldest(struct queue *queue)
{
    const struct header *header = header_at(queue, queue->tail);
    bool was_read = queue->tail < queue->next;

    if (header->kind == RECORD_EPOCH) {
        memcpy(&queue->lost_epoch, header + 1, sizeof(queue->lost_epoch));
        queue->has_lost_epoch = true;
        queue->epoch_is_read = was_read;
    } else if (header->kind != FILLER) {
        *(was_read ? &queue->lost_unreleased : &queue->lost) += 1;
    }
    if (header->kind != FILLER) {
        queue->gone++;
        queue->read -= was_read;
    }
    queue->tail += header->size;
    queue->next = MAX(queue->next, queue->tail);
}

/* Room for a record of that size, in one piece. */
static struct header *make_room(struct queue *queue, size_t size)
{
    size_t to_end = queue->capacity - queue->head % queue->capacity;
    size_t filler = to_end < size ? to_end : 0;
    struct header *header;

    assert(size * 2 <= queue->capacity);
    while (queue->head + filler + size > queue->tail + queue->capacity) {
        drop_oldest(queue);
    }
    if (filler > 0) {
        // Only size and kind: the rest of a header may not fit.
        header = header_at(queue, queue->head);
        header->size = (uint32_t) filler;
        header->kind = FILLER;
        queue->head += filler;
    }
    header = header_at(queue, queue->head);
    memset(header, 0, sizeof(*header));
    header->size = (uint32_t) size;
    return header;
}

/* The record is whole: count it in, and wake the reader if it should look. */
static void finish(struct queue *queue, const struct header *header, bool urgent)
{
    uint64_t before = queue->head - queue->tail;
    uint64_t after = before + header->size;
    bool half = before <= queue->capacity / 2 && after > queue->capacity / 2;

    queue->head += header->size;
    queue->pushed++;
    (void) pthread_mutex_unlock(&queue->mutex);
    if (urgent || half) {
        queue_wake(queue);
    }
}

void queue_push_row(struct queue *queue, uint16_t meter, const struct sample *sample, const struct guard_note *notes,
                    unsigned note_count, bool keep_words, bool urgent)
{
    const size_t values_size = sample->value_count * sizeof(double);
    unsigned word_count = keep_words ? sample->word_count : 0;
    struct header *header;
    size_t notes_size;
    uint8_t *body;

    (void) pthread_mutex_lock(&queue->mutex);
    while (2 * row_size(sample->value_count, word_count, note_count) > queue->capacity) {
        note_count--;  // only in a queue that is smaller than that of any configuration
    }
    notes_size = note_count * sizeof(*notes);
    header = make_room(queue, row_size(sample->value_count, word_count, note_count));
    header->kind = RECORD_SAMPLE;
    header->meter = meter;
    header->boot_ms = sample->boot_ms;
    header->value_count = sample->value_count;
    header->word_count = (uint16_t) word_count;
    header->note_count = (uint16_t) note_count;
    header->ordinal = queue->samples++;
    for (unsigned i = 0; i < sample->value_count; i++) {
        if (isnan(sample->values[i])) {
            header->flags |= sample->reasons[i] == REASON_HELD ? FLAG_HELD : FLAG_MISSING;
        }
    }

    body = (uint8_t *) (header + 1);
    memcpy(body, sample->values, values_size);
    if (notes) {
        memcpy(body + values_size, notes, notes_size);
    }
    memcpy(body + values_size + notes_size, sample->words, word_count * sizeof(uint16_t));
    finish(queue, header, urgent);
}

void queue_push_sample(struct queue *queue, uint16_t meter, const struct sample *sample, bool keep_words, bool urgent)
{
    queue_push_row(queue, meter, sample, NULL, 0, keep_words, urgent);
}

void queue_push_event(struct queue *queue, uint64_t boot_ms, const char *code, const char *text, bool urgent)
{
    size_t text_size = MIN(strlen(text), (size_t) QUEUE_TEXT_SIZE - 1);
    struct header *header;
    char *body;

    (void) pthread_mutex_lock(&queue->mutex);
    header = make_room(queue, aligned(sizeof(*header) + QUEUE_CODE_SIZE + text_size));
    header->kind = RECORD_EVENT;
    header->meter = QUEUE_NO_METER;
    header->boot_ms = boot_ms;
    header->value_count = (uint32_t) text_size;

    body = (char *) (header + 1);
    memset(body, 0, QUEUE_CODE_SIZE);
    memcpy(body, code, MIN(strlen(code), (size_t) QUEUE_CODE_SIZE - 1));
    memcpy(body + QUEUE_CODE_SIZE, text, text_size);
    finish(queue, header, urgent);
}

void queue_push_epoch(struct queue *queue, uint64_t boot_ms, const struct epoch *epoch)
{
    struct header *header;

    (void) pthread_mutex_lock(&queue->mutex);
    header = make_room(queue, aligned(sizeof(*header) + sizeof(*epoch)));
    header->kind = RECORD_EPOCH;
    header->meter = QUEUE_NO_METER;
    header->boot_ms = boot_ms;
    memcpy(header + 1, epoch, sizeof(*epoch));
    finish(queue, header, true);
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
static void unpack(const struct header *header, struct record *ret)
{
    const uint8_t *body = (const uint8_t *) (header + 1);

    ret->kind = (enum record_kind) header->kind;
    ret->boot_ms = header->boot_ms;
    ret->meter = header->meter;
    switch (ret->kind) {
    case RECORD_SAMPLE:
        ret->ordinal = header->ordinal;
        ret->missing = header->flags & FLAG_MISSING;
        ret->held = header->flags & FLAG_HELD;
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
    const struct header *header;

    if (queue->has_lost_epoch && !queue->epoch_is_read) {
        ret->kind = RECORD_EPOCH;
        ret->meter = QUEUE_NO_METER;
        ret->boot_ms = 0;
        ret->epoch = queue->lost_epoch;
        queue->epoch_is_read = true;
        return 1;
    }

    if (queue->next < queue->head && header_at(queue, queue->next)->kind == FILLER) {
        queue->next += header_at(queue, queue->next)->size;
    }
    if (queue->next == queue->head) {
        return 0;
    }

    header = header_at(queue, queue->next);
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
        const struct header *header = header_at(queue, queue->tail);

        queue->gone += header->kind != FILLER;
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
        const struct header *header = header_at(queue, from);

        next = from == queue->next ? to : next;
        if (header->kind != FILLER) {
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

    capacity = aligned(capacity);
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
