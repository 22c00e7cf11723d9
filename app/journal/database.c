/* SPDX-License-Identifier: MIT */

#include "app/journal/database.h"

#include "app/base/limits.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

/* What the whole library may keep: pages of the newest segment's right edge, a batch of readers. */
#define HEAP_SOFT_LIMIT (1024 * 1024)

/* An opener of a sealed segment waits for another's few milliseconds, never longer. */
#define WRITER_PATIENCE_MS 500

/*
 * durable: each commit is synced (WAL with NORMAL lost up to 13 acknowledged commits at a power cut)
 * small: 32 pages, a commit of 79 meters touches three; no mapping, since a mapped file that vanishes with its
 *     card is a SIGBUS
 */
static const char settings[] = "PRAGMA synchronous=FULL;"
                               "PRAGMA cache_size=-128;"
                               "PRAGMA mmap_size=0;"
                               "PRAGMA temp_store=MEMORY;"
                               "PRAGMA secure_delete=OFF;"
                               "PRAGMA trusted_schema=OFF;"
                               "PRAGMA journal_size_limit=8388608;";

struct database {
    sqlite3 *sqlite;
    bool reads_only;
    bool damaged;
};

struct statement {
    sqlite3_stmt *sqlite;
    struct database *database;
};

/* What the system call underneath said, if it did; else the given one. */
static int system_error(sqlite3 *sqlite, int otherwise)
{
    int error = sqlite ? sqlite3_system_errno(sqlite) : 0;

    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return -ENOSPC;
    case EROFS:
    case EACCES:
    case ENOENT:
    case ENOTDIR:
        return -error;
    }

    return otherwise;
}

/* A library's result as ours. Not static int from sqlite3_errcode(): the result of the call is what counts. */
static int translate(struct database *database, int result)
{
    database->damaged |= (result & 0xff) == SQLITE_CORRUPT || (result & 0xff) == SQLITE_NOTADB;
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
        return 0;
    case SQLITE_ROW:
        return 1;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_SCHEMA:
        return -EAGAIN;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_READONLY:
        return database->reads_only ? -EAGAIN : -EROFS;
    case SQLITE_CANTOPEN:
        return database->reads_only ? -EAGAIN : system_error(database->sqlite, -EIO);
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EACCES;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_ERROR:       // a table that is not there: not one of our segments
    case SQLITE_CONSTRAINT:  // a seq that is already there
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
        return -EBADMSG;
    }

    return system_error(database->sqlite, -EIO);
}

/* A path as a name of SQLite's: with a parameter, so that some characters stand for themselves no more. */
static const char *still_name(const char *path, char ret[static PATH_SIZE * 3 + 32])
{
    size_t n = (size_t) sprintf(ret, "file:");

    for (; *path && n < PATH_SIZE * 3; path++) {
        n += (size_t) sprintf(ret + n, strchr("%?#", *path) ? "%%%02x" : "%c", (unsigned char) *path);
    }
    (void) sprintf(ret + n, "?immutable=1");
    return ret;
}

