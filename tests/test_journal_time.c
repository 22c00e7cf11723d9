// SPDX-License-Identifier: MIT
// link: ms_journal

#include "tests/journal_bed.h"

#include "app/journal/database.h"
#include "app/journal/journal.h"

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

TESTS(test_a_row_of_an_unknown_clock_gets_its_time_from_a_later_epoch,
      test_a_boot_that_ended_unlearned_does_not_borrow_the_next_ones_clock,
      test_a_known_epoch_goes_into_the_older_segments_of_its_boot_only)
