/* SPDX-License-Identifier: MIT */
#pragma once

/* Damage in the newest segment, as the writer's files know it. */

#include "app/journal/database.h"
#include "app/journal/journal.h"
#include "app/journal/segment_log.h"

/*
 * Open the newest segment, or set it aside if it is damaged and look at those before it: writer.aside is set then, and
 * the next epoch begins a segment far above. The segments have been read. Nothing is open if there are none.
 */
int journal_aside_open(struct journal *journal) MUST_CHECK;

/* Leave the newest segment as it is, for readers, and look at those before it: writer.aside is set likewise. */
int journal_aside_leave(struct journal *journal) MUST_CHECK;

/*
 * Look for damage: in a small segment on every page, in a large one in its last rows. Errors: -EBADMSG
 */
int journal_aside_check(struct database *database, const char *path) MUST_CHECK;

/* Before a segment is opened: whether its log is what its writer left. One that nothing may be used of is set aside. */
int journal_aside_look_at_log(const struct journal *journal, uint64_t first, const char *path,
                              enum segment_log *ret) MUST_CHECK;

/*
 * Once it is open and its boot is known: what follows from that. Where rows of it may be lost with its log, it goes on
 * to be read, and is appended to no more.
 */
int journal_aside_judge_log(struct journal *journal, enum segment_log log) MUST_CHECK;

/* After the newest segment was closed: set it aside if it was found to be damaged while it was open. */
void journal_aside_close(struct journal *journal, bool damaged);

/* Where the segment of an epoch of that boot begins. The segments have been read. */
uint64_t journal_aside_next(const struct journal *journal, const char *boot_id);

/* In a new segment: say why it begins there. */
int journal_aside_add_event(const struct journal *journal, struct database *database, int64_t epoch) MUST_CHECK;

/* Keep in mind whose boot the newest segment is of, should it not be able to say. */
void journal_aside_remember_boot(const struct journal *journal, const char *boot_id);
