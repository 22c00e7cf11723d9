/* SPDX-License-Identifier: MIT */
#pragma once

/* The lights in this terminal, with a line for each of them. */

#include "leds/indicator.h"
#include "leds/terminal.h"

struct screen {
    enum terminal_mode mode;
    unsigned lines;  // to go up before drawing again
};

void screen_draw(struct screen *screen, const struct frame *frame, const enum light lights[static BLINKT_PIXELS]);
