// SPDX-License-Identifier: MIT
// link: ms_journal

#include "tests/test.h"

#include "app/base/file.h"
#include "app/journal/database.h"
#include "app/journal/journal.h"
#include "app/journal/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define BOOT_A "aaaaaaaa-0000-4000-8000-000000000001"
#define BOOT_B "bbbbbbbb-0000-4000-8000-000000000002"
#define BOOT_C "cccccccc-0000-4000-8000-000000000003"
#define DAY    (24 * 3600 * 1000ull)
#define BLOCK  (1ull << 32)

static char state_dir[128], directory[160];

static void make_directory(void)
{
    snprintf(state_dir, sizeof(state_dir), "%s/test-journal-XXXXXX", TEST_BINARY_DIR);
    CHECK(mkdtemp(state_dir));
    snprintf(directory, sizeof(directory), "%s/journal", state_dir);
}

static void remove_directory(void)
{
    DIR *stream = opendir(directory);
    const struct dirent *entry;
    char path[512];

    while (stream && (entry = readdir(stream))) {
        snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        (void) unlink(path);
    }
    if (stream) {
        closedir(stream);
    }
    (void) rmdir(directory);
    CHECK_EQ(rmdir(state_dir), 0);
}

static const char *segment_path(uint64_t first, char path[static 512])
{
    char name[SEGMENT_NAME_SIZE];

    snprintf(path, 512, "%s/%s", directory, segment_name(first, ".db", name));
    return path;
}

static struct layout layout_of(const char *a, const char *unit_a, const char *b, const char *unit_b)
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

static struct journal *open_writer(const char *boot_id, enum clock_quality source, struct epoch *ret_epoch)
{
    struct journal *journal = NULL;

    *ret_epoch = (struct epoch){ .source = source, .wall_ms = 1763000000000 };
    snprintf(ret_epoch->boot_id, sizeof(ret_epoch->boot_id), "%s", boot_id);
    CHECK_EQ(journal_open(directory, false, &journal), 0);
    CHECK_EQ(journal_add_epoch(journal, ret_epoch), 0);
    return journal;
}

static int64_t add_kitchen(struct journal *journal)
{
    struct layout layout = layout_of("voltage", "V", "power_factor", "");
    int64_t id = 0;

    CHECK_EQ(journal_add_meter(journal, "kitchen", "schneider-iem2150", &layout, &id), 0);
    return id;
}

static uint64_t add_row(struct journal *journal, const struct epoch *epoch, int64_t meter, uint64_t boot_ms,
                        double value)
{
    struct journal_row row = { .epoch = epoch->number, .boot_ms = boot_ms, .meter = meter, .value_count = 2,
                               .values = { value, NAN } };
    uint64_t seq = 0;

    snprintf(row.quality, sizeof(row.quality), "%cm", (char) epoch->source);
    CHECK_EQ(journal_add_sample(journal, &row, NULL, 0, &seq), 0);
    return seq;
}

static void test_rows_come_back_exactly(void)
{
    static const double values[] = { 230.1, 0.042, -0.0, 1e21, 4.9e-324, 8013.8, 1.0 / 3, -123456789.25 };
    struct journal *writer, *reader = NULL;
    struct journal_row row = { .quality = "Nmg", .value_count = ARRAY_SIZE(values) + 1 }, back[4];
    struct epoch epoch;
    uint64_t seq;

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    row.epoch = epoch.number;
    row.meter = add_kitchen(writer);
    row.boot_ms = 123456;
    memcpy(row.values, values, sizeof(values));
    row.values[ARRAY_SIZE(values)] = NAN;
    CHECK_EQ(journal_add_sample(writer, &row, NULL, 0, &seq), 0);
    CHECK_EQ(seq, 1);
    CHECK_EQ(journal_last_seq(writer), 0);
    CHECK_EQ(journal_commit(writer, row.boot_ms), 0);
    CHECK_EQ(journal_last_seq(writer), 1);

    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_STR(journal_id(reader), journal_id(writer));
    CHECK_EQ(strlen(journal_id(reader)), 36);
    CHECK_EQ(journal_read(reader, 0, NULL, back, 4), 1);
    CHECK_EQ(back[0].seq, 1);
    CHECK_EQ(back[0].epoch, epoch.number);
    CHECK_EQ(back[0].boot_ms, 123456);
    CHECK_EQ(back[0].meter, row.meter);
    CHECK_STR(back[0].quality, "Nmg");
    CHECK_EQ(back[0].value_count, row.value_count);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        CHECK_NEAR(back[0].values[i], values[i], 0.0);
    }
    CHECK_NAN(back[0].values[ARRAY_SIZE(values)]);
    CHECK_EQ(journal_read(reader, 1, NULL, back, 4), 0);
    journal_close(reader);
    journal_close(writer);
    remove_directory();
}

