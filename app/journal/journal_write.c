/* SPDX-License-Identifier: MIT */

/* Appending and committing. */

#include "app/journal/journal_private.h"

#include "app/journal/stored.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define SEGMENT_MS_MAX    (24 * 3600 * (uint64_t) 1000)
#define SEGMENT_BYTES_MAX (64 * (int64_t) 1024 * 1024)

uint64_t journal_last_seq(const struct journal *journal)
{
    return journal->writer.committed_seq;
}

void journal_rollback(struct journal *journal)
{
    struct writer *writer = &journal->writer;

    if (!writer->database) {
        return;
    }

    if (database_in_transaction(writer->database) && database_run(writer->database, "ROLLBACK") < 0) {
        assert(!database_in_transaction(writer->database));  // it always ends, on a dead card too
    }
    writer->next_seq = MAX(writer->first, writer->committed_seq + 1);
    writer->next_event = writer->committed_event;
    writer->taken_back = writer->epoch_count > 0 || writer->meter_count > 0;
}

int journal_begin(struct journal *journal)
{
    struct writer *writer = &journal->writer;
    int r;

    assert(writer->on);
    if (!writer->ready) {
        return -EINVAL;
    }
    if (writer->stranded) {
        return -EIO;
    }
    if (database_in_transaction(writer->database)) {
        return 0;
    }

    r = statement_run(writer->begin);
    if (r < 0 || !writer->taken_back) {
        return r;
    }

    return journal_register_again(journal);
}

int journal_finish(struct journal *journal, int r)
{
    if (r < 0 && r != -EINVAL) {
        journal_rollback(journal);
    }

    return r;
}

static void mark_start(struct writer *writer, uint64_t boot_ms)
{
    if (!writer->started) {
        writer->started = true;
        writer->start_ms = boot_ms;
    }
}

int journal_append(struct journal *journal, const struct stored_row *row)
{
    struct writer *writer = &journal->writer;
    struct statement *sample = writer->sample;
    int r;

    statement_set_number(sample, 1, (int64_t) row->seq);
    statement_set_number(sample, 2, row->epoch);
    statement_set_number(sample, 3, (int64_t) row->boot_ms);
    statement_set_number(sample, 4, row->meter);
    statement_set_text(sample, 5, row->quality, strlen(row->quality));
    statement_set_text(sample, 6, row->values, row->values_size);
    if (writer->has_words) {
        statement_set_text(sample, 7, row->words, row->words_size);
    }
    r = statement_run(sample);
    if (r < 0) {
        return r;
    }

    mark_start(writer, row->boot_ms);
    writer->next_seq = row->seq + 1;
    return 0;
}

int journal_add_sample(struct journal *journal, const struct journal_row *row, const uint16_t *words,
                       unsigned word_count, uint64_t *ret_seq)
{
    struct writer *writer = &journal->writer;
    struct stored_row stored = { .epoch = row->epoch, .boot_ms = row->boot_ms, .meter = row->meter,
                                 .quality = row->quality };
    int r;

    text_reset(&writer->values);
    text_reset(&writer->words);
    stored_add_values(&writer->values, row->values, row->value_count);
    if (writer->has_words && words) {
        stored_add_words(&writer->words, words, word_count);
    }
    if (writer->values.failed || writer->words.failed) {
        return journal_finish(journal, -ENOMEM);
    }

    r = journal_begin(journal);
    if (r < 0) {
        return journal_finish(journal, r);
    }

    stored.seq = writer->next_seq;
    stored.values = writer->values.data;
    stored.values_size = writer->values.size;
    stored.words = words ? text_string(&writer->words) : NULL;
    stored.words_size = writer->words.size;
    r = journal_append(journal, &stored);
    if (r < 0) {
        return journal_finish(journal, r);
    }

    *ret_seq = stored.seq;
    return 0;
}

int journal_add_event(struct journal *journal, int64_t epoch, uint64_t boot_ms, const char *code, const char *text)
{
    struct writer *writer = &journal->writer;
    int r;

    r = journal_begin(journal);
    if (r < 0) {
        return journal_finish(journal, r);
    }

    statement_set_number(writer->event, 1, writer->next_event);
    statement_set_number(writer->event, 2, epoch);
    statement_set_number(writer->event, 3, (int64_t) boot_ms);
    statement_set_text(writer->event, 4, code, strlen(code));
    statement_set_text(writer->event, 5, text, strlen(text));
    r = statement_run(writer->event);
    if (r < 0) {
        return journal_finish(journal, r);
    }

    mark_start(writer, boot_ms);
    writer->next_event++;
    return 0;
}

/* The newest epoch of the newest segment, with which the next one begins. */
static int last_epoch(struct database *database, struct epoch *ret)
{
    auto_statement struct statement *statement = NULL;
    int r;

    r = statement_new(database, "SELECT n,boot_id,wall_ms,source,error_ms FROM epoch ORDER BY n DESC LIMIT 1",
                      &statement);
    if (r < 0) {
        return r;
    }

    r = statement_step(statement);
    if (r <= 0) {
        return r < 0 ? r : -EBADMSG;
    }

    ret->number = statement_number(statement, 0);
    ret->wall_ms = statement_number(statement, 2);
    ret->source = (enum clock_quality) statement_text(statement, 3)[0];
    ret->error_ms = statement_number(statement, 4);
    return text_copy(ret->boot_id, sizeof(ret->boot_id), statement_text(statement, 1));
}

static int roll(struct journal *journal)
{
    struct writer *writer = &journal->writer;
    struct epoch epoch;
    int r;

    r = last_epoch(writer->database, &epoch);
    if (r < 0) {
        return r;
    }

    epoch.number = 0;  // it is copied with the others
    r = journal_segment_begin(journal, writer->next_seq, &epoch);
    if (r < 0) {
        return r;
    }

    writer->unsealed = true;
    return 0;
}

/* A segment without a row goes on: the next one would have its name. */
static bool is_full(struct journal *journal, uint64_t boot_ms)
{
    struct writer *writer = &journal->writer;
    char path[PATH_SIZE];
    struct stat status;

    if (writer->next_seq == writer->first || !writer->started) {
        return false;
    }
    if (boot_ms >= writer->start_ms + SEGMENT_MS_MAX) {
        return true;
    }

    return journal_path(journal, writer->first, ".db", path) == 0 && stat(path, &status) == 0 &&
           status.st_size >= (writer->segment_bytes ? writer->segment_bytes : SEGMENT_BYTES_MAX);
}

int journal_commit(struct journal *journal, uint64_t boot_ms)
{
    struct writer *writer = &journal->writer;
    int r;

    if (!writer->database || !database_in_transaction(writer->database)) {
        return 0;
    }

    r = statement_run(writer->commit);
    if (r < 0) {
        return journal_finish(journal, r);
    }

    if (writer->next_seq > writer->first) {
        writer->committed_seq = writer->next_seq - 1;
    }
    writer->committed_event = writer->next_event;
    journal_register_forget(journal);

    // What follows is housekeeping: the rows are safe, so its failures are for the next commit.
    if (is_full(journal, boot_ms)) {
        (void) roll(journal);
    }
    journal_segment_tidy(journal);
    return 0;
}
