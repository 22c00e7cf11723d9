/* SPDX-License-Identifier: MIT */

/*
 * Where readers look: the card, and memory, where segments are while the card cannot be used. Both have the same format
 * and, where they have the same row, the same seq.
 *
 * Of each place one segment at a time is open; the newest is closed after each call, because in write-ahead mode an
 * open connection keeps its writer from sealing it.
 */

#include "app/journal/journal_private.h"
#include "app/journal/segment_log.h"

#include "app/base/clock.h"

#include <errno.h>

void journal_place_close(struct reader_place *place)
{
    statement_free(TAKE(place->rows));
    statement_free(TAKE(place->rows_of_meter));
    database_close(TAKE(place->database));
    place->first = 0;
}

int journal_place_open(struct reader_place *place, size_t index)
{
    uint64_t first = place->segments.first[index];
    char path[PATH_SIZE];
    uint32_t version;
    int r;

    if (place->database && place->first == first) {
        return 0;
    }

    journal_place_close(place);
    r = segment_file(place->directory, first, path);
    if (r >= 0) {
        r = segment_version(path, &version);
    }
    if (r < 0) {
        return r == -ENOENT ? -EAGAIN : r;  // just pruned, or copied back
    }
    if (version > JOURNAL_VERSION) {
        return -EBADMSG;
    }

    // SQLite 3.40 without the right to write takes a bare log for one that was begun anew just now, tries again for ten
    // seconds and gives up. There is nothing in it.
    place->bare = segment_log_is_bare(path);
    r = database_open(path, place->bare ? DATABASE_LOOK : DATABASE_READ, &place->database);
    if (r < 0) {
        return r;
    }

    place->first = first;
    return 0;
}

int journal_place_reserve(struct reader_place *place, unsigned count)
{
    struct journal_row *grown;

    if (place->batch_size >= count) {
        return 0;
    }

    grown = reallocarray(place->batch, count, sizeof(*grown));
    if (!grown) {
        return -ENOMEM;
    }

    place->batch = grown;
    place->batch_size = count;
    return 0;
}

/* What was read without the log is void if that has filled in the meantime. */
static int check_bare(const struct reader_place *place, int r)
{
    char path[PATH_SIZE];

    return r >= 0 && place->database && place->bare &&
           (segment_file(place->directory, place->first, path) < 0 || !segment_log_is_bare(path)) ? -EAGAIN : r;
}

static void done(struct reader_place *place, int r)
{
    char path[PATH_SIZE];
    bool open = true;

    if (place->database && (r < 0 || segment_file(place->directory, place->first, path) < 0 ||
                            segment_is_open(path, &open) < 0 || open)) {
        journal_place_close(place);
    }
}

int journal_reader_done(struct journal *journal, int r)
{
    struct reader *reader = &journal->reader;

    for (size_t i = 0; i < PLACES; i++) {
        r = check_bare(&reader->places[i], r);
    }
    for (size_t i = 0; i < PLACES; i++) {
        done(&reader->places[i], r);
    }
    if (r >= 0 && !reader->failed) {
        reader->failing_since_ms = 0;
    }

    return r;
}

void journal_reader_close(struct journal *journal)
{
    struct reader *reader = &journal->reader;

    for (size_t i = 0; i < PLACES; i++) {
        journal_place_close(&reader->places[i]);
        segments_clear(&reader->places[i].segments);
        free(reader->places[i].batch);
    }
}

/* A directory with another journal's id is not of this journal. */
static bool is_ours(const struct journal *journal, const struct reader_place *place)
{
    char id[JOURNAL_ID_SIZE];

    return journal_read_id(place->directory, id) < 0 || text_equal(id, journal->id);
}

static int list(const struct journal *journal, struct reader_place *place)
{
    int r;

    place->segments.count = place->segments.bad_count = 0;
    if (!*place->directory) {
        return 0;
    }

    r = segments_read(&place->segments, place->directory);
    if (r < 0) {
        place->segments.count = place->segments.bad_count = 0;
        return r == -ENOENT ? 0 : r;
    }
    if (*journal->reader.places[PLACE_MEMORY].directory && *journal->id && !is_ours(journal, place)) {
        place->segments.count = place->segments.bad_count = 0;
    }
    return 0;
}

bool journal_may_pass(struct journal *journal, int r)
{
    struct reader *reader = &journal->reader;
    uint64_t now_ms;

    if (r == -EBADMSG) {
        return true;
    }
    if (r != -EIO) {
        return false;
    }

    now_ms = clock_monotonic_ms();
    reader->failed = true;
    reader->failing_since_ms = reader->failing_since_ms ? reader->failing_since_ms : now_ms;
    return now_ms - reader->failing_since_ms >= reader->patience_ms;
}

int journal_reader_begin(struct journal *journal)
{
    struct reader *reader = &journal->reader;
    const struct reader_place *card = &reader->places[PLACE_CARD], *memory = &reader->places[PLACE_MEMORY];
    int r;

    reader->failed = false;
    // Memory first: what is unlinked there afterwards is on the card by then.
    r = list(journal, &reader->places[PLACE_MEMORY]);
    if (r < 0) {
        return r;
    }

    r = list(journal, &reader->places[PLACE_CARD]);
    if (r < 0 && !(memory->segments.count > 0 && journal_may_pass(journal, r == -EACCES ? r : -EIO))) {
        return r;
    }

    return card->segments.count + memory->segments.count == 0 ? -EAGAIN : 0;
}