static void test_seqs_go_on_after_a_restart_in_the_same_boot(void)
{
    struct journal *writer;
    struct epoch epoch;
    char id[JOURNAL_ID_SIZE];

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    snprintf(id, sizeof(id), "%s", journal_id(writer));
    CHECK_EQ(epoch.number, 1);
    CHECK_EQ(add_row(writer, &epoch, add_kitchen(writer), 1000, 1), 1);
    CHECK_EQ(journal_commit(writer, 1000), 0);
    journal_close(writer);

    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    CHECK_STR(journal_id(writer), id);
    CHECK_EQ(journal_last_seq(writer), 1);
    CHECK_EQ(epoch.number, 2);
    CHECK_EQ(add_kitchen(writer), 1);
    CHECK_EQ(add_row(writer, &epoch, 1, 2000, 1), 2);
    CHECK_EQ(journal_commit(writer, 2000), 0);
    journal_close(writer);
    remove_directory();
}

static void test_each_boot_begins_at_the_next_multiple_of_2_to_the_32(void)
{
    struct journal *writer, *reader = NULL;
    struct journal_row rows[8];
    struct epoch epoch;
    uint64_t seq;
    char path[512];

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    CHECK_EQ(add_row(writer, &epoch, add_kitchen(writer), 1000, 1), 1);
    CHECK_EQ(journal_commit(writer, 1000), 0);
    journal_close(writer);

    writer = open_writer(BOOT_B, CLOCK_NTP, &epoch);
    CHECK_EQ(epoch.number, 2);
    CHECK_EQ(add_kitchen(writer), 1);
    CHECK_EQ(journal_last_seq(writer), 1);
    CHECK_EQ(add_row(writer, &epoch, 1, 500, 2), BLOCK);
    CHECK_EQ(journal_commit(writer, 500), 0);
    journal_close(writer);

    // An empty boot, and a damaged file set aside: their names count.
    writer = open_writer(BOOT_C, CLOCK_NTP, &epoch);
    CHECK_EQ(journal_last_seq(writer), BLOCK);
    CHECK_EQ(epoch.number, 3);
    journal_close(writer);
    snprintf(path, sizeof(path), "%s/%016llu.bad", directory, 5 * BLOCK + 7);
    CHECK_EQ(file_replace(path, "x", 1, 0640, false), 0);

    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    CHECK_EQ(epoch.number, 4);
    CHECK_EQ(add_row(writer, &epoch, add_kitchen(writer), 10, 3), 6 * BLOCK);
    CHECK_EQ(journal_commit(writer, 10), 0);

    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_read(reader, 0, NULL, rows, 8), 3);
    CHECK_EQ(rows[1].seq, BLOCK);
    CHECK_EQ(rows[2].seq, 6 * BLOCK);
    CHECK_EQ(journal_read(reader, BLOCK - 1, NULL, rows, 1), 1);
    CHECK_EQ(rows[0].seq, BLOCK);
    CHECK_EQ(journal_first_seq(reader, &seq), 0);
    CHECK_EQ(seq, 1);
    CHECK_EQ(journal_head_seq(reader, &seq), 0);
    CHECK_EQ(seq, 6 * BLOCK);
    CHECK_EQ(journal_backlog(reader, 0, &seq), 0);
    CHECK_EQ(seq, 3);
    CHECK_EQ(journal_backlog(reader, BLOCK, &seq), 0);
    CHECK_EQ(seq, 1);
    journal_close(reader);
    journal_close(writer);
    remove_directory();
}

static void test_a_second_writer_is_refused_until_the_first_is_gone(void)
{
    struct journal *first = NULL, *second = NULL;

    make_directory();
    CHECK_EQ(journal_open(directory, false, &first), 0);
    CHECK_EQ(journal_open(directory, false, &second), -EBUSY);
    CHECK(!second);
    journal_close(first);
    CHECK_EQ(journal_open(directory, false, &second), 0);
    journal_close(second);
    remove_directory();
}

