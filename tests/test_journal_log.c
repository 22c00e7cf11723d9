// SPDX-License-Identifier: MIT
// link: ms_journal
//
// The log of the newest segment is damaged from some commit on: what is before it stays, and no seq is given twice.

#include "tests/journal_bed.h"

#include "app/base/clock.h"
#include "app/journal/database.h"

#include <fcntl.h>
#include <sys/wait.h>

#define BAD_ROWS   (1ull << 24)  // DESIGN section 4
#define COMMITS    10            // in the log, of a row each
#define FRAME_SIZE (24 + 1024)

enum { WITH_INDEX, WITHOUT_INDEX };

static const char *log_path(char path[static 512], const char *ending)
{
    snprintf(path, 512, "%s/0000000000000001.db%s", directory, ending);
    return path;
}

static bool is_there(const char *ending)
{
    struct stat status;
    char path[512];

    return stat(log_path(path, ending), &status) == 0;
}

/* A segment whose writer was killed after COMMITS commits; folded: they are in its file as well. */
static void write_log(const char *boot_id, bool folded)
{
    int status;
    pid_t pid;

    make_directory();
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct epoch epoch;
        struct journal *writer = open_writer(boot_id, CLOCK_NTP, &epoch);
        int64_t meter = add_kitchen(writer);

        for (unsigned i = 0; i < COMMITS; i++) {
            add_row(writer, &epoch, meter, 1000 + i, i);
            CHECK_EQ(journal_commit(writer, 1000 + i), 0);
        }
        if (folded) {
            struct database *database = NULL;
            char path[512];

            CHECK_EQ(database_open(segment_path(1, path), DATABASE_WRITE, &database), 0);
            CHECK_EQ(database_run(database, "PRAGMA wal_checkpoint(PASSIVE)"), 0);
        }
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

/* Where the last frame of that commit stands in the log, counted from 1. */
static off_t commit_at(unsigned commit)
{
    char path[512];
    auto_close int fd = open(log_path(path, "-wal"), O_RDONLY | O_CLOEXEC);
    unsigned char header[24];
    off_t at = 32;

    CHECK(fd >= 0);
    for (;; at += FRAME_SIZE) {
        static const unsigned char none[4];

        CHECK_EQ(pread(fd, header, sizeof(header), at), sizeof(header));
        commit -= memcmp(header + 4, none, 4) != 0;
        if (commit == 0) {
            return at;
        }
    }
}

static void overwrite(off_t at, size_t size, int byte)
{
    char path[512], bytes[8192];
    auto_close int fd = open(log_path(path, "-wal"), O_WRONLY | O_CLOEXEC);

    CHECK(fd >= 0 && size <= sizeof(bytes));
    memset(bytes, byte, size);
    CHECK_EQ(pwrite(fd, bytes, size, at), size);
}

static void forget_index(void)
{
    char path[512];

    CHECK_EQ(truncate(log_path(path, "-shm"), 0), 0);
}

/* How many of the rows are still there. */
static unsigned count_rows(void)
{
    struct journal *reader = NULL;
    struct journal_row rows[2 * COMMITS];
    uint64_t backlog;
    int r;

    CHECK_EQ(journal_open_read(directory, &reader), 0);
    r = journal_read(reader, 0, NULL, rows, 2 * COMMITS);
    CHECK(r >= 0);
    CHECK_EQ(journal_backlog(reader, 0, &backlog), 0);
    CHECK_EQ(backlog, r);  // whatever was left out between segments
    journal_close(reader);
    return (unsigned) r;
}

/* Go on: the new row's seq. */
static uint64_t go_on(const char *boot_id)
{
    struct journal *writer;
    struct epoch epoch;
    uint64_t seq;

    writer = open_writer(boot_id, CLOCK_NTP, &epoch);
    seq = add_row(writer, &epoch, add_kitchen(writer), 2000, 7);
    CHECK_EQ(journal_commit(writer, 2000), 0);
    journal_close(writer);
    return seq;
}

static void check_damaged(unsigned rows_left)
{
    struct journal_event events[8];
    struct journal *reader = NULL;

    CHECK(is_there(""));
    CHECK(is_there("-wal.bad"));
    CHECK_EQ(count_rows(), rows_left + 1);
    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_events(reader, 0, events, 8), 1);
    CHECK_STR(events[0].code, "damaged");
    CHECK_HAS(events[0].text, "the log of 0000000000000001.db");
    CHECK(events[0].id > (int64_t) BAD_ROWS);
    journal_close(reader);
}

static void damage_a_page(void)
{
    overwrite(commit_at(5) + 24 + 100, 512, 0x5a);
}

static void damage_a_frame(void)
{
    overwrite(commit_at(5), 24, 0);
}

static void damage_the_last_page(void)
{
    overwrite(commit_at(COMMITS) + 24, 1024, 0);
}

