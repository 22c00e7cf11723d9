/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The inbox: configurations that people bring without a shell. <state-dir>/inbox/<sha256>.conf is checked against a
 * closed set of keys, takes the place of <state-dir>/adopted.conf if nothing is wrong, and is removed; the answer is in
 * <state-dir>/inbox.seen and in the status. In this order, and each step whole and durable: who is killed between two
 * of them begins again with the file and comes to the same end.
 *
 * A copy on the boot partition goes the same way when the program begins.
 */

#include "app/base/options.h"
#include "app/base/text.h"

#include <stdbool.h>
#include <stdint.h>

#define INBOX_DIRECTORY "inbox"

struct inbox;

/* What the last pass changed. */
struct inbox_news {
    unsigned adopted;
    char refused[160];       // the last refusal, for people; "": none
};

/*
 * options      config and state_dir; the caller's
 * boot_files   what is looked for when the program begins, NULL behind the last; the caller's
 */
int inbox_new(const struct options *options, const char *const *boot_files, struct inbox **ret) MUST_CHECK;
void inbox_free(struct inbox *inbox);

/* Take what is there, and the copy on the boot partition. Waits for the card: before anything else is begun. */
void inbox_begin(struct inbox *inbox);

/*
 * From now on it is watched. Each pass has a thread of its own, which calls changed(); then inbox_step() has news.
 * Errors: -EMFILE, -ENOSYS: once a minute must do
 */
int inbox_watch(struct inbox *inbox, void (*changed)(void *data), void *data) MUST_CHECK;

/* Readable: something came. -1: it is not watched. */
int inbox_fd(const struct inbox *inbox);

/* Go on; returns at once. true: ret_news has what a pass changed. */
bool inbox_step(struct inbox *inbox, struct inbox_news *ret_news);

/* The value of the status's member "inbox". */
void inbox_add_status(const struct inbox *inbox, struct text *ret);

/* The program ends: whether its thread has ended in time. */
bool inbox_end(struct inbox *inbox, uint64_t deadline_us);
