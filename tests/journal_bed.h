/* SPDX-License-Identifier: MIT */
#pragma once

/* A journal in a directory of its own, a writer with one meter, and rows of one value. */

#include "app/journal/journal.h"
#include "app/journal/segment.h"
#include "tests/test.h"

#include <dirent.h>
#include <sys/stat.h>

#define BOOT_A "aaaaaaaa-0000-4000-8000-000000000001"
#define BOOT_B "bbbbbbbb-0000-4000-8000-000000000002"
#define BOOT_C "cccccccc-0000-4000-8000-000000000003"
#define DAY    (24 * 3600 * 1000ull)
#define BLOCK  (1ull << 32)

static char state_dir[128], directory[160];

static inline void make_directory(void)
{
    snprintf(state_dir, sizeof(state_dir), "%s/test-journal-XXXXXX", TEST_BINARY_DIR);
    CHECK(mkdtemp(state_dir));
    snprintf(directory, sizeof(directory), "%s/journal", state_dir);
}

static inline void remove_directory(void)
{
    DIR *stream = opendir(directory);
    const struct dirent *entry;
    char path[512];

    while (stream && (entry = readdir(stream))) {
        snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        if (unlink(path) < 0) {
            (void) rmdir(path);
        }
    }
    if (stream) {
        closedir(stream);
    }
    (void) rmdir(directory);
    CHECK_EQ(rmdir(state_dir), 0);
}

static inline const char *segment_path(uint64_t first, char path[static 512])
{
    char name[SEGMENT_NAME_SIZE];

    snprintf(path, 512, "%s/%s", directory, segment_name(first, ".db", name));
    return path;
}

static inline struct layout layout_of(const char *a, const char *unit_a, const char *b, const char *unit_b)
{
    struct layout layout = { .count = b ? 2 : 1 };

    snprintf(layout.columns[0].name, QUANTITY_NAME_SIZE, "%s", a);
    snprintf(layout.columns[0].unit, UNIT_SIZE, "%s", unit_a);
    if (b) {
        snprintf(layout.columns[1].name, QUANTITY_NAME_SIZE, "%s", b);
        snprintf(layout.columns[1].unit, UNIT_SIZE, "%s", unit_b);
    }
    return layout;
}

static inline struct journal *open_writer(const char *boot_id, enum clock_quality source, struct epoch *ret_epoch)
{
    struct journal *journal = NULL;

    *ret_epoch = (struct epoch){ .source = source, .wall_ms = 1763000000000 };
    snprintf(ret_epoch->boot_id, sizeof(ret_epoch->boot_id), "%s", boot_id);
    CHECK_EQ(journal_open(directory, false, &journal), 0);
    CHECK_EQ(journal_add_epoch(journal, ret_epoch), 0);
    return journal;
}

static inline int64_t add_kitchen(struct journal *journal)
{
    struct layout layout = layout_of("voltage", "V", "power_factor", "");
    int64_t id = 0;

    CHECK_EQ(journal_add_meter(journal, "kitchen", "schneider-iem2150", &layout, &id), 0);
    return id;
}

static inline uint64_t add_row(struct journal *journal, const struct epoch *epoch, int64_t meter, uint64_t boot_ms,
                               double value)
{
    struct journal_row row = { .epoch = epoch->number, .boot_ms = boot_ms, .meter = meter, .value_count = 2,
                               .values = { value, NAN } };
    uint64_t seq = 0;

    snprintf(row.quality, sizeof(row.quality), "%cm", (char) epoch->source);
    CHECK_EQ(journal_add_sample(journal, &row, NULL, 0, &seq), 0);
    return seq;
}

/* A row an hour; the segments hold the hours 0 to 24, 25 to 49, and 50. */
static inline void write_three_days(struct journal *writer, const struct epoch *epoch, int64_t meter)
{
    for (uint64_t hour = 0; hour <= 50; hour++) {
        add_row(writer, epoch, meter, 1 + hour * 3600 * 1000, (double) hour);
        CHECK_EQ(journal_commit(writer, 1 + hour * 3600 * 1000), 0);
    }
}
