/* SPDX-License-Identifier: MIT */
/*
 * Current Cost CC128 and EnviR: a display that hears up to ten radio sensors with up to three clamps each.
 *
 *     <msg>
 *       <src>CC128-v0.11</src>       model and firmware of the display
 *       <dsb>00089</dsb>             days since birth
 *       <time>13:02:39</time>        its own clock, without a date
 *       <tmpr>18.7</tmpr>            degC, " 5.1" and "-3.2" too; <tmprF> in degF where it shows Fahrenheit
 *       <sensor>1</sensor>           0 (whole house) to 9
 *       <id>01234</id>               the sensor's radio
 *       <type>1</type>               1 electricity, 2 impulses
 *       <ch1><watts>00345</watts></ch1>   W, 5 digits; ch2 and ch3 where there are such clamps
 *       <imp>0000014768</imp>        type 2: impulses, 10 digits
 *       <ipu>1000</ipu>              type 2: impulses of one unit
 *     </msg>                         all on one line, then CR LF
 *
 * A minute past each odd hour <hist> messages of the display's memory come instead.
 * Source: Current Cost CC128 XML description v0.11 and v0.15.
 */
#include "drivers/currentcost.h"

#include "app/base/macros.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A part of the message, not ended by a NUL. */
struct slice {
    const char *start;
    size_t size;
};

static bool slice_is(struct slice slice, const char *word)
{
    return slice.size == strlen(word) && memcmp(slice.start, word, slice.size) == 0;
}

static bool all_digits(struct slice slice)
{
    for (size_t i = 0; i < slice.size; i++) {
        if (slice.start[i] < '0' || slice.start[i] > '9') {
            return false;
        }
    }
    return slice.size > 0;
}

/* A number of min to max digits. */
static bool parse_digits(struct slice slice, size_t min, size_t max, double *ret)
{
    double value = 0;

    if (slice.size < min || slice.size > max || !all_digits(slice)) {
        return false;
    }
    for (size_t i = 0; i < slice.size; i++) {
        value = value * 10 + (slice.start[i] - '0');
    }
    *ret = value;
    return true;
}

static bool parse_unsigned(struct slice slice, size_t min, size_t max, unsigned *ret)
{
    double value = 0;

    if (!parse_digits(slice, min, max, &value)) {
        return false;
    }
    *ret = (unsigned) value;
    return true;
}

/* Exactly as wide as sent, since a lost digit would make a believable number of 1380 W: 138 W. */
static bool parse_watts(struct slice slice, double *ret)
{
    bool negative = slice.size == 5 && slice.start[0] == '-';
    double value = 0;

    if (negative) {
        slice.start++;
        slice.size--;
    }
    if (!parse_digits(slice, negative ? 4 : 5, negative ? 4 : 5, &value)) {
        return false;
    }
    *ret = negative && value > 0 ? -value : value;
    return true;
}

/* Four characters or more, one of them behind the point: "18.7", " 5.1", "-3.2", "102.4", "-12.5". */
static double parse_temperature(struct slice slice)
{
    bool negative = slice.size > 0 && slice.start[0] == '-';
    size_t skip = negative || (slice.size > 0 && slice.start[0] == ' ') ? 1 : 0;
    double whole = 0, tenth = 0;

    if (slice.size < 4 || slice.size > 5 || slice.start[slice.size - 2] != '.'
        || !parse_digits((struct slice){ slice.start + skip, slice.size - skip - 2 }, 1, 3, &whole)
        || !parse_digits((struct slice){ slice.start + slice.size - 1, 1 }, 1, 1, &tenth)) {
        return NAN;
    }
    return (negative ? -1 : 1) * (whole * 10 + tenth) / 10;
}

