/* SPDX-License-Identifier: MIT */

/* The card's thread: the only one that touches the card, which may keep it for as long as it likes. */

#include "app/acquire/writer_private.h"

#include "app/base/clock.h"
#include "app/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RECALL_US     UINT64_C(1000000)   // what the search for the counters may delay the buses by
#define PRUNE_EACH_US UINT64_C(3600000000)

static void tell(struct writer *writer)
{
    writer->setup.changed(writer->setup.data);
}

/* --- failing and going on --- */

/* What was read goes to memory; or it is there already, and going back has failed. */
static void fail(struct writer *writer, int error)
{
    enum writer_state state = writer_state_of(error);
    bool is_news, was_ours;

    writer_store_take_back(&writer->card);
    writer_lock(writer);
    was_ours = writer->holder == WRITER_CARD;
    is_news = writer->status.state != state;
    writer->status.state = state;
    writer->card_error = error;
    (void) snprintf(writer->status.error, sizeof(writer->status.error), "journal: %s; rows go to memory",
                    writer_error_text(error));
    if (was_ours) {
        writer_hand_over(writer);
    }
    writer_unlock(writer);
    // SQLite opens a file to read that it could not open to write: the same trouble has two names
    writer->card.io_errors = error == -EIO || error == -EROFS ? writer->card.io_errors + 1 : 0;

    if (was_ours) {
        log_error("the journal in %s cannot be written: %s; rows go to memory, trying again every 5 s",
                  writer->card.directory, writer_error_text(error));
    } else if (is_news) {
        log_error("the journal in %s cannot be written yet: %s", writer->card.directory, writer_error_text(error));
    }
    if (writer->failing_since_us == 0) {
        writer->failing_since_us = clock_monotonic_us();
    }
    writer->next_try_us = clock_monotonic_us() + WRITER_RETRY_US;
    tell(writer);
}

static void succeed(struct writer *writer, uint64_t lost_before)
{
    uint64_t lost;

    writer_lock(writer);
    lost = writer->mark.lost_told;
    writer->status.state = WRITER_OK;
    writer->status.error[0] = '\0';
    writer->card_error = 0;
    writer_unlock(writer);

    if (writer->failing_since_us != 0 || lost > lost_before) {
        char text[TEXT_DURATION_SIZE];
        uint64_t since_us = writer->failing_since_us ? writer->failing_since_us : clock_monotonic_us();

        log_info("the journal is written again after %s; %" PRIu64 " rows and events came back from memory, "
                 "%" PRIu64 " were lost",
                 text_duration((clock_monotonic_us() - since_us) / 1000, text), writer->copied, lost - lost_before);
    }
    writer->failing_since_us = 0;
    writer->card.io_errors = 0;
    writer->copied = 0;
    tell(writer);
}

static void prune(struct writer *writer)
{
    const struct config_journal *settings = &writer->card.settings;
    int r;

    writer_busy(writer);
    if (clock_monotonic_us() < writer->next_prune_us) {
        return;
    }
    writer->next_prune_us = clock_monotonic_us() + PRUNE_EACH_US;
    r = journal_prune(writer->card.journal, settings->keep_days, settings->budget_bytes);
    if (r > 0) {
        log_info("the oldest %d journal segments were removed (keep = %u days)", r, settings->keep_days);
    } else if (r < 0) {
        log_warning("old journal segments cannot be removed: %s; trying again in an hour", strerror(-r));
    }
}

/* Returns 0, or what went wrong. */
static int store(struct writer *writer)
{
    uint64_t lost_before;
    int r;

    writer_lock(writer);
    lost_before = writer->mark.lost_told;
    writer_unlock(writer);
    r = writer_store_open(&writer->card);
    if (r == 0) {
        r = writer_store_run(&writer->card);
    }
    if (r == -ESTALE) {
        return r;  // it was slow, no more: memory has the rows
    }
    if (r < 0) {
        fail(writer, r);
        return r;
    }
    if (r > 0 || writer->failing_since_us != 0) {
        succeed(writer, lost_before);
        if (writer->setup.committed) {
            writer_busy(writer);
            writer->setup.committed(writer->setup.data);
        }
    }
    prune(writer);
    return 0;
}

/* Memory has the queue: go back, if it is time and the card is well again. */
static int try_return(struct writer *writer)
{
    int r;

    if (clock_monotonic_us() < writer->next_try_us) {
        return 0;
    }
    if (writer->failing_since_us == 0) {
        writer_lock(writer);
        writer->failing_since_us = writer->hung_us;
        writer_unlock(writer);
    }
    r = writer_return(writer);
    if (r == -ESTALE) {
        writer->next_try_us = clock_monotonic_us() + WRITER_RETRY_US;
        return r;
    }
    if (r < 0) {
        fail(writer, r);
        return r;
    }
    return store(writer);
}

/* --- opening --- */

/* What the counters stood at; NULL, where the journal cannot be read now. One without a row never saw any. */
static struct recall *learn_counters(struct writer *writer)
{
    auto_journal struct journal *journal = NULL;
    auto_recall struct recall *recall = NULL;
    int r;

