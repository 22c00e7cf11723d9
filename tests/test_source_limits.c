/* SPDX-License-Identifier: MIT */
// link: ms_drivers ms_base
#include "tests/test.h"

#include "drivers/source_ops.h"

static void add(struct layout *layout, const char *name)
{
    struct column *column = &layout->columns[layout->count++];

    snprintf(column->name, sizeof(column->name), "%s", name);
    column->quantity = quantity_find(name);
}

static void apply(const struct source_setup *setup, const char *name, struct sample *sample,
                  double value)
{
    static struct layout layout;
    static struct source_limit limits[MAX_POINTS];

    layout.count = 0;
    add(&layout, name);
    sample_clear(sample, "kitchen", 1, REASON_NONE);
    sample->values[0] = value;
    sample->reasons[0] = REASON_NONE;
    source_limits(setup, &layout, limits);
    source_apply_limits(limits, sample);
}

static void test_a_value_beyond_its_quantity_is_missing_and_says_why(void)
{
    static struct sample sample;
    const struct source_setup setup = { .meter = "kitchen" };

    apply(&setup, "voltage_l1_n", &sample, 8013.8);
    CHECK_NAN(sample.values[0]);
    CHECK_EQ(sample.reasons[0], REASON_OUT_OF_BOUNDS);

    apply(&setup, "voltage_l1_n", &sample, 230.1);
    CHECK_NEAR(sample.values[0], 230.1, 0);
    CHECK_EQ(sample.reasons[0], REASON_NONE);
}

static void test_a_missing_value_keeps_its_reason(void)
{
    static struct sample sample;
    static struct source_limit limits[MAX_POINTS];

    sample_clear(&sample, "kitchen", 1, REASON_TIMEOUT);
    source_apply_limits(limits, &sample);
    CHECK_EQ(sample.reasons[0], REASON_TIMEOUT);
}

static void test_a_meters_own_bounds_replace_those_of_the_quantity(void)  // CVM-19
{
    static struct sample sample;
    const struct bounds bounds[] = { { "voltage", 0, 20000 }, { "voltage_l2_n", 200, 250 } };
    const struct source_setup setup = { .meter = "kitchen", .bounds = bounds, .bounds_count = 2 };

    apply(&setup, "voltage_l1_n", &sample, 8013.8);
    CHECK_NEAR(sample.values[0], 8013.8, 0);
    apply(&setup, "voltage_l2_n", &sample, 8013.8);  // the point's own win
    CHECK_NAN(sample.values[0]);
    apply(&setup, "current_l1", &sample, 1e6);
    CHECK_NAN(sample.values[0]);
}

static void test_an_input_is_multiplied_by_its_ratio_in_decimal(void)
{
    static struct sample sample;
    const struct input inputs[] = { { 'a', "fridge", 0.1 }, { 'p', "oven", 3 } };
    const struct source_setup setup = { .meter = "kitchen", .inputs = inputs, .input_count = 2 };

    apply(&setup, "current_a", &sample, 12.34);
    CHECK_NEAR(sample.values[0], 1.234, 0);
    apply(&setup, "current_p", &sample, 0.7);
    CHECK_NEAR(sample.values[0], 2.1, 0);
    apply(&setup, "current_b", &sample, 12.34);
    CHECK_NEAR(sample.values[0], 12.34, 0);
    apply(&setup, "frequency_a", &sample, 50);
    CHECK_NEAR(sample.values[0], 50, 0);
}

TESTS(test_a_value_beyond_its_quantity_is_missing_and_says_why,
      test_a_missing_value_keeps_its_reason, test_a_meters_own_bounds_replace_those_of_the_quantity,
      test_an_input_is_multiplied_by_its_ratio_in_decimal)
