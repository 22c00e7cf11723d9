// SPDX-License-Identifier: MIT
// link: ms_outlet

#include "tests/test.h"

#include "app/outlet/svg.h"

static const struct {
    double min, max, low, high, step;
    int decimals;
} scale_cases[] = {
    { 0, 2.5, 0, 3, 1, 0 },
    { 0, 1, 0, 1, 0.5, 1 },
    { 0.2, 0.9, 0, 1, 0.5, 1 },
    { 0, 47.3, 0, 60, 20, 0 },
    { -1.2, 3.4, -2, 4, 2, 0 },
    { -3, -1, -3, 0, 1, 0 },
    { 0, 0.00042, 0, 0.0006, 0.0002, 4 },
    { 0, 123456, 0, 150000, 50000, 0 },
    { 0, 0, 0, 1, 1, 0 },              // nothing was used
    { NAN, NAN, 0, 1, 1, 0 },          // nothing is known
};

static void test_scales_have_round_steps_and_zero(void)
{
    for (size_t i = 0; i < sizeof(scale_cases) / sizeof(scale_cases[0]); i++) {
        struct svg_scale scale = svg_scale(scale_cases[i].min, scale_cases[i].max, 4, 400);

        CHECK_NEAR(scale.low, scale_cases[i].low, 1e-9);
        CHECK_NEAR(scale.high, scale_cases[i].high, 1e-9);
        CHECK_NEAR(scale.step, scale_cases[i].step, 1e-9);
        CHECK_EQ(svg_decimals(&scale), scale_cases[i].decimals);
        CHECK_NEAR(svg_step(&scale, svg_step_count(&scale)), scale.high, 1e-9);
        CHECK_EQ(svg_y(&scale, scale.high), 0);
        CHECK_EQ(svg_y(&scale, scale.low), 400);
    }
}

static void test_values_beyond_the_scale_stay_at_its_edge(void)
{
    struct svg_scale scale = svg_scale(0, 10, 5, 100);

    CHECK_EQ(svg_y(&scale, 1e300), 0);
    CHECK_EQ(svg_y(&scale, -1e300), 100);
    CHECK_EQ(svg_y(&scale, 5), 50);
}

static struct svg_column column_of(unsigned index, const void *data)
{
    double value = ((const double *) data)[index];

    return (struct svg_column){ .there = !isnan(value), .low = value - 1, .high = value + 1, .middle = value };
}

static void test_no_line_goes_across_what_is_missing(void)
{
    static const double values[] = { NAN, 5, 5, 7, NAN, NAN, 2, NAN, 3 };
    struct svg_scale scale = svg_scale(0, 10, 6, 100);
    auto_text struct text steps = {}, band = {}, gaps = {};

    CHECK_NEAR(scale.high, 10, 0);
    svg_add_steps(&steps, &scale, 9, column_of, values);
    CHECK_STR(text_string(&steps), "M1 50h2V30h1M6 80h1M8 70h1");

    svg_add_band(&band, &scale, 9, column_of, values);
    CHECK_STR(text_string(&band), "M1 60V40h2V20h1V40h-1V60h-2zM6 90V70h1V90h-1zM8 80V60h1V80h-1z");

    svg_add_gaps(&gaps, &scale, 9, column_of, values);
    CHECK_STR(text_string(&gaps), "M0 0h1v100h-1zM4 0h2v100h-2zM7 0h1v100h-1z");
}

static void test_nothing_gives_no_picture(void)
{
    static const double values[] = { NAN, NAN };
    struct svg_scale scale = svg_scale(0, 10, 6, 100);
    auto_text struct text steps = {}, band = {};

    svg_add_steps(&steps, &scale, 2, column_of, values);
    svg_add_band(&band, &scale, 2, column_of, values);
    svg_add_steps(&steps, &scale, 0, column_of, values);
    CHECK_STR(text_string(&steps), "");
    CHECK_STR(text_string(&band), "");
}

static void test_bars_stand_on_zero(void)
{
    struct svg_scale scale = svg_scale(-10, 10, 5, 100);
    auto_text struct text up = {}, down = {};

    svg_add_bar(&up, &scale, 3, 4, 10);
    svg_add_bar(&down, &scale, 3, 4, -5);
    CHECK_STR(text_string(&up), "<rect x=\"3\" y=\"0\" width=\"4\" height=\"50\"/>");
    CHECK_STR(text_string(&down), "<rect x=\"3\" y=\"50\" width=\"4\" height=\"25\"/>");
}

TESTS(test_scales_have_round_steps_and_zero,
      test_values_beyond_the_scale_stay_at_its_edge,
      test_no_line_goes_across_what_is_missing,
      test_nothing_gives_no_picture,
      test_bars_stand_on_zero)
