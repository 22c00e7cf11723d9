/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The journal: every committed reading, in order, in SQLite segments <state-dir>/journal/<first seq>.db. One process
 * writes; any number read after a cursor. A struct is used by one thread.
 *
 * directory  <state-dir>/journal
 * seq        order of rows, never given twice; the first is 1
 * epoch      a stretch of one boot in which the wall clock ran evenly
 * boot_ms    CLOCK_BOOTTIME of a row
 */

#include "app/base/text.h"
#include "drivers/sample.h"

#include <stdbool.h>
#include <stdint.h>

#define JOURNAL_ID_SIZE    37   // a random UUID as text

/* How well wall time is known: the clock letter of a row's quality. */
enum clock_quality {
    CLOCK_NTP = 'N',               // synchronised by NTP, or clock = trusted
    CLOCK_HELD = 'H',              // was N, R or set by hand earlier in this boot, and is not now
    CLOCK_RTC = 'R',               // set by a hardware clock at boot, or by a person
    CLOCK_ESTIMATED = 'E',         // none of these, but not before this program was built
    CLOCK_UNKNOWN = 'U',           // before that, or there is nothing to ask
    CLOCK_CORRECTED = 'C',         // only at export: was E or U, now known
};

/* N, H and R are known; E and U are not. */
bool clock_quality_known(enum clock_quality quality);

struct epoch {
    int64_t number;                // 0: not yet given by the journal
    char boot_id[37];
    int64_t wall_ms;               // wall time of boottime zero
    enum clock_quality source;
    int64_t error_ms;
};

/* Who a row is of. */
struct journal_meter {
    int64_t id;
    char name[METER_ID_SIZE];
    char model[MODEL_ID_SIZE];
    struct layout layout;          // columns' quantity may be NULL if a name is no longer known
};

struct journal_row {
    uint64_t seq;
    int64_t epoch;
    uint64_t boot_ms;
    int64_t meter;
    char quality[4];               // clock letter, then m missing, g held by the guard
    unsigned value_count;
    double values[MAX_POINTS];     // NAN = missing
};

struct journal;

#define auto_journal CLEANUP(journal_closep)

/*
 * Open for writing, creating directory and journal if there is none. Writing begins with journal_add_epoch().
 * What a killed writer left half made is cleared away; what it had committed is there.
 *
 * If the newest segment is damaged, or of a newer version, it is called .db.bad, its rows are a gap for those who had
 * not read them, and the next epoch begins a segment far above it, with an event "damaged". If SQLite finds damage
 * later, a call gives -EBADMSG; journal_close() then sets the segment aside, and the caller opens the journal again at
 * once.
 *
 * keep_words  new segments get the column words
 *
 * Errors: -EBUSY another writer holds it   -ENOTDIR the path is a file   -ENOSPC, -EROFS, -EACCES
 */
int journal_open(const char *directory, bool keep_words, struct journal **ret) MUST_CHECK;

/*
 * The same where the newest segment gives errors again and again, as on a sector that is lost: a new one begins with
 * the next epoch, with an event "damaged". Readers still see of the old one what they can.
 */
int journal_open_anew(const char *directory, bool keep_words, struct journal **ret) MUST_CHECK;

/*
 * Open for reading. Never changes anything, waits for nobody.
 * Errors: -ENOENT no journal yet   -EAGAIN try again in a second   -EBADMSG
 */
int journal_open_read(const char *directory, struct journal **ret) MUST_CHECK;

/*
 * The same in two places: memory is <run-dir>/journal, where segments are while the card cannot be used. It need not
 * exist. A row that both have is one row. Segments of another journal than the card's are left alone; only while the
 * card cannot say which it is, memory does.
 */
int journal_open_read_places(const char *directory, const char *memory, struct journal **ret) MUST_CHECK;

/*
 * How long a reader waits where it gets I/O errors before it passes what it cannot read; 60 s if nobody says. Rows that
 * are damaged are passed at once.
 */
void journal_set_patience(struct journal *journal, uint64_t ms);

/*
 * Whether journal_read() has passed rows since this was last asked: they cannot be read, or their segment was set
 * aside. They came after *ret_after.
 */
bool journal_take_gap(struct journal *journal, uint64_t *ret_after);
void journal_close(struct journal *journal);
void journal_closep(struct journal **journal);

const char *journal_id(const struct journal *journal);

/*
 * Writing. Everything between two commits is one transaction. A call that fails takes back all that was added since
 * the last commit: the seqs are given again. On -ENOSPC, -EROFS and -EIO the caller may add it all once more later.
 */

/* The seq of the last committed row; 0 = none. */
uint64_t journal_last_seq(const struct journal *journal);

/*
 * Register an epoch: *epoch gets its number. The first of another boot than the newest segment's commits what is open
 * and begins a segment; a known one also goes, after its commit, into the older segments of the boot that have none.
 */
int journal_add_epoch(struct journal *journal, struct epoch *epoch) MUST_CHECK;

/*
 * Register a meter as (name, model, layout): the id it has or gets, for ever the same. Needed once in each
 * journal_open(), before the first sample. Errors also: -EINVAL no epoch was added yet
 */
int journal_add_meter(struct journal *journal, const char *name, const char *model, const struct layout *layout,
                      int64_t *ret_id) MUST_CHECK;

/*
 * Append a row: all members but seq are the caller's, and its seq goes to *ret_seq. words may be NULL.
 * Errors also: -EINVAL no epoch was added yet
 */
int journal_add_sample(struct journal *journal, const struct journal_row *row, const uint16_t *words,
                       unsigned word_count, uint64_t *ret_seq) MUST_CHECK;

