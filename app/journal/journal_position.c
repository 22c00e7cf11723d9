/* SPDX-License-Identifier: MIT */

/* Going on at another place: what has to be known there, and how a segment begins with it. */

#include "app/journal/journal_copy.h"

#include "app/base/file.h"
#include "app/journal/journal_aside.h"
#include "app/journal/journal_private.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define SEGMENT_BYTES (4 * 1024 * 1024)  // small: the oldest of them goes when memory is full

void journal_position_clear(struct journal_position *position)
{
    for (unsigned i = 0; i < position->meter_count; i++) {
        free(position->meters[i].layout);
    }
    free(position->meters);
    free(position->epochs);
    *position = (struct journal_position){};
}

/* The caller's memory has room for one more of the arrays. */
static int add_meter(struct journal_position *position, const struct stored_meter *meter, const char *layout)
{
    struct stored_meter *its = &position->meters[position->meter_count];

    *its = *meter;
    its->layout = strdup(layout);
    if (!its->layout) {
        return -ENOMEM;
    }
    position->meter_count++;
    return 0;
}

int journal_position_copy(const struct journal_position *position, struct journal_position *ret)
{
    CLEANUP(journal_position_clear) struct journal_position copy = *position;

    ret->next_seq = position->next_seq;
    ret->highest = position->highest;
    ret->next_event = position->next_event;
    copy.meter_count = 0;
    copy.epochs = calloc(MAX(position->epoch_count, 1u), sizeof(*copy.epochs));
    copy.meters = calloc(MAX(position->meter_count, 1u), sizeof(*copy.meters));
    if (!copy.epochs || !copy.meters) {
        return -ENOMEM;
    }
    if (position->epoch_count > 0) {
        memcpy(copy.epochs, position->epochs, position->epoch_count * sizeof(*copy.epochs));
    }
    for (unsigned i = 0; i < position->meter_count; i++) {
        if (add_meter(&copy, &position->meters[i], position->meters[i].layout) < 0) {
            return -ENOMEM;
        }
    }

    journal_position_clear(ret);
    *ret = copy;
    copy = (struct journal_position){};
    return 0;
}

static int read_epochs(struct database *database, struct journal_position *ret)
{
    auto_statement struct statement *statement = NULL;
    int r;

    r = statement_new(database, "SELECT n,boot_id,wall_ms,source,error_ms FROM epoch WHERE boot_id=? ORDER BY n",
                      &statement);
    if (r < 0) {
        return r;
    }

    statement_set_text(statement, 1, ret->boot_id, strlen(ret->boot_id));
    while ((r = statement_step(statement)) > 0) {
        struct epoch *grown = reallocarray(ret->epochs, ret->epoch_count + 1, sizeof(*grown));

        if (!grown) {
            return -ENOMEM;
        }
        ret->epochs = grown;
        grown[ret->epoch_count] = (struct epoch){ .number = statement_number(statement, 0),
                                                  .wall_ms = statement_number(statement, 2),
                                                  .source = (enum clock_quality) statement_text(statement, 3)[0],
                                                  .error_ms = statement_number(statement, 4) };
        memcpy(grown[ret->epoch_count++].boot_id, ret->boot_id, sizeof(ret->boot_id));
    }
    return r;
}

static int read_meters(struct database *database, struct journal_position *ret)
{
    auto_statement struct statement *statement = NULL;
    int r;

    r = statement_new(database, "SELECT id,name,model,layout FROM meter ORDER BY id", &statement);
    if (r < 0) {
        return r;
    }

    while ((r = statement_step(statement)) > 0) {
        struct stored_meter *grown = reallocarray(ret->meters, ret->meter_count + 1, sizeof(*grown));
        struct stored_meter meter = { .id = statement_number(statement, 0) };

        if (!grown) {
            return -ENOMEM;
        }
        ret->meters = grown;
        if (text_copy(meter.name, sizeof(meter.name), statement_text(statement, 1)) < 0
            || text_copy(meter.model, sizeof(meter.model), statement_text(statement, 2)) < 0) {
            return -EBADMSG;
        }
        if (add_meter(ret, &meter, statement_text(statement, 3)) < 0) {
            return -ENOMEM;
        }
    }
    return r;
}

