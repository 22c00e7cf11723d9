/* SPDX-License-Identifier: MIT */
#include "app/acquire/writer.h"

#include "app/acquire/thread.h"
#include "app/base/clock.h"
#include "app/base/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define OPEN_WAIT_US    UINT64_C(10000000)  // then the buses start without it
#define RETRY_US        UINT64_C(5000000)
#define COMMIT_AFTER_US 100000              // the buses have begun their slice by then
#define RECALL_US       UINT64_C(1000000)   // what the search for the counters may delay the buses by
#define GRACE_US        UINT64_C(2000000)   // longest that a commit waits for the end of a slice
#define PRUNE_EACH_US   UINT64_C(3600000000)

struct writer {
    struct writer_setup setup;
    struct thread thread;
    atomic_bool stop;

    pthread_mutex_t mutex;       // of what others look at:
    pthread_cond_t opened;
    bool is_opened;
    int open_result;
    struct writer_status status;
    struct recall *recall;
    uint64_t *committed;         // [METERS_SLOTS]
    struct config_journal wanted;

    /* The thread's own. */
    struct config_journal settings;
    struct journal *journal;     // NULL: to be opened
    struct record record;
    struct journal_row row;
    struct guard_book book;
    struct epoch epoch;          // of the rows to come
    struct epoch stored_epoch;   // of the rows that are committed
    bool epoch_added;            // to this journal, since it was opened
    uint64_t meters_stamp;       // meters up to this one are in it
    int64_t *ids;                // [METERS_SLOTS] in it,
    uint64_t *stamps;            // [METERS_SLOTS] of the meter that the id is of; 0: none
    uint64_t *pending;           // [METERS_SLOTS] newest row of the open transaction; 0: none
    uint64_t lost_told;
    uint64_t failing_since_us;   // 0: all is well
    uint64_t next_commit_us;
    uint64_t next_prune_us;
    int result;
};

enum writer_state writer_state_of(int error)
{
    switch (-error) {
    case ENOSPC:
    case EDQUOT:
        return WRITER_FULL;
    case EROFS:
        return WRITER_READONLY;
    default:
        return WRITER_FAILED;
    }
}

const char *writer_state_text(enum writer_state state)
{
    switch (state) {
    case WRITER_OPENING:
    case WRITER_OK:
        return "ok";
    case WRITER_FULL:
        return "full";
    case WRITER_READONLY:
        return "readonly";
    case WRITER_FAILED:
        return "failed";
    }
    return "failed";
}

static const char *error_text(int error)
{
    return error == -EBADMSG ? "it is damaged" : error == -EBUSY ? "another acquire has it" : strerror(-error);
}

/* --- what others look at --- */

static void tell(struct writer *writer)
{
    writer->setup.changed(writer->setup.data);
}

void writer_get_status(struct writer *writer, struct writer_status *ret)
{
    uint64_t lost = queue_lost(writer->setup.queue);

    (void) pthread_mutex_lock(&writer->mutex);
    *ret = writer->status;
    (void) pthread_mutex_unlock(&writer->mutex);
    ret->lost = lost;
}

struct recall *writer_take_recall(struct writer *writer)
{
    struct recall *recall;

    (void) pthread_mutex_lock(&writer->mutex);
    recall = TAKE(writer->recall);
    (void) pthread_mutex_unlock(&writer->mutex);
    return recall;
}

void writer_get_committed(struct writer *writer, uint64_t *ret)
{
    const unsigned count = meters_count(writer->setup.meters);

    (void) pthread_mutex_lock(&writer->mutex);
    memcpy(ret, writer->committed, count * sizeof(*ret));
    (void) pthread_mutex_unlock(&writer->mutex);
}

void writer_forget(struct writer *writer, unsigned slot)
{
    (void) pthread_mutex_lock(&writer->mutex);
    writer->committed[slot] = 0;
    (void) pthread_mutex_unlock(&writer->mutex);
}

void writer_set_journal(struct writer *writer, const struct config_journal *journal)
{
    (void) pthread_mutex_lock(&writer->mutex);
    writer->wanted = *journal;
    (void) pthread_mutex_unlock(&writer->mutex);
    queue_wake(writer->setup.queue);
}

/* A journal that is open keeps words or not since it was opened. */
static void take_settings(struct writer *writer)
{
    const bool kept_words = writer->settings.keep_words;

    (void) pthread_mutex_lock(&writer->mutex);
    writer->settings = writer->wanted;
    (void) pthread_mutex_unlock(&writer->mutex);
    if (writer->settings.keep_words != kept_words && writer->journal) {
        journal_close(TAKE(writer->journal));
    }
}

