/* SPDX-License-Identifier: MIT */

/* Looking for a few rows or events in much journal, without going through all of it. */

#include "app/journal/journal_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ROW_COLUMNS "SELECT seq,epoch,boot_ms,meter,quality,vals FROM sample WHERE seq>?1 AND seq<=?2"
#define OF_METER    " AND meter IN (SELECT id FROM meter WHERE name=?3)"

/* Rows of the open segment. Returns 1 if nobody wants more. */
static int look_at_rows(struct reader_place *place, const struct journal_search *search)
{
    auto_statement struct statement *statement = NULL;
    struct journal_row row;
    char sql[256];
    int r;

    (void) snprintf(sql, sizeof(sql), ROW_COLUMNS "%s ORDER BY seq%s", search->meter ? OF_METER : "",
                    search->newest_first ? " DESC" : "");
    r = statement_new(place->database, sql, &statement);
    if (r < 0) {
        return r;
    }

    statement_set_number(statement, 1, (int64_t) search->after_seq);
    statement_set_number(statement, 2, (int64_t) MIN(search->last_seq, (uint64_t) INT64_MAX));
    if (search->meter) {
        statement_set_text(statement, 3, search->meter, strlen(search->meter));
    }
    while ((r = statement_step(statement)) > 0) {
        r = journal_row_from(statement, &row);
        if (r < 0 && r != -EBADMSG) {
            return r;
        }
        if (r >= 0 && row.seq > search->after_seq && row.seq <= search->last_seq && !search->each(search->data, &row)) {
            return 1;
        }
    }

    return r;
}

/* Of one place, from either end. Returns 1 if nobody wants more. */
static int search_place(struct journal *journal, struct reader_place *place, const struct journal_search *search)
{
    const struct segments *segments = &place->segments;
    int r = 0;

    for (size_t i = 0; i < segments->count && r == 0; i++) {
        size_t at = search->newest_first ? segments->count - 1 - i : i;

        if (segments->first[at] > search->last_seq ||
            (at + 1 < segments->count && segments->first[at + 1] <= search->after_seq + 1)) {
            continue;
        }
        r = journal_place_open(place, at);
        if (r >= 0) {
            r = look_at_rows(place, search);
        }
        r = r < 0 && journal_may_pass(journal, r) ? 0 : r;
    }

    return r;
}

int journal_search(struct journal *journal, const struct journal_search *search)
{
    int r;

    r = journal_reader_begin(journal);
    // What is in memory is newer than what is on the card, or the same.
    for (int i = 0; i < PLACES && r == 0; i++) {
        int place = search->newest_first ? PLACE_MEMORY : PLACE_CARD;

        r = search_place(journal, &journal->reader.places[i == 0 ? place : PLACE_MEMORY + PLACE_CARD - place], search);
    }

    return journal_reader_done(journal, MIN(r, 0));
}

/* Events of the open segment. */
static int look_at_events(struct reader_place *place, const char *codes,
                          void (*each)(void *data, const struct journal_event *event), void *data)
{
    auto_statement struct statement *statement = NULL;
    struct journal_event event;
    int r;

    r = statement_new(place->database,
                      "SELECT id,epoch,boot_ms,substr(code,1,15),substr(text,1,255) FROM event"
                      " WHERE instr(?,' '||code||' ')>0 ORDER BY id", &statement);
    if (r < 0) {
        return r;
    }

    statement_set_text(statement, 1, codes, strlen(codes));
    while ((r = statement_step(statement)) > 0) {
        event = (struct journal_event){ .id = statement_number(statement, 0),
                                        .epoch = statement_number(statement, 1),
                                        .boot_ms = (uint64_t) statement_number(statement, 2) };
        (void) snprintf(event.code, sizeof(event.code), "%s", statement_text(statement, 3));
        (void) snprintf(event.text, sizeof(event.text), "%s", statement_text(statement, 4));
        each(data, &event);
    }
    return r;
}

int journal_events_back(struct journal *journal, struct journal_event_walk *walk, const char *codes,
                        void (*each)(void *data, const struct journal_event *event), void *data)
{
    struct reader_place *place;
    size_t i;
    int r;

    r = journal_reader_begin(journal);
    if (r < 0) {
        return journal_reader_done(journal, r);
    }

    place = &journal->reader.places[walk->in_card ? PLACE_CARD : PLACE_MEMORY];
    i = place->segments.count;
    while (i > 0 && walk->before > 0 && place->segments.first[i - 1] >= walk->before) {
        i--;
    }
    if (i == 0) {
        r = walk->in_card ? 0 : 1;
        *walk = (struct journal_event_walk){ .in_card = true };
        return journal_reader_done(journal, r);
    }

    r = journal_place_open(place, i - 1);
    if (r >= 0) {
        r = look_at_events(place, codes, each, data);
    }
    if (r < 0 && !journal_may_pass(journal, r)) {
        return journal_reader_done(journal, r);
    }
    walk->before = place->segments.first[i - 1];
    return journal_reader_done(journal, 1);
}
