/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/meters.h"

#include <errno.h>

static const struct layout layout = { .count = 1, .columns = { { .name = "voltage", .unit = "V" } } };

static void test_a_slot_is_its_meters_until_it_is_removed(void)
{
    struct meters *meters;
    struct meters_entry entry;
    uint64_t stamp;

    CHECK_EQ(meters_new(&meters), 0);
    CHECK_EQ(meters_stamp(meters), 0);
    CHECK(!meters_get(meters, 0, &entry));
    CHECK_EQ(meters_add(meters, "kitchen", "schneider-iem2150", &layout), 0);
    CHECK_EQ(meters_add(meters, "shed", "exec", &layout), 1);
    CHECK_EQ(meters_count(meters), 2);
    CHECK(meters_get(meters, 1, &entry));
    CHECK_STR(entry.name, "shed");
    CHECK_STR(entry.model, "exec");
    CHECK(entry.layout == &layout);
    CHECK(!entry.retired);
    stamp = entry.stamp;
    CHECK_EQ(meters_stamp(meters), stamp);

    meters_retire(meters, 1);
    CHECK(meters_get(meters, 1, &entry) && entry.retired);
    CHECK_EQ(meters_add(meters, "barn", "exec", &layout), 2);  // rows of the shed may still wait
    meters_remove(meters, 1);
    CHECK(!meters_get(meters, 1, &entry));
    CHECK_EQ(meters_add(meters, "attic", "exec", &layout), 1);
    CHECK(meters_get(meters, 1, &entry) && !entry.retired && entry.stamp > stamp);
    CHECK_EQ(meters_count(meters), 3);
    meters_free(meters);
}

static void test_no_slot_is_left_after_the_last(void)
{
    struct meters *meters;

    CHECK_EQ(meters_new(&meters), 0);
    for (int i = 0; i < METERS_SLOTS; i++) {
        CHECK_EQ(meters_add(meters, "kitchen", "exec", &layout), i);
    }
    CHECK_EQ(meters_room(meters), 0);
    CHECK_EQ(meters_add(meters, "shed", "exec", &layout), -ENOSPC);
    meters_remove(meters, 17);
    CHECK_EQ(meters_room(meters), 1);
    CHECK_EQ(meters_add(meters, "shed", "exec", &layout), 17);
    meters_free(meters);
}

TESTS(test_a_slot_is_its_meters_until_it_is_removed, test_no_slot_is_left_after_the_last)
