/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What was given to a journal, what of it was acknowledged, and whether a journal still has exactly that.
 *
 * Each row has a serial number of its own, from which all its values follow, so that a row that is lost, doubled,
 * changed or under another meter is seen. The writer here behaves as app/acquire/writer.c does: after an error it opens
 * the journal again, and everything since the last commit is given once more, unless the journal then has it: a commit
 * whose sync failed may have come through.
 */

#include "app/journal/journal.h"

struct ledger_row {
    uint64_t seq;  // 0: not given, or taken back
    uint64_t boot_ms;
    int64_t epoch;
    unsigned meter;
    unsigned commit;  // rows of one commit come together or not at all
    enum clock_quality quality;
};

struct ledger {
    unsigned meter_count, value_count;  // of each row
    struct ledger_row *rows;            // [serial]
    size_t count, capacity;
    size_t acknowledged;  // serials below it are committed
    uint64_t attempted;   // the last seq of a commit that failed; 0: none did
    unsigned commits;
    unsigned events, acknowledged_events;
    uint64_t floor;  // rows below this seq may be pruned

    struct journal *journal;
    struct epoch epoch;
    int64_t ids[128];
};

void ledger_init(struct ledger *ledger, unsigned meter_count, unsigned value_count);
void ledger_clear(struct ledger *ledger);  // closes the journal

/* Open the journal, with an epoch of that boot and all meters. */
int ledger_open(struct ledger *ledger, const char *directory, const char *boot_id,
                enum clock_quality quality) MUST_CHECK;
void ledger_close(struct ledger *ledger);

/* Another epoch of the same boot. */
int ledger_add_epoch(struct ledger *ledger, enum clock_quality quality) MUST_CHECK;

/* A row of each meter and an event, committed. What failed before comes again, with the same serials. */
int ledger_commit(struct ledger *ledger, unsigned rows, uint64_t boot_ms) MUST_CHECK;

/* Prune to seven days, or to so many bytes. */
int ledger_prune(struct ledger *ledger, const char *directory, uint64_t budget_bytes) MUST_CHECK;

/* How much of a ledger was true at some moment. */
struct ledger_view {
    size_t acknowledged;
    unsigned acknowledged_events;
    uint64_t floor;
};

/* Which errors of reading are no failure, but no answer. */
enum ledger_patience {
    LEDGER_NONE,
    LEDGER_AGAIN,  // -EAGAIN
    LEDGER_ANY,
};

/*
 * Whether a journal that is read from has all acknowledged rows, each once, with its values, meter and epoch, and
 * beside them only whole commits that were under way. Fails the test with `what` if not. Returns the highest seq.
 */
uint64_t ledger_check(const struct ledger *ledger, const struct ledger_view *view,
                      const char *directory, enum ledger_patience patience, const char *what);

/* PRAGMA integrity_check of each segment. */
void ledger_check_integrity(const char *directory, const char *what);
