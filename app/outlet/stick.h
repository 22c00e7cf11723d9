/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Carrying the journal onto a stick: everything after the stick's own cursor, in whole rows, durable before the cursor
 * says so. Here a stick is an open directory; mounting one and unmounting it is done around this (stick_root).
 *
 * A repeat does no harm: a burst that was cut short leaves bytes beyond the cursor, and the next one renders the same
 * rows, keeps what is equal and cuts the rest.
 */

#include "app/config/config.h"
#include "app/journal/journal.h"

#include <stdbool.h>
#include <stdint.h>

struct pages;
struct stick;

#define auto_stick CLEANUP(stick_closep)

struct stick_setup {
    const char *appliance;      // the folder below kwhmeter/
    struct journal *journal;    // opened for reading; the caller's
    enum csv_format format;
    struct pages *pages;        // what lies beside the data; the caller's, NULL: nothing does
};

/* Strings are copied. Nothing is touched before the first burst. */
int stick_open(const struct stick_setup *setup, struct stick **ret) MUST_CHECK;
void stick_close(struct stick *stick);
void stick_closep(struct stick **stick);

/*
 * Write what there is, up to about a mebibyte of text, and move the cursor. Returns 1 if there is more, 0 if the stick
 * is up to date.
 *
 * root_fd    the stick's root directory: nothing outside of it is touched
 * device_fd  the block device below it, for one flush of many files, and the sign that the root was mounted anew;
 *            -1 if it is a plain directory
 *
 * Errors: -ENODEV, -EIO, -ENOSPC, -EROFS, -EACCES ... of the stick: the cursor has not moved, and the next burst begins
 *         from what the stick holds
 *         -EAGAIN  the journal is just being changed: try again in a second
 */
int stick_burst(struct stick *stick, int root_fd, int device_fd) MUST_CHECK;

/* Whether the last error came from the journal, not from the stick. */
bool stick_journal_failed(const struct stick *stick);

/*
 * Rows that are not on the stick yet, as of its last burst's cursor; and whether rows were lost to it because the
 * journal no longer has them or cannot read them, the first of them after which seq.
 */
int stick_backlog(struct stick *stick, uint64_t *ret) MUST_CHECK;
bool stick_has_gap(const struct stick *stick);
uint64_t stick_gap_after(const struct stick *stick);

/* Rows of boots that ended without ever knowing the time, which csv = energy-scribe has no place for. */
uint64_t stick_passed(const struct stick *stick);
