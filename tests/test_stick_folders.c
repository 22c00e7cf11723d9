// SPDX-License-Identifier: MIT
// link: ms_outlet

/* Whose folder it is, and what on a stick is not ours. */

#include "tests/stick_bed.h"

static void test_a_folder_of_another_journal_is_not_touched(void)
{
    begin(CLOCK_NTP);
    add_row(1000, 1);
    burst();
    journal_close(reader);
    journal_close(writer);
    snprintf(journal_dir, sizeof(journal_dir), "%s/journal2", base);
    CHECK_EQ(journal_open(journal_dir, false, &writer), 0);
    begin_boot(BOOT_B, CLOCK_NTP);
    add_meter("kitchen", "schneider-iem2150", "voltage", "V");
    add_row(2000, 7);
    CHECK_EQ(journal_open_read(journal_dir, &reader), 0);
    burst();
    burst();
    check_content(DAY, HEADER ROW_1);
    check_content("here-2/kitchen/2026-11-20.csv",
                  HEADER "2026-11-20T10:00:02.000Z,2026-11-20 11:00:02,Nm,7,,1\r\n");
    CHECK(!exists("here-3"));
    end();
}

static void test_two_sticks_in_turn_each_have_everything(void)
{
    char other[200], away[200];
    struct stick *stick;

    begin(CLOCK_NTP);
    stick = open_stick();
    snprintf(other, sizeof(other), "%s/other", base);
    snprintf(away, sizeof(away), "%s/away", base);
    CHECK_EQ(mkdir(other, 0755), 0);
    for (int i = 1; i <= 3; i++) {
        add_row((uint64_t) i * 1000, i);
        CHECK_EQ(burst_with(stick), 0);
        CHECK_EQ(rename(stick_dir, away), 0);
        CHECK_EQ(rename(other, stick_dir), 0);
        CHECK_EQ(rename(away, other), 0);
    }
    CHECK_EQ(burst_with(stick), 0);
    check_content(DAY, HEADER ROW_1 ROW_2 ROW_3);
    CHECK_EQ(rename(stick_dir, away), 0);
    CHECK_EQ(rename(other, stick_dir), 0);
    CHECK_EQ(burst_with(stick), 0);
    check_content(DAY, HEADER ROW_1 ROW_2 ROW_3);
    stick_close(stick);
    end();
}

TESTS(test_a_folder_of_another_journal_is_not_touched, test_two_sticks_in_turn_each_have_everything)
