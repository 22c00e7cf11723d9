/* SPDX-License-Identifier: MIT */

#include "app/outlet/page_calendar.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define HOUR_S 3600

static struct tm local_time(int64_t wall_ms)
{
    time_t s = (time_t) (wall_ms >= 0 ? wall_ms / 1000 : (wall_ms - 999) / 1000);
    struct tm parts = { 0 };

    (void) localtime_r(&s, &parts);
    return parts;
}

/* The first moment of a day. Where the clocks change at midnight it is not 00:00, and may come twice. */
static int64_t begin_of(int year, int month, int day)
{
    struct tm parts = { .tm_year = year, .tm_mon = month, .tm_mday = day, .tm_hour = 12, .tm_isdst = -1 };
    struct tm noon, at;
    time_t s = mktime(&parts);

    noon = parts;  // the day as a calendar has it: 32 January is 1 February
    s -= 12 * HOUR_S + noon.tm_min * 60;
    s -= 3 * HOUR_S;  // somewhere in the last hours of the day before
    for (;;) {
        (void) localtime_r(&s, &at);
        if (at.tm_mday == noon.tm_mday) {
            return (int64_t) s * 1000;
        }
        s += HOUR_S / 4;  // zones change by quarters of hours
    }
}

int64_t page_calendar_day(int64_t wall_ms, int days)
{
    struct tm parts = local_time(wall_ms);

    return begin_of(parts.tm_year, parts.tm_mon, parts.tm_mday + days);
}

int64_t page_calendar_month(int64_t wall_ms, int months)
{
    struct tm parts = local_time(wall_ms);

    return begin_of(parts.tm_year, parts.tm_mon + months, 1);
}

const char *page_calendar_name(int64_t wall_ms, enum page_calendar_form form, char buffer[static PAGE_CALENDAR_SIZE])
{
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    struct tm parts = local_time(wall_ms);
    const char *month = months[parts.tm_mon % 12];

    switch (form) {
    case PAGE_DAY_LONG:
        (void) snprintf(buffer, PAGE_CALENDAR_SIZE, "%s %d %s", days[parts.tm_wday % 7], parts.tm_mday, month);
        break;
    case PAGE_DAY:
        (void) snprintf(buffer, PAGE_CALENDAR_SIZE, "%d %s", parts.tm_mday, month);
        break;
    case PAGE_MONTH_LONG:
        (void) snprintf(buffer, PAGE_CALENDAR_SIZE, "%s %d", month, parts.tm_year + 1900);
        break;
    case PAGE_MONTH:
        (void) snprintf(buffer, PAGE_CALENDAR_SIZE, "%s", month);
        break;
    }
    return buffer;
}
