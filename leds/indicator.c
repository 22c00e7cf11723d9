/* SPDX-License-Identifier: MIT */
#include "leds/indicator.h"

#include "app/base/macros.h"

#include <assert.h>

#define LEVEL 200  // of 255, for each part of a colour (ES-07)

/* How a light shows itself, for the table below. */
#define STEADY false
#define BLINKS true

/* In the order of enum light. */
static const struct meaning meanings[] = {
    [LIGHT_PROGRAM_RUNNING] = { PIXEL_PROGRAM, COLOUR_PURPLE, STEADY, "running",
        "the logger is running" },
    [LIGHT_PROGRAM_DEAD] = { PIXEL_PROGRAM, COLOUR_RED, BLINKS, "dead",
        "the logger is not alive" },
    [LIGHT_PROGRAM_ENDED] = { PIXEL_PROGRAM, COLOUR_RED, STEADY, "ended",
        "the lights' own program has ended: believe no other light" },
    [LIGHT_ACQUISITION_GOOD] = { PIXEL_ACQUISITION, COLOUR_GREEN, STEADY, "all read",
        "every meter is read and its readings are saved" },
    [LIGHT_ACQUISITION_SILENT] = { PIXEL_ACQUISITION, COLOUR_YELLOW, BLINKS, "silent",
        "some meters give no readings" },
    [LIGHT_ACQUISITION_FAILED] = { PIXEL_ACQUISITION, COLOUR_RED, BLINKS, "failed",
        "no meter gives readings" },
    [LIGHT_ACQUISITION_SEARCHING] = { PIXEL_ACQUISITION, COLOUR_CYAN, STEADY, "searching",
        "meters are being looked for, and none is read yet" },
    [LIGHT_WRITING_IDLE] = { PIXEL_WRITING, COLOUR_DARK, STEADY, "no",
        "nothing is being written: the stick is safe to pull" },
    [LIGHT_WRITING_NOW] = { PIXEL_WRITING, COLOUR_BLUE, STEADY, "writing",
        "the stick is being written" },
    [LIGHT_WRITING_FAILED] = { PIXEL_WRITING, COLOUR_RED, BLINKS, "failed",
        "writing failed: card or stick is full, read-only or damaged" },
    [LIGHT_WRITING_BOTH] = { PIXEL_WRITING, COLOUR_RED, BLINKS, "both",
        "writing failed somewhere, and a stick is being written", COLOUR_BLUE },
    [LIGHT_STICK_NONE] = { PIXEL_STICK, COLOUR_DARK, STEADY, "none",
        "no stick: readings are kept until there is one" },
    [LIGHT_STICK_CURRENT] = { PIXEL_STICK, COLOUR_WHITE, STEADY, "current",
        "the stick has every reading" },
    [LIGHT_STICK_BEHIND] = { PIXEL_STICK, COLOUR_CYAN, STEADY, "behind",
        "readings are still to be written to the stick" },
    [LIGHT_STICK_REFUSED] = { PIXEL_STICK, COLOUR_RED, BLINKS, "refused",
        "this stick cannot be used" },
    [LIGHT_STICK_DEAD] = { PIXEL_STICK, COLOUR_RED, BLINKS, "dead",
        "the program that writes sticks is not alive" },
    [LIGHT_CLOCK_KNOWN] = { PIXEL_CLOCK, COLOUR_GREEN, STEADY, "known",
        "the time is known" },
    [LIGHT_CLOCK_UNKNOWN] = { PIXEL_CLOCK, COLOUR_YELLOW, BLINKS, "unknown",
        "the time is not known yet" },
    [LIGHT_OUTLETS_NONE] = { PIXEL_OUTLETS, COLOUR_DARK, STEADY, "none",
        "no outlet is configured" },
    [LIGHT_OUTLETS_DELIVERED] = { PIXEL_OUTLETS, COLOUR_GREEN, STEADY, "delivered",
        "every reading is delivered" },
    [LIGHT_OUTLETS_BEHIND] = { PIXEL_OUTLETS, COLOUR_CYAN, STEADY, "backlog",
        "readings wait for delivery" },
    [LIGHT_OUTLETS_FAILING] = { PIXEL_OUTLETS, COLOUR_RED, BLINKS, "failing",
        "delivery has been failing for 10 min" },
    [LIGHT_ALARM_NONE] = { PIXEL_ALARM, COLOUR_DARK, STEADY, "none",
        "no alarm" },
    [LIGHT_ALARM_WAS] = { PIXEL_ALARM, COLOUR_YELLOW, STEADY, "was",
        "there was an alarm that nobody has acknowledged" },
    [LIGHT_ALARM_NOW] = { PIXEL_ALARM, COLOUR_RED, BLINKS, "now",
        "there is an alarm now" },
    [LIGHT_POWER_UNTOLD] = { PIXEL_POWER, COLOUR_DARK, STEADY, "n/a",
        "this board cannot tell" },
    [LIGHT_POWER_GOOD] = { PIXEL_POWER, COLOUR_GREEN, STEADY, "good",
        "the supply voltage has been good since the start" },
    [LIGHT_POWER_LOW] = { PIXEL_POWER, COLOUR_YELLOW, BLINKS, "low",
        "the supply voltage was too low" },
    [LIGHT_UNSAID] = { PIXEL_PROGRAM, COLOUR_DARK, STEADY, "",
        "nothing: see pixel 0" },
};
static_assert(ARRAY_SIZE(meanings) == LIGHT_COUNT, "every light has a meaning");

