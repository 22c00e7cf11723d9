/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Numbers as a meter means them. A register is an integer, or a binary float that stands for the shortest
 * decimal which gives it back; either is multiplied by its resolution in decimal, and only the end result
 * becomes a double, the nearest one. So 2301 x 0.1 V is 230.1, and 4.2e-05f x 1 kW is 0.042 W, to the
 * last digit. All pure.
 */

#include "app/base/macros.h"

#include <stdbool.h>
#include <stdint.h>

/* digits x 10^exponent; exact. */
struct decimal {
    int64_t digits;
    int exponent;
};

/*
 * A decimal as written: "0.01", "-12", "1e3". At most 18 significant digits, exponent within +-60.
 * Errors: -EINVAL
 */
int decimal_parse(const char *string, struct decimal *ret) MUST_CHECK;

/* An unsigned integer beyond INT64_MAX does not fit a decimal: decimal_scale_unsigned() takes it. */
double decimal_scale_signed(int64_t value, struct decimal resolution);
double decimal_scale_unsigned(uint64_t value, struct decimal resolution);

/*
 * The shortest decimal that gives back the same binary32 or binary64, times the resolution.
 * NAN and infinity come back unchanged.
 */
double decimal_scale_float(float value, struct decimal resolution);
double decimal_scale_double(double value, struct decimal resolution);

/*
 * The shortest decimal of a double, plain from 1e-6 up to 1e21 and with an exponent beyond ("1e-7"), as
 * JSON and its readers have it ("1.5e-7", "1e+21"). NAN and infinity give "" (a missing value). -0 gives "0".
 * Returns the length.
 */
#define DECIMAL_SIZE 32
int decimal_print(double value, char buffer[static DECIMAL_SIZE]);
