/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/recall.h"
#include "app/base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#define BOOT_A "aaaaaaaa-0000-4000-8000-000000000001"
#define BOOT_B "bbbbbbbb-0000-4000-8000-000000000002"
#define WALL   INT64_C(1763000000000)
#define FAR    (clock_monotonic_us() + 10000000)

static char directory[128];
static struct journal *journal;
static struct epoch epoch;
static struct journal_row row;
static struct meters *meters;

static void begin(void)
{
    (void) snprintf(directory, sizeof(directory), "%s/test-recall-XXXXXX", TEST_BINARY_DIR);
    CHECK(mkdtemp(directory));
    CHECK_EQ(meters_new(&meters), 0);
}

static void end(void)
{
    DIR *stream = opendir(directory);
    const struct dirent *entry;
    char path[512];

    while ((entry = readdir(stream))) {
        (void) snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        (void) unlink(path);
    }
    closedir(stream);
    CHECK_EQ(rmdir(directory), 0);
    meters_free(meters);
}

static void open_boot(const char *boot_id, int64_t wall_ms, enum clock_quality source)
{
    epoch = (struct epoch){ .source = source, .wall_ms = wall_ms };
    (void) snprintf(epoch.boot_id, sizeof(epoch.boot_id), "%s", boot_id);
    CHECK_EQ(journal_open(directory, false, &journal), 0);
    CHECK_EQ(journal_add_epoch(journal, &epoch), 0);
}

static void close_boot(void)
{
    CHECK_EQ(journal_commit(journal, 1), 0);
    journal_close(journal);
}

static struct layout layout_of(const char *const *names, unsigned count)
{
    struct layout layout = { .count = count };

    for (unsigned i = 0; i < count; i++) {
        struct column *column = &layout.columns[i];

        (void) snprintf(column->name, sizeof(column->name), "%s", names[i]);
        column->quantity = quantity_find(names[i]);
        CHECK(column->quantity);
        (void) snprintf(column->unit, sizeof(column->unit), "%s", column->quantity->units);
    }
    return layout;
}

static void add_row(const char *name, const struct layout *layout, uint64_t boot_ms, double a, double b)
{
    uint64_t seq;

    CHECK_EQ(journal_add_meter(journal, name, "some-model", layout, &row.meter), 0);
    row.epoch = epoch.number;
    row.boot_ms = boot_ms;
    (void) snprintf(row.quality, sizeof(row.quality), "%c", epoch.source);
    row.value_count = layout->count;
    row.values[0] = a;
    row.values[1] = b;
    CHECK_EQ(journal_add_sample(journal, &row, NULL, 0, &seq), 0);
}

static const char *const both[] = { "energy_active_import", "energy_active_export" };

static void test_rows_come_newest_first_across_segments(void)
{
    static struct journal_row rows[8];
    const struct layout layout = layout_of(both, 2);

    begin();
    for (unsigned i = 0; i < 3; i++) {
        open_boot(i == 1 ? BOOT_B : BOOT_A, WALL, CLOCK_NTP);
        add_row("main", &layout, 1000, 10 * i, NAN);
        add_row("main", &layout, 2000, 10 * i + 1, NAN);
        close_boot();
    }

    CHECK_EQ(journal_open_read(directory, &journal), 0);
    CHECK_EQ(journal_read_back(journal, UINT64_MAX, rows, 3), 3);
    CHECK_NEAR(rows[0].values[0], 21, 0);
    CHECK_NEAR(rows[1].values[0], 20, 0);
    CHECK_NEAR(rows[2].values[0], 11, 0);
    CHECK_EQ(journal_read_back(journal, rows[2].seq, rows, 8), 3);
    CHECK_NEAR(rows[0].values[0], 10, 0);
    CHECK_NEAR(rows[2].values[0], 0, 0);
    CHECK_EQ(journal_read_back(journal, rows[2].seq, rows, 8), 0);
    journal_close(journal);
    end();
}