/* What stands in the tables; all that is on the card is in the newest segment. */
static int read_tables(const struct writer *writer, struct journal_position *position)
{
    CLEANUP(journal_position_clear) struct journal_position tables = {};
    struct journal_position before = *position;
    int r;

    memcpy(tables.boot_id, writer->boot_id, sizeof(tables.boot_id));
    r = read_epochs(writer->database, &tables);
    if (r >= 0) {
        r = read_meters(writer->database, &tables);
    }
    if (r < 0) {
        return r;
    }

    *position = tables;
    memcpy(position->id, before.id, sizeof(before.id));
    position->next_seq = before.next_seq;
    position->highest = before.highest;
    position->next_event = before.next_event;
    position->next_epoch = writer->next_epoch;
    position->next_meter = writer->next_meter;
    tables = (struct journal_position){ .epochs = before.epochs, .epoch_count = before.epoch_count,
                                        .meters = before.meters, .meter_count = before.meter_count };
    return 0;
}

int journal_get_position(struct journal *journal, struct journal_position *position)
{
    const struct writer *writer = &journal->writer;
    const bool is_other = !text_equal(position->id, journal->id);

    memcpy(position->id, journal->id, sizeof(position->id));
    position->next_seq = writer->next_seq;
    position->highest = MAX(writer->next_seq - 1, writer->database ? writer->first : 0);
    position->next_event = writer->next_event;
    if (!writer->database) {
        position->next_epoch = writer->next_epoch;
        position->next_meter = writer->next_meter;
        return 0;
    }
    if (!is_other && position->next_epoch == writer->next_epoch && position->next_meter == writer->next_meter
        && text_equal(position->boot_id, writer->boot_id)) {
        return 0;
    }
    return read_tables(writer, position);
}

/* Nothing is known but that nothing may be given twice: all numbers begin where the seqs of a new boot do. */
static void begin_above(struct journal_position *ret, uint64_t highest)
{
    const uint64_t first = segment_next_boot(MAX(highest, (uint64_t) 1));

    ret->highest = first - 1;
    ret->next_seq = first;
    ret->next_event = ret->next_epoch = ret->next_meter = (int64_t) first;
}

int journal_directory_id(const char *directory, char ret[static JOURNAL_ID_SIZE])
{
    auto_journal struct journal *journal = NULL;
    int r;

    r = journal_open_read(directory, &journal);
    if (r < 0) {
        return r;
    }
    memcpy(ret, journal->id, JOURNAL_ID_SIZE);
    return 0;
}

int journal_guess_position(const char *directory, struct journal_position *ret)
{
    struct journal_position guess = {};
    auto_segments struct segments segments = {};
    int r;

    r = segments_read(&segments, directory);
    if (r >= 0) {
        r = journal_read_id(directory, guess.id);
    }
    if (r < 0) {
        return r;
    }

    begin_above(&guess, segments.highest);
    journal_position_clear(ret);
    *ret = guess;
    return 0;
}

int journal_new_position(struct journal_position *ret)
{
    struct journal_position own = {};
    int r;

    r = journal_make_id(own.id);
    if (r < 0) {
        return r;
    }
    begin_above(&own, 0);
    journal_position_clear(ret);
    *ret = own;
    return 0;
}

int journal_open_at(const char *directory, bool keep_words, const struct journal_position *position,
                    struct journal **ret)
{
    auto_segments struct segments segments = {};
    auto_journal struct journal *journal = NULL;
    struct writer *writer;
    int r;

    r = file_make_directories(directory, 0750);
    if (r >= 0) {
        r = segments_read(&segments, directory);
    }
    if (r >= 0 && segments.count == 0) {
        r = journal_write_id(directory, position->id);  // one that was left alone says nothing
    }
    if (r >= 0) {
        r = journal_open(directory, keep_words, &journal);
    }
    if (r < 0) {
        return r;
    }

    writer = &journal->writer;
    writer->segment_bytes = SEGMENT_BYTES;
    if (text_equal(journal->id, position->id)) {
        writer->position = position;
        if (!writer->database) {
            writer->next_seq = position->next_seq;
        }
        writer->committed_seq = MAX(writer->committed_seq, position->next_seq - 1);
        writer->next_event = MAX(writer->next_event, position->next_event);
        writer->committed_event = writer->next_event;
        writer->next_epoch = MAX(writer->next_epoch, position->next_epoch);
        writer->next_meter = MAX(writer->next_meter, position->next_meter);
    }
    *ret = TAKE(journal);
    return 0;
}

