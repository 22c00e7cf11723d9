/* SPDX-License-Identifier: MIT */

/* meterstick ip [ADDRESS]: have an address read out by the lights. Without lights the exit status is 1 (ES-06). */

#include "app/base/exit.h"
#include "app/leds/address.h"
#include "app/leds/hand.h"
#include "app/leds/question.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define VERB "ip"

static const struct verb_usage usage = {
    .verb = VERB,
    .synopsis = "[ADDRESS]",
    .summary = "Have the lights read out this machine's address, or whatever 1 to 15 digits and dots are given.",
    .specs = hand_specs,
    .spec_count = 1,
    .max_arguments = 1,
};

/* Returns false if a signal wants it to end. */
static bool wait_ms(const sigset_t *signals, uint64_t ms)
{
    struct timespec timeout = { .tv_sec = (time_t) (ms / 1000), .tv_nsec = (long) (ms % 1000) * 1000000 };

    return sigtimedwait(signals, NULL, &timeout) < 0;
}

/* Each picture for its time at least: on a busy machine it takes longer, and the dark between two is still seen. */
static int play(struct hand *hand, const char *text)
{
    enum colour colours[BLINKT_PIXELS];
    uint64_t elapsed_ms = 0, rest_ms;
    bool goes_on = true;
    sigset_t signals;
    int r;

    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGTERM);
    (void) sigaddset(&signals, SIGINT);
    (void) sigaddset(&signals, SIGHUP);
    (void) sigprocmask(SIG_BLOCK, &signals, NULL);
    do {
        spell_look(text, COLOUR_BLUE, elapsed_ms, colours, &rest_ms);
        if (!goes_on) {
            memset(colours, 0, sizeof(colours));
        }
        r = hand_show(hand, VERB, colours);
        if (r < 0 || rest_ms == 0 || !goes_on) {
            return r;
        }
        goes_on = wait_ms(&signals, rest_ms);
        elapsed_ms += rest_ms;
    } while (true);
}

int main(int argc, char **argv)
{
    struct hand_options options = {};
    char question[QUESTION_SIZE], own[ADDRESS_TEXT_SIZE];
    const char *address;
    struct hand hand;
    int r;

    r = options_parse(&usage, argc - 1, argv + 1, &options);
    if (r != 0) {
        return r < 0 ? EXIT_USAGE : EXIT_OK;
    }
    address = options.common.argument_count > 0 ? options.common.arguments[0] : NULL;
    if (address && !spell_can(address)) {
        (void) fprintf(stderr, "meterstick ip: '%s' cannot be read out: 1 to 15 digits and dots are expected\n",
                       address);
        return EXIT_USAGE;
    }

    (void) snprintf(question, sizeof(question), address ? "ip %s" : "ip", address);
    r = hand_ask(VERB, &options, question);
    if (r == 0 && !address) {
        r = address_find(own);
        address = own;
        if (r < 0) {
            (void) fprintf(stderr, "meterstick ip: the kernel does not tell the address: %s\n", strerror(-r));
        }
        r = 0;
    }
    if (r == 0) {
        r = hand_begin(&hand, VERB, &options);
        if (r >= 0) {
            r = play(&hand, address);
            hand_end(&hand);
        }
    }
    return r < 0 ? EXIT_SOMETHING_WRONG : EXIT_OK;
}
