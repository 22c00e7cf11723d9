/* SPDX-License-Identifier: MIT */

/* Reading from the end: what was last. */

#include "app/journal/journal_private.h"

#include <errno.h>

/* Rows of the open segment. */
static int read_rows_back(struct reader *reader, uint64_t before_seq, struct journal_row *ret, unsigned count)
{
    auto_statement struct statement *statement = NULL;
    unsigned n = 0;
    int r;

    r = statement_new(reader->database,
                      "SELECT seq,epoch,boot_ms,meter,quality,vals FROM sample WHERE seq<?1 ORDER BY seq DESC LIMIT ?2",
                      &statement);
    if (r < 0) {
        return r;
    }

    statement_set_number(statement, 1, (int64_t) MIN(before_seq, (uint64_t) INT64_MAX));
    statement_set_number(statement, 2, count);
    while (n < count && (r = statement_step(statement)) != 0) {
        if (r > 0) {
            r = journal_row_from(statement, &ret[n++]);
        }
        if (r < 0) {
            return r;
        }
    }
    return (int) n;
}

int journal_read_back(struct journal *journal, uint64_t before_seq, struct journal_row *ret, unsigned count)
{
    const struct segments *segments = &journal->reader.segments;
    unsigned n = 0;
    int r;

    r = journal_reader_begin(journal);
    if (r < 0) {
        return r;
    }

    for (size_t i = segments->count; i > 0 && n < count; i--) {
        if (segments->first[i - 1] >= before_seq) {
            continue;
        }
        r = journal_reader_open(journal, i - 1);
        if (r >= 0) {
            r = read_rows_back(&journal->reader, before_seq, ret + n, count - n);
        }
        if (r < 0) {
            return journal_reader_done(journal, r);
        }
        n += (unsigned) r;
    }

    return journal_reader_done(journal, (int) n);
}

/* The newest segment knows all meters there ever were. */
int journal_each_stored_meter(struct database *database, void (*each)(void *data, const struct journal_meter *meter),
                              void *data)
{
    auto_free struct journal_meter *meter = malloc(sizeof(*meter));
    auto_statement struct statement *statement = NULL;
    int r;

    if (!meter) {
        return -ENOMEM;
    }

    r = statement_new(database, "SELECT id,name,model,layout FROM meter ORDER BY id DESC", &statement);
    if (r < 0) {
        return r;
    }

    while ((r = statement_step(statement)) > 0) {
        r = journal_meter_from(statement, meter);
        if (r < 0) {
            return r;
        }
        each(data, meter);
    }
    return r;
}

int journal_each_meter(struct journal *journal, void (*each)(void *data, const struct journal_meter *meter), void *data)
{
    int r;

    r = journal_reader_begin(journal);
    if (r >= 0) {
        r = journal_reader_open(journal, journal->reader.segments.count - 1);
    }
    if (r >= 0) {
        r = journal_each_stored_meter(journal->reader.database, each, data);
    }
    return journal_reader_done(journal, r);
}
