// SPDX-License-Identifier: MIT
// link: ms_lights
// share: 50
//
// A datagram of anybody who may ask the lights.

#include "app/leds/question.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct question question;

    if (question_parse((const char *) data, size, &question) < 0) {
        return 0;
    }
    assert(size <= QUESTION_SIZE);
    assert(question.pixel < BLINKT_PIXELS);
    assert(question.colour <= COLOUR_WHITE);
    assert(!*question.address || spell_can(question.address));
    return 0;
}
