/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/absence.h"
#include "app/acquire/health.h"

#include <errno.h>
#include <string.h>

#define S    1000000ull
#define HOUR (3600 * S)

/* A meter, polled once a slice; what its events told. */
struct rig {
    struct absence absence;
    struct health health;
    struct absence_news news;
    uint64_t rows, told, events[5];  // missed, back, flapping, skipped, missing
    uint64_t last_flapping_us, least_flapping_us;
};

static void count_news(struct rig *rig, uint64_t now_us)
{
    const struct absence_news *news = &rig->news;

    rig->told += news->back_slices + news->silent_slices + news->skipped_slices + news->missing_slices;
    rig->events[0] += news->missed;
    rig->events[1] += news->back;
    rig->events[2] += news->flapping;
    rig->events[3] += news->skipped_slices > 0;
    rig->events[4] += news->missing_slices > 0;
    CHECK(news->back || news->back_slices == 0);
    CHECK(news->flapping || news->silent_slices == 0);
    if (news->flapping) {
        rig->least_flapping_us = MIN(rig->least_flapping_us, now_us - rig->last_flapping_us);
        rig->last_flapping_us = now_us;
    }
}

static void start(struct rig *rig, uint64_t slice)
{
    *rig = (struct rig){ .health = { .state = HEALTH_NEW }, .least_flapping_us = UINT64_MAX };
    absence_init(&rig->absence, slice);
}

static void poll_meter(struct rig *rig, uint64_t slice, bool row, uint64_t now_us)
{
    unsigned change = health_result(&rig->health, row ? 0 : -ETIMEDOUT, now_us);

    rig->rows += row;
    absence_update(&rig->absence, change, slice, row, now_us, &rig->news);
    count_news(rig, now_us);
}

static void end(struct rig *rig, uint64_t slice, uint64_t now_us)
{
    absence_end(&rig->absence, rig->health.missing, slice, now_us, &rig->news);
    count_news(rig, now_us);
}

static void test_back_counts_all_slices_between_two_rows(void)
{
    struct rig rig;

    start(&rig, 0);
    poll_meter(&rig, 0, true, 0);
    poll_meter(&rig, 1, false, 10 * S);
    CHECK(rig.news.missed && !rig.news.lost && !rig.news.back);
    poll_meter(&rig, 2, false, 20 * S);
    CHECK(!rig.news.missed && !rig.news.lost);
    poll_meter(&rig, 3, false, 30 * S);
    CHECK(rig.news.lost);
    poll_meter(&rig, 8, false, 80 * S);
    CHECK(!rig.news.missed && !rig.news.lost);
    poll_meter(&rig, 12, true, 120 * S);
    CHECK(rig.news.back);
    CHECK_EQ(rig.news.back_slices, 11);
    poll_meter(&rig, 13, true, 130 * S);
    CHECK(!rig.news.back);
    end(&rig, 14, 140 * S);
    CHECK_EQ(rig.rows + rig.told, 14);
}

static void test_a_meter_that_answers_first_in_a_later_slice_has_its_slices_told(void)
{
    struct rig rig;

    start(&rig, 100);  // its bus began anew in the middle of things
    poll_meter(&rig, 100, false, 0);
    CHECK(rig.news.missed && rig.news.lost);
    poll_meter(&rig, 105, true, 50 * S);
    CHECK_EQ(rig.news.back_slices, 5);
    end(&rig, 106, 60 * S);
    CHECK_EQ(rig.rows + rig.told, 6);
}

static void test_slices_for_which_there_was_no_time_are_told_at_most_once_an_hour(void)
{
    struct rig rig;
    uint64_t slice = 0;

    start(&rig, 0);
    for (; slice < 3 * 3600; slice += 3) {  // for three hours each third slice of 1 s has a row
        poll_meter(&rig, slice, true, slice * S);
        CHECK(rig.news.skipped_slices == 0 || slice >= 60);
    }
    CHECK(rig.events[3] >= 3 && rig.events[3] <= 4);
    CHECK_EQ(rig.events[0] + rig.events[1] + rig.events[2], 0);
    end(&rig, slice, slice * S);
    CHECK_EQ(rig.rows + rig.told, slice);
}

static void test_a_meter_that_ends_silent_has_the_rest_told(void)
{
    struct rig rig;

    start(&rig, 0);
    poll_meter(&rig, 0, true, 0);
    for (uint64_t slice = 1; slice < 9; slice++) {
        poll_meter(&rig, slice, false, slice * S);
    }
    end(&rig, 9, 9 * S);
    CHECK_EQ(rig.news.missing_slices, 8);
    CHECK_EQ(rig.rows + rig.told, 9);
    end(&rig, 9, 9 * S);
    CHECK_EQ(rig.news.missing_slices, 0);
}

