/* SPDX-License-Identifier: MIT */
#include "tests/lock/observer.h"

#include <stdio.h>
#include <stdlib.h>

static void overlap(struct observer *observer, enum talker_kind one, enum talker_kind other)
{
    if (one == TALKER_OURS && other == TALKER_OURS) {
        observer->overlaps_ours++;
    } else {
        observer->overlaps++;
    }
}

/* It is over, with its own end or by death at at_us: whoever began before that talked at the same time. */
static void close_frame(struct observer *observer, struct talker *talker, uint64_t at_us)
{
    if (talker->suspect_us > 0 && talker->suspect_us < at_us) {
        fprintf(stderr, "overlap: another began at %llu us, while %u (kind %d) was talking\n",
                (unsigned long long) talker->suspect_us, talker->pid, talker->kind);
        overlap(observer, talker->kind, talker->suspect);
    }
    talker->suspect_us = 0;
    talker->talking = false;
    if (talker->kind == TALKER_OURS) {
        observer->silent_since_us = at_us;
    }
}

static void note_silence(struct observer *observer, uint64_t at_us)
{
    uint32_t *more;

    if (observer->silence_count == observer->silence_capacity) {
        observer->silence_capacity = observer->silence_capacity * 2 + 1024;
        more = realloc(observer->silences_us, observer->silence_capacity * sizeof(*more));
        if (!more) {
            abort();
        }
        observer->silences_us = more;
    }
    if (observer->silent_since_us > 0 && at_us > observer->silent_since_us) {
        observer->silences_us[observer->silence_count++] = (uint32_t) (at_us - observer->silent_since_us);
    }
    observer->silent_since_us = 0;
}

static void begin(struct observer *observer, const struct heard *heard)
{
    struct talker *talker = &observer->talkers[heard->slot];

    for (size_t i = 0; i < OBSERVER_TALKERS; i++) {
        struct talker *other = &observer->talkers[i];

        // it may be dead already and nobody has told us yet: wait for its end, or for its burial
        if (other->talking && other != talker && other->suspect_us == 0) {
            other->suspect_us = heard->at_us;
            other->suspect = heard->kind;
        }
    }
    *talker = (struct talker){ .pid = heard->pid, .kind = heard->kind, .talking = true };
    observer->frames[heard->kind]++;
    if (heard->kind == TALKER_OURS) {
        observer->dirty += heard->dirty;
        note_silence(observer, heard->at_us);
    }
}

void observer_hear(struct observer *observer, const struct heard *heard)
{
    struct talker *talker;

    if (heard->slot >= OBSERVER_TALKERS || heard->kind > TALKER_CLIENT) {
        abort();
    }
    talker = &observer->talkers[heard->slot];
    switch (heard->what) {
    case 'B':
        begin(observer, heard);
        break;
    case 'E':
    case 'K':
        if (talker->talking && talker->pid == heard->pid) {
            observer->killed_talking += heard->what == 'K';
            // whoever began before this talker had ended talked at the same time, and was heard before
            close_frame(observer, talker, heard->what == 'E' ? UINT64_MAX : heard->at_us);
            if (talker->kind == TALKER_OURS) {
                observer->silent_since_us = heard->at_us;
            }
        }
        break;
    case 'G':
        observer->guesses++;
        break;
    case 'T':
        observer->timeouts += heard->kind == TALKER_OURS;
        break;
    default:
        abort();
    }
}

void observer_bury(struct observer *observer, unsigned slot, uint64_t at_us)
{
    struct talker *talker = &observer->talkers[slot];

    if (talker->talking) {
        observer->killed_talking++;
        close_frame(observer, talker, at_us);
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

    return (x > y) - (x < y);
}

uint32_t observer_silence_us(struct observer *observer, double of_1000)
{
    size_t index;

    if (observer->silence_count == 0) {
        return UINT32_MAX;
    }
    qsort(observer->silences_us, observer->silence_count, sizeof(uint32_t), compare);
    index = (size_t) ((double) observer->silence_count * of_1000 / 1000);
    if (index >= observer->silence_count) {
        index = observer->silence_count - 1;
    }
    return observer->silences_us[index];
}
