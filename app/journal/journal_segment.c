/* SPDX-License-Identifier: MIT */

/* How the writer's segments are made and opened. */

#include "app/journal/journal_private.h"

#include "app/base/file.h"
#include "app/journal/journal_aside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/*
 * A row's time is that of its own epoch if that one is known, else of the first known epoch: all epochs of a segment
 * are of one boot. E is an estimate; U has no time.
 */
static const char schema[] =
    "CREATE TABLE journal(id TEXT NOT NULL);"
    "CREATE TABLE epoch(n INTEGER PRIMARY KEY, boot_id TEXT NOT NULL, wall_ms INTEGER NOT NULL,"
    " source TEXT NOT NULL, error_ms INTEGER NOT NULL);"
    "CREATE TABLE meter(id INTEGER PRIMARY KEY, name TEXT NOT NULL, model TEXT NOT NULL, layout TEXT NOT NULL);"
    "CREATE TABLE sample(seq INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, boot_ms INTEGER NOT NULL,"
    " meter INTEGER NOT NULL, quality TEXT NOT NULL, vals TEXT NOT NULL%s);"
    "CREATE TABLE event(id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, boot_ms INTEGER NOT NULL,"
    " code TEXT NOT NULL, text TEXT NOT NULL);"
    "CREATE VIEW timed_sample AS SELECT seq, meter, quality, vals,"
    " strftime('%%Y-%%m-%%dT%%H:%%M:%%fZ', (boot_ms + coalesce("
    "(SELECT wall_ms FROM epoch WHERE n=sample.epoch AND source IN ('N','H','R')),"
    "(SELECT wall_ms FROM epoch WHERE source IN ('N','H','R') AND boot_id="
    "(SELECT boot_id FROM epoch WHERE n=sample.epoch) ORDER BY n LIMIT 1),"
    "(SELECT wall_ms FROM epoch WHERE n=sample.epoch AND source='E'))) / 1000.0, 'unixepoch') AS utc FROM sample;"
    "PRAGMA user_version=%d;";

int journal_segment_add_epoch(struct database *database, const struct epoch *epoch)
{
    auto_statement struct statement *statement = NULL;
    const char source[] = { (char) epoch->source, '\0' };
    int r;

    r = statement_new(database, "INSERT OR IGNORE INTO epoch VALUES(?,?,?,?,?)", &statement);
    if (r < 0) {
        return r;
    }

    statement_set_number(statement, 1, epoch->number);
    statement_set_text(statement, 2, epoch->boot_id, strlen(epoch->boot_id));
    statement_set_number(statement, 3, epoch->wall_ms);
    statement_set_text(statement, 4, source, 1);
    statement_set_number(statement, 5, epoch->error_ms);
    return statement_run(statement);
}

/* Copy the rows of a query of numbers and texts, whose one parameter is a boot; an INSERT takes them. */
static int copy_rows(struct database *from, const char *query, const char *boot_id, struct database *to,
                     const char *insert, int columns)
{
    auto_statement struct statement *source = NULL;
    auto_statement struct statement *target = NULL;
    int r;

    r = statement_new(from, query, &source);
    if (r < 0) {
        return r;
    }

    r = statement_new(to, insert, &target);
    if (r < 0) {
        return r;
    }

    statement_set_text(source, 1, boot_id, strlen(boot_id));
    while ((r = statement_step(source)) > 0) {
        // The affinity of the columns turns the texts of numbers into numbers again.
        for (int i = 0; i < columns; i++) {
            const char *text = statement_text(source, i);

            statement_set_text(target, i + 1, text, strlen(text));
        }
        r = statement_run(target);
        if (r < 0) {
            return r;
        }
    }

    return r;
}

