/* SPDX-License-Identifier: MIT */
#pragma once

/* What the files of this folder know of a journal and nobody else does. */

#include "app/base/limits.h"
#include "app/base/text.h"
#include "app/journal/database.h"
#include "app/journal/journal.h"
#include "app/journal/journal_copy.h"
#include "app/journal/segment.h"

#define JOURNAL_VERSION 1  // user_version of the segments; a higher one is not ours to touch

/* A meter as its row has it. */
struct stored_meter {
    int64_t id;
    char name[METER_ID_SIZE];
    char model[MODEL_ID_SIZE];
    char *layout;
};

/* The newest segment, in the writer's hands. */
struct writer {
    bool on;
    bool keep_words;
    int lock_fd;
    struct database *database;       // NULL while there is no segment
    struct statement *begin, *commit, *sample, *event;
    bool has_words;                  // this segment has the column
    uint64_t first;                  // its name
    char boot_id[JOURNAL_ID_SIZE];   // all its rows are of this boot
    bool started;                    // start_ms is known
    uint64_t start_ms;               // boot clock of its first row or event
    bool ready;                      // an epoch of this boot was added by this process
    bool stranded;                   // a row of this segment might stand behind the next one's name: add nothing

    uint64_t committed_seq;          // what stands on the card
    uint64_t next_seq;               // what comes next; ahead of it within a transaction
    int64_t next_event, committed_event;
    int64_t next_epoch;
    int64_t next_meter;

    int64_t *active;                 // meter ids registered here: those with a view in a new segment
    unsigned active_count;
    struct epoch *epochs;            // added since the last commit
    unsigned epoch_count;
    struct stored_meter *meters;     // likewise
    unsigned meter_count;
    bool taken_back;                 // they are to be added once more
    struct epoch known;              // to be added to the boot's older segments; number 0: nothing to do
    uint64_t known_in;               // the segment that has it
    bool unsealed;                   // an older segment is still in write-ahead mode
    bool aside;                      // the newest segment is damaged: journal_aside.h
    char aside_text[128];            // what the event says of it

    struct text values, words;       // of the row at hand, memory kept

    const struct journal_position *position;  // to begin at, journal_resume(); NULL: where the segments end
    int64_t copied_event;            // events up to this id were copied; 0: none was, in this process
    int64_t segment_bytes;           // a segment is full with that many; 0: SEGMENT_BYTES_MAX
};

/* Where segments are, one of them open to read. */
struct reader_place {
    char directory[PATH_SIZE];       // "": there is no such place
    struct segments segments;        // as last looked at
    struct database *database;       // NULL: none open
    uint64_t first;                  // which
    bool bare;                       // its log is not looked at
    struct statement *rows, *rows_of_meter;
    struct journal_row *batch;       // where two places have to be merged
    unsigned batch_size;
};

enum {
    PLACE_MEMORY,
    PLACE_CARD,
    PLACES,
};

struct reader {
    struct segments segments;        // the writer's own
    struct reader_place places[PLACES];
    uint64_t patience_ms;
    uint64_t failing_since_ms;       // something gives I/O errors; 0: nothing does
    bool failed;                     // in this call
    bool gap;                        // rows after gap_after were passed
    uint64_t gap_after;

    struct epoch epoch;              // the last one asked for; number 0: none
    struct epoch known;              // the last known one asked for; number 0: none
    char unlearned_boot[JOURNAL_ID_SIZE];  // a boot that is over and was never known
};

struct journal {
    char directory[PATH_SIZE];
    char id[JOURNAL_ID_SIZE];
    struct writer writer;
    struct reader reader;
};

int journal_path(const struct journal *journal, uint64_t first, const char *ending,
                 char ret[static PATH_SIZE]) MUST_CHECK;

/* journal.c: the file "id" of a journal. Errors: -ENOENT there is no such file, or no id in it */
int journal_read_id(const char *directory, char ret[static JOURNAL_ID_SIZE]) MUST_CHECK;
int journal_write_id(const char *directory, const char *id) MUST_CHECK;
int journal_make_id(char ret[static JOURNAL_ID_SIZE]) MUST_CHECK;

