// SPDX-License-Identifier: MIT
// link: ms_leds

#include "tests/test.h"

#include "app/base/macros.h"
#include "leds/spell.h"
#include "leds/terminal.h"

/* ES-03, as the first program's manual has it. */
static const struct { const char *text, *digits, *pixels; } symbols[] = {
    { "0", "blue", "...BB..." },
    { "1", "blue", "B......." },
    { "2", "blue", "BB......" },
    { "3", "blue", "BBB....." },
    { "4", "blue", "BBBB...." },
    { "5", "blue", "BBBBB..." },
    { "6", "blue", "BBBBBB.." },
    { "7", "blue", "BBBBBBB." },
    { "8", "blue", "BBBBBBBB" },
    { "9", "blue", "BBB..BBB" },
    { ".", "blue", "W......W" },
    { "3", "red",  "RRR....." },
    { "0", "red",  "...RR..." },
};

/* The letters of what is shown then. */
static const char *look(const char *text, enum colour digits, uint64_t elapsed_ms, uint64_t *ret_rest_ms)
{
    static char letters[BLINKT_PIXELS + 1];
    enum colour colours[BLINKT_PIXELS];

    spell_look(text, digits, elapsed_ms, colours, ret_rest_ms);
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        struct pixel pixel = indicator_pixel(colours[i]);

        letters[i] = terminal_letter(&pixel);
    }
    return letters;
}

static void test_each_symbol_is_that_of_the_first_program(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
        enum colour digits = strcmp(symbols[i].digits, "red") == 0 ? COLOUR_RED : COLOUR_BLUE;
        uint64_t rest_ms;

        CHECK_STR(look(symbols[i].text, digits, SPELL_EDGE_MS, &rest_ms), symbols[i].pixels);
    }
}

/* ES-04: 2 s a digit, 3 s a dot, and 0.3 s dark between, which its code did not have. */
static void test_an_address_is_symbol_after_symbol_with_dark_between(void)
{
    static const struct { uint64_t ms; const char *pixels; } steps[] = {
        { 2000, "........" }, { 2000, "B......." }, { 300, "........" }, { 2000, "B......." }, { 300, "........" },
        { 3000, "W......W" }, { 300, "........" }, { 2000, "BBB..BBB" }, { 2000, "........" },
    };
    uint64_t at_ms = 0, rest_ms;

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        CHECK_STR(look("11.9", COLOUR_BLUE, at_ms, &rest_ms), steps[i].pixels);
        CHECK_EQ(rest_ms, steps[i].ms);
        CHECK_STR(look("11.9", COLOUR_BLUE, at_ms + steps[i].ms - 1, &rest_ms), steps[i].pixels);
        CHECK_EQ(rest_ms, 1);
        at_ms += steps[i].ms;
    }
    CHECK_EQ(spell_length_ms("11.9"), at_ms);
    CHECK_STR(look("11.9", COLOUR_BLUE, at_ms, &rest_ms), "........");
    CHECK_EQ(rest_ms, 0);
    CHECK_STR(look("11.9", COLOUR_BLUE, UINT64_MAX, &rest_ms), "........");
    CHECK_EQ(rest_ms, 0);
    CHECK_EQ(spell_length_ms("255.255.255.255"), 2000 + 12 * 2000 + 3 * 3000 + 14 * 300 + 2000);
}

static void test_what_was_interrupted_goes_on_with_that_symbol(void)
{
    // 2000 lead, "1" until 4000, gap until 4300, dot until 7300, gap until 7600, "2" until 9600
    static const struct { uint64_t elapsed_ms, resume_ms; } cases[] = {
        { 0, 0 }, { 2500, 0 }, { 2999, 0 }, { 3000, 4000 }, { 4000, 4000 }, { 4100, 4000 }, { 5799, 4000 },
        { 5800, 7300 }, { 7599, 7300 }, { 8599, 7300 }, { 8600, 9600 }, { 9600, 9600 }, { 99999, 9600 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(spell_resume_ms("1.2", cases[i].elapsed_ms), cases[i].resume_ms);
    }
}

static void test_only_digits_and_dots_can_be_spelled(void)
{
    CHECK(spell_can("192.168.178.123"));
    CHECK(spell_can("7"));
    CHECK(spell_can("255.255.255.255"));
    CHECK(!spell_can(""));
    CHECK(!spell_can("255.255.255.2550"));
    CHECK(!spell_can("fe80::1"));
    CHECK(!spell_can("1.2.3.4 "));
    CHECK(!spell_can("-1"));
}

TESTS(test_each_symbol_is_that_of_the_first_program, test_an_address_is_symbol_after_symbol_with_dark_between,
      test_what_was_interrupted_goes_on_with_that_symbol, test_only_digits_and_dots_can_be_spelled)
