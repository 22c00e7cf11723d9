/* SPDX-License-Identifier: MIT */

/*
 * meterstick leds: reads what the other programs say of themselves and shows it as eight lights. It owns nothing,
 * asks nobody and waits for nobody: a program that falls silent turns its own light.
 */

#include "app/leds/lights.h"

#include "app/base/exit.h"

struct leds_options {
    struct options common;
    bool blinkt, terminal, farewell;
    const char *record;
    uint64_t read_outs;
};

static const struct option_spec specs[] = {
    { "terminal", NULL, OPTION_FLAG, offsetof(struct leds_options, terminal), NULL,
      "draw the lights in this terminal instead", 0, 0 },
    { "record", NULL, OPTION_TEXT, offsetof(struct leds_options, record), "FILE",
      "append each frame to a file instead, a JSON line each", 0, 0 },
    { "blinkt", NULL, OPTION_FLAG, offsetof(struct leds_options, blinkt), NULL,
      "drive the Blinkt as well", 0, 0 },
    { "read-outs", NULL, OPTION_UNSIGNED, offsetof(struct leds_options, read_outs), "N",
      "how often the address is read out at the start (2)", 0, 10 },
    { "farewell", NULL, OPTION_FLAG, offsetof(struct leds_options, farewell), NULL,
      "leave pixel 0 red and the others dark, and end", 0, 0 },
};

static const struct verb_usage usage = {
    .verb = "leds",
    .synopsis = "[--terminal] [--record FILE] [--blinkt] [--farewell]",
    .summary = "Show the state of the appliance as eight lights, on a Blinkt.",
    .specs = specs,
    .spec_count = ARRAY_SIZE(specs),
};

int main(int argc, char **argv)
{
    struct leds_options options = { .read_outs = 2 };
    struct lights_setup setup;
    int r;

    r = options_parse(&usage, argc - 1, argv + 1, &options);
    if (r != 0) {
        return r < 0 ? EXIT_USAGE : EXIT_OK;
    }

    setup = (struct lights_setup){
        .options = &options.common,
        .blinkt = options.blinkt || (!options.terminal && !options.record),
        .terminal = options.terminal,
        .record = options.record,
        .read_outs = (unsigned) options.read_outs,
    };
    if (options.farewell) {
        lights_farewell(&setup);
        return EXIT_OK;  // whoever stops a service without lights need not hear of a failure
    }
    return lights_run(&setup) < 0 ? EXIT_IO : EXIT_OK;
}