/* Open the segment of that name. */
int journal_database(const struct journal *journal, uint64_t first, enum database_mode mode,
                     struct database **ret) MUST_CHECK;

/* journal_segment.c, journal_view.c, journal_tidy.c: the writer's segments */

/* Close the newest segment of the writer, open that one. What was there stays open on failure. */
int journal_segment_open(struct journal *journal, uint64_t first) MUST_CHECK;

/* Open an older segment only for what a new one copies from it, and for the numbers. Errors: -EBADMSG damaged */
int journal_segment_look_at(struct journal *journal, uint64_t first) MUST_CHECK;

/*
 * Begin a new segment called first with that epoch, self-contained: journal, meters and epochs of the boot are copied
 * from the one before. No transaction may be open.
 */
int journal_segment_begin(struct journal *journal, uint64_t first, const struct epoch *epoch) MUST_CHECK;

/* After a commit: bring older segments of the boot up to date, seal what is not. Tried again next time. */
void journal_segment_tidy(struct journal *journal);
void journal_segment_close(struct journal *journal);

/* Add an epoch to a database. */
int journal_segment_add_epoch(struct database *database, const struct epoch *epoch) MUST_CHECK;

/* Make v_<name> the view of that meter, unless it is already; the older layout it showed moves to v_<name>_<id>. */
int journal_segment_add_view(struct database *database, int64_t meter) MUST_CHECK;

/* journal_write.c */

/* Open a transaction unless one is. Errors: -EINVAL no epoch was added yet */
int journal_begin(struct journal *journal) MUST_CHECK;

/* A row as it is stored. words NULL: none; a segment without the column does without. */
struct stored_row {
    uint64_t seq;
    int64_t epoch;
    uint64_t boot_ms;
    int64_t meter;
    const char *quality, *values, *words;
    size_t values_size, words_size;
};

/* Insert it into the open transaction. */
int journal_append(struct journal *journal, const struct stored_row *row) MUST_CHECK;

/* Hand an error on after taking everything back, so that a transaction is never half of what was asked. */
int journal_finish(struct journal *journal, int r) MUST_CHECK;

/* journal_register.c: an epoch with its number; and a meter with that id if it is new, 0: the next one */
int journal_register_epoch(struct journal *journal, const struct epoch *epoch) MUST_CHECK;
int journal_register_meter(struct journal *journal, const char *name, const char *model, const char *layout,
                           int64_t wanted_id, int64_t *ret_id) MUST_CHECK;
int journal_register_insert(struct journal *journal, const struct stored_meter *meter) MUST_CHECK;

/* after a rollback, and after a commit */
int journal_register_again(struct journal *journal) MUST_CHECK;
void journal_register_forget(struct journal *journal);

/* journal_position.c: whether the newest segment can be gone on in, and has the epoch under its number */
bool journal_has_epoch(struct journal *journal, const struct epoch *epoch) MUST_CHECK;

/* journal_place.c */

/* Look at the directories. -EAGAIN: everything was just pruned, or is not there yet. */
int journal_reader_begin(struct journal *journal) MUST_CHECK;

/* At the end of each call, with its result: nobody waits for a reader. */
int journal_reader_done(struct journal *journal, int r) MUST_CHECK;
void journal_reader_close(struct journal *journal);

/* Have the segment of that index open, and no other of that place. */
int journal_place_open(struct reader_place *place, size_t index) MUST_CHECK;
void journal_place_close(struct reader_place *place);

/* Room for so many rows in place->batch. */
int journal_place_reserve(struct reader_place *place, unsigned count) MUST_CHECK;

/* Whether what gave that error is passed: it is damaged, or could not be read for the reader's patience. */
bool journal_may_pass(struct journal *journal, int r);

/* The row "seq, epoch, boot_ms, meter, quality, vals" of a statement. */
int journal_row_from(struct statement *statement, struct journal_row *ret) MUST_CHECK;

/* The row "id, name, model, layout" of a statement as a meter. */
int journal_meter_from(struct statement *statement, struct journal_meter *ret) MUST_CHECK;

/* All meters that a segment knows, newest first. Errors: -EBADMSG one is damaged */
int journal_each_stored_meter(struct database *database, void (*each)(void *data, const struct journal_meter *meter),
                              void *data) MUST_CHECK;