/* The newest epoch goes along even if it is of another boot, so that numbers are never given twice. */
static int copy_from_last(struct journal *journal, struct database *to, const struct epoch *epoch)
{
    struct database *from = journal->writer.database;
    int r;

    if (!from) {
        return 0;
    }

    r = copy_rows(from, "SELECT id,name,model,layout FROM meter WHERE ? NOTNULL", epoch->boot_id, to,
                  "INSERT INTO meter VALUES(?,?,?,?)", 4);
    if (r < 0) {
        return r;
    }

    return copy_rows(from,
                     "SELECT n,boot_id,wall_ms,source,error_ms FROM epoch WHERE boot_id=?"
                     " OR n=(SELECT max(n) FROM epoch)", epoch->boot_id, to,
                     "INSERT INTO epoch VALUES(?,?,?,?,?)", 5);
}

static int fill(struct journal *journal, struct database *database, const struct epoch *epoch)
{
    auto_text struct text sql = {};
    int r;

    text_addf(&sql, schema, journal->writer.keep_words ? ", words TEXT" : "", JOURNAL_VERSION);
    text_addf(&sql, "INSERT INTO journal VALUES('%s');", journal->id);
    if (sql.failed) {
        return -ENOMEM;
    }

    r = database_run(database, text_string(&sql));
    if (r < 0) {
        return r;
    }

    r = copy_from_last(journal, database, epoch);
    if (r < 0) {
        return r;
    }

    r = epoch->number != 0 ? journal_segment_add_epoch(database, epoch) : 0;
    if (r >= 0) {
        r = journal_aside_add_event(journal, database, epoch->number);
    }
    if (r < 0) {
        return r;
    }

    for (unsigned i = 0; i < journal->writer.active_count; i++) {
        r = journal_segment_add_view(database, journal->writer.active[i]);
        if (r < 0) {
            return r;
        }
    }

    return 0;
}

/* Made aside and then renamed: a segment exists whole or not at all. */
static int make(struct journal *journal, const char *path, const struct epoch *epoch)
{
    struct database *database = NULL;
    int64_t busy = 0;
    int r;

    (void) unlink(path);
    r = database_open(path, DATABASE_CREATE, &database);
    if (r < 0) {
        return r;
    }

    // Small pages: each commit writes anew the page that is half full, those above it, and the first.
    r = database_run(database, "PRAGMA page_size=1024; PRAGMA journal_mode=WAL; BEGIN");
    if (r >= 0) {
        r = fill(journal, database, epoch);
    }
    if (r >= 0) {
        r = database_run(database, "COMMIT");
    }
    if (r >= 0) {
        // Closing would do it too, but could not say that there was no space.
        r = database_number(database, "PRAGMA wal_checkpoint(TRUNCATE)", &busy);
    }

    database_close(database);
    if (r < 0) {
        return r;
    }
    return busy ? -EAGAIN : 0;
}

/*
 * A new segment that cannot be used is taken away: the writer goes on in the one before, and no row of that may stand
 * behind the next one's name. Where this fails as well, nothing is added until the journal is opened again.
 */
static void take_back(struct journal *journal, uint64_t first)
{
    int r;

    if (!journal->writer.database) {
        return;  // it was to be the only one
    }
    r = segment_remove(journal->directory, first, ".db");
    if (r >= 0) {
        r = file_sync_directory(journal->directory);
    }
    journal->writer.stranded = r < 0;
}

int journal_segment_begin(struct journal *journal, uint64_t first, const struct epoch *epoch)
{
    char new_path[PATH_SIZE], path[PATH_SIZE];
    int r;

    r = journal_path(journal, first, ".new", new_path);
    if (r < 0) {
        return r;
    }

    r = journal_path(journal, first, ".db", path);
    if (r < 0) {
        return r;
    }

    r = make(journal, new_path, epoch);
    if (r < 0) {
        segment_remove_leftovers(journal->directory);
        return r;
    }

    if (rename(new_path, path) < 0) {
        return -errno;
    }

    r = file_sync_directory(journal->directory);
    if (r >= 0) {
        r = journal_segment_open(journal, first);
    }
    if (r < 0) {
        take_back(journal, first);
    }
    return r;
}

/* What the segment's tables say of where the journal is. Zeroes where they are empty. */
struct state {
    int64_t last_seq, last_event, last_epoch, last_meter, first_sample_ms, first_event_ms;
    bool has_words;
    char boot_id[JOURNAL_ID_SIZE];
};

