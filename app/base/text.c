/* SPDX-License-Identifier: MIT */
#include "app/base/text.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void text_clear(struct text *text)
{
    free(text->data);
    *text = (struct text){ 0 };
}

void text_reset(struct text *text)
{
    text->size = 0;
    text->failed = false;
    if (text->data) {
        text->data[0] = '\0';
    }
}

/* Room for `more` bytes and the NUL. */
static bool text_grow(struct text *text, size_t more)
{
    size_t wanted = text->size + more + 1;
    size_t capacity;
    char *data;

    if (text->failed) {
        return false;
    }
    if (wanted <= text->capacity) {
        return true;
    }

    capacity = MAX(wanted, text->capacity * 2);
    data = realloc(text->data, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }

    text->data = data;
    text->capacity = capacity;
    return true;
}

void text_reserve(struct text *text, size_t more)
{
    (void) text_grow(text, more);
}

void text_add_bytes(struct text *text, const void *bytes, size_t size)
{
    if (!text_grow(text, size)) {
        return;
    }

    memcpy(text->data + text->size, bytes, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_add_char(struct text *text, char c)
{
    text_add_bytes(text, &c, 1);
}

void text_vaddf(struct text *text, const char *format, va_list arguments)
{
    va_list again;
    int length;

    va_copy(again, arguments);
    length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0 || !text_grow(text, (size_t) length)) {
        text->failed = true;
        return;
    }

    (void) vsnprintf(text->data + text->size, (size_t) length + 1, format, arguments);
    text->size += (size_t) length;
}

void text_addf(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    text_vaddf(text, format, arguments);
    va_end(arguments);
}

const char *text_string(const struct text *text)
{
    return text->data ? text->data : "";
}

char *text_trim(char *string)
{
    size_t length;

    while (isspace((unsigned char) *string)) {
        string++;
    }
    length = strlen(string);
    while (length > 0 && isspace((unsigned char) string[length - 1])) {
        length--;
    }
    string[length] = '\0';
    return string;
}

char *text_word(char **rest)
{
    char *word = *rest;
    char *end;

    while (isspace((unsigned char) *word)) {
        word++;
    }
    end = word;
    while (*end && !isspace((unsigned char) *end)) {
        end++;
    }
    *rest = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

char *text_item(char **rest)
{
    char *item = *rest;
    char *comma;

    if (!item) {
        return NULL;
    }

    comma = strchr(item, ',');
    if (comma) {
        *comma = '\0';
    }
    *rest = comma ? comma + 1 : NULL;
    return text_trim(item);
}

bool text_equal(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

bool text_starts(const char *string, const char *prefix)
{
    return strncmp(string, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *string, const char *suffix)
{
    size_t length = strlen(string);
    size_t suffix_length = strlen(suffix);

    return length >= suffix_length && text_equal(string + length - suffix_length, suffix);
}

size_t text_utf8_length(const char *string, size_t size)
{
    const unsigned char *bytes = (const unsigned char *) string;
    size_t length = bytes[0] < 0x80 ? 1 : bytes[0] < 0xC2 ? 0 : bytes[0] < 0xE0 ? 2 : bytes[0] < 0xF0 ? 3
                    : bytes[0] < 0xF5                                                                  ? 4
                                                                                                       : 0;

    if (length == 0 || length > size) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    if ((bytes[0] == 0xE0 && bytes[1] < 0xA0) || (bytes[0] == 0xED && bytes[1] > 0x9F)
        || (bytes[0] == 0xF0 && bytes[1] < 0x90) || (bytes[0] == 0xF4 && bytes[1] > 0x8F)) {
        return 0;
    }
    return length;
}

bool text_is_utf8(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size;) {
        size_t length = text_utf8_length(bytes + i, size - i);

        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}

/* C0, DEL, and C1: a terminal takes U+009B for the beginning of an escape sequence. */
static bool is_control(const char *character)
{
    const unsigned char *bytes = (const unsigned char *) character;

    return bytes[0] < 0x20 || bytes[0] == 0x7F || (bytes[0] == 0xC2 && bytes[1] < 0xA0);
}

void text_make_printable(char *string)
{
    size_t length;

    for (; *string; string += length) {
        length = text_utf8_length(string, strnlen(string, 4));
        if (length == 0 || is_control(string)) {
            length = MAX(length, (size_t) 1);
            memset(string, *string == '\n' ? ' ' : '?', length);
        }
    }
}

/* con, prn, aux, nul, com0-9, lpt0-9: Windows takes them for devices, with any ending. */
static bool is_device_name(const char *name)
{
    static const char *const devices[] = { "aux", "con", "nul", "prn" };

    for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
        if (text_equal(name, devices[i])) {
            return true;
        }
    }
    return (text_starts(name, "com") || text_starts(name, "lpt")) && isdigit((unsigned char) name[3])
           && name[4] == '\0';
}

bool text_is_name(const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length >= 32 || name[0] == '-' || name[0] == '_') {
        return false;
    }
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != length) {
        return false;
    }
    return !is_device_name(name);
}

int text_copy(char *ret, size_t size, const char *string)
{
    size_t length = strlen(string);

    if (length >= size) {
        return -ENAMETOOLONG;
    }

    memcpy(ret, string, length + 1);
    return 0;
}

/* Whether only white space follows a number, and there was one. */
static bool ends_number(const char *start, const char *end)
{
    if (end == start) {
        return false;
    }
    while (isspace((unsigned char) *end)) {
        end++;
    }
    return *end == '\0';
}

/* Decimal unless it says 0x: a leading zero is no octal to a person. */
static int number_base(const char *string)
{
    while (isspace((unsigned char) *string) || *string == '-' || *string == '+') {
        string++;
    }
    return string[0] == '0' && (string[1] == 'x' || string[1] == 'X') ? 16 : 10;
}

int text_to_unsigned(const char *string, uint64_t min, uint64_t max, uint64_t *ret)
{
    unsigned long long value;
    char *end;

    errno = 0;
    value = strtoull(string, &end, number_base(string));
    if (!ends_number(string, end)) {
        return -EINVAL;
    }
    if (errno == ERANGE || strchr(string, '-') || value < min || value > max) {
        return -ERANGE;
    }

    *ret = value;
    return 0;
}

int text_to_double(const char *string, double min, double max, double *ret)
{
    double value;
    char *end;

    // strtod also takes "nan", "inf" and hexadecimal floats: no person means those
    if (strspn(string, "0123456789+-.eE \t") != strlen(string)) {
        return -EINVAL;
    }
    value = strtod(string, &end);
    if (!ends_number(string, end)) {
        return -EINVAL;
    }
    if (!(value >= min && value <= max)) {
        return -ERANGE;
    }

    *ret = value;
    return 0;
}

int text_to_bool(const char *string, bool *ret)
{
    static const struct { const char *word; bool value; } words[] = {
        { "0", false }, { "1", true },     { "false", false }, { "no", false },
        { "off", false }, { "on", true },  { "true", true },   { "yes", true },
    };

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcasecmp(string, words[i].word) == 0) {
            *ret = words[i].value;
            return 0;
        }
    }
    return -EINVAL;
}