/* --- opening --- */

/* What the counters stood at; NULL, where the journal cannot be read now. One without a row never saw any. */
static struct recall *learn_counters(struct writer *writer)
{
    auto_journal struct journal *journal = NULL;
    auto_recall struct recall *recall = NULL;
    int r;

    r = recall_new(&recall);
    if (r == 0 && journal_last_seq(writer->journal) > 0) {
        r = journal_open_read(writer->setup.directory, &journal);
        if (r == 0) {
            r = recall_read(recall, journal, writer->setup.meters, clock_monotonic_us() + RECALL_US);
        }
    }
    if (r < 0) {
        log_warning("what the counters stood at cannot be read from the journal: %s; their first readings must agree",
                    error_text(r));
        return NULL;
    }
    return TAKE(recall);
}

/* What the journal already knows of this boot's clock, and of time at all. Nothing, where it cannot be read now. */
static void learn(struct writer *writer, struct writer_status *status)
{
    auto_journal struct journal *journal = NULL;
    char boot_id[CLOCK_BOOT_ID_SIZE], quality[4];
    struct epoch epoch;
    int64_t wall_ms;
    uint64_t seq;

    if (journal_open_read(writer->setup.directory, &journal) < 0) {
        return;
    }

    clock_boot_id(boot_id);
    if (journal_known_epoch(journal, boot_id, &epoch) == 0) {
        status->known_earlier = epoch.source;
    }
    if (journal_head_seq(journal, &seq) == 0 && seq > 0
        && journal_read(journal, seq - 1, NULL, &writer->row, 1) == 1
        && journal_row_time(journal, &writer->row, &wall_ms, quality) == 0 && quality[0] != CLOCK_ESTIMATED
        && quality[0] != CLOCK_UNKNOWN) {
        status->last_known_ms = wall_ms;
    }
}

static int open_journal(struct writer *writer)
{
    int r;

    r = journal_open(writer->setup.directory, writer->settings.keep_words, &writer->journal);
    if (r < 0) {
        return r;
    }
    writer->epoch_added = false;
    writer->meters_stamp = 0;
    memset(writer->stamps, 0, meters_count(writer->setup.meters) * sizeof(writer->stamps[0]));
    return 0;
}

/* These will not pass by waiting: another program, or a wrong path. */
static bool is_final(int error)
{
    return error == -EBUSY || error == -ENOTDIR || error == -EACCES || error == -EPERM || error == -ENAMETOOLONG;
}

static void fail(struct writer *writer, int error);

static int open_first(struct writer *writer)
{
    struct writer_status status = { .state = WRITER_OK, .known_earlier = CLOCK_UNKNOWN };
    struct recall *recall;
    int r;

    r = open_journal(writer);
    if (r == 0) {
        (void) snprintf(status.journal_id, sizeof(status.journal_id), "%s", journal_id(writer->journal));
        status.last_seq = journal_last_seq(writer->journal);
        learn(writer, &status);
        recall = learn_counters(writer);
        (void) pthread_mutex_lock(&writer->mutex);
        writer->status = status;
        writer->recall = recall;
        (void) pthread_mutex_unlock(&writer->mutex);
    } else if (!is_final(r)) {
        fail(writer, r);
    }

    (void) pthread_mutex_lock(&writer->mutex);
    writer->is_opened = true;
    writer->open_result = is_final(r) ? r : 0;
    (void) pthread_cond_signal(&writer->opened);
    (void) pthread_mutex_unlock(&writer->mutex);
    return is_final(r) ? r : 0;
}

/* --- storing --- */

static int add_meter(struct writer *writer, unsigned slot, const struct meters_entry *entry)
{
    int r;

    r = journal_add_meter(writer->journal, entry->name, entry->model, entry->layout, &writer->ids[slot]);
    if (r == 0) {
        writer->stamps[slot] = entry->stamp;
    }
    return r;
}

/* Those of which rows may come; a retired one only if one still does, since what it points to may be gone. */
static int add_meters(struct writer *writer)
{
    struct meters *meters = writer->setup.meters;
    const uint64_t stamp = meters_stamp(meters);
    const unsigned count = meters_count(meters);

    for (unsigned i = 0; i < count && writer->meters_stamp != stamp; i++) {
        struct meters_entry entry;

        if (meters_get(meters, i, &entry) && !entry.retired && writer->stamps[i] != entry.stamp) {
            int r = add_meter(writer, i, &entry);

            if (r < 0) {
                return r;
            }
        }
    }
    writer->meters_stamp = stamp;
    return 0;
}

