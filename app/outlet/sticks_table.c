/* SPDX-License-Identifier: MIT */

#include "app/outlet/sticks_table.h"

#include "app/base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SIBLINGS_MS UINT64_C(5000)  // so long a refused volume waits for what the others of its disk say

/* --- who is in --- */

/* The very same device, not just one that looks the same. */
static bool is_same_device(const struct block_volume *a, const struct block_volume *b)
{
    return text_equal(a->node, b->node) && a->major == b->major && a->minor == b->minor && a->sequence == b->sequence &&
           a->size_bytes == b->size_bytes && text_equal(a->serial, b->serial) && text_equal(a->port, b->port);
}

/* The same stick in the same socket, be it as another device. */
static bool is_same_stick(const struct block_volume *a, const struct block_volume *b)
{
    return text_equal(a->port, b->port) && a->unit == b->unit && a->partition == b->partition &&
           text_equal(a->serial, b->serial) && a->size_bytes == b->size_bytes;
}

static bool is_same_disk(const struct sticks_entry *a, const struct sticks_entry *b)
{
    return text_equal(a->volume.disk, b->volume.disk) && text_equal(a->volume.port, b->volume.port) &&
           a->volume.sequence == b->volume.sequence;
}

static const struct block_volume *find_device(const struct block_volume *volumes, size_t count,
                                              const struct block_volume *volume)
{
    for (size_t i = 0; i < count; i++) {
        if (is_same_device(&volumes[i], volume)) {
            return &volumes[i];
        }
    }
    return NULL;
}

static bool is_known(const struct sticks_table *table, const struct block_volume *volume)
{
    for (unsigned i = 0; i < STICKS_MAX; i++) {
        const struct sticks_entry *entry = &table->entries[i];

        if (entry->is_taken && !entry->is_away && is_same_device(&entry->volume, volume)) {
            return true;
        }
    }
    return false;
}

/* How long one that is away may be. */
static uint64_t patience_ms(const struct sticks_entry *entry)
{
    return entry->is_returning ? STICKS_RETURN_MS : STICKS_DIP_MS;
}

/* Who went a moment ago and looks like this one; else a free place; else NULL. */
static struct sticks_entry *find_place(struct sticks_table *table, const struct block_volume *volume, uint64_t now_ms)
{
    struct sticks_entry *free_entry = NULL;

    for (unsigned i = 0; i < STICKS_MAX; i++) {
        struct sticks_entry *entry = &table->entries[i];

        if (entry->is_taken && entry->is_away && is_same_stick(&entry->volume, volume) &&
            now_ms - entry->away_ms <= patience_ms(entry)) {
            return entry;
        }
        if (!entry->is_taken && !entry->has_child && !free_entry) {
            free_entry = entry;
        }
    }
    return free_entry;
}

static void enter(struct sticks_table *table, const struct block_volume *volume, uint64_t now_ms)
{
    struct sticks_entry *entry = find_place(table, volume, now_ms);

    if (!entry) {
        table->is_full = true;
        return;
    }
    if (!entry->is_taken) {
        *entry = (struct sticks_entry){ .is_taken = true };
    }
    entry->volume = *volume;
    entry->is_stale = entry->has_child;
    entry->is_away = entry->is_given_up = entry->is_over = false;
    entry->seen_ms = entry->begin_ms = now_ms;
    entry->pause_ms = 0;
    entry->report.backlog = STICK_BACKLOG_UNKNOWN;  // the journal has gone on, and nobody has looked
}

/* Those that were away for long enough are gone. */
static void forget(struct sticks_table *table, uint64_t now_ms)
{
    for (unsigned i = 0; i < STICKS_MAX; i++) {
        struct sticks_entry *entry = &table->entries[i];

        if (entry->is_taken && entry->is_away && now_ms - entry->away_ms > patience_ms(entry)) {
            entry->is_taken = false;  // its child, if it still has one, is let go by sticks_table_next()
        }
    }
}

void sticks_table_take(struct sticks_table *table, const struct block_volume *volumes, size_t count, uint64_t now_ms)
{
    for (unsigned i = 0; i < STICKS_MAX; i++) {
        struct sticks_entry *entry = &table->entries[i];
        const struct block_volume *volume;

        if (!entry->is_taken || entry->is_away) {
            continue;
        }
        volume = find_device(volumes, count, &entry->volume);
        if (volume) {
            // Begun when udev was not done for long, it may have found that it may not open the device
            if (volume->settled && !entry->volume.settled && entry->has_child && entry->report.state == STICK_FAILED) {
                entry->is_stale = true;
                entry->begin_ms = now_ms;
            }
            entry->volume = *volume;
        } else {
            entry->is_away = true;
            entry->is_returning = false;
            entry->away_ms = now_ms;
        }
    }

    forget(table, now_ms);
    table->is_full = false;
    for (size_t i = 0; i < count; i++) {
        if (!is_known(table, &volumes[i])) {
            enter(table, &volumes[i], now_ms);
        }
    }
}

