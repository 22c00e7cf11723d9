/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Blinkt: eight APA102 pixels on two lines. What is to be shown (a frame), and the bits that show it. Pure.
 *
 * On the wire (ES-08): 32 clocks with data low; for each pixel, from 0, the bytes 0xE0 | brightness, blue, green,
 * red, highest bit first; 36 clocks with data low, which carry the last pixel's colour through all eight.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLINKT_PIXELS         8
#define BLINKT_MAX_BRIGHTNESS 31
#define BLINKT_CLOCKS         (32 + BLINKT_PIXELS * 32 + 36)
#define BLINKT_SIZE           ((BLINKT_CLOCKS + 7) / 8)  // of the last byte, the upper half is sent

struct pixel {
    uint8_t red, green, blue;
};

struct frame {
    struct pixel pixels[BLINKT_PIXELS];
    uint8_t brightness;  // 0 to 31, of all of them
};

/* The 0 to 31 of a percentage, rounded down as the Blinkt's usual library does: 10 % is 3. At least 1 above 0 %. */
uint8_t blinkt_brightness(unsigned percent);

/* The bits of a frame, in the order of their clocks, from the highest bit of the first byte. */
void blinkt_bits(const struct frame *frame, uint8_t ret[static BLINKT_SIZE]);

bool blinkt_equal(const struct frame *a, const struct frame *b);
