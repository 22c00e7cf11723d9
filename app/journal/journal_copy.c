/* SPDX-License-Identifier: MIT */

/* What comes back from the place where a journal has been meanwhile. */

#include "app/journal/journal_copy.h"

#include "app/base/file.h"
#include "app/journal/journal_aside.h"
#include "app/journal/journal_private.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* A meter's id there and here. The same, unless the first place could not be read when the other was begun. */
struct same_meter {
    int64_t there, here;
};

struct copying {
    struct journal *journal;
    struct database *from;       // a segment of the other place
    uint64_t first;              // which
    char boot_id[JOURNAL_ID_SIZE];
    bool has_words;
    unsigned left;               // how many may still be copied in this transaction
    unsigned count;              // how many are
    uint64_t boot_ms;            // of the last of them
    int64_t event;               // the last one's id; 0: there was none
    struct same_meter *meters;
    unsigned meter_count;
};

static void clear(struct copying *copying)
{
    database_close(copying->from);
    free(copying->meters);
}

static int open_there(struct copying *copying, const char *directory, uint64_t first)
{
    auto_statement struct statement *boot = NULL;
    auto_statement struct statement *words = NULL;
    char path[PATH_SIZE], name[SEGMENT_NAME_SIZE];
    int r;

    r = file_path(path, sizeof(path), directory, segment_name(first, ".db", name));
    if (r >= 0) {
        r = database_open(path, DATABASE_READ, &copying->from);
    }
    if (r >= 0) {
        r = statement_new(copying->from, "SELECT boot_id FROM epoch ORDER BY n DESC LIMIT 1", &boot);
    }
    if (r >= 0) {
        r = statement_step(boot);
    }
    if (r <= 0) {
        return r < 0 ? r : -EBADMSG;
    }

    copying->first = first;
    copying->has_words = statement_new(copying->from, "SELECT words FROM sample LIMIT 0", &words) == 0;
    return text_copy(copying->boot_id, sizeof(copying->boot_id), statement_text(boot, 0));
}

/* Epochs of that boot that the journal has not, or only the first of all. */
static int copy_epochs(struct copying *copying, struct epoch *ret_first)
{
    struct journal *journal = copying->journal;
    auto_statement struct statement *statement = NULL;
    int r;

    r = statement_new(copying->from, "SELECT n,wall_ms,source,error_ms FROM epoch WHERE boot_id=? ORDER BY n",
                      &statement);
    if (r < 0) {
        return r;
    }

    statement_set_text(statement, 1, copying->boot_id, strlen(copying->boot_id));
    while ((r = statement_step(statement)) > 0) {
        struct epoch epoch = { .number = statement_number(statement, 0),
                               .wall_ms = statement_number(statement, 1),
                               .source = (enum clock_quality) statement_text(statement, 2)[0],
                               .error_ms = statement_number(statement, 3) };

        memcpy(epoch.boot_id, copying->boot_id, sizeof(epoch.boot_id));
        if (ret_first) {
            *ret_first = epoch;
            return 0;
        }
        if (!journal_has_epoch(journal, &epoch)) {
            r = journal_register_epoch(journal, &epoch);
            if (r < 0) {
                return r;
            }
            journal->writer.next_epoch = MAX(journal->writer.next_epoch, epoch.number + 1);
        }
    }
    return r < 0 ? r : ret_first ? -EBADMSG : 0;
}

/* Whether the newest segment takes rows of that boot. */
static bool goes_on(const struct copying *copying)
{
    const struct writer *writer = &copying->journal->writer;

    return writer->database && !writer->aside && text_equal(writer->boot_id, copying->boot_id);
}

/* A segment that begins with that seq. What the other place gave is above all that stands here. */
static int begin_segment(struct copying *copying, uint64_t first)
{
    struct journal *journal = copying->journal;
    struct writer *writer = &journal->writer;
    struct epoch epoch = {};
    int r;

    r = segments_read(&journal->reader.segments, journal->directory);
    if (r < 0) {
        return r;
    }
    if (first <= journal->reader.segments.highest || first < writer->next_seq) {
        return -EEXIST;
    }

    if (!goes_on(copying)) {
        r = copy_epochs(copying, &epoch);
        if (r < 0) {
            return r;
        }
    }
    r = journal_segment_begin(journal, first, &epoch);
    if (r < 0) {
        return r;
    }
    writer->unsealed = true;
    writer->aside = false;
    journal_aside_remember_boot(journal, copying->boot_id);
    return 0;
}

/* Before the first of a transaction, whose seq is that one: within a segment none is left out. */
static int begin(struct copying *copying, uint64_t seq)
{
    struct writer *writer = &copying->journal->writer;
    int r = 0;

    if (!goes_on(copying) || seq != writer->next_seq) {
        r = begin_segment(copying, seq);
    }
    if (r >= 0) {
        writer->ready = true;
        r = journal_begin(copying->journal);
    }
    return r < 0 ? r : copy_epochs(copying, NULL);
}

static int find_meter(struct copying *copying, int64_t there, int64_t *ret)
{
    auto_statement struct statement *statement = NULL;
    struct same_meter *grown;
    int64_t here;
    int r;

    for (unsigned i = 0; i < copying->meter_count; i++) {
        if (copying->meters[i].there == there) {
            *ret = copying->meters[i].here;
            return 0;
        }
    }

    r = statement_new(copying->from, "SELECT name,model,layout FROM meter WHERE id=?", &statement);
    if (r < 0) {
        return r;
    }
    statement_set_number(statement, 1, there);
    r = statement_step(statement);
    if (r <= 0) {
        return r < 0 ? r : -EBADMSG;
    }
    r = journal_register_meter(copying->journal, statement_text(statement, 0), statement_text(statement, 1),
                               statement_text(statement, 2), there, &here);
    if (r < 0) {
        return r;
    }

    grown = reallocarray(copying->meters, copying->meter_count + 1, sizeof(*grown));
    if (!grown) {
        return -ENOMEM;
    }
    copying->meters = grown;
    grown[copying->meter_count++] = (struct same_meter){ there, here };
    *ret = here;
    return 0;
}

