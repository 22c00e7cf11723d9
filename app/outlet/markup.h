/* SPDX-License-Identifier: MIT */
#pragma once

/* Text and numbers on a page of HTML. Pure. */

#include "app/base/text.h"

/*
 * Whatever people or meters called something, as text or in a quoted attribute: markup in it is only text, a control
 * character or a byte that is no UTF-8 becomes '?'.
 */
void markup_add_text(struct text *text, const char *string);

/* "1 234.5": a number for the eye, thousands apart by a narrow blank; NAN gives a dash. */
void markup_add_number(struct text *text, double value, int decimals);

/*
 * An energy in kWh or a power in kW for the eye, and in Wh or W for machines: <data value="1234567">1 234.6</data>.
 * So many decimals that the last is worth knowing; brief: three digits, if they are enough. NAN gives a dash.
 */
void markup_add_energy(struct text *text, double wh, bool brief);
void markup_add_power(struct text *text, double w);
