// SPDX-License-Identifier: MIT
// link: ms_journal

/*
 * Readers that may write neither the directory nor a file of it: the other programs' users have no more than their
 * group's right to read. As root they are nobody. Who runs this as another user is told that it proves less.
 */

#include "tests/journal_bed.h"

#include "app/journal/journal.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define NOBODY 65534
#define HOUR   (3600 * 1000ull)

/* What the two processes tell each other. */
struct board {
    _Atomic uint64_t acknowledged;  // highest seq that a commit has acknowledged
    _Atomic uint64_t seen;          // by the reader
    _Atomic bool done;              // the writer will commit no more
};

static struct board *board;

static void begin(void)
{
    // Not beside the programs: they may stand in a home that nobody may look into.
    snprintf(state_dir, sizeof(state_dir), "%s/meterstick-test-XXXXXX", P_tmpdir);
    CHECK(mkdtemp(state_dir));
    snprintf(directory, sizeof(directory), "%s/journal", state_dir);
    // What comes to be in it belongs to the group, which may read.
    CHECK_EQ(chown(state_dir, (uid_t) -1, getuid() == 0 ? NOBODY : (gid_t) -1), 0);
    CHECK_EQ(chmod(state_dir, 02750), 0);
    if (getuid() != 0) {
        printf("not root: the readers might write, and do not\n");
    }
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(board != MAP_FAILED);
}

static void end(void)
{
    CHECK_EQ(munmap(board, sizeof(*board)), 0);
    remove_directory();
}

static bool become_nobody(void)
{
    if (getuid() != 0) {
        return true;
    }

    return setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0 && access(directory, W_OK) != 0;
}

/* Rows in order, none twice, none missing, until all are there. Exits 0; 2: told to ask again for 3 s without end. */
static void read_all(bool patient)
{
    struct journal_row *rows = calloc(64, sizeof(*rows));
    struct journal *reader = NULL;
    unsigned again = 0;
    uint64_t after = 0;

    alarm(120);
    if (!become_nobody()) {
        _exit(90);
    }
    for (;;) {
        const bool done = board->done;
        const uint64_t acknowledged = board->acknowledged;
        int n = reader ? 0 : journal_open_read(directory, &reader);

        n = n < 0 ? n : journal_read(reader, after, NULL, rows, 64);
        if (n == -ENOENT && done && acknowledged == 0) {
            _exit(0);  // killed before there was anything
        }
        if (n == -EAGAIN || (n == -ENOENT && !done)) {
            if (++again == 300 && !patient) {
                _exit(2);
            }
            usleep(10000);
            continue;
        }
        if (n < 0) {
            fprintf(stderr, "after %llu: %s\n", (unsigned long long) after, strerror(-n));
            _exit(91);
        }
        again = 0;
        for (int i = 0; i < n; i++) {
            if (rows[i].seq != after + 1) {
                fprintf(stderr, "%llu after %llu\n", (unsigned long long) rows[i].seq, (unsigned long long) after);
                _exit(92);
            }
            after = rows[i].seq;
        }
        board->seen = after;
        if (n == 0 && done) {
            _exit(after >= acknowledged ? 0 : 93);
        }
        usleep(n == 0 ? 1000 : 0);
    }
}

static pid_t start_reader(bool patient)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        read_all(patient);
    }
    return pid;
}

