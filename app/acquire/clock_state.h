/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How well the wall time is known, and when an epoch begins. The letter is pure: a function of
 * facts. An epoch is a stretch in which wall minus boot clock stands still: the kernel slews both alike, so only a
 * step moves it.
 */

#include "app/journal/journal.h"

#include <stdbool.h>
#include <stdint.h>

/* What is known about the wall clock at one moment. */
struct clock_facts {
    bool trusted;            // clock = trusted
    bool synchronised;       // timedate1: NTPSynchronized, said since the last step
    bool was_known;          // earlier in this boot: by NTP, an RTC or a person
    bool was_synchronised;   // since we run, or before in this boot
    bool rtc;                // an RTC set it at boot
    bool stepped;            // a person stepped it, since it was last synchronised
    int64_t wall_ms;
    int64_t last_known_ms;   // of the last committed row whose time is known, when we began; 0: none
    int64_t newest_known_ms; // that, or the last moment since at which the time was known
    int64_t build_ms;        // no clock can be right that is before it
};

enum clock_quality clock_letter(const struct clock_facts *facts);

/* How wrong a clock of that letter may be, so long after it was last synchronised; -1: by any amount. */
int64_t clock_error_ms(enum clock_quality quality, uint64_t since_synchronised_ms);

struct clock_state {
    struct clock_facts facts;
    uint64_t synchronised_boot_ms;   // when it last was; 0: never
    bool begun;                      // an epoch is open
    struct epoch epoch;
};

/* The facts that do not change while the program runs. last_known_ms and known_earlier come from the journal. */
void clock_state_init(struct clock_state *ret, bool trusted, bool rtc, int64_t last_known_ms,
                      enum clock_quality known_earlier, int64_t build_ms);

/* clock = trusted, or no longer: what was known until now is "earlier in this boot". */
void clock_state_trust(struct clock_state *state, bool trusted);

/* What timedate1 says now. It counts from the next look on, until a step: that makes it old news. */
void clock_state_hear(struct clock_state *state, bool synchronised);

/* Look at both clocks. Returns true if a new epoch begins: state->epoch is it. The first look always begins one. */
bool clock_state_look(struct clock_state *state, uint64_t boot_ms, int64_t wall_ms);

/* Both clocks at one instant: a wall time read between two equal boot times. */
void clock_read_pair(uint64_t *ret_boot_ms, int64_t *ret_wall_ms);

/* Whether an RTC set the clock at boot: the hctosys files of <root>/sys/class/rtc. */
bool clock_rtc_set_it(const char *root);
