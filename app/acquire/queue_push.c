/* SPDX-License-Identifier: MIT */

/* The writing side of the queue: any thread. */

#include "app/acquire/queue_private.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static size_t row_size(unsigned value_count, unsigned word_count, unsigned note_count)
{
    return queue_sample_size(value_count, word_count) + queue_aligned(note_count * sizeof(struct guard_note));
}

/* The oldest record goes. */
static void drop_oldest(struct queue *queue)
{
    const struct queue_header *header = queue_header_at(queue, queue->tail);
    bool was_read = queue->tail < queue->next;

    if (header->kind == RECORD_EPOCH) {
        memcpy(&queue->lost_epoch, header + 1, sizeof(queue->lost_epoch));
        queue->has_lost_epoch = true;
        queue->epoch_is_read = was_read;
    } else if (header->kind != QUEUE_FILLER) {
        *(was_read ? &queue->lost_unreleased : &queue->lost) += 1;
    }
    if (header->kind != QUEUE_FILLER) {
        queue->gone++;
        queue->read -= was_read;
    }
    queue->tail += header->size;
    queue->next = MAX(queue->next, queue->tail);
}

/* Room for a record of that size, in one piece. */
static struct queue_header *make_room(struct queue *queue, size_t size)
{
    size_t to_end = queue->capacity - queue->head % queue->capacity;
    size_t filler = to_end < size ? to_end : 0;
    struct queue_header *header;

    assert(size * 2 <= queue->capacity);
    while (queue->head + filler + size > queue->tail + queue->capacity) {
        drop_oldest(queue);
    }
    if (filler > 0) {
        // Only size and kind: the rest of a header may not fit.
        header = queue_header_at(queue, queue->head);
        header->size = (uint32_t) filler;
        header->kind = QUEUE_FILLER;
        queue->head += filler;
    }
    header = queue_header_at(queue, queue->head);
    memset(header, 0, sizeof(*header));
    header->size = (uint32_t) size;
    return header;
}

/* The record is whole: count it in, and wake the reader if it should look. */
static void finish(struct queue *queue, const struct queue_header *header, bool urgent)
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
    struct queue_header *header;
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
            header->flags |= sample->reasons[i] == REASON_HELD ? QUEUE_FLAG_HELD : QUEUE_FLAG_MISSING;
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
    struct queue_header *header;
    char *body;

    (void) pthread_mutex_lock(&queue->mutex);
    header = make_room(queue, queue_aligned(sizeof(*header) + QUEUE_CODE_SIZE + text_size));
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
    struct queue_header *header;

    (void) pthread_mutex_lock(&queue->mutex);
    header = make_room(queue, queue_aligned(sizeof(*header) + sizeof(*epoch)));
    header->kind = RECORD_EPOCH;
    header->meter = QUEUE_NO_METER;
    header->boot_ms = boot_ms;
    memcpy(header + 1, epoch, sizeof(*epoch));
    finish(queue, header, true);
}
