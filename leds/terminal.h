/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Eight pixels in a terminal, with their names and what they say. Pure: text goes in, text comes out.
 */

#include "app/base/text.h"
#include "leds/blinkt.h"

enum terminal_mode {
    TERMINAL_LETTERS,  // no colours: "P G . W G . . .", a dot is dark
    TERMINAL_COLOUR,   // 24 bit
};

/* What a descriptor's other end can show: letters if it is no terminal or NO_COLOR is set (no-color.org). */
enum terminal_mode terminal_mode_of(int fd);

/*
 * Add the picture of a frame: four lines (three of letters) of 80 columns, each with its end.
 *
 * words  what each pixel says, at most 9 characters; shown below its name
 */
void terminal_add_frame(struct text *text, enum terminal_mode mode, const struct frame *frame,
                        const char *const words[static BLINKT_PIXELS]);

/* The letter of a colour: R G B Y C P W, "." for dark, "?" for one that no light has. */
char terminal_letter(const struct pixel *pixel);
