/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is wrong with a file, every fault of it, not only the first: "file:line: text".
 * Zero-initialised is empty; problems_clear() frees it.
 */

#include "app/base/text.h"

struct problems {
    struct text text;  // one problem a line
    unsigned count;
};

#define auto_problems CLEANUP(problems_clear)

/* line 0: about the file as a whole. file NULL: about neither. */
void problems_add(struct problems *problems, const char *file, unsigned line, const char *format, ...)
    PRINTF_LIKE(4, 5);
void problems_clear(struct problems *problems);

/* All of them, one a line, "" if there are none. Valid until the next change. */
const char *problems_text(const struct problems *problems);