static void test_each_counter_has_its_last_value_and_time(void)
{
    static const char *const other[] = { "energy_active_export", "voltage" };
    const struct layout layout = layout_of(both, 2), mixed = layout_of(other, 2);
    const struct epoch now = { .source = CLOCK_NTP, .wall_ms = WALL + 86400000 };
    auto_recall struct recall *recall = NULL;
    struct counter_level level = { 0 };

    begin();
    CHECK_EQ(meters_add(meters, "main", "some-model", &layout), 0);
    CHECK_EQ(meters_add(meters, "kitchen", "some-model", &layout), 1);
    CHECK_EQ(meters_add(meters, "garage", "some-model", &layout), 2);
    open_boot(BOOT_A, WALL, CLOCK_NTP);
    add_row("main", &layout, 10000, 5000, 700);
    add_row("main", &mixed, 15000, 701, 230);     // another choice of columns, for a while
    add_row("garage", &mixed, 15000, NAN, 230);   // never had a value
    for (unsigned i = 0; i < 200; i++) {
        add_row("other", &layout, 16000, 1, 2);   // not configured any more
    }
    add_row("main", &layout, 20000, 5003, NAN);
    add_row("main", &layout, 30000, NAN, NAN);    // held back before the restart
    close_boot();

    CHECK_EQ(recall_new(&recall), 0);
    CHECK_EQ(journal_open_read(directory, &journal), 0);
    CHECK_EQ(recall_read(recall, journal, meters, FAR), 0);
    journal_close(journal);

    // a day later, by the wall clock; the present boot is 5 s old
    CHECK_EQ(recall_level(recall, "main", both[0], &now, 5000, &level), COUNTER_KNOWN);
    CHECK_NEAR(level.value, 5003, 0);
    CHECK_EQ(level.ms, 20000 - 86400000);
    CHECK_EQ(recall_level(recall, "main", both[1], &now, 5000, &level), COUNTER_KNOWN);
    CHECK_NEAR(level.value, 701, 0);
    CHECK_EQ(level.ms, 15000 - 86400000);
    CHECK_EQ(recall_level(recall, "main", "voltage", &now, 5000, &level), COUNTER_NEW);
    CHECK_EQ(recall_level(recall, "kitchen", both[0], &now, 5000, &level), COUNTER_NEW);
    CHECK_EQ(recall_level(recall, "garage", both[1], &now, 5000, &level), COUNTER_NEW);
    end();
}

static void test_where_the_time_is_not_known_the_boot_began_after_it(void)
{
    static const struct {
        enum clock_quality then, now;
        int64_t wall_ms;
        enum counter_memory memory;
    } cases[] = {
        { CLOCK_NTP, CLOCK_NTP, WALL + 60000, COUNTER_KNOWN },
        { CLOCK_UNKNOWN, CLOCK_NTP, WALL + 60000, COUNTER_KNOWN_SINCE },
        { CLOCK_ESTIMATED, CLOCK_NTP, WALL + 60000, COUNTER_KNOWN_SINCE },
        { CLOCK_NTP, CLOCK_UNKNOWN, WALL + 60000, COUNTER_KNOWN_SINCE },
        { CLOCK_RTC, CLOCK_HELD, WALL + 60000, COUNTER_KNOWN },
        { CLOCK_NTP, CLOCK_NTP, WALL - 3600000, COUNTER_KNOWN_SINCE },  // the clock was set back
    };
    const struct layout layout = layout_of(both, 2);

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct epoch now = { .source = cases[i].now, .wall_ms = cases[i].wall_ms };
        auto_recall struct recall *recall = NULL;
        struct counter_level level = { 0 };

        begin();
        CHECK_EQ(meters_add(meters, "main", "some-model", &layout), 0);
        open_boot(BOOT_A, WALL, cases[i].then);
        add_row("main", &layout, 10000, 5000, 700);
        close_boot();
        CHECK_EQ(recall_new(&recall), 0);
        CHECK_EQ(journal_open_read(directory, &journal), 0);
        CHECK_EQ(recall_read(recall, journal, meters, FAR), 0);
        journal_close(journal);
        CHECK_EQ(recall_level(recall, "main", both[0], &now, 5000, &level), cases[i].memory);
        CHECK_NEAR(level.value, 5000, 0);
        CHECK_EQ(level.ms, cases[i].memory == COUNTER_KNOWN ? 10000 - 60000 : 0);
        end();
    }
}

