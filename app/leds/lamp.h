/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The Blinkt on the board's header. It may be absent, forbidden or taken by another program, at any time: that is told
 * once, and tried again, after 1 s at first and every 60 s at last.
 */

#include "app/base/macros.h"
#include "leds/blinkt.h"

#define LAMP_REFRESH_MS 60000  // a spike on the lines changes pixels, too

struct gpio;

/* Zero-initialised is one that was not tried yet. lamp_clear() gives the lines back. */
struct lamp {
    struct gpio *gpio;
    bool told;               // error was
    int error;               // why there is none, 0: there is one, or it was not tried yet
    uint64_t wait_ms;        // between the tries
    uint64_t next_try_ms;
    uint64_t shown_ms;       // when frame was
    struct frame frame;
};

/*
 * Show it if it is another than the one that is shown, or that one is a minute old: to be called once a second.
 * Returns lamp->error.
 */
int lamp_show(struct lamp *lamp, const struct frame *frame, uint64_t now_ms);

/* Show it now, whatever was shown, without a word. Errors: those of gpio_open() */
int lamp_try(struct lamp *lamp, const struct frame *frame) MUST_CHECK;

/* What such an error means to a person. */
const char *lamp_explain(int error);

/* Show one frame and let go. Tries again for a second while the lines are busy. Errors: those of gpio_open() */
int lamp_leave(const struct frame *frame) MUST_CHECK;

void lamp_clear(struct lamp *lamp);
