/* SPDX-License-Identifier: MIT */

/* Epochs, and what they say of a row's time. */

#include "app/journal/journal_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The first epoch of the open segment that a condition with one parameter holds for. -ENOENT: none */
static int ask_epoch(struct reader *reader, const char *condition, int64_t number, const char *boot_id,
                     struct epoch *ret)
{
    auto_statement struct statement *statement = NULL;
    char sql[256];
    int r;

    (void) snprintf(sql, sizeof(sql), "SELECT n,boot_id,wall_ms,source,error_ms FROM epoch WHERE %s ORDER BY n LIMIT 1",
                    condition);
    r = statement_new(reader->database, sql, &statement);
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

/* ask_epoch() of the newest segment that has one. It stays open; which it is comes into *ret_index. */
static int ask_newest(struct journal *journal, const char *condition, int64_t number, const char *boot_id,
                      struct epoch *ret, size_t *ret_index)
{
    struct reader *reader = &journal->reader;
    int r;

    r = journal_reader_begin(journal);
    if (r < 0) {
        return r;
    }

    for (size_t i = reader->segments.count; i > 0; i--) {
        r = journal_reader_open(journal, i - 1);
        if (r >= 0) {
            r = ask_epoch(reader, condition, number, boot_id, ret);
        }
        if (r != -ENOENT) {
            *ret_index = i - 1;
            return r;
        }
    }

    return -ENOENT;
}

/* In the segment that is open, then newest first. */
static int find_epoch(struct journal *journal, int64_t number, struct epoch *ret)
{
    struct reader *reader = &journal->reader;
    size_t index;

    if (reader->database && ask_epoch(reader, "n=?1", number, NULL, ret) == 0) {
        return 0;
    }

    return ask_newest(journal, "n=?1", number, NULL, ret, &index);
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
 * The newest segment of a boot has all its epochs. A segment is of the boot of its last epoch: the first one of a boot
 * also has the last epoch before it, for the numbers.
 */
static int find_epoch_of_boot(struct journal *journal, const char *boot_id, const char *condition, struct epoch *ret,
                              bool *ret_over)
{
    struct reader *reader = &journal->reader;
    struct epoch last;
    size_t index;
    int r;

    r = ask_newest(journal, "n=(SELECT max(n) FROM epoch) AND boot_id=?1", 0, boot_id, &last, &index);
    if (r < 0) {
        return r;
    }

    *ret_over = index + 1 < reader->segments.count;
    return ask_epoch(reader, condition, 0, boot_id, ret);
}

int journal_first_epoch(struct journal *journal, const char *boot_id, struct epoch *ret)
{
    bool over;

    return journal_reader_done(journal, find_epoch_of_boot(journal, boot_id, "boot_id=?1", ret, &over));
}

int journal_known_epoch(struct journal *journal, const char *boot_id, struct epoch *ret)
{
    struct reader *reader = &journal->reader;
    struct epoch epoch;
    bool over = false;
    int r;

    // The first known one stays the first; a boot that is over learns no more.
    if (reader->known.number != 0 && text_equal(reader->known.boot_id, boot_id)) {
        *ret = reader->known;
        return 0;
    }
    if (text_equal(reader->unlearned_boot, boot_id)) {
        return -ENOENT;
    }

    r = find_epoch_of_boot(journal, boot_id, "boot_id=?1 AND source IN ('N','H','R')", &epoch, &over);
    if (r == -ENOENT && over) {
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
    struct reader *reader = &journal->reader;
    int64_t number = 0;
    struct epoch epoch;
    int r;

    r = journal_reader_begin(journal);
    if (r >= 0) {
        r = journal_reader_open(journal, reader->segments.count - 1);
    }
    if (r >= 0) {
        r = database_number(reader->database, "SELECT max(n) FROM epoch", &number);
    }
    if (r >= 0) {
        r = ask_epoch(reader, "n=?1", number, NULL, &epoch);
    }
    if (r < 0) {
        return journal_reader_done(journal, r);
    }

    memcpy(ret, epoch.boot_id, sizeof(epoch.boot_id));
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
