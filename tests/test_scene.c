// SPDX-License-Identifier: MIT
// link: ms_leds

#include "tests/test.h"

#include "app/base/macros.h"
#include "app/base/text.h"
#include "leds/scene.h"
#include "leds/terminal.h"

#define STATUS_ALL_WELL "PG.WG..."

/* A run of the scene: what a camera before the pixels would have seen, written down. */
struct film {
    struct scene scene;
    struct facts facts;
    uint64_t now_ms;
    char letters[BLINKT_PIXELS + 1];     // of the last frame
    enum light lights[BLINKT_PIXELS];
    uint64_t next_ms;
    struct text said;                    // "192.168.1.7" as read, "/" where the status was seen, "#" for the bar
    uint64_t status_ms, spelled_ms, bar_ms;
    uint64_t longest_ms;                 // without the status
    uint64_t away_ms;
};

static void film_clear(struct film *film)
{
    text_clear(&film->said);
}

#define auto_film CLEANUP(film_clear)

/* Two meters, one stick, a clock: nothing blinks. */
static const struct facts all_well = {
    .acquire_alive = true, .meter_count = 2, .meter_good_count = 2, .journal_ok = true, .clock_known = true,
    .stick_alive = true, .stick_count = 1, .stick_percent = NAN, .turns_boot_ms = UINT64_MAX,
};

static const char *const symbols[] = { "...BB...", "B.......", "BB......", "BBB.....", "BBBB....", "BBBBB...",
                                       "BBBBBB..", "BBBBBBB.", "BBBBBBBB", "BBB..BBB", "W......W" };

/* '0' to '9', '.', their red ones as 'a' to 'j', '_' dark, '#' the bar, '/' what has the status's colours. */
static char read_letters(const char *letters)
{
    char blue[BLINKT_PIXELS + 1];

    if (strcmp(letters, "........") == 0) {
        return '_';
    }
    for (unsigned i = 0; i <= BLINKT_PIXELS; i++) {
        blue[i] = letters[i] == 'R' ? 'B' : letters[i];
    }
    for (unsigned i = 0; i < ARRAY_SIZE(symbols); i++) {
        if (strcmp(letters, symbols[i]) == 0) {
            return i == 10 ? '.' : (char) ('0' + i);
        }
        if (!strchr(letters, 'B') && strcmp(blue, symbols[i]) == 0) {
            return (char) ('a' + i);
        }
    }
    return letters[0] == 'W' ? '#' : '/';
}

/* Ask for the frame of now, and read it. */
static char look(struct film *film)
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

static void note(struct film *film, char c)
{
    const char *said = text_string(&film->said);
    char last = *said ? said[strlen(said) - 1] : '\0';

    if (c != '_' && c != last) {
        text_add_char(&film->said, c);
    } else if (c == '_' && last != '\0' && last != '/' && last != '_') {
        text_add_char(&film->said, '_');
    }
}

static void spend(struct film *film, char c, uint64_t ms)
{
    *(c == '/' ? &film->status_ms : c == '#' ? &film->bar_ms : &film->spelled_ms) += ms;
    film->away_ms = c == '/' ? 0 : film->away_ms + ms;
    film->longest_ms = MAX(film->longest_ms, film->away_ms);
}

/* Let time pass, as somebody who looks only when told to, or each step_ms at the latest. */
static void roll(struct film *film, uint64_t ms, uint64_t step_ms)
{
    uint64_t end_ms = film->now_ms + ms;

    while (film->now_ms < end_ms) {
        char c = look(film);
        uint64_t then_ms = MIN(MIN(film->next_ms, end_ms), film->now_ms + step_ms);

        note(film, c);
        spend(film, c, then_ms - film->now_ms);
        film->now_ms = then_ms;
    }
    note(film, look(film));
}

#define WHEN_TOLD (UINT64_MAX / 2)

static void begin(struct film *film)
{
    *film = (struct film){ .facts = all_well, .now_ms = 7000 };
}

static void test_the_address_is_read_out_twice_at_the_start(void)
{
    auto_film struct film film;

    begin(&film);
    CHECK_EQ(scene_set_address(&film.scene, "10.0.0.7", 2), 0);
    roll(&film, 200000, WHEN_TOLD);
    CHECK_STR(text_string(&film.said), "/1_0_._0_._0_._7_1_0_._0_._0_._7/");
    CHECK_EQ(film.longest_ms, 2 * spell_length_ms("10.0.0.7"));
    CHECK_STR(film.letters, STATUS_ALL_WELL);
}

static void test_a_burst_is_seen_at_once_and_a_new_failure_too(void)
{
    auto_film struct film film;

    begin(&film);
    CHECK_EQ(scene_set_address(&film.scene, "12.0.0.7", 1), 0);
    roll(&film, 15000, WHEN_TOLD);
    CHECK_STR(text_string(&film.said), "/1_2");
    film.facts.stick_writing = true;
    (void) look(&film);
    CHECK_STR(film.letters, "PGBWG...");
    film.facts.stick_writing = false;
    roll(&film, 7000, WHEN_TOLD);
    film.facts.meter_good_count = 1;
    (void) look(&film);
    CHECK_STR(film.letters, "PY.WG...");
    roll(&film, 90000, WHEN_TOLD);
    CHECK_HAS(text_string(&film.said), "/1_2/1_2/1_2_._0_._0_._7/");
}

TESTS(test_the_address_is_read_out_twice_at_the_start, test_a_burst_is_seen_at_once_and_a_new_failure_too)
