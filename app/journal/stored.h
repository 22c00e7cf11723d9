/* SPDX-License-Identifier: MIT */
#pragma once

/* How values, words and layouts stand in the journal as text, and the views that show them by name. All pure. */

#include "app/base/text.h"
#include "drivers/sample.h"

#include <stdint.h>

/* "[230.1,null,0.5]": missing values are null, numbers the shortest decimal of their double. Added to the text. */
void stored_add_values(struct text *text, const double *values, unsigned count);

/* Errors: -EBADMSG not such a text, or more than MAX_POINTS */
int stored_parse_values(const char *text, double ret[static MAX_POINTS], unsigned *ret_count) MUST_CHECK;

/* "43660000": four hexadecimal digits a word. */
void stored_add_words(struct text *text, const uint16_t *words, unsigned count);

/* [{"quantity":"voltage","unit":"V"}, ...] */
void stored_add_layout(struct text *text, const struct layout *layout);

/* A name that quantity.c no longer knows has the quantity NULL. Errors: -EBADMSG */
int stored_parse_layout(const char *text, size_t size, struct layout *ret) MUST_CHECK;

/*
 * SQL that makes the view "layout_<id>": seq, utc, quality, meter, and column_label() of each value; it stands on the
 * view timed_sample of the same segment. Meters of one layout share it: SQLite keeps each view as a parsed tree, and 79
 * meters with trees of their own cost 400 KiB.
 */
void stored_add_layout_view(struct text *text, int64_t id, const struct layout *layout);

/* SQL that makes the view of one meter on that of its layout. */
void stored_add_view(struct text *text, const char *view, int64_t meter, int64_t layout_id);
