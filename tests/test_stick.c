// SPDX-License-Identifier: MIT
// link: ms_outlet

#include "tests/stick_bed.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

static void test_rows_stand_in_their_days_file_under_one_heading(void)
{
    begin(CLOCK_NTP);
    add_row(1000, 1);
    burst();
    check_content(DAY, HEADER ROW_1);
    add_row(2000, 2);
    burst();
    burst();
    check_content(DAY, HEADER ROW_1 ROW_2);
    CHECK_EQ(add_row(13 * HOUR, 3), 3);
    burst();
    check_content(DAY, HEADER ROW_1 ROW_2);
    check_content("here/kitchen/2026-11-21.csv", HEADER "2026-11-20T23:00:00.000Z,2026-11-21 00:00:00,Nm,3,,3\r\n");
    end();
}

static void test_a_stick_that_stays_in_goes_on_without_being_read_again(void)
{
    struct stick *stick;
    uint64_t backlog;

    begin(CLOCK_NTP);
    stick = open_stick();
    for (int i = 1; i <= 3; i++) {
        add_row((uint64_t) i * 1000, i);
        CHECK_EQ(stick_backlog(stick, &backlog), 0);
        CHECK_EQ(backlog, 1);
        CHECK_EQ(burst_with(stick), 0);
        CHECK_EQ(stick_backlog(stick, &backlog), 0);
        CHECK_EQ(backlog, 0);
    }
    check_content(DAY, HEADER ROW_1 ROW_2 ROW_3);
    stick_close(stick);
    end();
}

static void test_other_columns_begin_another_file(void)
{
    begin(CLOCK_NTP);
    add_row(1000, 1);
    add_meter("kitchen", "schneider-iem2150", "power_active", "W");
    add_row(2000, 2);
    add_row(3000, 3);
    burst();
    check_content(DAY, HEADER ROW_1);
    check_content(DAY_R1, "utc,local,quality,power_active_w,power_factor,seq\r\n" ROW_2 ROW_3);
    end();
}

static void test_a_blank_stick_gets_everything_in_seq_order(void)
{
    auto_free char *text = NULL;
    uint64_t last = 0;

    begin(CLOCK_NTP);
    for (uint64_t i = 0; i < 600; i++) {
        add_row(i * 1000, (double) i);
    }
    burst();
    text = content(DAY);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        uint64_t seq = csv_line_seq(line, strlen(line));

        if (seq > 0) {
            CHECK_EQ(seq, last + 1);
            last = seq;
        }
    }
    CHECK_EQ(last, 600);
    end();
}

static void test_a_full_stick_keeps_whole_rows_and_goes_on_later(void)
{
    int status;
    pid_t pid;

    begin(CLOCK_NTP);
    add_row(1000, 1);
    burst();
    for (uint64_t i = 2; i <= 40; i++) {
        add_row(13 * HOUR + i, (double) i);  // a new file...
    }
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct rlimit limit = { 1500, 1500 };  // ...for which there is no room, though for the cursor there is

        (void) signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) < 0) {
            _exit(100);
        }
        _exit(one_burst(open_stick()) == -ENOSPC ? 0 : 1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    check_content("here/kitchen/2026-11-21.csv", "");
    burst();
    CHECK(!exists("here/kitchen/2026-11-21-r1.csv"));
    {
        auto_free char *text = content("here/kitchen/2026-11-21.csv");

        CHECK(text_starts(text, HEADER));
        CHECK_HAS(text, ",2,,2\r\n");
        CHECK_HAS(text, ",40,,40\r\n");
    }
    end();
}

static void test_a_stick_that_is_gone_is_said_to_be_and_nothing_is_created(void)
{
    char away[200];
    struct stick *stick;

    begin(CLOCK_NTP);
    stick = open_stick();
    add_row(1000, 1);
    CHECK_EQ(burst_with(stick), 0);
    snprintf(away, sizeof(away), "%s/away", base);
    CHECK_EQ(rename(stick_dir, away), 0);
    add_row(2000, 2);
    CHECK_EQ(one_burst(stick), -ENODEV);
    CHECK(access(stick_dir, F_OK) < 0);
    CHECK_EQ(rename(away, stick_dir), 0);
    CHECK_EQ(burst_with(stick), 0);
    check_content(DAY, HEADER ROW_1 ROW_2);
    stick_close(stick);
    end();
}

static void test_kill_9_in_mid_burst_repeats_and_loses_no_row(void)
{
    uint64_t random = (uint64_t) time(NULL), row = 0, last = 0;
    auto_free char *text = NULL;
    unsigned headers = 0;

    begin(CLOCK_NTP);
    printf("seed %llu\n", (unsigned long long) random);
    for (int round = 0; round < 30; round++) {
        pid_t pid;

        for (int i = 0; i < 150; i++, row++) {
            struct journal_row sample = { .epoch = epoch.number, .boot_ms = row * 1000, .meter = kitchen,
                                          .value_count = 2, .quality = "N", .values = { (double) row, 1 } };
            uint64_t seq;

            CHECK_EQ(journal_add_sample(writer, &sample, NULL, 0, &seq), 0);
        }
        CHECK_EQ(journal_commit(writer, row * 1000), 0);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            _exit(burst_with(open_stick()) < 0);
        }
        random = random * 6364136223846793005u + 1442695040888963407u;
        usleep((useconds_t) (random >> 33) % 30000);
        CHECK_EQ(kill(pid, SIGKILL), 0);
        CHECK_EQ(waitpid(pid, NULL, 0), pid);
    }
    burst();

    text = content(DAY);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        uint64_t seq = csv_line_seq(line, strlen(line));

        headers += text_starts(line, "utc,");
        CHECK(seq > 0 || text_starts(line, "utc,"));
        CHECK(seq == 0 || seq == last + 1);
        last = seq ? seq : last;
    }
    CHECK_EQ(headers, 1);
    CHECK_EQ(last, row);
    CHECK(!exists(DAY_R1));
    end();
}

TESTS(test_rows_stand_in_their_days_file_under_one_heading,
      test_a_stick_that_stays_in_goes_on_without_being_read_again, test_other_columns_begin_another_file,
      test_a_blank_stick_gets_everything_in_seq_order, test_a_full_stick_keeps_whole_rows_and_goes_on_later,
      test_a_stick_that_is_gone_is_said_to_be_and_nothing_is_created,
      test_kill_9_in_mid_burst_repeats_and_loses_no_row)
