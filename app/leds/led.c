/* SPDX-License-Identifier: MIT */

/* meterstick led INDEX COLOUR: one light by hand (ES-07). Whatever goes wrong, the exit status is 1. */

#include "app/base/exit.h"
#include "app/leds/hand.h"
#include "app/leds/question.h"

#include <stdio.h>

#define VERB "led"

static const struct verb_usage usage = {
    .verb = VERB,
    .synopsis = "INDEX COLOUR",
    .summary = "Give light 0 to 7 a colour: red, green, blue, yellow, cyan, magenta, white or off.",
    .specs = hand_specs,
    .spec_count = 1,
    .max_arguments = 2,
};

/* No `leds` runs. The lights hear no single one of them: the others go dark. */
static int show(const struct hand_options *options, unsigned pixel, enum colour colour)
{
    enum colour colours[BLINKT_PIXELS] = { COLOUR_DARK };
    struct hand hand;
    int r;

    r = hand_begin(&hand, VERB, options);
    if (r < 0) {
        return r;
    }
    colours[pixel] = colour;
    r = hand_show(&hand, VERB, colours);
    hand_end(&hand);
    return r;
}

int main(int argc, char **argv)
{
    struct hand_options options = {};
    char question[QUESTION_SIZE];
    enum colour colour;
    unsigned pixel;
    int r;

    r = options_parse(&usage, argc - 1, argv + 1, &options);
    if (r != 0) {
        return r < 0 ? EXIT_SOMETHING_WRONG : EXIT_OK;
    }
    if (options.common.argument_count < 2) {
        (void) fprintf(stderr, "meterstick led: an index and a colour are expected, as in: meterstick led 3 green\n");
        return EXIT_SOMETHING_WRONG;
    }
    if (question_pixel(options.common.arguments[0], &pixel) < 0) {
        (void) fprintf(stderr, "meterstick led: '%s' is no light: 0 to 7 is expected\n", options.common.arguments[0]);
        return EXIT_SOMETHING_WRONG;
    }
    if (question_colour(options.common.arguments[1], &colour) < 0) {
        (void) fprintf(stderr, "meterstick led: '%s' is no colour: red, green, blue, yellow, cyan, magenta, white or "
                               "off is expected\n", options.common.arguments[1]);
        return EXIT_SOMETHING_WRONG;
    }

    (void) snprintf(question, sizeof(question), "led %u %s", pixel, options.common.arguments[1]);
    r = hand_ask(VERB, &options, question);
    if (r == 0) {
        r = show(&options, pixel, colour);
    }
    return r < 0 ? EXIT_SOMETHING_WRONG : EXIT_OK;
}
