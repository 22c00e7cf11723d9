/* SPDX-License-Identifier: MIT */
#pragma once

/* What inbox.c and inbox_pass.c share. */

#include "app/acquire/inbox.h"
#include "app/acquire/inbox_seen.h"
#include "app/base/limits.h"

struct inbox_pass {
    const struct options *options;
    char directory[PATH_SIZE], seen_path[PATH_SIZE];
    struct inbox_seen seen;
    bool loaded;             // what was answered before is known, so that it can be written again
    struct inbox_news news;
};

/* The directory, and what was answered before. Errors: of the card */
int inbox_pass_prepare(struct inbox_pass *pass) MUST_CHECK;

/* Take everything that is there. Errors: of the card; what was not answered is there still */
int inbox_pass_run(struct inbox_pass *pass) MUST_CHECK;

/* Put a copy of such a file into the inbox, unless it was answered. */
void inbox_pass_copy(struct inbox_pass *pass, const char *path);
