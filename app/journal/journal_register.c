/* SPDX-License-Identifier: MIT */

/*
 * Epochs and meters: what rows refer to. Their numbers are in the caller's hands at once, so a transaction that is
 * taken back must not make them wrong: what it held is remembered and added again with the next one.
 */

#include "app/journal/journal_private.h"

#include "app/journal/journal_aside.h"
#include "app/journal/stored.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* The first epoch of a boot begins a segment; the epoch is in it from its first moment. */
static int begin_boot(struct journal *journal, const struct epoch *epoch)
{
    struct writer *writer = &journal->writer;
    struct segments *segments = &journal->reader.segments;
    int r;

    if (writer->database && database_in_transaction(writer->database)) {
        r = journal_commit(journal, writer->start_ms);
        if (r < 0) {
            return r;
        }
    }

    r = segments_read(segments, journal->directory);
    if (r < 0) {
        return r;
    }

    r = journal_segment_begin(journal, journal_aside_next(journal, epoch->boot_id), epoch);
    if (r < 0) {
        return r;
    }

    writer->aside = false;
    journal_aside_remember_boot(journal, epoch->boot_id);

    writer->unsealed = true;
    writer->ready = true;
    journal_segment_tidy(journal);
    return 0;
}

/* Room for one more at the end of an array. */
static int grow(void **array, unsigned count, size_t size)
{
    void *grown = reallocarray(*array, count + 1, size);

    if (!grown) {
        return -ENOMEM;
    }

    *array = grown;
    return 0;
}

int journal_register_epoch(struct journal *journal, const struct epoch *epoch)
{
    struct writer *writer = &journal->writer;
    int r;

    r = grow((void **) &writer->epochs, writer->epoch_count, sizeof(*epoch));
    if (r < 0) {
        return r;
    }

    r = journal_begin(journal);
    if (r < 0) {
        return r;
    }

    r = journal_segment_add_epoch(writer->database, epoch);
    if (r < 0) {
        return r;
    }

    writer->epochs[writer->epoch_count++] = *epoch;
    if (writer->known.number == 0 && clock_quality_known(epoch->source)) {
        writer->known = *epoch;
        writer->known_in = writer->first;
    }
    return 0;
}

int journal_add_epoch(struct journal *journal, struct epoch *epoch)
{
    struct writer *writer = &journal->writer;
    struct epoch added = *epoch;
    int r;

    assert(writer->on);
    added.number = writer->next_epoch;
    if (!writer->database || writer->aside || !text_equal(writer->boot_id, added.boot_id)) {
        r = begin_boot(journal, &added);
        if (r < 0) {
            return r;
        }
    } else {
        writer->ready = true;
        r = journal_register_epoch(journal, &added);
        if (r < 0) {
            return journal_finish(journal, r);
        }
    }

    writer->next_epoch = added.number + 1;
    epoch->number = added.number;
    return 0;
}

static int find_meter(struct journal *journal, const char *name, const char *model, const char *layout,
                      int64_t *ret_id)
{
    auto_statement struct statement *statement = NULL;
    int r;

    r = statement_new(journal->writer.database, "SELECT id FROM meter WHERE name=? AND model=? AND layout=?",
                      &statement);
    if (r < 0) {
        return r;
    }

    statement_set_text(statement, 1, name, strlen(name));
    statement_set_text(statement, 2, model, strlen(model));
    statement_set_text(statement, 3, layout, strlen(layout));
    r = statement_step(statement);
    if (r <= 0) {
        return r < 0 ? r : -ENOENT;
    }

    *ret_id = statement_number(statement, 0);
    return 0;
}

int journal_register_insert(struct journal *journal, const struct stored_meter *meter)
{
    auto_statement struct statement *statement = NULL;
    int r;

    r = statement_new(journal->writer.database, "INSERT OR IGNORE INTO meter VALUES(?,?,?,?)", &statement);
    if (r < 0) {
        return r;
    }

    statement_set_number(statement, 1, meter->id);
    statement_set_text(statement, 2, meter->name, strlen(meter->name));
    statement_set_text(statement, 3, meter->model, strlen(meter->model));
    statement_set_text(statement, 4, meter->layout, strlen(meter->layout));
    return statement_run(statement);
}