void sticks_table_returning(struct sticks_table *table, unsigned number, bool is_returning)
{
    table->entries[number].is_returning = is_returning;
}

/* --- children --- */

/* "/dev/sda1" is called "sda1" until its file system's own name is known, if it has one. */
static const char *name_of(const struct sticks_entry *entry)
{
    return strrchr(entry->volume.node, '/') + 1;
}

static bool is_busy(enum stick_state state)
{
    return state == STICK_CHECKING || state == STICK_WRITING;
}

void sticks_table_told(struct sticks_table *table, unsigned number, const struct stick_report *report, uint64_t now_ms)
{
    struct sticks_entry *entry = &table->entries[number];
    char id[STICK_ID_SIZE];

    entry->heard_ms = now_ms;
    if (!report->in) {
        return;  // whether it is in is for the kernel to say
    }
    if (!entry->is_told) {
        entry->is_told = true;
        entry->told_ms = now_ms;
    }
    if (report->state == STICK_REFUSED || !(is_busy(report->state) && *report->error)) {
        entry->is_refused = report->state == STICK_REFUSED;  // busy with its old error it is what it was
    }
    memcpy(id, entry->report.id, sizeof(id));
    entry->report = *report;
    if (*report->id == '\0' || (text_equal(report->id, name_of(entry)) && entry->is_named)) {
        memcpy(entry->report.id, id, sizeof(id));  // of before the dip: the new child has not looked yet
    } else {
        entry->is_named = !text_equal(report->id, name_of(entry));
    }
}

void sticks_table_ended(struct sticks_table *table, unsigned number, const char *how, uint64_t now_ms)
{
    struct sticks_entry *entry = &table->entries[number];
    bool is_long = now_ms - entry->begun_ms >= STICKS_AGAIN_MAX_MS;

    entry->has_child = false;
    if (table->is_once) {
        entry->is_over = true;
    }
    if (*how == '\0' && table->is_once) {
        return;
    }
    entry->pause_ms = entry->pause_ms == 0 || is_long ? STICKS_AGAIN_MS : MIN(2 * entry->pause_ms, STICKS_AGAIN_MAX_MS);
    entry->begin_ms = now_ms + entry->pause_ms;
    if (!entry->is_told) {
        entry->is_told = true;
        entry->told_ms = now_ms;
        entry->report.percent = entry->report.eta_s = NAN;
    }
    if (entry->report.state == STICK_IDLE || is_busy(entry->report.state)) {
        entry->report.state = STICK_FAILED;
        (void) snprintf(entry->report.error, sizeof(entry->report.error), "the process that serves it %s",
                        *how ? how : "ended");
    }
}

/* A stick of which a person or a switch says that we may not write to it has no child. */
static bool is_ours(const struct block_volume *volume)
{
    return *volume->used_at == '\0' && !volume->read_only;
}

/* From when on its permissions are what they will be. */
static uint64_t settled_ms(const struct sticks_entry *entry)
{
    return entry->seen_ms + (entry->volume.settled       ? 0
                             : entry->volume.awaits_udev ? STICKS_UDEV_MS
                                                         : STICKS_SETTLE_MS);
}

static bool may_begin(const struct sticks_entry *entry, uint64_t now_ms)
{
    return entry->is_taken && !entry->is_away && !entry->has_child && !entry->is_given_up && !entry->is_over &&
           is_ours(&entry->volume) && now_ms >= settled_ms(entry) && now_ms >= entry->begin_ms;
}

enum sticks_action sticks_table_next(struct sticks_table *table, uint64_t now_ms, unsigned *ret_entry)
{
    forget(table, now_ms);
    for (unsigned i = 0; i < STICKS_MAX; i++) {
        struct sticks_entry *entry = &table->entries[i];

        *ret_entry = i;
        if (entry->has_child && (!entry->is_taken || entry->is_away || entry->is_stale || !is_ours(&entry->volume))) {
            entry->has_child = entry->is_stale = false;
            return STICKS_LET_GO;
        }
        if (entry->has_child && now_ms - entry->heard_ms > STICKS_GIVE_UP_MS) {
            entry->has_child = false;
            entry->is_given_up = entry->is_over = true;
            return STICKS_LET_GO;
        }
        if (may_begin(entry, now_ms)) {
            entry->has_child = true;
            entry->begun_ms = entry->heard_ms = now_ms;
            return STICKS_BEGIN;
        }
    }
    return STICKS_NOTHING;
}