static void test_a_state_directory_that_is_a_file_is_refused(void)
{
    struct journal *journal = NULL;
    char path[200];

    make_directory();
    snprintf(path, sizeof(path), "%s/file", state_dir);
    CHECK_EQ(file_replace(path, "x", 1, 0640, false), 0);
    CHECK_EQ(journal_open(path, false, &journal), -ENOTDIR);
    snprintf(path, sizeof(path), "%s/file/journal", state_dir);
    CHECK_EQ(journal_open(path, false, &journal), -ENOTDIR);
    CHECK_EQ(journal_open_read(path, &journal), -ENOTDIR);
    CHECK_EQ(journal_open_read(directory, &journal), -ENOENT);
    CHECK(!journal);
    snprintf(path, sizeof(path), "%s/file", state_dir);
    (void) unlink(path);
    remove_directory();
}

static void test_a_damaged_newest_segment_is_reported_and_left_alone(void)
{
    struct journal *journal = NULL;
    struct epoch epoch;
    struct stat status;
    char path[512];

    make_directory();
    journal = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    journal_close(journal);
    journal = NULL;
    CHECK_EQ(file_replace(segment_path(1, path), "not a database at all, but long enough to be one.......", 50, 0640,
                          false), 0);
    CHECK_EQ(journal_open(directory, false, &journal), -EBADMSG);
    CHECK(!journal);
    CHECK_EQ(stat(path, &status), 0);
    CHECK_EQ(status.st_size, 50);
    remove_directory();
}

static void test_a_segment_of_a_newer_version_is_left_alone(void)
{
    struct journal *journal;
    struct database *database = NULL;
    struct epoch epoch;
    char path[512], before[4096], after[4096];
    auto_close int fd = -1;

    make_directory();
    journal = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    journal_close(journal);
    journal = NULL;
    CHECK_EQ(database_open(segment_path(1, path), DATABASE_WRITE, &database), 0);
    CHECK_EQ(database_run(database, "PRAGMA user_version=2"), 0);
    database_close(database);
    fd = open(path, O_RDONLY);
    CHECK_EQ(pread(fd, before, sizeof(before), 0), sizeof(before));
    CHECK_EQ(journal_open(directory, false, &journal), -EBADMSG);
    CHECK_EQ(pread(fd, after, sizeof(after), 0), sizeof(after));
    CHECK(memcmp(before, after, sizeof(before)) == 0);
    remove_directory();
}

static void test_samples_before_the_first_epoch_are_refused(void)
{
    struct journal *writer = NULL;
    struct journal_row row = { .quality = "N" };
    uint64_t seq = 7;

    make_directory();
    CHECK_EQ(journal_open(directory, false, &writer), 0);
    CHECK_EQ(journal_add_sample(writer, &row, NULL, 0, &seq), -EINVAL);
    CHECK_EQ(seq, 7);
    CHECK_EQ(journal_commit(writer, 0), 0);
    journal_close(writer);
    remove_directory();
}

static void test_what_is_rolled_back_is_not_there_and_ids_stay_right(void)
{
    struct journal *writer, *reader = NULL;
    struct journal_meter *meter = malloc(sizeof(*meter));
    struct journal_row rows[4];
    struct epoch epoch, later;
    int64_t id;

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_UNKNOWN, &epoch);
    id = add_kitchen(writer);
    later = epoch;
    later.source = CLOCK_NTP;
    CHECK_EQ(journal_add_epoch(writer, &later), 0);
    CHECK_EQ(add_row(writer, &later, id, 1000, 1), 1);
    CHECK_EQ(journal_add_event(writer, epoch.number, 1000, "boot", "lost"), 0);
    journal_rollback(writer);

    // The caller still has the numbers of the epoch and the meter: they must be there.
    CHECK_EQ(add_row(writer, &later, id, 2000, 2), 1);
    CHECK_EQ(journal_commit(writer, 2000), 0);
    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_read(reader, 0, "kitchen", rows, 4), 1);
    CHECK_NEAR(rows[0].values[0], 2, 0.0);
    CHECK_EQ(journal_meter(reader, id, meter), 0);
    CHECK_STR(meter->name, "kitchen");
    CHECK_EQ(journal_epoch(reader, later.number, &epoch), 0);
    CHECK_EQ(epoch.source, CLOCK_NTP);
    journal_close(reader);
    journal_close(writer);
    free(meter);
    remove_directory();
}

