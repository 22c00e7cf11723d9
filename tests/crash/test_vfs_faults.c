// SPDX-License-Identifier: MIT
// link: ms_journal
// sources: tests/crash/faulty_vfs.c tests/crash/ledger.c
//
// Fault 47: each call that SQLite makes to its file layer fails once, or fails from then on for a while, in four ways.
// The writer goes on as app/acquire/writer.c does: it closes the journal, opens it again, and adds what was not
// committed.

#include "tests/crash/faulty_vfs.h"
#include "tests/crash/ledger.h"
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BOOT_A  "aaaaaaaa-0000-4000-8000-000000000001"
#define BOOT_B  "bbbbbbbb-0000-4000-8000-000000000002"
#define HOUR    (3600 * 1000ull)
#define HEAL_AT 3  // failures that a lasting fault causes before it is over
#define TRIES   8

static char base[160], directory[200];

static void remove_files(void)
{
    DIR *stream = opendir(directory);
    const struct dirent *entry;
    char path[512];

    while (stream && (entry = readdir(stream))) {
        snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        (void) unlink(path);
    }
    if (stream) {
        closedir(stream);
    }
    (void) rmdir(directory);
}

struct run {
    struct ledger ledger;
    const char *boot_id;
    enum clock_quality quality;
    unsigned failures;
    bool open;
    const char *what;
};

/* Something failed: it is all to be opened and added again. */
static void stumble(struct run *run)
{
    ledger_close(&run->ledger);
    run->open = false;
    if (++run->failures == HEAL_AT) {
        faulty_vfs_heal();
    }
}

static void commit(struct run *run, unsigned rows, uint64_t boot_ms)
{
    for (unsigned i = 0; i < TRIES; i++) {
        if (!run->open && ledger_open(&run->ledger, directory, run->boot_id, run->quality) != 0) {
            stumble(run);
            continue;
        }
        run->open = true;
        if (rows == 0 && run->ledger.acknowledged == run->ledger.count) {
            return;  // it came through after all
        }
        if (ledger_commit(&run->ledger, rows, boot_ms) == 0) {
            return;
        }
        rows = 0;  // they are in the ledger
        stumble(run);
    }
    fail_msg("%s: no row is committed any more", run->what);
}

static void begin_boot(struct run *run, const char *boot_id, enum clock_quality quality)
{
    ledger_close(&run->ledger);
    run->boot_id = boot_id;
    run->quality = quality;
    run->open = false;
}

static void learn(struct run *run, enum clock_quality quality)
{
    run->quality = quality;
    if (run->open && ledger_add_epoch(&run->ledger, quality) != 0) {
        stumble(run);
    }
}

/* What can be read while it fails is right; that it can be read is not asked. */
static void look(const struct run *run)
{
    struct ledger_view view = { .floor = UINT64_MAX };

    (void) ledger_check(&run->ledger, &view, directory, LEDGER_ANY, run->what);
}

/* Segments begin, are sealed, learn their time late, are pruned and read; two boots. */
static void live(struct run *run)
{
    begin_boot(run, BOOT_A, CLOCK_UNKNOWN);
    commit(run, 3, 1000);
    commit(run, 3, 20 * HOUR);
    look(run);
    commit(run, 4, 25 * HOUR);
    commit(run, 3, 26 * HOUR);
    learn(run, CLOCK_NTP);
    commit(run, 3, 27 * HOUR);
    look(run);
    begin_boot(run, BOOT_A, CLOCK_NTP);
    commit(run, 3, 28 * HOUR);
    commit(run, 2, 53 * HOUR);
    begin_boot(run, BOOT_B, CLOCK_ESTIMATED);
    commit(run, 3, 1000);
    if (run->open && ledger_prune(&run->ledger, directory, 200000) < 0) {
        stumble(run);
    }
    commit(run, 3, 2000);
    look(run);
    ledger_close(&run->ledger);
}

/* Returns how many calls there were. */
static uint64_t try_plan(const struct faulty_vfs_plan *plan, uint64_t number)
{
    struct run run = {};
    struct ledger_view view;
    char what[160];
    uint64_t calls;

    snprintf(what, sizeof(what), "METERSTICK_ONLY=%" PRIu64 ": call %" PRIu64 "%s, variant %u",
             number, plan->at, plan->lasting ? " and on" : "", plan->variant);
    run.what = what;
    ledger_init(&run.ledger, 3, 4);
    faulty_vfs_plan(plan);
    live(&run);
    calls = faulty_vfs_calls();
    snprintf(what + strlen(what), sizeof(what) - strlen(what), " (%s)",
             faulty_vfs_failed() ? faulty_vfs_failed() : "nothing failed");
    faulty_vfs_heal();

    view = (struct ledger_view){ .acknowledged = run.ledger.acknowledged,
                                 .acknowledged_events = run.ledger.acknowledged_events,
                                 .floor = run.ledger.floor };
    if (view.acknowledged != run.ledger.count) {
        fail_msg("%s: only %zu of %zu", what, view.acknowledged, run.ledger.count);
    }
    // A writer first: what failed half way needs one.
    run.what = what;
    begin_boot(&run, BOOT_B, CLOCK_ESTIMATED);
    commit(&run, 1, 3000);
    ledger_close(&run.ledger);
    view.acknowledged = run.ledger.acknowledged;
    view.acknowledged_events = run.ledger.acknowledged_events;
    (void) ledger_check(&run.ledger, &view, directory, LEDGER_NONE, what);
    ledger_check_integrity(directory, what);
    ledger_clear(&run.ledger);
    remove_files();
    return calls;
}

/* All calls times once and lasting times the variants, or some of them by chance. */
static void test_each_call_of_the_file_layer_fails(void)
{
    static const struct faulty_vfs_plan none;
    const char *only = getenv("METERSTICK_ONLY"), *seed_text = getenv("METERSTICK_SEED");
    unsigned seed =
        seed_text && *seed_text ? (unsigned) strtoul(seed_text, NULL, 10) : (unsigned) time(NULL);
    uint64_t calls, all, count;

    faulty_vfs_install();
    snprintf(base, sizeof(base), "%s/test-vfs-XXXXXX", TEST_BINARY_DIR);
    CHECK(mkdtemp(base));
    snprintf(directory, sizeof(directory), "%s/journal", base);
    calls = try_plan(&none, 0);
    all = calls * 2 * FAULTY_VFS_VARIANTS;
    count = only ? 1 : test_share(all);
    printf("METERSTICK_SEED=%u; %" PRIu64 " calls\n", seed, calls);
    srandom(seed);

    for (uint64_t i = 0; i < count; i++) {
        // every count-th, from a start by chance
        uint64_t number =
            only ? strtoull(only, NULL, 10) : i * all / count + (uint64_t) random() % (all / count);

        (void) try_plan(
            &(struct faulty_vfs_plan){ .at = number / (2 * FAULTY_VFS_VARIANTS) + 1,
                                       .lasting = number % 2,
                                       .variant = (unsigned) (number / 2 % FAULTY_VFS_VARIANTS) },
            number);
    }
    printf("\nfigure: faults of SQLite's file layer: %" PRIu64 " of %" PRIu64 " (%" PRIu64
           " calls, once and lasting, %u "
           "ways), 0 rows lost, doubled or wrong\n",
           count, all, calls, FAULTY_VFS_VARIANTS);
    CHECK_EQ(rmdir(base), 0);
}

TESTS(test_each_call_of_the_file_layer_fails)
