/* SPDX-License-Identifier: MIT */

/*
 * Reading after a cursor. One segment is open at a time; the newest is closed after each call, because in write-ahead
 * mode an open connection keeps its writer from sealing it.
 */

#include "app/journal/journal_private.h"

#include "app/journal/stored.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ROW_COLUMNS   "SELECT seq,epoch,boot_ms,meter,quality,vals FROM sample WHERE seq>?1"
#define METER_COLUMNS "SELECT id,name,model,layout FROM meter"

void journal_reader_close(struct journal *journal)
{
    struct reader *reader = &journal->reader;

    statement_free(TAKE(reader->rows));
    statement_free(TAKE(reader->rows_of_meter));
    database_close(TAKE(reader->database));
    reader->first = 0;
}

int journal_reader_open(struct journal *journal, size_t index)
{
    struct reader *reader = &journal->reader;
    uint64_t first = reader->segments.first[index];
    int r;

    if (reader->database && reader->first == first) {
        return 0;
    }

    journal_reader_close(journal);
    r = journal_database(journal, first, DATABASE_READ, &reader->database);
    if (r < 0) {
        return r;
    }

    reader->first = first;
    return 0;
}

int journal_reader_done(struct journal *journal, int r)
{
    struct reader *reader = &journal->reader;
    char path[PATH_SIZE];
    bool open = true;

    if (!reader->database) {
        return r;
    }
    if (r < 0 || journal_path(journal, reader->first, ".db", path) < 0 || segment_is_open(path, &open) < 0 || open) {
        journal_reader_close(journal);
    }

    return r;
}

int journal_reader_begin(struct journal *journal)
{
    struct segments *segments = &journal->reader.segments;
    int r;

    r = segments_read(segments, journal->directory);
    if (r < 0) {
        return r == -ENOENT ? -EAGAIN : r;
    }

    return segments->count == 0 ? -EAGAIN : 0;
}

int journal_row_from(struct statement *statement, struct journal_row *ret)
{
    const char *quality;
    int r;

    ret->seq = (uint64_t) statement_number(statement, 0);
    ret->epoch = statement_number(statement, 1);
    ret->boot_ms = (uint64_t) statement_number(statement, 2);
    ret->meter = statement_number(statement, 3);

    quality = statement_text(statement, 4);
    r = text_copy(ret->quality, sizeof(ret->quality), quality);
    if (r < 0) {
        return -EBADMSG;
    }

    return stored_parse_values(statement_text(statement, 5), ret->values, &ret->value_count);
}

/* Rows of the open segment. */
static int read_rows(struct reader *reader, uint64_t after_seq, const char *meter, struct journal_row *ret,
                     unsigned count)
{
    struct statement **statement = meter ? &reader->rows_of_meter : &reader->rows;
    unsigned n = 0;
    int r;

    if (!*statement) {
        r = statement_new(reader->database,
                          meter ? ROW_COLUMNS " AND meter IN (SELECT id FROM meter WHERE name=?3) ORDER BY seq LIMIT ?2"
                                : ROW_COLUMNS " ORDER BY seq LIMIT ?2", statement);
        if (r < 0) {
            return r;
        }
    }

    statement_set_number(*statement, 1, (int64_t) after_seq);
    statement_set_number(*statement, 2, count);
    if (meter) {
        statement_set_text(*statement, 3, meter, strlen(meter));
    }

    while (n < count && (r = statement_step(*statement)) != 0) {
        if (r > 0) {
            r = journal_row_from(*statement, &ret[n++]);
        }
        if (r < 0) {
            break;
        }
    }

    statement_reset(*statement);
    return r < 0 ? r : (int) n;
}

int journal_read(struct journal *journal, uint64_t after_seq, const char *meter, struct journal_row *ret,
                 unsigned count)
{
    const struct segments *segments = &journal->reader.segments;
    unsigned n = 0;
    int r;

    r = journal_reader_begin(journal);
    if (r < 0) {
        return r;
    }

    for (size_t i = segments_find(segments, after_seq); i < segments->count && n < count; i++) {
        r = journal_reader_open(journal, i);
        if (r >= 0) {
            r = read_rows(&journal->reader, after_seq, meter, ret + n, count - n);
        }
        if (r < 0) {
            return journal_reader_done(journal, r);
        }
        n += (unsigned) r;
    }

    return journal_reader_done(journal, (int) n);
}

/* The number that the first segment with one gives, from either end; 0 if none has. */
static int ask_segments(struct journal *journal, bool newest_first, const char *sql, uint64_t *ret)
{
    const struct segments *segments = &journal->reader.segments;
    int64_t number = 0;
    int r;

    r = journal_reader_begin(journal);
    if (r < 0) {
        return r;
    }

    for (size_t i = 0; i < segments->count && number == 0; i++) {
        r = journal_reader_open(journal, newest_first ? segments->count - 1 - i : i);
        if (r >= 0) {
            r = database_number(journal->reader.database, sql, &number);
        }
        if (r < 0) {
            return journal_reader_done(journal, r);
        }
    }

    *ret = (uint64_t) number;
    return journal_reader_done(journal, 0);
}