static int result_of(pid_t pid)
{
    int status;

    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void write_rows(struct journal *writer, const struct epoch *epoch, uint64_t *boot_ms, unsigned commits,
                       unsigned pause_us)
{
    const int64_t meter = add_kitchen(writer);

    for (unsigned i = 0; i < commits; i++) {
        uint64_t seq = 0;

        for (int j = 0; j < 7; j++) {
            seq = add_row(writer, epoch, meter, *boot_ms += HOUR, 0.5);
        }
        CHECK_EQ(journal_commit(writer, *boot_ms), 0);
        board->acknowledged = seq;
        usleep(pause_us);
    }
}

static void test_they_read_while_it_is_written_and_segments_change(void)
{
    struct journal *writer;
    struct epoch epoch;
    uint64_t boot_ms = 0;
    pid_t pid;

    begin();
    pid = start_reader(true);  // there is no journal yet
    usleep(50000);
    writer = open_writer(BOOT_A, CLOCK_UNKNOWN, &epoch);
    for (int i = 0; i < 8; i++) {
        struct epoch known = epoch;

        // Eight commits are two or three segments; a known clock is written into all of the boot, sealed or not.
        write_rows(writer, &epoch, &boot_ms, 8, 5000);
        known.source = CLOCK_NTP;
        CHECK_EQ(journal_add_epoch(writer, &known), 0);
    }
    CHECK_EQ(journal_commit(writer, boot_ms), 0);
    board->done = true;
    CHECK_EQ(result_of(pid), 0);
    CHECK_EQ(board->seen, 8 * 8 * 7);

    // It is there, has nothing open and does not write.
    CHECK_EQ(result_of(start_reader(false)), 0);
    journal_close(writer);
    CHECK_EQ(result_of(start_reader(false)), 0);
    end();
}

static void test_they_read_what_a_stopped_writer_left(void)
{
    struct epoch epoch;
    uint64_t boot_ms = 0;

    begin();
    for (int i = 0; i < 5; i++) {
        struct journal *writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);

        write_rows(writer, &epoch, &boot_ms, 2, 0);
        journal_close(writer);
        board->done = true;
        CHECK_EQ(result_of(start_reader(false)), 0);
        CHECK_EQ(board->seen, board->acknowledged);
    }
    end();
}

/* Killed between the header of its log and the first frame: SQLite itself would look at it for ten seconds a call. */
static void test_a_log_that_was_just_begun_is_in_nobodys_way(void)
{
    struct journal *writer;
    struct epoch epoch;
    uint64_t boot_ms = 0, begin_s;
    char path[512];
    pid_t pid;

    begin();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    write_rows(writer, &epoch, &boot_ms, 1, 0);
    journal_close(writer);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
        write_rows(writer, &epoch, &boot_ms, 1, 0);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    snprintf(path, sizeof(path), "%s/0000000000000001.db-wal", directory);
    CHECK_EQ(truncate(path, 32), 0);
    snprintf(path, sizeof(path), "%s/0000000000000001.db-shm", directory);
    CHECK_EQ(truncate(path, 0), 0);  // which would know of more
    board->acknowledged = 7;
    board->done = true;
    begin_s = (uint64_t) time(NULL);
    CHECK_EQ(result_of(start_reader(false)), 0);
    CHECK_EQ(board->seen, 7);
    CHECK((uint64_t) time(NULL) - begin_s <= 5);

    // What a writer adds to it later is seen.
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    write_rows(writer, &epoch, &boot_ms, 1, 0);
    CHECK_EQ(result_of(start_reader(false)), 0);
    CHECK_EQ(board->seen, 14);
    journal_close(writer);
    end();
}

/*
 * A hot log is read as it is. Only one that was killed while it wrote an older segment leaves one that needs a writer:
 * it is asked again until there is one.
 */
static void test_they_read_what_a_killed_writer_left(void)
{
    const char *seed_text = getenv("METERSTICK_SEED");
    unsigned seed = seed_text && *seed_text ? (unsigned) strtoul(seed_text, NULL, 10) : (unsigned) time(NULL);
    unsigned again = 0, rounds = (unsigned) test_share(1000);
    struct journal *writer = NULL;

    printf("METERSTICK_SEED=%u\n", seed);
    srandom(seed);
    begin();
    for (unsigned i = 0; i < rounds; i++) {
        pid_t pid = fork();
        int r;

        CHECK(pid >= 0);
        if (pid == 0) {
            struct epoch epoch;
            uint64_t boot_ms = board->acknowledged * HOUR;

            writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
            write_rows(writer, &epoch, &boot_ms, 100000, 0);
            _exit(0);
        }
        usleep(20000 + (useconds_t) random() % 60000);
        CHECK_EQ(kill(pid, SIGKILL), 0);
        CHECK_EQ(waitpid(pid, NULL, 0), pid);

        board->done = true;
        r = result_of(start_reader(false));
        if (r == 2) {
            again++;
            CHECK_EQ(journal_open(directory, false, &writer), 0);
            journal_close(writer);
            r = result_of(start_reader(false));
        }
        CHECK_EQ(r, 0);
    }
    printf("%u of %u waited for the next writer\n", again, rounds);
    end();
}

TESTS(test_they_read_while_it_is_written_and_segments_change, test_they_read_what_a_stopped_writer_left,
      test_a_log_that_was_just_begun_is_in_nobodys_way, test_they_read_what_a_killed_writer_left)
