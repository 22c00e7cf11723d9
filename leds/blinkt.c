/* SPDX-License-Identifier: MIT */
#include "leds/blinkt.h"

#include "app/base/macros.h"

#include <string.h>

uint8_t blinkt_brightness(unsigned percent)
{
    unsigned level = MIN(percent, 100u) * BLINKT_MAX_BRIGHTNESS / 100;

    return (uint8_t) (percent > 0 ? MAX(level, 1u) : 0);
}

void blinkt_bits(const struct frame *frame, uint8_t ret[static BLINKT_SIZE])
{
    uint8_t *next = ret + 4;

    memset(ret, 0, BLINKT_SIZE);
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        *next++ = (uint8_t) (0xE0 | MIN(frame->brightness, BLINKT_MAX_BRIGHTNESS));
        *next++ = frame->pixels[i].blue;
        *next++ = frame->pixels[i].green;
        *next++ = frame->pixels[i].red;
    }
}

bool blinkt_equal(const struct frame *a, const struct frame *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;  // bytes only: no padding
}
