// SPDX-License-Identifier: MIT
// link: ms_outlet

/* Whose folder it is, what on a stick is not ours, and sticks that are changed: faults 28 and 42 of reliability.md. */

#include "tests/stick_bed.h"

#include <dirent.h>
#include <time.h>

/* Another appliance's journal from now on. */
static void change_journal(const char *name, const char *boot_id)
{
    journal_close(reader);
    journal_close(writer);
    snprintf(journal_dir, sizeof(journal_dir), "%s/%s", base, name);
    CHECK_EQ(journal_open(journal_dir, false, &writer), 0);
    begin_boot(boot_id, CLOCK_NTP);
    add_meter("kitchen", "schneider-iem2150", "voltage", "V");
    CHECK_EQ(journal_commit(writer, 0), 0);
    CHECK_EQ(journal_open_read(journal_dir, &reader), 0);
}

/* The stick in the slot goes, the other one comes. */
static void swap_sticks(void)
{
    char other[200], away[200];

    snprintf(other, sizeof(other), "%s/other", base);
    snprintf(away, sizeof(away), "%s/away", base);
    (void) mkdir(other, 0755);
    CHECK_EQ(rename(stick_dir, away), 0);
    CHECK_EQ(rename(other, stick_dir), 0);
    CHECK_EQ(rename(away, other), 0);
}

/* --- things and the times of their last change --- */

#define THINGS_MAX 64

static struct {
    char path[300];
    struct timespec changed;
    off_t size;
} things[THINGS_MAX];
static unsigned thing_count;

static int note_thing(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void) kind;
    (void) walk;
    CHECK(thing_count < THINGS_MAX);
    snprintf(things[thing_count].path, sizeof(things[thing_count].path), "%s", path);
    things[thing_count].changed = status->st_ctim;  // of a file's bytes, too
    things[thing_count++].size = status->st_size;
    return 0;
}

/* What stands on the stick below that name, that itself included. */
static void note_things(const char *name)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/%s", stick_dir, name);
    CHECK_EQ(nftw(path, note_thing, 16, FTW_PHYS), 0);
}

static void check_things(void)
{
    struct stat status;

    CHECK(thing_count > 0);
    for (unsigned i = 0; i < thing_count; i++) {
        CHECK_EQ(lstat(things[i].path, &status), 0);
        if (status.st_size != things[i].size || status.st_ctim.tv_sec != things[i].changed.tv_sec ||
            status.st_ctim.tv_nsec != things[i].changed.tv_nsec) {
            fail_msg("%s was touched", things[i].path);
        }
    }
}

static void put(const char *name, const char *text)
{
    char path[400];

    snprintf(path, sizeof(path), "%s/%s", stick_dir, name);
    CHECK_EQ(file_replace(path, text, strlen(text), 0644, false), 0);
}

static void make(const char *name)
{
    char path[400];

    snprintf(path, sizeof(path), "%s/%s", stick_dir, name);
    CHECK_EQ(mkdir(path, 0755), 0);
}

/* --- folders --- */

static void test_a_folder_of_another_journal_is_not_touched(void)
{
    begin(CLOCK_NTP);
    add_row(1000, 1);
    burst();
    change_journal("journal2", BOOT_B);
    add_row(2000, 7);
    burst();
    burst();
    check_content(DAY, HEADER ROW_1);
    check_content("here-2/kitchen/2026-11-20.csv",
                  HEADER "2026-11-20T10:00:02.000Z,2026-11-20 11:00:02,Nm,7,,1\r\n");
    CHECK(!exists("here-3"));
    end();
}

static void copy_journal(const char *from, const char *to)
{
    char command[500];

    snprintf(command, sizeof(command), "rm -rf '%s' && cp -r '%s' '%s'", to, from, to);
    CHECK_EQ(system(command), 0);
}

