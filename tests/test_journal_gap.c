// SPDX-License-Identifier: MIT
// link: ms_journal

/* A reader is never stuck behind what cannot be read: it is passed, and told as a gap. Fault 48. */

#include "tests/journal_bed.h"

#include "app/journal/database.h"
#include "app/journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#define BAD_ROWS (1ull << 24)

/* A row each 30 s, three days: segments begin at 1, 2882 and 5822. */
static struct journal *write_days(struct epoch *epoch)
{
    struct journal *writer;
    int64_t meter;

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, epoch);
    meter = add_kitchen(writer);
    for (uint64_t i = 0; i < 3 * 2880; i++) {
        add_row(writer, epoch, meter, 1 + i * 30000, (double) i);
        if (i % 60 == 0) {
            CHECK_EQ(journal_commit(writer, 1 + i * 30000), 0);
        }
    }
    CHECK_EQ(journal_commit(writer, 3 * DAY), 0);
    return writer;
}

/* All there is to read: in order, with what they were. Returns how many. */
static unsigned count_rows(uint64_t *ret_gap_after)
{
    struct journal *reader = NULL;
    struct journal_row *rows = calloc(100, sizeof(*rows));
    unsigned count = 0;
    uint64_t after = 0;
    int n;

    CHECK(rows);
    CHECK_EQ(journal_open_read(directory, &reader), 0);
    while ((n = journal_read(reader, after, NULL, rows, 100)) > 0) {
        for (int i = 0; i < n; i++) {
            CHECK(rows[i].seq > after);
            CHECK(rows[i].value_count == 2 && rows[i].values[0] >= 0);
            after = rows[i].seq;
        }
        count += (unsigned) n;
    }
    CHECK_EQ(n, 0);
    if (!journal_take_gap(reader, ret_gap_after)) {
        *ret_gap_after = UINT64_MAX;
    }
    CHECK(!journal_take_gap(reader, &after));
    journal_close(reader);
    free(rows);
    return count;
}

static size_t size_of(const char *path)
{
    struct stat status;

    CHECK_EQ(stat(path, &status), 0);
    return (size_t) status.st_size;
}

static void write_at(const char *path, size_t offset, const void *bytes, size_t size)
{
    auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);

    CHECK_EQ(pwrite(fd, bytes, size, (off_t) offset), size);
}

static void test_an_older_segment_that_cannot_be_read_is_passed(void)
{
    static const char zeroes[100];
    struct epoch epoch;
    uint64_t gap, number;
    char path[512];
    struct journal *reader = NULL;
    struct journal_row row;

    journal_close(write_days(&epoch));
    CHECK_EQ(count_rows(&gap), 3 * 2880);
    CHECK_EQ(gap, UINT64_MAX);
    segment_path(2882, path);
    write_at(path, 0, zeroes, sizeof(zeroes));
    CHECK_EQ(count_rows(&gap), 3 * 2880 - 2940);
    CHECK_EQ(gap, 2881);

    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_backlog(reader, 0, &number), 0);
    CHECK_EQ(number, 3 * 2880 - 2940);
    CHECK_EQ(journal_read_back(reader, 5822, &row, 1), 1);
    CHECK_EQ(row.seq, 2881);
    journal_close(reader);
    remove_directory();
}

static void test_the_newest_and_the_oldest_are_passed_as_well(void)
{
    static const char zeroes[100];
    struct journal *reader = NULL;
    struct journal_meter *meter = calloc(1, sizeof(*meter));
    struct epoch epoch;
    uint64_t gap, number;
    char path[512], boot[37];

    journal_close(write_days(&epoch));
    write_at(segment_path(1, path), 0, zeroes, sizeof(zeroes));
    write_at(segment_path(5822, path), 0, zeroes, sizeof(zeroes));
    CHECK_EQ(count_rows(&gap), 2940);
    CHECK_EQ(gap, 0);

    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_first_seq(reader, &number), 0);
    CHECK_EQ(number, 2882);
    CHECK_EQ(journal_head_seq(reader, &number), 0);
    CHECK_EQ(number, 5821);
    CHECK_EQ(journal_find_meter(reader, "kitchen", 0, meter), 0);
    CHECK_EQ(journal_last_boot(reader, boot), 0);
    CHECK_STR(boot, BOOT_A);
    CHECK_EQ(journal_first_epoch(reader, BOOT_A, &epoch), 0);
    journal_close(reader);
    free(meter);
    remove_directory();
}

/* Most of the rows are still there: those of a page are passed, and a few after it. */
static void test_one_damaged_page_costs_its_rows_and_few_more(void)
{
    char garbage[4096];
    struct epoch epoch;
    uint64_t gap;
    char path[512];
    unsigned count;

    journal_close(write_days(&epoch));
    memset(garbage, 0xa5, sizeof(garbage));
    segment_path(2882, path);
    CHECK(size_of(path) > 20 * 4096);
    write_at(path, size_of(path) / 8192 * 4096, garbage, sizeof(garbage));
    count = count_rows(&gap);
    printf("%u rows are passed, after %llu\n", 3 * 2880 - count, (unsigned long long) gap);
    CHECK(count < 3 * 2880);
    CHECK(count > 3 * 2880 - 600);  // a page has 200 or so
    CHECK(gap > 2882 && gap < 5822);
    remove_directory();
}

