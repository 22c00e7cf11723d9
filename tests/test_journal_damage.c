// SPDX-License-Identifier: MIT
// link: ms_journal -Wl,--wrap=clock_boot_ms
//
// Faults 48, 49, 52: the newest segment is damaged. It is set aside, and logging goes on far above it.

#include "tests/journal_bed.h"

#include "app/base/file.h"
#include "app/journal/database.h"
#include "app/journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#define BAD_ROWS (1ull << 24)  // DESIGN section 4
#define ROWS     2000          // in the segment that is damaged: some pages

/* When the event "damaged" happens: how long this machine has been up must not decide where the segments end. */
uint64_t __wrap_clock_boot_ms(void);
uint64_t __wrap_clock_boot_ms(void)
{
    return 1500;
}

static void write_at(const char *path, off_t offset, size_t size, int byte)
{
    auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    char *bytes = malloc(size);

    CHECK(fd >= 0 && bytes);
    memset(bytes, byte, size);
    CHECK_EQ(pwrite(fd, bytes, size, offset), size);
    free(bytes);
}

static size_t size_of(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 ? (size_t) status.st_size : 0;
}

static void zero_the_header(const char *path)
{
    write_at(path, 0, 100, 0);
}

static void overwrite_the_schema(const char *path)
{
    write_at(path, 100, 3000, 0x5a);
}

static void overwrite_a_page_in_the_middle(const char *path)
{
    CHECK(size_of(path) > 10 * 4096);
    write_at(path, (off_t) (size_of(path) / 8192 * 4096), 4096, 0xa5);
}

static void overwrite_the_end(const char *path)
{
    write_at(path, (off_t) size_of(path) - 4096, 4096, 0xff);
}

static void overwrite_all_but_the_header(const char *path)
{
    write_at(path, 100, size_of(path) - 100, 0x37);
}

static void cut_in_half(const char *path)
{
    CHECK_EQ(truncate(path, (off_t) size_of(path) / 2), 0);
}

static void cut_in_the_header(const char *path)
{
    CHECK_EQ(truncate(path, 60), 0);
}

static void empty(const char *path)
{
    CHECK_EQ(truncate(path, 0), 0);
}

static void put_text_there(const char *path)
{
    CHECK_EQ(file_replace(path, "not a database at all\n", 22, 0640, false), 0);
}

static void put_a_directory_there(const char *path)
{
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(mkdir(path, 0750), 0);
}

static void change(const char *path, const char *sql)
{
    struct database *database = NULL;

    CHECK_EQ(database_open(path, DATABASE_WRITE, &database), 0);
    CHECK_EQ(database_run(database, sql), 0);
    database_close(database);
}

static void make_it_of_a_newer_version(const char *path)
{
    change(path, "PRAGMA user_version=2");
}

static void break_a_layout(const char *path)
{
    change(path, "UPDATE meter SET layout='[{\"quantity\":'");
}

static void leap_ahead(const char *path)
{
    change(path, "UPDATE sample SET seq=1152921504606846976 WHERE seq=(SELECT max(seq) FROM sample)");
}

static void drop_a_table(const char *path)
{
    change(path, "DROP TABLE event");
}

static const struct {
    const char *name;
    void (*damage)(const char *path);
} damages[] = {
    { "a page at the end", overwrite_the_end },
    { "a page in the middle", overwrite_a_page_in_the_middle },
    { "all but the header", overwrite_all_but_the_header },
    { "a layout that is none", break_a_layout },
    { "a directory", put_a_directory_there },
    { "a table that is gone", drop_a_table },
    { "a seq that no boot comes to", leap_ahead },
    { "a text", put_text_there },
    { "cut in half", cut_in_half },
    { "cut in the header", cut_in_the_header },
    { "empty", empty },
    { "of a newer version", make_it_of_a_newer_version },
    { "the header zeroed", zero_the_header },
    { "the schema", overwrite_the_schema },
};

static void add_rows(struct journal *writer, const struct epoch *epoch, int64_t meter, uint64_t boot_ms, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        add_row(writer, epoch, meter, boot_ms, i);
    }
    CHECK_EQ(journal_commit(writer, boot_ms), 0);
}

