/* SPDX-License-Identifier: MIT */
#include "app/acquire/clock_state.h"

#include "app/base/clock.h"
#include "app/base/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define STEP_MS          100    // less is the two clocks not being read at one instant
#define DRIFT_PER_MS     (50 / 1e6)
#define ERROR_NTP_MS     100
#define ERROR_RTC_MS     2000   // an RTC counts whole seconds, and so does a person
#define YEAR_MS          (INT64_C(31557600) * 1000)
#define RTC_COUNT        4

/*
 * A clock that a person or a battery set is believed only between the last known row and five years past it, or past
 * what we know since. That is no lower bound: what was known by less than NTP may be set back.
 */
static bool is_plausible(const struct clock_facts *facts)
{
    return facts->wall_ms >= facts->build_ms && facts->wall_ms >= facts->last_known_ms
           && (facts->newest_known_ms == 0 || facts->wall_ms <= facts->newest_known_ms + 5 * YEAR_MS);
}

enum clock_quality clock_letter(const struct clock_facts *facts)
{
    if (facts->trusted || facts->synchronised) {
        return CLOCK_NTP;
    }
    if (facts->wall_ms < facts->build_ms) {
        return CLOCK_UNKNOWN;
    }
    if (!is_plausible(facts)) {
        return CLOCK_ESTIMATED;
    }
    if (facts->stepped) {
        return CLOCK_RTC;
    }
    if (facts->was_synchronised) {
        return CLOCK_HELD;
    }
    if (facts->rtc) {
        return CLOCK_RTC;
    }
    return facts->was_known ? CLOCK_HELD : CLOCK_ESTIMATED;
}

int64_t clock_error_ms(enum clock_quality quality, uint64_t since_synchronised_ms)
{
    switch (quality) {
    case CLOCK_NTP:
        return ERROR_NTP_MS;
    case CLOCK_HELD:
        return ERROR_NTP_MS + (int64_t) ((double) since_synchronised_ms * DRIFT_PER_MS);
    case CLOCK_RTC:
        return ERROR_RTC_MS;
    case CLOCK_ESTIMATED:
    case CLOCK_UNKNOWN:
    case CLOCK_CORRECTED:
        break;
    }
    return -1;
}

void clock_state_init(struct clock_state *ret, bool trusted, bool rtc, int64_t last_known_ms,
                      enum clock_quality known_earlier, int64_t build_ms)
{
    *ret = (struct clock_state){
        .facts = { .trusted = trusted,
                   .rtc = rtc,
                   .was_known = clock_quality_known(known_earlier),
                   .was_synchronised = known_earlier == CLOCK_NTP || known_earlier == CLOCK_HELD,
                   .last_known_ms = last_known_ms,
                   .newest_known_ms = last_known_ms,
                   .build_ms = build_ms },
    };
    clock_boot_id(ret->epoch.boot_id);
}

void clock_state_trust(struct clock_state *state, bool trusted)
{
    state->facts.trusted = trusted;
    state->facts.was_known |= state->begun && clock_quality_known(state->epoch.source);
}

void clock_state_hear(struct clock_state *state, bool synchronised)
{
    state->facts.synchronised = synchronised;
}

bool clock_state_look(struct clock_state *state, uint64_t boot_ms, int64_t wall_ms)
{
    struct clock_facts *facts = &state->facts;
    int64_t zero_ms = wall_ms - (int64_t) boot_ms;
    bool stepped = state->begun
                   && (zero_ms > state->epoch.wall_ms + STEP_MS || zero_ms < state->epoch.wall_ms - STEP_MS);
    enum clock_quality letter;

    facts->wall_ms = wall_ms;
    if (stepped) {
        facts->stepped = true;  // by NTP or by a person: NTP is who will say so
        facts->synchronised = false;
    } else if (facts->synchronised) {
        facts->was_synchronised = true;
        facts->stepped = false;
        state->synchronised_boot_ms = boot_ms;
    }

    letter = clock_letter(facts);
    if (clock_quality_known(letter)) {
        facts->newest_known_ms = wall_ms;
    }
    if (state->begun && !stepped && letter == state->epoch.source) {
        return false;
    }

    state->begun = true;
    state->epoch.number = 0;
    state->epoch.wall_ms = zero_ms;
    state->epoch.source = letter;
    state->epoch.error_ms = clock_error_ms(letter, boot_ms - state->synchronised_boot_ms);
    return true;
}

void clock_read_pair(uint64_t *ret_boot_ms, int64_t *ret_wall_ms)
{
    uint64_t before_ms, after_ms = clock_boot_ms();

    do {
        before_ms = after_ms;
        *ret_wall_ms = clock_wall_ms();
        after_ms = clock_boot_ms();
    } while (after_ms > before_ms + 1);  // we were interrupted in between
    *ret_boot_ms = before_ms;
}

bool clock_rtc_set_it(const char *root)
{
    for (unsigned i = 0; i < RTC_COUNT; i++) {
        auto_free char *text = NULL;
        char path[PATH_SIZE];
        size_t size;

        if (snprintf(path, sizeof(path), "%s/sys/class/rtc/rtc%u/hctosys", root, i) >= (int) sizeof(path)) {
            return false;
        }
        if (file_read(path, LABEL_SIZE, &text, &size) == 0 && text[0] == '1') {
            return true;
        }
    }
    return false;
}