int database_open(const char *path, enum database_mode mode, struct database **ret)
{
    static const int flags[] = {
        [DATABASE_CREATE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
        [DATABASE_WRITE] = SQLITE_OPEN_READWRITE,
        [DATABASE_READ] = SQLITE_OPEN_READONLY,
        [DATABASE_LOOK] = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
    };
    char name[PATH_SIZE * 3 + 32];
    auto_database struct database *database = NULL;
    int r;

    (void) sqlite3_soft_heap_limit64(HEAP_SOFT_LIMIT);  // a hint: nothing depends on it

    database = calloc(1, sizeof(*database));
    if (!database) {
        return -ENOMEM;
    }
    database->reads_only = mode == DATABASE_READ || mode == DATABASE_LOOK;

    r = sqlite3_open_v2(mode == DATABASE_LOOK ? still_name(path, name) : path, &database->sqlite,
                        flags[mode] | SQLITE_OPEN_NOMUTEX, NULL);
    if (r != SQLITE_OK) {
        return translate(database, r);
    }

    (void) sqlite3_extended_result_codes(database->sqlite, 1);
    (void) sqlite3_db_config(database->sqlite, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
    (void) sqlite3_busy_timeout(database->sqlite, database->reads_only ? 0 : WRITER_PATIENCE_MS);

    r = database_run(database, settings);
    if (r < 0) {
        return r;
    }

    *ret = TAKE(database);
    return 0;
}

void database_close(struct database *database)
{
    if (database) {
        int r = sqlite3_close(database->sqlite);

        assert(r == SQLITE_OK);  // a statement was left: our own fault
        free(database);
    }
}

void database_closep(struct database **database)
{
    database_close(*database);
}

int database_run(struct database *database, const char *sql)
{
    return translate(database, sqlite3_exec(database->sqlite, sql, NULL, NULL, NULL));
}

int database_number(struct database *database, const char *sql, int64_t *ret)
{
    auto_statement struct statement *statement = NULL;
    int r;

    r = statement_new(database, sql, &statement);
    if (r < 0) {
        return r;
    }

    r = statement_step(statement);
    if (r <= 0) {
        return r;
    }
    if (sqlite3_column_type(statement->sqlite, 0) == SQLITE_NULL) {
        return 0;
    }

    *ret = statement_number(statement, 0);
    return 1;
}

bool database_in_transaction(const struct database *database)
{
    return !sqlite3_get_autocommit(database->sqlite);
}

bool database_is_damaged(const struct database *database)
{
    return database->damaged;
}

/* "unable to get the page. error code=7": memory or the card failed just now, which says nothing of the file. */
static int check_error(const char *text)
{
    const char *code = strstr(text, "error code=");

    switch (code ? (int) strtol(code + strlen("error code="), NULL, 10) & 0xff : 0) {
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_IOERR:
        return -EIO;
    default:
        return -EBADMSG;
    }
}

static int check_once(struct database *database)
{
    auto_statement struct statement *statement = NULL;
    int r;

    r = statement_new(database, "PRAGMA quick_check(1)", &statement);
    if (r < 0) {
        return r;
    }

    r = statement_step(statement);
    if (r < 0) {
        return r;
    }
    if (r == 0) {
        return -EBADMSG;
    }
    return sqlite3_stricmp(statement_text(statement, 0), "ok") == 0 ? 0 : check_error(statement_text(statement, 0));
}

/* What it says for want of memory is not always to be known from damage; so a bad answer needs another. */
int database_check(struct database *database)
{
    int r = check_once(database);

    return r == -EBADMSG ? check_once(database) : r;
}

int database_keep_log(struct database *database, bool keep)
{
    int value = keep;

    return translate(database, sqlite3_file_control(database->sqlite, "main", SQLITE_FCNTL_PERSIST_WAL, &value));
}

int database_seal(struct database *database)
{
    auto_statement struct statement *statement = NULL;
    int r;

    r = database_keep_log(database, false);
    if (r < 0) {
        return r;
    }

    // In WAL mode every open connection holds a lock, so this answers BUSY, or the old mode, while one is there.
    r = statement_new(database, "PRAGMA journal_mode=DELETE", &statement);
    if (r < 0) {
        return r;
    }

    r = statement_step(statement);
    if (r < 0) {
        return r;
    }

    return sqlite3_stricmp(statement_text(statement, 0), "delete") == 0 ? 0 : -EAGAIN;
}

int statement_new(struct database *database, const char *sql, struct statement **ret)
{
    auto_statement struct statement *statement = NULL;
    int r;

    statement = calloc(1, sizeof(*statement));
    if (!statement) {
        return -ENOMEM;
    }
    statement->database = database;

    r = sqlite3_prepare_v3(database->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement->sqlite, NULL);
    if (r != SQLITE_OK) {
        return translate(database, r);
    }

    *ret = TAKE(statement);
    return 0;
}

void statement_free(struct statement *statement)
{
    if (statement) {
        (void) sqlite3_finalize(statement->sqlite);  // repeats the error of the last step
        free(statement);
    }
}

void statement_freep(struct statement **statement)
{
    statement_free(*statement);
}

void statement_set_number(struct statement *statement, int index, int64_t value)
{
    int r = sqlite3_bind_int64(statement->sqlite, index, value);

    assert(r == SQLITE_OK);  // a wrong index or a statement in mid-run: our own fault
}

void statement_set_text(struct statement *statement, int index, const char *text, size_t size)
{
    int r = sqlite3_bind_text64(statement->sqlite, index, text, size, SQLITE_STATIC, SQLITE_UTF8);

    assert(r == SQLITE_OK);
}

int statement_step(struct statement *statement)
{
    int r;

    assert(statement);
    r = sqlite3_step(statement->sqlite);

    if (r != SQLITE_ROW) {
        (void) sqlite3_reset(statement->sqlite);  // the result is that of the step
    }

    return translate(statement->database, r);
}

int statement_run(struct statement *statement)
{
    int r = statement_step(statement);

    statement_reset(statement);
    return MIN(r, 0);
}

void statement_reset(struct statement *statement)
{
    (void) sqlite3_reset(statement->sqlite);
}

int64_t statement_number(struct statement *statement, int column)
{
    return sqlite3_column_int64(statement->sqlite, column);
}

const char *statement_text(struct statement *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement->sqlite, column);

    return text ? (const char *) text : "";
}
