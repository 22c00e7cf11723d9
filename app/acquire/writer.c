/* SPDX-License-Identifier: MIT */
#include "app/acquire/writer.h"

#include "app/acquire/writer_private.h"
#include "app/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define OPEN_WAIT_US    UINT64_C(10000000)  // then the buses start without it
#define COMMIT_AFTER_US 100000              // the buses have begun their slice by then
#define GRACE_US        UINT64_C(2000000)   // longest that a commit waits for the end of a slice
#define HUNG_END_US     UINT64_C(300000)    // for a card whose rows memory has: it will not answer now

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

const char *writer_error_text(int error)
{
    switch (-error) {
    case EBADMSG:
        return "it is damaged";
    case EBUSY:
        return "another acquire has it";
    case ETIMEDOUT:
        return "the card does not answer";
    default:
        return strerror(-error);
    }
}

/* --- what others look at --- */

void writer_lock(struct writer *writer)
{
    (void) pthread_mutex_lock(&writer->mutex);
}

void writer_unlock(struct writer *writer)
{
    (void) pthread_mutex_unlock(&writer->mutex);
}

void writer_get_status(struct writer *writer, struct writer_status *ret)
{
    uint64_t lost = queue_lost(writer->setup.queue) + atomic_load(&writer->dropped);

    writer_lock(writer);
    *ret = writer->status;
    ret->in_memory = writer->holder != WRITER_CARD && !writer->memory_failing;
    writer_unlock(writer);
    ret->lost = lost;
}

struct recall *writer_take_recall(struct writer *writer)
{
    struct recall *recall;

    writer_lock(writer);
    recall = TAKE(writer->recall);
    writer_unlock(writer);
    return recall;
}

void writer_get_committed(struct writer *writer, uint64_t *ret)
{
    const unsigned count = meters_count(writer->setup.meters);

    writer_lock(writer);
    memcpy(ret, writer->committed, count * sizeof(*ret));
    writer_unlock(writer);
}

void writer_forget(struct writer *writer, unsigned slot)
{
    writer_lock(writer);
    writer->committed[slot] = 0;
    writer_unlock(writer);
}

void writer_set_journal(struct writer *writer, const struct config_journal *journal)
{
    writer_lock(writer);
    writer->wanted = *journal;
    writer_unlock(writer);
    queue_wake(writer->setup.queue);
}

/* --- what the threads share --- */

bool writer_stops(struct writer *writer)
{
    return atomic_load(&writer->stop_us) != 0;
}

enum writer_holder writer_holder(struct writer *writer)
{
    enum writer_holder holder;

    writer_lock(writer);
    holder = writer->holder;
    writer_unlock(writer);
    return holder;
}

void writer_busy(struct writer *writer)
{
    atomic_store(&writer->busy_us, clock_monotonic_us());
}

void writer_idle(struct writer *writer)
{
    atomic_store(&writer->busy_us, 0);
}

void writer_hand_over(struct writer *writer)
{
    writer->holder = WRITER_MEMORY;
    writer->yield_wanted = false;
    writer->memory.token = queue_take(writer->setup.queue);
    (void) pthread_cond_broadcast(&writer->change);
}

/* A journal that is open keeps words or not since it was opened. */
void writer_take_settings(struct writer_store *store)
{
    struct writer *writer = store->writer;
    const bool kept_words = store->settings.keep_words;

    writer_lock(writer);
    store->settings = writer->wanted;
    writer_unlock(writer);
    if (store->settings.keep_words != kept_words && store->journal) {
        journal_close(TAKE(store->journal));
    }
}

bool writer_wait_until(struct writer *writer, uint64_t until_us)
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
static uint64_t next_commit_us(const struct writer_store *store)
{
    uint64_t commit_us = MAX(store->settings.commit_ms, 1u) * UINT64_C(1000);
    uint64_t origin_us = store->writer->setup.start_us + COMMIT_AFTER_US;
    uint64_t now_us = clock_monotonic_us();

    return now_us < origin_us ? origin_us : origin_us + ((now_us - origin_us) / commit_us + 1) * commit_us;
}