uint64_t sticks_table_due_ms(const struct sticks_table *table, uint64_t now_ms)
{
    uint64_t due_ms = UINT64_MAX;

    for (unsigned i = 0; i < STICKS_MAX; i++) {
        const struct sticks_entry *entry = &table->entries[i];

        if (!entry->is_taken) {
            continue;
        }
        if (entry->is_away) {
            due_ms = MIN(due_ms, entry->away_ms + patience_ms(entry) + 1);
        } else if (entry->has_child) {
            uint64_t silent_ms = now_ms - entry->heard_ms > STICKS_SLOW_MS ? STICKS_GIVE_UP_MS : STICKS_SLOW_MS;

            due_ms = MIN(due_ms, entry->heard_ms + silent_ms + 1);
        } else if (!entry->is_given_up && !entry->is_over && is_ours(&entry->volume)) {
            due_ms = MIN(due_ms, MAX(entry->begin_ms, settled_ms(entry)));
        }
    }
    return due_ms;
}

bool sticks_table_is_over(const struct sticks_table *table)
{
    for (unsigned i = 0; i < STICKS_MAX; i++) {
        const struct sticks_entry *entry = &table->entries[i];

        if (entry->is_taken && !entry->is_away && !entry->is_over && is_ours(&entry->volume)) {
            return false;
        }
    }
    return true;
}

/* --- what is told --- */

static void say(struct stick_report *report, enum stick_state state, const char *error)
{
    report->state = state;
    report->percent = report->eta_s = NAN;
    (void) snprintf(report->error, sizeof(report->error), "%s", error);
}

/* What is true of one by itself. Returns whether there is anything to tell yet. */
static bool report_of(const struct sticks_entry *entry, uint64_t now_ms, struct stick_report *ret)
{
    bool is_slow = entry->has_child && now_ms - entry->heard_ms > STICKS_SLOW_MS;
    char error[STICK_ERROR_SIZE];

    if (!entry->is_taken) {
        return false;
    }
    *ret = entry->report;
    ret->in = true;
    if (*ret->id == '\0') {
        (void) snprintf(ret->id, sizeof(ret->id), "%s", name_of(entry));
    }
    if (*entry->volume.used_at) {
        (void) snprintf(error, sizeof(error), "in use: mounted on %s", entry->volume.used_at);
        say(ret, STICK_REFUSED, error);
    } else if (entry->volume.read_only) {
        say(ret, STICK_READONLY, "write-protected");
    } else if (entry->is_given_up) {
        say(ret, STICK_FAILED, "no answer for 5 min: left alone until it is plugged in again");
    } else if (is_slow) {
        say(ret, STICK_SLOW, "no answer for more than 30 s");
    } else {
        return entry->is_told;
    }
    return true;
}

static bool is_refused(const struct sticks_entry *entry, const struct stick_report *report)
{
    return report->state == STICK_REFUSED || entry->is_refused;
}

/* Whether a refused volume is not worth a word, for what the other volumes of its disk are. */
static bool is_beside(const struct sticks_table *table, const struct sticks_entry *refused, uint64_t now_ms)
{
    for (unsigned i = 0; i < STICKS_MAX; i++) {
        const struct sticks_entry *other = &table->entries[i];
        struct stick_report report;

        if (other == refused || !other->is_taken || !is_same_disk(other, refused)) {
            continue;
        }
        if (!report_of(other, now_ms, &report)) {
            if (now_ms - refused->told_ms < SIBLINGS_MS) {
                return true;  // it may be about to say that it is served
            }
        } else if (!is_refused(other, &report) || other->volume.partition < refused->volume.partition) {
            return true;
        }
    }
    return false;
}

size_t sticks_table_reports(const struct sticks_table *table, uint64_t now_ms, struct stick_report *reports,
                            unsigned *entries)
{
    size_t count = 0;

    for (unsigned i = 0; i < STICKS_MAX; i++) {
        const struct sticks_entry *entry = &table->entries[i];

        if (!report_of(entry, now_ms, &reports[count]) ||
            (is_refused(entry, &reports[count]) && is_beside(table, entry, now_ms))) {
            continue;
        }
        entries[count++] = i;
    }
    return count;
}
