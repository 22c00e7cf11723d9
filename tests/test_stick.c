// SPDX-License-Identifier: MIT
// link: ms_outlet

#include "tests/test.h"

#include "app/base/file.h"
#include "app/outlet/csv.h"
#include "app/outlet/stick.h"
#include "app/outlet/stick_root.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define BOOT_A "aaaaaaaa-0000-4000-8000-000000000001"
#define BOOT_B "bbbbbbbb-0000-4000-8000-000000000002"
#define WALL   1795168800000  // 2026-11-20T10:00:00Z, 11:00 in Berlin
#define HOUR   3600000ull

static char base[128], journal_dir[160], stick_dir[160];
static struct journal *writer, *reader;
static struct epoch epoch;
static int64_t kitchen;
static enum csv_format format;

static void begin_boot(const char *boot_id, enum clock_quality source)
{
    epoch = (struct epoch){ .source = source, .wall_ms = WALL };
    snprintf(epoch.boot_id, sizeof(epoch.boot_id), "%s", boot_id);
    CHECK_EQ(journal_add_epoch(writer, &epoch), 0);
}

static void add_meter(const char *name, const char *model, const char *quantity, const char *unit)
{
    struct layout *layout = calloc(1, sizeof(*layout));

    layout->count = 2;
    snprintf(layout->columns[0].name, QUANTITY_NAME_SIZE, "%s", quantity);
    snprintf(layout->columns[0].unit, UNIT_SIZE, "%s", unit);
    strcpy(layout->columns[1].name, "power_factor");
    CHECK_EQ(journal_add_meter(writer, name, model, layout, &kitchen), 0);
    free(layout);
}

static uint64_t add_row(uint64_t boot_ms, double value)
{
    struct journal_row row = { .epoch = epoch.number, .boot_ms = boot_ms, .meter = kitchen, .value_count = 2,
                               .values = { value, NAN } };
    uint64_t seq = 0;

    snprintf(row.quality, sizeof(row.quality), "%cm", (char) epoch.source);
    CHECK_EQ(journal_add_sample(writer, &row, NULL, 0, &seq), 0);
    CHECK_EQ(journal_commit(writer, boot_ms), 0);
    return seq;
}

static void begin(enum clock_quality source)
{
    snprintf(base, sizeof(base), "%s/test-stick-XXXXXX", TEST_BINARY_DIR);
    CHECK(mkdtemp(base));
    snprintf(journal_dir, sizeof(journal_dir), "%s/journal", base);
    snprintf(stick_dir, sizeof(stick_dir), "%s/stick", base);
    CHECK_EQ(mkdir(stick_dir, 0755), 0);
    format = CSV_METERSTICK;
    CHECK_EQ(journal_open(journal_dir, false, &writer), 0);
    begin_boot(BOOT_A, source);
    add_meter("kitchen", "schneider-iem2150", "voltage", "V");
    CHECK_EQ(journal_commit(writer, 0), 0);
    CHECK_EQ(journal_open_read(journal_dir, &reader), 0);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void) status;
    (void) kind;
    (void) walk;
    return remove(path);
}

static void end(void)
{
    journal_close(reader);
    journal_close(writer);
    CHECK_EQ(nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static struct stick *open_stick(void)
{
    struct stick_setup setup = { .appliance = "here", .journal = reader, .format = format };
    struct stick *stick = NULL;

    CHECK_EQ(stick_open(&setup, &stick), 0);
    return stick;
}

static int one_burst(struct stick *stick)
{
    auto_stick_root struct stick_root *root = NULL;
    int root_fd, r;

    CHECK_EQ(stick_root_new_directory(stick_dir, &root), 0);
    r = stick_root_open(root, NULL, NULL, &root_fd);
    return r < 0 ? r : stick_burst(stick, root_fd, stick_root_device_fd(root));
}

static int burst_with(struct stick *stick)
{
    int r;

    while ((r = one_burst(stick)) > 0) {
    }
    return r;
}

/* A burst of a program that has just been started. */
static void burst(void)
{
    auto_stick struct stick *stick = open_stick();

    CHECK_EQ(burst_with(stick), 0);
}

static const char *path_of(const char *name)
{
    static char path[400];

    snprintf(path, sizeof(path), "%s/kwhmeter/%s", stick_dir, name);
    return path;
}

static bool exists(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

static char *content(const char *name)
{
    char *text = NULL;
    size_t size;

    CHECK_EQ(file_read(path_of(name), 1 << 24, &text, &size), 0);
    return text;
}

static void check_content(const char *name, const char *expect)
{
    auto_free char *text = content(name);
    struct stat status;

    CHECK_STR(text, expect);
    CHECK_EQ(stat(path_of(name), &status), 0);
    CHECK_EQ(status.st_size, strlen(expect));  // no NUL and more behind it
}

static void append(const char *name, const char *bytes, size_t size)
{
    auto_close int fd = open(path_of(name), O_WRONLY | O_APPEND);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, bytes, size), size);
}

#define HEADER "utc,local,quality,voltage_v,power_factor,seq\r\n"
#define ROW_1  "2026-11-20T10:00:01.000Z,2026-11-20 11:00:01,Nm,1,,1\r\n"
#define ROW_2  "2026-11-20T10:00:02.000Z,2026-11-20 11:00:02,Nm,2,,2\r\n"
#define ROW_3  "2026-11-20T10:00:03.000Z,2026-11-20 11:00:03,Nm,3,,3\r\n"
#define DAY    "here/kitchen/2026-11-20.csv"
#define DAY_R1 "here/kitchen/2026-11-20-r1.csv"

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
      test_a_stick_that_stays_in_goes_on_without_being_read_again, test_a_torn_tail_that_is_ours_is_completed,
      test_garbage_behind_the_cursor_is_cut, test_an_edited_file_is_left_alone_and_no_seq_stands_twice,
      test_an_edit_is_seen_while_the_stick_stays_in, test_rows_that_a_person_removed_stand_in_the_next_revision,
      test_a_removed_file_is_written_again_whole, test_other_columns_begin_another_file,
      test_a_lost_cursor_repeats_no_row, test_a_folder_of_another_journal_is_not_touched,
      test_unknown_times_wait_in_the_boots_file_and_move_when_the_clock_is_known, test_an_edited_boot_file_is_kept,
      test_a_boot_that_never_knew_the_time_keeps_its_file_and_holds_nothing_up,
      test_a_blank_stick_gets_everything_in_seq_order,
      test_a_full_stick_keeps_whole_rows_and_goes_on_later,
      test_garbage_in_a_file_begun_by_a_killed_burst_is_cut,
      test_a_stick_that_is_gone_is_said_to_be_and_nothing_is_created, test_two_sticks_in_turn_each_have_everything,
      test_links_and_foreign_things_on_the_stick_are_not_followed,
      test_energy_scribe_files_are_named_by_their_first_row,
      test_a_shortened_energy_scribe_file_goes_on_in_the_next_revision,
      test_kill_9_in_mid_burst_repeats_and_loses_no_row)