void writer_wait_for_work(struct writer_store *store)
{
    struct writer *writer = store->writer;
    const uint64_t commit_us = store->settings.commit_ms * UINT64_C(1000);
    const uint64_t until_us = next_commit_us(store);

    if (!writer_wait_until(writer, until_us) && atomic_load(writer->setup.busy_buses) > 0) {
        // In the middle of a slice: a row of it should not wait for the next commit.
        atomic_store(writer->setup.commit_wanted, true);
        if (atomic_load(writer->setup.busy_buses) > 0) {
            (void) writer_wait_until(writer, until_us + MIN(GRACE_US, commit_us / 2));
        }
        atomic_store(writer->setup.commit_wanted, false);
    }
}

/* --- making and ending --- */

static int writer_new(const struct writer_setup *setup, struct writer **ret)
{
    struct writer *writer = calloc(1, sizeof(*writer));
    int r;

    if (!writer) {
        return -ENOMEM;
    }
    writer->setup = *setup;
    writer->wanted = setup->journal;
    writer->committed = calloc(METERS_SLOTS, sizeof(uint64_t));
    (void) pthread_mutex_init(&writer->mutex, NULL);
    thread_condition_init(&writer->change);
    r = writer->committed ? 0 : -ENOMEM;
    r = r < 0 ? r : writer_store_init(&writer->card, writer, setup->directory, false);
    r = r < 0 ? r : writer_store_init(&writer->memory, writer, setup->memory_directory, true);
    if (r < 0) {
        writer_free(writer);
        return r;
    }

    writer->card.token = queue_take(setup->queue);
    *ret = writer;
    return 0;
}

/* How the first opening went; 0 if it takes too long to wait for. */
static int wait_for_opening(struct writer *writer)
{
    uint64_t until_us = clock_monotonic_us() + OPEN_WAIT_US;
    bool in_time = true;
    int r;

    writer_lock(writer);
    while (!writer->is_opened && in_time && !(writer->setup.card_hangs && writer->holder == WRITER_MEMORY)) {
        in_time = thread_wait(&writer->change, &writer->mutex, until_us);
    }
    r = writer->is_opened ? writer->open_result : 0;
    writer_unlock(writer);
    return r;
}

static void ask_to_stop(struct writer *writer)
{
    writer_lock(writer);
    atomic_store(&writer->stop_us, clock_monotonic_us());
    (void) pthread_cond_broadcast(&writer->change);
    writer_unlock(writer);
    queue_wake(writer->setup.queue);
}

int writer_start(const struct writer_setup *setup, struct writer **ret)
{
    struct writer *writer;
    int r;

    r = writer_new(setup, &writer);
    if (r < 0) {
        return r;
    }
    r = thread_start(&writer->card_thread, "journal", writer_card_run, writer);
    if (r < 0) {
        writer_free(writer);
        return r;
    }
    r = thread_start(&writer->memory_thread, "journal-memory", writer_memory_run, writer);
    if (r < 0) {
        ask_to_stop(writer);
        (void) pthread_join(writer->card_thread.id, NULL);
        writer_free(writer);
        return r;
    }
    r = wait_for_opening(writer);
    if (r < 0) {
        ask_to_stop(writer);  // the card's thread is about to return
        (void) pthread_join(writer->card_thread.id, NULL);
        (void) pthread_join(writer->memory_thread.id, NULL);
        writer_free(writer);
        return r;
    }

    *ret = writer;
    return 0;
}

int writer_stop(struct writer *writer, uint64_t deadline_us)
{
    enum writer_holder holder;
    int r, error;

    ask_to_stop(writer);
    r = thread_join(&writer->memory_thread, deadline_us);
    if (r < 0) {
        return r;
    }

    writer_lock(writer);
    holder = writer->holder;
    error = writer->card_error;
    writer_unlock(writer);
    if (holder != WRITER_CARD && error == -ETIMEDOUT) {
        deadline_us = MIN(deadline_us, clock_monotonic_us() + HUNG_END_US);
    }
    r = thread_join(&writer->card_thread, deadline_us);
    if (r < 0) {
        return r;
    }
    return holder == WRITER_CARD ? writer->result : error < 0 ? error : -EIO;
}

void writer_free(struct writer *writer)
{
    if (!writer) {
        return;
    }
    writer_store_clear(&writer->card);
    writer_store_clear(&writer->memory);
    journal_position_clear(&writer->position);
    recall_free(writer->recall);
    free(writer->committed);
    (void) pthread_cond_destroy(&writer->change);
    (void) pthread_mutex_destroy(&writer->mutex);
    free(writer);
}
