/* SPDX-License-Identifier: MIT */
#pragma once

/* What the pages_html*.c files know of the page and nobody else does. */

#include "app/outlet/page_data.h"

/* A number, or a sign that there is none. brief: where there is little room. */
void pages_html_add_energy(struct text *text, const struct page_use *use, bool brief);

/* One meter: its table, the curve of the last days, its months, and what is to be said of its readings. */
void pages_html_add_meter(struct text *text, const struct page_data *data, unsigned meter, const char *label);

/* pages_html_chart.c: the last days of a meter; nothing if it has neither power nor energy there */
void pages_html_add_days(struct text *text, const struct page_data *data, unsigned meter);
void pages_html_add_months(struct text *text, const struct page_data *data, unsigned meter);