static void test_rows_of_this_boot_have_its_time(void)
{
    const struct layout layout = layout_of(both, 2);
    const struct epoch now = { .source = CLOCK_UNKNOWN };
    auto_recall struct recall *recall = NULL;
    char boot_id[CLOCK_BOOT_ID_SIZE];
    struct counter_level level = { 0 };

    clock_boot_id(boot_id);
    begin();
    CHECK_EQ(meters_add(meters, "main", "some-model", &layout), 0);
    open_boot(boot_id, WALL, CLOCK_UNKNOWN);
    add_row("main", &layout, 10000, 5000, 700);
    close_boot();
    CHECK_EQ(recall_new(&recall), 0);
    CHECK_EQ(journal_open_read(directory, &journal), 0);
    CHECK_EQ(recall_read(recall, journal, meters, FAR), 0);
    journal_close(journal);
    CHECK_EQ(recall_level(recall, "main", both[0], &now, 60000, &level), COUNTER_KNOWN);
    CHECK_EQ(level.ms, 10000);
    end();
}

static void test_what_could_not_be_read_is_forgotten_and_not_new(void)
{
    const struct layout layout = layout_of(both, 2);
    const struct epoch now = { .source = CLOCK_NTP, .wall_ms = WALL };
    auto_recall struct recall *recall = NULL;
    struct counter_level level = { 0 };

    CHECK_EQ(recall_level(NULL, "main", both[0], &now, 5000, &level), COUNTER_FORGOTTEN);

    begin();
    CHECK_EQ(meters_add(meters, "main", "some-model", &layout), 0);
    open_boot(BOOT_A, WALL, CLOCK_NTP);
    add_row("main", &layout, 10000, 5000, 700);
    close_boot();
    CHECK_EQ(recall_new(&recall), 0);
    CHECK_EQ(journal_open_read(directory, &journal), 0);
    CHECK_EQ(recall_read(recall, journal, meters, 0), 0);  // no time left
    journal_close(journal);
    CHECK_EQ(recall_level(recall, "main", both[0], &now, 5000, &level), COUNTER_FORGOTTEN);
    end();
}

static void test_a_level_is_handed_from_one_bus_to_the_next(void)
{
    const struct epoch now = { .source = CLOCK_UNKNOWN };
    auto_recall struct recall *recall = NULL;
    struct counter_level level = { .value = 5000, .ms = 70000, .moved_ms = 69000 };

    CHECK_EQ(recall_new(&recall), 0);
    CHECK_EQ(recall_keep(recall, "main", both[0], COUNTER_KNOWN, &level), 0);
    CHECK_EQ(recall_keep(recall, "main", both[1], COUNTER_FORGOTTEN, &level), 0);
    level = (struct counter_level){ 0 };
    CHECK_EQ(recall_level(recall, "main", both[0], &now, 80000, &level), COUNTER_KNOWN);
    CHECK_NEAR(level.value, 5000, 0);
    CHECK_EQ(level.ms, 70000);
    CHECK_EQ(recall_level(recall, "main", both[1], &now, 80000, &level), COUNTER_FORGOTTEN);
    CHECK_EQ(recall_level(recall, "garage", both[0], &now, 80000, &level), COUNTER_NEW);
}

TESTS(test_rows_come_newest_first_across_segments, test_each_counter_has_its_last_value_and_time,
      test_where_the_time_is_not_known_the_boot_began_after_it, test_rows_of_this_boot_have_its_time,
      test_what_could_not_be_read_is_forgotten_and_not_new, test_a_level_is_handed_from_one_bus_to_the_next)
