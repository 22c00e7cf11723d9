// SPDX-License-Identifier: MIT
// link: ms_journal

#include "tests/journal_bed.h"

#include "app/base/file.h"
#include "app/journal/database.h"
#include "app/journal/journal.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>

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

/* A file that long, as far as anybody can see; SQLite goes by what its header says. */
static void test_a_segment_has_64_mib_at_most(void)
{
    struct journal *writer;
    struct segments segments = {};
    struct epoch epoch;
    char path[512], log_path[540];
    int64_t meter;
    bool open;

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    meter = add_kitchen(writer);
    add_row(writer, &epoch, meter, 1, 1);
    CHECK_EQ(journal_commit(writer, 1), 0);
    CHECK_EQ(truncate(segment_path(1, path), (64 << 20) - 4096), 0);
    add_row(writer, &epoch, meter, 2, 1);
    CHECK_EQ(journal_commit(writer, 2), 0);
    CHECK_EQ(segments_read(&segments, directory), 0);
    CHECK_EQ(segments.count, 1);

    CHECK_EQ(truncate(path, 64 << 20), 0);
    add_row(writer, &epoch, meter, 3, 1);
    CHECK_EQ(journal_commit(writer, 3), 0);
    CHECK_EQ(segments_read(&segments, directory), 0);
    CHECK_EQ(segments.count, 2);
    CHECK_EQ(segments.first[1], 4);
    CHECK_EQ(segment_is_open(path, &open), 0);
    CHECK(!open);
    snprintf(log_path, sizeof(log_path), "%s-wal", path);
    CHECK(access(log_path, F_OK) != 0);  // folded in: a reader needs nothing but the file
    CHECK_EQ(add_row(writer, &epoch, meter, 4, 1), 4);
    segments_clear(&segments);
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

/* What the partition holds, as far as the journal asks. */
static uint64_t partition_bytes = 1ull << 40;

int statvfs(const char *path, struct statvfs *ret)
{
    (void) path;
    *ret = (struct statvfs){ .f_frsize = 4096, .f_blocks = partition_bytes / 4096 };
    return 0;
}

static void test_without_a_budget_half_the_partition_is_ours(void)
{
    struct journal *writer, *reader = NULL;
    struct epoch epoch;
    struct stat status;
    uint64_t bytes = 0, seq;
    char path[512];

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    write_three_days(writer, &epoch, add_kitchen(writer));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(stat(segment_path((uint64_t[]){ 1, 26, 51 }[i], path), &status), 0);
        bytes += (uint64_t) status.st_size;
    }
    partition_bytes = bytes * 2 + 8192;
    CHECK_EQ(journal_prune(writer, 400, 0), 0);
    partition_bytes = bytes * 2 - 8192;
    CHECK_EQ(journal_prune(writer, 400, 0), 1);
    partition_bytes = 1ull << 40;
    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_first_seq(reader, &seq), 0);
    CHECK_EQ(seq, 26);
    journal_close(reader);
    journal_close(writer);
    remove_directory();
}

/* Days are those that were recorded: a clock that leaps makes nothing old, nor does a year in a drawer. */
static void test_only_recorded_time_makes_old(void)
{
    static const char *const boots[] = { BOOT_A, BOOT_B, BOOT_C };
    struct journal *writer = NULL;
    struct epoch epoch;

    make_directory();
    for (int i = 0; i < 9; i++) {  // nine boots of an hour each, fifty years apart
        int64_t meter;

        writer = open_writer(boots[i % 3], CLOCK_NTP, &epoch);
        epoch.wall_ms += i * 50 * 365 * (int64_t) DAY;
        CHECK_EQ(journal_add_epoch(writer, &epoch), 0);
        meter = add_kitchen(writer);
        add_row(writer, &epoch, meter, 1, 1);
        add_row(writer, &epoch, meter, DAY / 24, 1);
        CHECK_EQ(journal_commit(writer, DAY / 24), 0);
        CHECK_EQ(journal_prune(writer, 7, 0), 0);
        journal_close(writer);
    }
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

TESTS(test_each_boot_begins_at_the_next_multiple_of_2_to_the_32,
      test_a_segment_lasts_24_hours_of_boot_clock_and_is_then_sealed,
      test_a_reader_in_the_way_delays_the_sealing_only, test_a_reader_between_two_reads_is_in_nobodys_way,
      test_a_segment_has_64_mib_at_most, test_commits_are_synced,
      test_without_a_budget_half_the_partition_is_ours, test_only_recorded_time_makes_old,
      test_pruning_removes_the_oldest_but_never_the_newest, test_kill_9_at_any_moment_loses_no_committed_row)
