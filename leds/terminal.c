/* SPDX-License-Identifier: MIT */
#include "leds/terminal.h"

#include "leds/indicator.h"

#include <stdlib.h>
#include <unistd.h>

#define CELL "10"     // columns a pixel
#define GLASS 38      // how bright a dark pixel is drawn, so that one sees where it is

enum terminal_mode terminal_mode_of(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if (!isatty(fd) || (no_color && *no_color) || (term && text_equal(term, "dumb"))) {
        return TERMINAL_LETTERS;
    }
    return TERMINAL_COLOUR;
}

char terminal_letter(const struct pixel *pixel)
{
    static const char letters[] = ".RGYBPCW";  // red is 1, green 2, blue 4

    return letters[(pixel->red ? 1 : 0) | (pixel->green ? 2 : 0) | (pixel->blue ? 4 : 0)];
}

static void add_pixels(struct text *text, enum terminal_mode mode, const struct frame *frame)
{
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        const struct pixel *pixel = &frame->pixels[i];
        bool dark = !pixel->red && !pixel->green && !pixel->blue;

        if (mode == TERMINAL_LETTERS) {
            text_addf(text, "%-" CELL "c", terminal_letter(pixel));
        } else {
            text_addf(text, "\x1b[48;2;%u;%u;%um       \x1b[0m   ", dark ? GLASS : pixel->red,
                      dark ? GLASS : pixel->green, dark ? GLASS : pixel->blue);
        }
    }
    text_add(text, "\n");
}

void terminal_add_frame(struct text *text, enum terminal_mode mode, const struct frame *frame,
                        const char *const words[static BLINKT_PIXELS])
{
    add_pixels(text, mode, frame);
    if (mode == TERMINAL_COLOUR) {
        add_pixels(text, mode, frame);  // two rows of seven columns look like a square
    }
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        text_addf(text, "%-" CELL "s", indicator_pixel_name((enum indicator_pixel) i));
    }
    text_add(text, "\n");
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        text_addf(text, mode == TERMINAL_COLOUR ? "\x1b[2m%-" CELL "." CELL "s\x1b[0m" : "%-" CELL "." CELL "s",
                  words[i]);
    }
    text_add(text, "\n");
}
