/* SPDX-License-Identifier: MIT */
#include "drivers/codec.h"

#include "app/base/text.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Every number format that a model file may name. */
static const struct codec codecs[] = {
    // name          result         words  type            low word first, low byte first
    { "ch1",         CODEC_MESSAGE, 0, TYPE_MESSAGE,   false, false },
    { "ch2",         CODEC_MESSAGE, 0, TYPE_MESSAGE,   false, false },
    { "ch3",         CODEC_MESSAGE, 0, TYPE_MESSAGE,   false, false },
    { "datetime4",   CODEC_TEXT,    4, TYPE_DATETIME4, false, false },
    { "f32.abcd",    CODEC_NUMBER,  2, TYPE_FLOAT,     false, false },
    { "f32.badc",    CODEC_NUMBER,  2, TYPE_FLOAT,     false, true },
    { "f32.cdab",    CODEC_NUMBER,  2, TYPE_FLOAT,     true,  false },
    { "f32.dcba",    CODEC_NUMBER,  2, TYPE_FLOAT,     true,  true },
    { "f64.abcd",    CODEC_NUMBER,  4, TYPE_FLOAT,     false, false },
    { "f64.badc",    CODEC_NUMBER,  4, TYPE_FLOAT,     false, true },
    { "f64.cdab",    CODEC_NUMBER,  4, TYPE_FLOAT,     true,  false },
    { "f64.dcba",    CODEC_NUMBER,  4, TYPE_FLOAT,     true,  true },
    { "i16",         CODEC_NUMBER,  1, TYPE_SIGNED,    false, false },
    { "i16.ba",      CODEC_NUMBER,  1, TYPE_SIGNED,    false, true },
    { "i32.abcd",    CODEC_NUMBER,  2, TYPE_SIGNED,    false, false },
    { "i32.badc",    CODEC_NUMBER,  2, TYPE_SIGNED,    false, true },
    { "i32.cdab",    CODEC_NUMBER,  2, TYPE_SIGNED,    true,  false },
    { "i32.dcba",    CODEC_NUMBER,  2, TYPE_SIGNED,    true,  true },
    { "i64.abcd",    CODEC_NUMBER,  4, TYPE_SIGNED,    false, false },
    { "i64.badc",    CODEC_NUMBER,  4, TYPE_SIGNED,    false, true },
    { "i64.cdab",    CODEC_NUMBER,  4, TYPE_SIGNED,    true,  false },
    { "i64.dcba",    CODEC_NUMBER,  4, TYPE_SIGNED,    true,  true },
    { "impulses",    CODEC_MESSAGE, 0, TYPE_MESSAGE,   false, false },
    { "pf4q.abcd",   CODEC_PF4Q,    2, TYPE_PF4Q,      false, false },
    { "pf4q.badc",   CODEC_PF4Q,    2, TYPE_PF4Q,      false, true },
    { "pf4q.cdab",   CODEC_PF4Q,    2, TYPE_PF4Q,      true,  false },
    { "pf4q.dcba",   CODEC_PF4Q,    2, TYPE_PF4Q,      true,  true },
    { "temperature", CODEC_MESSAGE, 0, TYPE_MESSAGE,   false, false },
    { "text",        CODEC_TEXT,    0, TYPE_TEXT,      false, false },
    { "text.ba",     CODEC_TEXT,    0, TYPE_TEXT,      false, true },
    { "u16",         CODEC_NUMBER,  1, TYPE_UNSIGNED,  false, false },
    { "u16.ba",      CODEC_NUMBER,  1, TYPE_UNSIGNED,  false, true },
    { "u32.abcd",    CODEC_NUMBER,  2, TYPE_UNSIGNED,  false, false },
    { "u32.badc",    CODEC_NUMBER,  2, TYPE_UNSIGNED,  false, true },
    { "u32.cdab",    CODEC_NUMBER,  2, TYPE_UNSIGNED,  true,  false },
    { "u32.dcba",    CODEC_NUMBER,  2, TYPE_UNSIGNED,  true,  true },
    { "u64.abcd",    CODEC_NUMBER,  4, TYPE_UNSIGNED,  false, false },
    { "u64.badc",    CODEC_NUMBER,  4, TYPE_UNSIGNED,  false, true },
    { "u64.cdab",    CODEC_NUMBER,  4, TYPE_UNSIGNED,  true,  false },
    { "u64.dcba",    CODEC_NUMBER,  4, TYPE_UNSIGNED,  true,  true },
    { "watts",       CODEC_MESSAGE, 0, TYPE_MESSAGE,   false, false },
};

#define TEXT_WORDS_MAX 64  // the longest text of a seed model has 20

const struct codec *codec_all(size_t *ret_count)
{
    *ret_count = ARRAY_SIZE(codecs);
    return codecs;
}

