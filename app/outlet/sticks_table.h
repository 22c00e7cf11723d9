/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which sticks are in, which of them is served by a child, and what is told of each: decided from what was found on
 * USB, what the children said, and the time. Pure; what it wants done is asked for with sticks_table_next().
 *
 * - A stick that went and came again within 1.5 s, in the same socket with the same serial number and size, dipped: it
 *   is the same stick, and keeps its place in the status (reliability.md, 2.3 and fault 27). While the USB device is
 *   back and its disk is not, which the kernel takes a second for, there is more time.
 * - A child that has said nothing for 30 s waits for a call to return: the stick is slow (fault 38). After 300 s the
 *   child is left alone, and the stick gets another one when it is plugged in again.
 * - A child that ends by itself is begun again, after 1 s at first and up to a minute later.
 * - Of a disk with a volume that can be served the others are not worth a red light: a card of a Raspberry Pi has ext4
 *   beside its boot partition. Where none can be served, the first says why.
 */

#include "app/outlet/stick_report.h"
#include "board/block.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STICKS_MAX          8                 // volumes at once; others wait until one is pulled
#define STICKS_DIP_MS       UINT64_C(1500)
#define STICKS_RETURN_MS    UINT64_C(10000)   // with the USB device in its socket
#define STICKS_SETTLE_MS    UINT64_C(1000)    // where no udev says that it is done with a device
#define STICKS_UDEV_MS      UINT64_C(15000)   // where it runs, but is slow or has no word for this one
#define STICKS_SLOW_MS      UINT64_C(30000)
#define STICKS_GIVE_UP_MS   UINT64_C(300000)
#define STICKS_AGAIN_MS     UINT64_C(1000)    // after a child's first unexpected end; doubled each time...
#define STICKS_AGAIN_MAX_MS UINT64_C(60000)   // ...up to this; a child that lived for so long begins anew

struct sticks_entry {
    bool is_taken;
    struct block_volume volume;
    bool is_away;                // since away_ms
    bool is_returning;           // the USB device is back
    uint64_t seen_ms, away_ms;

    bool has_child;
    bool is_stale;               // it serves the device of before the dip
    uint64_t begun_ms, heard_ms; // of the child
    uint64_t begin_ms;           // the next one's time
    uint64_t pause_ms;           // between the last two
    bool is_given_up;            // it hangs
    bool is_over;                // it did what it was to do once

    bool is_told;                // the child said something
    uint64_t told_ms;            // first
    bool is_refused;             // by its child; which tries again, and is busy with it for a moment
    bool is_named;               // the id is the file system's, not the device's
    struct stick_report report;  // the last; its id stays over a dip
};

struct sticks_table {
    struct sticks_entry entries[STICKS_MAX];
    bool is_once;                // each child is begun once
    bool is_full;                // there were more than have room
};

enum sticks_action {
    STICKS_NOTHING,
    STICKS_BEGIN,                // begin a child for this entry
    STICKS_LET_GO,               // the child of this entry is none of it any more: end it, wait for it nowhere
};

/* What is there now. Must be complete. */
void sticks_table_take(struct sticks_table *table, const struct block_volume *volumes, size_t count, uint64_t now_ms);

/* Whether the USB device of an entry whose disk is away is in its socket again: asked for by who calls next. */
void sticks_table_returning(struct sticks_table *table, unsigned entry, bool is_returning);

/* The child of an entry said this. */
void sticks_table_told(struct sticks_table *table, unsigned entry, const struct stick_report *report, uint64_t now_ms);

/* It ended; how: "" well, else in words. */
void sticks_table_ended(struct sticks_table *table, unsigned entry, const char *how, uint64_t now_ms);

/*
 * What is to be done next, for which entry. It counts as done: of a child that could not be begun sticks_table_ended()
 * is told. Call until there is nothing.
 */
enum sticks_action sticks_table_next(struct sticks_table *table, uint64_t now_ms, unsigned *ret_entry);

/* When something changes by itself, at the latest; UINT64_MAX: never. */
uint64_t sticks_table_due_ms(const struct sticks_table *table, uint64_t now_ms);

/*
 * What stands in the status, and of which entry: both arrays have room for STICKS_MAX. Returns how many. What an entry
 * without a child is said to be, or one that is slow, was found out here and not by a child.
 */
size_t sticks_table_reports(const struct sticks_table *table, uint64_t now_ms, struct stick_report *reports,
                            unsigned *entries);

/* With is_once: whether nothing more is to be waited for. */
bool sticks_table_is_over(const struct sticks_table *table);
