// SPDX-License-Identifier: MIT
// link: ms_outlet

/* What a person, another program or a cut-off burst leaves on a stick: faults 40 and 41 of reliability.md. */

#include "tests/stick_bed.h"

static void test_a_torn_tail_that_is_ours_is_completed(void)
{
    begin(CLOCK_NTP);
    add_row(1000, 1);
    burst();
    add_row(2000, 2);
    append(DAY, ROW_2, 20);
    burst();
    check_content(DAY, HEADER ROW_1 ROW_2);

    // A whole row that the cursor does not know is kept too.
    add_row(3000, 3);
    append(DAY, ROW_3, strlen(ROW_3));
    burst();
    check_content(DAY, HEADER ROW_1 ROW_2 ROW_3);
    end();
}

static void test_garbage_behind_the_cursor_is_cut(void)
{
    static const char garbage[] = "2026-11-20T10:00:02.000Z,2026-11-20 11:00:02,Nm,9,,2\r\n\0\0\0\0stale";

    begin(CLOCK_NTP);
    add_row(1000, 1);
    burst();
    append(DAY, garbage, sizeof(garbage));
    add_row(2000, 2);
    burst();
    check_content(DAY, HEADER ROW_1 ROW_2);
    CHECK(!exists(DAY_R1));
    end();
}

static void test_an_edited_file_is_left_alone_and_no_seq_stands_twice(void)
{
    const char *edited = HEADER "2026-11-20T10:00:01.000Z,2026-11-20 11:00:01,Nm,999,,1\r\n" ROW_2;

    begin(CLOCK_NTP);
    add_row(1000, 1);
    add_row(2000, 2);
    burst();
    CHECK_EQ(file_replace(path_of(DAY), edited, strlen(edited), 0644, false), 0);
    add_row(3000, 3);
    burst();
    check_content(DAY, edited);
    check_content(DAY_R1, HEADER ROW_3);
    burst();
    check_content(DAY_R1, HEADER ROW_3);
    end();
}

static void test_an_edit_is_seen_while_the_stick_stays_in(void)
{
    const char *edited = HEADER "2026-11-20T10:00:01.000Z,2026-11-20 11:00:01,Nm,9,,1\r\n";
    struct stick *stick;

    begin(CLOCK_NTP);
    stick = open_stick();
    add_row(1000, 1);
    CHECK_EQ(burst_with(stick), 0);
    append(DAY, "", 0);
    {
        auto_close int fd = open(path_of(DAY), O_WRONLY);

        CHECK_EQ(pwrite(fd, edited, strlen(edited), 0), strlen(edited));
    }
    add_row(2000, 2);
    CHECK_EQ(burst_with(stick), 0);
    check_content(DAY, edited);
    check_content(DAY_R1, HEADER ROW_2);
    stick_close(stick);
    end();
}

static void test_rows_that_a_person_removed_stand_in_the_next_revision(void)
{
    begin(CLOCK_NTP);
    add_row(1000, 1);
    add_row(2000, 2);
    burst();
    CHECK_EQ(truncate(path_of(DAY), (off_t) strlen(HEADER ROW_1)), 0);
    add_row(3000, 3);
    burst();
    check_content(DAY, HEADER ROW_1);
    check_content(DAY_R1, HEADER ROW_2 ROW_3);
    end();
}

static void test_a_removed_file_is_written_again_whole(void)
{
    begin(CLOCK_NTP);
    add_row(1000, 1);
    add_row(2000, 2);
    burst();
    CHECK_EQ(unlink(path_of(DAY)), 0);
    add_row(3000, 3);
    burst();
    check_content(DAY, HEADER ROW_1 ROW_2 ROW_3);
    CHECK(!exists(DAY_R1));
    end();
}

static void test_a_lost_cursor_repeats_no_row(void)
{
    begin(CLOCK_NTP);
    add_row(1000, 1);
    add_row(2000, 2);
    add_row(13 * HOUR, 3);
    burst();
    (void) unlink(path_of("here/.cursor.0"));
    (void) unlink(path_of("here/.cursor.1"));
    CHECK_EQ(add_row(13 * HOUR + 1000, 4), 4);
    burst();
    check_content(DAY, HEADER ROW_1 ROW_2);
    check_content("here/kitchen/2026-11-21.csv",
                  HEADER "2026-11-20T23:00:00.000Z,2026-11-21 00:00:00,Nm,3,,3\r\n"
                         "2026-11-20T23:00:01.000Z,2026-11-21 00:00:01,Nm,4,,4\r\n");
    CHECK(!exists(DAY_R1));
    end();
}

