/* SPDX-License-Identifier: MIT */

/*
 * Storing into one place. The same records get the same seqs in each attempt, wherever it is made: a row's seq follows
 * from its number among all samples, so that a row which was lost leaves a hole.
 */

#include "app/acquire/writer_private.h"

#include "app/base/clock.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define IO_ERRORS_MAX 6  // one each 5 s

int writer_store_init(struct writer_store *store, struct writer *writer, const char *directory, bool is_memory)
{
    store->writer = writer;
    store->directory = directory;
    store->is_memory = is_memory;
    store->settings = writer->setup.journal;
    store->pending = calloc(METERS_SLOTS, sizeof(uint64_t));
    store->stamps = calloc(METERS_SLOTS, sizeof(uint64_t));
    store->ids = calloc(METERS_SLOTS, sizeof(int64_t));
    return store->pending && store->stamps && store->ids ? 0 : -ENOMEM;
}

void writer_store_clear(struct writer_store *store)
{
    free(store->pending);
    free(store->stamps);
    free(store->ids);
    journal_position_clear(&store->begin_at);
    journal_position_clear(&store->position);
}

static int open_memory(struct writer_store *store)
{
    struct writer *writer = store->writer;
    int r;

    writer_lock(writer);
    r = *writer->position.id ? 0 : journal_new_position(&writer->position);
    if (r >= 0) {
        r = journal_position_copy(&writer->position, &store->begin_at);
    }
    writer_unlock(writer);
    return r < 0 ? r
                 : journal_open_at(store->directory, store->settings.keep_words, &store->begin_at, &store->journal);
}

/* A sector of the newest segment may be lost for good: each so many attempts another segment is begun. */
static int open_card(struct writer_store *store)
{
    if (store->io_errors == 0 || store->io_errors % IO_ERRORS_MAX != 0) {
        return journal_open(store->directory, store->settings.keep_words, &store->journal);
    }
    return journal_open_anew(store->directory, store->settings.keep_words, &store->journal);
}

int writer_store_open(struct writer_store *store)
{
    int r;

    if (store->journal) {
        return 0;
    }
    r = store->is_memory ? open_memory(store) : open_card(store);
    if (r < 0) {
        return r;
    }
    store->epoch_added = false;
    store->meters_stamp = 0;
    memset(store->stamps, 0, meters_count(store->writer->setup.meters) * sizeof(store->stamps[0]));
    return 0;
}

/* --- one record --- */

static int add_meter(struct writer_store *store, unsigned slot, const struct meters_entry *entry)
{
    int r;

    r = journal_add_meter(store->journal, entry->name, entry->model, entry->layout, &store->ids[slot]);
    if (r == 0) {
        store->stamps[slot] = entry->stamp;
    }
    return r;
}

/* Those of which rows may come; a retired one only if one still does, since what it points to may be gone. */
static int add_meters(struct writer_store *store)
{
    struct meters *meters = store->writer->setup.meters;
    const uint64_t stamp = meters_stamp(meters);
    const unsigned count = meters_count(meters);

    for (unsigned i = 0; i < count && store->meters_stamp != stamp; i++) {
        struct meters_entry entry;

        if (meters_get(meters, i, &entry) && !entry.retired && store->stamps[i] != entry.stamp) {
            int r = add_meter(store, i, &entry);

            if (r < 0) {
                return r;
            }
        }
    }
    store->meters_stamp = stamp;
    return 0;
}

/* One event for all that could not be kept. It is the first of a transaction, so that those after it keep their ids. */
static int store_gap(struct writer_store *store)
{
    char text[QUEUE_TEXT_SIZE];
    int r;

    if (store->lost == store->mark.lost_told) {
        return 0;
    }
    (void) snprintf(text, sizeof(text), "%" PRIu64 " rows and events are lost: the journal could not be written",
                    store->lost - store->mark.lost_told);
    r = journal_add_event(store->journal, store->mark.epoch.number, clock_boot_ms(), "gap", text);
    if (r == 0) {
        store->mark.lost_told = store->lost;
    }
    return r;
}

/* Where the numbers begin; an attempt that may have come through has taken event ids, if it was not the same. */
static int begin(struct writer_store *store)
{
    struct writer *writer = store->writer;
    int64_t next_event = 0;

    writer_lock(writer);
    if (writer->attempt.made && writer->attempt.mark.lost_told != store->lost) {
        next_event = writer->attempt.last_event + 1;
    }
    writer_unlock(writer);
    journal_skip(store->journal, 0, next_event);
    store->base_seq = journal_next_seq(store->journal);
    store->base_ordinal = store->mark.ordinal;
    store->begun = true;
    return store_gap(store);
}

/* A journal that was just opened may know neither the epoch nor the meters. */
static int prepare(struct writer_store *store)
{
    int r;

    // the core pushes an epoch before anything else
    assert(store->mark.epoch.boot_id[0] || store->mark.epoch.wall_ms);
    if (!store->epoch_added) {
        r = journal_resume(store->journal, &store->mark.epoch);
        if (r < 0) {
            return r;
        }
        store->epoch_added = true;
    }
    r = store->begun ? 0 : begin(store);
    return r < 0 ? r : add_meters(store);
}