    r = recall_new(&recall);
    if (r == 0 && journal_last_seq(writer->card.journal) > 0) {
        r = journal_open_read(writer->card.directory, &journal);
        if (r == 0) {
            r = recall_read(recall, journal, writer->setup.meters, clock_monotonic_us() + RECALL_US);
        }
    }
    if (r < 0) {
        log_warning("what the counters stood at cannot be read from the journal: %s; their first readings must agree",
                    writer_error_text(r));
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

    if (journal_open_read(writer->card.directory, &journal) < 0) {
        return;
    }

    clock_boot_id(boot_id);
    if (journal_known_epoch(journal, boot_id, &epoch) == 0) {
        status->known_earlier = epoch.source;
    }
    if (journal_head_seq(journal, &seq) == 0 && seq > 0
        && journal_read(journal, seq - 1, NULL, &writer->card.row, 1) == 1
        && journal_row_time(journal, &writer->card.row, &wall_ms, quality) == 0 && quality[0] != CLOCK_ESTIMATED
        && quality[0] != CLOCK_UNKNOWN) {
        status->last_known_ms = wall_ms;
    }
}

/* These will not pass by waiting: another program, or a wrong path. */
static bool is_final(int error)
{
    return error == -EBUSY || error == -ENOTDIR || error == -EACCES || error == -EPERM || error == -ENAMETOOLONG;
}

/* Where memory would go on, should the opening fail or hang: as far as can be told without the journal. */
static void guess(struct writer *writer)
{
    struct journal_position guess = {};

    if (journal_guess_position(writer->card.directory, &guess) < 0) {
        return;
    }
    writer_lock(writer);
    if (!*writer->position.id) {
        writer->position = guess;  // it has no tables
    }
    writer_unlock(writer);
}

/* The journal is open, and what another acquire left in memory is in it. */
static int open_whole(struct writer *writer)
{
    struct writer_store *card = &writer->card;
    int r;

    r = writer_store_open(card);
    writer_busy(writer);  // each step may take its time
    if (r == 0) {
        r = writer_return_first(writer);
    }
    if (r == 0) {
        r = journal_get_position(card->journal, &card->position);
    }
    if (r < 0) {
        return r;
    }

    writer_lock(writer);
    r = writer->holder == WRITER_CARD ? journal_position_copy(&card->position, &writer->position) : -ESTALE;
    writer_unlock(writer);
    return r;
}

static void learn_all(struct writer *writer)
{
    struct writer_status status = { .state = WRITER_OK, .known_earlier = CLOCK_UNKNOWN };
    struct recall *recall;

    (void) snprintf(status.journal_id, sizeof(status.journal_id), "%s", journal_id(writer->card.journal));
    status.last_seq = journal_last_seq(writer->card.journal);
    writer_busy(writer);
    learn(writer, &status);
    recall = learn_counters(writer);
    writer_lock(writer);
    if (writer->holder != WRITER_CARD) {
        status.state = writer->status.state;  // it was too slow
        memcpy(status.error, writer->status.error, sizeof(status.error));
    }
    writer->status = status;
    writer->recall = recall;
    writer_unlock(writer);
}

static int open_first(struct writer *writer)
{
    int r, result;

    guess(writer);
    r = open_whole(writer);
    result = !writer->card.journal && is_final(r) ? r : 0;
    if (r == 0 || r == -ESTALE) {
        learn_all(writer);  // late or not
    } else if (result == 0) {
        fail(writer, r);
    }

    writer_lock(writer);
    writer->is_opened = true;
    writer->open_result = result;
    (void) pthread_cond_broadcast(&writer->change);
    writer_unlock(writer);
    return result;
}

/* --- the thread --- */

static void wait_for_work(struct writer *writer)
{
    bool in_time = true;

    if (writer_holder(writer) == WRITER_CARD) {
        writer_wait_for_work(&writer->card);
        return;
    }
    writer_lock(writer);
    while (!writer_stops(writer) && in_time) {
        in_time = thread_wait(&writer->change, &writer->mutex, writer->next_try_us);
    }
    writer_unlock(writer);
}

void writer_card_run(void *data)
{
    struct writer *writer = data;
    bool stop = false;

    atomic_store(&writer->busy_us, writer->setup.card_hangs ? 1 : clock_monotonic_us());
    writer->result = open_first(writer);
    stop = writer->result < 0;
    while (!stop) {
        writer_idle(writer);
        wait_for_work(writer);
        stop = writer_stops(writer);  // before the queue is emptied: what comes later is not ours
        writer_busy(writer);
        writer_take_settings(&writer->card);
        if (writer_holder(writer) == WRITER_CARD) {
            writer->result = store(writer);
        } else if (!stop) {
            writer->result = try_return(writer);
        }
    }
    journal_close(TAKE(writer->card.journal));
    writer_idle(writer);

    writer_lock(writer);
    writer->card_ended = true;
    (void) pthread_cond_broadcast(&writer->change);
    writer_unlock(writer);
}