static int copy_row(struct copying *copying, struct statement *row, uint64_t seq)
{
    const char *values = statement_text(row, 5);
    const char *words = copying->has_words ? statement_text(row, 6) : "";
    struct stored_row stored = { .seq = seq,
                                 .epoch = statement_number(row, 1),
                                 .boot_ms = (uint64_t) statement_number(row, 2),
                                 .quality = statement_text(row, 4),
                                 .values = values,
                                 .values_size = strlen(values),
                                 .words = *words ? words : NULL,
                                 .words_size = strlen(words) };
    int r;

    r = find_meter(copying, statement_number(row, 3), &stored.meter);
    if (r < 0) {
        return r;
    }
    copying->boot_ms = stored.boot_ms;
    return journal_append(copying->journal, &stored);
}

/* Returns 1 if that is all of the segment's rows that there are. */
static int copy_rows(struct copying *copying)
{
    struct writer *writer = &copying->journal->writer;
    auto_statement struct statement *row = NULL;
    int r;

    r = statement_new(copying->from,
                      copying->has_words
                          ? "SELECT seq,epoch,boot_ms,meter,quality,vals,words FROM sample WHERE seq>? ORDER BY seq"
                          : "SELECT seq,epoch,boot_ms,meter,quality,vals FROM sample WHERE seq>? ORDER BY seq", &row);
    if (r < 0) {
        return r;
    }

    statement_set_number(row, 1, (int64_t) writer->committed_seq);
    while (copying->left > 0 && (r = statement_step(row)) > 0) {
        const uint64_t seq = (uint64_t) statement_number(row, 0);

        if (copying->count > 0 && seq != writer->next_seq) {
            return 0;  // some were lost before this one
        }
        r = copying->count == 0 ? begin(copying, seq) : 0;
        if (r >= 0) {
            r = copy_row(copying, row, seq);
        }
        if (r < 0) {
            return r;
        }
        copying->left--;
        copying->count++;
    }
    return r < 0 ? r : r == 0;
}

static int copy_event(struct copying *copying, struct statement *event)
{
    struct writer *writer = &copying->journal->writer;
    auto_statement struct statement *insert = NULL;
    int r;

    r = statement_new(writer->database, "INSERT OR IGNORE INTO event VALUES(?,?,?,?,?)", &insert);
    if (r < 0) {
        return r;
    }

    copying->event = statement_number(event, 0);
    copying->boot_ms = (uint64_t) statement_number(event, 2);
    statement_set_number(insert, 1, copying->event);
    statement_set_number(insert, 2, statement_number(event, 1));
    statement_set_number(insert, 3, (int64_t) copying->boot_ms);
    statement_set_text(insert, 4, statement_text(event, 3), strlen(statement_text(event, 3)));
    statement_set_text(insert, 5, statement_text(event, 4), strlen(statement_text(event, 4)));
    r = statement_run(insert);
    if (r >= 0) {
        writer->next_event = MAX(writer->next_event, copying->event + 1);
    }
    return r;
}

/* Events after all rows of the segment. Those of a journal whose newest segment was set aside are above what it had. */
static int copy_events(struct copying *copying, bool was_aside)
{
    struct writer *writer = &copying->journal->writer;
    auto_statement struct statement *event = NULL;
    int r;

    r = statement_new(copying->from, "SELECT id,epoch,boot_ms,code,text FROM event WHERE id>? ORDER BY id", &event);
    if (r < 0) {
        return r;
    }

    statement_set_number(event, 1,
                         writer->copied_event ? writer->copied_event : was_aside ? 0 : writer->committed_event - 1);
    while (copying->left > 0 && (r = statement_step(event)) > 0) {
        if (copying->count == 0) {
            r = begin(copying, goes_on(copying) ? writer->next_seq : copying->first);
        }
        if (r >= 0) {
            r = copy_event(copying, event);
        }
        if (r < 0) {
            return r;
        }
        copying->left--;
        copying->count++;
    }
    return r;
}

/* Returns how many rows and events of one segment are copied and committed. */
static int copy_segment(struct journal *journal, const char *directory, uint64_t first, unsigned count)
{
    CLEANUP(clear) struct copying copying = { .journal = journal, .left = count };
    const bool was_aside = journal->writer.aside;
    int r;

    r = open_there(&copying, directory, first);
    if (r >= 0) {
        r = copy_rows(&copying);
    }
    if (r > 0) {
        r = copy_events(&copying, was_aside);
    }
    if (r >= 0 && copying.count > 0) {
        r = journal_commit(journal, copying.boot_ms);
    }
    if (r < 0) {
        return journal_finish(journal, r);
    }

    if (was_aside && !journal->writer.aside && copying.event == 0) {
        copying.event = 1;  // its own events are above those that are still to come
    }
    journal->writer.copied_event = MAX(journal->writer.copied_event, copying.event);
    return (int) copying.count;
}

int journal_copy(struct journal *journal, const char *directory, unsigned count)
{
    auto_segments struct segments segments = {};
    int r;

    assert(journal->writer.on);
    r = segments_read(&segments, directory);
    if (r < 0) {
        return r == -ENOENT ? 0 : r;
    }

    for (size_t i = segments_find(&segments, journal->writer.committed_seq); i < segments.count; i++) {
        r = copy_segment(journal, directory, segments.first[i], count);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}