static int parse_clock(struct slice slice)
{
    int hours, minutes, seconds;

    if (slice.size != 8 || slice.start[2] != ':' || slice.start[5] != ':'
        || !all_digits((struct slice){ slice.start, 2 })
        || !all_digits((struct slice){ slice.start + 3, 2 })
        || !all_digits((struct slice){ slice.start + 6, 2 })) {
        return -1;
    }
    hours = (slice.start[0] - '0') * 10 + slice.start[1] - '0';
    minutes = (slice.start[3] - '0') * 10 + slice.start[4] - '0';
    seconds = (slice.start[6] - '0') * 10 + slice.start[7] - '0';
    if (hours > 23 || minutes > 59 || seconds > 59) {
        return -1;
    }
    return hours * 3600 + minutes * 60 + seconds;
}

/*
 * Cut "<name>content</name>" off the rest. The content may hold further elements, but none of the same name.
 * False if that is not what stands there.
 */
static bool cut_element(struct slice *rest, struct slice *ret_name, struct slice *ret_content)
{
    const char *end = rest->start + rest->size;
    const char *close;
    char closing[24];
    struct slice name;
    int length;

    if (rest->size < 3 || rest->start[0] != '<') {
        return false;
    }
    close = memchr(rest->start, '>', rest->size);
    if (!close) {
        return false;
    }
    name = (struct slice){ rest->start + 1, (size_t) (close - rest->start - 1) };
    if (name.size == 0 || name.size > 16 || memchr(name.start, '<', name.size)
        || name.start[0] == '/') {
        return false;
    }

    length = snprintf(closing, sizeof(closing), "</%.*s>", (int) name.size, name.start);
    close++;
    const char *last = memmem(close, (size_t) (end - close), closing, (size_t) length);
    if (!last) {
        return false;
    }
    *ret_name = name;
    *ret_content = (struct slice){ close, (size_t) (last - close) };
    *rest = (struct slice){ last + length, (size_t) (end - last - length) };
    return true;
}

/* What the elements of a message were, to see one that comes twice. */
enum { SEEN_SENSOR = 1, SEEN_TYPE = 2, SEEN_IMPULSES = 4, SEEN_CHANNEL = 8 };

static bool see(unsigned *seen, unsigned what)
{
    bool again = *seen & what;

    *seen |= what;
    return !again;
}

/* <ch1><watts>00345</watts></ch1> */
static bool take_channel(struct slice name, struct slice content, unsigned *seen,
                         struct currentcost *ret)
{
    unsigned channel = (unsigned) (name.start[2] - '1');
    struct slice inner, watts;

    return channel < CURRENTCOST_CHANNELS && see(seen, SEEN_CHANNEL << channel)
           && cut_element(&content, &inner, &watts) && content.size == 0 && slice_is(inner, "watts")
           && parse_watts(watts, &ret->watts[channel]);
}

/* One element of a message. Returns NULL, or what is wrong with it. What we do not know is left alone. */
static const char *take_element(struct slice name, struct slice content, unsigned *seen,
                                struct currentcost *ret)
{
    if (slice_is(name, "src")) {
        (void) snprintf(ret->source, sizeof(ret->source), "%.*s", (int) MIN(content.size, (size_t) 23),
                        content.start);
    } else if (slice_is(name, "dsb")) {
        (void) parse_unsigned(content, 1, 9, &ret->days_since_birth);  // of no use to a reading
    } else if (slice_is(name, "time")) {
        ret->clock_s = parse_clock(content);
    } else if (slice_is(name, "tmpr")) {
        ret->temperature_degc = parse_temperature(content);
    } else if (slice_is(name, "tmprF")) {
        ret->temperature_degc = (parse_temperature(content) - 32) * 5 / 9;
    } else if (slice_is(name, "sensor")) {
        return see(seen, SEEN_SENSOR) && parse_unsigned(content, 1, 3, &ret->sensor) ? NULL
                                                                                     : "sensor";
    } else if (slice_is(name, "id")) {
        return parse_unsigned(content, 1, 9, &ret->radio_id) ? NULL : "id";
    } else if (slice_is(name, "type")) {
        return see(seen, SEEN_TYPE) && parse_unsigned(content, 1, 2, &ret->type) ? NULL : "type";
    } else if (name.size == 3 && memcmp(name.start, "ch", 2) == 0) {
        return take_channel(name, content, seen, ret) ? NULL : "watts";
    } else if (slice_is(name, "imp")) {
        return see(seen, SEEN_IMPULSES) && parse_digits(content, 10, 10, &ret->impulses)
                   ? NULL
                   : "impulses";
    } else if (slice_is(name, "ipu")) {
        return parse_digits(content, 1, 9, &ret->impulses_per_unit) ? NULL : "impulses per unit";
    } else if (slice_is(name, "hist")) {
        ret->kind = CURRENTCOST_HISTORY;
    }
    return NULL;
}