/* One segment, in its file or, killed, in its log. */
static void write_segment(bool killed)
{
    struct journal *writer;
    struct epoch epoch;
    int status;
    pid_t pid;

    make_directory();
    if (!killed) {
        writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
        add_rows(writer, &epoch, add_kitchen(writer), 1000, ROWS);
        journal_close(writer);
        return;
    }

    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
        add_rows(writer, &epoch, add_kitchen(writer), 1000, ROWS);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

static const char *path_of(const char *name, char path[static 512])
{
    snprintf(path, 512, "%s/%s", directory, name);
    return path;
}

static bool is_there(const char *name)
{
    struct stat status;
    char path[512];

    return stat(path_of(name, path), &status) == 0;
}

/* What happened is said once, in the first event after it. */
static void check_event(struct journal *reader, const char *text)
{
    struct journal_event events[8];

    CHECK_EQ(journal_events(reader, 0, events, 8), 1);
    CHECK_STR(events[0].code, "damaged");
    CHECK_HAS(events[0].text, "0000000000000001.db");
    CHECK_HAS(events[0].text, text);
    CHECK(events[0].id > (int64_t) BAD_ROWS);
}

static void test_a_damaged_segment_is_set_aside_and_logging_goes_on_far_above_it(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
        struct journal *writer, *reader = NULL;
        struct journal_row rows[4];
        struct epoch epoch;
        size_t size;
        int64_t meter;
        char path[512];

        printf("%s\n", damages[i].name);
        write_segment(false);
        damages[i].damage(segment_path(1, path));
        size = size_of(path);

        writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
        CHECK(epoch.number > (int64_t) BAD_ROWS);
        meter = add_kitchen(writer);
        CHECK(meter > (int64_t) BAD_ROWS);  // another one may have been called 1
        CHECK_EQ(add_row(writer, &epoch, meter, 2000, 7), 1 + BAD_ROWS);
        CHECK_EQ(journal_commit(writer, 2000), 0);
        CHECK(!is_there("0000000000000001.db"));
        CHECK(!is_there("0000000000000001.db-wal"));
        CHECK(is_there("0000000000000001.db.bad"));
        CHECK_EQ(size_of(path_of("0000000000000001.db.bad", path)), size);
        CHECK(is_there("0000000016777217.db"));

        CHECK_EQ(journal_open_read(directory, &reader), 0);
        CHECK_EQ(journal_read(reader, 0, NULL, rows, 4), 1);
        CHECK_EQ(rows[0].seq, 1 + BAD_ROWS);
        check_event(reader, "damaged");
        journal_close(reader);
        journal_close(writer);

        // Once is enough.
        writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
        CHECK_EQ(add_kitchen(writer), meter);
        CHECK_EQ(add_row(writer, &epoch, meter, 2000, 7), 2 + BAD_ROWS);
        journal_close(writer);
        remove_directory();
    }
}

static void test_meters_and_id_are_those_of_the_segment_before(void)
{
    struct journal *writer, *reader = NULL;
    struct epoch epoch;
    struct journal_row rows[64];
    char id[JOURNAL_ID_SIZE], path[512];
    int64_t meter;

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    snprintf(id, sizeof(id), "%s", journal_id(writer));
    meter = add_kitchen(writer);
    write_three_days(writer, &epoch, meter);
    journal_close(writer);
    zero_the_header(segment_path(51, path));
    CHECK_EQ(unlink(path_of("id", path)), 0);

    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    CHECK_STR(journal_id(writer), id);
    CHECK_EQ(add_kitchen(writer), meter);
    CHECK_EQ(add_row(writer, &epoch, meter, 4 * DAY, 1), 51 + BAD_ROWS);
    CHECK_EQ(journal_commit(writer, 4 * DAY), 0);
    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_read(reader, 0, NULL, rows, 64), 51);
    CHECK_EQ(rows[49].seq, 50);
    CHECK_EQ(rows[50].seq, 51 + BAD_ROWS);
    journal_close(reader);
    journal_close(writer);
    remove_directory();
}

