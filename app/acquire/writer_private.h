/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the files of the writer know of it. Two threads: the card's, and the memory's, which takes the queue when the
 * card fails or hangs. One of them stores at a time: it holds the queue's token, and what it released is published
 * together with the release, so that the other goes on with the very next record.
 */

#include "app/acquire/thread.h"
#include "app/acquire/writer.h"
#include "app/journal/journal_copy.h"

#include <pthread.h>

#define WRITER_RETRY_US UINT64_C(5000000)

/* Who stores. WRITER_NOBODY: memory has stopped, and its last rows are on the way back to the card. */
enum writer_holder { WRITER_CARD, WRITER_MEMORY, WRITER_NOBODY };

/* How far all is stored. */
struct writer_mark {
    struct epoch epoch;           // of the rows to come; number 0: not yet stored
    struct guard_book book;
    uint64_t ordinal;             // of the next sample
    uint64_t lost_told;
};

/* A commit of the card's that failed or has not returned: it may have come through all the same. */
struct writer_attempt {
    bool made;
    uint64_t last_seq;            // 0: no row was in it
    int64_t last_event;
    uint64_t position;            // of the queue
    struct writer_mark mark;
};

/* Storing into one place. The thread's own but for the token, which changes under the writer's mutex. */
struct writer_store {
    struct writer *writer;
    const char *directory;
    bool is_memory;
    uint64_t token;
    struct config_journal settings;
    struct journal *journal;           // NULL: to be opened
    unsigned io_errors;                // of the card in a row, each after an attempt of its own
    struct journal_position begin_at;  // memory: what it was opened with
    struct journal_position position;
    struct record record;
    struct journal_row row;
    struct writer_mark mark;
    bool epoch_added;                  // to this journal, since it was opened
    bool begun;                        // the first record of the transaction is in it
    uint64_t base_seq, base_ordinal;   // of its first row
    uint64_t lost;                     // when it began
    uint64_t meters_stamp;             // meters up to this one are in it
    int64_t *ids;                      // [METERS_SLOTS] in it,
    uint64_t *stamps;                  // [METERS_SLOTS] of the meter that the id is of; 0: none
    uint64_t *pending;                 // [METERS_SLOTS] newest row of the open transaction; 0: none
};

struct writer {
    struct writer_setup setup;
    struct thread card_thread, memory_thread;
    _Atomic uint64_t stop_us;          // since when; 0: go on
    _Atomic uint64_t busy_us;          // the card's thread is in a call of the card since then; 0: it is not
    _Atomic uint64_t dropped;          // rows that had no room in memory

    pthread_mutex_t mutex;             // of the following:
    pthread_cond_t change;
    enum writer_holder holder;
    bool yield_wanted;                 // memory shall stop
    bool card_ended;
    bool is_opened;
    int open_result;
    struct writer_status status;
    struct recall *recall;
    uint64_t *committed;               // [METERS_SLOTS]
    struct config_journal wanted;
    struct writer_mark mark;
    struct writer_attempt attempt;
    struct journal_position position;
    int card_error;                    // the last one; 0: it was well
    uint64_t hung_us;                  // since when, when memory took over; 0: it does not
    bool memory_failing;

    struct writer_store card, memory;

    /* The card's thread's own. */
    uint64_t failing_since_us;         // 0: all is well
    uint64_t next_try_us;              // of going back to the card
    uint64_t next_prune_us;
    uint64_t copied;                   // rows and events that came back since it failed
    int result;
};

/* writer.c */
const char *writer_error_text(int error);
bool writer_stops(struct writer *writer);
void writer_lock(struct writer *writer);
void writer_unlock(struct writer *writer);
enum writer_holder writer_holder(struct writer *writer);

/* The card's thread does something that the card may keep it in, or has done with it. */
void writer_busy(struct writer *writer);
void writer_idle(struct writer *writer);

/* Memory stores from now on. The mutex is held. */
void writer_hand_over(struct writer *writer);

/* Take over changed settings. */
void writer_take_settings(struct writer_store *store);

/* Wait for the next commit, or for what is urgent. */
void writer_wait_for_work(struct writer_store *store);

/* Wait for the queue's wake. Returns true if somebody called, false at the time. */
bool writer_wait_until(struct writer *writer, uint64_t until_us);

/* writer_store.c */
int writer_store_init(struct writer_store *store, struct writer *writer, const char *directory, bool is_memory);
void writer_store_clear(struct writer_store *store);

/* Open the place's journal, unless it is. */
int writer_store_open(struct writer_store *store) MUST_CHECK;

/*
 * Store all that is in the queue, commit, and release it. Returns how many records that were.
 * Errors: -ESTALE the queue is another's by now; those of the journal
 */
int writer_store_run(struct writer_store *store) MUST_CHECK;

/* After an error: nothing is open, and what was read is to be read again. */
void writer_store_take_back(struct writer_store *store);

/* writer_card.c, writer_memory.c: the threads */
void writer_card_run(void *data);
void writer_memory_run(void *data);

/* writer_return.c: the card's thread only */

/* At the start: what another acquire left in memory. */
int writer_return_first(struct writer *writer) MUST_CHECK;

/* Bring the rows in memory back to the card and take the queue. Errors: -ESTALE memory goes on; the card's */
int writer_return(struct writer *writer) MUST_CHECK;
