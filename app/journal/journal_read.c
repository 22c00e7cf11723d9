/* SPDX-License-Identifier: MIT */

/*
 * Reading after a cursor. What is damaged is passed, so that nobody is stuck behind it: a row that is none, the rows of
 * a page, or all that a segment still had.
 */

#include "app/journal/journal_private.h"

#include "app/journal/stored.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ROW_COLUMNS "SELECT seq,epoch,boot_ms,meter,quality,vals FROM sample WHERE seq>?1"

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

static void note_gap(struct journal *journal, uint64_t after_seq)
{
    struct reader *reader = &journal->reader;

    if (!reader->gap) {
        reader->gap = true;
        reader->gap_after = after_seq;
    }
}

bool journal_take_gap(struct journal *journal, uint64_t *ret_after)
{
    struct reader *reader = &journal->reader;

    if (!reader->gap) {
        return false;
    }

    *ret_after = reader->gap_after;
    reader->gap = false;
    return true;
}

static int prepare_rows(struct reader_place *place, const char *meter, struct statement **ret)
{
    struct statement **statement = meter ? &place->rows_of_meter : &place->rows;
    int r = 0;

    if (!*statement) {
        r = statement_new(place->database,
                          meter ? ROW_COLUMNS " AND meter IN (SELECT id FROM meter WHERE name=?3) ORDER BY seq LIMIT ?2"
                                : ROW_COLUMNS " ORDER BY seq LIMIT ?2", statement);
    }
    *ret = *statement;
    return r;
}

/* How far a walk over the segments of a place has come. */
struct walk {
    struct journal *journal;
    struct reader_place *place;
    const char *meter;         // NULL: all
    uint64_t after;            // rows up to this one are behind us
    uint64_t end;              // of the segment
    struct journal_row *rows;  // of them count are found, and there is room for size
    unsigned count, size;
};

/* Rows of the open segment, as many as there is room for. Returns 1 if there may be more, 0 at its end. */
static int read_rows(struct walk *walk)
{
    unsigned looked_at = 0, wanted = walk->size - walk->count;
    struct statement *statement;
    int r;

    r = prepare_rows(walk->place, walk->meter, &statement);
    if (r < 0) {
        return r;
    }

    statement_set_number(statement, 1, (int64_t) walk->after);
    statement_set_number(statement, 2, wanted);
    if (walk->meter) {
        statement_set_text(statement, 3, walk->meter, strlen(walk->meter));
    }
    while (looked_at < wanted && (r = statement_step(statement)) > 0) {
        const uint64_t seq = (uint64_t) statement_number(statement, 0);
        int row = journal_row_from(statement, &walk->rows[walk->count]);

        if (seq <= walk->after || seq >= walk->end) {
            r = -EBADMSG;  // of a damaged page: nobody's cursor may follow it back or far ahead
            break;
        }
        if (row < 0 && row != -EBADMSG) {
            r = row;
            break;
        }
        looked_at++;
        walk->after = seq;
        if (row < 0) {
            note_gap(walk->journal, walk->after - 1);
        } else {
            walk->count++;
        }
    }

    statement_reset(statement);
    return MIN(r, looked_at == wanted);
}

/*
 * Something behind walk->after cannot be read: look for what can, further and further on. Returns 1 if something was
 * found, 0 if that was all of the segment.
 */
static int pass(struct walk *walk)
{
    note_gap(walk->journal, walk->after);
    for (uint64_t step = 1; walk->place->database && step <= SEGMENT_BAD_ROWS && walk->after + step < walk->end;
         step *= 2) {
        auto_statement struct statement *statement = NULL;
        int r;

        r = statement_new(walk->place->database, "SELECT seq FROM sample WHERE seq>? ORDER BY seq LIMIT 1", &statement);
        if (r >= 0) {
            statement_set_number(statement, 1, (int64_t) (walk->after + step));
            r = statement_step(statement);
        }
        if (r == 1 && (uint64_t) statement_number(statement, 0) >= walk->end) {
            continue;  // none of the segment's rows: its own may still stand behind that, or there are no more
        }
        if (r == 1) {
            walk->after += step;
        }
        if (r >= 0 || r == -ENOMEM || r == -EAGAIN) {
            return r;
        }
    }

    return 0;
}

/* No row of a segment has that seq or a higher one: the next one begins there, or it is more than a boot has. */
static uint64_t end_of(const struct segments *segments, size_t index)
{
    return index + 1 < segments->count ? segments->first[index + 1] : segments->first[index] + SEGMENT_BOOT_ROWS;
}