static const char *const pixel_names[] = {
    "program", "meters", "writing", "stick", "clock", "outlets", "alarm", "power",
};

static const struct {
    const char *name;
    struct pixel pixel;
} colours[] = {
    [COLOUR_DARK]   = { "dark",   { 0,     0,     0 } },
    [COLOUR_RED]    = { "red",    { LEVEL, 0,     0 } },
    [COLOUR_GREEN]  = { "green",  { 0,     LEVEL, 0 } },
    [COLOUR_BLUE]   = { "blue",   { 0,     0,     LEVEL } },
    [COLOUR_YELLOW] = { "yellow", { LEVEL, LEVEL, 0 } },
    [COLOUR_CYAN]   = { "cyan",   { 0,     LEVEL, LEVEL } },
    [COLOUR_PURPLE] = { "purple", { LEVEL, 0,     LEVEL } },
    [COLOUR_WHITE]  = { "white",  { LEVEL, LEVEL, LEVEL } },
};

const struct meaning *indicator_meaning(enum light light)
{
    assert((unsigned) light < LIGHT_COUNT);
    return &meanings[light];
}

const char *indicator_pixel_name(enum indicator_pixel pixel)
{
    return pixel_names[pixel];
}

const char *indicator_colour_name(enum colour colour)
{
    return colours[colour].name;
}

struct pixel indicator_pixel(enum colour colour)
{
    return colours[colour].pixel;
}

/* The first search is no failure yet: what it finds will be read. The one after it is, since nothing was there. */
static bool is_first_search(const struct facts *facts)
{
    return facts->searching && !facts->searching_anew && !facts->any_reading;
}

static enum light choose_acquisition(const struct facts *facts)
{
    if (facts->acquire_alive && !facts->acquisition_failed && is_first_search(facts)) {
        return LIGHT_ACQUISITION_SEARCHING;
    }
    if (!facts->acquire_alive || facts->acquisition_failed || facts->meter_good_count == 0) {
        return LIGHT_ACQUISITION_FAILED;
    }
    return facts->meter_good_count < facts->meter_count ? LIGHT_ACQUISITION_SILENT : LIGHT_ACQUISITION_GOOD;
}

/* Dark means safe to pull, so a failure does not hide a stick that is being written. */
static enum light choose_writing(const struct facts *facts)
{
    bool failed = !facts->acquire_alive || !facts->journal_ok || !facts->stick_alive || facts->stick_failed;

