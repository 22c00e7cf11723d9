/* SPDX-License-Identifier: MIT */
#include "app/base/decimal.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/*
 * Up to 10^22 a power of ten is exact in binary64, and up to 2^53 an integer is. One multiplication or division of
 * two exact numbers is rounded once, so it gives the double nearest to the true result: no digits needed.
 */
#define EXACT_POWERS 22
#define EXACT_INTEGER (UINT64_C(1) << 53)

static const double powers_of_ten[EXACT_POWERS + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

int decimal_parse(const char *string, struct decimal *ret)
{
    struct decimal value = { 0 };
    int digits = 0, exponent = 0, length = 0;
    bool negative = *string == '-';
    bool point = false;

    string += *string == '-' || *string == '+';
    for (; isdigit((unsigned char) *string) || (*string == '.' && !point); string++) {
        if (*string == '.') {
            point = true;
            continue;
        }
        digits += value.digits != 0 || *string != '0';
        if (digits > 18) {
            return -EINVAL;
        }
        value.digits = value.digits * 10 + (*string - '0');
        value.exponent -= point;
        length++;
    }
    if (length == 0) {
        return -EINVAL;
    }
    if (*string == 'e' || *string == 'E') {
        const char *start = string + 1 + (string[1] == '-' || string[1] == '+');
        char *end;
        long power = strtol(string + 1, &end, 10);

        if (!isdigit((unsigned char) *start) || power < -60 || power > 60) {  // LONG_MIN has no labs()
            return -EINVAL;
        }
        exponent = (int) power;
        string = end;
    }
    if (*string != '\0' || abs(value.exponent + exponent) > 60) {
        return -EINVAL;
    }

    value.digits = negative ? -value.digits : value.digits;
    value.exponent += exponent;
    *ret = value;
    return 0;
}

static uint64_t magnitude(int64_t value)
{
    return value < 0 ? -(uint64_t) value : (uint64_t) value;
}

/*
 * left x right in decimal digits, written before `end`; returns where they begin. There is no __int128 on armhf: parts
 * of nine digits, of which three hold any factor, and three products of two parts fit 64 bits.
 */
#define PART 1000000000U
#define PART_DIGITS 9
static char *print_product(uint64_t left, uint64_t right, char *end)
{
    const uint64_t lefts[3] = { left % PART, left / PART % PART, left / PART / PART };
    const uint64_t rights[3] = { right % PART, right / PART % PART, right / PART / PART };
    uint64_t parts[6] = { 0 };
    char *start = end;

    for (size_t i = 0; i < ARRAY_SIZE(lefts); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(rights); j++) {
            parts[i + j] += lefts[i] * rights[j];
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        if (i + 1 < ARRAY_SIZE(parts)) {
            parts[i + 1] += parts[i] / PART;
        }
        for (int digit = 0; digit < PART_DIGITS; digit++, parts[i] /= 10) {
            *--start = (char) ('0' + (int) (parts[i] % 10));
        }
    }
    return start;
}

/* The double nearest to left x right x 10^exponent, by way of text: any size, slow. */
static double nearest_double_slowly(bool negative, uint64_t left, uint64_t right, int exponent)
{
    char text[80];
    char *const power = text + sizeof(text) - 12;
    char *start;

    (void) snprintf(power, 12, "e%d", exponent);
    start = print_product(left, right, power);
    if (negative) {
        *--start = '-';
    }
    return strtod(start, NULL);
}

static double nearest_double(bool negative, uint64_t left, uint64_t right, int exponent)
{
    uint64_t product;

    if (!__builtin_mul_overflow(left, right, &product) && product < EXACT_INTEGER) {
        double exact = (double) (negative ? -(int64_t) product : (int64_t) product);  // never -0

        if (exponent >= 0 && exponent <= EXACT_POWERS) {
            return exact * powers_of_ten[exponent];
        }
        if (exponent < 0 && -exponent <= EXACT_POWERS) {
            return exact / powers_of_ten[-exponent];
        }
    }
    return nearest_double_slowly(negative, left, right, exponent);
}

double decimal_scale_signed(int64_t value, struct decimal resolution)
{
    return nearest_double((value < 0) != (resolution.digits < 0), magnitude(value), magnitude(resolution.digits),
                          resolution.exponent);
}

double decimal_scale_unsigned(uint64_t value, struct decimal resolution)
{
    return nearest_double(resolution.digits < 0, value, magnitude(resolution.digits), resolution.exponent);
}

/* "-1.23456e-05" as printf's %e gives it, to digits and exponent. */
static struct decimal decimal_of_text(const char *text)
{
    struct decimal value = { 0 };
    const char *c = text + (*text == '-');

    for (; *c && *c != 'e'; c++) {
        if (*c == '.') {
            value.exponent = -(int) (strcspn(c + 1, "e"));
        } else {
            value.digits = value.digits * 10 + (*c - '0');
        }
    }
    value.exponent += atoi(c + 1);
    value.digits = *text == '-' ? -value.digits : value.digits;
    return value;
}

/*
 * 6 (15) digits survive the way through a binary32 (binary64), 9 (17) always bring it back: the first count between
 * them that does is the shortest, but for zeros at its end. Subnormals have fewer digits.
 */
static struct decimal shortest_of_float(float value)
{
    char text[48];

    for (int digits = fabsf(value) < FLT_MIN ? 1 : FLT_DIG;; digits++) {
        (void) snprintf(text, sizeof(text), "%.*e", digits - 1, (double) value);
        if (strtof(text, NULL) == value || digits >= 9) {
            return decimal_of_text(text);
        }
    }
}

static struct decimal shortest_of_double(double value)
{
    char text[48];

    for (int digits = fabs(value) < DBL_MIN ? 1 : DBL_DIG;; digits++) {
        (void) snprintf(text, sizeof(text), "%.*e", digits - 1, value);
        if (strtod(text, NULL) == value || digits >= 17) {
            return decimal_of_text(text);
        }
    }
}

/*
 * The same by arithmetic, ten times faster: a float times a power of ten is far more exact in binary64 than nine
 * digits need, except where it lies between two candidates. false: let the slow way decide.
 */
static bool shortest_of_float_fast(float value, struct decimal *ret)
{
    double magnitude = fabs((double) value);
    int scale;

    if (!(magnitude >= 1e-6 && magnitude < 1e12)) {
        return false;
    }

    scale = FLT_DIG - 1 - (int) floor(log10(magnitude));
    for (int digits = FLT_DIG; digits <= 9; digits++, scale++) {
        double scaled = scale >= 0 ? (double) value * powers_of_ten[scale]
                                   : (double) value / powers_of_ten[-scale];
        double whole = rint(scaled);

        if (fabs(fabs(scaled - whole) - 0.5) < 1e-6) {
            return false;
        }
        if ((float) (scale >= 0 ? whole / powers_of_ten[scale] : whole * powers_of_ten[-scale]) == value) {
            *ret = (struct decimal){ .digits = (int64_t) whole, .exponent = -scale };
            return true;
        }
    }
    return false;
}

double decimal_scale_float(float value, struct decimal resolution)
{
    struct decimal shortest;

    if (!isfinite(value) || value == 0.0f) {
        return (double) value;
    }
    if (!shortest_of_float_fast(value, &shortest)) {
        shortest = shortest_of_float(value);
    }
    shortest.exponent += resolution.exponent;
    return decimal_scale_signed(shortest.digits,
                                (struct decimal){ .digits = resolution.digits, .exponent = shortest.exponent });
}

double decimal_scale_double(double value, struct decimal resolution)
{
    struct decimal shortest;

    if (!isfinite(value) || value == 0.0 || (resolution.digits == 1 && resolution.exponent == 0)) {
        return value;
    }
    shortest = shortest_of_double(value);
    shortest.exponent += resolution.exponent;
    return decimal_scale_signed(shortest.digits,
                                (struct decimal){ .digits = resolution.digits, .exponent = shortest.exponent });
}

/* digits x 10^-places, plain: 23010, 2 is "230.1". Returns the length. */
static int print_plain(int64_t digits, int places, char buffer[static DECIMAL_SIZE])
{
    char reversed[DECIMAL_SIZE];
    uint64_t rest = digits < 0 ? (uint64_t) -digits : (uint64_t) digits;
    int count = 0, length = 0;

    while (places > 0 && rest % 10 == 0) {
        rest /= 10;
        places--;
    }
    while (rest > 0 || count <= places) {
        reversed[count++] = (char) ('0' + rest % 10);
        rest /= 10;
    }
    if (digits < 0) {
        buffer[length++] = '-';
    }
    while (count > 0) {
        if (count == places) {
            buffer[length++] = '.';
        }
        buffer[length++] = reversed[--count];
    }
    buffer[length] = '\0';
    return length;
}

/* Numbers of everyday size: few decimals, found by trying. */
static bool print_everyday(double value, char buffer[static DECIMAL_SIZE], int *ret_length)
{
    for (int places = 0; places <= 6; places++) {
        double whole = rint(value * powers_of_ten[places]);

        if (fabs(whole) >= 1e15) {
            return false;
        }
        if (whole / powers_of_ten[places] == value) {
            *ret_length = print_plain((int64_t) whole, places, buffer);
            return true;
        }
    }
    return false;
}

/* "15" in the buffer becomes "1.5e-7". */
static int print_scientific(char buffer[static DECIMAL_SIZE], int length, int exponent)
{
    int first = buffer[0] == '-' ? 2 : 1;

    if (length > first) {
        memmove(buffer + first + 1, buffer + first, (size_t) (length - first));
        buffer[first] = '.';
        length++;
    }
    return length
           + snprintf(buffer + length, (size_t) (DECIMAL_SIZE - length), exponent < 0 ? "e%d" : "e+%d", exponent);
}

int decimal_print(double value, char buffer[static DECIMAL_SIZE])
{
    struct decimal shortest;
    int length, point;

    if (!isfinite(value)) {
        buffer[0] = '\0';
        return 0;
    }
    if (print_everyday(value, buffer, &length)) {
        return length;
    }

    shortest = shortest_of_double(value);
    while (shortest.digits % 10 == 0) {
        shortest.digits /= 10;
        shortest.exponent++;
    }
    length = snprintf(buffer, DECIMAL_SIZE, "%lld", (long long) shortest.digits);
    point = length - (shortest.digits < 0) + shortest.exponent;  // digits before the decimal point
    if (shortest.exponent <= 0 && point > -6) {
        return print_plain(shortest.digits, -shortest.exponent, buffer);
    }
    if (shortest.exponent > 0 && point <= 21) {
        while (shortest.exponent-- > 0) {
            buffer[length++] = '0';
        }
        buffer[length] = '\0';
        return length;
    }
    return print_scientific(buffer, length, point - 1);
}
