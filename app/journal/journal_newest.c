/* SPDX-License-Identifier: MIT */

/* Reading from the end: what was last. */

#include "app/journal/journal_private.h"

#include <errno.h>

/* Rows of the open segment before *before, which moves on to the last of them. One that is none is passed. */
static int read_rows_back(struct reader_place *place, uint64_t *before, struct journal_row *ret, unsigned count)
{
    auto_statement struct statement *statement = NULL;
    unsigned n = 0;
    int r;

    r = statement_new(place->database,
                      "SELECT seq,epoch,boot_ms,meter,quality,vals FROM sample WHERE seq<?1 ORDER BY seq DESC LIMIT ?2",
                      &statement);
    if (r < 0) {
        return r;
    }

    statement_set_number(statement, 1, (int64_t) MIN(*before, (uint64_t) INT64_MAX));
    statement_set_number(statement, 2, count);
    while (n < count && (r = statement_step(statement)) > 0) {
        const uint64_t seq = (uint64_t) statement_number(statement, 0);

        if (seq == 0 || seq >= *before) {
            return n > 0 ? (int) n : -EBADMSG;  // of a damaged page
        }
        *before = seq;
        r = journal_row_from(statement, &ret[n]);
        if (r < 0 && r != -EBADMSG) {
            return r;
        }
        n += r >= 0;
    }

    return n > 0 ? (int) n : r;
}

/* Of one place. What is damaged ends its segment. */
static int read_place_back(struct journal *journal, struct reader_place *place, uint64_t before_seq,
                           struct journal_row *ret, unsigned count)
{
    const struct segments *segments = &place->segments;
    unsigned n = 0;

    for (size_t i = segments->count; i > 0 && n < count; i--) {
        int r;

        if (segments->first[i - 1] >= before_seq) {
            continue;
        }
        do {
            r = journal_place_open(place, i - 1);
            if (r >= 0) {
                r = read_rows_back(place, &before_seq, ret + n, count - n);
            }
            n += r > 0 ? (unsigned) r : 0;
        } while (r > 0 && n < count);
        if (r < 0 && !journal_may_pass(journal, r)) {
            return r;
        }
    }

    return (int) n;
}

static int merge_back(const struct reader_place *places, const int *counts, struct journal_row *ret, unsigned count)
{
    int at[PLACES] = { 0 };
    unsigned n = 0;

    while (n < count && (at[0] < counts[0] || at[1] < counts[1])) {
        const uint64_t seq0 = at[0] < counts[0] ? places[0].batch[at[0]].seq : 0;
        const uint64_t seq1 = at[1] < counts[1] ? places[1].batch[at[1]].seq : 0;

        ret[n++] = seq0 > seq1 ? places[0].batch[at[0]] : places[1].batch[at[1]];
        at[0] += seq0 >= seq1;
        at[1] += seq1 >= seq0;
    }

    return (int) n;
}

int journal_read_back(struct journal *journal, uint64_t before_seq, struct journal_row *ret, unsigned count)
{
    struct reader_place *places = journal->reader.places;
    int counts[PLACES];
    int r;

    r = journal_reader_begin(journal);
    if (r < 0) {
        return r;
    }
    if (places[PLACE_MEMORY].segments.count == 0) {
        return journal_reader_done(journal, read_place_back(journal, &places[PLACE_CARD], before_seq, ret, count));
    }

    for (int i = 0; i < PLACES; i++) {
        r = journal_place_reserve(&places[i], count);
        if (r >= 0) {
            r = counts[i] = read_place_back(journal, &places[i], before_seq, places[i].batch, count);
        }
        if (r < 0) {
            return journal_reader_done(journal, r);
        }
    }

    return journal_reader_done(journal, merge_back(places, counts, ret, count));
}