static void test_a_row_of_an_unknown_clock_gets_its_time_from_a_later_epoch(void)
{
    struct journal *writer, *reader = NULL;
    struct journal_row row;
    struct epoch unknown, estimate, known;
    char quality[4];
    int64_t wall_ms = 42, meter;

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_UNKNOWN, &unknown);
    meter = add_kitchen(writer);
    estimate = unknown;
    estimate.source = CLOCK_ESTIMATED;
    CHECK_EQ(journal_add_epoch(writer, &estimate), 0);
    add_row(writer, &unknown, meter, 1000, 1);
    add_row(writer, &estimate, meter, 2000, 2);
    CHECK_EQ(journal_commit(writer, 2000), 0);

    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_read(reader, 0, NULL, &row, 1), 1);
    CHECK_EQ(journal_row_time(reader, &row, &wall_ms, quality), 0);
    CHECK_STR(quality, "Um");
    CHECK_EQ(wall_ms, 42);
    CHECK_EQ(journal_read(reader, 1, NULL, &row, 1), 1);
    CHECK_EQ(journal_row_time(reader, &row, &wall_ms, quality), 0);
    CHECK_STR(quality, "Em");
    CHECK_EQ(wall_ms, 1763000002000);

    known = unknown;
    known.source = CLOCK_NTP;
    known.wall_ms = 1763300000000;
    CHECK_EQ(journal_add_epoch(writer, &known), 0);
    add_row(writer, &known, meter, 3000, 3);
    CHECK_EQ(journal_commit(writer, 3000), 0);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        CHECK_EQ(journal_read(reader, seq - 1, NULL, &row, 1), 1);
        CHECK_EQ(journal_row_time(reader, &row, &wall_ms, quality), 0);
        CHECK_EQ(wall_ms, 1763300000000 + 1000 * (int64_t) seq);
        CHECK_STR(quality, seq == 3 ? "Nm" : "Cm");
    }
    journal_close(reader);
    journal_close(writer);
    remove_directory();
}

static void test_a_boot_that_ended_unlearned_does_not_borrow_the_next_ones_clock(void)
{
    struct journal *writer, *reader = NULL;
    struct journal_row row;
    struct epoch epoch;
    char quality[4], boot[37];
    int64_t wall_ms = 42;

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_UNKNOWN, &epoch);
    add_row(writer, &epoch, add_kitchen(writer), 1000, 1);
    CHECK_EQ(journal_commit(writer, 1000), 0);
    journal_close(writer);
    writer = open_writer(BOOT_B, CLOCK_NTP, &epoch);
    add_row(writer, &epoch, add_kitchen(writer), 1000, 1);
    CHECK_EQ(journal_commit(writer, 1000), 0);

    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_read(reader, 0, NULL, &row, 1), 1);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(journal_row_time(reader, &row, &wall_ms, quality), 0);
        CHECK_STR(quality, "Um");
        CHECK_EQ(wall_ms, 42);
    }
    CHECK_EQ(journal_last_boot(reader, boot), 0);
    CHECK_STR(boot, BOOT_B);
    CHECK_EQ(journal_first_epoch(reader, BOOT_A, &epoch), 0);
    CHECK_EQ(epoch.number, 1);
    CHECK_EQ(journal_first_epoch(reader, BOOT_B, &epoch), 0);
    CHECK_EQ(epoch.number, 2);
    journal_close(reader);
    journal_close(writer);
    remove_directory();
}

/* A row an hour; the segments hold the hours 0 to 24, 25 to 49, and 50. */
static void write_three_days(struct journal *writer, const struct epoch *epoch, int64_t meter)
{
    for (uint64_t hour = 0; hour <= 50; hour++) {
        add_row(writer, epoch, meter, 1 + hour * 3600 * 1000, (double) hour);
        CHECK_EQ(journal_commit(writer, 1 + hour * 3600 * 1000), 0);
    }
}

