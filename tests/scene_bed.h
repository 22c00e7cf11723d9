/* SPDX-License-Identifier: MIT */
#pragma once

/* A scene whose frames are read back as they come, and plants whose facts the tests change. */

#include "app/base/macros.h"
#include "app/base/text.h"
#include "leds/scene.h"
#include "leds/terminal.h"
#include "tests/test.h"

#define ALL_WELL  "PG.WG..."
#define WHEN_TOLD (UINT64_MAX / 2)  // as who looks again only when told to

/* A run of the scene: what a camera before the pixels would have seen, written down. */
struct film {
    struct scene scene;
    struct facts facts;
    uint64_t now_ms, next_ms;
    char letters[BLINKT_PIXELS + 1];     // of the last frame
    enum light lights[BLINKT_PIXELS];
    struct text said;
    char last;
    uint64_t dark_ms;                    // so far
    uint64_t status_ms, bar_ms, spelled_ms;
    uint64_t away_ms, longest_away_ms;   // without the status
};

static inline void film_clear(struct film *film)
{
    text_clear(&film->said);
}

#define auto_film CLEANUP(film_clear)

/* Two meters, one stick, a clock: nothing blinks. */
static const struct facts all_well = {
    .acquire_alive = true, .meter_count = 2, .meter_good_count = 2, .any_reading = true, .journal_ok = true,
    .clock_known = true, .stick_alive = true, .stick_count = 1, .stick_percent = NAN, .search_percent = NAN,
    .search_left_min = NAN, .turns_boot_ms = UINT64_MAX,
};

static const char *const symbols[] = { "...BB...", "B.......", "BB......", "BBB.....", "BBBB....", "BBBBB...",
                                       "BBBBBB..", "BBBBBBB.", "BBBBBBBB", "BBB..BBB", "W......W" };

/* '0' to '9', '.', red ones 'a' to 'j', cyan ones 'A' to 'J', '_' dark, '#' and '%' the bars, '/' the status. */
static inline char read_letters(const char *letters)
{
    char blue[BLINKT_PIXELS + 1];

    if (strcmp(letters, "........") == 0) {
        return '_';
    }
    for (unsigned i = 0; i <= BLINKT_PIXELS; i++) {
        blue[i] = letters[i] == 'R' || letters[i] == 'C' ? 'B' : letters[i];
    }
    for (unsigned i = 0; i < ARRAY_SIZE(symbols); i++) {
        if (strcmp(letters, symbols[i]) == 0) {
            return i == 10 ? '.' : (char) ('0' + i);
        }
        if (!strchr(letters, 'B') && strcmp(blue, symbols[i]) == 0) {
            return (char) ((strchr(letters, 'C') ? 'A' : 'a') + i);
        }
    }
    return letters[0] != 'W' ? '/' : letters[BLINKT_PIXELS - 1] == 'C' ? '%' : '#';
}

/* Ask for the frame of now, and read it. */
static inline char look(struct film *film)
{
    struct frame frame;

    scene_frame(&film->scene, &film->facts, film->now_ms, 3, false, &frame, film->lights, &film->next_ms);
    CHECK_EQ(frame.brightness, 3);
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        film->letters[i] = terminal_letter(&frame.pixels[i]);
    }
    CHECK(film->next_ms > film->now_ms);
    return read_letters(film->letters);
}

/*
 * "192" as it is read, "_" for a short dark between symbols and "|" for a long one, "/" for the status, "#" for the
 * stick's bar, "%" for that of a search; the digits of silent meters are 'a' (0) to 'j', of minutes 'A' to 'J'.
 */
static inline void note(struct film *film, char c, uint64_t ms)
{
    if (c == '_') {
        film->dark_ms += ms;
        return;
    }
    if (film->dark_ms > 0 && film->dark_ms < 1000 && film->last != '/') {
        text_add_char(&film->said, '_');
    } else if (film->dark_ms >= 1000) {
        text_add_char(&film->said, '|');
    }
    if (c != film->last || film->dark_ms >= 1000 || (film->dark_ms > 0 && c != '/')) {
        text_add_char(&film->said, c);
    }
    film->last = c;
    film->dark_ms = 0;
}

static inline void spend(struct film *film, char c, uint64_t ms)
{
    *(c == '/' ? &film->status_ms : c == '#' || c == '%' ? &film->bar_ms : &film->spelled_ms) += ms;
    film->away_ms = c == '/' ? 0 : film->away_ms + ms;
    film->longest_away_ms = MAX(film->longest_away_ms, film->away_ms);
}

/* Let time pass. */
static inline void roll(struct film *film, uint64_t ms, uint64_t step_ms)
{
    uint64_t end_ms = film->now_ms + ms;

    while (film->now_ms < end_ms) {
        char c = look(film);
        uint64_t then_ms = MIN(MIN(film->next_ms, end_ms), film->now_ms + step_ms);

        note(film, c, then_ms - film->now_ms);
        spend(film, c, then_ms - film->now_ms);
        film->now_ms = then_ms;
    }
    (void) look(film);
}

static const char *said(struct film *film)
{
    return text_string(&film->said);
}

static inline void begin_with(struct film *film, const char *address, unsigned first_times)
{
    *film = (struct film){ .facts = all_well, .now_ms = 7000 };
    CHECK_EQ(scene_set_address(&film->scene, address, first_times), 0);
}

/* Nothing more to tell at the start. */
static inline void begin(struct film *film)
{
    begin_with(film, "10.0.0.7", 0);
    roll(film, 10000, WHEN_TOLD);
}

static inline void forget(struct film *film)
{
    text_reset(&film->said);
    film->last = '\0';
    film->status_ms = film->bar_ms = film->spelled_ms = film->longest_away_ms = 0;
}

static inline void write_stick(struct film *film, uint64_t ms)
{
    film->facts.stick_writing = true;
    roll(film, ms, WHEN_TOLD);
    film->facts.stick_writing = false;
    (void) look(film);
}
