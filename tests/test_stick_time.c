// SPDX-License-Identifier: MIT
// link: ms_outlet

/* Rows whose time is not known yet, days, and the files of csv = energy-scribe. */

#include "tests/stick_bed.h"

static void test_unknown_times_wait_in_the_boots_file_and_move_when_the_clock_is_known(void)
{
    begin(CLOCK_UNKNOWN);
    add_row(1005, 1);
    begin_boot(BOOT_A, CLOCK_ESTIMATED);
    add_row(2000, 2);
    burst();
    check_content("here/kitchen/boot-1.csv", "boot_s," HEADER
                  "1.005,,,Um,1,,1\r\n"
                  "2.000,2026-11-20T10:00:02.000Z,2026-11-20 11:00:02,Em,2,,2\r\n");
    CHECK(!exists(DAY));
    burst();

    begin_boot(BOOT_A, CLOCK_NTP);
    add_row(3000, 3);
    burst();
    check_content(DAY, HEADER "2026-11-20T10:00:01.005Z,2026-11-20 11:00:01,Cm,1,,1\r\n"
                       "2026-11-20T10:00:02.000Z,2026-11-20 11:00:02,Cm,2,,2\r\n" ROW_3);
    CHECK(!exists("here/kitchen/boot-1.csv"));
    end();
}

static void test_44_files_of_unknown_time_with_other_columns_all_go_when_the_clock_is_known(void)
{
    begin(CLOCK_UNKNOWN);
    add_row(1000, 1);
    burst();
    add_meter("kitchen", "schneider-iem2150", "power_active", "W");
    add_row(2000, 2);
    burst();
    add_row(3000, 3);
    burst();
    check_content("here/kitchen/boot-1.csv", "boot_s," HEADER "1.000,,,Um,1,,1\r\n");
    check_content("here/kitchen/boot-1-r1.csv", "boot_s,utc,local,quality,power_active_w,power_factor,seq\r\n"
                                                "2.000,,,Um,2,,2\r\n3.000,,,Um,3,,3\r\n");
    CHECK(!exists("here/kitchen/boot-1-r2.csv"));
    begin_boot(BOOT_A, CLOCK_NTP);
    add_row(4000, 4);
    burst();
    CHECK(exists(DAY_R1));
    CHECK(!exists("here/kitchen/boot-1.csv"));
    CHECK(!exists("here/kitchen/boot-1-r1.csv"));
    end();
}

static void test_an_edited_boot_file_is_kept(void)
{
    begin(CLOCK_UNKNOWN);
    add_row(1000, 1);
    burst();
    append("here/kitchen/boot-1.csv", "note", 4);
    begin_boot(BOOT_A, CLOCK_NTP);
    add_row(2000, 2);
    burst();
    CHECK(exists("here/kitchen/boot-1.csv"));
    CHECK(exists(DAY));
    end();
}

/* Fault 38: the power goes in a burst, and the time is known when it is back. */
static void test_38_what_a_burst_left_that_was_cut_off_does_not_keep_a_boot_file(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        bool stays;
    } tails[] = {
        { "2.000,,,Um,2,,2\r\n", 17, false },
        { "2.000,,,Um,2", 12, false },
        { "2.000,,,Um,2,,2\r\n\0\0\0", 20, false },
        { "\0\0\0\0\0\0", 6, false },
        { "2.000,,,Um,9", 12, true },
        { "\0\0note", 6, true },
        { NULL, 0, false },  // fsck made it empty: it was being removed
    };

    for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
        begin(CLOCK_UNKNOWN);
        add_row(1000, 1);
        burst();
        add_row(2000, 2);
        if (tails[i].bytes) {
            append("here/kitchen/boot-1.csv", tails[i].bytes, tails[i].size);
        } else {
            CHECK_EQ(truncate(path_of("here/kitchen/boot-1.csv"), 0), 0);
        }
        begin_boot(BOOT_A, CLOCK_NTP);
        CHECK_EQ(journal_commit(writer, 3000), 0);
        burst();
        CHECK_EQ(exists("here/kitchen/boot-1.csv"), tails[i].stays);
        check_content(DAY, HEADER "2026-11-20T10:00:01.000Z,2026-11-20 11:00:01,Cm,1,,1\r\n"
                           "2026-11-20T10:00:02.000Z,2026-11-20 11:00:02,Cm,2,,2\r\n");
        end();
    }
}