static int read_state(struct database *database, struct state *ret)
{
    const struct {
        const char *sql;
        int64_t *ret;
    } numbers[] = {
        { "SELECT max(seq) FROM sample", &ret->last_seq },
        { "SELECT max(id) FROM event", &ret->last_event },
        { "SELECT max(n) FROM epoch", &ret->last_epoch },
        { "SELECT max(id) FROM meter", &ret->last_meter },
        { "SELECT boot_ms FROM sample ORDER BY seq LIMIT 1", &ret->first_sample_ms },
        { "SELECT boot_ms FROM event ORDER BY id LIMIT 1", &ret->first_event_ms },
    };
    auto_statement struct statement *statement = NULL;
    auto_statement struct statement *words = NULL;
    int r;

    *ret = (struct state){};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        r = database_number(database, numbers[i].sql, numbers[i].ret);
        if (r < 0) {
            return r;
        }
    }

    r = statement_new(database, "SELECT boot_id FROM epoch ORDER BY n DESC LIMIT 1", &statement);
    if (r < 0) {
        return r;
    }

    r = statement_step(statement);
    if (r < 0) {
        return r;
    }
    if (r == 0 ||
        text_copy(ret->boot_id, sizeof(ret->boot_id), statement_text(statement, 0)) < 0) {
        return -EBADMSG;
    }

    r = statement_new(database, "SELECT words FROM sample LIMIT 0", &words);
    if (r < 0 && r != -EBADMSG) {
        return r;
    }
    ret->has_words = r == 0;
    return 0;
}

/*
 * A segment without rows or events says nothing about the last one: those before it do. 1: one of them could not be
 * asked, and what it had is not known. A damaged old segment is the reader's trouble, not a reason to stop logging.
 */
static int ask_before(struct journal *journal, uint64_t first, const char *sql, int64_t *ret)
{
    const struct segments *segments = &journal->reader.segments;
    bool passed = false;
    int r;

    for (size_t i = segments->count; i > 0; i--) {
        auto_database struct database *database = NULL;

        if (segments->first[i - 1] >= first) {
            continue;
        }
        // to write: who only reads cannot take back what a killed writer left half done in it
        r = journal_database(journal, segments->first[i - 1], DATABASE_WRITE, &database);
        if (r >= 0) {
            r = database_number(database, sql, ret);
        }
        if (r == -ENOMEM) {
            return r;
        }
        if (r == 1) {
            break;
        }
        passed = passed || r < 0;
    }

    return passed;
}

/* read_state(), and where the tables are empty what the segments before say. */
static int settle_state(struct journal *journal, uint64_t first, struct database *database, struct state *ret)
{
    int r;

    r = read_state(database, ret);
    if (r < 0 || journal->writer.database) {
        return r;  // who has a segment open knows
    }

    if (ret->last_event == 0) {
        r = ask_before(journal, first, "SELECT max(id) FROM event", &ret->last_event);
        ret->last_event += r > 0 ? (int64_t) SEGMENT_BAD_ROWS : 0;  // no id is given twice
    }
    if (r >= 0 && ret->last_seq == 0) {
        r = ask_before(journal, first, "SELECT max(seq) FROM sample", &ret->last_seq);
    }
    return MIN(r, 0);
}

static void take_state(struct writer *writer, const struct state *state)
{
    writer->has_words = state->has_words;
    memcpy(writer->boot_id, state->boot_id, sizeof(writer->boot_id));
    writer->started = state->first_sample_ms || state->first_event_ms;
    writer->start_ms = (uint64_t) (state->first_sample_ms && state->first_event_ms
                                       ? MIN(state->first_sample_ms, state->first_event_ms)
                                       : MAX(state->first_sample_ms, state->first_event_ms));
    // A name is itself a promise: what was given before it is below it.
    writer->next_seq = MAX(writer->first, (uint64_t) state->last_seq + 1);
    writer->committed_seq = MAX(writer->committed_seq, (uint64_t) state->last_seq);
    writer->next_event = writer->committed_event = MAX(writer->next_event, state->last_event + 1);
    writer->next_epoch = MAX(writer->next_epoch, state->last_epoch + 1);
    writer->next_meter = MAX(writer->next_meter, state->last_meter + 1);
}

