/* SPDX-License-Identifier: MIT */

/* Forgetting the oldest. */

#include "app/journal/journal_private.h"

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

/* How many of the oldest segments go because newer ones already hold that many days. */
static size_t count_beyond_days(struct journal *journal, const struct segments *segments, unsigned days)
{
    uint64_t limit = days * DAY_MS, sum = 0;

    // A segment holds a day at most, so fewer segments than days hold fewer days.
    if (segments->count <= days) {
        return 0;
    }

    for (size_t i = segments->count; i > 0; i--) {
        uint64_t ms;

        if (sum >= limit) {
            return i;
        }
        if (recorded_ms(journal, segments->first[i - 1], &ms) == 0) {
            sum += ms;
        }
    }

    return 0;
}

static size_t count_beyond_bytes(struct journal *journal, const struct segments *segments, uint64_t budget)
{
    uint64_t sum = 0;

    for (size_t i = segments->count; i > 0; i--) {
        char path[PATH_SIZE];
        struct stat status;

        if (journal_path(journal, segments->first[i - 1], ".db", path) == 0 && stat(path, &status) == 0) {
            sum += (uint64_t) status.st_size;
        }
        if (sum > budget) {
            return i;
        }
    }

    return 0;
}

int journal_prune(struct journal *journal, unsigned keep_days, uint64_t budget_bytes)
{
    struct segments *segments = &journal->reader.segments;
    struct statvfs space;
    size_t count;
    int r;

    r = segments_read(segments, journal->directory);
    if (r < 0) {
        return r;
    }

    if (budget_bytes == 0 && statvfs(journal->directory, &space) == 0) {
        budget_bytes = (uint64_t) space.f_blocks * space.f_frsize / 2;
    }

    count = count_beyond_days(journal, segments, MAX(keep_days, (unsigned) KEEP_DAYS_MIN));
    if (budget_bytes > 0) {
        count = MAX(count, count_beyond_bytes(journal, segments, budget_bytes));
    }
    if (count == segments->count && count > 0) {
        count--;
    }

    for (size_t i = 0; i < count; i++) {
        r = segment_remove(journal->directory, segments->first[i]);
        if (r < 0) {
            return r;
        }
    }

    return (int) count;
}