static void test_a_writer_killed_between_setting_aside_and_going_on_says_the_same(void)
{
    static const struct {
        const char *boot_id;
        bool forget_boot;
        uint64_t expect;
    } cases[] = {
        { BOOT_A, false, 1 + BAD_ROWS },
        { BOOT_A, true, BLOCK },  // whose rows may be elsewhere: as if it were another boot
        { BOOT_B, false, BLOCK },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct journal *writer, *reader = NULL;
        struct epoch epoch;
        char path[512], bad_path[512];

        write_segment(true);
        // The rename of the file was all that happened: its log follows.
        segment_path(1, path);
        CHECK_EQ(rename(path, path_of("0000000000000001.db.bad", bad_path)), 0);
        if (cases[i].forget_boot) {
            CHECK_EQ(unlink(path_of("boot", path)), 0);
        }
        writer = open_writer(cases[i].boot_id, CLOCK_NTP, &epoch);
        CHECK_EQ(add_row(writer, &epoch, add_kitchen(writer), 2000, 7), cases[i].expect);
        CHECK_EQ(journal_commit(writer, 2000), 0);
        CHECK(is_there("0000000000000001.db.bad-wal"));
        CHECK_EQ(journal_open_read(directory, &reader), 0);
        check_event(reader, "damaged");
        journal_close(reader);
        journal_close(writer);

        // What was set aside is all there for SQLite's own tools.
        {
            struct database *database = NULL;
            int64_t count = 0;

            CHECK_EQ(database_open(path_of("0000000000000001.db.bad", path), DATABASE_WRITE, &database), 0);
            CHECK_EQ(database_number(database, "SELECT count(*) FROM sample", &count), 1);
            CHECK_EQ(count, ROWS);
            database_close(database);
        }
        remove_directory();
    }
}

static void test_rows_that_were_in_a_damaged_log_are_lost_alone(void)
{
    enum { NONSENSE, GONE, A_DIRECTORY } how;

    for (how = NONSENSE; how <= A_DIRECTORY; how++) {
        struct journal *writer, *reader = NULL;
        struct journal_row rows[4];
        struct epoch epoch;
        char path[512], log[512];

        // ROWS in the file, one more in the log
        write_segment(false);
        {
            pid_t pid = fork();

            CHECK(pid >= 0);
            if (pid == 0) {
                writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
                add_rows(writer, &epoch, add_kitchen(writer), 1500, 1);
                _exit(0);
            }
            CHECK_EQ(waitpid(pid, NULL, 0), pid);
        }
        path_of("0000000000000001.db-wal", log);
        CHECK(size_of(log) > 1024);
        if (how == NONSENSE) {
            write_at(log, 0, size_of(log), 0x66);
        } else {
            CHECK_EQ(unlink(log), 0);
        }
        if (how == A_DIRECTORY) {
            CHECK_EQ(mkdir(log, 0750), 0);
        }

        writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
        CHECK_EQ(add_row(writer, &epoch, add_kitchen(writer), 2000, 7), 1 + BAD_ROWS);
        CHECK_EQ(journal_commit(writer, 2000), 0);
        CHECK(is_there("0000000000000001.db"));
        CHECK_EQ(is_there("0000000000000001.db-wal.bad"), how != GONE);
        CHECK_EQ(journal_open_read(directory, &reader), 0);
        CHECK_EQ(journal_read(reader, ROWS - 1, NULL, rows, 4), 2);
        CHECK_EQ(rows[0].seq, ROWS);
        CHECK_EQ(rows[1].seq, 1 + BAD_ROWS);
        check_event(reader, "log");
        journal_close(reader);
        journal_close(writer);
        CHECK_EQ(size_of(segment_path(1, path)) > 0, true);
        remove_directory();
    }
}

/* A power cut leaves such: nothing that was acknowledged was in them. */
static void test_an_empty_log_is_no_damage(void)
{
    for (int zeroes = 0; zeroes < 2; zeroes++) {
        struct journal *writer;
        struct epoch epoch;
        char log[512];

        write_segment(false);
        path_of("0000000000000001.db-wal", log);
        CHECK(is_there("0000000000000001.db-wal"));
        CHECK_EQ(truncate(log, 0), 0);
        CHECK_EQ(truncate(log, zeroes ? 8192 : 0), 0);
        writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
        CHECK_EQ(add_row(writer, &epoch, add_kitchen(writer), 2000, 7), ROWS + 1);
        journal_close(writer);
        CHECK(!is_there("0000000000000001.db-wal.bad"));
        remove_directory();
    }
}

