// SPDX-License-Identifier: MIT
// link: ms_journal

#include "tests/journal_bed.h"

#include "app/base/file.h"
#include "app/journal/database.h"
#include "app/journal/journal.h"

#include <errno.h>
#include <sys/wait.h>

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
    CHECK_EQ(statement_new(database, "SELECT voltage_v, power_factor, utc, quality FROM \"v_hall-1_1\"", &statement),
             0);
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

TESTS(test_rows_come_back_exactly, test_seqs_go_on_after_a_restart_in_the_same_boot,
      test_a_second_writer_is_refused_until_the_first_is_gone,
      test_a_state_directory_that_is_a_file_is_refused, test_samples_before_the_first_epoch_are_refused,
      test_what_is_rolled_back_is_not_there_and_ids_stay_right,
      test_meters_keep_their_ids_and_views_have_named_columns, test_words_are_kept_if_asked_for,
      test_events_come_back_in_order_across_segments,
      test_a_reader_in_another_process_sees_only_what_is_committed)