static void damage_the_last_commits(void)
{
    overwrite(commit_at(9), 1, 0x77);
    overwrite(commit_at(10), 1, 0x77);
}

static void cut_it(void)
{
    char path[512];

    CHECK_EQ(truncate(log_path(path, "-wal"), commit_at(COMMITS) + 500), 0);
}

static void forget_its_header(void)
{
    overwrite(0, 32, 0);
}

static void empty_it(void)
{
    char path[512];

    CHECK_EQ(truncate(log_path(path, "-wal"), 0), 0);
}

static void leave_it(void)
{
}

/* Of a boot that is over, as this one is for the machine; then nothing but the log and its index can tell. */
static const struct {
    const char *name;
    void (*damage)(void);
    int index;
    unsigned rows_left;
    bool damaged;        // or what a power cut leaves
} cases[] = {
    { "a frame in the middle", damage_a_frame, WITHOUT_INDEX, 4, true },
    { "a page in the middle", damage_a_page, WITHOUT_INDEX, 4, true },
    { "cut, as the index knows", cut_it, WITH_INDEX, 9, true },
    { "nothing", leave_it, WITH_INDEX, 10, false },
    { "nothing, without an index", leave_it, WITHOUT_INDEX, 10, false },
    { "the header alone", forget_its_header, WITHOUT_INDEX, 0, true },
    { "the last commit", damage_the_last_page, WITHOUT_INDEX, 9, false },
    { "the last commit, as the index knows", damage_the_last_page, WITH_INDEX, 9, true },
    { "the last commits, headers too", damage_the_last_commits, WITHOUT_INDEX, 8, true },
};

static void test_commits_that_were_acknowledged_are_known_to_be_lost(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        printf("%s\n", cases[i].name);
        write_log(BOOT_A, false);
        cases[i].damage();
        if (cases[i].index == WITHOUT_INDEX) {
            forget_index();
        }
        CHECK_EQ(go_on(BOOT_A), cases[i].damaged ? 1 + BAD_ROWS : cases[i].rows_left + 1);
        if (cases[i].damaged) {
            check_damaged(cases[i].rows_left);
        } else {
            CHECK(!is_there("-wal.bad"));
            CHECK_EQ(count_rows(), cases[i].rows_left + 1);
        }
        remove_directory();
    }
}

/* A power cut tears the last commit; nothing does within a boot. */
static void test_a_torn_log_of_this_boot_is_damaged(void)
{
    static void (*const damages[])(void) = { damage_the_last_page, empty_it };
    char boot_id[CLOCK_BOOT_ID_SIZE];

    clock_boot_id(boot_id);
    for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
        write_log(boot_id, false);
        damages[i]();
        if (i == 0) {
            forget_index();
        }
        CHECK_EQ(go_on(boot_id), 1 + BAD_ROWS);
        CHECK(is_there("-wal.bad"));
        remove_directory();

        write_log(boot_id, false);
        damages[i]();
        if (i == 0) {
            forget_index();
        }
        CHECK_EQ(go_on(BOOT_B), BLOCK);
        CHECK(is_there("-wal.bad"));  // whoever asks next cannot know
        remove_directory();
    }
}

/* SQLite folds what it finds when it is closed, and nothing else tells then. */
static void test_what_was_found_is_not_forgotten_by_a_writer_that_ends_at_once(void)
{
    write_log(BOOT_A, false);
    damage_a_page();
    forget_index();
    for (unsigned i = 0; i < 2; i++) {
        struct journal *writer = NULL;

        CHECK_EQ(journal_open(directory, false, &writer), 0);
        journal_close(writer);
        CHECK(is_there("-wal.bad"));
    }
    CHECK_EQ(go_on(BOOT_A), 1 + BAD_ROWS);
    check_damaged(4);
    remove_directory();
}

/* The log would put older pages over newer ones. */
static void test_a_damaged_log_that_was_folded_already_is_not_used(void)
{
    write_log(BOOT_A, true);
    damage_a_page();
    CHECK_EQ(go_on(BOOT_A), 1 + BAD_ROWS);
    check_damaged(COMMITS);
    remove_directory();
}

static void test_what_was_kept_of_a_log_goes_with_its_segment(void)
{
    write_log(BOOT_A, false);
    damage_a_page();
    forget_index();
    CHECK_EQ(go_on(BOOT_A), 1 + BAD_ROWS);
    CHECK(is_there("-wal.bad"));
    CHECK_EQ(segment_remove(directory, 1, ".db"), 0);
    CHECK(!is_there("-wal.bad"));
    remove_directory();
}

TESTS(test_commits_that_were_acknowledged_are_known_to_be_lost, test_a_torn_log_of_this_boot_is_damaged,
      test_what_was_found_is_not_forgotten_by_a_writer_that_ends_at_once,
      test_a_damaged_log_that_was_folded_already_is_not_used, test_what_was_kept_of_a_log_goes_with_its_segment)
