/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A journal that goes on elsewhere while its card cannot be used, and what comes back from there. Both places have
 * segments of the same format, and the same row has the same seq in each.
 */

#include "app/journal/journal.h"

struct stored_meter;

/*
 * Where a journal stands after its last commit: all that is needed to go on at another place without looking at the
 * first. Zero-initialised: nothing is known.
 */
struct journal_position {
    char id[JOURNAL_ID_SIZE];
    char boot_id[JOURNAL_ID_SIZE];  // of the newest segment; "": go on as a new boot does
    uint64_t next_seq;              // above all seqs
    uint64_t highest;               // of all seqs and file names
    int64_t next_event, next_epoch, next_meter;
    struct epoch *epochs;           // of that boot
    unsigned epoch_count;
    struct stored_meter *meters;    // all
    unsigned meter_count;
};

void journal_position_clear(struct journal_position *position);

/* Errors: -ENOMEM, and of *ret only the tables are older */
int journal_position_copy(const struct journal_position *position, struct journal_position *ret) MUST_CHECK;

/* Bring a position of this journal up to date. Errors: -ENOMEM and those of the journal; only the tables are older */
int journal_get_position(struct journal *journal, struct journal_position *position) MUST_CHECK;

/*
 * The same of a journal that cannot be opened to write: its id, and seqs that are above all there may be, from a
 * multiple of 2^32 on. Errors: -ENOENT it has no id, or as the directory's
 */
int journal_guess_position(const char *directory, struct journal_position *ret) MUST_CHECK;

/* Of a journal of its own, with a new id. Errors: -EIO */
int journal_new_position(struct journal_position *ret) MUST_CHECK;

/* The id of the journal in a directory with segments. Errors: -ENOENT there are none */
int journal_directory_id(const char *directory, char ret[static JOURNAL_ID_SIZE]) MUST_CHECK;

/*
 * As journal_open(), in small segments: go on in the directory's own journal, if it has one, else at that position.
 * The position is used until the journal is closed.
 */
int journal_open_at(const char *directory, bool keep_words, const struct journal_position *position,
                    struct journal **ret) MUST_CHECK;

/*
 * After opening: go on in an epoch. One with a number that the newest segment has is taken up as it is, any other is
 * journal_add_epoch().
 */
int journal_resume(struct journal *journal, struct epoch *epoch) MUST_CHECK;

/* The seq that the next row gets, and the id of the next event. */
uint64_t journal_next_seq(const struct journal *journal);
int64_t journal_next_event(const struct journal *journal);

/* Leave out seqs and event ids below these. */
void journal_skip(struct journal *journal, uint64_t next_seq, int64_t next_event);

/* Whether the newest segment has the row (seq > 0) or else the event. */
bool journal_holds(struct journal *journal, uint64_t seq, int64_t event);

/*
 * Remove the oldest segments until the rest has at most that many bytes; never the newest. Returns how many rows were
 * in them.
 */
int journal_drop(struct journal *journal, uint64_t bytes_max) MUST_CHECK;

/*
 * Copy what the segments of a directory have and this journal has not: rows under their own seqs, with their words,
 * epochs and meters, and events; at most `count` of these, in one transaction. Nobody else writes the journal; the
 * directory's may go on. Returns how many; 0: it has all. Errors: those of both journals
 */
int journal_copy(struct journal *journal, const char *directory, unsigned count) MUST_CHECK;

/* Remove all segments of a directory, and its id. */
void journal_remove_all(const char *directory);

/*
 * Copy a directory's oldest segment into another as it is, durably, and remove it. Nobody writes there.
 * Returns 1, or 0 if there is none.
 */
int journal_move_oldest(const char *directory, const char *to) MUST_CHECK;
