/* SPDX-License-Identifier: MIT */
#include "app/acquire/absence.h"

#include "app/acquire/health.h"

#define HOUR_S        3600
#define MINUTE_US     UINT64_C(60000000)
#define HOUR_US       UINT64_C(3600000000)
#define MICROSECONDS  UINT64_C(1000000)

void absence_init(struct absence *ret, uint64_t slice)
{
    *ret = (struct absence){ .next_slice = slice };
}

/* Whether there may be one more `missed` within the hour; if so, it is remembered. */
static bool may_tell_missed(struct absence *absence, uint64_t now_us)
{
    uint32_t now_s = (uint32_t) (now_us / MICROSECONDS) + 1;
    uint32_t *oldest = &absence->missed_s[absence->missed_count % ABSENCE_PER_HOUR];

    if (*oldest != 0 && now_s - *oldest < HOUR_S) {
        return false;
    }
    *oldest = now_s;
    absence->missed_count++;
    return true;
}

static void tell_flapping(struct absence *absence, uint64_t now_us, struct absence_news *ret)
{
    ret->flapping = true;
    ret->silences = absence->silences;
    ret->silent_slices = absence->silent_slices;
    ret->flapping_us = now_us - absence->since_us;
    absence->silences = 0;
    absence->silent_slices = 0;
    absence->since_us = 0;
}

static void fold(struct absence *absence, unsigned silences, uint64_t slices, uint64_t now_us)
{
    absence->silences += silences;
    absence->silent_slices += slices;
    absence->since_us = absence->since_us ? absence->since_us : now_us;
}

static void skip(struct absence *absence, uint64_t slices, uint64_t now_us)
{
    if (absence->skipped_slices == 0) {
        absence->skipped_due_us = MAX(absence->skipped_due_us, now_us + MINUTE_US);
    }
    absence->skipped_slices += slices;
}

static void tell_what_is_due(struct absence *absence, uint64_t now_us, struct absence_news *ret)
{
    if (absence->since_us != 0 && now_us >= absence->since_us + MINUTE_US) {
        tell_flapping(absence, now_us, ret);
    }
    if (absence->skipped_slices > 0 && now_us >= absence->skipped_due_us) {
        ret->skipped_slices = absence->skipped_slices;
        absence->skipped_slices = 0;
        absence->skipped_due_us = now_us + HOUR_US;
    }
}

void absence_update(struct absence *absence, unsigned change, uint64_t slice, bool row, uint64_t now_us,
                    struct absence_news *ret)
{
    uint64_t between = row && slice > absence->next_slice ? slice - absence->next_slice : 0;

    *ret = (struct absence_news){ 0 };
    if (change & HEALTH_MISSED) {
        absence->folded = !may_tell_missed(absence, now_us);
        ret->missed = !absence->folded;
    }
    if (change & HEALTH_MISSED && absence->folded) {
        fold(absence, 1, 0, now_us);
    }
    ret->lost = change & HEALTH_LOST && !absence->folded;

    if (row) {
        absence->next_slice = MAX(absence->next_slice, slice + 1);
    }
    if (change & HEALTH_BACK && absence->folded) {
        fold(absence, 0, between, now_us);
        absence->folded = false;
    } else if (change & HEALTH_BACK) {
        ret->back = true;
        ret->back_slices = between;
    } else if (between > 0) {
        skip(absence, between, now_us);
    }
    tell_what_is_due(absence, now_us, ret);
}

void absence_end(struct absence *absence, bool is_missing, uint64_t slice, uint64_t now_us, struct absence_news *ret)
{
    uint64_t open = slice - MIN(absence->next_slice, slice);

    *ret = (struct absence_news){ 0 };
    if (is_missing) {
        ret->missing_slices = open;
    } else {
        absence->skipped_slices += open;
    }
    if (absence->since_us != 0) {
        tell_flapping(absence, now_us, ret);
    }
    ret->skipped_slices = absence->skipped_slices;
    absence->skipped_slices = 0;
    absence->next_slice = MAX(absence->next_slice, slice);
}