static const struct codec *find_exactly(const char *name, size_t length)
{
    for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
        if (strlen(codecs[i].name) == length && strncmp(codecs[i].name, name, length) == 0) {
            return &codecs[i];
        }
    }
    return NULL;
}

/* "text.20" and "text.20.ba": the count stands in the middle. */
static const struct codec *find_text(const char *name, unsigned *ret_word_count)
{
    unsigned count;
    char ending[5] = "";

    if (sscanf(name, "text.%2u%4s", &count, ending) < 1 || count == 0 || count > TEXT_WORDS_MAX) {
        return NULL;
    }
    if (ending[0] != '\0' && !text_equal(ending, ".ba")) {
        return NULL;
    }

    *ret_word_count = count;
    return find_exactly(ending[0] ? "text.ba" : "text", ending[0] ? 7 : 4);
}

const struct codec *codec_find(const char *name, unsigned *ret_word_count)
{
    const struct codec *codec;

    if (text_starts(name, "text")) {
        return find_text(name, ret_word_count);
    }
    codec = find_exactly(name, strlen(name));
    if (codec) {
        *ret_word_count = codec->word_count;
    }
    return codec;
}

const char *codec_nearest(const char *name)
{
    const char *names[ARRAY_SIZE(codecs)];

    for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
        names[i] = codecs[i].type == TYPE_TEXT ? "text.20" : codecs[i].name;
    }
    return text_nearest(name, names, ARRAY_SIZE(names));
}

const struct codec *codec_reorder(const struct codec *codec, bool low_word_first, bool low_byte_first)
{
    for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
        const struct codec *other = &codecs[i];

        if (other->type == codec->type && other->word_count == codec->word_count
            && other->result == codec->result && other->low_byte_first == low_byte_first
            && (other->low_word_first == low_word_first || codec->word_count < 2)) {
            return other;
        }
    }
    return codec;  // datetime4, messages: one order only
}

static uint16_t swap_bytes(uint16_t word)
{
    return (uint16_t) (word << 8 | word >> 8);
}

/* The bits of a number, high word first. */
static uint64_t gather(const struct codec *codec, const uint16_t *words)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < codec->word_count; i++) {
        uint16_t word = words[codec->low_word_first ? codec->word_count - 1 - i : i];

        bits = bits << 16 | (codec->low_byte_first ? swap_bytes(word) : word);
    }
    return bits;
}

static void scatter(const struct codec *codec, uint64_t bits, uint16_t *ret_words)
{
    for (unsigned i = 0; i < codec->word_count; i++) {
        uint16_t word = (uint16_t) (bits >> 16 * (codec->word_count - 1 - i));

        ret_words[codec->low_word_first ? codec->word_count - 1 - i : i] =
            codec->low_byte_first ? swap_bytes(word) : word;
    }
}

static float float_of_bits(uint64_t bits)
{
    uint32_t bits32 = (uint32_t) bits;
    float value;

    memcpy(&value, &bits32, sizeof(value));
    return value;
}

