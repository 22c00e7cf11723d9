/* SPDX-License-Identifier: MIT */
#include "tests/crash/ledger.h"

#include "app/journal/database.h"
#include "app/journal/segment.h"
#include "tests/test.h"

#include <errno.h>

#define BATCH 1024  // at most: each call opens a segment anew
#define WALL_MS 1763000000000

#define EXPECT(condition, ...) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s: ", what); \
            fprintf(stderr, __VA_ARGS__); \
            fail_msg("%s:%d: %s: %s", __FILE__, __LINE__, what, #condition); \
        } \
    } while (0)

void ledger_init(struct ledger *ledger, unsigned meter_count, unsigned value_count)
{
    CHECK(meter_count <= ARRAY_SIZE(ledger->ids));
    *ledger = (struct ledger){ .meter_count = meter_count, .value_count = value_count };
}

void ledger_close(struct ledger *ledger)
{
    journal_close(TAKE(ledger->journal));
}

void ledger_clear(struct ledger *ledger)
{
    ledger_close(ledger);
    free(ledger->rows);
    *ledger = (struct ledger){};
}

static double value_of(size_t serial, unsigned index)
{
    return index == 0 ? (double) serial : (double) serial * 1.37 + index * 17.013;
}

static const char *meter_name(unsigned meter, char buffer[static 16])
{
    snprintf(buffer, 16, "m%02u", meter);
    return buffer;
}

static int add_meters(struct ledger *ledger)
{
    struct layout *layout = calloc(1, sizeof(*layout));
    char name[16];
    int r = 0;

    CHECK(layout);
    layout->count = ledger->value_count;
    for (unsigned i = 0; i < ledger->value_count; i++) {
        snprintf(layout->columns[i].name, QUANTITY_NAME_SIZE, "voltage_%u", i);
        snprintf(layout->columns[i].unit, UNIT_SIZE, "V");
    }
    for (unsigned i = 0; r == 0 && i < ledger->meter_count; i++) {
        r = journal_add_meter(ledger->journal, meter_name(i, name), "schneider-iem2150", layout,
                              &ledger->ids[i]);
    }
    free(layout);
    return r;
}

int ledger_add_epoch(struct ledger *ledger, enum clock_quality quality)
{
    struct epoch epoch = ledger->epoch;
    int r;

    epoch.source = quality;
    r = journal_add_epoch(ledger->journal, &epoch);
    if (r == 0) {
        ledger->epoch = epoch;
    }
    return r;
}

static void acknowledge(struct ledger *ledger)
{
    ledger->acknowledged = ledger->count;
    ledger->acknowledged_events++;
    ledger->commits++;
    ledger->attempted = 0;
}

/* What failed may have come through after all: then it is not given again. */
static void settle_attempt(struct ledger *ledger)
{
    if (ledger->attempted != 0 && journal_last_seq(ledger->journal) >= ledger->attempted) {
        acknowledge(ledger);
    }
    ledger->attempted = 0;
    for (size_t serial = ledger->acknowledged; serial < ledger->count; serial++) {
        ledger->rows[serial].seq = 0;
    }
}

int ledger_open(struct ledger *ledger, const char *directory, const char *boot_id,
                enum clock_quality quality)
{
    int r;

    ledger_close(ledger);
    r = journal_open(directory, false, &ledger->journal);
    if (r < 0) {
        return r;
    }
    settle_attempt(ledger);
    ledger->epoch = (struct epoch){ .wall_ms = WALL_MS };
    snprintf(ledger->epoch.boot_id, sizeof(ledger->epoch.boot_id), "%s", boot_id);
    r = ledger_add_epoch(ledger, quality);
    return r < 0 ? r : add_meters(ledger);
}

static struct ledger_row *new_row(struct ledger *ledger)
{
    if (ledger->count == ledger->capacity) {
        ledger->capacity = ledger->capacity * 2 + 256;
        ledger->rows = realloc(ledger->rows, ledger->capacity * sizeof(*ledger->rows));
        CHECK(ledger->rows);
    }
    ledger->rows[ledger->count] = (struct ledger_row){};
    return &ledger->rows[ledger->count++];
}

static int add_row(struct ledger *ledger, size_t serial)
{
    struct ledger_row *its = &ledger->rows[serial];
    struct journal_row *row = calloc(1, sizeof(*row));
    int r;

    CHECK(row);
    its->epoch = ledger->epoch.number;
    its->quality = ledger->epoch.source;
    its->commit = ledger->commits;
    row->epoch = its->epoch;
    row->boot_ms = its->boot_ms;
    row->meter = ledger->ids[its->meter];
    row->quality[0] = (char) its->quality;
    row->value_count = ledger->value_count;
    for (unsigned i = 0; i < ledger->value_count; i++) {
        row->values[i] = value_of(serial, i);
    }
    r = journal_add_sample(ledger->journal, row, NULL, 0, &its->seq);
    free(row);
    return r;
}

