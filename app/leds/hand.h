/* SPDX-License-Identifier: MIT */
#pragma once

/* What the commands `led` and `ip` have in common: the lights by hand. */

#include "app/base/options.h"
#include "app/leds/lamp.h"
#include "app/leds/record.h"

struct hand_options {
    struct options common;
    const char *record;  // frames go there, and nobody is asked
};

extern const struct option_spec hand_specs[1];

/* Where frames go when no `leds` runs. */
struct hand {
    bool blinkt;
    struct lamp lamp;
    struct record record;
    uint8_t brightness;  // as configured
};

/*
 * Have a running `leds` do it, if there is one.
 * Returns 1 if it does, 0 if the caller has to do it itself, -EPROTO if it cannot be done, as was told
 */
int hand_ask(const char *verb, const struct hand_options *options, const char *question) MUST_CHECK;

/* Errors: those of the record, told */
int hand_begin(struct hand *hand, const char *verb, const struct hand_options *options) MUST_CHECK;

/* Show these colours. Errors: those of the Blinkt, told */
int hand_show(struct hand *hand, const char *verb, const enum colour colours[static BLINKT_PIXELS]) MUST_CHECK;

void hand_end(struct hand *hand);