/* Each other slice of 1 s has no row, for a day. */
static void test_a_flapping_meter_has_sixty_missed_an_hour_and_then_a_flapping_a_minute(void)
{
    struct rig rig;
    uint64_t slice = 0;

    start(&rig, 0);
    for (; slice < 86400; slice++) {
        uint64_t before = rig.events[0];

        poll_meter(&rig, slice, slice % 2 == 0, slice * S);
        if (slice < 2 * ABSENCE_PER_HOUR) {
            CHECK_EQ(rig.events[0] - before, slice % 2);  // the first sixty are told one by one
        }
    }
    CHECK_EQ(rig.events[0], 24 * ABSENCE_PER_HOUR);
    CHECK_EQ(rig.events[1], rig.events[0]);
    CHECK(rig.events[2] > 1000 && rig.events[2] <= 1440);
    CHECK(rig.least_flapping_us >= 60 * S);
    end(&rig, slice, slice * S);
    CHECK_EQ(rig.rows + rig.told, slice);
}

static void test_never_more_than_sixty_missed_in_any_hour(void)
{
    uint64_t times_us[20000];
    unsigned count = 0;
    struct rig rig;

    start(&rig, 0);
    // bursts of it, with pauses in which it is well
    for (uint64_t slice = 0; slice < 100000; slice++) {
        bool flaps = slice / 1700 % 2 == 0;

        poll_meter(&rig, slice, !flaps || slice % 3 == 0, slice * S);
        if (rig.news.missed) {
            times_us[count++] = slice * S;
        }
    }
    CHECK(count > 10 * ABSENCE_PER_HOUR);
    for (unsigned i = ABSENCE_PER_HOUR; i < count; i++) {
        CHECK(times_us[i] - times_us[i - ABSENCE_PER_HOUR] >= HOUR);
    }
}

/* A meter that flapped and then fell silent for good: its last word must not be that it answers. */
static void test_a_silence_that_was_folded_is_told_when_it_ends_and_at_the_end(void)
{
    struct rig rig;
    uint64_t slice = 0;

    start(&rig, 0);
    for (; slice < 200; slice++) {
        poll_meter(&rig, slice, slice % 2 == 0, slice * S);
    }
    for (; slice < 5000; slice += 57) {
        poll_meter(&rig, slice, false, slice * S);
        CHECK(!rig.news.missed && !rig.news.lost);
    }
    CHECK_EQ(rig.absence.since_us, 0);  // all that there was is told
    poll_meter(&rig, slice, true, slice * S);
    CHECK(!rig.news.back);
    poll_meter(&rig, slice + 61, true, (slice + 61) * S);
    CHECK(rig.news.flapping);
    CHECK(rig.news.silent_slices > 4000);
    end(&rig, slice + 62, (slice + 62) * S);
    CHECK_EQ(rig.rows + rig.told, slice + 62);
}

static void test_rows_and_told_slices_add_up_whatever_happens(void)
{
    uint32_t state = 11;

    for (unsigned round = 0; round < 200; round++) {
        uint64_t first = round % 3 ? round * 17 : 0, slice = first;
        uint64_t interval_us = (1 + round % 20) * S / 2;
        struct rig rig;
        unsigned bad = 0;

        start(&rig, slice);
        for (unsigned i = 0; i < 3000; i++) {
            state = state * 1664525 + 1013904223;
            if (state >> 24 < 3) {
                bad = state >> 8 & 0x3F;
            }
            poll_meter(&rig, slice, bad == 0 && (state >> 16 & 0xFF) > round % 50, slice * interval_us);
            bad -= bad > 0;
            slice += 1 + ((state >> 12 & 0x1F) == 0 ? state >> 28 : 0);  // now and then some are skipped
        }
        end(&rig, slice, slice * interval_us);
        CHECK_EQ(rig.rows + rig.told, slice - first);
    }
}

TESTS(test_back_counts_all_slices_between_two_rows,
      test_a_meter_that_answers_first_in_a_later_slice_has_its_slices_told,
      test_slices_for_which_there_was_no_time_are_told_at_most_once_an_hour,
      test_a_meter_that_ends_silent_has_the_rest_told,
      test_a_flapping_meter_has_sixty_missed_an_hour_and_then_a_flapping_a_minute,
      test_never_more_than_sixty_missed_in_any_hour,
      test_a_silence_that_was_folded_is_told_when_it_ends_and_at_the_end,
      test_rows_and_told_slices_add_up_whatever_happens)
