/* SPDX-License-Identifier: MIT */
#pragma once

/* Local days and months, in the process's time zone: a day may have 23 or 25 hours. Pure but for the zone. */

#include "app/base/macros.h"

#include <stddef.h>
#include <stdint.h>

/* Where the day begins that is so many days before (negative) or after that of a wall time. */
int64_t page_calendar_day(int64_t wall_ms, int days);

/* The same for months. */
int64_t page_calendar_month(int64_t wall_ms, int months);

/* "Fri 20 Nov", "20 Nov", "Nov 2026", "Nov": in English, whatever the locale. Returns buffer. */
#define PAGE_CALENDAR_SIZE 40
enum page_calendar_form { PAGE_DAY_LONG, PAGE_DAY, PAGE_MONTH_LONG, PAGE_MONTH };
const char *page_calendar_name(int64_t wall_ms, enum page_calendar_form form, char buffer[static PAGE_CALENDAR_SIZE]);
