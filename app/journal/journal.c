/* SPDX-License-Identifier: MIT */

#include "app/journal/journal.h"

#include "app/base/file.h"
#include "app/journal/journal_aside.h"
#include "app/journal/journal_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define PATIENCE_MS 60000  // a card that gives errors for so long has lost what it does not give

bool clock_quality_known(enum clock_quality quality)
{
    return quality == CLOCK_NTP || quality == CLOCK_HELD || quality == CLOCK_RTC;
}

int journal_path(const struct journal *journal, uint64_t first, const char *ending, char ret[static PATH_SIZE])
{
    char name[SEGMENT_NAME_SIZE];

    return file_path(ret, PATH_SIZE, journal->directory, segment_name(first, ending, name));
}

int journal_database(const struct journal *journal, uint64_t first, enum database_mode mode, struct database **ret)
{
    char path[PATH_SIZE];
    int r;

    r = journal_path(journal, first, ".db", path);
    return r < 0 ? r : database_open(path, mode, ret);
}

static int lock_directory(struct journal *journal)
{
    char path[PATH_SIZE];
    int r;

    r = file_path(path, sizeof(path), journal->directory, "lock");
    return r < 0 ? r : file_lock(path, &journal->writer.lock_fd);
}

static bool is_id(const char *id)
{
    return strlen(id) == JOURNAL_ID_SIZE - 1 && strspn(id, "0123456789abcdef-") == JOURNAL_ID_SIZE - 1;
}