/* What a reader makes of three days whose second segment was changed by hand, into so many rows fewer. */
static void check_changed(const char *sql, unsigned fewer, uint64_t gap_after)
{
    struct database *database = NULL;
    struct journal *writer;
    struct epoch epoch;
    uint64_t gap;
    char path[512];

    writer = write_days(&epoch);
    CHECK_EQ(database_open(segment_path(2882, path), DATABASE_WRITE, &database), 0);
    CHECK_EQ(database_run(database, sql), 0);
    database_close(database);
    CHECK_EQ(count_rows(&gap), 3 * 2880 - fewer);
    CHECK_EQ(gap, gap_after);
    journal_close(writer);
    remove_directory();
}

static void test_a_row_that_is_none_is_passed(void)
{
    check_changed("UPDATE sample SET vals='[1,2' WHERE seq BETWEEN 3000 AND 3299;"
                  "UPDATE sample SET quality='Nmgx' WHERE seq=4000", 301, 2999);
}

/* One by one up to such a number would take days. */
static void test_rows_far_beyond_their_segment_are_passed_at_once(void)
{
    check_changed("UPDATE sample SET seq=seq+(1<<32) WHERE seq>=5800", 5821 - 5800 + 1, 5799);
}

static void test_a_cursor_has_a_gap_where_a_segment_was_set_aside(void)
{
    static const char zeroes[100];
    struct journal *writer, *reader = NULL;
    struct journal_row rows[4];
    struct epoch epoch;
    uint64_t gap;
    char path[512];

    journal_close(write_days(&epoch));
    write_at(segment_path(5822, path), 0, zeroes, sizeof(zeroes));
    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_read(reader, 5819, NULL, rows, 4), 2);  // the writer has not found out yet
    (void) journal_take_gap(reader, &gap);
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    CHECK_EQ(add_row(writer, &epoch, add_kitchen(writer), 4 * DAY, 1), 5822 + BAD_ROWS);
    CHECK_EQ(add_row(writer, &epoch, 1, 4 * DAY, 1), 5823 + BAD_ROWS);
    CHECK_EQ(journal_commit(writer, 4 * DAY), 0);

    CHECK_EQ(journal_read(reader, 5821, NULL, rows, 1), 1);
    CHECK_EQ(rows[0].seq, 5822 + BAD_ROWS);
    CHECK(journal_take_gap(reader, &gap));
    CHECK_EQ(gap, 5821);
    // A cursor that had rows of it, likewise.
    CHECK_EQ(journal_read(reader, 6000, NULL, rows, 1), 1);
    CHECK(journal_take_gap(reader, &gap));
    CHECK_EQ(gap, 6000);
    // Behind it there is none.
    CHECK_EQ(journal_read(reader, rows[0].seq, NULL, rows, 4), 1);
    CHECK_EQ(journal_read(reader, 100, NULL, rows, 4), 4);
    CHECK(!journal_take_gap(reader, &gap));
    journal_close(reader);
    journal_close(writer);
    remove_directory();
}

/* Damage anywhere, of any size: a reader comes to the end, and what it gives is right. Fault 48. */
static void test_any_damage_is_passed(void)
{
    const char *seed_text = getenv("METERSTICK_SEED");
    unsigned seed = seed_text && *seed_text ? (unsigned) strtoul(seed_text, NULL, 10) : (unsigned) time(NULL);
    uint64_t count = test_share(3000);
    struct epoch epoch;
    unsigned char *good;
    char path[512];
    size_t size;
    int fd;

    printf("METERSTICK_SEED=%u\n", seed);
    srandom(seed);
    journal_close(write_days(&epoch));
    segment_path(2882, path);
    size = size_of(path);
    good = malloc(size);
    fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(good && fd >= 0);
    CHECK_EQ(pread(fd, good, size, 0), size);

    for (uint64_t i = 0; i < count; i++) {
        struct journal *reader = NULL;
        struct journal_row rows[64];
        uint64_t after = 0;
        unsigned calls = 0;
        int n;

        for (unsigned j = (unsigned) random() % 4; j < 4; j++) {
            size_t length = 1 + (size_t) random() % (random() % 2 ? 16 : 8192);
            size_t offset = random() % 4 ? (size_t) random() % (size - length) : (size_t) random() % 4096;

            for (size_t k = 0; k < length; k++) {
                unsigned char byte = (unsigned char) random();

                CHECK_EQ(pwrite(fd, &byte, 1, (off_t) (offset + k)), 1);
            }
        }
        CHECK_EQ(journal_open_read(directory, &reader), 0);
        while ((n = journal_read(reader, after, NULL, rows, 64)) > 0) {
            CHECK(rows[n - 1].seq > after);
            after = rows[n - 1].seq;
            CHECK(++calls < 1000);
        }
        CHECK_EQ(n, 0);
        CHECK(after >= 3 * 2880);
        journal_close(reader);
        CHECK_EQ(pwrite(fd, good, size, 0), size);
        CHECK_EQ(ftruncate(fd, (off_t) size), 0);
    }
    (void) close(fd);
    free(good);
    remove_directory();
}

TESTS(test_an_older_segment_that_cannot_be_read_is_passed, test_the_newest_and_the_oldest_are_passed_as_well,
      test_one_damaged_page_costs_its_rows_and_few_more, test_a_row_that_is_none_is_passed,
      test_rows_far_beyond_their_segment_are_passed_at_once,
      test_a_cursor_has_a_gap_where_a_segment_was_set_aside, test_any_damage_is_passed)
