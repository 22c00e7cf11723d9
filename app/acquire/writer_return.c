/* SPDX-License-Identifier: MIT */

/* What memory has comes back to the card: by the card's thread, while memory goes on until little is left. */

#include "app/acquire/writer_private.h"

#include "app/base/clock.h"
#include "app/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COPY_ROWS UINT32_C(2000)      // in one transaction
#define YIELD_US  UINT64_C(10000000)  // memory answers at once, unless its directory is not in memory

/* Copy until little is left, or nothing. */
static int copy(struct writer *writer, bool all)
{
    int r;

    do {
        writer_busy(writer);
        r = journal_copy(writer->card.journal, writer->memory.directory, COPY_ROWS);
        writer->copied += (uint64_t) MAX(r, 0);
    } while (r > 0 && (all || r == (int) COPY_ROWS) && (all || !writer_stops(writer)));
    return MIN(r, 0);
}

/* A journal of memory's own is kept beside the card's, as it is. */
static int keep_apart(struct writer *writer, const char *id)
{
    char to[PATH_SIZE];
    int r, count = 0;

    if (snprintf(to, sizeof(to), "%s-%s", writer->card.directory, id) >= (int) sizeof(to)) {
        return -ENAMETOOLONG;
    }
    do {
        writer_busy(writer);
        r = journal_move_oldest(writer->memory.directory, to);
        count += MAX(r, 0);
    } while (r > 0);
    if (r == 0 && count > 0) {
        log_warning("rows that were written while the card could not be read are kept in %s", to);
    }
    return r;
}

/* Whose rows memory has. Returns 1 if there are any; *ret_same: they are of the card's journal. */
static int look_at_memory(struct writer *writer, char id[static JOURNAL_ID_SIZE], bool *ret_same)
{
    int r;

    *ret_same = true;
    r = journal_directory_id(writer->memory.directory, id);
    if (r == -ENOENT || r == -ENOTDIR || r == -EACCES || r == -EPERM) {
        return 0;  // what cannot be looked at must not keep a good card from being used
    }
    if (r < 0) {
        return r;
    }
    *ret_same = text_equal(id, journal_id(writer->card.journal));
    return 1;
}

/* While nobody writes to memory: all of it. */
static int bring_back(struct writer *writer)
{
    char id[JOURNAL_ID_SIZE];
    bool same;
    int r;

    r = look_at_memory(writer, id, &same);
    if (r <= 0) {
        return r;
    }
    r = same ? copy(writer, true) : 0;
    if (r == -EBADMSG || r == -EEXIST) {
        log_warning("what is in %s cannot be brought back: %s", writer->memory.directory, writer_error_text(r));
        same = false;
    }
    return same ? r : keep_apart(writer, id);
}

/* Whether the last commit, which failed or hung, is on the card all the same. */
static bool came_through(struct writer *writer)
{
    struct writer_attempt attempt;

    writer_lock(writer);
    attempt = writer->attempt;
    writer_unlock(writer);
    return attempt.made && journal_holds(writer->card.journal, attempt.last_seq, attempt.last_event);
}

/* What the card has is done with. The mutex is held, the queue is the card's. */
static int release_attempt(struct writer *writer)
{
    int r;

    r = queue_release_until(writer->setup.queue, writer->card.token, writer->attempt.position);
    if (r == 0) {
        writer->mark = writer->attempt.mark;
        writer->attempt.made = false;
    }
    return r;
}

/* All of memory is on the card, which goes on: at once for all who look. */
static int forget_memory(struct writer *writer, enum writer_holder holder)
{
    struct writer_store *card = &writer->card;
    bool has_attempt;
    int r;

    has_attempt = came_through(writer);
    r = journal_get_position(card->journal, &card->position);
    if (r < 0) {
        return r;
    }
    writer_lock(writer);
    r = writer->holder == holder ? journal_position_copy(&card->position, &writer->position) : -ESTALE;
    if (r == 0) {
        journal_remove_all(writer->memory.directory);
        writer->status.last_seq = journal_last_seq(card->journal);
        (void) snprintf(writer->status.journal_id, sizeof(writer->status.journal_id), "%s", journal_id(card->journal));
        if (holder == WRITER_NOBODY) {
            writer->holder = WRITER_CARD;
            card->token = queue_take(writer->setup.queue);
            card->epoch_added = false;
        }
        r = has_attempt && writer->attempt.made ? release_attempt(writer) : 0;
    }
    writer_unlock(writer);
    if (r == 0 && has_attempt) {
        log_info("the commit that failed had come through: its rows are on the card");
    }
    return r;
}

int writer_return_first(struct writer *writer)
{
    int r;

    r = bring_back(writer);
    if (r < 0) {
        return r;
    }
    if (writer->copied > 0) {
        log_info("%" PRIu64 " rows and events that were in memory are on the card now", writer->copied);
        writer->copied = 0;
    }
    return forget_memory(writer, WRITER_CARD);
}

/* Memory commits what it has read and gives up the queue. Errors: -ESTALE it does not, or the program ends */
static int stop_memory(struct writer *writer)
{
    const uint64_t until_us = clock_monotonic_us() + YIELD_US;
    bool in_time = true;
    int r;

    writer_idle(writer);  // it is not the card that is waited for
    writer_lock(writer);
    writer->yield_wanted = true;
    writer_unlock(writer);
    queue_wake(writer->setup.queue);

    writer_lock(writer);
    while (writer->holder == WRITER_MEMORY && !writer_stops(writer) && in_time) {
        in_time = thread_wait(&writer->change, &writer->mutex, until_us);
    }
    writer->yield_wanted = false;
    r = writer->holder == WRITER_NOBODY ? 0 : -ESTALE;
    writer_unlock(writer);
    writer_busy(writer);
    return r;
}

/* It did not work: memory goes on. */
static void resume_memory(struct writer *writer)
{
    writer_lock(writer);
    if (writer->holder == WRITER_NOBODY) {
        writer_hand_over(writer);
    }
    writer_unlock(writer);
}

int writer_return(struct writer *writer)
{
    char id[JOURNAL_ID_SIZE];
    bool same = false;
    int r;

    writer_busy(writer);
    r = writer_store_open(&writer->card);
    if (r == 0) {
        r = look_at_memory(writer, id, &same);
    }
    if (r > 0 && same) {
        r = copy(writer, false);
    }
    if (r < 0) {
        return r;
    }

    r = stop_memory(writer);
    if (r == 0) {
        r = bring_back(writer);
    }
    if (r == 0) {
        r = forget_memory(writer, WRITER_NOBODY);
    }
    if (r < 0) {
        resume_memory(writer);
    }
    return r;
}