static void test_a_segment_lasts_24_hours_of_boot_clock_and_is_then_sealed(void)
{
    struct journal *writer, *reader = NULL;
    struct journal_row *rows = calloc(64, sizeof(*rows));
    struct segments segments = {};
    struct epoch epoch;
    char path[512];
    bool open;

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    write_three_days(writer, &epoch, add_kitchen(writer));

    CHECK_EQ(segments_read(&segments, directory), 0);
    CHECK_EQ(segments.count, 3);
    CHECK_EQ(segments.first[1], 26);
    CHECK_EQ(segments.first[2], 51);
    CHECK_EQ(segment_is_open(segment_path(1, path), &open), 0);
    CHECK(!open);
    CHECK_EQ(segment_is_open(segment_path(26, path), &open), 0);
    CHECK(!open);
    CHECK_EQ(segment_is_open(segment_path(51, path), &open), 0);
    CHECK(open);

    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_read(reader, 0, NULL, rows, 64), 51);
    for (unsigned i = 0; i < 51; i++) {
        CHECK_EQ(rows[i].seq, i + 1);
        CHECK_NEAR(rows[i].values[0], i, 0.0);
    }
    journal_close(reader);
    journal_close(writer);
    segments_clear(&segments);
    free(rows);
    remove_directory();
}

static void test_a_reader_in_the_way_delays_the_sealing_only(void)
{
    struct journal *writer;
    struct database *database = NULL;
    struct statement *statement = NULL;
    struct epoch epoch;
    char path[512];
    bool open;

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    add_row(writer, &epoch, add_kitchen(writer), 0, 0);
    CHECK_EQ(journal_commit(writer, 0), 0);
    CHECK_EQ(database_open(segment_path(1, path), DATABASE_READ, &database), 0);
    CHECK_EQ(statement_new(database, "SELECT * FROM sample", &statement), 0);
    CHECK_EQ(statement_step(statement), 1);

    add_row(writer, &epoch, 1, DAY, 1);
    CHECK_EQ(journal_commit(writer, DAY), 0);
    CHECK_EQ(segment_is_open(path, &open), 0);
    CHECK(open);
    CHECK_EQ(add_row(writer, &epoch, 1, DAY + 1, 1), 3);
    statement_free(statement);
    database_close(database);
    CHECK_EQ(journal_commit(writer, DAY + 1), 0);
    CHECK_EQ(segment_is_open(path, &open), 0);
    CHECK(!open);
    journal_close(writer);
    remove_directory();
}

static void test_a_reader_between_two_reads_is_in_nobodys_way(void)
{
    struct journal *writer, *reader = NULL;
    struct journal_row row;
    struct epoch epoch;
    char path[512];
    bool open;

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    add_row(writer, &epoch, add_kitchen(writer), 0, 0);
    CHECK_EQ(journal_commit(writer, 0), 0);
    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_read(reader, 0, NULL, &row, 1), 1);
    add_row(writer, &epoch, 1, DAY, 1);
    CHECK_EQ(journal_commit(writer, DAY), 0);
    CHECK_EQ(segment_is_open(segment_path(1, path), &open), 0);
    CHECK(!open);
    CHECK_EQ(journal_read(reader, 1, NULL, &row, 1), 1);
    journal_close(reader);
    journal_close(writer);
    remove_directory();
}

static void test_commits_are_synced(void)
{
    struct database *database = NULL;
    struct journal *writer;
    struct epoch epoch;
    int64_t synchronous = 0;
    char path[512];

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    journal_close(writer);
    CHECK_EQ(database_open(segment_path(1, path), DATABASE_WRITE, &database), 0);
    CHECK_EQ(database_number(database, "PRAGMA synchronous", &synchronous), 1);
    CHECK_EQ(synchronous, 2);  // FULL; NORMAL lost acknowledged commits at a power cut
    database_close(database);
    remove_directory();
}

static void test_a_known_epoch_goes_into_the_older_segments_of_its_boot_only(void)
{
    struct journal *writer;
    struct database *database = NULL;
    struct epoch epoch, known;
    char path[512];
    int64_t count, meter;

    make_directory();
    writer = open_writer(BOOT_B, CLOCK_UNKNOWN, &epoch);
    add_row(writer, &epoch, add_kitchen(writer), 1, 1);
    CHECK_EQ(journal_commit(writer, 1), 0);
    journal_close(writer);

    writer = open_writer(BOOT_A, CLOCK_UNKNOWN, &epoch);
    meter = add_kitchen(writer);
    write_three_days(writer, &epoch, meter);
    known = epoch;
    known.source = CLOCK_NTP;
    CHECK_EQ(journal_add_epoch(writer, &known), 0);
    CHECK_EQ(journal_commit(writer, 3 * DAY), 0);
    journal_close(writer);

    for (int i = 0; i < 3; i++) {
        static const uint64_t first[] = { 1, BLOCK, BLOCK + 25 };

        CHECK_EQ(database_open(segment_path(first[i], path), DATABASE_READ, &database), 0);
        CHECK_EQ(database_run(database, "PRAGMA trusted_schema=ON"), 0);  // as in any tool
        CHECK_EQ(database_number(database, "SELECT count(*) FROM epoch WHERE source='N'", &count), 1);
        CHECK_EQ(count, i == 0 ? 0 : 1);
        if (i > 0) {
            CHECK_EQ(database_number(database, "SELECT count(*) FROM v_kitchen WHERE utc NOT NULL", &count), 1);
            CHECK(count > 20);
        }
        database_close(database);
    }
    remove_directory();
}

