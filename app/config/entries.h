/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Everything that the configuration files say, before it means anything: later files win key by key.
 */

#include "app/base/ini.h"
#include "app/base/pool.h"

struct entry {
    const char *kind;    // of the section: "meter"
    const char *name;    // "kitchen", ""
    const char *key;     // NULL: the section alone
    const char *value;
    const char *file;
    unsigned line;
    unsigned hash;       // of kind, name and key: a stick may bring 20000 lines
    bool adopted;        // from a stick or a scan: not all of it is taken
};

struct entries {
    struct pool *memory;
    struct entry *list;  // in the order of their first appearance
    size_t count, capacity;
    struct problems *problems;
    bool adopted;        // what is read from now on is
    bool failed;         // no memory: some are missing
};

void entries_init(struct entries *entries, struct pool *memory, struct problems *problems);
void entries_clear(struct entries *entries);

/* Add what a file says. Errors: as ini_read_text() */
int entries_read_text(struct entries *entries, const char *name, const char *text, size_t size) MUST_CHECK;

/* All of it as one file. */
void entries_write(const struct entries *entries, struct text *ret);
