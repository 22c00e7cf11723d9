/* SPDX-License-Identifier: MIT */

/* Forgetting the oldest. */

#include "app/journal/journal_private.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define KEEP_DAYS_MIN 7
#define DAY_MS        (24 * 3600 * (uint64_t) 1000)

/* Boot clock between a segment's first and last row. */
static int recorded_ms(struct journal *journal, uint64_t first, uint64_t *ret)
{
    auto_database struct database *database = NULL;
    int64_t from = 0, to = 0;
    int r;

    r = journal_database(journal, first, DATABASE_READ, &database);
    if (r >= 0) {
        r = database_number(database, "SELECT boot_ms FROM sample ORDER BY seq LIMIT 1", &from);
    }
    if (r >= 0) {
        r = database_number(database, "SELECT boot_ms FROM sample ORDER BY seq DESC LIMIT 1", &to);
    }
    if (r < 0) {
        return r;
    }

    *ret = to > from ? (uint64_t) (to - from) : 0;
    return 0;
}

/* A segment, or one that was set aside: that one counts no day, but has a size, and goes with its neighbours. */
struct old {
    uint64_t first;
    const char *ending;
    uint64_t bytes;
};

static int add_old(const struct journal *journal, struct old *old, uint64_t first, const char *ending)
{
    struct stat status;
    char path[PATH_SIZE];
    int r;

    r = journal_path(journal, first, ending, path);
    if (r < 0) {
        return r;
    }

    *old = (struct old){ .first = first, .ending = ending };
    old->bytes = stat(path, &status) == 0 ? (uint64_t) status.st_size : 0;
    return 0;
}

/* Both kinds, oldest first. */
static int list_old(const struct journal *journal, const struct segments *segments, struct old *ret)
{
    size_t good = 0, bad = 0;

    for (size_t i = 0; i < segments->count + segments->bad_count; i++) {
        bool is_bad = good == segments->count ||
                      (bad < segments->bad_count && segments->bad[bad] < segments->first[good]);
        int r;

        r = is_bad ? add_old(journal, &ret[i], segments->bad[bad++], ".db.bad")
                   : add_old(journal, &ret[i], segments->first[good++], ".db");
        if (r < 0) {
            return r;
        }
    }

    return 0;
}

/* How many of the oldest go because newer ones already hold that many days. */
static size_t count_beyond_days(struct journal *journal, const struct old *old, size_t count, unsigned days)
{
    uint64_t limit = days * DAY_MS, sum = 0;

    // A segment holds a day at most, so fewer segments than days hold fewer days.
    if (count <= days) {
        return 0;
    }

    for (size_t i = count; i > 0; i--) {
        uint64_t ms;

        if (sum >= limit) {
            return i;
        }
        if (text_equal(old[i - 1].ending, ".db") && recorded_ms(journal, old[i - 1].first, &ms) == 0) {
            sum += ms;
        }
    }

    return 0;
}

static size_t count_beyond_bytes(const struct old *old, size_t count, uint64_t budget)
{
    uint64_t sum = 0;

    for (size_t i = count; i > 0; i--) {
        sum += old[i - 1].bytes;
        if (sum > budget) {
            return i;
        }
    }

    return 0;
}

int journal_prune(struct journal *journal, unsigned keep_days, uint64_t budget_bytes)
{
    struct segments *segments = &journal->reader.segments;
    auto_free struct old *old = NULL;
    struct statvfs space;
    size_t count, all;
    int r;

    r = segments_read(segments, journal->directory);
    if (r < 0) {
        return r;
    }

    all = segments->count + segments->bad_count;
    old = calloc(MAX(all, (size_t) 1), sizeof(*old));
    if (!old) {
        return -ENOMEM;
    }
    r = list_old(journal, segments, old);
    if (r < 0) {
        return r;
    }

    if (budget_bytes == 0 && statvfs(journal->directory, &space) == 0) {
        budget_bytes = (uint64_t) space.f_blocks * space.f_frsize / 2;
    }
    count = count_beyond_days(journal, old, all, MAX(keep_days, (unsigned) KEEP_DAYS_MIN));
    if (budget_bytes > 0) {
        count = MAX(count, count_beyond_bytes(old, all, budget_bytes));
    }
    count = MIN(count, all > 0 ? all - 1 : 0);

    for (size_t i = 0; i < count; i++) {
        if (old[i].first == journal->writer.first && text_equal(old[i].ending, ".db")) {
            return (int) i;  // the one that is written
        }
        r = segment_remove(journal->directory, old[i].first, old[i].ending);
        if (r < 0) {
            return r;
        }
    }

    return (int) count;
}
