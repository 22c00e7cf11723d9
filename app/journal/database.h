/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The thin layer over SQLite: database.c is the only file that knows the library, sets what we want of it (durable,
 * small) and translates its errors into ours. A database and its statements are used by one thread.
 *
 * Errors of all functions that return int:
 *   -EBADMSG  damaged, or not what it should be     -EAGAIN  somebody else is just changing it
 *   -ENOSPC -EROFS -EACCES -ENOENT -EIO -ENOMEM     as the system calls underneath said
 */

#include "app/base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum database_mode {
    DATABASE_CREATE,  // make it if it is not there
    DATABASE_WRITE,
    DATABASE_READ,    // what cannot be opened now gives -EAGAIN: its writer may be half way
    DATABASE_LOOK,    // as it stands in the file, whatever its log says: nobody writes it
};

struct database;
struct statement;

#define auto_database  CLEANUP(database_closep)
#define auto_statement CLEANUP(statement_freep)

int database_open(const char *path, enum database_mode mode, struct database **ret) MUST_CHECK;
void database_close(struct database *database);  // statements are freed before
void database_closep(struct database **database);

/* One or more statements without results. */
int database_run(struct database *database, const char *sql) MUST_CHECK;

/* The first number of the first row; *ret is untouched if there is no row or it is NULL. Returns 1 if there is one. */
int database_number(struct database *database, const char *sql, int64_t *ret) MUST_CHECK;

/* Whether a transaction is open: SQLite ends one by itself on some errors. */
bool database_in_transaction(const struct database *database);

/* Whether SQLite has said so of anything that was done with it. */
bool database_is_damaged(const struct database *database);

/* Look at every page. -EBADMSG: damaged */
int database_check(struct database *database) MUST_CHECK;

/* Whether the write-ahead log stays when the last connection closes. */
int database_keep_log(struct database *database, bool keep) MUST_CHECK;

/* Fold the write-ahead log into the file and do without one from now on. -EAGAIN while anybody reads. */
int database_seal(struct database *database) MUST_CHECK;

int statement_new(struct database *database, const char *sql, struct statement **ret) MUST_CHECK;
void statement_free(struct statement *statement);
void statement_freep(struct statement **statement);

/* Parameters count from 1. Texts must live until the statement is reset or run to its end. */
void statement_set_number(struct statement *statement, int index, int64_t value);
void statement_set_text(struct statement *statement, int index, const char *text, size_t size);

/* 1: a row; 0: done, and reset */
int statement_step(struct statement *statement) MUST_CHECK;

/* Run one that gives no rows. Always reset afterwards. */
int statement_run(struct statement *statement) MUST_CHECK;
void statement_reset(struct statement *statement);

/* Columns count from 0. A text is valid until the next step; NULL gives "". */
int64_t statement_number(struct statement *statement, int column);
const char *statement_text(struct statement *statement, int column);
