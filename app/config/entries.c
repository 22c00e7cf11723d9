/* SPDX-License-Identifier: MIT */
#include "app/config/entries.h"

#include "app/config/closed.h"

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

/* FNV-1a, with a byte between the words that none of them holds. */
static unsigned hash_words(const struct ini_entry *said)
{
    const char *const words[] = { said->kind, said->name, said->key ? said->key : "" };
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        for (const char *c = words[i]; *c; c++) {
            hash = (hash ^ (uint8_t) *c) * 16777619u;
        }
        hash = (hash ^ 0xFF) * 16777619u;
    }
    return hash;
}

static struct entry *find(const struct entries *entries, const struct ini_entry *wanted)
{
    unsigned hash = hash_words(wanted);

    for (size_t i = 0; i < entries->count; i++) {
        struct entry *entry = &entries->list[i];

        if (entry->hash == hash && text_equal(entry->kind, wanted->kind) && text_equal(entry->name, wanted->name)
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

/* An adopted entry never takes the place of one that it may not change: both stand then, and it is refused later. */
static bool may_replace(const struct entries *entries, const struct entry *entry, const struct ini_entry *said)
{
    return !entries->adopted || entry->adopted || !said->key
           || !closed_refuses(&(struct entry){ .kind = said->kind, .name = said->name, .key = said->key,
                                               .value = said->value });
}

/* What the INI reader found; the last file to say a thing wins, saying it twice in one is a mistake. */
static void take(const struct ini_entry *said, void *data)
{
    struct entries *entries = data;
    struct entry *entry = find(entries, said);

    if (entry && !may_replace(entries, entry, said)) {
        entry = NULL;
    }

    if (*said->kind == '\0') {
        problems_add(entries->problems, said->file, said->line, "'%s' stands before the first [section]", said->key);
        return;
    }
    if (entry && said->key && entry->adopted == entries->adopted && text_equal(entry->file, said->file)) {
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
        entry->hash = hash_words(said);
        entry->kind = copy(entries, said->kind);
        entry->name = copy(entries, said->name);
        entry->key = said->key ? copy(entries, said->key) : NULL;
    }
    entry->value = said->value ? copy(entries, said->value) : NULL;
    entry->file = copy(entries, said->file);
    entry->line = said->line;
    entry->adopted = entries->adopted;
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
