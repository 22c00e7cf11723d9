// SPDX-License-Identifier: MIT
// link: ms_journal -rdynamic
// sources: tests/crash/recorder.c tests/crash/recorder_image.c tests/crash/ledger.c
//
// Fault 45: the power is cut at each write of the journal. The real code writes a journal while recorder.c notes each
// call; then images of the card are made for cuts at every operation, in order and not, and the real code recovers.

#include "tests/crash/ledger.h"
#include "tests/crash/recorder.h"
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BOOT_A "aaaaaaaa-0000-4000-8000-000000000001"
#define BOOT_B "bbbbbbbb-0000-4000-8000-000000000002"
#define BOOT_C "cccccccc-0000-4000-8000-000000000003"
#define HOUR   (3600 * 1000ull)

/* Most of the time would go into remembering who allocated what. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "malloc_context_size=2:quarantine_size_mb=4";
}

static char base[160], recorded[200], image_root[200];

/* Remove all below a directory, itself included. */
static void remove_tree(const char *path)
{
    DIR *stream = opendir(path);
    const struct dirent *entry;
    char child[1024];

    while (stream && (entry = readdir(stream))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
        if (unlink(child) < 0) {
            remove_tree(child);
        }
    }
    if (stream) {
        closedir(stream);
    }
    (void) rmdir(path);
}

static void make_directories(void)
{
    snprintf(base, sizeof(base), "%s/test-power-cut-XXXXXX", TEST_BINARY_DIR);
    CHECK(mkdtemp(base));
    snprintf(recorded, sizeof(recorded), "%s/recorded", base);
    snprintf(image_root, sizeof(image_root), "%s/image", base);
    CHECK_EQ(mkdir(recorded, 0750), 0);
}

/* What is true after each step; the recorder's marks are indices into it. */
struct history {
    struct ledger_view *views;
    size_t count;
};

static void remember(struct history *history, const struct ledger *ledger)
{
    history->views = realloc(history->views, (history->count + 1) * sizeof(*history->views));
    CHECK(history->views);
    history->views[history->count] = (struct ledger_view){
        .acknowledged = ledger->acknowledged,
        .acknowledged_events = ledger->acknowledged_events,
        .floor = ledger->floor,
    };
    recorder_mark(history->count++);
}

static void commit(struct history *history, struct ledger *ledger, unsigned rows, uint64_t boot_ms)
{
    CHECK_EQ(ledger_commit(ledger, rows, boot_ms), 0);
    remember(history, ledger);
}

/* What is pruned may be gone from the moment at which pruning begins. */
static void prune(struct history *history, struct ledger *ledger, const char *directory)
{
    size_t before = history->count;

    remember(history, ledger);
    CHECK_EQ(ledger_prune(ledger, directory, 0), 0);
    CHECK(ledger->floor > 1);
    history->views[before].floor = ledger->floor;
    remember(history, ledger);
}

/*
 * 79 meters of 12 values over two boots and three weeks: segments begin and are sealed, the clock becomes known late,
 * so that sealed segments are written once more, and the oldest are pruned.
 */
static void write_plant(struct history *history, struct ledger *ledger, const char *directory)
{
    remember(history, ledger);
    CHECK_EQ(ledger_open(ledger, directory, BOOT_A, CLOCK_UNKNOWN), 0);
    for (unsigned i = 0; i < 6; i++) {
        commit(history, ledger, 79, 1000 + i * 9 * HOUR);
    }
    CHECK_EQ(ledger_add_epoch(ledger, CLOCK_NTP), 0);
    commit(history, ledger, 79, 54 * HOUR);
    ledger_close(ledger);
    CHECK_EQ(ledger_open(ledger, directory, BOOT_A, CLOCK_NTP), 0);  // a restart in the same boot
    for (unsigned i = 0; i < 4; i++) {
        commit(history, ledger, 79, 55 * HOUR + i * 10 * HOUR);
    }
    CHECK_EQ(ledger_open(ledger, directory, BOOT_B, CLOCK_ESTIMATED), 0);
    for (unsigned i = 0; i < 20; i++) {
        commit(history, ledger, i % 4 ? 5 : 79, 500 + i * 25 * HOUR);
    }
    prune(history, ledger, directory);
    commit(history, ledger, 79, 500 * HOUR);
    ledger_close(ledger);
}

/* Rows of a page each, enough for the log to be folded into its segment and begun again. */
static void write_wide(struct history *history, struct ledger *ledger, const char *directory)
{
    remember(history, ledger);
    CHECK_EQ(ledger_open(ledger, directory, BOOT_A, CLOCK_NTP), 0);
    for (unsigned i = 0; i < 170; i++) {
        commit(history, ledger, 6, 1000 + i * 10000);
    }
    ledger_close(ledger);
}

struct tally {
    size_t images, ordered, reordered, in_flight;
};

/* What a power cut leaves is no damage. */
static void check_nothing_is_aside(const char *directory, const char *what)
{
    DIR *stream = opendir(directory);
    const struct dirent *entry;

    CHECK(stream);
    while ((entry = readdir(stream))) {
        const size_t length = strlen(entry->d_name);

        if (length > 4 && strcmp(entry->d_name + length - 4, ".bad") == 0) {
            fail_msg("%s: %s is set aside", what, entry->d_name);
        }
    }
    closedir(stream);
}

