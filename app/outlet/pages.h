/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What lies beside the data on a stick, for people: READ-ME.txt, status.txt, open-me.html. All three can be made anew
 * at any time, so whatever goes wrong with them never disturbs the data, and is tried again later.
 *
 *   READ-ME.txt    written when it would say something else than the one there
 *   status.txt     when the stick comes in, when more than times changes, at most every PAGES_STATUS_MS
 *   open-me.html   when the stick comes in, and every PAGES_HTML_MS. Where it takes longer to gather it follows in a
 *                  later burst; of a few meters a page with what is known by then is written first
 */

#include "app/config/config.h"
#include "app/journal/journal.h"

#include <stdbool.h>
#include <stdint.h>

#define PAGES_STATUS_MS UINT64_C(600000)
#define PAGES_HTML_MS   UINT64_C(86400000)

struct pages;

struct pages_setup {
    const char *appliance;     // the name of the folder
    struct journal *journal;   // the caller's
    enum csv_format format;
    const char *run_dir;       // for <run-dir>/acquire.json
    const char *settings;      // a configuration, for the labels of meters; may be missing
    bool whole;                // the first page is written when all of it is gathered, up to half a minute later
};

/* Strings are copied. Errors: -ENOMEM, -ENAMETOOLONG */
int pages_new(const struct pages_setup *setup, struct pages **ret) MUST_CHECK;
void pages_free(struct pages *pages);

/* The stick has come in: nothing is known of what is on it. So it is at first. */
void pages_stick_is_in(struct pages *pages);

/* What is free on it, about; NAN: not known. So it is at first. */
void pages_free_bytes(struct pages *pages, double bytes);

/*
 * Write what is due into the open folder of the appliance, after a burst brought its data up to date. Takes a moment of
 * the processor at the first call after the stick came in, hardly any later.
 * now_ms  monotonic
 * Errors, for the log only: those of the stick and the journal
 */
int pages_write(struct pages *pages, int folder_fd, uint64_t now_ms) MUST_CHECK;

/*
 * Gather what the next page needs, until that time (monotonic ms), while the stick is closed. Returns 1 if there is
 * more.
 */
int pages_gather(struct pages *pages, uint64_t until_ms) MUST_CHECK;
