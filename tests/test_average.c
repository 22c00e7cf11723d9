/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/average.h"

#define S 1000000ull

static struct layout layout;
static struct sample sample;

static void column(unsigned index, const char *name)
{
    struct column *it = &layout.columns[index];

    (void) snprintf(it->name, sizeof(it->name), "%s", name);
    it->quantity = quantity_find(name);
    CHECK(it->quantity);
    layout.count = index + 1;
}

static struct average *average_of_four(uint64_t period_us)
{
    struct average *average;

    column(0, "voltage_l1_n");
    column(1, "energy_active_import");
    column(2, "voltage_l1_n.max");
    column(3, "power_factor_direction");
    CHECK_EQ(average_new(&layout, period_us, &average), 0);
    return average;
}

static void add(struct average *average, uint64_t slice_s, double a, double b, double c, double d)
{
    sample_clear(&sample, "kitchen", 4, REASON_TIMEOUT);
    sample.boot_ms = slice_s * 1000 + 77;
    sample.values[0] = a;
    sample.values[1] = b;
    sample.values[2] = c;
    sample.values[3] = d;
    average_add(average, &sample, slice_s * S);
}

static void test_gauges_are_averaged_and_the_rest_is_the_last(void)
{
    struct average *average = average_of_four(12 * S);

    add(average, 0, 230, 1000, 240, 1);
    add(average, 4, 231, 1001, 250, -1);
    add(average, 8, 235, 1003, 245, -1);
    CHECK(average_take(average, &sample));
    CHECK_NEAR(sample.values[0], 232, 0);
    CHECK_NEAR(sample.values[1], 1003, 0);
    CHECK_NEAR(sample.values[2], 245, 0);
    CHECK_NEAR(sample.values[3], -1, 0);
    CHECK_EQ(sample.value_count, 4);
    CHECK_EQ(sample.word_count, 0);
    CHECK_EQ(sample.boot_ms, 8077);
    CHECK_STR(sample.meter, "kitchen");
    CHECK(!average_take(average, &sample));
    average_free(average);
}

static void test_a_value_that_stands_still_comes_out_as_it_went_in(void)
{
    struct average *average = average_of_four(12 * S);

    for (int i = 0; i < 3; i++) {
        add(average, 0, 230.1, 1, 1, 1);
    }
    CHECK(average_take(average, &sample));
    CHECK_NEAR(sample.values[0], 230.1, 0);
    average_free(average);
}

static void test_missing_stays_missing_and_never_counts_as_zero(void)
{
    struct average *average = average_of_four(12 * S);

    add(average, 0, 230, NAN, 1, 1);
    add(average, 4, NAN, NAN, 2, 1);
    add(average, 8, 240, NAN, NAN, 1);
    CHECK(average_take(average, &sample));
    CHECK_NEAR(sample.values[0], 235, 0);
    CHECK_NAN(sample.values[1]);
    CHECK_EQ(sample.reasons[1], REASON_TIMEOUT);
    CHECK_NEAR(sample.values[2], 2, 0);  // it came in this period
    CHECK_EQ(sample.reasons[2], REASON_NONE);

    // Nothing of one period is left in the next.
    add(average, 12, NAN, NAN, NAN, NAN);
    CHECK(average_take(average, &sample));
    CHECK_EQ(sample_present(&sample), 0);
    average_free(average);
}

static void test_a_row_is_due_with_the_last_slice_of_its_period(void)
{
    struct average *average = average_of_four(12 * S);

    CHECK(!average_is_due(average, 100 * S));  // nothing in it
    add(average, 24, 1, 1, 1, 1);
    CHECK(!average_is_due(average, 28 * S));
    add(average, 28, 1, 1, 1, 1);
    CHECK(!average_is_due(average, 32 * S));
    add(average, 32, 1, 1, 1, 1);
    CHECK(average_is_due(average, 36 * S));
    CHECK(average_is_due(average, 60 * S));    // slices were skipped
    CHECK(average_take(average, &sample));
    CHECK(!average_is_due(average, 60 * S));
    average_free(average);
}

TESTS(test_gauges_are_averaged_and_the_rest_is_the_last, test_a_value_that_stands_still_comes_out_as_it_went_in,
      test_missing_stays_missing_and_never_counts_as_zero, test_a_row_is_due_with_the_last_slice_of_its_period)