    if (failed) {
        return facts->stick_writing ? LIGHT_WRITING_BOTH : LIGHT_WRITING_FAILED;
    }
    return facts->stick_writing ? LIGHT_WRITING_NOW : LIGHT_WRITING_IDLE;
}

static enum light choose_stick(const struct facts *facts)
{
    if (!facts->stick_alive) {
        return LIGHT_STICK_DEAD;
    }
    if (facts->stick_refused) {
        return LIGHT_STICK_REFUSED;
    }
    if (facts->stick_count == 0) {
        return LIGHT_STICK_NONE;
    }
    return facts->stick_behind ? LIGHT_STICK_BEHIND : LIGHT_STICK_CURRENT;
}

static enum light choose_outlets(enum outlets_fact outlets)
{
    switch (outlets) {
    case OUTLETS_NONE:
        return LIGHT_OUTLETS_NONE;
    case OUTLETS_DELIVERED:
        return LIGHT_OUTLETS_DELIVERED;
    case OUTLETS_BEHIND:
        return LIGHT_OUTLETS_BEHIND;
    case OUTLETS_FAILING:
        break;
    }
    return LIGHT_OUTLETS_FAILING;
}

static enum light choose_alarm(enum alarm_fact alarm)
{
    switch (alarm) {
    case ALARM_NONE:
        return LIGHT_ALARM_NONE;
    case ALARM_WAS:
        return LIGHT_ALARM_WAS;
    case ALARM_NOW:
        break;
    }
    return LIGHT_ALARM_NOW;
}

static enum light choose_power(enum power_fact power)
{
    switch (power) {
    case POWER_UNTOLD:
        return LIGHT_POWER_UNTOLD;
    case POWER_GOOD:
        return LIGHT_POWER_GOOD;
    case POWER_LOW:
        break;
    }
    return LIGHT_POWER_LOW;
}

void indicator_choose(const struct facts *facts, enum light ret[static BLINKT_PIXELS])
{
    ret[PIXEL_PROGRAM] = facts->acquire_alive ? LIGHT_PROGRAM_RUNNING : LIGHT_PROGRAM_DEAD;
    ret[PIXEL_ACQUISITION] = choose_acquisition(facts);
    ret[PIXEL_WRITING] = choose_writing(facts);
    ret[PIXEL_STICK] = choose_stick(facts);
    ret[PIXEL_CLOCK] = facts->acquire_alive && facts->clock_known ? LIGHT_CLOCK_KNOWN : LIGHT_CLOCK_UNKNOWN;
    ret[PIXEL_OUTLETS] = choose_outlets(facts->outlets);
    ret[PIXEL_ALARM] = choose_alarm(facts->alarm);
    ret[PIXEL_POWER] = choose_power(facts->power);
}

void indicator_farewell(enum light ret[static BLINKT_PIXELS])
{
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        ret[i] = LIGHT_UNSAID;
    }
    ret[PIXEL_PROGRAM] = LIGHT_PROGRAM_ENDED;
}

void indicator_frame(const enum light lights[static BLINKT_PIXELS], uint64_t boot_ms, uint8_t brightness,
                     bool code_colours, struct frame *ret)
{
    bool second_half = boot_ms / INDICATOR_HALF_BLINK_MS % 2 == 1;

    *ret = (struct frame){ .brightness = brightness };
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        enum light light = lights[i];
        const struct meaning *meaning = indicator_meaning(light);
        enum colour colour = meaning->blinks && second_half ? meaning->alternate : meaning->colour;

        if (code_colours && light == LIGHT_ACQUISITION_GOOD) {
            colour = COLOUR_BLUE;
        } else if (code_colours && colour == COLOUR_BLUE) {
            colour = COLOUR_GREEN;  // only pixel 2 has blue
        }
        ret->pixels[i] = colours[colour].pixel;
    }
}

bool indicator_blinks(const enum light lights[static BLINKT_PIXELS])
{
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        if (indicator_meaning(lights[i])->blinks) {
            return true;
        }
    }
    return false;
}
