/* SPDX-License-Identifier: MIT */

/*
 * Damage in the newest segment. What it is found to be follows from the directory alone, so that a writer which is
 * killed half way says the same at its next start:
 *
 * the database is damaged        it is called .db.bad and read by nobody any more; its rows are a gap
 * its log is damaged or missing  the rows in the log are lost, all others stay readable in the segment; if it is only
 *                                damaged from some commit on, those before it stay as well
 *
 * In both cases rows were given that nobody can see now. So a new segment begins far above, and its first event says
 * why. Numbers of epochs, meters and events begin as far above those that can be seen.
 */

#include "app/journal/journal_aside.h"

#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/journal/journal_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CHECK_BYTES_MAX (16 * (off_t) 1024 * 1024)  // one or two seconds of an old card; beyond it the last rows

/* All of a small segment; of a large one what is appended to and its last rows. */
static int check_pages(struct database *database, const char *path)
{
    struct stat status;
    int64_t number;
    int r;

    if (stat(path, &status) == 0 && status.st_size <= CHECK_BYTES_MAX) {
        return database_check(database);
    }

    r = database_number(database,
                        "SELECT total(length(vals)) FROM (SELECT vals FROM sample ORDER BY seq DESC LIMIT 1000)",
                        &number);
    return MIN(r, 0);
}

static void ignore_meter(void *data, const struct journal_meter *meter)
{
    (void) data;
    (void) meter;
}

int journal_aside_check(struct database *database, const char *path)
{
    int r;

    // A sector that cannot be read is no reason to leave the card: whoever needs it will say so.
    r = check_pages(database, path);
    return r < 0 && r != -EIO ? r : journal_each_stored_meter(database, ignore_meter, NULL);
}

int journal_aside_look_at_log(const struct journal *journal, uint64_t first, const char *path,
                              enum segment_log *ret)
{
    bool open, has_aside;
    int r;

    *ret = SEGMENT_LOG_SOUND;
    r = segment_is_open(path, &open);
    if (r == 0 && open) {
        r = segment_log(path, ret);
    }
    if (r == 0 && *ret == SEGMENT_LOG_NONSENSE) {
        r = segment_set_log_aside(journal->directory, first);
    }
    if (r == 0 && *ret == SEGMENT_LOG_BROKEN) {
        r = segment_has_log_aside(journal->directory, first, &has_aside);
        if (r == 0 && !has_aside) {
            r = segment_copy_log_aside(journal->directory, first);
        }
    }
    return r;
}

static void say(struct writer *writer, const char *format, uint64_t first)
{
    char name[SEGMENT_NAME_SIZE];

    (void) snprintf(writer->aside_text, sizeof(writer->aside_text), format, segment_name(first, ".db", name));
}

/* What was given and cannot be seen is not given again. */
static void skip_numbers(struct writer *writer)
{
    writer->next_event += SEGMENT_BAD_ROWS;
    writer->committed_event = writer->next_event;
    writer->next_epoch += SEGMENT_BAD_ROWS;
    writer->next_meter += SEGMENT_BAD_ROWS;
}

static bool is_of_this_boot(const struct writer *writer)
{
    char boot_id[CLOCK_BOOT_ID_SIZE];

    clock_boot_id(boot_id);
    return text_equal(writer->boot_id, boot_id);
}

/* Of a segment that is not known to have lost anything. */
static bool is_as_it_was_left(const struct writer *writer, enum segment_log log)
{
    switch (log) {
    case SEGMENT_LOG_EMPTY:
    case SEGMENT_LOG_SOUND:
        return true;
    case SEGMENT_LOG_MISSING:
        return !writer->started;  // a new one has none yet
    case SEGMENT_LOG_TORN:
        return !is_of_this_boot(writer);
    case SEGMENT_LOG_BROKEN:
    case SEGMENT_LOG_NONSENSE:
        break;
    }
    return false;
}

/*
 * A torn log is what a power cut leaves, and then another boot goes on, far above: no row is lost that anybody has
 * seen, and none is said to be. Within one boot nothing tears it, so it is damaged. Where that is wrong, as after a
 * program killed while it summed up a large commit once more, a new segment does no harm; nor where a tool folded a
 * missing log into its segment. What was found is kept beside the segment, for SQLite folds the rest and forgets.
 */
int journal_aside_judge_log(struct journal *journal, enum segment_log log)
{
    struct writer *writer = &journal->writer;
    bool has_aside;
    int r;

    r = segment_has_log_aside(journal->directory, writer->first, &has_aside);
    if (r < 0) {
        return r;
    }
    if (!has_aside && is_as_it_was_left(writer, log)) {
        if (log == SEGMENT_LOG_TORN) {
            skip_numbers(writer);  // it may be damaged all the same: no event's id is given twice either
        }
        return 0;
    }
    if (!has_aside && log == SEGMENT_LOG_TORN) {
        r = segment_copy_log_aside(journal->directory, writer->first);
        if (r < 0) {
            return r;
        }
    }
    writer->aside = true;
    skip_numbers(writer);
    say(writer, "the log of %s is damaged or gone: rows in it are lost, if there were any", writer->first);
    return 0;
}