static int add_meter(struct journal *journal, const char *name, const char *model, const char *layout,
                     int64_t wanted_id, int64_t *ret_id)
{
    struct writer *writer = &journal->writer;
    struct stored_meter meter = { .id = MAX(writer->next_meter, wanted_id) };
    int r;

    r = text_copy(meter.name, sizeof(meter.name), name);
    if (r >= 0) {
        r = text_copy(meter.model, sizeof(meter.model), model);
    }
    if (r >= 0) {
        r = grow((void **) &writer->meters, writer->meter_count, sizeof(meter));
    }
    if (r < 0) {
        return r;
    }

    meter.layout = strdup(layout);
    if (!meter.layout) {
        return -ENOMEM;
    }

    r = journal_register_insert(journal, &meter);
    if (r < 0) {
        free(meter.layout);
        return r;
    }

    writer->meters[writer->meter_count++] = meter;
    writer->next_meter = meter.id + 1;
    *ret_id = meter.id;
    return 0;
}

/* From now on it has a view in each new segment, and now in this one. Of two with one name the later is the newer. */
static int activate(struct journal *journal, int64_t id)
{
    struct writer *writer = &journal->writer;
    unsigned kept = 0;
    int r;

    r = grow((void **) &writer->active, writer->active_count, sizeof(id));
    if (r < 0) {
        return r;
    }

    for (unsigned i = 0; i < writer->active_count; i++) {
        if (writer->active[i] != id) {
            writer->active[kept++] = writer->active[i];
        }
    }
    writer->active[kept] = id;
    writer->active_count = kept + 1;
    return journal_segment_add_view(writer->database, id);
}

int journal_register_meter(struct journal *journal, const char *name, const char *model, const char *layout,
                           int64_t wanted_id, int64_t *ret_id)
{
    int64_t id = 0;
    int r;

    r = journal_begin(journal);
    if (r >= 0) {
        r = find_meter(journal, name, model, layout, &id);
    }
    if (r == -ENOENT) {
        r = add_meter(journal, name, model, layout, wanted_id, &id);
    }
    if (r >= 0) {
        r = activate(journal, id);
    }
    if (r < 0) {
        return journal_finish(journal, r);
    }

    *ret_id = id;
    return 0;
}

int journal_add_meter(struct journal *journal, const char *name, const char *model, const struct layout *layout,
                      int64_t *ret_id)
{
    auto_text struct text text = {};

    stored_add_layout(&text, layout);
    if (text.failed) {
        return -ENOMEM;
    }

    return journal_register_meter(journal, name, model, text_string(&text), 0, ret_id);
}

int journal_register_again(struct journal *journal)
{
    struct writer *writer = &journal->writer;
    int r = 0;

    for (unsigned i = 0; r >= 0 && i < writer->epoch_count; i++) {
        r = journal_segment_add_epoch(writer->database, &writer->epochs[i]);
    }
    for (unsigned i = 0; r >= 0 && i < writer->meter_count; i++) {
        r = journal_register_insert(journal, &writer->meters[i]);
    }
    for (unsigned i = 0; r >= 0 && i < writer->active_count; i++) {
        r = journal_segment_add_view(writer->database, writer->active[i]);
    }
    if (r >= 0) {
        writer->taken_back = false;
    }

    return r;
}

void journal_register_forget(struct journal *journal)
{
    struct writer *writer = &journal->writer;

    for (unsigned i = 0; i < writer->meter_count; i++) {
        free(writer->meters[i].layout);
    }
    free(TAKE(writer->meters));
    free(TAKE(writer->epochs));
    writer->meter_count = writer->epoch_count = 0;
}
