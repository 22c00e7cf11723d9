// SPDX-License-Identifier: MIT
// link: ms_outlet
// sources: tests/stick_device.c

/*
 * A stick that is pulled in the middle of a burst, or whose calls fail: faults 26, 31, 32 and 37 of reliability.md.
 * Whatever was lost of what was not durable, in the end the union of the files equals the journal, and no row stands
 * twice.
 */

#include "tests/stick_bed.h"
#include "tests/stick_device.h"

#include <time.h>

#define YANKS       10000
#define LIFE_YANKS  25
#define METERS_MAX  12
#define CALLS_MAX   120  // a burst of these lives takes fewer
#define ROWS_MAX    40000

static int64_t meters[METERS_MAX];
static unsigned meter_count;
static uint64_t now_ms, row_count;
static uint64_t seqs[ROWS_MAX];   // of all rows, ascending
static uint8_t seen[ROWS_MAX];
static bool with_device_fd;

static uint64_t seed_of_today(void)
{
    const char *text = getenv("METERSTICK_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : (uint64_t) time(NULL);

    printf("METERSTICK_SEED=%llu\n", (unsigned long long) seed);
    return seed;
}

static void add_meters(unsigned count, const char *quantity, const char *unit)
{
    char name[16];

    meter_count = count;
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "m%u", i + 1);
        add_meter(name, "schneider-iem2150", quantity, unit);
        meters[i] = kitchen;
    }
}

/* The value of a row is its number, so that each line can be told right or wrong. */
static void add_slices(unsigned slices)
{
    for (unsigned i = 0; i < slices * meter_count; i++) {
        struct journal_row row = { .epoch = epoch.number, .boot_ms = now_ms, .meter = meters[i % meter_count],
                                   .value_count = 2, .values = { 0, NAN } };

        CHECK(row_count < ROWS_MAX);
        row.values[0] = (double) row_count;
        snprintf(row.quality, sizeof(row.quality), "%cm", (char) epoch.source);
        CHECK_EQ(journal_add_sample(writer, &row, NULL, 0, &seqs[row_count++]), 0);
        now_ms += i % meter_count == meter_count - 1 ? 1000 : 0;
    }
    CHECK_EQ(journal_commit(writer, now_ms), 0);
}

/* A burst up to the end, or to the call that fails. */
static int burst_on(struct stick *stick)
{
    auto_close int root_fd = device_open_root();
    auto_close int device_fd = with_device_fd ? device_open_root() : -1;
    int r;

    while ((r = stick_burst(stick, root_fd, device_fd)) > 0) {
    }
    return r;
}

static void burst_anew(void)
{
    auto_stick struct stick *stick = open_stick();

    CHECK_EQ(burst_on(stick), 0);
}

/* --- what is on the stick --- */

static size_t index_of(uint64_t seq)
{
    size_t low = 0, high = row_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (seqs[middle] < seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    CHECK(low < row_count && seqs[low] == seq);
    return low;
}

/* "...,<value>,,<seq>\r\n" */
static void check_line(const char *path, char *line)
{
    uint64_t seq = csv_line_seq(line, strlen(line));
    char expect[64], *end = line + strlen(line);
    size_t index;

    if (seq == 0) {
        fail_msg("%s: \"%s\" is no row", path, line);
    }
    index = index_of(seq);
    snprintf(expect, sizeof(expect), "m,%llu,,%llu\r", (unsigned long long) index, (unsigned long long) seq);
    if ((size_t) (end - line) < strlen(expect) || strcmp(end - strlen(expect), expect) != 0) {
        fail_msg("%s: \"%s\" does not end with \"%s\"", path, line, expect);
    }
    if (seen[index]++) {
        fail_msg("%s: seq %llu stands twice", path, (unsigned long long) seq);
    }
}

static void check_file(const char *path)
{
    auto_free char *text = NULL;
    char *line, *next;
    size_t size;

    CHECK_EQ(file_read(path, 1 << 20, &text, &size), 0);
    CHECK_EQ(strlen(text), size);  // no NUL
    if (size == 0) {
        fail_msg("%s is empty", path);
    }
    CHECK(text[size - 1] == '\n');
    CHECK(text_starts(text, "utc,local,quality,") || text_starts(text, "boot_s,utc,local,quality,"));
    for (line = strchr(text, '\n') + 1; *line; line = next) {
        next = strchr(line, '\n');
        CHECK(next);
        *next++ = '\0';
        check_line(path, line);
    }
}

static int check_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void) status;
    (void) walk;
    if (kind == FTW_F && text_ends(path, ".csv")) {
        check_file(path);
    }
    return 0;
}

static void check_union(void)
{
    memset(seen, 0, sizeof(seen));
    CHECK_EQ(nftw(stick_dir, check_entry, 16, FTW_PHYS), 0);
    for (uint64_t i = 0; i < row_count; i++) {
        if (!seen[i]) {
            fail_msg("seq %llu is missing in %s", (unsigned long long) seqs[i], stick_dir);
        }
    }
}

/* --- lives --- */

static void begin_life(uint64_t seed)
{
    now_ms = 1000;
    row_count = 0;
    begin(CLOCK_NTP);
    device_plug(stick_dir, seed);
    device_set_openat2(device_random(4) > 0);
    with_device_fd = device_random(2);
    add_meters(1 + (unsigned) device_random(METERS_MAX), "voltage", "V");
    add_slices(1);
}

