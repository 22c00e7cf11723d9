// SPDX-License-Identifier: MIT
// link: ms_outlet

/* A stick whose rows the journal has no more, or cannot read: it goes on behind them and says so. */

#include "tests/journal_bed.h"

#include "app/base/file.h"
#include "app/journal/database.h"
#include "app/outlet/stick.h"

#include <fcntl.h>
#include <ftw.h>

#define BAD_ROWS (1ull << 24)

static char stick_dir[160];
static struct journal *reader;

static void begin(void)
{
    make_directory();
    snprintf(stick_dir, sizeof(stick_dir), "%s/stick", state_dir);
    CHECK_EQ(mkdir(stick_dir, 0755), 0);
    reader = NULL;
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
    journal_close(TAKE(reader));
    CHECK_EQ(nftw(state_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* All there is onto the stick, by a program that was just started. Returns whether rows are missing: after which. */
static bool burst(uint64_t *ret_after)
{
    auto_close int root_fd = open(stick_dir, O_RDONLY | O_DIRECTORY);
    struct stick_setup setup = { .appliance = "here" };
    struct stick *stick = NULL;
    bool gap;
    int r;

    if (!reader) {
        CHECK_EQ(journal_open_read(directory, &reader), 0);
    }
    setup.journal = reader;
    CHECK_EQ(stick_open(&setup, &stick), 0);
    while ((r = stick_burst(stick, root_fd, -1)) > 0) {
    }
    CHECK_EQ(r, 0);
    gap = stick_has_gap(stick);
    *ret_after = stick_gap_after(stick);
    stick_close(stick);
    return gap;
}

static unsigned lines_in(const char *name)
{
    char path[400], *text = NULL;
    unsigned lines = 0;
    size_t size;

    snprintf(path, sizeof(path), "%s/kwhmeter/here/kitchen/%s", stick_dir, name);
    if (file_read(path, 1 << 24, &text, &size) < 0) {
        return 0;
    }
    for (size_t i = 0; i < size; i++) {
        lines += text[i] == '\n';
    }
    free(text);
    return lines;
}

static void zero_the_header(uint64_t first)
{
    static const char zeroes[100];
    char path[512];
    auto_close int fd = open(segment_path(first, path), O_WRONLY | O_CLOEXEC);

    CHECK_EQ(pwrite(fd, zeroes, sizeof(zeroes), 0), sizeof(zeroes));
}

static void test_a_cursor_older_than_the_oldest_segment_has_a_gap(void)
{
    struct journal *writer;
    struct epoch epoch;
    uint64_t after;
    int64_t meter;

    begin();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    meter = add_kitchen(writer);
    add_row(writer, &epoch, meter, 1, 0);
    CHECK_EQ(journal_commit(writer, 1), 0);
    CHECK(!burst(&after));
    for (uint64_t i = 1; i < 120; i++) {  // every 2 h, ten days
        add_row(writer, &epoch, meter, i * DAY / 12, 1);
        CHECK_EQ(journal_commit(writer, i * DAY / 12), 0);
    }
    CHECK(journal_prune(writer, 7, 0) > 0);
    CHECK(burst(&after));
    CHECK_EQ(after, 1);
    CHECK(!burst(&after));
    journal_close(writer);
    end();
}

/* The meter that the stick's file is of was known to the damaged segment alone. */
static void test_a_stick_goes_on_after_a_segment_was_set_aside(void)
{
    struct journal *writer;
    struct epoch epoch;
    uint64_t after;

    for (int cut = 0; cut < 2; cut++) {
        begin();
        writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
        for (uint64_t i = 0; i < 10; i++) {
            add_row(writer, &epoch, add_kitchen(writer), 1 + i, 1);
        }
        CHECK_EQ(journal_commit(writer, 10), 0);
        journal_close(writer);
        CHECK(!burst(&after));
        CHECK_EQ(lines_in("2025-11-13.csv"), 1 + 10);
        if (cut) {
            char path[400];  // and somebody has shortened the file

            snprintf(path, sizeof(path), "%s/kwhmeter/here/kitchen/2025-11-13.csv", stick_dir);
            CHECK_EQ(truncate(path, 100), 0);
        }

        zero_the_header(1);
        writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
        for (uint64_t i = 0; i < 5; i++) {
            CHECK_EQ(add_row(writer, &epoch, add_kitchen(writer), 20 + i, 1), 1 + BAD_ROWS + i);
        }
        CHECK_EQ(journal_commit(writer, 20), 0);
        CHECK(burst(&after));
        CHECK_EQ(after, 10);
        CHECK_EQ(lines_in("2025-11-13-r1.csv"), 1 + 5);
        CHECK(!burst(&after));
        CHECK_EQ(lines_in("2025-11-13-r1.csv"), 1 + 5);
        journal_close(writer);
        end();
    }
}

/* Nobody can say whose they are, or when they were. */
static void test_rows_that_have_no_meter_or_epoch_are_passed(void)
{
    struct database *database = NULL;
    struct journal *writer;
    struct epoch epoch;
    char path[512];
    uint64_t after;

    begin();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    for (uint64_t i = 0; i < 10; i++) {
        add_row(writer, &epoch, add_kitchen(writer), 1 + i, 1);
    }
    CHECK_EQ(journal_commit(writer, 10), 0);
    journal_close(writer);
    CHECK_EQ(database_open(segment_path(1, path), DATABASE_WRITE, &database), 0);
    CHECK_EQ(database_run(database, "UPDATE sample SET meter=77 WHERE seq=4;"
                                    "UPDATE sample SET epoch=99 WHERE seq=6"), 0);
    database_close(database);
    CHECK(burst(&after));
    CHECK_EQ(after, 3);
    CHECK_EQ(lines_in("2025-11-13.csv"), 1 + 8);
    CHECK(!burst(&after));
    end();
}

TESTS(test_a_cursor_older_than_the_oldest_segment_has_a_gap, test_a_stick_goes_on_after_a_segment_was_set_aside,
      test_rows_that_have_no_meter_or_epoch_are_passed)