/* Open it as after the cut, compare, go on, compare. */
static void check_image(const struct ledger *ledger, const struct ledger_view *view, uint64_t *seed,
                        struct tally *tally, const char *what)
{
    struct ledger after = *ledger;
    struct ledger_view then = *view;
    char directory[256];
    uint64_t last, first_new;

    snprintf(directory, sizeof(directory), "%s/journal", image_root);
    if (recorder_random(seed) % 2) {
        // a reader may come first; it changes nothing
        (void) ledger_check(ledger, view, directory, LEDGER_AGAIN, what);
    }

    // A copy of the ledger goes on: the new rows must be told from all that were given before the cut.
    after.rows = malloc((ledger->count + 2 * ledger->meter_count) * sizeof(*after.rows));
    CHECK(after.rows);
    memcpy(after.rows, ledger->rows, ledger->count * sizeof(*after.rows));
    after.capacity = ledger->count + 2 * ledger->meter_count;
    after.journal = NULL;
    after.acknowledged = after.count;
    after.commits++;
    if (ledger_open(&after, directory, BOOT_C, CLOCK_NTP) != 0) {
        fail_msg("%s: cannot be opened again", what);
    }
    check_nothing_is_aside(directory, what);
    last = ledger_check(ledger, view, directory, LEDGER_NONE, what);
    tally->in_flight += last > 0 && view->acknowledged < ledger->count
                        && last > ledger->rows[view->acknowledged].seq;

    CHECK_EQ(ledger_commit(&after, ledger->meter_count, 600 * HOUR), 0);
    first_new = after.rows[ledger->count].seq;
    if (first_new <= last) {
        fail_msg("%s: seq %" PRIu64 " is given again", what, first_new);
    }
    // All rows that were under way are decided now; those that are not there never will be.
    then.acknowledged_events = 0;
    then.floor = MAX(then.floor, (uint64_t) 1);
    if (ledger_check(&after, &then, directory, LEDGER_NONE, what)
        != first_new + ledger->meter_count - 1) {
        fail_msg("%s: the rows after it are not there", what);
    }
    ledger_check_integrity(directory, what);
    ledger_clear(&after);
}

static void try_image(const struct ledger *ledger, const struct history *history,
                      const struct recorder_image *image, struct tally *tally)
{
    const struct ledger_view *view = &history->views[recorder_marked(image->cut)];
    uint64_t seed = image->seed;
    char what[128];

    snprintf(what, sizeof(what), "cut at %zu of %zu, %s, sectors of %zu, seed %" PRIu64, image->cut,
             recorder_count(), image->reordered ? "reordered" : "ordered", image->sector_size,
             image->seed);
    CHECK_EQ(mkdir(image_root, 0750), 0);
    recorder_build(image, image_root);
    check_image(ledger, view, &seed, tally, what);
    remove_tree(image_root);
    tally->images++;
    *(image->reordered ? &tally->reordered : &tally->ordered) += 1;
}

/* $METERSTICK_SEED repeats a run. */
static uint64_t first_seed(void)
{
    const char *text = getenv("METERSTICK_SEED");
    uint64_t seed = text && *text ? strtoull(text, NULL, 10) : (uint64_t) time(NULL);

    printf("METERSTICK_SEED=%" PRIu64 "\n", seed);
    return seed;
}

/* A quarter of the images is ordered, at cuts spread evenly; the others are reordered, at cuts by chance. */
static void cut_everywhere(void (*write)(struct history *, struct ledger *, const char *),
                           unsigned meters, unsigned values, size_t images, const char *name)
{
    struct history history = {};
    struct tally tally = {};
    struct ledger ledger;
    uint64_t seed = first_seed();
    char directory[256];

    make_directories();
    ledger_init(&ledger, meters, values);
    snprintf(directory, sizeof(directory), "%s/journal", recorded);
    recorder_begin(recorded);
    write(&history, &ledger, directory);
    recorder_end();
    recorder_forget_syncs(true);

    for (size_t i = 0; i < images; i++) {
        size_t ordered = MAX(images / 4, (size_t) 1), count = recorder_count() + 1;
        uint64_t chance = recorder_random(&seed);
        struct recorder_image image = {
            .reordered = i >= ordered,
            .cut = i < ordered
                       ? (i * count / ordered + (ordered < count ? chance % (count / ordered) : 0))
                             % count
                       : chance % count,
            .sector_size = chance >> 40 & 1 ? 512 : 4096,
            .seed = recorder_random(&seed) >> 16,
        };

        try_image(&ledger, &history, &image, &tally);
    }
    printf(
        "\nfigure: power cut, %s: %zu images of %zu operations (%zu ordered, %zu reordered), 0 committed rows lost; "
        "%zu had more than was acknowledged\n",
        name, tally.images, recorder_count(), tally.ordered, tally.reordered, tally.in_flight);

    recorder_forget_syncs(false);
    recorder_clear();
    ledger_clear(&ledger);
    free(history.views);
    remove_tree(base);
}

static void test_no_committed_row_is_lost_by_a_power_cut(void)
{
    cut_everywhere(write_plant, 79, 12, test_share(9000), "79 meters");
}

static void test_nor_while_the_log_is_folded_into_its_segment(void)
{
    cut_everywhere(write_wide, 6, 200, test_share(1000), "full log");
}

TESTS(test_no_committed_row_is_lost_by_a_power_cut,
      test_nor_while_the_log_is_folded_into_its_segment)
