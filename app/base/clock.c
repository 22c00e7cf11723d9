/* SPDX-License-Identifier: MIT */
#include "app/base/clock.h"

#include "app/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static uint64_t read_us(clockid_t clock)
{
    struct timespec now;

    (void) clock_gettime(clock, &now);  // cannot fail for the clocks below
    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

uint64_t clock_boot_ms(void)
{
    return read_us(CLOCK_BOOTTIME) / 1000;
}

uint64_t clock_monotonic_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

uint64_t clock_monotonic_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void clock_boot_id(char ret[static CLOCK_BOOT_ID_SIZE])
{
    auto_close int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, ret, CLOCK_BOOT_ID_SIZE - 1);

    ret[length == CLOCK_BOOT_ID_SIZE - 1 ? length : 0] = '\0';
}

void clock_sleep_until_us(uint64_t monotonic_us)
{
    const struct timespec until = { .tv_sec = (time_t) (monotonic_us / 1000000),
                                    .tv_nsec = (long) (monotonic_us % 1000000) * 1000 };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

/* Floor division: times before 1970 have milliseconds from 0 to 999 as well. */
static void split_ms(int64_t wall_ms, time_t *ret_s, int *ret_ms)
{
    int64_t ms = wall_ms % 1000;

    if (ms < 0) {
        ms += 1000;
    }
    *ret_s = (time_t) ((wall_ms - ms) / 1000);
    *ret_ms = (int) ms;
}

const char *clock_format(int64_t wall_ms, bool utc, const char *format, char *buffer, size_t size)
{
    struct tm parts;
    time_t s;
    int ms;

    split_ms(wall_ms, &s, &ms);
    if (!(utc ? gmtime_r(&s, &parts) : localtime_r(&s, &parts))
        || strftime(buffer, size, format, &parts) == 0) {
        buffer[0] = '\0';
    }
    return buffer;
}

const char *clock_utc(int64_t wall_ms, char buffer[static CLOCK_TEXT_SIZE])
{
    char seconds[CLOCK_TEXT_SIZE];
    time_t s;
    int ms;

    split_ms(wall_ms, &s, &ms);
    (void) clock_format(wall_ms, true, "%Y-%m-%dT%H:%M:%S", seconds, sizeof(seconds));
    (void) snprintf(buffer, CLOCK_TEXT_SIZE, "%.30s.%03dZ", seconds, ms);
    return buffer;
}

const char *clock_local(int64_t wall_ms, char buffer[static CLOCK_TEXT_SIZE])
{
    return clock_format(wall_ms, false, "%Y-%m-%d %H:%M:%S", buffer, CLOCK_TEXT_SIZE);
}

const char *clock_day(int64_t wall_ms, char buffer[static CLOCK_TEXT_SIZE])
{
    return clock_format(wall_ms, false, "%Y-%m-%d", buffer, CLOCK_TEXT_SIZE);
}

/* "", "Z", "+01:00", "-0530". Returns false if it is none of them. */
static bool parse_zone(const char *text, bool *ret_local, int *ret_offset_s)
{
    int hours, minutes, length = 0;

    *ret_local = *text == '\0';
    *ret_offset_s = 0;
    if (*text == '\0' || text_equal(text, "Z") || text_equal(text, "z")) {
        return true;
    }
    // digits only: sscanf() would take "+-5:00" as well
    if ((*text != '+' && *text != '-') || strspn(text + 1, "0123456789:") != strlen(text + 1)) {
        return false;
    }
    if (sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &length) != 2
        && sscanf(text + 1, "%2d%2d%n", &hours, &minutes, &length) != 2) {
        return false;
    }
    if (text[1 + length] != '\0' || hours > 14 || minutes > 59) {
        return false;
    }
    *ret_offset_s = (hours * 60 + minutes) * 60 * (*text == '-' ? -1 : 1);
    return true;
}

/* The fields of a date and time. Returns where the zone begins, NULL if it is no time. */
static const char *parse_fields(const char *text, struct tm *ret, int *ret_ms)
{
    const char *end;

    *ret_ms = 0;
    *ret = (struct tm){ .tm_isdst = -1 };
    end = strptime(text, "%Y-%m-%d", ret);
    if (!end || *end == '\0') {
        return end;
    }
    if (*end != ' ' && *end != 'T') {
        return NULL;
    }
    end = strptime(end + 1, "%H:%M", ret);
    if (end && *end == ':') {
        end = strptime(end + 1, "%S", ret);
    }
    if (end && *end == '.') {
        size_t digits = strspn(end + 1, "0123456789");
        char fraction[4] = "000";

        memcpy(fraction, end + 1, MIN(digits, (size_t) 3));
        *ret_ms = atoi(fraction);
        end += 1 + digits;
    }
    return end;
}

int clock_parse(const char *text, int64_t *ret_wall_ms)
{
    struct tm parts, check;
    const char *zone;
    bool local;
    int offset_s, ms;
    time_t s;

    zone = parse_fields(text, &parts, &ms);
    if (!zone || !parse_zone(zone, &local, &offset_s)) {
        return -EINVAL;
    }

    check = parts;
    s = local ? mktime(&parts) : timegm(&parts) - offset_s;
    if (parts.tm_mday != check.tm_mday || parts.tm_mon != check.tm_mon) {
        return -EINVAL;  // 31 February
    }

    *ret_wall_ms = (int64_t) s * 1000 + ms;
    return 0;
}

/* A rule such as "CET-1CEST,M3.5.0,M10.5.0/3" or "<+0545>-5:45", which needs no file: a name, then an offset. */
static bool is_zone_rule(const char *zone)
{
    size_t name_length = *zone == '<' ? strcspn(zone, ">") + 1
                                      : strspn(zone, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

    if (name_length < 3 || name_length >= strlen(zone)) {
        return false;
    }
    zone += name_length;
    zone += *zone == '+' || *zone == '-';
    return isdigit((unsigned char) *zone);
}

int clock_set_timezone(const char *zone)
{
    char path[512];
    struct stat status;

    if (*zone == '\0') {
        return 0;
    }
    if (strstr(zone, "..") || zone[0] == '/'
        || (size_t) snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", zone) >= sizeof(path)) {
        return -EINVAL;
    }
    // tzset() takes any word for UTC: ask for the file
    if ((stat(path, &status) < 0 || !S_ISREG(status.st_mode)) && !is_zone_rule(zone) && !text_equal(zone, "UTC")) {
        return -EINVAL;
    }
    if (setenv("TZ", zone, 1) < 0) {
        return -ENOMEM;
    }
    tzset();
    return 0;
}

int64_t clock_build_ms(void)
{
    return (int64_t) METERSTICK_BUILD_S * 1000;
}
