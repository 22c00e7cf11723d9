/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Status files: <run-dir>/<program>.json, what a resident program says of itself. One program
 * writes its own at each change and at least every STATUS_EVERY_MS; anybody reads. A file that says nothing new for
 * STATUS_STALE_MS of boot clock, or that is of another boot, is not believed: its program is dead or stuck.
 *
 *     status_begin(&text, "stick", "running", NULL);
 *     json_add_key(&text, "sticks");
 *     text_add(&text, "[]");
 *     r = status_end_and_replace(&text, run_dir, "stick");
 */

#include "app/base/json.h"
#include "app/base/text.h"

#include <stdbool.h>

#define STATUS_EVERY_MS 2000
#define STATUS_STALE_MS 6000

/*
 * Start a status in an emptied text: '{' and the members program, pid, boot_id, boot_ms, state and error. The caller
 * adds members of its own with json_add_key().
 *
 * state  "starting", "running", "stopped" or "failed"
 * error  what is wrong, for people; NULL if nothing is
 */
void status_begin(struct text *ret, const char *program, const char *state, const char *error);

/*
 * Add the '}' and replace the file. Not synced: it lives in memory.
 * Errors: -ENOMEM if an addition failed; those of file_replace()
 */
int status_end_and_replace(struct text *text, const char *run_dir, const char *program) MUST_CHECK;

/*
 * Read a program's status. The caller frees *ret with json_free(). *ret_fresh: whether to believe it.
 * Errors: -ENOENT it never ran here   -EBADMSG no status   and those of file_read()
 */
int status_read(const char *run_dir, const char *program, struct json **ret, bool *ret_fresh) MUST_CHECK;

/*
 * Whether a status, read at that time in that boot, is to be believed. Pure. boot_id "", there or here: a sandbox with
 * ProcSubset=pid does not tell it; the time alone must do then, and the run directory is not kept over a boot.
 */
bool status_is_fresh(const struct json *status, const char *boot_id, uint64_t now_boot_ms);