static double double_of_bits(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static unsigned bit_count(const struct codec *codec)
{
    assert(codec->word_count > 0);  // texts and messages are not numbers
    return codec->word_count * 16;
}

/* All ones of an unsigned number, only the sign bit of a signed one. */
static uint64_t not_available(const struct codec *codec)
{
    uint64_t sign = UINT64_C(1) << (bit_count(codec) - 1);

    return codec->type == TYPE_SIGNED ? sign : sign | (sign - 1);
}

static int64_t extend_sign(uint64_t bits, unsigned count)
{
    return (int64_t) (bits << (64 - count)) >> (64 - count);
}

/*
 * Four quadrants in one number: beyond +-1 the current leads, and the power factor is what is missing to 2.
 * Source: Schneider, PM5100/iEM3000 register lists, "4Q FP PF".
 */
static void decode_pf4q(float raw, double ret[static 2])
{
    static const struct decimal one = { .digits = 1 };
    float magnitude = fabsf(raw);

    if (isnan(raw) || magnitude > 2.0f) {
        ret[0] = ret[1] = NAN;
        return;
    }
    if (magnitude > 1.0f) {
        raw = copysignf(2.0f - magnitude, raw);
    }
    // a sum of binary32 numbers has their grain: its own shortest decimal would show more digits than were sent
    ret[0] = decimal_scale_float(raw, one);
    ret[1] = magnitude > 1.0f ? -1 : magnitude == 1.0f ? 0 : 1;
}

void codec_decode(const struct codec *codec, const uint16_t *words, struct decimal resolution,
                  bool schneider_codes, double ret[static 2])
{
    uint64_t bits;

    assert(codec->result == CODEC_NUMBER || codec->result == CODEC_PF4Q);
    bits = gather(codec, words);
    ret[0] = ret[1] = NAN;
    if (codec->type == TYPE_PF4Q) {
        decode_pf4q(float_of_bits(bits), ret);
    } else if (codec->type == TYPE_FLOAT) {
        ret[0] = codec->word_count == 2 ? decimal_scale_float(float_of_bits(bits), resolution)
                                        : decimal_scale_double(double_of_bits(bits), resolution);
    } else if (schneider_codes && bits == not_available(codec)) {
        return;
    } else if (codec->type == TYPE_SIGNED) {
        ret[0] = decimal_scale_signed(extend_sign(bits, bit_count(codec)), resolution);
    } else {
        ret[0] = decimal_scale_unsigned(bits, resolution);
    }
    if (!isfinite(ret[0])) {
        ret[0] = ret[1] = NAN;  // infinity is no reading either
    }
}

/*
 * Schneider's date and time in four registers: year since 2000 (7 bits); month, day; hour, minute; milliseconds.
 * Source: iEM3000 series user manual DOCA0005EN, "Date and time format".
 */
static size_t decode_datetime4(const uint16_t *words, char *ret, size_t size)
{
    unsigned year = words[0] & 0x7F, month = words[1] >> 8 & 0x0F, day = words[1] & 0x1F;
    unsigned hour = words[2] >> 8 & 0x1F, minute = words[2] & 0x3F, ms = words[3];
    int length = 0;

    if (month >= 1 && month <= 12 && day >= 1 && hour < 24 && minute < 60 && ms < 60000 && words[0] != 0xFFFF) {
        length = snprintf(ret, size, "20%02u-%02u-%02u %02u:%02u:%02u", year % 100, month, day, hour, minute,
                          ms / 1000);
    } else {
        ret[0] = '\0';
    }
    return (size_t) length;
}

size_t codec_decode_text(const struct codec *codec, const uint16_t *words, unsigned word_count, char *ret,
                         size_t size)
{
    size_t length = 0;

    assert(codec->result == CODEC_TEXT && size > 0);
    if (codec->type == TYPE_DATETIME4) {
        return decode_datetime4(words, ret, size);
    }

    for (unsigned i = 0; i < 2 * word_count && length + 1 < size; i++) {
        uint16_t word = codec->low_byte_first ? swap_bytes(words[i / 2]) : words[i / 2];
        unsigned char c = i % 2 == 0 ? (unsigned char) (word >> 8) : (unsigned char) word;

        if (c == '\0') {
            break;
        }
        ret[length++] = c < 0x20 || c == 0x7F ? '?' : (char) c;
    }
    while (length > 0 && ret[length - 1] == ' ') {
        length--;
    }
    ret[length] = '\0';
    if (!text_is_utf8(ret, length)) {
        for (size_t i = 0; i < length; i++) {
            ret[i] = (unsigned char) ret[i] >= 0x80 ? '?' : ret[i];
        }
    }
    return length;
}

/* Resolution as a factor; precise enough to invent a meter's registers with. */
static double resolution_factor(struct decimal resolution)
{
    return decimal_scale_signed(1, resolution);
}

static uint64_t encode_integer(const struct codec *codec, double raw)
{
    double half = ldexp(1, (int) bit_count(codec) - 1);
    double low = codec->type == TYPE_SIGNED ? -half : 0;
    double high = codec->type == TYPE_SIGNED ? half : 2 * half;

    raw = rint(raw);
    if (raw < low) {
        raw = low;
    }
    if (raw >= high) {
        raw = nextafter(high, 0);  // the largest double below: full scale, near enough
    }
    return codec->type == TYPE_SIGNED ? (uint64_t) (int64_t) raw : (uint64_t) raw;
}

void codec_encode(const struct codec *codec, double value, struct decimal resolution, uint16_t *ret_words)
{
    double raw = value / resolution_factor(resolution);
    uint64_t bits = 0;

    if (codec->type == TYPE_FLOAT || codec->type == TYPE_PF4Q) {
        float raw32 = (float) raw;
        uint32_t bits32;

        memcpy(&bits32, &raw32, sizeof(bits32));
        memcpy(&bits, &raw, sizeof(bits));
        bits = codec->word_count == 4 ? bits : isnan(raw) ? 0xFFC00000 : bits32;
    } else {
        bits = isnan(value) ? not_available(codec) : encode_integer(codec, raw);
    }
    scatter(codec, bits, ret_words);
}

void codec_encode_text(const struct codec *codec, const char *text, unsigned word_count, uint16_t *ret_words)
{
    size_t length = strlen(text);

    for (unsigned i = 0; i < word_count; i++) {
        uint16_t high = 2 * i < length ? (unsigned char) text[2 * i] : 0;
        uint16_t low = 2 * i + 1 < length ? (unsigned char) text[2 * i + 1] : 0;
        uint16_t word = (uint16_t) (high << 8 | low);

        ret_words[i] = codec->low_byte_first ? swap_bytes(word) : word;
    }
}