bool journal_has_epoch(struct journal *journal, const struct epoch *epoch)
{
    auto_statement struct statement *statement = NULL;

    if (!journal->writer.database || journal->writer.aside || !text_equal(journal->writer.boot_id, epoch->boot_id)
        || statement_new(journal->writer.database, "SELECT 1 FROM epoch WHERE n=? AND boot_id=? AND wall_ms=?",
                         &statement) < 0) {
        return false;
    }
    statement_set_number(statement, 1, epoch->number);
    statement_set_text(statement, 2, epoch->boot_id, strlen(epoch->boot_id));
    statement_set_number(statement, 3, epoch->wall_ms);
    return statement_step(statement) > 0;
}

/* What the tables of the place before had. Once more does no harm. */
static int add_tables(struct journal *journal, const struct journal_position *position)
{
    const bool same_boot = text_equal(journal->writer.boot_id, position->boot_id);
    int r;

    r = journal_begin(journal);
    for (unsigned i = 0; r >= 0 && same_boot && i < position->epoch_count; i++) {
        r = journal_segment_add_epoch(journal->writer.database, &position->epochs[i]);
    }
    for (unsigned i = 0; r >= 0 && i < position->meter_count; i++) {
        r = journal_register_insert(journal, &position->meters[i]);
    }
    return journal_finish(journal, r < 0 ? r : journal_commit(journal, 0));
}

/* The first segment at this place, or one that goes on where another place has been. */
static int begin_segment(struct journal *journal, struct epoch *epoch)
{
    struct writer *writer = &journal->writer;
    const struct journal_position *position = writer->position;
    const bool same_boot = text_equal(position->boot_id, epoch->boot_id);
    struct epoch added = *epoch;
    int r;

    if (added.number == 0 || !same_boot) {
        added.number = writer->next_epoch;
    }
    r = journal_segment_begin(journal, same_boot ? position->next_seq : segment_next_boot(position->highest), &added);
    if (r < 0) {
        return r;
    }
    writer->unsealed = true;
    writer->next_epoch = MAX(writer->next_epoch, added.number + 1);
    journal_aside_remember_boot(journal, added.boot_id);
    *epoch = added;
    return 0;
}

/* The first epoch after opening at a position. Returns 1 if it is taken up by that. */
static int resume_at(struct journal *journal, const struct journal_position *position, struct epoch *epoch)
{
    struct writer *writer = &journal->writer;
    int taken = 0;
    int r;

    if (!writer->aside && (!writer->database || writer->next_seq < position->next_seq)) {
        r = begin_segment(journal, epoch);
        if (r < 0) {
            return r;
        }
        taken = 1;
    }
    if (writer->aside || !text_equal(writer->boot_id, epoch->boot_id)) {
        return 0;  // damaged, or left here by another boot: journal_add_epoch() begins anew
    }
    writer->ready = true;
    r = add_tables(journal, position);
    return r < 0 ? r : taken;
}

int journal_resume(struct journal *journal, struct epoch *epoch)
{
    struct writer *writer = &journal->writer;
    int r = 0;

    if (writer->position) {
        r = resume_at(journal, writer->position, epoch);
        if (r < 0) {
            return r;
        }
        writer->position = NULL;
    }
    if (r > 0 || (epoch->number != 0 && journal_has_epoch(journal, epoch))) {
        writer->ready = true;
        return 0;
    }

    epoch->number = 0;
    return journal_add_epoch(journal, epoch);
}

uint64_t journal_next_seq(const struct journal *journal)
{
    return journal->writer.next_seq;
}

int64_t journal_next_event(const struct journal *journal)
{
    return journal->writer.next_event;
}

void journal_skip(struct journal *journal, uint64_t next_seq, int64_t next_event)
{
    struct writer *writer = &journal->writer;

    writer->next_seq = MAX(writer->next_seq, next_seq);
    writer->next_event = MAX(writer->next_event, next_event);
}

bool journal_holds(struct journal *journal, uint64_t seq, int64_t event)
{
    auto_statement struct statement *statement = NULL;

    if (!journal->writer.database
        || statement_new(journal->writer.database,
                         seq > 0 ? "SELECT 1 FROM sample WHERE seq=?" : "SELECT 1 FROM event WHERE id=?",
                         &statement) < 0) {
        return false;
    }
    statement_set_number(statement, 1, seq > 0 ? (int64_t) seq : event);
    return statement_step(statement) > 0;
}