static void test_meters_keep_their_ids_and_views_have_named_columns(void)
{
    struct layout old = layout_of("voltage", "V", "power_factor", "");
    struct layout new = layout_of("power_active", "W", "voltage_l1_n.max", "V");
    struct journal_meter *meter = calloc(1, sizeof(*meter));
    struct journal *writer, *reader = NULL;
    struct database *database = NULL;
    struct statement *statement = NULL;
    struct epoch epoch;
    int64_t old_id, new_id, same_id;
    char path[512];

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    CHECK_EQ(journal_add_meter(writer, "hall-1", "schneider-iem2150", &old, &old_id), 0);
    add_row(writer, &epoch, old_id, 1000, 230.5);
    CHECK_EQ(journal_commit(writer, 1000), 0);
    journal_close(writer);
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    CHECK_EQ(journal_add_meter(writer, "hall-1", "schneider-iem2150", &new, &new_id), 0);
    CHECK(new_id != old_id);
    CHECK_EQ(journal_add_meter(writer, "hall-1", "schneider-iem2150", &old, &same_id), 0);
    CHECK_EQ(same_id, old_id);
    CHECK_EQ(journal_add_meter(writer, "hall-1", "schneider-iem2150", &new, &same_id), 0);
    CHECK_EQ(same_id, new_id);
    add_row(writer, &epoch, new_id, 2000, 1250);
    CHECK_EQ(journal_commit(writer, 2000), 0);

    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_find_meter(reader, "hall-1", 0, meter), 0);
    CHECK_EQ(meter->id, new_id);
    CHECK_EQ(meter->layout.count, 2);
    CHECK_STR(meter->layout.columns[1].name, "voltage_l1_n.max");
    CHECK_STR(meter->layout.columns[1].unit, "V");
    CHECK(meter->layout.columns[1].quantity);
    CHECK_EQ(journal_find_meter(reader, "hall-1", 1, meter), 0);
    CHECK_EQ(meter->id, old_id);
    CHECK_EQ(journal_find_meter(reader, "hall-1", 2, meter), -ENOENT);
    CHECK_EQ(journal_meter(reader, 99, meter), -ENOENT);
    journal_close(reader);
    journal_close(writer);

    CHECK_EQ(database_open(segment_path(1, path), DATABASE_READ, &database), 0);
    CHECK_EQ(database_run(database, "PRAGMA trusted_schema=ON"), 0);  // as in any tool
    CHECK_EQ(statement_new(database, "SELECT voltage_v, power_factor, utc, quality FROM \"v_hall-1_1\"", &statement), 0);
    CHECK_EQ(statement_step(statement), 1);
    CHECK_STR(statement_text(statement, 0), "230.5");
    CHECK_STR(statement_text(statement, 1), "");
    CHECK_STR(statement_text(statement, 2), "2025-11-13T02:13:21.000Z");
    CHECK_STR(statement_text(statement, 3), "Nm");
    CHECK_EQ(statement_step(statement), 0);
    statement_free(statement);
    CHECK_EQ(statement_new(database, "SELECT power_active_w,\"voltage_l1_n.max_v\" FROM \"v_hall-1\"", &statement), 0);
    CHECK_EQ(statement_step(statement), 1);
    CHECK_STR(statement_text(statement, 0), "1250");
    statement_free(statement);
    CHECK_EQ(statement_new(database, "SELECT * FROM \"v_hall-1_2\"", &statement), -EBADMSG);
    database_close(database);
    free(meter);
    remove_directory();
}