static void end_life(void)
{
    device_unplug();
    end();
}

static void learn_the_time(void)
{
    char boot_id[40];

    memcpy(boot_id, epoch.boot_id, sizeof(epoch.boot_id));
    begin_boot(boot_id, CLOCK_NTP);
}

/* What happens to the journal between two bursts. */
static void live_on(void)
{
    static const char *const quantities[] = { "voltage", "current" };

    switch (device_random(16)) {
    case 0:
        now_ms += 13 * HOUR;  // another day
        break;
    case 1:
        add_meters(meter_count, quantities[device_random(2)], "V");
        break;
    case 2:
    case 3: {
        char boot_id[40];

        // another boot, which knows its time sooner, later or never
        snprintf(boot_id, sizeof(boot_id), "cccccccc-0000-4000-8000-%012u", (unsigned) device_random(1000000));
        begin_boot(boot_id, device_random(2) ? CLOCK_UNKNOWN : CLOCK_ESTIMATED);
        break;
    }
    case 4:
    case 5:
        learn_the_time();
        break;
    }
    add_slices(1 + (unsigned) device_random(device_random(8) ? 6 : 60));
}

/* Yanks in the middle of bursts until one is got through. Returns how many. */
static unsigned yank_some(unsigned most)
{
    auto_stick struct stick *stick = open_stick();
    unsigned count = 0;
    int r;

    do {
        device_fail_at(count < most ? 1 + device_random(CALLS_MAX) : 0, EIO, true);
        r = burst_on(stick);
        if (!device_has_failed()) {
            CHECK_EQ(r, 0);
            device_fail_at(0, 0, false);
            return count;
        }
        device_settle();
        count++;
        if (device_random(3) == 0) {
            stick_close(stick);  // another program, or another machine
            stick = open_stick();
        }
    } while (r < 0 || count < most);

    return count;
}

static void live(uint64_t seed, unsigned yanks)
{
    unsigned count = 0;

    printf("life %llu\n", (unsigned long long) seed);
    begin_life(seed);
    while (count < yanks) {
        count += yank_some(1 + (unsigned) device_random(8));
        live_on();
    }
    learn_the_time();
    add_slices(1);
    burst_anew();
    burst_anew();
    check_union();
    end_life();
}

static void test_26_pulled_in_mid_burst_nothing_is_lost_or_doubled(void)
{
    uint64_t seed = seed_of_today(), lives = (test_share(YANKS) + LIFE_YANKS - 1) / LIFE_YANKS;

    for (uint64_t i = 0; i < lives; i++) {
        live(seed + i, LIFE_YANKS);
    }
}

/* --- each call once --- */

enum moment { BLANK, APPEND, TIME_LEARNED, MANY_FILES };

static void prepare_moment(enum moment moment)
{
    begin_life(1);
    device_set_openat2(true);
    with_device_fd = moment == MANY_FILES;
    add_meters(moment == MANY_FILES ? 10 : 2, "voltage", "V");
    add_slices(3);
    if (moment == TIME_LEARNED) {
        begin_boot(BOOT_B, CLOCK_UNKNOWN);
        add_slices(2);
        burst_anew();
        begin_boot(BOOT_B, CLOCK_NTP);
    } else if (moment != BLANK) {
        burst_anew();
    }
    add_slices(2);
}

/* Returns whether there was such a call. */
static bool fail_once(enum moment moment, uint64_t n, int error)
{
    struct stick *stick;
    bool failed;
    int r;

    prepare_moment(moment);
    stick = open_stick();
    device_fail_at(n, error, false);
    r = burst_on(stick);
    failed = device_has_failed();
    CHECK(r == 0 || r == -error);
    CHECK(failed || r == 0);
    device_fail_at(0, 0, false);

    // The same program goes on, then another one.
    CHECK_EQ(burst_on(stick), 0);
    add_slices(1);
    CHECK_EQ(burst_on(stick), 0);
    stick_close(stick);
    burst_anew();
    check_union();
    CHECK(!exists("here/m1/2026-11-20-r1.csv"));
    CHECK(!exists("here-2"));
    end_life();
    return failed;
}

/* By day each third call, another one for each error. */
static void fail_each(int error, uint64_t first)
{
    bool all = test_share(100) >= 100;

    for (enum moment moment = BLANK; moment <= MANY_FILES; moment++) {
        uint64_t n = all ? 1 : first;

        while (fail_once(moment, n, error)) {
            n += all ? 1 : 3;
        }
        CHECK(n > 15);
    }
}

static void test_37_an_error_of_each_call_in_turn_is_survived(void)
{
    fail_each(EIO, 1);
}

static void test_32_a_stick_that_becomes_read_only_at_each_call_is_survived(void)
{
    fail_each(EROFS, 2);
}

static void test_31_no_room_at_each_call_leaves_whole_rows(void)
{
    fail_each(ENOSPC, 3);
}

TESTS(test_26_pulled_in_mid_burst_nothing_is_lost_or_doubled, test_37_an_error_of_each_call_in_turn_is_survived,
      test_32_a_stick_that_becomes_read_only_at_each_call_is_survived, test_31_no_room_at_each_call_leaves_whole_rows)
