/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What one may ask of a running `leds` at <run-dir>/leds.sock: one datagram a question, without a line's end, answered
 * with "ok" or "error TEXT". Pure.
 *
 *     led INDEX COLOUR    hold a pixel, 0 to 7
 *     ip [ADDRESS]        read out an address; without one the appliance's own
 */

#include "leds/spell.h"

#define QUESTION_SIZE 128      // of a question and of its answer; longer ones are refused
#define QUESTION_SOCKET "leds.sock"

enum question_kind { QUESTION_LED, QUESTION_IP };

struct question {
    enum question_kind kind;
    unsigned pixel;
    enum colour colour;
    char address[SPELL_TEXT_SIZE];  // "": its own
};

/* Errors: -EINVAL  it is none of these; *ret is untouched */
int question_parse(const char *bytes, size_t size, struct question *ret) MUST_CHECK;

/* "0" to "7", one digit. Errors: -EINVAL */
int question_pixel(const char *word, unsigned *ret) MUST_CHECK;

/* A colour as ES-07 calls it: red green blue yellow cyan magenta white off; purple is magenta. Errors: -EINVAL */
int question_colour(const char *word, enum colour *ret) MUST_CHECK;