static void test_a_journal_put_back_from_a_copy_goes_on_in_a_folder_of_its_own(void)
{
    char backup[200];

    begin(CLOCK_NTP);
    thing_count = 0;
    snprintf(backup, sizeof(backup), "%s/backup", base);
    add_row(1000, 1);
    journal_close(TAKE(writer));
    copy_journal(journal_dir, backup);
    CHECK_EQ(journal_open(journal_dir, false, &writer), 0);
    for (int boot = 0; boot < 3; boot++) {
        begin_boot(boot % 2 ? BOOT_A : BOOT_B, CLOCK_NTP);
        add_meter("kitchen", "schneider-iem2150", "voltage", "V");
        add_row(2000, 2);
    }
    burst();
    note_things("kwhmeter/here");

    journal_close(writer);
    journal_close(reader);
    copy_journal(backup, journal_dir);
    CHECK_EQ(journal_open(journal_dir, false, &writer), 0);
    CHECK_EQ(journal_open_read(journal_dir, &reader), 0);
    begin_boot(BOOT_B, CLOCK_NTP);
    add_meter("kitchen", "schneider-iem2150", "voltage", "V");
    CHECK_EQ(add_row(3000, 3), 4294967296);
    burst();
    add_row(4000, 4);
    burst();
    check_things();
    check_content("here-2/kitchen/2026-11-20.csv",
                  HEADER ROW_1 "2026-11-20T10:00:03.000Z,2026-11-20 11:00:03,Nm,3,,4294967296\r\n"
                  "2026-11-20T10:00:04.000Z,2026-11-20 11:00:04,Nm,4,,4294967297\r\n");
    CHECK(!exists("here-3"));
    end();
}

static void test_a_stick_carried_round_has_a_folder_for_each_appliance(void)
{
    begin(CLOCK_NTP);
    thing_count = 0;
    add_row(1000, 1);
    burst();
    note_things("kwhmeter/here");
    change_journal("journal2", BOOT_B);
    appliance = "there";
    add_row(2000, 7);
    burst();
    add_row(3000, 8);
    burst();
    check_content("there/kitchen/2026-11-20.csv",
                  HEADER "2026-11-20T10:00:02.000Z,2026-11-20 11:00:02,Nm,7,,1\r\n"
                         "2026-11-20T10:00:03.000Z,2026-11-20 11:00:03,Nm,8,,2\r\n");
    check_things();

    // Back at the first one, which goes on where it was.
    thing_count = 0;
    note_things("kwhmeter/there");
    appliance = "here";
    change_journal("journal", BOOT_A);
    add_row(2000, 2);
    burst();
    check_content(DAY, HEADER ROW_1 ROW_2);
    check_things();
    CHECK(!exists("here-2"));
    end();
}

static void test_what_is_not_ours_is_not_touched(void)
{
    static const char *const folders[] = {
        "Photos", "Photos/2024", "kwhmeter", "kwhmeter/notes", "kwhmeter/here", "kwhmeter/here/kitchen",
        "kwhmeter/here/cellar", "kwhmeter/here-7",
    };
    static const char *const files[] = {
        "Photos/2024/a.jpg", "kwhmeter/notes/2026-11-20.csv", "kwhmeter/mine.csv", "kwhmeter/here/notes.txt",
        "kwhmeter/here/kitchen/2026-11-19.csv", "kwhmeter/here/kitchen/2026-11-20.xlsx",
        "kwhmeter/here/kitchen/2026-11-20.csv.bak", "kwhmeter/here/kitchen/2026-11-20 (copy).csv",
        "kwhmeter/here/cellar/2026-11-20.csv", "kwhmeter/here-7/x", "autorun.inf", "RESULT.txt",
    };

    begin(CLOCK_NTP);
    thing_count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        make(folders[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        put(files[i], "precious\n");
    }
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        note_things(files[i]);
    }
    note_things("Photos");
    note_things("kwhmeter/notes");
    note_things("kwhmeter/here-7");
    for (int i = 1; i <= 3; i++) {
        add_row((uint64_t) i * 1000, i);
        burst();
    }
    check_content(DAY, HEADER ROW_1 ROW_2 ROW_3);
    check_things();
    end();
}

static void test_the_name_of_a_folder_that_is_a_file_is_passed(void)
{
    begin(CLOCK_NTP);
    make("kwhmeter");
    put("kwhmeter/here", "a file");
    add_row(1000, 1);
    burst();
    burst();
    check_content("here", "a file");
    check_content("here-2/kitchen/2026-11-20.csv", HEADER ROW_1);
    end();
}

