/* SPDX-License-Identifier: MIT */

/* Epochs, and what they say of a row's time. */

#include "app/journal/journal_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The first epoch of the open segment that a condition with one parameter holds for. -ENOENT: none */
static int ask_epoch(struct reader_place *place, const char *condition, int64_t number, const char *boot_id,
                     struct epoch *ret)
{
    auto_statement struct statement *statement = NULL;
    char sql[256];
    int r;

    (void) snprintf(sql, sizeof(sql), "SELECT n,boot_id,wall_ms,source,error_ms FROM epoch WHERE %s ORDER BY n LIMIT 1",
                    condition);
    r = statement_new(place->database, sql, &statement);
    if (r < 0) {
        return r;
    }

    if (boot_id) {
        statement_set_text(statement, 1, boot_id, strlen(boot_id));
    } else {
        statement_set_number(statement, 1, number);
    }
    r = statement_step(statement);
    if (r <= 0) {
        return r < 0 ? r : -ENOENT;
    }

    *ret = (struct epoch){
        .number = statement_number(statement, 0),
        .wall_ms = statement_number(statement, 2),
        .source = (enum clock_quality) statement_text(statement, 3)[0],
        .error_ms = statement_number(statement, 4),
    };
    return text_copy(ret->boot_id, sizeof(ret->boot_id), statement_text(statement, 1)) < 0 ? -EBADMSG : 0;
}

/* ask_epoch() of the newest segment of a place that has one. It stays open. One that cannot be read is passed. */
static int ask_newest(struct journal *journal, struct reader_place *place, const char *condition, int64_t number,
                      const char *boot_id, struct epoch *ret)
{
    for (size_t i = place->segments.count; i > 0; i--) {
        int r;

        r = journal_place_open(place, i - 1);
        if (r >= 0) {
            r = ask_epoch(place, condition, number, boot_id, ret);
        }
        if (r != -ENOENT && !(r < 0 && journal_may_pass(journal, r))) {
            return r;
        }
    }

    return -ENOENT;
}

/* In the segments that are open, then newest first. */
static int find_epoch(struct journal *journal, int64_t number, struct epoch *ret)
{
    struct reader_place *places = journal->reader.places;
    int r;

    for (int i = 0; i < PLACES; i++) {
        if (places[i].database && ask_epoch(&places[i], "n=?1", number, NULL, ret) == 0) {
            return 0;
        }
    }

    r = journal_reader_begin(journal);
    if (r < 0) {
        return r;
    }

    r = -ENOENT;
    for (int i = 0; i < PLACES && r == -ENOENT; i++) {
        r = ask_newest(journal, &places[i], "n=?1", number, NULL, ret);
    }
    return r;
}

int journal_epoch(struct journal *journal, int64_t number, struct epoch *ret)
{
    struct reader *reader = &journal->reader;
    struct epoch epoch;
    int r;

    // An epoch never changes.
    if (number != 0 && reader->epoch.number == number) {
        *ret = reader->epoch;
        return 0;
    }

    r = find_epoch(journal, number, &epoch);
    if (r < 0) {
        return journal_reader_done(journal, r);
    }

    *ret = reader->epoch = epoch;
    return journal_reader_done(journal, 0);
}

/*
 * The newest segment of a boot has all its epochs that its place has. A segment is of the boot of its last epoch: the
 * first one of a boot also has the last epoch before it, for the numbers.
 */
static int find_epoch_of_boot(struct journal *journal, const char *boot_id, const char *condition, struct epoch *ret)
{
    struct epoch found = { 0 };
    int r;

    r = journal_reader_begin(journal);
    for (int i = 0; i < PLACES && r >= 0; i++) {
        struct reader_place *place = &journal->reader.places[i];
        struct epoch epoch;

        r = ask_newest(journal, place, "n=(SELECT max(n) FROM epoch) AND boot_id=?1", 0, boot_id, &epoch);
        if (r >= 0) {
            r = ask_epoch(place, condition, 0, boot_id, &epoch);
        }
        if (r >= 0 && (found.number == 0 || epoch.number < found.number)) {
            found = epoch;
        }
        r = r == -ENOENT || (r < 0 && journal_may_pass(journal, r)) ? 0 : r;
    }
    if (r < 0) {
        return r;
    }
    if (found.number == 0) {
        return -ENOENT;
    }

    *ret = found;
    return 0;
}

int journal_first_epoch(struct journal *journal, const char *boot_id, struct epoch *ret)
{
    return journal_reader_done(journal, find_epoch_of_boot(journal, boot_id, "boot_id=?1", ret));
}

int journal_known_epoch(struct journal *journal, const char *boot_id, struct epoch *ret)
{
    struct reader *reader = &journal->reader;
    char last_boot[JOURNAL_ID_SIZE];
    struct epoch epoch;
    int r;

    // The first known one stays the first; a boot that is over learns no more.
    if (reader->known.number != 0 && text_equal(reader->known.boot_id, boot_id)) {
        *ret = reader->known;
        return 0;
    }
    if (text_equal(reader->unlearned_boot, boot_id)) {
        return -ENOENT;
    }

    r = find_epoch_of_boot(journal, boot_id, "boot_id=?1 AND source IN ('N','H','R')", &epoch);
    if (r == -ENOENT && journal_last_boot(journal, last_boot) == 0 && !text_equal(boot_id, last_boot)) {
        (void) snprintf(reader->unlearned_boot, sizeof(reader->unlearned_boot), "%s", boot_id);
    }
    if (r < 0) {
        return journal_reader_done(journal, r);
    }

    *ret = reader->known = epoch;
    return journal_reader_done(journal, 0);
}

int journal_last_boot(struct journal *journal, char ret[static 37])
{
    struct epoch last = { 0 };
    int r;

    r = journal_reader_begin(journal);
    for (int i = 0; i < PLACES && r >= 0; i++) {
        struct epoch epoch;

        r = ask_newest(journal, &journal->reader.places[i], "n=(SELECT max(n) FROM epoch) AND ?1 NOTNULL", 0, NULL,
                       &epoch);
        if (r >= 0 && epoch.number > last.number) {
            last = epoch;
        }
        r = r == -ENOENT ? 0 : r;
    }
    if (r >= 0 && last.number == 0) {
        r = -ENOENT;
    }
    if (r < 0) {
        return journal_reader_done(journal, r);
    }

    memcpy(ret, last.boot_id, sizeof(last.boot_id));
    return journal_reader_done(journal, 0);
}

int journal_row_time(struct journal *journal, const struct journal_row *row, int64_t *ret_wall_ms,
                     char ret_quality[static 4])
{
    struct epoch own = { 0 }, known = { 0 };
    char quality[4];
    int64_t wall_ms;
    bool timed = true;
    int r;

    r = journal_epoch(journal, row->epoch, &own);
    if (r < 0) {
        return r == -ENOENT ? -EBADMSG : r;
    }

    memcpy(quality, row->quality, sizeof(quality));
    wall_ms = own.wall_ms + (int64_t) row->boot_ms;
    if (!clock_quality_known(own.source)) {
        r = journal_known_epoch(journal, own.boot_id, &known);
        if (r < 0 && r != -ENOENT) {
            return r;
        }
        if (r == 0) {
            wall_ms = known.wall_ms + (int64_t) row->boot_ms;
            quality[0] = CLOCK_CORRECTED;
        } else {
            timed = own.source == CLOCK_ESTIMATED;
        }
    }

    memcpy(ret_quality, quality, sizeof(quality));
    if (timed) {
        *ret_wall_ms = wall_ms;
    }
    return 0;
}
