/* SPDX-License-Identifier: MIT */

/*
 * The memory's thread sleeps for as long as the card does what it should. When the card fails, the card's thread gives
 * it the queue; when the card hangs, it takes the queue by itself.
 */

#include "app/acquire/writer_private.h"

#include "app/base/clock.h"
#include "app/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOOK_US       UINT64_C(1000000)   // how often it looks whether the card hangs
#define LOOK_STOP_US  UINT64_C(100000)
#define HUNG_US       UINT64_C(25000000)  // a call of the card that takes longer: DESIGN section 2
#define SLOW_US       UINT64_C(1000000)   // one that does, while rows have no room to wait for it any longer
#define HUNG_STOP_US  UINT64_C(1000000)   // while the program ends, which must not take more than 5 s
#define BYTES_MAX     (UINT64_C(64) * 1024 * 1024)

/* Whether the card's thread has been in one call for too long. Several slow ones in a row fill the queue as well. */
static bool is_hung(struct writer *writer)
{
    const uint64_t busy_us = atomic_load(&writer->busy_us), stop_us = atomic_load(&writer->stop_us);
    const uint64_t now_us = clock_monotonic_us();

    return busy_us != 0 && (now_us >= busy_us + HUNG_US
                            || (now_us >= busy_us + SLOW_US && queue_is_filling(writer->setup.queue))
                            || (stop_us != 0 && now_us >= MAX(busy_us, stop_us) + HUNG_STOP_US));
}

/* The mutex is held. */
static void take_over(struct writer *writer)
{
    writer->status.state = WRITER_FAILED;
    writer->card_error = -ETIMEDOUT;
    writer->hung_us = atomic_load(&writer->busy_us);
    (void) snprintf(writer->status.error, sizeof(writer->status.error), "journal: %s; rows go to memory",
                    writer_error_text(-ETIMEDOUT));
    writer_hand_over(writer);
}

/* Sleep until there is something to do. Returns false at the end of all. */
static bool wait_for_queue(struct writer *writer)
{
    bool took_over = false, ended;

    writer_lock(writer);
    while (writer->holder != WRITER_MEMORY && !(writer_stops(writer) && writer->card_ended)) {
        (void) thread_wait(&writer->change, &writer->mutex,
                           clock_monotonic_us() + (writer_stops(writer) ? LOOK_STOP_US : LOOK_US));
        if (writer->holder != WRITER_MEMORY && is_hung(writer)) {
            take_over(writer);
            took_over = true;
        }
    }
    ended = writer->holder != WRITER_MEMORY;
    writer_unlock(writer);

    if (took_over) {
        log_error("the card with the journal in %s does not answer; rows go to memory until it does",
                  writer->card.directory);
        writer->setup.changed(writer->setup.data);
    }
    return !ended;
}

static void fail(struct writer *writer, int error)
{
    bool is_news;

    writer_store_take_back(&writer->memory);
    writer_lock(writer);
    is_news = !writer->memory_failing;
    writer->memory_failing = true;
    (void) snprintf(writer->status.error, sizeof(writer->status.error), "journal: %s; nor can memory be written: %s",
                    writer_error_text(writer->card_error), writer_error_text(error));
    writer_unlock(writer);
    if (is_news) {
        log_error("nor can rows be kept in %s: %s; they wait in the queue", writer->memory.directory,
                  writer_error_text(error));
    }
    writer->setup.changed(writer->setup.data);
}

/* Room for what comes. The rows that go are told of with the next commit. */
static void drop(struct writer *writer)
{
    int r = journal_drop(writer->memory.journal, BYTES_MAX);

    if (r > 0) {
        atomic_fetch_add(&writer->dropped, (uint64_t) r);
        log_warning("the oldest %d rows in %s are lost: it is full, and the card is not back yet", r,
                    writer->memory.directory);
    }
}

static int store(struct writer *writer)
{
    int r;

    r = writer_store_run(&writer->memory);
    if (r < 0 && r != -ESTALE) {
        fail(writer, r);
        return r;
    }
    if (r > 0) {
        drop(writer);
        writer_lock(writer);
        writer->memory_failing = false;
        writer_unlock(writer);
        writer->setup.changed(writer->setup.data);
    }
    return 0;
}

/* The card's thread wants the queue. */
static bool is_asked(struct writer *writer)
{
    bool is_asked;

    writer_lock(writer);
    is_asked = writer->yield_wanted;
    writer_unlock(writer);
    return is_asked;
}

static void yield(struct writer *writer)
{
    journal_close(TAKE(writer->memory.journal));
    writer_lock(writer);
    writer->holder = WRITER_NOBODY;
    writer->yield_wanted = false;
    (void) pthread_cond_broadcast(&writer->change);
    writer_unlock(writer);
}

/* While memory holds the queue. Returns false at the end of all. */
static bool keep(struct writer *writer)
{
    bool stop = false;
    int r = 0;

    while (!stop) {
        bool yields;

        stop = writer_stops(writer);
        yields = is_asked(writer);
        writer_take_settings(&writer->memory);
        r = store(writer);
        if (yields && !stop) {
            yield(writer);
            return true;
        }
        if (r < 0) {
            const uint64_t until_us = clock_monotonic_us() + WRITER_RETRY_US;

            while (!stop && !writer_stops(writer) && !is_asked(writer) && clock_monotonic_us() < until_us) {
                (void) writer_wait_until(writer, until_us);
            }
        } else if (!stop) {
            writer_wait_for_work(&writer->memory);
        }
    }
    journal_close(TAKE(writer->memory.journal));
    return false;
}

void writer_memory_run(void *data)
{
    struct writer *writer = data;

    while (wait_for_queue(writer) && keep(writer)) {
    }
}