/* Rows of one segment until there is no more room. */
static int read_segment(struct walk *walk, size_t index)
{
    int r;

    walk->end = end_of(&walk->place->segments, index);
    do {
        r = journal_place_open(walk->place, index);
        if (r >= 0) {
            r = read_rows(walk);
        }
        if (r < 0 && journal_may_pass(walk->journal, r)) {
            // What lies before the segment was passed with those before it.
            walk->after = MAX(walk->after, walk->place->segments.first[index] - 1);
            r = pass(walk);
        }
    } while (r > 0 && walk->count < walk->size);

    return MIN(r, 0);
}

/* Whether one that was set aside stood between two numbers: its rows are not there any more. */
static bool is_bad_between(const struct segments *segments, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < segments->bad_count; i++) {
        if (segments->bad[i] > from && segments->bad[i] < to) {
            return true;
        }
    }

    return false;
}

/* Rows of one place. Returns how many. */
static int read_place(struct journal *journal, struct reader_place *place, uint64_t after_seq, const char *meter,
                      struct journal_row *ret, unsigned count)
{
    struct walk walk = { .journal = journal, .place = place, .meter = meter, .after = after_seq, .rows = ret,
                         .size = count };
    const struct segments *segments = &place->segments;
    uint64_t behind;  // the segment that we come from
    int r;

    if (segments->count == 0) {
        return 0;
    }

    behind = segments->first[segments_find(segments, after_seq)];
    behind = behind <= after_seq ? behind : 0;
    for (size_t i = segments_find(segments, after_seq); i < segments->count && walk.count < count; i++) {
        unsigned before = walk.count;

        r = read_segment(&walk, i);
        if (r < 0) {
            return r;
        }
        if (walk.count > before) {
            if (after_seq > 0 && is_bad_between(segments, behind, segments->first[i])) {
                note_gap(journal, before > 0 ? ret[before - 1].seq : after_seq);
            }
            behind = segments->first[i];
        }
    }

    return (int) walk.count;
}

/* Both places have rows in order; a seq that both have is one row. */
static int merge(const struct reader_place *places, const int *counts, struct journal_row *ret, unsigned count)
{
    int at[PLACES] = { 0 };
    unsigned n = 0;

    while (n < count && (at[0] < counts[0] || at[1] < counts[1])) {
        const uint64_t seq0 = at[0] < counts[0] ? places[0].batch[at[0]].seq : UINT64_MAX;
        const uint64_t seq1 = at[1] < counts[1] ? places[1].batch[at[1]].seq : UINT64_MAX;

        ret[n++] = seq0 < seq1 ? places[0].batch[at[0]] : places[1].batch[at[1]];
        at[0] += seq0 <= seq1;
        at[1] += seq1 <= seq0;
    }

    return (int) n;
}

int journal_read(struct journal *journal, uint64_t after_seq, const char *meter, struct journal_row *ret,
                 unsigned count)
{
    struct reader_place *places = journal->reader.places;
    int counts[PLACES];
    int r;

    r = journal_reader_begin(journal);
    if (r < 0) {
        return r;
    }
    if (places[PLACE_MEMORY].segments.count == 0) {
        return journal_reader_done(journal, read_place(journal, &places[PLACE_CARD], after_seq, meter, ret, count));
    }

    // Memory first, as in journal_reader_begin(): the card has what goes there in the meantime.
    for (int i = 0; i < PLACES; i++) {
        r = journal_place_reserve(&places[i], count);
        if (r >= 0) {
            r = counts[i] = read_place(journal, &places[i], after_seq, meter, places[i].batch, count);
        }
        if (r < 0) {
            return journal_reader_done(journal, r);
        }
    }

    return journal_reader_done(journal, merge(places, counts, ret, count));
}

/*
 * The number that the first segment of a place with one gives, from either end; 0 if none has. One that cannot be read
 * is passed.
 */
static int ask_place(struct journal *journal, struct reader_place *place, bool newest_first, const char *sql,
                     uint64_t *ret)
{
    const struct segments *segments = &place->segments;
    int64_t number = 0;
    int r;

    for (size_t i = 0; i < segments->count && number == 0; i++) {
        r = journal_place_open(place, newest_first ? segments->count - 1 - i : i);
        if (r >= 0) {
            r = database_number(place->database, sql, &number);
        }
        if (r < 0 && !journal_may_pass(journal, r)) {
            return r;
        }
    }

    *ret = (uint64_t) number;
    return 0;
}

int journal_first_seq(struct journal *journal, uint64_t *ret)
{
    uint64_t first = 0;
    int r;

    r = journal_reader_begin(journal);
    for (int i = 0; i < PLACES && r >= 0; i++) {
        uint64_t number;

        r = ask_place(journal, &journal->reader.places[i], false, "SELECT min(seq) FROM sample", &number);
        if (r >= 0 && number > 0) {
            first = first ? MIN(first, number) : number;
        }
    }
    if (r >= 0) {
        *ret = first;
    }

    return journal_reader_done(journal, MIN(r, 0));
}

