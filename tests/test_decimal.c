/* SPDX-License-Identifier: MIT */
// link: ms_base
#include "tests/test.h"

#include "app/base/decimal.h"

#include <errno.h>
#include <float.h>
#include <stdlib.h>

#define RANDOM_COUNT 120000

/* The same numbers each time: a failure can be repeated. */
static uint64_t next_random(void)
{
    static uint64_t state = 0x9E3779B97F4A7C15;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static struct decimal decimal(const char *string)
{
    struct decimal value = { 0 };

    CHECK_EQ(decimal_parse(string, &value), 0);
    return value;
}

static double float_of(uint32_t bits, struct decimal resolution)
{
    float value;

    memcpy(&value, &bits, sizeof(value));
    return decimal_scale_float(value, resolution);
}

static const char *printed(double value)
{
    static char buffer[DECIMAL_SIZE];
    int length = decimal_print(value, buffer);

    CHECK_EQ(length, strlen(buffer));
    return buffer;
}

static void test_a_resolution_is_read_as_it_is_written(void)
{
    static const struct { const char *string; long long digits; int exponent; } cases[] = {
        { "1", 1, 0 },      { "0.01", 1, -2 },  { "-12", -12, 0 }, { "+5", 5, 0 },      { "1e3", 1, 3 },
        { "2.5E-4", 25, -5 }, { "007", 7, 0 },  { ".5", 5, -1 },   { "5.", 5, 0 },      { "0.10", 10, -2 },
        { "0", 0, 0 },      { "123456789012345678", 123456789012345678, 0 },
        { "0.00000000000000000000123456789", 123456789, -29 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct decimal value = decimal(cases[i].string);

        CHECK_EQ(value.digits, cases[i].digits);
        CHECK_EQ(value.exponent, cases[i].exponent);
    }
}

static void test_what_is_no_decimal_is_refused(void)
{
    static const char *const bad[] = {
        "", ".", "-", "+", "e3", "1e", "1e+", "x", "1x", "1.2.3", "1 ", " 1", "1,5", "0x10", "nan", "inf", "--1",
        "1e3.5",
        "1234567890123456789", "1e61", "1e-61", "0.1e-60", "1e4294967296", "1e-2147483648", "1e99999999999999999999",
        "1e-99999999999999999999", "1e 3",
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct decimal value = { .digits = 7, .exponent = 8 };

        if (decimal_parse(bad[i], &value) != -EINVAL) {
            fail_msg("'%s' is no decimal", bad[i]);
        }
        CHECK(value.digits == 7 && value.exponent == 8);
    }
}

static void test_an_integer_is_multiplied_in_decimal(void)
{
    // in binary, 2301 x 0.1 is 230.10000000000002
    CHECK_STR(printed(decimal_scale_unsigned(2301, decimal("0.1"))), "230.1");
    CHECK(decimal_scale_unsigned(2301, decimal("0.1")) == 230.1);
    CHECK_STR(printed(decimal_scale_signed(-80138, decimal("0.1"))), "-8013.8");
    CHECK_STR(printed(decimal_scale_unsigned(4294967295, decimal("0.001"))), "4294967.295");
    CHECK_STR(printed(decimal_scale_unsigned(3, decimal("0.1"))), "0.3");
    CHECK_STR(printed(decimal_scale_unsigned(12345, decimal("10"))), "123450");
    CHECK(decimal_scale_unsigned(UINT64_MAX, decimal("1")) == 18446744073709551615.0);
    CHECK(decimal_scale_unsigned(UINT64_MAX, decimal("0.001")) == 18446744073709551.615);
    CHECK(decimal_scale_signed(INT64_MIN, decimal("1")) == -9223372036854775808.0);
    CHECK(decimal_scale_signed(INT64_MAX, decimal("0.000001")) == 9223372036854.775807);
    CHECK(decimal_scale_unsigned(UINT64_MAX, decimal("123456789012345678"))
          == 18446744073709551615.0 * 123456789012345678.0);
    CHECK(decimal_scale_signed(0, decimal("0.1")) == 0);
    CHECK(decimal_scale_unsigned(1, decimal("1e-30")) == 1e-30);
    CHECK(decimal_scale_unsigned(1, decimal("1e30")) == 1e30);
}

/* Products beyond 64 bits; the digits are Python's. */
static const struct {
    uint64_t value;
    int64_t digits;
    int exponent;
    const char *expect;
} product_cases[] = {
    { UINT64_C(18446744073709551615), INT64_C(999999999999999999), -20, "18446744073709551596553255926290448385e-20" },
    { UINT64_C(9223372036854775807), INT64_C(123456789012345678), -30, "1138687895536349061688316917875412146e-30" },
    { UINT64_C(1000000000000000000), INT64_C(1000000001), 0, "1000000001000000000000000000e0" },
    { UINT64_C(999999999999999999), INT64_C(999999999), -7, "999999998999999999000000001e-7" },
    { UINT64_C(9007199254740993), INT64_C(3), 0, "27021597764222979e0" },
    { UINT64_C(94906267), INT64_C(94906267), 0, "9007199515875289e0" },
};

static void test_products_of_any_size_are_exact_before_they_are_rounded(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(product_cases); i++) {
        struct decimal up = { .digits = product_cases[i].digits, .exponent = product_cases[i].exponent };
        struct decimal down = { .digits = -up.digits, .exponent = up.exponent };

        CHECK(decimal_scale_unsigned(product_cases[i].value, up) == strtod(product_cases[i].expect, NULL));
        CHECK(decimal_scale_unsigned(product_cases[i].value, down) == -strtod(product_cases[i].expect, NULL));
    }
}

static void test_a_float_becomes_its_shortest_decimal_before_it_is_multiplied(void)
{
    // 4.2e-05 kW is 0.042 W, not 0.0419999996665865
    CHECK_STR(printed(decimal_scale_float(4.2e-05f, decimal("1e3"))), "0.042");
    CHECK_STR(printed(decimal_scale_float(230.1f, decimal("1"))), "230.1");
    CHECK_STR(printed(decimal_scale_float(-0.1f, decimal("1"))), "-0.1");
    CHECK_STR(printed(decimal_scale_float(49.98f, decimal("1"))), "49.98");
    CHECK_STR(printed(decimal_scale_float(0.3f, decimal("1e3"))), "300");
    CHECK_STR(printed(decimal_scale_float(16777216.0f, decimal("1"))), "16777216");
    CHECK_STR(printed(float_of(0x00000001, decimal("1"))), "1e-45");
    CHECK_STR(printed(float_of(0x7F7FFFFF, decimal("1"))), "3.4028235e+38");
    CHECK_STR(printed(decimal_scale_double(4.2e-05, decimal("1e3"))), "0.042");
    CHECK_STR(printed(decimal_scale_double(0.1, decimal("3"))), "0.3");
    CHECK_STR(printed(decimal_scale_double(0.1 + 0.2, decimal("1"))), "0.30000000000000004");
}

static void test_what_is_no_number_stays_so(void)
{
    CHECK_NAN(decimal_scale_float(NAN, decimal("0.1")));
    CHECK_NAN(decimal_scale_double(NAN, decimal("0.1")));
    CHECK(isinf(decimal_scale_float(-INFINITY, decimal("0.1"))));
    CHECK(isinf(decimal_scale_double(INFINITY, decimal("0.1"))));
    CHECK_STR(printed(NAN), "");
    CHECK_STR(printed(INFINITY), "");
    CHECK_STR(printed(-INFINITY), "");
    CHECK_STR(printed(decimal_scale_float(-0.0f, decimal("0.1"))), "0");
}

static void test_a_number_is_printed_plain_from_a_millionth_to_1e21(void)
{
    static const struct { double value; const char *string; } cases[] = {
        { 0, "0" },               { -0.0, "0" },              { 1, "1" },             { -1, "-1" },
        { 0.1, "0.1" },           { 100, "100" },             { 123.456, "123.456" }, { -0.5, "-0.5" },
        { 1e-6, "0.000001" },     { 1.5e-6, "0.0000015" },    { 1.5e-7, "1.5e-7" },   { 1e-7, "1e-7" },
        { -1.5e-7, "-1.5e-7" },   { 9.999e-7, "9.999e-7" },   { 1e15, "1000000000000000" },
        { 1e20, "100000000000000000000" },                    { 1e21, "1e+21" },      { -1e21, "-1e+21" },
        { 1.5e300, "1.5e+300" },  { 123456789012345680.0, "123456789012345680" },
        { 999999999999999900000.0, "999999999999999900000" }, { DBL_MAX, "1.7976931348623157e+308" },
        { 5e-324, "5e-324" },     { DBL_MIN, "2.2250738585072014e-308" },
        { 0.000012345678901234567, "0.000012345678901234568" }, { -2.2250738585072011e-308, "-2.225073858507201e-308" },
        { 1.0 / 3, "0.3333333333333333" }, { 9007199254740993.0, "9007199254740992" },
        { 2251799813685249.5, "2251799813685249.5" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_STR(printed(cases[i].value), cases[i].string);
    }
}

/* Slow and plainly right: digits are added until the text gives the number back. */
static int digits_of_float(float value, char *text, size_t size)
{
    for (int digits = 1;; digits++) {
        (void) snprintf(text, size, "%.*e", digits - 1, (double) value);
        if (strtof(text, NULL) == value) {
            return digits;
        }
    }
}

static int digits_of_double(double value, char *text, size_t size)
{
    for (int digits = 1;; digits++) {
        (void) snprintf(text, size, "%.*e", digits - 1, value);
        if (strtod(text, NULL) == value) {
            return digits;
        }
    }
}

/* The reference's decimal, with the exponent of the resolution added in the text. */
static double shifted(const char *text, int exponent)
{
    char moved[64];
    int length = (int) strcspn(text, "e");

    (void) snprintf(moved, sizeof(moved), "%.*se%d", length, text, atoi(text + length + 1) + exponent);
    return strtod(moved, NULL);
}

/* Bits of any kind, and numbers such as a meter has. */
static float random_float(int i)
{
    uint32_t bits = (uint32_t) next_random();
    float value;

    if (i % 3 == 0) {
        return (float) ((double) (int32_t) bits / 1000);
    }
    if (i % 3 == 1) {
        return (float) ((double) (bits % 1000000) / (i % 2 ? 100 : 1e7));
    }
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void test_random_floats_are_what_the_slow_way_gives(void)
{
    static const int exponents[] = { 0, 3, -3, 1 };

    for (int i = 0; i < RANDOM_COUNT; i++) {
        float value = random_float(i);
        int exponent = exponents[i % 4];
        char text[64];
        double expected, got;

        if (!isfinite(value) || value == 0) {
            continue;
        }
        (void) digits_of_float(value, text, sizeof(text));
        expected = shifted(text, exponent);
        got = decimal_scale_float(value, (struct decimal){ .digits = 1, .exponent = exponent });
        if (got != expected) {
            fail_msg("%.9g e%d is %.17g, not %.17g", (double) value, exponent, got, expected);
        }
    }
}

static double random_double(int i)
{
    uint64_t bits = next_random();
    double value;

    if (i % 3 == 0) {
        return (double) (int64_t) bits / 1e9 / (double) (1ULL << i % 40);
    }
    if (i % 3 == 1) {
        return (double) (bits % 10000000000) / 1000;
    }
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Significant digits of a printed number. */
static int digits_of_text(const char *text)
{
    int count = 0, zeros = 0;

    for (const char *c = text; *c && *c != 'e'; c++) {
        if (*c < '0' || *c > '9' || (*c == '0' && count == 0)) {
            continue;
        }
        zeros = *c == '0' ? zeros + 1 : 0;
        count++;
    }
    return count - zeros;
}

static void test_random_doubles_are_printed_as_the_shortest_decimal_that_gives_them_back(void)
{
    for (int i = 0; i < RANDOM_COUNT; i++) {
        double value = random_double(i);
        char text[64], got[DECIMAL_SIZE];
        int length;

        if (!isfinite(value) || value == 0) {
            continue;
        }
        length = decimal_print(value, got);
        if (length >= DECIMAL_SIZE || strtod(got, NULL) != value
            || digits_of_text(got) != digits_of_double(value, text, sizeof(text))) {
            fail_msg("%.17g is printed as %s", value, got);
        }
    }
}

static void test_random_doubles_are_multiplied_in_decimal(void)
{
    for (int i = 0; i < RANDOM_COUNT / 4; i++) {
        double value = random_double(i);
        char text[64];

        if (!isfinite(value) || value == 0 || fabs(value) > 1e300) {
            continue;
        }
        (void) digits_of_double(value, text, sizeof(text));
        if (decimal_scale_double(value, (struct decimal){ .digits = 1, .exponent = 3 }) != shifted(text, 3)) {
            fail_msg("%.17g is multiplied otherwise", value);
        }
    }
}

static void test_random_integers_are_the_double_nearest_to_the_product(void)
{
    for (int i = 0; i < RANDOM_COUNT / 4; i++) {
        uint64_t raw = next_random() >> i % 64;
        int exponent = (int) (next_random() % 60) - 30;
        char text[64];

        (void) snprintf(text, sizeof(text), "%llue%d", (unsigned long long) raw, exponent);
        CHECK(decimal_scale_unsigned(raw, (struct decimal){ .digits = 1, .exponent = exponent }) == strtod(text, NULL));
        (void) snprintf(text, sizeof(text), "%llde%d", (long long) raw, exponent);
        CHECK(decimal_scale_signed((int64_t) raw, (struct decimal){ .digits = 1, .exponent = exponent })
              == strtod(text, NULL));
    }
}

TESTS(test_a_resolution_is_read_as_it_is_written, test_what_is_no_decimal_is_refused,
      test_an_integer_is_multiplied_in_decimal, test_products_of_any_size_are_exact_before_they_are_rounded,
      test_a_float_becomes_its_shortest_decimal_before_it_is_multiplied, test_what_is_no_number_stays_so,
      test_a_number_is_printed_plain_from_a_millionth_to_1e21, test_random_floats_are_what_the_slow_way_gives,
      test_random_doubles_are_printed_as_the_shortest_decimal_that_gives_them_back,
      test_random_doubles_are_multiplied_in_decimal,
      test_random_integers_are_the_double_nearest_to_the_product)
