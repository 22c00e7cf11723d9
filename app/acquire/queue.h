/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What bus threads and the core hand to the journal writer: samples, events and epochs, in order.
 *
 * A ring of bytes, so that a sample takes the room of the values it has. The writer reads ahead, commits, and only
 * then releases what it read; after a failed commit it rewinds and reads the same again. When the ring is full the
 * oldest goes and is counted: a sample that is stuck behind a dead card must not stop a bus. Any thread may push; one
 * reads, who has the token: a thread that comes back out of a card's call after minutes may have lost it to another.
 */

#include "app/acquire/guard.h"
#include "app/base/macros.h"
#include "app/journal/journal.h"
#include "drivers/sample.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_NO_METER    UINT16_MAX
#define QUEUE_CODE_SIZE   16
#define QUEUE_TEXT_SIZE   256

enum record_kind { RECORD_SAMPLE, RECORD_EVENT, RECORD_EPOCH };

struct record {
    enum record_kind kind;
    uint64_t boot_ms;

    /* RECORD_SAMPLE */
    uint64_t ordinal;                  // how many samples were pushed before it
    uint16_t meter;                    // slot, as in meters.h
    bool missing;                      // a value is missing
    bool held;                         // one is held back by the counter guard
    unsigned value_count;
    double values[MAX_POINTS];
    unsigned word_count;
    uint16_t words[MAX_WORDS];
    unsigned note_count;
    struct guard_note notes[GUARD_NOTES_MAX];

    /* RECORD_EVENT */
    char code[QUEUE_CODE_SIZE];
    char text[QUEUE_TEXT_SIZE];

    /* RECORD_EPOCH: from here on rows are of this epoch */
    struct epoch epoch;
};

struct queue;

/* The room that one sample takes in the ring: for the size of a queue of so many seconds. */
size_t queue_sample_size(unsigned value_count, unsigned word_count);

/* Errors: -ENOMEM, -EMFILE. The caller frees *ret with queue_free(), after all users have ended. */
int queue_new(size_t capacity, struct queue **ret) MUST_CHECK;
void queue_free(struct queue *queue);

/*
 * Push. urgent wakes the reader at once; else it wakes when the ring is half full, or by its own clock.
 * keep_words: the raw words travel too.
 */
void queue_push_sample(struct queue *queue, uint16_t meter, const struct sample *sample, bool keep_words, bool urgent);

/* A sample with what the counter guard noted of it, at most GUARD_NOTES_MAX: they are stored or lost together. */
void queue_push_row(struct queue *queue, uint16_t meter, const struct sample *sample, const struct guard_note *notes,
                    unsigned note_count, bool keep_words, bool urgent);
void queue_push_event(struct queue *queue, uint64_t boot_ms, const char *code, const char *text, bool urgent);
void queue_push_epoch(struct queue *queue, uint64_t boot_ms, const struct epoch *epoch);

/* Wake the reader without pushing anything: a slice has ended, or the program does. */
void queue_wake(struct queue *queue);

/* Readable after a wake; queue_drain_wakes() makes it quiet again. */
int queue_fd(const struct queue *queue);
void queue_drain_wakes(struct queue *queue);

/*
 * Be the reader from now on: a token that no other ever had; before the first take it is 0. What was read and not
 * released is read again.
 */
uint64_t queue_take(struct queue *queue);

/*
 * The reader's side. queue_read() copies the next record that was not read: 1, or 0 if there is none. An epoch whose
 * record was lost in a full ring comes all the same, before the first record after it.
 * Errors of all: -ESTALE another has taken the queue; nothing is done
 */
int queue_read(struct queue *queue, uint64_t token, struct record *ret) MUST_CHECK;
int queue_release(struct queue *queue, uint64_t token) MUST_CHECK;   // all that was read is durable
int queue_rewind(struct queue *queue, uint64_t token) MUST_CHECK;    // nothing of it is: read it again

/*
 * How many records were pushed until the last that was read; and: rewind, but all up to that position are durable, as
 * was found out later.
 */
uint64_t queue_position(struct queue *queue);
int queue_release_until(struct queue *queue, uint64_t token, uint64_t position) MUST_CHECK;

/* Room for more from now on, if it is less. Errors: -ENOMEM, and nothing has changed */
int queue_grow(struct queue *queue, size_t capacity) MUST_CHECK;

/*
 * How many records were pushed since the queue was made, and whether all that were by then are durable or lost: the
 * reader has nothing more to do with them.
 */
uint64_t queue_pushed(struct queue *queue);
bool queue_is_released(struct queue *queue, uint64_t pushed);

/* Whether what was not released takes three quarters of the room: 45 s of samples, as queues are made. */
bool queue_is_filling(struct queue *queue);

/* Samples and events that went because the ring was full, since the queue was made. */
uint64_t queue_lost(struct queue *queue);
