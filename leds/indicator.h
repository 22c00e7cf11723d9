/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * From what is true to eight lights. One table says what every light means; the frames, the
 * terminal and the documents all use it. Pure.
 */

#include "leds/blinkt.h"
#include "leds/facts.h"

enum indicator_pixel {
    PIXEL_PROGRAM,
    PIXEL_ACQUISITION,
    PIXEL_WRITING,
    PIXEL_STICK,
    PIXEL_CLOCK,
    PIXEL_OUTLETS,
    PIXEL_ALARM,
    PIXEL_POWER,
};

enum colour {
    COLOUR_DARK,
    COLOUR_RED,
    COLOUR_GREEN,
    COLOUR_BLUE,
    COLOUR_YELLOW,
    COLOUR_CYAN,
    COLOUR_PURPLE,
    COLOUR_WHITE,
};

/* Every light that a pixel can show. */
enum light {
    LIGHT_PROGRAM_RUNNING,
    LIGHT_PROGRAM_DEAD,
    LIGHT_PROGRAM_ENDED,        // the last frame of `leds` itself
    LIGHT_ACQUISITION_GOOD,
    LIGHT_ACQUISITION_SILENT,
    LIGHT_ACQUISITION_FAILED,
    LIGHT_ACQUISITION_SEARCHING,
    LIGHT_WRITING_IDLE,
    LIGHT_WRITING_NOW,
    LIGHT_WRITING_FAILED,
    LIGHT_WRITING_BOTH,
    LIGHT_STICK_NONE,
    LIGHT_STICK_CURRENT,
    LIGHT_STICK_BEHIND,
    LIGHT_STICK_REFUSED,
    LIGHT_STICK_DEAD,
    LIGHT_CLOCK_KNOWN,
    LIGHT_CLOCK_UNKNOWN,
    LIGHT_OUTLETS_NONE,
    LIGHT_OUTLETS_DELIVERED,
    LIGHT_OUTLETS_BEHIND,
    LIGHT_OUTLETS_FAILING,
    LIGHT_ALARM_NONE,
    LIGHT_ALARM_WAS,
    LIGHT_ALARM_NOW,
    LIGHT_POWER_UNTOLD,
    LIGHT_POWER_GOOD,
    LIGHT_POWER_LOW,
    LIGHT_UNSAID,               // the other pixels of that frame
    LIGHT_COUNT,
};

struct meaning {
    enum indicator_pixel pixel;
    enum colour colour;
    bool blinks;            // failures do, so that nobody has to tell colours apart
    const char *word;       // at most 9 characters, for below the pixel
    const char *text;       // for the manual
    enum colour alternate;  // the other half of a blink; dark but for LIGHT_WRITING_BOTH
};

const struct meaning *indicator_meaning(enum light light);
const char *indicator_pixel_name(enum indicator_pixel pixel);
const char *indicator_colour_name(enum colour colour);
struct pixel indicator_pixel(enum colour colour);

/* The lights for these facts, one a pixel. */
void indicator_choose(const struct facts *facts, enum light ret[static BLINKT_PIXELS]);

/* What `leds` leaves behind when it ends: only "believe no other". */
void indicator_farewell(enum light ret[static BLINKT_PIXELS]);

/*
 * The frame of these lights at a time. Blinking is one second, lit first, by the boot clock.
 *
 * code_colours  those of the first program's code instead of its README: acquisition blue, writing green (ES-11)
 */
#define INDICATOR_HALF_BLINK_MS 500
void indicator_frame(const enum light lights[static BLINKT_PIXELS], uint64_t boot_ms, uint8_t brightness,
                     bool code_colours, struct frame *ret);

/* Whether any of them does. */
bool indicator_blinks(const enum light lights[static BLINKT_PIXELS]);
