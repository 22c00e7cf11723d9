/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The only file that asks the kernel for the time. Everything pure takes it as an argument.
 *
 * boot       CLOCK_BOOTTIME: never steps, counts through suspend; what rows and status files carry
 * monotonic  CLOCK_MONOTONIC: for deadlines
 * wall       CLOCK_REALTIME, ms since 1970 UTC: may be wrong by decades, may step
 */

#include "app/base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t clock_boot_ms(void);
uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_us(void);
int64_t clock_wall_ms(void);

/* The day on which this program was built, in wall time: a clock that is before it is wrong. */
int64_t clock_build_ms(void);

/* The kernel's id of this boot, 36 characters; "" where there is none. */
#define CLOCK_BOOT_ID_SIZE 37
void clock_boot_id(char ret[static CLOCK_BOOT_ID_SIZE]);

/* Sleep until that monotonic time. Returns at once if it is past; a signal does not cut it short. */
void clock_sleep_until_us(uint64_t monotonic_us);

/*
 * Wall times as text.
 *   utc    2026-11-20T10:00:00.000Z
 *   local  2026-11-20 11:00:00        in the process's time zone (clock_set_timezone)
 *   day    2026-11-20                 local day
 */
#define CLOCK_TEXT_SIZE 40
const char *clock_utc(int64_t wall_ms, char buffer[static CLOCK_TEXT_SIZE]);
const char *clock_local(int64_t wall_ms, char buffer[static CLOCK_TEXT_SIZE]);
const char *clock_day(int64_t wall_ms, char buffer[static CLOCK_TEXT_SIZE]);

/* strftime over a wall time, for the formats of other programs; utc or local. */
const char *clock_format(int64_t wall_ms, bool utc, const char *format, char *buffer, size_t size);

/*
 * A time as typed: "YYYY-MM-DD[ HH:MM[:SS[.mmm]]]" local ('T' instead of the blank too), or RFC 3339 with Z
 * or an offset. Errors: -EINVAL
 */
int clock_parse(const char *text, int64_t *ret_wall_ms) MUST_CHECK;

/* Set the time zone of the process; "" keeps the system's. Errors: -EINVAL no such zone */
int clock_set_timezone(const char *zone) MUST_CHECK;