static void test_garbage_in_a_file_begun_by_a_killed_burst_is_cut(void)
{
    auto_free char *cursor = NULL;
    size_t size;

    begin(CLOCK_NTP);
    burst();
    // The cursor as it stands when the file is named and nothing of it is durable yet.
    add_row(1000, 1);
    burst();
    CHECK_EQ(file_read(path_of("here/.cursor.0"), 4096, &cursor, &size), 0);
    CHECK_HAS(cursor, "\"generation\":2,\"dated\":0");
    CHECK_HAS(cursor, "[\"kitchen/2026-11-20.csv\",0,0,0,0,1,0,0]");
    CHECK_EQ(unlink(path_of("here/.cursor.1")), 0);
    CHECK_EQ(file_replace(path_of(DAY), "stale", 5, 0644, false), 0);
    burst();
    check_content(DAY, HEADER ROW_1);
    CHECK(!exists(DAY_R1));
    end();
}

static void test_links_and_foreign_things_on_the_stick_are_not_followed(void)
{
    char victim[200];

    begin(CLOCK_NTP);
    snprintf(victim, sizeof(victim), "%s/victim", base);
    CHECK_EQ(file_replace(victim, "precious", 8, 0644, false), 0);
    burst();
    CHECK_EQ(mkdir(path_of("here/kitchen"), 0755), 0);
    CHECK_EQ(symlink(victim, path_of(DAY)), 0);
    CHECK_EQ(mkfifo(path_of(DAY_R1), 0644), 0);
    add_row(1000, 1);
    burst();
    check_content("here/kitchen/2026-11-20-r2.csv", HEADER ROW_1);
    CHECK_EQ(truncate(victim, 8), 0);
    end();
}