int journal_add_event(struct journal *journal, int64_t epoch, uint64_t boot_ms, const char *code,
                      const char *text) MUST_CHECK;

/*
 * Make everything added so far durable. On failure nothing of it is.
 * A new segment begins by itself when the newest is 24 h of boot clock or 64 MiB old; if it cannot, the newest goes on
 * and the next commit tries again.
 * Errors: -ENOSPC -EROFS -EIO -EBADMSG
 */
int journal_commit(struct journal *journal, uint64_t boot_ms) MUST_CHECK;
void journal_rollback(struct journal *journal);

/*
 * Remove the oldest segments beyond keep_days of recorded running time (at least 7) or budget_bytes (0: half the file
 * system). Never the newest. Returns how many were removed.
 */
int journal_prune(struct journal *journal, unsigned keep_days, uint64_t budget_bytes) MUST_CHECK;

/*
 * Reading. Each call is its own short transaction and leaves the newest segment closed, so that its writer can seal it.
 * Errors of all: -EAGAIN a segment is just being changed: ask again in a second   -EBADMSG   -ENOMEM
 */

/*
 * Rows after seq, of the meter of that name (NULL: of all), in seq order and across segments, at most `count` into ret.
 * Returns how many; 0 at the head.
 */
int journal_read(struct journal *journal, uint64_t after_seq, const char *meter, struct journal_row *ret,
                 unsigned count) MUST_CHECK;

/* Rows before seq (UINT64_MAX: all), newest first, at most `count` into ret. Returns how many; 0 at the beginning. */
int journal_read_back(struct journal *journal, uint64_t before_seq, struct journal_row *ret, unsigned count) MUST_CHECK;

/* Every (name, model, layout) there ever was, newest first; `each` must not call the journal. */
int journal_each_meter(struct journal *journal, void (*each)(void *data, const struct journal_meter *meter),
                       void *data) MUST_CHECK;

/* The oldest seq still there, and the newest; 0 = none. A cursor below the oldest - 1 has a gap. */
int journal_first_seq(struct journal *journal, uint64_t *ret) MUST_CHECK;
int journal_head_seq(struct journal *journal, uint64_t *ret) MUST_CHECK;

/* Above that no file of the journal has a seq, damaged ones included: who has read further has read another history. */
int journal_ceiling(struct journal *journal, uint64_t *ret) MUST_CHECK;

/*
 * How many rows stand after seq. What is left out between segments (2^24, 2^32) does not count; rows that were lost
 * within one do, so it is never too small, and too large by no more than was lost. Looks at the segments from that of
 * seq on, at their ends only.
 */
int journal_backlog(struct journal *journal, uint64_t after_seq, uint64_t *ret) MUST_CHECK;

/*
 * A meter by id, or the index-th id of a name (NULL: of all), newest first.
 * Errors also: -ENOENT no such meter
 */
int journal_meter(struct journal *journal, int64_t id, struct journal_meter *ret) MUST_CHECK;
int journal_find_meter(struct journal *journal, const char *name, unsigned index, struct journal_meter *ret) MUST_CHECK;

/* Errors also: -ENOENT no such epoch */
int journal_epoch(struct journal *journal, int64_t number, struct epoch *ret) MUST_CHECK;

/* The first epoch of a boot, and the first that is known. Errors also: -ENOENT there is none, or not yet */
int journal_first_epoch(struct journal *journal, const char *boot_id, struct epoch *ret) MUST_CHECK;
int journal_known_epoch(struct journal *journal, const char *boot_id, struct epoch *ret) MUST_CHECK;

/* The boot that wrote last: rows of any other will never be followed by more. */
int journal_last_boot(struct journal *journal, char ret[static 37]) MUST_CHECK;

struct journal_event {
    int64_t id;
    int64_t epoch;
    uint64_t boot_ms;
    char code[16];
    char text[256];
};

/* Events after an id, in order, at most `count`. Returns how many. */
int journal_events(struct journal *journal, int64_t after_id, struct journal_event *ret, unsigned count) MUST_CHECK;

/*
 * Looking for a few rows in many: those with after_seq < seq <= last_seq, of the meter of that name (NULL: of all), are
 * told in order until `each`, which must not call the journal, returns false. What is damaged is passed. Rows that
 * memory and the card both have may be told twice.
 */
struct journal_search {
    uint64_t after_seq, last_seq;
    const char *meter;
    bool newest_first;
    bool (*each)(void *data, const struct journal_row *row);
    void *data;
};

int journal_search(struct journal *journal, const struct journal_search *search) MUST_CHECK;

/*
 * Events of some codes, " back lost ", segment by segment from the newest on, within a segment in order. A walk that is
 * zero-initialised is at the end. Returns 1 after a segment, 0 at the beginning of the journal. An event may be told
 * twice.
 */
struct journal_event_walk {
    bool in_card;     // memory is done
    uint64_t before;  // the segment that was last looked at
};

int journal_events_back(struct journal *journal, struct journal_event_walk *walk, const char *codes,
                        void (*each)(void *data, const struct journal_event *event), void *data) MUST_CHECK;

/*
 * A row's wall time as far as it is known: by its own epoch if that is known, else by the first known epoch of
 * its boot (letter C), else the estimate of an E (letter E) or nothing (letter U, *ret_wall_ms untouched).
 * quality gets the letter to print and the row's own m and g.
 */
int journal_row_time(struct journal *journal, const struct journal_row *row, int64_t *ret_wall_ms,
                     char ret_quality[static 4]) MUST_CHECK;
