/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Current Cost CC128/EnviR display: the messages. It only talks: 57600 8N1, one <msg> line about every 6 s and
 * sensor. Pure; the port is handled in source_currentcost.c.
 * Source: Current Cost CC128 XML description v0.11 and v0.15.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CURRENTCOST_SENSORS  10  // 0 is the whole house
#define CURRENTCOST_CHANNELS 3
#define CURRENTCOST_MAX_SIZE (12 * 1024)  // a history message has about 10 KiB...
#define CURRENTCOST_MAX_READING \
    4096  // ...and a reading under 4 KiB: beyond it, one without <hist> is noise

enum currentcost_kind {
    CURRENTCOST_NOTHING,  // no whole message yet
    CURRENTCOST_READING,
    CURRENTCOST_IMPULSE,  // a counter of impulses: no watts
    CURRENTCOST_HISTORY,  // of the display itself: not a reading
    CURRENTCOST_DAMAGED,  // a message, but not one we can believe
};

struct currentcost {
    enum currentcost_kind kind;
    const char *damage;  // "sensor", "watts", "overlong", ...: static
    char source[24];     // "CC128-v0.11"; "" if it does not say
    unsigned days_since_birth;
    int clock_s;              // the display's own clock, seconds of the day; -1 if it is nonsense
    double temperature_degc;  // NAN if there is none
    unsigned sensor;          // as sent; beyond 9 is not logged
    unsigned radio_id;
    unsigned type;                       // 1 electricity, 2 impulse
    double watts[CURRENTCOST_CHANNELS];  // NAN: no such channel
    double impulses;                     // NAN: no such counter
    double impulses_per_unit;
};

#define CURRENTCOST_PERIOD_MS 6000  // between two messages of a sensor, about

/*
 * Whether a reading still stands for its sensor: for three polls, in which it may have been missed on the radio, or
 * three periods where polls follow each other faster than messages; never beyond 30 s.
 */
bool currentcost_is_fresh(unsigned long polls_ago, uint64_t age_ms);

/*
 * Take the first message out of a stream. Returns how many bytes are done with and may be dropped (0: more must
 * come); ret->kind says what they were. Noise and halves of messages are dropped with it.
 *
 * There is no checksum, so the shape must be whole: every element closed, every number of the width that the
 * display sends. Only the display's clock and temperature may be nonsense without harm to the reading.
 */
size_t currentcost_parse(const char *bytes, size_t size, struct currentcost *ret);
