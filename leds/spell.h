/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An address or a number as eight pixels over time, symbol after symbol (ES-03, ES-04). Pure.
 *
 * A digit 1 to 8 is so many pixels from pixel 0; 0 is pixels 3 and 4; 9 is pixels 0 to 2 and 5 to 7; a dot is pixels 0
 * and 7 in white. All is dark for 2 s at the beginning, so that the eye is there when the first one comes, and for 2 s
 * at the end, so that what was cut off is not taken for the whole. Between two symbols it is dark for 0.3 s, so that a
 * digit that comes twice is seen twice.
 */

#include "leds/indicator.h"

#define SPELL_TEXT_SIZE 16  // "255.255.255.255" and the end
#define SPELL_EDGE_MS   2000  // dark before the first symbol and after the last
#define SPELL_DIGIT_MS  2000
#define SPELL_DOT_MS    3000
#define SPELL_GAP_MS    300

/* Whether it can be spelled: 1 to 15 digits and dots. The other functions take nothing else. */
bool spell_can(const char *text);

uint64_t spell_length_ms(const char *text);

/*
 * What is shown when so much of the time has passed.
 *
 * digits       the colour of digits; dots are white
 * ret_rest_ms  for how long; 0 at the end and beyond it, where all is dark
 */
void spell_look(const char *text, enum colour digits, uint64_t elapsed_ms, enum colour ret[static BLINKT_PIXELS],
                uint64_t *ret_rest_ms);

/*
 * Where to go on after it was interrupted at elapsed_ms: with the gap before the symbol that was shown, or before the
 * next one if at least half of that one's time had passed; with the dark at the end if there is none.
 */
uint64_t spell_resume_ms(const char *text, uint64_t elapsed_ms);