/*
 * The newest of the oldest `count` segments that can be read gives what a new one begins with: meters, epochs and
 * numbers. Those before a damaged one are looked at only, whatever state they are in: one segment set aside at a start
 * is enough.
 */
static int take_source(struct journal *journal, size_t count)
{
    const struct segments *segments = &journal->reader.segments;
    struct writer *writer = &journal->writer;
    int r = 0;

    for (size_t i = count; i > 0 && !writer->database; i--) {
        r = journal_segment_look_at(journal, segments->first[i - 1]);
        if (r < 0 && r != -EBADMSG && r != -EIO) {
            return r;
        }
    }

    skip_numbers(writer);
    return 0;
}

int journal_aside_open(struct journal *journal)
{
    struct segments *segments = &journal->reader.segments;
    uint64_t newest = segments->count > 0 ? segments->first[segments->count - 1] : 0;
    uint64_t bad = segments->bad_count > 0 ? segments->bad[segments->bad_count - 1] : 0;
    int r;

    if (newest > bad) {
        r = journal_segment_open(journal, newest);
        if (r == -EBADMSG) {
            r = journal_segment_open(journal, newest);  // one read that failed can look like damage: it does not twice
        }
        if (r != -EBADMSG) {
            return r;
        }
        r = segment_set_aside(journal->directory, newest);
        if (r >= 0) {
            r = segments_read(segments, journal->directory);
        }
        if (r < 0) {
            return r;
        }
        bad = newest;
    }
    if (bad == 0) {
        return 0;
    }

    journal->writer.aside = true;
    say(&journal->writer, "%s was damaged and is called .bad now: its rows are not in the journal any more", bad);
    return take_source(journal, segments->count);
}

int journal_aside_leave(struct journal *journal)
{
    const struct segments *segments = &journal->reader.segments;

    if (segments->count == 0) {
        return journal_aside_open(journal);
    }

    journal->writer.aside = true;
    say(&journal->writer, "%s gives errors again and again: another segment goes on, and rows of it may be lost",
        segments->first[segments->count - 1]);
    return take_source(journal, segments->count - 1);
}

void journal_aside_close(struct journal *journal, bool damaged)
{
    if (damaged && segment_set_aside(journal->directory, journal->writer.first) < 0) {
        return;  // it will be found again
    }
}

/* --- the boot that writes, should the segments not be able to say --- */

static int boot_path(const struct journal *journal, char ret[static PATH_SIZE])
{
    return file_path(ret, PATH_SIZE, journal->directory, "boot");
}

static bool is_last_boot(const struct journal *journal, const char *boot_id)
{
    auto_free char *text = NULL;
    char path[PATH_SIZE];
    size_t size;

    return boot_path(journal, path) == 0 && file_read(path, LABEL_SIZE, &text, &size) == 0 &&
           text_equal(text_trim(text), boot_id);
}

void journal_aside_remember_boot(const struct journal *journal, const char *boot_id)
{
    char path[PATH_SIZE], line[JOURNAL_ID_SIZE + 1];

    (void) snprintf(line, sizeof(line), "%s\n", boot_id);
    if (is_last_boot(journal, boot_id) || boot_path(journal, path) < 0 ||
        file_replace(path, line, strlen(line), 0640, true) < 0) {
        return;  // where it does not say so, it counts as another boot
    }
}

uint64_t journal_aside_next(const struct journal *journal, const char *boot_id)
{
    const struct writer *writer = &journal->writer;
    uint64_t highest = journal->reader.segments.highest;

    if (writer->aside && is_last_boot(journal, boot_id)) {
        return MAX(highest + SEGMENT_BAD_ROWS, writer->next_seq);
    }

    return segment_next_boot(MAX(highest, writer->next_seq - 1));
}

int journal_aside_add_event(const struct journal *journal, struct database *database, int64_t epoch)
{
    auto_statement struct statement *statement = NULL;
    const struct writer *writer = &journal->writer;
    int r;

    if (!writer->aside || epoch == 0) {
        return 0;
    }

    r = statement_new(database, "INSERT INTO event VALUES(?,?,?,'damaged',?)", &statement);
    if (r < 0) {
        return r;
    }

    statement_set_number(statement, 1, writer->next_event);
    statement_set_number(statement, 2, epoch);
    statement_set_number(statement, 3, (int64_t) clock_boot_ms());
    statement_set_text(statement, 4, writer->aside_text, strlen(writer->aside_text));
    return statement_run(statement);
}
