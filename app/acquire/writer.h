/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The journal writer: a thread of its own, since a card may take seconds for a commit. It takes what is in the queue
 * and commits: each `commit`, at a slice's end, and at once what is urgent. When the card fails, or does not answer for
 * 25 s, or so slowly that the queue fills, a second thread goes on in memory, under the same id and with the seqs that
 * follow, and every 5 s the first tries to bring the rows back (DESIGN sections 2 and 4). If memory cannot be written
 * either, rows stay in the queue; the queue's own limit decides what is lost then, and an event says so.
 */

#include "app/acquire/meters.h"
#include "app/acquire/queue.h"
#include "app/acquire/recall.h"
#include "app/config/config.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WRITER_ERROR_SIZE 128

enum writer_state {
    WRITER_OPENING,
    WRITER_OK,
    WRITER_FULL,
    WRITER_READONLY,
    WRITER_FAILED,
};

/* What the core may know of it: a copy of one moment. */
struct writer_status {
    enum writer_state state;
    char journal_id[JOURNAL_ID_SIZE];
    uint64_t last_seq;
    uint64_t lost;                     // rows and events that the queue could not keep
    char error[WRITER_ERROR_SIZE];     // "" while all is well
    bool in_memory;                    // that is where rows are committed

    /* Of the journal as it was opened first. */
    int64_t last_known_ms;             // wall time of the last row whose time is known; 0: none
    enum clock_quality known_earlier;  // best letter of an epoch of this boot; CLOCK_UNKNOWN: none
};

struct writer_setup {
    struct config_journal journal;
    struct meters *meters;             // of the rows in the queue
    struct queue *queue;
    const char *directory;
    const char *memory_directory;      // where rows go while the card cannot be used
    bool card_hangs;                   // as is known before it is asked: rows go to memory at once
    uint64_t start_us;                 // when slices begin to count
    atomic_uint *busy_buses;           // how many are in the middle of a slice
    atomic_bool *commit_wanted;        // set while a commit waits for them; then the last calls queue_wake()
    void (*changed)(void *data);       // called from the writer's thread after each commit and change
    void (*committed)(void *data);     // the same after each commit that went well; may use the card. NULL: nobody
    void *data;
};

struct writer;

/*
 * Open the journal and start. All that the setup points to outlives the writer.
 *
 * Errors: -EBUSY another writer holds the journal   -ENOTDIR, -EACCES, -EPERM the directory will not do
 *         -ENOMEM, -EAGAIN no thread. A card that is full, read-only or damaged is no error: rows go to memory, it is
 *         tried again every 5 s, and the status says so.
 */
int writer_start(const struct writer_setup *setup, struct writer **ret) MUST_CHECK;

/*
 * Store what is in the queue and end. Returns 0 if all of it is committed on the card.
 * Errors: -ETIMEDOUT the card does not answer; the thread still hangs in it and nothing may be freed
 *         what the last commit gave; writer_status.in_memory: all is committed there
 */
int writer_stop(struct writer *writer, uint64_t deadline_us) MUST_CHECK;
void writer_free(struct writer *writer);

void writer_get_status(struct writer *writer, struct writer_status *ret);

/*
 * What the counters stood at when the journal was opened first; NULL: it could not be read, or not in time. The caller
 * frees it. Later it is of no use: until a card comes back each counter has been judged by its first readings, which
 * must agree, and what a row has or holds back is never changed.
 */
struct recall *writer_take_recall(struct writer *writer);

/* Boot clock of each slot's last committed row, 0 = none yet, into ret[METERS_SLOTS] as far as slots are in use. */
void writer_get_committed(struct writer *writer, uint64_t *ret);

/* The slot is free: another meter may get it. */
void writer_forget(struct writer *writer, unsigned slot);

/* Go on with these settings; keep_words counts from the next segment on. */
void writer_set_journal(struct writer *writer, const struct config_journal *journal);

/* Whether the error means "full", "readonly" or just "failed". Pure. */
enum writer_state writer_state_of(int error);
const char *writer_state_text(enum writer_state state);
