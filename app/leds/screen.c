/* SPDX-License-Identifier: MIT */
#include "app/leds/screen.h"

#include "app/base/file.h"

#define PICTURE_LINES 4  // of terminal_add_frame()

void screen_draw(struct screen *screen, const struct frame *frame, const enum light lights[static BLINKT_PIXELS])
{
    auto_text struct text text = {};
    const char *words[BLINKT_PIXELS];

    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        words[i] = indicator_meaning(lights[i])->word;
    }
    if (screen->lines > 0) {
        text_addf(&text, "\x1b[%uA\x1b[J", screen->lines);
    }
    terminal_add_frame(&text, screen->mode, frame, words);
    text_add(&text, "\n");
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        const struct meaning *meaning = indicator_meaning(lights[i]);

        text_addf(&text, "%u %-8s %-7s%s %s\n", i, indicator_pixel_name((enum indicator_pixel) i),
                  indicator_colour_name(meaning->colour), meaning->blinks ? " blinks " : "        ",
                  meaning->text);
    }
    if (screen->mode == TERMINAL_COLOUR) {
        screen->lines = PICTURE_LINES + 1 + BLINKT_PIXELS;
    } else {
        text_add(&text, "\n");
    }
    if (text.failed || file_write_all(STDOUT_FILENO, text.data, text.size) < 0) {
        screen->lines = 0;  // the next picture stands on its own; a closed terminal sends SIGHUP as well
    }
}