int ledger_commit(struct ledger *ledger, unsigned rows, uint64_t boot_ms)
{
    char text[32];
    int r = 0;

    for (unsigned i = 0; i < rows; i++) {
        struct ledger_row *row = new_row(ledger);

        row->meter = (unsigned) ((ledger->count - 1) % ledger->meter_count);
        row->boot_ms = boot_ms;
    }
    ledger->attempted = 0;
    for (size_t serial = ledger->acknowledged; r == 0 && serial < ledger->count; serial++) {
        r = add_row(ledger, serial);
    }
    if (r == 0) {
        snprintf(text, sizeof(text), "e%u", ledger->acknowledged_events);
        r = journal_add_event(ledger->journal, ledger->epoch.number, boot_ms, "test", text);
    }
    if (r == 0) {
        ledger->attempted = ledger->count > 0 ? ledger->rows[ledger->count - 1].seq : 0;
        r = journal_commit(ledger->journal, boot_ms);
    }
    if (r == 0) {
        acknowledge(ledger);
    }
    return r;
}

int ledger_prune(struct ledger *ledger, const char *directory, uint64_t budget_bytes)
{
    struct segments segments = {};
    int r;

    r = journal_prune(ledger->journal, 7, budget_bytes);
    if (segments_read(&segments, directory) == 0 && segments.count > 0) {
        ledger->floor = MAX(ledger->floor, segments.first[0]);
    }
    segments_clear(&segments);
    return r < 0 ? r : 0;
}

/* --- reading it back --- */

struct checking {
    const struct ledger *ledger;
    const char *what;
    enum ledger_patience patience;
    struct journal *journal;
    uint8_t *seen;      // [serial]
    bool *meters_seen;  // [meter]
    uint64_t last_seq;
};

static bool is_no_answer(enum ledger_patience patience, int r)
{
    return r < 0 && (patience == LEDGER_ANY || (patience == LEDGER_AGAIN && r == -EAGAIN));
}

static void check_values(const struct checking *checking, const struct journal_row *row,
                         size_t serial)
{
    const char *what = checking->what;

    EXPECT(row->value_count == checking->ledger->value_count, "seq %llu has %u values\n",
           (unsigned long long) row->seq, row->value_count);
    for (unsigned i = 0; i < row->value_count; i++) {
        double expected = value_of(serial, i);

        EXPECT(row->values[i] <= expected && row->values[i] >= expected,
               "seq %llu, value %u: %.17g\n", (unsigned long long) row->seq, i, row->values[i]);
    }
}

/* Its meter and epoch are there and are what they were. */
static void check_references(struct checking *checking, const struct journal_row *row,
                             const struct ledger_row *expected)
{
    const char *what = checking->what;
    struct journal_meter *meter;
    struct epoch epoch;
    char name[16];
    int r;

    if (checking->meters_seen[expected->meter]
        || expected->meter % 20 != checking->ledger->count % 20) {
        return;  // once is enough, and of some
    }
    checking->meters_seen[expected->meter] = true;
    meter = calloc(1, sizeof(*meter));
    CHECK(meter);
    r = journal_meter(checking->journal, row->meter, meter);
    if (!is_no_answer(checking->patience, r)) {
        EXPECT(r == 0, "no meter %lld: %d\n", (long long) row->meter, r);
        EXPECT(strcmp(meter->name, meter_name(expected->meter, name)) == 0, "meter %s\n",
               meter->name);
        EXPECT(meter->layout.count == checking->ledger->value_count, "layout of %s\n", meter->name);
    }
    free(meter);
    r = journal_epoch(checking->journal, row->epoch, &epoch);
    if (!is_no_answer(checking->patience, r)) {
        EXPECT(r == 0, "no epoch %lld: %d\n", (long long) row->epoch, r);
        EXPECT(epoch.source == expected->quality, "epoch %lld is %c\n", (long long) row->epoch,
               epoch.source);
    }
}

static void check_row(struct checking *checking, const struct journal_row *row)
{
    const struct ledger *ledger = checking->ledger;
    const char *what = checking->what;
    size_t serial = row->value_count > 0 ? (size_t) row->values[0] : SIZE_MAX;
    const struct ledger_row *expected;

    EXPECT(serial < ledger->count, "seq %llu was never given\n", (unsigned long long) row->seq);
    EXPECT(row->seq > checking->last_seq, "seq %llu after %llu\n", (unsigned long long) row->seq,
           (unsigned long long) checking->last_seq);
    checking->last_seq = row->seq;
    expected = &ledger->rows[serial];
    EXPECT(!checking->seen[serial], "serial %zu is there twice, again as %llu\n", serial,
           (unsigned long long) row->seq);
    checking->seen[serial] = 1;
    if (expected->seq != 0) {
        EXPECT(row->seq == expected->seq, "serial %zu is %llu, not %llu\n", serial,
               (unsigned long long) row->seq, (unsigned long long) expected->seq);
    }
    EXPECT(row->boot_ms == expected->boot_ms && row->quality[0] == (char) expected->quality
               && row->epoch == expected->epoch,
           "serial %zu is not what was written\n", serial);
    check_values(checking, row, serial);
}