int journal_head_seq(struct journal *journal, uint64_t *ret)
{
    uint64_t head = 0;
    int r;

    r = journal_reader_begin(journal);
    for (int i = 0; i < PLACES && r >= 0; i++) {
        uint64_t number;

        r = ask_place(journal, &journal->reader.places[i], true, "SELECT max(seq) FROM sample", &number);
        if (r >= 0) {
            head = MAX(head, number);
        }
    }
    if (r >= 0) {
        *ret = head;
    }

    return journal_reader_done(journal, MIN(r, 0));
}

int journal_ceiling(struct journal *journal, uint64_t *ret)
{
    uint64_t highest = 0;
    int r;

    r = journal_reader_begin(journal);
    for (int i = 0; i < PLACES; i++) {
        highest = MAX(highest, journal->reader.places[i].segments.highest);
    }
    if (r >= 0) {
        *ret = highest + SEGMENT_BAD_ROWS;
    }

    return journal_reader_done(journal, MIN(r, 0));
}

/* How many rows of a place stand after *after, which moves on to the last of them. */
static int count_place(struct journal *journal, struct reader_place *place, uint64_t *after, uint64_t *sum)
{
    const struct segments *segments = &place->segments;

    // Within a segment only those seqs are left out whose rows were lost: few enough to spare counting.
    for (size_t i = segments_find(segments, *after); i < segments->count; i++) {
        uint64_t from = MAX(*after, segments->first[i] - 1);
        int64_t last = 0;
        int r;

        r = journal_place_open(place, i);
        if (r >= 0) {
            r = database_number(place->database, "SELECT max(seq) FROM sample", &last);
        }
        if (r < 0 && !journal_may_pass(journal, r)) {
            return r;
        }
        last = (uint64_t) last < end_of(segments, i) ? last : 0;
        *sum += (uint64_t) last > from ? (uint64_t) last - from : 0;
        *after = MAX(*after, (uint64_t) last);
    }

    return 0;
}

int journal_backlog(struct journal *journal, uint64_t after_seq, uint64_t *ret)
{
    uint64_t sum = 0;
    int r;

    // The card first: of what is in memory it has the beginning.
    r = journal_reader_begin(journal);
    if (r >= 0) {
        r = count_place(journal, &journal->reader.places[PLACE_CARD], &after_seq, &sum);
    }
    if (r >= 0) {
        r = count_place(journal, &journal->reader.places[PLACE_MEMORY], &after_seq, &sum);
    }
    if (r >= 0) {
        *ret = sum;
    }

    return journal_reader_done(journal, r);
}

/* --- events --- */

struct event_walk {
    int64_t after;
    struct journal_event *events;
    unsigned count, size;
};

/* Events of the open segment. */
static int read_events(struct reader_place *place, struct event_walk *walk)
{
    auto_statement struct statement *statement = NULL;
    int r;

    r = statement_new(place->database,
                      "SELECT id,epoch,boot_ms,substr(code,1,15),substr(text,1,255) FROM event WHERE id>? ORDER BY id"
                      " LIMIT ?", &statement);
    if (r < 0) {
        return r;
    }

    statement_set_number(statement, 1, walk->after);
    statement_set_number(statement, 2, walk->size - walk->count);
    while ((r = statement_step(statement)) > 0) {
        struct journal_event *event = &walk->events[walk->count++];

        *event = (struct journal_event){
            .id = statement_number(statement, 0),
            .epoch = statement_number(statement, 1),
            .boot_ms = (uint64_t) statement_number(statement, 2),
        };
        (void) snprintf(event->code, sizeof(event->code), "%s", statement_text(statement, 3));
        (void) snprintf(event->text, sizeof(event->text), "%s", statement_text(statement, 4));
        walk->after = event->id;
    }

    return r;
}

int journal_events(struct journal *journal, int64_t after_id, struct journal_event *ret, unsigned count)
{
    struct event_walk walk = { .after = after_id, .events = ret, .size = count };
    int r;

    r = journal_reader_begin(journal);
    // The card first: of what is in memory it has the beginning.
    for (int i = PLACES; i > 0 && r >= 0; i--) {
        struct reader_place *place = &journal->reader.places[i - 1];

        for (size_t j = 0; j < place->segments.count && walk.count < count && r >= 0; j++) {
            r = journal_place_open(place, j);
            if (r >= 0) {
                r = read_events(place, &walk);
            }
            r = r < 0 && journal_may_pass(journal, r) ? 0 : r;
        }
    }

    return journal_reader_done(journal, r < 0 ? r : (int) walk.count);
}
