/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * READ-ME.txt: what lies on the stick, for whoever holds it. Lines end with CR LF: the Notepad of older Windows shows a
 * text with LF alone as one line, and everything else takes both. ASCII, so that no program guesses wrong; a text that
 * has to have more begins with the mark by which Notepad knows UTF-8.
 */

#include "app/base/text.h"
#include "app/config/config.h"
#include "app/journal/journal.h"

/* Errors: the journal's, -ENOMEM */
int pages_readme(struct text *ret, const char *appliance, enum csv_format format, struct journal *journal) MUST_CHECK;

/* Make such a text of one with LF: also of status.txt. Pure. */
void pages_readme_finish(const struct text *text, struct text *ret);