static const char *take_message(struct slice rest, struct currentcost *ret)
{
    unsigned seen = 0;

    for (size_t i = 0; i < rest.size; i++) {
        if (rest.start[i] < ' ' || rest.start[i] > '~') {
            return "character";
        }
    }
    while (rest.size > 0) {
        struct slice name, content;
        const char *damage;

        if (!cut_element(&rest, &name, &content)) {
            return "markup";
        }
        damage = take_element(name, content, &seen, ret);
        if (damage) {
            return damage;
        }
    }

    if (ret->kind == CURRENTCOST_HISTORY) {
        return NULL;
    }
    if (!(seen & SEEN_SENSOR)) {
        return "sensor";
    }
    if (ret->type == 2) {
        ret->kind = CURRENTCOST_IMPULSE;
        return seen & SEEN_IMPULSES ? NULL : "impulses";
    }
    ret->kind = CURRENTCOST_READING;
    return seen & (SEEN_CHANNEL << 0 | SEEN_CHANNEL << 1 | SEEN_CHANNEL << 2) ? NULL : "watts";
}

bool currentcost_is_fresh(unsigned long polls_ago, uint64_t age_ms)
{
    return age_ms <= 30000 && (polls_ago < 3 || age_ms <= 3 * CURRENTCOST_PERIOD_MS);
}

static void clear(struct currentcost *ret)
{
    *ret = (struct currentcost){
        .kind = CURRENTCOST_NOTHING,
        .damage = "",
        .clock_s = -1,
        .temperature_degc = NAN,
        .watts = { NAN, NAN, NAN },
        .impulses = NAN,
        .impulses_per_unit = NAN,
    };
}

static size_t damaged(struct currentcost *ret, const char *damage, size_t used)
{
    clear(ret);
    ret->kind = CURRENTCOST_DAMAGED;
    ret->damage = damage;
    return used;
}

/* How many bytes at the end could be the beginning of "<msg>". */
static size_t begun_size(const char *bytes, size_t size)
{
    for (size_t length = MIN(size, (size_t) 4); length > 0; length--) {
        if (memcmp(bytes + size - length, "<msg>", length) == 0) {
            return length;
        }
    }
    return 0;
}

size_t currentcost_parse(const char *bytes, size_t size, struct currentcost *ret)
{
    const char *limit = bytes + size;
    const char *start, *end, *next, *body;
    const char *damage;

    clear(ret);
    start = memmem(bytes, size, "<msg>", 5);
    if (!start) {
        return size - begun_size(bytes, size);
    }

    body = start + 5;
    end = memmem(body, (size_t) (limit - body), "</msg>", 6);
    next = memmem(body, (size_t) (limit - body), "<msg>", 5);
    if (next && (!end || next < end)) {
        return damaged(ret, "cut off", (size_t) (next - bytes));
    }
    if (!end) {
        size_t waiting = (size_t) (limit - start);
        bool history = memmem(body, (size_t) (limit - body), "<hist>", 6);

        if (waiting > (history ? CURRENTCOST_MAX_SIZE : CURRENTCOST_MAX_READING)) {
            return damaged(ret, "overlong", size - begun_size(bytes, size));
        }
        return (size_t) (start - bytes);
    }

    damage = take_message((struct slice){ body, (size_t) (end - body) }, ret);
    if (damage) {
        return damaged(ret, damage, (size_t) (end + 6 - bytes));
    }
    return (size_t) (end + 6 - bytes);
}