static void test_two_sticks_in_turn_each_have_everything(void)
{
    struct stick *stick;

    begin(CLOCK_NTP);
    stick = open_stick();
    for (int i = 1; i <= 3; i++) {
        add_row((uint64_t) i * 1000, i);
        CHECK_EQ(burst_with(stick), 0);
        swap_sticks();
    }
    CHECK_EQ(burst_with(stick), 0);
    check_content(DAY, HEADER ROW_1 ROW_2 ROW_3);
    swap_sticks();
    CHECK_EQ(burst_with(stick), 0);
    check_content(DAY, HEADER ROW_1 ROW_2 ROW_3);
    stick_close(stick);
    end();
}

/* All rows, each once, in order. */
static void check_rows(uint64_t count)
{
    auto_free char *text = content(DAY);
    uint64_t last = 0;

    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        uint64_t seq = csv_line_seq(line, strlen(line));

        CHECK(seq == last + 1 || text_starts(line, "utc,"));
        last = seq;
    }
    CHECK_EQ(last, count);
}

static void test_28_a_stick_changed_in_mid_catch_up_is_complete_later_and_so_is_the_other(void)
{
    const uint64_t rows = 60000;  // more than two batches
    struct stick *stick;

    begin(CLOCK_NTP);
    for (uint64_t i = 1; i <= rows; i++) {
        struct journal_row row = { .epoch = epoch.number, .boot_ms = i * 10, .meter = kitchen, .quality = "N",
                                   .value_count = 2, .values = { (double) i, 1 } };
        uint64_t seq;

        CHECK_EQ(journal_add_sample(writer, &row, NULL, 0, &seq), 0);
    }
    CHECK_EQ(journal_commit(writer, rows * 10), 0);

    stick = open_stick();
    CHECK_EQ(one_burst(stick), 1);
    swap_sticks();
    CHECK_EQ(one_burst(stick), 1);
    CHECK_EQ(one_burst(stick), 1);
    swap_sticks();
    CHECK_EQ(burst_with(stick), 0);
    check_rows(rows);
    swap_sticks();
    CHECK_EQ(burst_with(stick), 0);
    check_rows(rows);
    stick_close(stick);
    end();
}

/* --- fault 42 --- */

static double cpu_s(void)
{
    struct timespec now;

    CHECK_EQ(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void fill(const char *name, unsigned count)
{
    char path[400];

    for (unsigned i = 0; i < count; i++) {
        int fd;

        snprintf(path, sizeof(path), "%s/%s/%u.csv", stick_dir, name, i);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        CHECK(fd >= 0);
        CHECK_EQ(close(fd), 0);
    }
}

static void test_42_many_files_and_odd_names_cost_nothing(void)
{
    unsigned count = (unsigned) MAX(test_share(100000), (uint64_t) 3000) / 3;
    char longest[300] = "kwhmeter/here/kitchen/";
    double began_s;

    begin(CLOCK_NTP);
    make("kwhmeter");
    make("kwhmeter/here");
    make("kwhmeter/here/kitchen");
    make("kwhmeter/here/kitchen/2026-11-20-r1.csv");
    put("kwhmeter/here/kitchen/line\nbreak.csv", "x");
    put("kwhmeter/here/kitchen/\xff\xfe.csv", "x");
    put("kwhmeter/here/kitchen/2026-11-20-r.csv", "x");
    put("kwhmeter/here/kitchen/2026-11-20-r99999999999999999999.csv", "x");
    memset(longest + strlen(longest), 'a', 240);
    put(longest, "x");
    fill("", count);
    fill("kwhmeter/here", count);
    fill("kwhmeter/here/kitchen", count);

    add_row(1000, 1);
    began_s = cpu_s();
    burst();
    CHECK(cpu_s() - began_s < 1);
    check_content(DAY, HEADER ROW_1);
    CHECK(!exists("here/kitchen/2026-11-20-r2.csv"));
    end();
}

TESTS(test_a_folder_of_another_journal_is_not_touched,
      test_a_journal_put_back_from_a_copy_goes_on_in_a_folder_of_its_own,
      test_a_stick_carried_round_has_a_folder_for_each_appliance,
      test_what_is_not_ours_is_not_touched, test_the_name_of_a_folder_that_is_a_file_is_passed,
      test_two_sticks_in_turn_each_have_everything,
      test_28_a_stick_changed_in_mid_catch_up_is_complete_later_and_so_is_the_other,
      test_42_many_files_and_odd_names_cost_nothing)