/* A journal that was just opened knows neither the epoch nor the meters. */
static int prepare(struct writer *writer)
{
    int r;

    assert(writer->epoch.boot_id[0] || writer->epoch.wall_ms);  // the core pushes an epoch before anything else
    if (!writer->epoch_added) {
        r = journal_add_epoch(writer->journal, &writer->epoch);
        if (r < 0) {
            return r;
        }
        writer->epoch_added = true;
    }
    return add_meters(writer);
}

/* What the counter guard noted of a row: events that name its seq. */
static int store_notes(struct writer *writer, const struct record *record, const struct meters_entry *meter,
                       uint64_t seq)
{
    char text[GUARD_TEXT_SIZE];

    for (unsigned i = 0; i < record->note_count; i++) {
        const char *code = guard_event(&writer->book, record->meter, meter->name, meter->layout, &record->notes[i], seq,
                                       text);
        int r = journal_add_event(writer->journal, writer->epoch.number, record->boot_ms, code, text);

        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int store_sample(struct writer *writer, const struct record *record)
{
    struct journal_row *row = &writer->row;
    unsigned at = 0;
    struct meters_entry entry;
    bool known;
    uint64_t seq;
    int r;

    known = meters_get(writer->setup.meters, record->meter, &entry);
    if (known && writer->stamps[record->meter] != entry.stamp) {
        r = add_meter(writer, record->meter, &entry);
        if (r < 0) {
            return r;
        }
    }
    row->epoch = writer->epoch.number;
    row->boot_ms = record->boot_ms;
    row->meter = writer->ids[record->meter];
    row->quality[at++] = (char) writer->epoch.source;
    if (record->missing) {
        row->quality[at++] = 'm';
    }
    if (record->held) {
        row->quality[at++] = 'g';
    }
    row->quality[at] = '\0';
    row->value_count = record->value_count;
    memcpy(row->values, record->values, record->value_count * sizeof(row->values[0]));

    r = journal_add_sample(writer->journal, row, record->word_count > 0 ? record->words : NULL, record->word_count,
                           &seq);
    if (r < 0) {
        return r;
    }
    writer->pending[record->meter] = record->boot_ms;
    return known ? store_notes(writer, record, &entry, seq) : 0;
}

static int store_record(struct writer *writer, const struct record *record)
{
    int r;

    if (record->kind == RECORD_EPOCH) {
        writer->epoch = record->epoch;
        writer->epoch_added = false;
    }
    r = prepare(writer);
    if (r < 0) {
        return r;
    }

    switch (record->kind) {
    case RECORD_SAMPLE:
        return store_sample(writer, record);
    case RECORD_EVENT:
        return journal_add_event(writer->journal, writer->epoch.number, record->boot_ms, record->code, record->text);
    case RECORD_EPOCH:
        break;
    }
    return 0;
}

/* One event for all that the queue could not keep. */
static int store_gap(struct writer *writer, uint64_t lost)
{
    char text[QUEUE_TEXT_SIZE];

    if (lost == writer->lost_told) {
        return 0;
    }
    (void) snprintf(text, sizeof(text), "%" PRIu64 " rows and events are lost: the journal could not be written",
                    lost - writer->lost_told);
    return journal_add_event(writer->journal, writer->epoch.number, clock_boot_ms(), "gap", text);
}

/* Take all that is in the queue and commit it. Returns how many records that were. */
static int store_all(struct writer *writer, uint64_t *ret_lost)
{
    int r, count = 0;

    while (queue_read(writer->setup.queue, 0, &writer->record) == 1) {
        r = store_record(writer, &writer->record);
        if (r < 0) {
            return r;
        }
        count++;
    }
    if (count == 0) {
        return 0;
    }

    *ret_lost = queue_lost(writer->setup.queue);
    r = store_gap(writer, *ret_lost);
    if (r < 0) {
        return r;
    }
    r = journal_commit(writer->journal, clock_boot_ms());
    return r < 0 ? r : count;
}

/* --- after it --- */

static void fail(struct writer *writer, int error)
{
    enum writer_state state = writer_state_of(error);
    bool is_news;

    if (writer->journal) {
        journal_rollback(writer->journal);
        journal_close(TAKE(writer->journal));  // a card that was pulled out and put back needs new descriptors
    }
    (void) !queue_rewind(writer->setup.queue, 0);
    writer->epoch = writer->stored_epoch;
    memset(writer->pending, 0, meters_count(writer->setup.meters) * sizeof(writer->pending[0]));

    (void) pthread_mutex_lock(&writer->mutex);
    is_news = writer->status.state != state;
    writer->status.state = state;
    (void) snprintf(writer->status.error, sizeof(writer->status.error), "journal: %s", error_text(error));
    (void) pthread_mutex_unlock(&writer->mutex);

    if (is_news) {
        log_error("the journal in %s cannot be written: %s; rows wait in memory, trying again every 5 s",
                  writer->setup.directory, error_text(error));
    }
    if (writer->failing_since_us == 0) {
        writer->failing_since_us = clock_monotonic_us();
    }
    tell(writer);
}

static void succeed(struct writer *writer, uint64_t lost)
{
    const unsigned meter_count = meters_count(writer->setup.meters);

    (void) !queue_release(writer->setup.queue, 0);
    writer->stored_epoch = writer->epoch;

    (void) pthread_mutex_lock(&writer->mutex);
    for (unsigned i = 0; i < meter_count; i++) {
        writer->committed[i] = writer->pending[i] ? writer->pending[i] : writer->committed[i];
    }
    writer->status.state = WRITER_OK;
    writer->status.error[0] = '\0';
    writer->status.last_seq = journal_last_seq(writer->journal);
    (void) snprintf(writer->status.journal_id, sizeof(writer->status.journal_id), "%s", journal_id(writer->journal));
    (void) pthread_mutex_unlock(&writer->mutex);
    memset(writer->pending, 0, meter_count * sizeof(writer->pending[0]));

    if (writer->failing_since_us != 0 || lost > writer->lost_told) {
        char text[TEXT_DURATION_SIZE];
        uint64_t since_us = writer->failing_since_us ? writer->failing_since_us : clock_monotonic_us();

        log_info("the journal is written again after %s; %" PRIu64 " rows and events were lost",
                 text_duration((clock_monotonic_us() - since_us) / 1000, text), lost - writer->lost_told);
    }
    writer->failing_since_us = 0;
    writer->lost_told = lost;
    tell(writer);
}

static void prune(struct writer *writer)
{
    const struct config_journal *settings = &writer->settings;
    int r;

    if (clock_monotonic_us() < writer->next_prune_us) {
        return;
    }
    writer->next_prune_us = clock_monotonic_us() + PRUNE_EACH_US;
    r = journal_prune(writer->journal, settings->keep_days, settings->budget_bytes);
    if (r > 0) {
        log_info("the oldest %d journal segments were removed (keep = %u days)", r, settings->keep_days);
    } else if (r < 0) {
        log_warning("old journal segments cannot be removed: %s; trying again in an hour", strerror(-r));
    }
}

static int store(struct writer *writer)
{
    uint64_t lost = writer->lost_told;
    int r = 0;

    if (!writer->journal) {
        r = open_journal(writer);
    }
    if (r == 0) {
        r = store_all(writer, &lost);
    }
    if (r < 0) {
        fail(writer, r);
        return r;
    }
    if (r > 0 || writer->failing_since_us != 0) {
        succeed(writer, lost);
        if (writer->setup.committed) {
            writer->setup.committed(writer->setup.data);
        }
    }
    prune(writer);
    return 0;
}

/* --- the thread --- */

/* Returns true if somebody called, false at the time. */
static bool wait_until(struct writer *writer, uint64_t until_us)
{
    struct pollfd fd = { .fd = queue_fd(writer->setup.queue), .events = POLLIN };
    uint64_t now_us = clock_monotonic_us();
    const uint64_t left_us = until_us > now_us ? until_us - now_us : 0;
    const struct timespec timeout = { .tv_sec = (time_t) (left_us / 1000000),
                                      .tv_nsec = (long) (left_us % 1000000) * 1000 };

    if (ppoll(&fd, 1, &timeout, NULL) <= 0) {
        return false;
    }
    queue_drain_wakes(writer->setup.queue);
    return true;
}

/* Commits are at multiples of `commit` since the start, just behind the slices that begin there. */
static uint64_t next_commit_us(const struct writer *writer)
{
    uint64_t commit_us = MAX(writer->settings.commit_ms, 1u) * UINT64_C(1000);
    uint64_t origin_us = writer->setup.start_us + COMMIT_AFTER_US;
    uint64_t now_us = clock_monotonic_us();

    return now_us < origin_us ? origin_us : origin_us + ((now_us - origin_us) / commit_us + 1) * commit_us;
}

static void wait_for_work(struct writer *writer)
{
    const uint64_t commit_us = writer->settings.commit_ms * UINT64_C(1000);
    uint64_t until_us;
    bool called;

    if (writer->failing_since_us != 0) {
        until_us = clock_monotonic_us() + RETRY_US;
        while (!atomic_load(&writer->stop) && clock_monotonic_us() < until_us) {
            (void) wait_until(writer, until_us);
        }
        return;
    }

    until_us = next_commit_us(writer);
    called = wait_until(writer, until_us);
    if (!called && atomic_load(writer->setup.busy_buses) > 0) {
        // In the middle of a slice: a row of it should not wait for the next commit.
        atomic_store(writer->setup.commit_wanted, true);
        if (atomic_load(writer->setup.busy_buses) > 0) {
            (void) wait_until(writer, until_us + MIN(GRACE_US, commit_us / 2));
        }
        atomic_store(writer->setup.commit_wanted, false);
    }
}

static void run(void *data)
{
    struct writer *writer = data;
    bool stop = false;

    writer->result = open_first(writer);
    if (writer->result < 0) {
        return;
    }

    while (!stop) {
        wait_for_work(writer);
        take_settings(writer);
        stop = atomic_load(&writer->stop);  // before the queue is emptied: what comes later is not ours
        writer->result = store(writer);
    }
    journal_close(TAKE(writer->journal));
}

static int writer_new(const struct writer_setup *setup, struct writer **ret)
{
    struct writer *writer = calloc(1, sizeof(*writer));

    if (!writer) {
        return -ENOMEM;
    }
    writer->setup = *setup;
    writer->settings = writer->wanted = setup->journal;
    writer->committed = calloc(METERS_SLOTS, sizeof(uint64_t));
    writer->pending = calloc(METERS_SLOTS, sizeof(uint64_t));
    writer->stamps = calloc(METERS_SLOTS, sizeof(uint64_t));
    writer->ids = calloc(METERS_SLOTS, sizeof(int64_t));
    (void) pthread_mutex_init(&writer->mutex, NULL);
    thread_condition_init(&writer->opened);
    if (!writer->committed || !writer->pending || !writer->stamps || !writer->ids) {
        writer_free(writer);
        return -ENOMEM;
    }

    *ret = writer;
    return 0;
}

/* How the first opening went; 0 if it takes too long to wait for. */
static int wait_for_opening(struct writer *writer)
{
    uint64_t until_us = clock_monotonic_us() + OPEN_WAIT_US;
    bool in_time = true;
    int r;

    (void) pthread_mutex_lock(&writer->mutex);
    while (!writer->is_opened && in_time) {
        in_time = thread_wait(&writer->opened, &writer->mutex, until_us);
    }
    r = writer->is_opened ? writer->open_result : 0;
    (void) pthread_mutex_unlock(&writer->mutex);
    return r;
}

int writer_start(const struct writer_setup *setup, struct writer **ret)
{
    struct writer *writer;
    int r;

    r = writer_new(setup, &writer);
    if (r < 0) {
        return r;
    }
    r = thread_start(&writer->thread, "journal", run, writer);
    if (r < 0) {
        writer_free(writer);
        return r;
    }
    r = wait_for_opening(writer);
    if (r < 0) {
        (void) pthread_join(writer->thread.id, NULL);  // it is about to return
        writer_free(writer);
        return r;
    }

    *ret = writer;
    return 0;
}

int writer_stop(struct writer *writer, uint64_t deadline_us)
{
    int r;

    atomic_store(&writer->stop, true);
    queue_wake(writer->setup.queue);
    r = thread_join(&writer->thread, deadline_us);
    return r < 0 ? r : writer->result;
}

void writer_free(struct writer *writer)
{
    if (!writer) {
        return;
    }
    recall_free(writer->recall);
    free(writer->committed);
    free(writer->pending);
    free(writer->stamps);
    free(writer->ids);
    (void) pthread_cond_destroy(&writer->opened);
    (void) pthread_mutex_destroy(&writer->mutex);
    free(writer);
}