int journal_first_seq(struct journal *journal, uint64_t *ret)
{
    return ask_segments(journal, false, "SELECT min(seq) FROM sample", ret);
}

int journal_head_seq(struct journal *journal, uint64_t *ret)
{
    return ask_segments(journal, true, "SELECT max(seq) FROM sample", ret);
}

int journal_backlog(struct journal *journal, uint64_t after_seq, uint64_t *ret)
{
    const struct segments *segments = &journal->reader.segments;
    uint64_t sum = 0;
    int r;

    r = journal_reader_begin(journal);
    if (r < 0) {
        return r;
    }

    // Within a segment no seq is left out.
    for (size_t i = segments_find(segments, after_seq); i < segments->count; i++) {
        uint64_t from = MAX(after_seq, segments->first[i] - 1);
        int64_t last = 0;

        r = journal_reader_open(journal, i);
        if (r >= 0) {
            r = database_number(journal->reader.database, "SELECT max(seq) FROM sample", &last);
        }
        if (r < 0) {
            return journal_reader_done(journal, r);
        }
        sum += (uint64_t) last > from ? (uint64_t) last - from : 0;
    }

    *ret = sum;
    return journal_reader_done(journal, 0);
}

int journal_meter_from(struct statement *statement, struct journal_meter *ret)
{
    const char *layout;

    ret->id = statement_number(statement, 0);
    if (text_copy(ret->name, sizeof(ret->name), statement_text(statement, 1)) < 0 ||
        text_copy(ret->model, sizeof(ret->model), statement_text(statement, 2)) < 0) {
        return -EBADMSG;
    }

    layout = statement_text(statement, 3);
    return stored_parse_layout(layout, strlen(layout), &ret->layout);
}

/* The newest segment knows all meters there ever were. */
static int ask_meter(struct journal *journal, const char *sql, int64_t number, const char *name,
                     struct journal_meter *ret)
{
    auto_statement struct statement *statement = NULL;
    int r;

    r = journal_reader_begin(journal);
    if (r < 0) {
        return r;
    }

    r = journal_reader_open(journal, journal->reader.segments.count - 1);
    if (r < 0) {
        return r;
    }

    r = statement_new(journal->reader.database, sql, &statement);
    if (r < 0) {
        return r;
    }

    statement_set_number(statement, 1, number);
    if (name) {
        statement_set_text(statement, 2, name, strlen(name));
    }
    r = statement_step(statement);
    if (r <= 0) {
        return r < 0 ? r : -ENOENT;
    }

    return journal_meter_from(statement, ret);
}

int journal_meter(struct journal *journal, int64_t id, struct journal_meter *ret)
{
    return journal_reader_done(journal, ask_meter(journal, METER_COLUMNS " WHERE id=?1", id, NULL, ret));
}

int journal_find_meter(struct journal *journal, const char *name, unsigned index, struct journal_meter *ret)
{
    return journal_reader_done(journal, ask_meter(journal, METER_COLUMNS " WHERE name=?2 OR ?2 ISNULL"
                                                           " ORDER BY id DESC LIMIT 1 OFFSET ?1", index, name, ret));
}

/* Events of the open segment. Returns how many. */
static int read_events(struct reader *reader, int64_t after_id, struct journal_event *ret, unsigned count)
{
    auto_statement struct statement *statement = NULL;
    unsigned n = 0;
    int r;

    r = statement_new(reader->database,
                      "SELECT id,epoch,boot_ms,substr(code,1,15),substr(text,1,255) FROM event WHERE id>? ORDER BY id"
                      " LIMIT ?", &statement);
    if (r < 0) {
        return r;
    }

    statement_set_number(statement, 1, after_id);
    statement_set_number(statement, 2, count);
    while ((r = statement_step(statement)) > 0) {
        struct journal_event *event = &ret[n++];

        *event = (struct journal_event){
            .id = statement_number(statement, 0),
            .epoch = statement_number(statement, 1),
            .boot_ms = (uint64_t) statement_number(statement, 2),
        };
        (void) snprintf(event->code, sizeof(event->code), "%s", statement_text(statement, 3));
        (void) snprintf(event->text, sizeof(event->text), "%s", statement_text(statement, 4));
    }

    return r < 0 ? r : (int) n;
}

int journal_events(struct journal *journal, int64_t after_id, struct journal_event *ret, unsigned count)
{
    const struct segments *segments = &journal->reader.segments;
    unsigned n = 0;
    int r;

    r = journal_reader_begin(journal);
    if (r < 0) {
        return r;
    }

    for (size_t i = 0; i < segments->count && n < count; i++) {
        r = journal_reader_open(journal, i);
        if (r >= 0) {
            r = read_events(&journal->reader, after_id, ret + n, count - n);
        }
        if (r < 0) {
            return journal_reader_done(journal, r);
        }
        n += (unsigned) r;
    }

    return journal_reader_done(journal, (int) n);
}