static void test_a_segment_that_turns_out_to_be_damaged_in_use_is_set_aside_when_it_is_closed(void)
{
    struct layout layout = layout_of("current", "A", NULL, NULL);
    struct journal *writer;
    struct epoch epoch;
    char path[512];
    int64_t meter;

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    meter = add_kitchen(writer);
    for (unsigned i = 0; i < 3; i++) {
        add_rows(writer, &epoch, meter, 1000, ROWS);  // what was read at first is no longer in memory
    }
    segment_path(1, path);
    write_at(path, 4096, size_of(path) - 4096, 0x5a);
    path_of("0000000000000001.db-wal", path);
    write_at(path, 32, size_of(path) - 32, 0x5a);

    CHECK_EQ(journal_add_meter(writer, "hall", "schneider-iem2150", &layout, &meter), -EBADMSG);
    journal_close(writer);
    CHECK(is_there("0000000000000001.db.bad"));
    CHECK(is_there("0000000000000001.db.bad-wal"));
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    CHECK_EQ(add_row(writer, &epoch, add_kitchen(writer), 2000, 7), 1 + BAD_ROWS);
    CHECK_EQ(journal_commit(writer, 2000), 0);
    journal_close(writer);
    remove_directory();
}

static int64_t add_event(struct journal *journal, const struct epoch *epoch)
{
    auto_database struct database *database = NULL;
    char path[512];
    int64_t id = 0;

    CHECK_EQ(journal_add_event(journal, epoch->number, 1000, "boot", "a boot"), 0);
    CHECK_EQ(journal_commit(journal, 1000), 0);
    CHECK_EQ(database_open(segment_path(BLOCK * (epoch->boot_id[0] - 'a'), path), DATABASE_READ, &database), 0);
    CHECK_EQ(database_number(database, "SELECT max(id) FROM event", &id), 1);
    return id;
}

/* What a segment gave is not known where it cannot be read: whoever follows events by id must miss none. */
static void test_no_event_id_is_given_twice(void)
{
    for (int newest = 0; newest < 2; newest++) {
        struct journal *writer;
        struct epoch epoch;
        char path[512];

        make_directory();
        writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
        add_row(writer, &epoch, add_kitchen(writer), 1000, 1);
        CHECK_EQ(journal_commit(writer, 1000), 0);
        journal_close(writer);
        writer = open_writer(BOOT_B, CLOCK_NTP, &epoch);
        CHECK_EQ(add_event(writer, &epoch), 1);
        journal_close(writer);
        if (!newest) {
            writer = open_writer(BOOT_C, CLOCK_NTP, &epoch);
            add_row(writer, &epoch, add_kitchen(writer), 1000, 1);
            CHECK_EQ(journal_commit(writer, 1000), 0);
            journal_close(writer);
        }
        zero_the_header(segment_path(BLOCK, path));

        writer = open_writer(BOOT_C, CLOCK_NTP, &epoch);
        CHECK(add_event(writer, &epoch) > (int64_t) BAD_ROWS);
        journal_close(writer);
        remove_directory();
    }
}

static void test_what_was_set_aside_goes_with_its_neighbours(void)
{
    struct journal *writer;
    struct epoch epoch;
    char path[512];
    int64_t meter;

    write_segment(false);
    zero_the_header(segment_path(1, path));
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    meter = add_kitchen(writer);
    for (uint64_t i = 0; i < 120; i++) {  // every 2 h, ten days
        add_row(writer, &epoch, meter, i * DAY / 12, 1);
        CHECK_EQ(journal_commit(writer, i * DAY / 12), 0);
    }
    CHECK_EQ(journal_prune(writer, 400, 0), 0);
    CHECK(is_there("0000000000000001.db.bad"));
    CHECK_EQ(journal_prune(writer, 7, 0), 3);
    CHECK(!is_there("0000000000000001.db.bad"));
    CHECK(!is_there("0000000016777217.db"));
    journal_close(writer);
    remove_directory();

    // A budget counts its bytes.
    write_segment(false);
    zero_the_header(segment_path(1, path));
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    add_rows(writer, &epoch, add_kitchen(writer), 1000, 1);
    CHECK_EQ(journal_prune(writer, 400, 10000000), 0);
    CHECK_EQ(journal_prune(writer, 400, 1), 1);
    CHECK(!is_there("0000000000000001.db.bad"));
    CHECK(is_there("0000000016777217.db"));
    journal_close(writer);
    remove_directory();
}

TESTS(test_a_damaged_segment_is_set_aside_and_logging_goes_on_far_above_it,
      test_meters_and_id_are_those_of_the_segment_before,
      test_a_writer_killed_between_setting_aside_and_going_on_says_the_same,
      test_rows_that_were_in_a_damaged_log_are_lost_alone, test_an_empty_log_is_no_damage,
      test_a_segment_that_turns_out_to_be_damaged_in_use_is_set_aside_when_it_is_closed,
      test_what_was_set_aside_goes_with_its_neighbours, test_no_event_id_is_given_twice)
