/* SPDX-License-Identifier: MIT */
#include "app/leds/question.h"

#include "app/base/text.h"

#include <errno.h>
#include <string.h>

static const struct {
    const char *name;
    enum colour colour;
} colours[] = {
    { "blue",    COLOUR_BLUE },
    { "cyan",    COLOUR_CYAN },
    { "green",   COLOUR_GREEN },
    { "magenta", COLOUR_PURPLE },
    { "off",     COLOUR_DARK },
    { "purple",  COLOUR_PURPLE },
    { "red",     COLOUR_RED },
    { "white",   COLOUR_WHITE },
    { "yellow",  COLOUR_YELLOW },
};

int question_pixel(const char *word, unsigned *ret)
{
    if (word[0] < '0' || word[0] >= '0' + BLINKT_PIXELS || word[1] != '\0') {
        return -EINVAL;
    }
    *ret = (unsigned) (word[0] - '0');
    return 0;
}

int question_colour(const char *word, enum colour *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(colours); i++) {
        if (text_equal(colours[i].name, word)) {
            *ret = colours[i].colour;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_led(char *rest, struct question *ret)
{
    int r;

    ret->kind = QUESTION_LED;
    r = question_pixel(text_word(&rest), &ret->pixel);
    if (r < 0) {
        return r;
    }
    r = question_colour(text_word(&rest), &ret->colour);
    if (r < 0) {
        return r;
    }
    return *text_word(&rest) ? -EINVAL : 0;
}

static int parse_ip(char *rest, struct question *ret)
{
    const char *address = text_word(&rest);

    ret->kind = QUESTION_IP;
    if (*address && !spell_can(address)) {
        return -EINVAL;
    }
    if (text_copy(ret->address, sizeof(ret->address), address) < 0) {
        return -EINVAL;
    }
    return *text_word(&rest) ? -EINVAL : 0;
}

int question_parse(const char *bytes, size_t size, struct question *ret)
{
    char text[QUESTION_SIZE + 1], *rest = text;
    struct question question = {};
    const char *verb;
    int r;

    if (size > QUESTION_SIZE || memchr(bytes, '\0', size)) {
        return -EINVAL;
    }
    memcpy(text, bytes, size);
    text[size] = '\0';

    verb = text_word(&rest);
    if (text_equal(verb, "led")) {
        r = parse_led(rest, &question);
    } else if (text_equal(verb, "ip")) {
        r = parse_ip(rest, &question);
    } else {
        r = -EINVAL;
    }
    if (r < 0) {
        return r;
    }

    *ret = question;
    return 0;
}