/* Ready to be appended to: in write-ahead mode, its statements made. */
static int prepare(const char *path, struct writer *ret)
{
    int r;

    r = database_open(path, DATABASE_WRITE, &ret->database);
    if (r >= 0) {
        r = database_keep_log(ret->database, true);  // before there is one: that it is gone shall mean something
    }
    if (r >= 0) {
        r = database_run(ret->database, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=4000");  // 4 MiB
    }
    if (r >= 0) {
        r = statement_new(ret->database, "BEGIN IMMEDIATE", &ret->begin);
    }
    if (r >= 0) {
        r = statement_new(ret->database, "COMMIT", &ret->commit);
    }
    if (r >= 0) {
        r = statement_new(ret->database, "INSERT INTO event VALUES(?,?,?,?,?)", &ret->event);
    }
    return r;
}

static void clear_prepared(struct writer *writer)
{
    statement_free(TAKE(writer->begin));
    statement_free(TAKE(writer->commit));
    statement_free(TAKE(writer->sample));
    statement_free(TAKE(writer->event));
    database_close(TAKE(writer->database));
}

void journal_segment_close(struct journal *journal)
{
    clear_prepared(&journal->writer);
}

/* Before SQLite has it open: it would fold its log into it. */
static int check_version(const char *path)
{
    uint32_t version;
    int r;

    r = segment_version(path, &version);
    if (r < 0) {
        return r;
    }

    return version == JOURNAL_VERSION ? 0 : -EBADMSG;
}

int journal_segment_look_at(struct journal *journal, uint64_t first)
{
    CLEANUP(clear_prepared) struct writer next = {};
    struct state state;
    char path[PATH_SIZE];
    int r;

    r = journal_path(journal, first, ".db", path);
    if (r >= 0) {
        r = check_version(path);
    }
    if (r >= 0) {
        r = database_open(path, DATABASE_WRITE, &next.database);
    }
    if (r >= 0) {
        r = journal_aside_check(next.database, path);
    }
    if (r >= 0) {
        r = settle_state(journal, first, next.database, &state);
    }
    if (r < 0) {
        return r;
    }

    journal->writer.database = TAKE(next.database);
    journal->writer.first = first;
    take_state(&journal->writer, &state);
    return 0;
}

int journal_segment_open(struct journal *journal, uint64_t first)
{
    CLEANUP(clear_prepared) struct writer next = {};
    struct writer *writer = &journal->writer;
    const bool begun = writer->database;  // by us, in this moment, or else found
    enum segment_log log = SEGMENT_LOG_SOUND;
    struct state state;
    char path[PATH_SIZE];
    int r;

    r = journal_path(journal, first, ".db", path);
    if (r >= 0) {
        r = check_version(path);
    }
    if (r >= 0 && !begun) {
        r = journal_aside_look_at_log(journal, first, path, &log);
    }
    if (r >= 0) {
        r = prepare(path, &next);
    }
    if (r >= 0 && !begun) {
        r = journal_aside_check(next.database, path);
    }
    if (r >= 0) {
        r = settle_state(journal, first, next.database, &state);
    }
    if (r >= 0 && (uint64_t) state.last_seq >= first + SEGMENT_BOOT_ROWS) {
        r = -EBADMSG;  // a number that no boot comes to: the page is damaged
    }
    if (r >= 0) {
        r = statement_new(next.database, state.has_words ? "INSERT INTO sample VALUES(?,?,?,?,?,?,?)"
                                                         : "INSERT INTO sample VALUES(?,?,?,?,?,?)", &next.sample);
    }
    if (r < 0) {
        return r;
    }

    clear_prepared(writer);
    writer->database = TAKE(next.database);
    writer->begin = TAKE(next.begin);
    writer->commit = TAKE(next.commit);
    writer->sample = TAKE(next.sample);
    writer->event = TAKE(next.event);
    writer->first = first;
    take_state(writer, &state);
    return begun ? 0 : journal_aside_judge_log(journal, log);
}
