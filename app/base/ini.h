/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * INI files as people write them in any editor: BOM, CRLF, Tabs, comments (# or ; at the start of a line,
 * # after white space), one key = value a line. Refused with the line: UTF-16, NUL bytes, invalid UTF-8,
 * a line over MAX_LINE_SIZE, a bad section header, a line that is neither.
 *
 * A section named "points" is a table: its lines come whole, with the key "".
 */

#include "app/base/problems.h"

struct ini_entry {
    const char *file;
    unsigned line;
    const char *kind;   // "meter" of [meter kitchen], "" before the first section
    const char *name;   // "kitchen", "" for a section without a name
    const char *key;    // "" for a line of a table
    const char *value;  // trimmed; may be ""
};

/*
 * Called for each entry, in order. What it finds wrong it adds to the problems. Strings are valid only
 * during the call. Each section's header is told first, with key NULL and value NULL.
 */
typedef void ini_entry_handler(const struct ini_entry *entry, void *data);

/*
 * Read a file. Problems name the file as `name`.
 *
 * Errors: what open and read give (-ENOENT, -EACCES, ...), nothing added to the problems;
 *         -EINVAL  the text is at fault: problems say where. The handler may have run before.
 */
int ini_read(const char *path, ini_entry_handler *handler, void *data, struct problems *problems) MUST_CHECK;

/* The same for text in memory. */
int ini_read_text(const char *name, const char *text, size_t size, ini_entry_handler *handler, void *data,
                  struct problems *problems) MUST_CHECK;
