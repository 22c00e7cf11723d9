/* SPDX-License-Identifier: MIT */
// link: ms_lights

/* What one may ask the running lights. */

#include "tests/test.h"

#include "app/base/macros.h"
#include "app/leds/question.h"

#include <errno.h>

static int parse(const char *text, struct question *ret)
{
    return question_parse(text, strlen(text), ret);
}

static void test_a_light_is_asked_for_by_number_and_colour(void)
{
    static const struct {
        const char *text;
        unsigned pixel;
        enum colour colour;
    } cases[] = {
        { "led 0 red", 0, COLOUR_RED },         { "led 7 green", 7, COLOUR_GREEN },
        { "led 1 blue", 1, COLOUR_BLUE },       { "led 2 yellow", 2, COLOUR_YELLOW },
        { "led 3 cyan", 3, COLOUR_CYAN },       { "led 4 magenta", 4, COLOUR_PURPLE },
        { "led 5 white", 5, COLOUR_WHITE },     { "led 6 off", 6, COLOUR_DARK },
        { "led 6 purple", 6, COLOUR_PURPLE },   { "  led  6\tpurple ", 6, COLOUR_PURPLE },
    };
    struct question question;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(parse(cases[i].text, &question), 0);
        CHECK_EQ(question.kind, QUESTION_LED);
        CHECK_EQ(question.pixel, cases[i].pixel);
        CHECK_EQ(question.colour, cases[i].colour);
    }
}

static void test_an_address_is_asked_for_or_the_own_one(void)
{
    struct question question;

    CHECK_EQ(parse("ip", &question), 0);
    CHECK_EQ(question.kind, QUESTION_IP);
    CHECK_STR(question.address, "");
    CHECK_EQ(parse("ip 255.255.255.255", &question), 0);
    CHECK_STR(question.address, "255.255.255.255");
}

static void test_anything_else_is_no_question(void)
{
    static const char *const cases[] = {
        "", " ", "led", "led 1", "led 8 red", "led -1 red", "led 01 red", "led 1 Red", "led 1 red red", "led 1 bleu",
        "led 1red", "ip 1.2.3.4 1", "ip 255.255.255.2555", "ip ::1", "ip a", "ip 1,2", "IP", "ipp", "led 1 re\xff",
    };
    struct question question = { .pixel = 5 };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(parse(cases[i], &question), -EINVAL);
    }
    CHECK_EQ(question.pixel, 5);
}

static void test_what_is_too_long_or_has_a_nul_is_no_question(void)
{
    char bytes[200];
    struct question question;

    memset(bytes, ' ', sizeof(bytes));
    memcpy(bytes, "ip", 2);
    CHECK_EQ(question_parse(bytes, QUESTION_SIZE, &question), 0);
    CHECK_EQ(question_parse(bytes, QUESTION_SIZE + 1, &question), -EINVAL);
    CHECK_EQ(question_parse(bytes, sizeof(bytes), &question), -EINVAL);
    CHECK_EQ(question_parse("ip\0", 3, &question), -EINVAL);
}

TESTS(test_a_light_is_asked_for_by_number_and_colour, test_an_address_is_asked_for_or_the_own_one,
      test_anything_else_is_no_question, test_what_is_too_long_or_has_a_nul_is_no_question)
