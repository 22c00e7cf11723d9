/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who is on the line, judged by what is heard there and by nothing else: each talker sends a frame that says when it
 * begins and one that says when it ends. The observer knows of no semaphore and no lock. A frame that begins while
 * another is open is an overlap, unless the talker of the open one was killed before.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OBSERVER_TALKERS 64

enum talker_kind { TALKER_OURS, TALKER_CLIENT };

/* One message on the line, written at once: a pipe keeps them whole and in order. client.py writes it, too. */
struct heard {
    uint64_t at_us;  // monotonic
    uint32_t pid;
    uint8_t what;    // 'B' begins, 'E' ends, 'K' dies now by its own hand, 'G' takes by patience, 'T' timed out
    uint8_t slot;
    uint8_t kind;    // enum talker_kind
    uint8_t dirty;   // of 'B': the one before died
};

struct talker {
    uint32_t pid;
    enum talker_kind kind;
    bool talking;
    uint64_t suspect_us;         // somebody began while this one talked; 0: nobody
    enum talker_kind suspect;
};

struct observer {
    struct talker talkers[OBSERVER_TALKERS];
    unsigned long frames[2];     // by kind
    unsigned long overlaps_ours; // both are ours
    unsigned long overlaps;      // one is not
    unsigned long dirty;         // began after one that died
    unsigned long guesses;
    unsigned long timeouts;      // of ours
    unsigned long killed_talking;
    uint64_t silent_since_us;    // since then nobody of ours talked; 0: somebody does, or nobody did yet
    uint32_t *silences_us;
    size_t silence_count, silence_capacity;
};

void observer_hear(struct observer *observer, const struct heard *heard);

/* That talker was killed, not before at_us; all that it said was heard. */
void observer_bury(struct observer *observer, unsigned slot, uint64_t at_us);

/* The silence of ours that so many of 1000 do not exceed; 1000: the longest. Sorts them. */
uint32_t observer_silence_us(struct observer *observer, double of_1000);
