/* SPDX-License-Identifier: MIT */

/* What older segments still need: the boot's clock, once it is known, and their seal. */

#include "app/journal/journal_private.h"

#include <errno.h>
#include <string.h>

/* Whether a segment is of that boot and has no known epoch: 1 if both. */
static int is_unlearned(struct database *database, const char *boot_id)
{
    auto_statement struct statement *statement = NULL;
    int r;

    r = statement_new(database, "SELECT count(*), total(source IN ('N','H','R')) FROM epoch WHERE boot_id=?",
                      &statement);
    if (r < 0) {
        return r;
    }

    statement_set_text(statement, 1, boot_id, strlen(boot_id));
    r = statement_step(statement);
    if (r < 0) {
        return r;
    }

    return statement_number(statement, 0) > 0 && statement_number(statement, 1) == 0;
}

/* Give an older segment the epoch if it is_unlearned(), or only ask. Returns 1 if it was. */
static int teach(struct journal *journal, uint64_t first, const struct epoch *epoch, bool only_ask)
{
    auto_database struct database *database = NULL;
    int r;

    r = journal_database(journal, first, DATABASE_WRITE, &database);
    if (r < 0) {
        return r;
    }

    r = is_unlearned(database, epoch->boot_id);
    if (r <= 0 || only_ask) {
        return r;
    }

    r = journal_segment_add_epoch(database, epoch);
    return r < 0 ? r : 1;
}

/*
 * The oldest is taught first: if the next to the newest knows, all before it do. Returns whether one was busy.
 */
static bool teach_older(struct journal *journal, const struct epoch *epoch)
{
    const struct segments *segments = &journal->reader.segments;
    size_t newest = segments_find(segments, journal->writer.known_in);
    size_t oldest = newest;

    while (oldest > 0) {
        int r = teach(journal, segments->first[oldest - 1], epoch, true);

        if (r == -EAGAIN) {
            return true;
        }
        if (r == 0) {
            break;
        }
        oldest--;  // a damaged one is passed: it is not in the way of the others
    }

    for (size_t i = oldest; i < newest; i++) {
        if (teach(journal, segments->first[i], epoch, false) == -EAGAIN) {
            return true;
        }
    }

    return false;
}

static int seal(struct journal *journal, uint64_t first)
{
    auto_database struct database *database = NULL;
    char path[PATH_SIZE];
    bool open;
    int r;

    r = journal_path(journal, first, ".db", path);
    if (r < 0) {
        return r;
    }

    r = segment_is_open(path, &open);
    if (r < 0 || !open) {
        return r;
    }

    r = database_open(path, DATABASE_WRITE, &database);
    if (r < 0) {
        return r;
    }

    return database_seal(database);
}

void journal_segment_tidy(struct journal *journal)
{
    struct writer *writer = &journal->writer;
    struct segments *segments = &journal->reader.segments;
    bool again = false;

    if ((writer->known.number == 0 && !writer->unsealed) || segments_read(segments, journal->directory) < 0) {
        return;
    }

    if (writer->known.number != 0 && !teach_older(journal, &writer->known)) {
        writer->known.number = 0;
    }

    for (size_t i = 0; writer->unsealed && i < segments->count; i++) {
        if (segments->first[i] < writer->first) {
            again |= seal(journal, segments->first[i]) == -EAGAIN;
        }
    }
    writer->unsealed = again;
}