static void test_a_boot_that_never_knew_the_time_keeps_its_file_and_holds_nothing_up(void)
{
    begin(CLOCK_UNKNOWN);
    add_row(1000, 1);
    burst();
    add_row(2000, 2);
    begin_boot(BOOT_B, CLOCK_NTP);
    CHECK_EQ(add_row(3000, 3), 4294967296);
    burst();
    check_content("here/kitchen/boot-1.csv", "boot_s," HEADER "1.000,,,Um,1,,1\r\n2.000,,,Um,2,,2\r\n");
    check_content(DAY, HEADER "2026-11-20T10:00:03.000Z,2026-11-20 11:00:03,Nm,3,,4294967296\r\n");
    burst();
    CHECK(exists("here/kitchen/boot-1.csv"));
    end();
}

static void test_energy_scribe_files_are_named_by_their_first_row(void)
{
    begin(CLOCK_NTP);
    format = CSV_ENERGY_SCRIBE;
    add_row(1000, 230.5);
    burst();
    add_row(2000, 231);
    burst();
    // UTC midnight, not the local one
    add_row(13 * HOUR, 3);
    add_row(14 * HOUR, 4);
    burst();
#define ES_HEADER "\"Time\",\"Voltage\",\"Current\",\"Power\",\"Reactive power\",\"Power factor\"," \
                  "\"Power factor direction\",\"Frequency\",\"Cumulative energy\"\n"
    check_content("here/kitchen/20261120-10.00.01.csv",
                  ES_HEADER "\"2026/11/20 10:00:01\",230.5,,,,,,,\n\"2026/11/20 10:00:02\",231,,,,,,,\n"
                            "\"2026/11/20 23:00:00\",3,,,,,,,\n");
    check_content("here/kitchen/20261121-00.00.00.csv", ES_HEADER "\"2026/11/21 00:00:00\",4,,,,,,,\n");

    // A new boot is a new file; rows without a time wait.
    begin_boot(BOOT_B, CLOCK_UNKNOWN);
    add_row(15 * HOUR, 5);
    burst();
    CHECK(!exists("here/kitchen/boot-2.csv"));
    begin_boot(BOOT_B, CLOCK_NTP);
    add_row(16 * HOUR, 6);
    burst();
    check_content("here/kitchen/20261121-01.00.00.csv",
                  ES_HEADER "\"2026/11/21 01:00:00\",5,,,,,,,\n\"2026/11/21 02:00:00\",6,,,,,,,\n");
    end();
}

static void test_a_shortened_energy_scribe_file_goes_on_in_the_next_revision(void)
{
    begin(CLOCK_NTP);
    format = CSV_ENERGY_SCRIBE;
    add_row(1000, 1);
    add_row(2000, 2);
    burst();
    CHECK_EQ(truncate(path_of("here/kitchen/20261120-10.00.01.csv"),
                      (off_t) strlen(ES_HEADER "\"2026/11/20 10:00:01\",1,,,,,,,\n")), 0);
    add_row(3000, 3);
    burst();
    check_content("here/kitchen/20261120-10.00.01-r1.csv",
                  ES_HEADER "\"2026/11/20 10:00:02\",2,,,,,,,\n\"2026/11/20 10:00:03\",3,,,,,,,\n");
    burst();
    CHECK(!exists("here/kitchen/20261120-10.00.01-r2.csv"));
    end();
}

TESTS(test_unknown_times_wait_in_the_boots_file_and_move_when_the_clock_is_known,
      test_44_files_of_unknown_time_with_other_columns_all_go_when_the_clock_is_known, test_an_edited_boot_file_is_kept,
      test_38_what_a_burst_left_that_was_cut_off_does_not_keep_a_boot_file,
      test_a_boot_that_never_knew_the_time_keeps_its_file_and_holds_nothing_up,
      test_energy_scribe_files_are_named_by_their_first_row,
      test_a_shortened_energy_scribe_file_goes_on_in_the_next_revision)