static void test_words_are_kept_if_asked_for(void)
{
    static const uint16_t words[] = { 0x4366, 0x1a00 };
    struct epoch epoch = { .boot_id = BOOT_A, .source = CLOCK_NTP };
    struct journal_row row = { .quality = "N", .value_count = 1, .values = { 230.1 } };
    struct journal *writer = NULL;
    struct database *database = NULL;
    struct statement *statement = NULL;
    char path[512];
    uint64_t seq;

    make_directory();
    CHECK_EQ(journal_open(directory, true, &writer), 0);
    CHECK_EQ(journal_add_epoch(writer, &epoch), 0);
    row.epoch = epoch.number;
    row.meter = add_kitchen(writer);
    CHECK_EQ(journal_add_sample(writer, &row, words, 2, &seq), 0);
    CHECK_EQ(journal_add_sample(writer, &row, NULL, 0, &seq), 0);
    CHECK_EQ(journal_commit(writer, 0), 0);
    journal_close(writer);

    // Without keep_words the segment that has the column goes on to be used.
    CHECK_EQ(journal_open(directory, false, &writer), 0);
    CHECK_EQ(journal_add_epoch(writer, &epoch), 0);
    CHECK_EQ(journal_add_sample(writer, &row, words, 2, &seq), 0);
    CHECK_EQ(journal_commit(writer, 0), 0);
    journal_close(writer);

    CHECK_EQ(database_open(segment_path(1, path), DATABASE_READ, &database), 0);
    CHECK_EQ(statement_new(database, "SELECT words FROM sample ORDER BY seq", &statement), 0);
    CHECK_EQ(statement_step(statement), 1);
    CHECK_STR(statement_text(statement, 0), "43661A00");
    CHECK_EQ(statement_step(statement), 1);
    CHECK_STR(statement_text(statement, 0), "");
    statement_free(statement);
    database_close(database);
    remove_directory();
}

static void test_events_come_back_in_order_across_segments(void)
{
    struct journal *writer, *reader = NULL;
    struct journal_event events[8];
    struct epoch epoch;

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    CHECK_EQ(journal_add_event(writer, epoch.number, 10, "boot", "one"), 0);
    CHECK_EQ(journal_add_event(writer, epoch.number, 20, "lost", "two"), 0);
    CHECK_EQ(journal_commit(writer, 20), 0);
    journal_close(writer);
    writer = open_writer(BOOT_B, CLOCK_NTP, &epoch);
    journal_close(writer);
    writer = open_writer(BOOT_B, CLOCK_NTP, &epoch);
    CHECK_EQ(journal_add_event(writer, epoch.number, 30, "boot", "three"), 0);
    CHECK_EQ(journal_commit(writer, 30), 0);
    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_events(reader, 0, events, 8), 3);
    CHECK_STR(events[1].code, "lost");
    CHECK_STR(events[1].text, "two");
    CHECK_EQ(events[1].boot_ms, 20);
    CHECK_EQ(events[2].id, 3);
    CHECK_EQ(journal_events(reader, 2, events, 8), 1);
    CHECK_STR(events[0].text, "three");
    journal_close(reader);
    journal_close(writer);
    remove_directory();
}

static void test_pruning_removes_the_oldest_but_never_the_newest(void)
{
    struct journal *writer, *reader = NULL;
    struct epoch epoch;
    uint64_t seq;
    int64_t meter;

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    meter = add_kitchen(writer);
    for (uint64_t i = 0; i < 120; i++) {  // every 2 h, ten days
        add_row(writer, &epoch, meter, i * DAY / 12, 1);
        CHECK_EQ(journal_commit(writer, i * DAY / 12), 0);
    }
    CHECK_EQ(journal_prune(writer, 400, 0), 0);
    CHECK_EQ(journal_prune(writer, 1, 0), 2);  // seven days are the least
    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_first_seq(reader, &seq), 0);
    CHECK_EQ(seq, 27);
    CHECK(journal_prune(writer, 400, 1) > 5);
    CHECK_EQ(journal_first_seq(reader, &seq), 0);
    CHECK(seq > 100);
    CHECK_EQ(journal_prune(writer, 400, 1), 0);
    CHECK(add_row(writer, &epoch, meter, 11 * DAY, 1) == 121);
    CHECK_EQ(journal_commit(writer, 11 * DAY), 0);
    journal_close(reader);
    journal_close(writer);
    remove_directory();
}