static void check_events(struct checking *checking, const struct ledger_view *view)
{
    unsigned batch = MIN((unsigned) BATCH, view->acknowledged_events + 8);
    struct journal_event *events = calloc(batch, sizeof(*events));
    const char *what = checking->what;
    unsigned expected = 0;
    int64_t last = 0;
    int n;

    CHECK(events);
    while ((n = journal_events(checking->journal, last, events, batch)) > 0) {
        for (int i = 0; i < n; i++) {
            unsigned number = (unsigned) strtoul(events[i].text + 1, NULL, 10);

            EXPECT(events[i].id > last, "event %lld after %lld\n", (long long) events[i].id,
                   (long long) last);
            last = events[i].id;
            if (strcmp(events[i].code, "damaged") == 0) {
                continue;  // a log that is gone, and nothing with it
            }
            EXPECT(number >= expected, "event %s comes twice\n", events[i].text);
            EXPECT(number == expected || view->floor > 0, "event e%u is lost\n", expected);
            expected = number + 1;
        }
    }
    if (!is_no_answer(checking->patience, n)) {
        EXPECT(n == 0, "events cannot be read: %d\n", n);
        EXPECT(expected >= view->acknowledged_events, "event e%u is lost\n", expected);
    }
    free(events);
}

/* A commit is there whole or not at all; what was acknowledged is. */
static void check_complete(const struct checking *checking, const struct ledger_view *view)
{
    const struct ledger *ledger = checking->ledger;
    const char *what = checking->what;

    for (size_t serial = 0; serial < ledger->count; serial++) {
        const struct ledger_row *row = &ledger->rows[serial];

        if (serial < view->acknowledged) {
            EXPECT(checking->seen[serial] || row->seq < view->floor,
                   "serial %zu, seq %llu is lost\n", serial, (unsigned long long) row->seq);
        } else if (serial > view->acknowledged && ledger->rows[serial - 1].commit == row->commit) {
            EXPECT(checking->seen[serial] == checking->seen[serial - 1],
                   "commit %u is there in part\n", row->commit);
        }
    }
}

uint64_t ledger_check(const struct ledger *ledger, const struct ledger_view *view,
                      const char *directory, enum ledger_patience patience, const char *what)
{
    struct checking checking = { .ledger = ledger, .what = what, .patience = patience };
    unsigned batch = (unsigned) MIN((size_t) BATCH, ledger->count + 1);
    struct journal_row *rows;
    uint64_t gap;
    int n, r;

    r = journal_open_read(directory, &checking.journal);
    if (r == -ENOENT && view->acknowledged == 0) {
        return 0;
    }
    if (is_no_answer(patience, r)) {
        return 0;
    }
    EXPECT(r == 0, "cannot be opened to read: %d\n", r);
    checking.seen = calloc(ledger->count + 1, 1);
    checking.meters_seen = calloc(ledger->meter_count, sizeof(bool));
    rows = calloc(batch, sizeof(*rows));
    CHECK(checking.seen && checking.meters_seen && rows);

    while ((n = journal_read(checking.journal, checking.last_seq, NULL, rows, batch)) > 0) {
        for (int i = 0; i < n; i++) {
            check_row(&checking, &rows[i]);
            check_references(&checking, &rows[i], &ledger->rows[(size_t) rows[i].values[0]]);
        }
    }
    if (!is_no_answer(patience, n)) {
        EXPECT(n == 0, "cannot be read: %d\n", n);
        // Who is told of damage while calls fail passes rows, and says so; nothing may be missing without a word.
        if (patience != LEDGER_ANY || !journal_take_gap(checking.journal, &gap)) {
            check_complete(&checking, view);
        }
        check_events(&checking, view);
    }

    journal_close(checking.journal);
    free(rows);
    free(checking.seen);
    free(checking.meters_seen);
    return checking.last_seq;
}

void ledger_check_integrity(const char *directory, const char *what)
{
    struct segments segments = {};
    char path[640], name[SEGMENT_NAME_SIZE];

    EXPECT(segments_read(&segments, directory) == 0, "no directory\n");
    EXPECT(segments.bad_count == 0, "%llu is set aside\n", (unsigned long long) segments.bad[0]);
    for (size_t i = 0; i < segments.count; i++) {
        auto_database struct database *database = NULL;
        auto_statement struct statement *statement = NULL;

        snprintf(path, sizeof(path), "%s/%s", directory,
                 segment_name(segments.first[i], ".db", name));
        EXPECT(database_open(path, DATABASE_READ, &database) == 0, "%s\n", path);
        EXPECT(statement_new(database, "PRAGMA integrity_check", &statement) == 0, "%s\n", path);
        EXPECT(statement_step(statement) == 1, "%s\n", path);
        EXPECT(strcmp(statement_text(statement, 0), "ok") == 0, "%s: %s\n", path,
               statement_text(statement, 0));
    }
    segments_clear(&segments);
}