/* What the counter guard noted of a row: events that name its seq. */
static int store_notes(struct writer_store *store, const struct meters_entry *meter, uint64_t seq)
{
    const struct record *record = &store->record;
    char text[GUARD_TEXT_SIZE];

    for (unsigned i = 0; i < record->note_count; i++) {
        const char *code = guard_event(&store->mark.book, record->meter, meter->name, meter->layout, &record->notes[i],
                                       seq, text);
        int r = journal_add_event(store->journal, store->mark.epoch.number, record->boot_ms, code, text);

        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static void make_row(struct writer_store *store)
{
    const struct record *record = &store->record;
    struct journal_row *row = &store->row;
    unsigned at = 0;

    row->epoch = store->mark.epoch.number;
    row->boot_ms = record->boot_ms;
    row->meter = store->ids[record->meter];
    row->quality[at++] = (char) store->mark.epoch.source;
    if (record->missing) {
        row->quality[at++] = 'm';
    }
    if (record->held) {
        row->quality[at++] = 'g';
    }
    row->quality[at] = '\0';
    row->value_count = record->value_count;
    memcpy(row->values, record->values, record->value_count * sizeof(row->values[0]));
}

static int store_sample(struct writer_store *store)
{
    const struct record *record = &store->record;
    struct meters_entry entry;
    bool known;
    uint64_t seq;
    int r;

    known = meters_get(store->writer->setup.meters, record->meter, &entry);
    if (known && store->stamps[record->meter] != entry.stamp) {
        r = add_meter(store, record->meter, &entry);
        if (r < 0) {
            return r;
        }
    }
    make_row(store);
    journal_skip(store->journal, store->base_seq + (record->ordinal - store->base_ordinal), 0);
    r = journal_add_sample(store->journal, &store->row, record->word_count > 0 ? record->words : NULL,
                           record->word_count, &seq);
    if (r < 0) {
        return r;
    }
    store->mark.ordinal = record->ordinal + 1;
    store->pending[record->meter] = record->boot_ms;
    return known ? store_notes(store, &entry, seq) : 0;
}

static int store_record(struct writer_store *store)
{
    const struct record *record = &store->record;
    int r;

    if (record->kind == RECORD_EPOCH) {
        store->mark.epoch = record->epoch;
        store->epoch_added = false;
    }
    r = prepare(store);
    if (r < 0) {
        return r;
    }

    switch (record->kind) {
    case RECORD_SAMPLE:
        return store_sample(store);
    case RECORD_EVENT:
        return journal_add_event(store->journal, store->mark.epoch.number, record->boot_ms, record->code,
                                 record->text);
    case RECORD_EPOCH:
        break;
    }
    return 0;
}

/* --- all of them --- */

/* Before a commit of the card: should it fail or hang, what it was. Errors: -ESTALE the queue is memory's by now */
static int note_attempt(struct writer_store *store)
{
    struct writer *writer = store->writer;
    const uint64_t next_seq = journal_next_seq(store->journal);
    int r = -ESTALE;

    writer_busy(writer);
    writer_lock(writer);
    if (writer->holder == WRITER_CARD) {
        writer->attempt = (struct writer_attempt){ .made = true,
                                                   .last_seq = next_seq > store->base_seq ? next_seq - 1 : 0,
                                                   .last_event = journal_next_event(store->journal) - 1,
                                                   .position = queue_position(writer->setup.queue),
                                                   .mark = store->mark };
        r = 0;
    }
    writer_unlock(writer);
    return r;
}

static int commit(struct writer_store *store)
{
    struct writer *writer = store->writer;
    const unsigned meter_count = meters_count(writer->setup.meters);
    int r;

    r = store->is_memory ? 0 : note_attempt(store);
    if (r == 0) {
        r = journal_commit(store->journal, clock_boot_ms());
    }
    if (r < 0) {
        return r;
    }

    (void) !journal_get_position(store->journal, &store->position);  // only its tables are older: asked next time
    writer_lock(writer);
    r = queue_release(writer->setup.queue, store->token);
    if (r == 0) {
        (void) !journal_position_copy(&store->position, &writer->position);  // likewise
        writer->mark = store->mark;
        writer->attempt.made = false;
        for (unsigned i = 0; i < meter_count; i++) {
            writer->committed[i] = store->pending[i] ? store->pending[i] : writer->committed[i];
        }
        if (journal_next_seq(store->journal) > store->base_seq) {
            writer->status.last_seq = journal_last_seq(store->journal);  // else it is only what none is above
        }
        (void) snprintf(writer->status.journal_id, sizeof(writer->status.journal_id), "%s", journal_id(store->journal));
    }
    writer_unlock(writer);
    return r;
}

static int store_all(struct writer_store *store)
{
    struct writer *writer = store->writer;
    int r, count = 0;

    while ((r = queue_read(writer->setup.queue, store->token, &store->record)) == 1) {
        if (!store->is_memory) {
            writer_busy(writer);
        }
        r = store_record(store);
        if (r < 0) {
            return r;
        }
        count++;
    }
    if (r < 0 || count == 0) {
        return r;
    }
    r = commit(store);
    return r < 0 ? r : count;
}

int writer_store_run(struct writer_store *store)
{
    struct writer *writer = store->writer;
    int r;

    r = writer_store_open(store);
    if (r < 0) {
        return r;
    }
    writer_lock(writer);
    store->epoch_added &= store->mark.epoch.number == writer->mark.epoch.number;
    store->mark = writer->mark;
    writer_unlock(writer);
    memset(store->pending, 0, meters_count(writer->setup.meters) * sizeof(store->pending[0]));
    store->begun = false;
    store->lost = queue_lost(writer->setup.queue) + atomic_load(&writer->dropped);

    r = store_all(store);
    if (r < 0) {
        journal_rollback(store->journal);
        store->epoch_added = false;
    }
    return r;
}

void writer_store_take_back(struct writer_store *store)
{
    if (store->journal) {
        journal_rollback(store->journal);
        journal_close(TAKE(store->journal));  // a card that was pulled out and put back needs new descriptors
    }
    (void) !queue_rewind(store->writer->setup.queue, store->token);  // unless it is another's by now
}