static void test_a_reader_in_another_process_sees_only_what_is_committed(void)
{
    struct journal *writer;
    struct epoch epoch;
    int64_t meter;

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    meter = add_kitchen(writer);
    add_row(writer, &epoch, meter, 1, 1);
    CHECK_EQ(journal_commit(writer, 1), 0);
    for (int i = 0; i < 2; i++) {
        int status;
        pid_t pid;

        if (i == 0) {
            add_row(writer, &epoch, meter, 2, 2);
        } else {
            CHECK_EQ(journal_commit(writer, 2), 0);
        }
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            struct journal *reader = NULL;
            struct journal_row rows[4];

            if (journal_open_read(directory, &reader) < 0) {
                _exit(100);
            }
            _exit(journal_read(reader, 0, NULL, rows, 4));
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFEXITED(status));
        CHECK_EQ(WEXITSTATUS(status), i + 1);
    }
    journal_close(writer);
    remove_directory();
}

/* What the child tells before it is killed: the highest seq that a commit has acknowledged. */
static void write_until_killed(_Atomic uint64_t *acknowledged)
{
    struct journal *writer;
    struct epoch epoch;
    int64_t meter;
    uint64_t boot_ms = 0;

    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    meter = add_kitchen(writer);
    for (;;) {
        uint64_t seq = 0;

        for (int i = 0; i < 7; i++) {
            boot_ms += DAY / 100;
            seq = add_row(writer, &epoch, meter, boot_ms, 0.5);
        }
        if (journal_commit(writer, boot_ms) < 0) {
            _exit(1);
        }
        *acknowledged = seq;
    }
}

static void test_kill_9_at_any_moment_loses_no_committed_row(void)
{
    _Atomic uint64_t *acknowledged = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct journal_row *rows = calloc(500, sizeof(*rows));
    uint64_t random = (uint64_t) time(NULL);
    struct journal *writer = NULL, *reader = NULL;
    uint64_t last = 0;
    int n;

    CHECK(acknowledged != MAP_FAILED);
    make_directory();
    printf("seed %llu\n", (unsigned long long) random);
    for (int round = 0; round < 40; round++) {
        pid_t pid = fork();

        CHECK(pid >= 0);
        if (pid == 0) {
            write_until_killed(acknowledged);
        }
        random = random * 6364136223846793005u + 1442695040888963407u;
        usleep((useconds_t) (random >> 33) % 60000);
        CHECK_EQ(kill(pid, SIGKILL), 0);
        CHECK_EQ(waitpid(pid, NULL, 0), pid);
    }

    // Killed while it sealed a segment, it leaves one that only a writer can mend: that is the first thing it does when
    // it is started again. Until then readers are told to ask again.
    CHECK_EQ(journal_open(directory, false, &writer), 0);
    journal_close(writer);

    // Whole, in order, none twice, none missing.
    CHECK(*acknowledged > 0);
    CHECK_EQ(journal_open_read(directory, &reader), 0);
    while ((n = journal_read(reader, last, NULL, rows, 500)) > 0) {
        for (int i = 0; i < n; i++) {
            CHECK_EQ(rows[i].seq, last + 1);
            last = rows[i].seq;
        }
    }
    CHECK_EQ(n, 0);
    CHECK(last >= *acknowledged);
    journal_close(reader);
    free(rows);
    remove_directory();
}

TESTS(test_rows_come_back_exactly, test_seqs_go_on_after_a_restart_in_the_same_boot,
      test_each_boot_begins_at_the_next_multiple_of_2_to_the_32,
      test_a_second_writer_is_refused_until_the_first_is_gone, test_a_state_directory_that_is_a_file_is_refused,
      test_a_damaged_newest_segment_is_reported_and_left_alone, test_samples_before_the_first_epoch_are_refused,
      test_a_segment_of_a_newer_version_is_left_alone,
      test_what_is_rolled_back_is_not_there_and_ids_stay_right,
      test_a_row_of_an_unknown_clock_gets_its_time_from_a_later_epoch,
      test_a_boot_that_ended_unlearned_does_not_borrow_the_next_ones_clock,
      test_a_segment_lasts_24_hours_of_boot_clock_and_is_then_sealed,
      test_a_reader_in_the_way_delays_the_sealing_only,
      test_a_reader_between_two_reads_is_in_nobodys_way, test_commits_are_synced,
      test_a_known_epoch_goes_into_the_older_segments_of_its_boot_only,
      test_meters_keep_their_ids_and_views_have_named_columns, test_words_are_kept_if_asked_for,
      test_events_come_back_in_order_across_segments, test_pruning_removes_the_oldest_but_never_the_newest,
      test_a_reader_in_another_process_sees_only_what_is_committed,
      test_kill_9_at_any_moment_loses_no_committed_row)
