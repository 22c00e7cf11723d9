/* SPDX-License-Identifier: MIT */
#include "app/base/ini.h"

#include "app/base/file.h"
#include "app/base/limits.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

/*
 * libinih splits the lines. What it lets pass is caught before, in the reader that hands them over: it knows no line
 * numbers, cuts long lines, keys (49 bytes) and headers silently, and files the keys after a bad header under the
 * section before.
 */
#define LIBRARY_NAME_MAX 49

struct reading {
    const char *file;
    const char *rest;           // of the text
    const char *end;
    unsigned line;              // the one handed over last
    bool in_table;
    bool skipping;              // behind a bad header: its keys are nobody's
    char kind[LIBRARY_NAME_MAX + 1];
    char name[LIBRARY_NAME_MAX + 1];
    ini_entry_handler *handler;
    void *data;
    struct problems *problems;
    char buffer[MAX_LINE_SIZE + 8];
};

static void tell(struct reading *reading, const char *key, const char *value)
{
    const struct ini_entry entry = {
        .file = reading->file,
        .line = reading->line,
        .kind = reading->kind,
        .name = reading->name,
        .key = key,
        .value = value,
    };

    reading->handler(&entry, reading->data);
}

/* Cut a comment off: # at the start or after white space. ; only at the start, since values may have it. */
static void cut_comment(char *line)
{
    for (char *c = line; *c; c++) {
        if (*c == '#' && (c == line || isspace((unsigned char) c[-1]))) {
            *c = '\0';
            return;
        }
    }
    if (*line == ';') {
        *line = '\0';
    }
}

/* [kind] or [kind name]. Everything until the next header is skipped if it is neither. */
static void read_header(struct reading *reading, char *line)
{
    size_t length = strlen(line);
    char whole[LIBRARY_NAME_MAX + 1];
    char *rest = line + 1;
    char *kind, *name;

    reading->skipping = true;
    reading->in_table = false;
    if (line[length - 1] != ']' || length > LIBRARY_NAME_MAX) {
        problems_add(reading->problems, reading->file, reading->line,
                     "bad section header '%.60s': it is written [kind] or [kind name]; its keys are ignored", line);
        return;
    }

    (void) snprintf(whole, sizeof(whole), "%s", line);
    line[length - 1] = '\0';
    kind = text_word(&rest);
    name = text_trim(rest);
    if (*kind == '\0' || strpbrk(kind, "[]") || strpbrk(name, "[] \t")) {
        problems_add(reading->problems, reading->file, reading->line,
                     "bad section header '%s': a name is one word; its keys are ignored", whole);
        return;
    }
    (void) snprintf(reading->kind, sizeof(reading->kind), "%s", kind);
    (void) snprintf(reading->name, sizeof(reading->name), "%s", name);
    reading->in_table = text_equal(kind, "points");
    reading->skipping = false;
    tell(reading, NULL, NULL);
}

/* Whether a line is key = value as the library can take it; says why not. */
static bool is_entry(struct reading *reading, const char *line)
{
    size_t key_length = strcspn(line, "=:");

    if (line[key_length] != '=') {
        problems_add(reading->problems, reading->file, reading->line,
                     "'%.60s' is neither key = value nor [section] nor # comment", line);
        return false;
    }
    while (key_length > 0 && isspace((unsigned char) line[key_length - 1])) {
        key_length--;
    }
    if (key_length == 0) {
        problems_add(reading->problems, reading->file, reading->line, "'%.60s' has no key before the =", line);
        return false;
    }
    if (key_length > LIBRARY_NAME_MAX) {
        problems_add(reading->problems, reading->file, reading->line, "'%.60s': a key has at most %d bytes", line,
                     LIBRARY_NAME_MAX);
        return false;
    }
    return true;
}

/* Take the next raw line into the buffer. false: what it holds is unreadable, and was said. */
static bool take_line(struct reading *reading)
{
    const char *newline = memchr(reading->rest, '\n', (size_t) (reading->end - reading->rest));
    const char *end = newline ? newline : reading->end;
    size_t length = (size_t) (end - reading->rest);
    const char *start = reading->rest;

    reading->rest = newline ? newline + 1 : reading->end;
    reading->line++;
    reading->buffer[0] = '\0';
    if (length > MAX_LINE_SIZE) {
        problems_add(reading->problems, reading->file, reading->line,
                     "a line of %zu bytes; at most %d are allowed", length, MAX_LINE_SIZE);
        return false;
    }
    if (memchr(start, '\0', length)) {
        problems_add(reading->problems, reading->file, reading->line, "a NUL byte; this is no text file");
        return false;
    }
    if (!text_is_utf8(start, length)) {
        problems_add(reading->problems, reading->file, reading->line,
                     "bytes that are not UTF-8; save the file as UTF-8");
        return false;
    }
    memcpy(reading->buffer, start, length);
    reading->buffer[length] = '\0';
    return true;
}

/* The library's fgets: the next line that it can take as it is. */
static char *next_line(char *ret, int size, void *data)
{
    struct reading *reading = data;

    while (reading->rest < reading->end) {
        char *line;

        if (!take_line(reading)) {
            continue;
        }
        cut_comment(reading->buffer);
        line = text_trim(reading->buffer);
        if (*line == '\0') {
            continue;
        }
        if (*line == '[') {
            read_header(reading, line);
            continue;
        }
        if (reading->skipping) {
            continue;
        }
        if (reading->in_table) {
            tell(reading, "", line);
            continue;
        }
        if (is_entry(reading, line)) {
            (void) snprintf(ret, (size_t) size, "%s\n", line);
            return ret;
        }
    }
    return NULL;
}

static int take_entry(void *data, const char *section, const char *key, const char *value)
{
    (void) section;  // ours are kept by read_header(), which knows the lines
    tell(data, key, value);
    return 1;
}

/* UTF-16 is what an editor writes that was told "Unicode". */
static bool is_utf16(const char *text, size_t size)
{
    return size >= 2
           && ((text[0] == '\xFF' && text[1] == '\xFE') || (text[0] == '\xFE' && text[1] == '\xFF'));
}

int ini_read_text(const char *name, const char *text, size_t size, ini_entry_handler *handler, void *data,
                  struct problems *problems)
{
    auto_free struct reading *reading = calloc(1, sizeof(*reading));
    unsigned before = problems->count;

    if (!reading) {
        return -ENOMEM;
    }
    if (is_utf16(text, size)) {
        problems_add(problems, name, 1, "UTF-16 text; save the file as UTF-8");
        return -EINVAL;
    }
    if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        size -= 3;
    }

    *reading = (struct reading){ .file = name, .rest = text, .end = text + size, .handler = handler,
                                 .data = data, .problems = problems };
    // settings of the library that Debian's build leaves to run time
    ini_use_stack = false;
    ini_max_line = MAX_LINE_SIZE + 8;
    ini_initial_alloc = MAX_LINE_SIZE + 8;
    ini_allow_multiline = false;
    ini_allow_inline_comments = false;
    if (ini_parse_stream(next_line, reading, take_entry, reading) < 0) {
        return -ENOMEM;
    }
    return problems->count > before ? -EINVAL : 0;
}

int ini_read(const char *path, ini_entry_handler *handler, void *data, struct problems *problems)
{
    auto_free char *text = NULL;
    size_t size;
    int r;

    r = file_read(path, MAX_FILE_SIZE, &text, &size);
    if (r == -EFBIG) {
        problems_add(problems, path, 0, "larger than 1 MiB; this is no configuration");
        return -EINVAL;
    }
    if (r < 0) {
        return r;
    }
    return ini_read_text(path, text, size, handler, data, problems);
}
