/* SPDX-License-Identifier: MIT */
#include "app/config/entries.h"

#include <errno.h>
#include <string.h>

#define ENTRIES_MAX 50000  // 1000 meters with 50 keys each

void entries_init(struct entries *entries, struct pool *memory, struct problems *problems)
{
    *entries = (struct entries){ .memory = memory, .problems = problems };
}

void entries_clear(struct entries *entries)
{
    free(entries->list);
    entries->list = NULL;
}

static struct entry *find(const struct entries *entries, const struct ini_entry *wanted)
{
    for (size_t i = 0; i < entries->count; i++) {
        struct entry *entry = &entries->list[i];

        if (text_equal(entry->kind, wanted->kind) && text_equal(entry->name, wanted->name)
            && (entry->key == NULL) == (wanted->key == NULL)
            && (!entry->key || text_equal(entry->key, wanted->key))) {
            return entry;
        }
    }
    return NULL;
}

static struct entry *append(struct entries *entries)
{
    if (entries->count == entries->capacity) {
        size_t capacity = MAX(entries->capacity * 2, (size_t) 64);
        struct entry *more = entries->count < ENTRIES_MAX
                                 ? reallocarray(entries->list, capacity, sizeof(*more)) : NULL;

        if (!more) {
            entries->failed = entries->count < ENTRIES_MAX;
            return NULL;
        }
        entries->list = more;
        entries->capacity = capacity;
    }
    entries->list[entries->count] = (struct entry){ 0 };
    return &entries->list[entries->count++];
}

/* A copy; "" and `failed`, where there is no memory. */
static const char *copy(struct entries *entries, const char *string)
{
    const char *result = pool_string(entries->memory, string);

    entries->failed = entries->failed || !result;
    return result ? result : "";
}

/* What the INI reader found; the last file to say a thing wins, saying it twice in one is a mistake. */
static void take(const struct ini_entry *said, void *data)
{
    struct entries *entries = data;
    struct entry *entry = find(entries, said);

    if (*said->kind == '\0') {
        problems_add(entries->problems, said->file, said->line, "'%s' stands before the first [section]", said->key);
        return;
    }
    if (entry && said->key && text_equal(entry->file, said->file)) {
        problems_add(entries->problems, said->file, said->line, "'%s' stands twice in [%s%s%s]; first in line %u",
                     said->key, said->kind, *said->name ? " " : "", said->name, entry->line);
        return;
    }
    if (entry && !said->key) {
        return;  // a section goes on, here or in a later file
    }
    if (!entry) {
        entry = append(entries);
        if (!entry) {
            problems_add(entries->problems, said->file, said->line, "more than %d entries", ENTRIES_MAX);
            return;
        }
        entry->kind = copy(entries, said->kind);
        entry->name = copy(entries, said->name);
        entry->key = said->key ? copy(entries, said->key) : NULL;
    }
    entry->value = said->value ? copy(entries, said->value) : NULL;
    entry->file = copy(entries, said->file);
    entry->line = said->line;
}

int entries_read_text(struct entries *entries, const char *name, const char *text, size_t size)
{
    return ini_read_text(name, text, size, take, entries, entries->problems);
}

/* The first entry of each section writes the whole section. */
void entries_write(const struct entries *entries, struct text *ret)
{
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *first = &entries->list[i];
        bool written = false;

        for (size_t j = 0; j < i && !written; j++) {
            written = text_equal(entries->list[j].kind, first->kind)
                      && text_equal(entries->list[j].name, first->name);
        }
        if (written) {
            continue;
        }
        text_addf(ret, "%s[%s%s%s]\n", ret->size > 0 ? "\n" : "", first->kind, *first->name ? " " : "",
                  first->name);
        for (size_t j = i; j < entries->count; j++) {
            const struct entry *entry = &entries->list[j];

            if (entry->key && text_equal(entry->kind, first->kind) && text_equal(entry->name, first->name)) {
                text_addf(ret, "%s = %s\n", entry->key, entry->value);
            }
        }
    }
}
