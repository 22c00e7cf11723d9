/* SPDX-License-Identifier: MIT */

/*
 * Damage in the newest segment. What it is found to be follows from the directory alone, so that a writer which is
 * killed half way says the same at its next start:
 *
 * the database is damaged        it is called .db.bad and read by nobody any more; its rows are a gap
 * its log is damaged or missing  the rows in the log are lost, all others stay readable in the segment
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

int journal_aside_look_at_log(const struct journal *journal, uint64_t first, const char *path, bool *ret_suspect)
{
    enum segment_log log;
    bool open;
    int r;

    *ret_suspect = segment_has_log_aside(journal->directory, first);
    r = segment_is_open(path, &open);
    if (r < 0 || !open) {
        return r;
    }

    r = segment_log(path, &log);
    if (r < 0) {
        return r;
    }
    if (log == SEGMENT_LOG_NONSENSE) {
        r = segment_set_log_aside(journal->directory, first);
        if (r < 0) {
            return r;
        }
    }

    // One that a tool folded into its segment is missing as well: then a new segment does no harm.
    *ret_suspect |= log == SEGMENT_LOG_NONSENSE || log == SEGMENT_LOG_MISSING;
    return 0;
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

void journal_aside_log_is_lost(struct journal *journal)
{
    journal->writer.aside = true;
    skip_numbers(&journal->writer);
    say(&journal->writer, "the log of %s is damaged or gone: rows in it are lost, if there were any",
        journal->writer.first);
}

/*
 * The newest segment that can be read gives what a new one begins with: meters, epochs and numbers. Those before a
 * damaged one are looked at only, whatever state they are in: one segment set aside at a start is enough.
 */
static int take_source(struct journal *journal)
{
    const struct segments *segments = &journal->reader.segments;
    struct writer *writer = &journal->writer;
    int r = 0;

    for (size_t i = segments->count; i > 0 && !writer->database; i--) {
        r = journal_segment_look_at(journal, segments->first[i - 1]);
        if (r < 0 && r != -EBADMSG) {
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
    return take_source(journal);
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