/* As a spreadsheet saves it: other separators, other line ends, times as a person reads them. */
static void test_40_a_file_saved_by_a_spreadsheet_is_left_alone(void)
{
    const char *saved = "utc;local;quality;voltage_v;power_factor;seq\n"
                        "20.11.2026 11:00;20.11.2026 11:00;\"Nm\";1,0;;\"1\"\n"
                        "20.11.2026 11:00;20.11.2026 11:00;Nm;2,0;;2\n";
    struct timespec times[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
    struct stat status;

    begin(CLOCK_NTP);
    add_row(1000, 1);
    add_row(2000, 2);
    burst();
    CHECK_EQ(file_replace(path_of(DAY), saved, strlen(saved), 0644, false), 0);
    CHECK_EQ(utimensat(AT_FDCWD, path_of(DAY), times, 0), 0);
    add_row(3000, 3);
    burst();
    check_content(DAY, saved);
    check_content(DAY_R1, HEADER ROW_3);

    // The revision is edited, too, and then shortened to nothing.
    CHECK_EQ(truncate(path_of(DAY_R1), 0), 0);
    add_row(4000, 4);
    burst();
    add_row(5000, 5);
    burst();
    check_content(DAY, saved);
    CHECK_EQ(stat(path_of(DAY), &status), 0);
    CHECK_EQ(status.st_mtim.tv_sec, 1000000000);
    check_content(DAY_R1, "");
    check_content("here/kitchen/2026-11-20-r2.csv",
                  HEADER ROW_3 "2026-11-20T10:00:04.000Z,2026-11-20 11:00:04,Nm,4,,4\r\n"
                  "2026-11-20T10:00:05.000Z,2026-11-20 11:00:05,Nm,5,,5\r\n");
    CHECK(!exists("here/kitchen/2026-11-20-r3.csv"));
    end();
}

static void test_40_a_line_removed_in_the_middle_stands_in_the_revision(void)
{
    begin(CLOCK_NTP);
    add_row(1000, 1);
    add_row(2000, 2);
    add_row(3000, 3);
    burst();
    CHECK_EQ(file_replace(path_of(DAY), HEADER ROW_1 ROW_3, strlen(HEADER ROW_1 ROW_3), 0644, false), 0);
    add_row(4000, 4);
    burst();
    check_content(DAY, HEADER ROW_1 ROW_3);
    check_content(DAY_R1, HEADER ROW_2 "2026-11-20T10:00:04.000Z,2026-11-20 11:00:04,Nm,4,,4\r\n");
    end();
}

#define TAIL(bytes) { bytes, sizeof(bytes) - 1 }

static void test_41_whatever_stands_behind_the_cursor_is_cut_to_what_is_ours(void)
{
    static const struct {
        const char *bytes;
        size_t size;
    } tails[] = {
        TAIL("2"),
        TAIL("2026-11-20T10:00:02.000Z,2026-11-20 11:00:02,Nm,2,,"),  // torn before the seq
        TAIL("2026-11-20T10:00:02.000Z,2026-11-20 11:00:02,Nm,2,,2\r"),
        TAIL(ROW_1), TAIL(ROW_1 ROW_1 ROW_1), TAIL(ROW_3), TAIL(HEADER),
        TAIL("2026-11-19T10:00:01.000Z,2026-11-19 11:00:01,Nm,1,,1\r\n"),  // of yesterday, out of an old cluster
        TAIL("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), TAIL("\r\n\r\n"),
        TAIL(ROW_2 "\0\0\0"), TAIL(ROW_2 ROW_2), TAIL("\xff\xfe\xff\xff\xe5"),
    };

    for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
        begin(CLOCK_NTP);
        add_row(1000, 1);
        burst();
        append(DAY, tails[i].bytes, tails[i].size);
        add_row(2000, 2);
        burst();
        check_content(DAY, HEADER ROW_1 ROW_2);
        CHECK(!exists(DAY_R1));
        end();
    }
}

/* --- the cursor's slots --- */

static const char *const slots[] = { "here/.cursor.0", "here/.cursor.1" };

static void damage(const char *name, int how)
{
    auto_close int fd = open(path_of(name), O_RDWR);
    struct stat status;

    CHECK(fd >= 0);
    CHECK_EQ(fstat(fd, &status), 0);
    switch (how) {
    case 0:
        CHECK_EQ(pwrite(fd, "X", 1, status.st_size / 2), 1);  // one byte
        break;
    case 1:
        CHECK_EQ(ftruncate(fd, status.st_size / 2), 0);
        break;
    case 2:
        CHECK_EQ(ftruncate(fd, 0), 0);
        break;
    case 3:
        CHECK_EQ(ftruncate(fd, 0), 0);
        CHECK_EQ(ftruncate(fd, 4096), 0);  // zeros
        break;
    }
}

static void test_one_damaged_slot_costs_nothing(void)
{
    for (int how = 0; how < 4; how++) {
        for (int slot = 0; slot < 2; slot++) {
            begin(CLOCK_NTP);
            add_row(1000, 1);
            burst();
            add_row(2000, 2);
            burst();
            damage(slots[slot], how);
            add_row(3000, 3);
            burst();
            check_content(DAY, HEADER ROW_1 ROW_2 ROW_3);
            burst();
            CHECK(!exists(DAY_R1));
            CHECK(!exists("here-2"));
            end();
        }
    }
}

static void test_both_slots_damaged_no_row_is_lost_or_stands_twice(void)
{
    for (int how = 0; how < 4; how++) {
        begin(CLOCK_NTP);
        add_row(1000, 1);
        add_row(2000, 2);
        burst();
        burst();
        damage(slots[0], how);
        damage(slots[1], (how + 1) % 4);
        add_row(3000, 3);
        burst();
        check_content(DAY, HEADER ROW_1 ROW_2 ROW_3);
        CHECK(!exists(DAY_R1));
        CHECK(!exists("here-2"));
        end();
    }
}

TESTS(test_a_torn_tail_that_is_ours_is_completed, test_garbage_behind_the_cursor_is_cut,
      test_an_edited_file_is_left_alone_and_no_seq_stands_twice, test_an_edit_is_seen_while_the_stick_stays_in,
      test_rows_that_a_person_removed_stand_in_the_next_revision, test_a_removed_file_is_written_again_whole,
      test_a_lost_cursor_repeats_no_row, test_garbage_in_a_file_begun_by_a_killed_burst_is_cut,
      test_links_and_foreign_things_on_the_stick_are_not_followed,
      test_40_a_file_saved_by_a_spreadsheet_is_left_alone, test_40_a_line_removed_in_the_middle_stands_in_the_revision,
      test_41_whatever_stands_behind_the_cursor_is_cut_to_what_is_ours, test_one_damaged_slot_costs_nothing,
      test_both_slots_damaged_no_row_is_lost_or_stands_twice)
