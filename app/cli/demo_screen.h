/* SPDX-License-Identifier: MIT */
#pragma once

/* The demo in a terminal of at least 80 x 24, and in plain lines. */

#include "app/cli/demo_view.h"

#include <termios.h>

struct demo_screen {
    bool raw;               // the terminal is ours: keys come at once, the old picture is kept
    struct termios before;
};

/* Take the terminal, and give it back as it was. */
int demo_screen_open(struct demo_screen *ret) MUST_CHECK;
void demo_screen_close(struct demo_screen *screen);

/*
 * Add the whole picture to a text.
 *
 * shown    index of the meter whose CSV is shown
 * news     what happened last, for people
 */
void demo_screen_add(struct text *text, const struct demo_view *view, const struct demo_plant *plant,
                     uint64_t elapsed_ms, unsigned shown, const char *news);

/* One line: time, lights as letters, rows of each meter on the stick. */
void demo_screen_add_plain(struct text *text, const struct demo_view *view, const struct demo_plant *plant,
                           uint64_t elapsed_ms);