/* RFC 9562 version 4. */
int journal_make_id(char ret[static JOURNAL_ID_SIZE])
{
    uint8_t b[16];

    if (getrandom(b, sizeof(b), 0) != sizeof(b)) {
        return -EIO;
    }

    b[6] = (uint8_t) (0x40 | (b[6] & 0x0f));
    b[8] = (uint8_t) (0x80 | (b[8] & 0x3f));
    (void) snprintf(ret, JOURNAL_ID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                    b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
    return 0;
}

/* Errors: -ENOENT there is no such file, or no id in it */
int journal_read_id(const char *directory, char ret[static JOURNAL_ID_SIZE])
{
    auto_free char *text = NULL;
    char path[PATH_SIZE];
    size_t size;
    int r;

    r = file_path(path, sizeof(path), directory, "id");
    if (r < 0) {
        return r;
    }

    r = file_read(path, LABEL_SIZE, &text, &size);
    if (r < 0 && r != -EFBIG) {
        return r;
    }
    if (r == -EFBIG || !is_id(text_trim(text))) {
        return -ENOENT;
    }

    return text_copy(ret, JOURNAL_ID_SIZE, text_trim(text));
}

static int read_one_segment_id(struct journal *journal, const char *directory, uint64_t first, enum database_mode mode)
{
    auto_database struct database *database = NULL;
    auto_statement struct statement *statement = NULL;
    char path[PATH_SIZE];
    int r;

    r = segment_file(directory, first, path);
    if (r >= 0) {
        r = database_open(path, mode, &database);
    }
    if (r >= 0 && mode == DATABASE_WRITE) {
        r = database_keep_log(database, true);  // that it is there says that nothing was lost with it
    }
    if (r < 0) {
        return r;
    }

    r = statement_new(database, "SELECT id FROM journal", &statement);
    if (r < 0) {
        return r;
    }

    r = statement_step(statement);
    if (r < 0) {
        return r;
    }
    if (r == 0 || !is_id(statement_text(statement, 0))) {
        return -EBADMSG;
    }

    return text_copy(journal->id, sizeof(journal->id), statement_text(statement, 0));
}

/* The segments say it too, should the file be lost. Errors: -EBADMSG none of them can */
static int read_segment_id(struct journal *journal, const char *directory, const struct segments *segments,
                           enum database_mode mode)
{
    int r = -EBADMSG;

    for (size_t i = segments->count; i > 0 && r == -EBADMSG; i--) {
        r = read_one_segment_id(journal, directory, segments->first[i - 1], mode);
    }
    return r;
}

int journal_write_id(const char *directory, const char *id)
{
    char path[PATH_SIZE], line[JOURNAL_ID_SIZE + 1];
    int r;

    r = file_path(path, sizeof(path), directory, "id");
    if (r < 0) {
        return r;
    }

    (void) snprintf(line, sizeof(line), "%s\n", id);
    return file_replace(path, line, strlen(line), 0640, true);
}

/* The id that this journal has, or a new one for a new journal. */
static int settle_id(struct journal *journal, const struct segments *segments)
{
    int r;

    r = journal_read_id(journal->directory, journal->id);
    if (r != -ENOENT) {
        return r;
    }

    r = read_segment_id(journal, journal->directory, segments, DATABASE_WRITE);
    if (r == -EBADMSG) {
        r = journal_make_id(journal->id);
    }
    if (r < 0) {
        return r;
    }

    return journal_write_id(journal->directory, journal->id);
}

static int journal_new(const char *directory, struct journal **ret)
{
    struct journal *journal = calloc(1, sizeof(*journal));
    int r;

    if (!journal) {
        return -ENOMEM;
    }
    journal->writer.lock_fd = -1;
    journal->reader.patience_ms = PATIENCE_MS;

    r = text_copy(journal->directory, sizeof(journal->directory), directory);
    if (r >= 0) {
        r = text_copy(journal->reader.places[PLACE_CARD].directory, PATH_SIZE, directory);
    }
    if (r < 0) {
        journal_close(journal);
        return r;
    }

    *ret = journal;
    return 0;
}

static int open_to_write(const char *directory, bool keep_words, bool leave_newest, struct journal **ret)
{
    auto_journal struct journal *journal = NULL;
    struct segments *segments;
    int r;

    r = journal_new(directory, &journal);
    if (r < 0) {
        return r;
    }
    journal->writer.on = true;
    journal->writer.keep_words = keep_words;
    segments = &journal->reader.segments;

    r = file_make_directories(directory, 0750);
    if (r < 0) {
        return r;
    }

    r = lock_directory(journal);
    if (r < 0) {
        return r;
    }

    segment_remove_leftovers(directory);
    r = segments_read(segments, directory);
    if (r < 0) {
        return r;
    }

    r = settle_id(journal, segments);
    if (r < 0) {
        return r;
    }

    journal->writer.next_seq = 1;
    journal->writer.next_epoch = journal->writer.next_meter = journal->writer.next_event = 1;
    r = leave_newest ? journal_aside_leave(journal) : journal_aside_open(journal);
    if (r < 0) {
        return r;
    }

    journal->writer.unsealed = true;  // whether or not: a killed writer may have left one
    journal_segment_tidy(journal);
    *ret = TAKE(journal);
    return 0;
}

int journal_open(const char *directory, bool keep_words, struct journal **ret)
{
    return open_to_write(directory, keep_words, false, ret);
}

int journal_open_anew(const char *directory, bool keep_words, struct journal **ret)
{
    return open_to_write(directory, keep_words, true, ret);
}

/* The id of a place with segments. Errors: -ENOENT it has none */
static int read_place_id(struct journal *journal, const char *directory)
{
    auto_segments struct segments segments = {};
    int r;

    r = segments_read(&segments, directory);
    if (r < 0) {
        return r;
    }
    if (segments.count == 0) {
        return -ENOENT;
    }

    r = journal_read_id(directory, journal->id);
    return r == -ENOENT ? read_segment_id(journal, directory, &segments, DATABASE_READ) : r;
}

int journal_open_read_places(const char *directory, const char *memory, struct journal **ret)
{
    auto_journal struct journal *journal = NULL;
    int of_card, r;

    r = journal_new(directory, &journal);
    if (r >= 0 && memory) {
        r = text_copy(journal->reader.places[PLACE_MEMORY].directory, PATH_SIZE, memory);
    }
    if (r < 0) {
        return r;
    }

    // The card says which journal it is; if it cannot, memory does.
    of_card = read_place_id(journal, directory);
    r = of_card < 0 && memory ? read_place_id(journal, memory) : of_card;
    if (r < 0) {
        return of_card;
    }

    *ret = TAKE(journal);
    return 0;
}

int journal_open_read(const char *directory, struct journal **ret)
{
    return journal_open_read_places(directory, NULL, ret);
}

void journal_set_patience(struct journal *journal, uint64_t ms)
{
    journal->reader.patience_ms = ms;
}

void journal_close(struct journal *journal)
{
    bool damaged;

    if (!journal) {
        return;
    }

    journal_rollback(journal);
    journal_register_forget(journal);
    damaged = journal->writer.database && journal->writer.begin && database_is_damaged(journal->writer.database);
    journal_segment_close(journal);
    journal_aside_close(journal, damaged);
    journal_reader_close(journal);
    segments_clear(&journal->reader.segments);
    text_clear(&journal->writer.values);
    text_clear(&journal->writer.words);
    free(journal->writer.active);
    if (journal->writer.lock_fd >= 0) {
        (void) close(journal->writer.lock_fd);
    }
    free(journal);
}

void journal_closep(struct journal **journal)
{
    journal_close(*journal);
}

const char *journal_id(const struct journal *journal)
{
    return journal->id;
}
