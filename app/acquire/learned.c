/* SPDX-License-Identifier: MIT */
#include "app/acquire/learned.h"

#include "app/base/file.h"
#include "app/base/limits.h"
#include "app/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define FIRST_LINE "meterstick learned 1"

struct entry {
    char meter[METER_ID_SIZE];
    char *words;        // NULL: none
    bool wanted;        // the meter is in the configuration
};

struct learned {
    char path[PATH_SIZE];
    pthread_mutex_t mutex;
    struct entry *entries;
    unsigned count;
    bool changed;
    bool written;               // in this run
    uint64_t written_us;
    bool failing;
};

/* The entry of a meter, made if there is none. NULL: no memory, or there are too many. */
static struct entry *find(struct learned *learned, const char *meter)
{
    struct entry *entries;

    for (unsigned i = 0; i < learned->count; i++) {
        if (text_equal(learned->entries[i].meter, meter)) {
            return &learned->entries[i];
        }
    }
    if (learned->count == MAX_METERS) {
        return NULL;
    }
    entries = realloc(learned->entries, (learned->count + 1) * sizeof(*entries));
    if (!entries) {
        return NULL;
    }
    learned->entries = entries;
    entries[learned->count] = (struct entry){ 0 };
    if (text_copy(entries[learned->count].meter, METER_ID_SIZE, meter) < 0) {
        return NULL;
    }
    return &entries[learned->count++];
}

static void forget_all(struct learned *learned)
{
    for (unsigned i = 0; i < learned->count; i++) {
        free(learned->entries[i].words);
    }
    learned->count = 0;
}

/* "NAME WORDS..." Errors: -EBADMSG, -ENOMEM */
static int take_line(struct learned *learned, char *line)
{
    char *rest = line;
    const char *meter = text_word(&rest), *words = text_trim(rest);
    struct entry *entry;

    if (!text_is_name(meter) || *words == '\0' || strlen(words) >= LEARNED_WORDS_SIZE) {
        return -EBADMSG;
    }
    entry = find(learned, meter);
    if (!entry || entry->words) {
        return -EBADMSG;  // twice the same name
    }
    entry->words = strdup(words);
    return entry->words ? 0 : -ENOMEM;
}

static int take_file(struct learned *learned, char *text, size_t size)
{
    char *rest = text, *line;

    if (memchr(text, '\0', size) || !text_is_utf8(text, size)) {
        return -EBADMSG;
    }
    line = strsep(&rest, "\n");
    if (!text_equal(line, FIRST_LINE) || !rest) {
        return -EBADMSG;
    }
    while ((line = strsep(&rest, "\n")) && (*line || rest)) {
        int r = take_line(learned, line);

        if (r < 0) {
            return r;
        }
    }
    return line ? 0 : -EBADMSG;  // the last line has its end, or the file was cut off
}

static void load(struct learned *learned)
{
    auto_free char *text = NULL;
    size_t size;
    int r;

    r = file_read(learned->path, LEARNED_FILE_SIZE, &text, &size);
    if (r == 0) {
        r = take_file(learned, text, size);
    }
    if (r < 0 && r != -ENOENT) {
        forget_all(learned);
        log_warning("%s cannot be used: %s; what the meters refuse is learned anew", learned->path,
                    r == -EBADMSG ? "it is damaged, or of another program" : strerror(-r));
    }
}

int learned_open(const char *state_dir, bool read, struct learned **ret)
{
    struct learned *learned = calloc(1, sizeof(*learned));
    int r;

    if (!learned) {
        return -ENOMEM;
    }
    (void) pthread_mutex_init(&learned->mutex, NULL);
    r = file_path(learned->path, sizeof(learned->path), state_dir, "learned");
    if (r < 0) {
        learned_close(learned);
        return r;
    }
    if (read) {
        load(learned);
    }

    *ret = learned;
    return 0;
}

void learned_close(struct learned *learned)
{
    if (!learned) {
        return;
    }
    forget_all(learned);
    free(learned->entries);
    (void) pthread_mutex_destroy(&learned->mutex);
    free(learned);
}

void learned_get(struct learned *learned, const char *meter, struct text *ret)
{
    struct entry *entry;

    text_reset(ret);
    (void) pthread_mutex_lock(&learned->mutex);
    entry = find(learned, meter);
    if (entry) {
        entry->wanted = true;
        text_add(ret, entry->words ? entry->words : "");
    }
    (void) pthread_mutex_unlock(&learned->mutex);
}

void learned_put(struct learned *learned, const char *meter, const char *words)
{
    bool some = *words && strlen(words) < LEARNED_WORDS_SIZE;
    struct entry *entry;

    (void) pthread_mutex_lock(&learned->mutex);
    entry = find(learned, meter);
    if (entry && !text_equal(entry->words ? entry->words : "", some ? words : "")) {
        free(entry->words);
        entry->words = some ? strdup(words) : NULL;
        learned->changed = true;
    }
    if (entry) {
        entry->wanted = true;
    }
    (void) pthread_mutex_unlock(&learned->mutex);
}

/* What is to be written, if anything is and it is time to. */
static bool take_text(struct learned *learned, uint64_t now_us, struct text *ret)
{
    if (!learned->changed || (learned->written && now_us - learned->written_us < LEARNED_EACH_US)) {
        return false;
    }
    learned->written = true;
    learned->written_us = now_us;
    text_add(ret, FIRST_LINE "\n");
    for (unsigned i = 0; i < learned->count; i++) {
        const struct entry *entry = &learned->entries[i];

        if (entry->wanted && entry->words
            && ret->size + strlen(entry->words) + METER_ID_SIZE + 2 < LEARNED_FILE_SIZE) {
            text_addf(ret, "%s %s\n", entry->meter, entry->words);
        }
    }
    learned->changed = ret->failed;
    return !ret->failed;
}

void learned_save(struct learned *learned, uint64_t now_us)
{
    auto_text struct text text = { 0 };
    bool due;
    int r;

    (void) pthread_mutex_lock(&learned->mutex);
    due = take_text(learned, now_us, &text);
    (void) pthread_mutex_unlock(&learned->mutex);
    if (!due) {
        return;
    }

    r = file_replace(learned->path, text.data, text.size, 0644, true);
    (void) pthread_mutex_lock(&learned->mutex);
    learned->changed |= r < 0;
    (void) pthread_mutex_unlock(&learned->mutex);
    if (r < 0 && !learned->failing) {
        log_warning("%s cannot be written: %s; what the meters refuse would be learned anew after a restart",
                    learned->path, strerror(-r));
    }
    learned->failing = r < 0;
}