/* ms of a unit's word; 0: no such unit. */
static uint64_t duration_unit_ms(const char *unit)
{
    static const struct { const char *word; uint64_t ms; } units[] = {
        { "d", 86400000 },    { "day", 86400000 },   { "days", 86400000 }, { "h", 3600000 },
        { "hour", 3600000 },  { "hours", 3600000 },  { "m", 60000 },       { "min", 60000 },
        { "minute", 60000 },  { "minutes", 60000 },  { "ms", 1 },          { "s", 1000 },
        { "sec", 1000 },      { "second", 1000 },    { "seconds", 1000 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (text_equal(unit, units[i].word)) {
            return units[i].ms;
        }
    }
    return 0;
}

int text_to_duration_ms(const char *string, uint64_t default_unit_ms, uint64_t min_ms, uint64_t max_ms,
                        uint64_t *ret_ms)
{
    size_t number_length = strspn(string, "0123456789.");
    char number[32], unit[16];
    uint64_t unit_ms = default_unit_ms;
    double value;
    int r;

    if (number_length == 0 || number_length >= sizeof(number)) {
        return -EINVAL;
    }
    memcpy(number, string, number_length);
    number[number_length] = '\0';
    r = text_to_double(number, 0, 1e15, &value);
    if (r < 0) {
        return -EINVAL;
    }

    r = text_copy(unit, sizeof(unit), string + number_length);
    if (r < 0) {
        return -EINVAL;
    }
    if (*text_trim(unit)) {
        unit_ms = duration_unit_ms(text_trim(unit));
        if (unit_ms == 0) {
            return -EINVAL;
        }
    }

    value = round(value * (double) unit_ms);
    if (value < (double) min_ms || value > (double) max_ms) {
        return -ERANGE;
    }

    *ret_ms = (uint64_t) value;
    return 0;
}

const char *text_duration(uint64_t ms, char buffer[static TEXT_DURATION_SIZE])
{
    uint64_t s = (ms + 500) / 1000;

    if (ms < 1000) {
        (void) snprintf(buffer, TEXT_DURATION_SIZE, "%u ms", (unsigned) ms);
    } else if (ms < 10000 && ms % 1000 != 0) {
        (void) snprintf(buffer, TEXT_DURATION_SIZE, "%.1f s", (double) ms / 1000.0);
    } else if (s < 120) {
        (void) snprintf(buffer, TEXT_DURATION_SIZE, "%u s", (unsigned) s);
    } else if (s < 7200) {
        (void) snprintf(buffer, TEXT_DURATION_SIZE, "%u min", (unsigned) ((s + 30) / 60));
    } else if (s < 172800) {
        (void) snprintf(buffer, TEXT_DURATION_SIZE, "%u h %u min", (unsigned) (s / 3600),
                        (unsigned) (s % 3600 / 60));
    } else {
        (void) snprintf(buffer, TEXT_DURATION_SIZE, "%u days %u h", (unsigned) (s / 86400),
                        (unsigned) (s % 86400 / 3600));
    }
    return buffer;
}

#define DISTANCE_MAX 64  // longer words are cut for the comparison: nobody misspells further on

unsigned text_distance(const char *a, const char *b)
{
    unsigned before[DISTANCE_MAX + 1], last[DISTANCE_MAX + 1], row[DISTANCE_MAX + 1];
    size_t a_length = MIN(strlen(a), (size_t) DISTANCE_MAX);
    size_t b_length = MIN(strlen(b), (size_t) DISTANCE_MAX);

    for (unsigned j = 0; j <= b_length; j++) {
        last[j] = j;
        before[j] = 0;
    }
    for (unsigned i = 1; i <= a_length; i++) {
        row[0] = i;
        for (unsigned j = 1; j <= b_length; j++) {
            unsigned replaced = last[j - 1] + (a[i - 1] != b[j - 1]);
            unsigned inserted = MIN(last[j], row[j - 1]) + 1;

            row[j] = MIN(replaced, inserted);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = MIN(row[j], before[j - 2] + 1);
            }
        }
        memcpy(before, last, sizeof(before));
        memcpy(last, row, sizeof(last[0]) * (b_length + 1));
    }
    return last[b_length];
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
    size_t length = strlen(nearest->word);
    bool begun = length >= 3 && text_starts(candidate, nearest->word);
    unsigned distance = begun ? 0 : text_distance(nearest->word, candidate);
    size_t allowed = MAX(length / 3, (size_t) 1);

    if (distance <= allowed && (!nearest->best || distance < nearest->distance)) {
        nearest->best = candidate;
        nearest->distance = distance;
    }
}

const char *text_nearest(const char *word, const char *const *words, size_t word_count)
{
    struct nearest nearest = { .word = word };

    for (size_t i = 0; i < word_count; i++) {
        nearest_offer(&nearest, words[i]);
    }
    return nearest.best;
}

const char *text_hint(const char *nearest, char buffer[static TEXT_HINT_SIZE])
{
    buffer[0] = '\0';
    if (nearest) {
        (void) snprintf(buffer, TEXT_HINT_SIZE, ", did you mean '%.70s'?", nearest);
    }
    return buffer;
}
