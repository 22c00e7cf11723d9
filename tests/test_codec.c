/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "app/base/macros.h"
#include "drivers/codec.h"

static const struct decimal one = { .digits = 1 };

static const struct codec *find(const char *name)
{
    unsigned word_count = 0;
    const struct codec *codec = codec_find(name, &word_count);

    if (!codec) {
        fail_msg("there is no codec %s", name);
    }
    return codec;
}

/* Decode bytes as they stand on the wire. */
static double decoded(const char *name, const uint8_t *bytes, const char *resolution, bool schneider)
{
    const struct codec *codec = find(name);
    struct decimal step;
    uint16_t words[4] = { 0 };
    double ret[2] = { 7, 7 };

    CHECK_EQ(decimal_parse(resolution, &step), 0);
    for (unsigned i = 0; i < codec->word_count; i++) {
        words[i] = (uint16_t) (bytes[2 * i] << 8 | bytes[2 * i + 1]);
    }
    codec_decode(codec, words, step, schneider, ret);
    CHECK_NAN(ret[1]);
    return ret[0];
}

/*
 * One number in each order, as bytes on the wire: 0x01020304 is 16909060, the float 0x4366199A is 230.1.
 */
static const struct { const char *codec; uint8_t bytes[8]; double expect; } cases[] = {
    { "u16",      { 0x08, 0xFD },                                     2301 },
    { "u16",      { 0xFF, 0xFF },                                     65535 },
    { "u16.ba",   { 0xFD, 0x08 },                                     2301 },
    { "i16",      { 0xFF, 0xFE },                                     -2 },
    { "i16",      { 0x80, 0x00 },                                     -32768 },
    { "i16.ba",   { 0xFE, 0xFF },                                     -2 },
    { "u32.abcd", { 1, 2, 3, 4 },                                     16909060 },
    { "u32.cdab", { 3, 4, 1, 2 },                                     16909060 },
    { "u32.badc", { 2, 1, 4, 3 },                                     16909060 },
    { "u32.dcba", { 4, 3, 2, 1 },                                     16909060 },
    { "u32.abcd", { 0xFF, 0xFF, 0xFF, 0xFF },                         4294967295 },
    { "i32.abcd", { 0xFF, 0xFE, 0x79, 0x60 },                         -100000 },
    { "i32.cdab", { 0x79, 0x60, 0xFF, 0xFE },                         -100000 },
    { "i32.badc", { 0xFE, 0xFF, 0x60, 0x79 },                         -100000 },
    { "i32.dcba", { 0x60, 0x79, 0xFE, 0xFF },                         -100000 },
    { "u64.abcd", { 0, 0, 0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC },       20015998343868 },
    { "u64.cdab", { 0x9A, 0xBC, 0x56, 0x78, 0x12, 0x34, 0, 0 },       20015998343868 },
    { "u64.badc", { 0, 0, 0x34, 0x12, 0x78, 0x56, 0xBC, 0x9A },       20015998343868 },
    { "u64.dcba", { 0xBC, 0x9A, 0x78, 0x56, 0x34, 0x12, 0, 0 },       20015998343868 },
    { "u64.abcd", { 255, 255, 255, 255, 255, 255, 255, 255 },         18446744073709551615.0 },
    { "i64.abcd", { 255, 255, 255, 255, 255, 255, 255, 0xFE },        -2 },
    { "i64.cdab", { 255, 0xFE, 255, 255, 255, 255, 255, 255 },        -2 },
    { "i64.badc", { 255, 255, 255, 255, 255, 255, 0xFE, 255 },        -2 },
    { "i64.dcba", { 0xFE, 255, 255, 255, 255, 255, 255, 255 },        -2 },
    { "f32.abcd", { 0x43, 0x66, 0x19, 0x9A },                         230.1 },
    { "f32.cdab", { 0x19, 0x9A, 0x43, 0x66 },                         230.1 },
    { "f32.badc", { 0x66, 0x43, 0x9A, 0x19 },                         230.1 },
    { "f32.dcba", { 0x9A, 0x19, 0x66, 0x43 },                         230.1 },
    { "f32.abcd", { 0xC2, 0xF6, 0xE9, 0x79 },                         -123.456 },
    { "f64.abcd", { 0x40, 0x6C, 0xC3, 0x33, 0x33, 0x33, 0x33, 0x33 }, 230.1 },
    { "f64.cdab", { 0x33, 0x33, 0x33, 0x33, 0xC3, 0x33, 0x40, 0x6C }, 230.1 },
    { "f64.badc", { 0x6C, 0x40, 0x33, 0xC3, 0x33, 0x33, 0x33, 0x33 }, 230.1 },
    { "f64.dcba", { 0x33, 0x33, 0x33, 0x33, 0x33, 0xC3, 0x6C, 0x40 }, 230.1 },
};

static void test_every_type_is_read_in_every_order(void)
{
    size_t codec_count;
    const struct codec *all = codec_all(&codec_count);

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        double got = decoded(cases[i].codec, cases[i].bytes, "1", false);

        if (got != cases[i].expect) {
            fail_msg("case %zu, %s, is %.17g", i, cases[i].codec, got);
        }
    }
    // no number format without a case
    for (size_t c = 0; c < codec_count; c++) {
        bool tried = all[c].result != CODEC_NUMBER;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
            tried |= strcmp(cases[i].codec, all[c].name) == 0;
        }
        if (!tried) {
            fail_msg("%s has no case", all[c].name);
        }
    }
}

static void test_the_resolution_is_applied_in_decimal(void)
{
    CHECK(decoded("u16", (const uint8_t[]){ 0x08, 0xFD }, "0.1", false) == 230.1);
    CHECK(decoded("i16", (const uint8_t[]){ 0xFF, 0xFD }, "0.01", false) == -0.03);
    CHECK(decoded("u32.abcd", (const uint8_t[]){ 0, 0, 0, 123 }, "10", false) == 1230);
    CHECK(decoded("f32.abcd", (const uint8_t[]){ 0x38, 0x30, 0x29, 0x28 }, "1e3", false) == 0.042);  // 4.2e-05 kW
}

static void test_the_codes_for_not_available_hold_only_where_the_model_says_so(void)
{
    static const struct { const char *codec; uint8_t bytes[8]; double otherwise; } codes[] = {
        { "u16",      { 0xFF, 0xFF },                 65535 },
        { "u16.ba",   { 0xFF, 0xFF },                 65535 },
        { "i16",      { 0x80, 0x00 },                 -32768 },
        { "i16.ba",   { 0x00, 0x80 },                 -32768 },
        { "u32.abcd", { 255, 255, 255, 255 },         4294967295 },
        { "i32.abcd", { 0x80, 0, 0, 0 },              -2147483648 },
        { "i32.cdab", { 0, 0, 0x80, 0 },              -2147483648 },
        { "i32.dcba", { 0, 0, 0, 0x80 },              -2147483648 },
        { "u64.abcd", { 255, 255, 255, 255, 255, 255, 255, 255 }, 18446744073709551615.0 },
        { "i64.abcd", { 0x80, 0, 0, 0, 0, 0, 0, 0 },  -9223372036854775808.0 },
        { "i64.cdab", { 0, 0, 0, 0, 0, 0, 0x80, 0 },  -9223372036854775808.0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        CHECK_NAN(decoded(codes[i].codec, codes[i].bytes, "0.1", true));
        CHECK(decoded(codes[i].codec, codes[i].bytes, "1", false) == codes[i].otherwise);
    }
    CHECK(decoded("i16", (const uint8_t[]){ 0xFF, 0xFF }, "1", true) == -1);
    CHECK(decoded("u16", (const uint8_t[]){ 0x80, 0x00 }, "1", true) == 32768);
    CHECK(decoded("i32.abcd", (const uint8_t[]){ 255, 255, 255, 255 }, "1", true) == -1);
}

static void test_nan_and_infinity_are_missing_in_every_model(void)
{
    static const uint8_t floats[][4] = { { 0xFF, 0xC0, 0, 0 }, { 0x7F, 0xC0, 0, 0 }, { 0x7F, 0x80, 0, 1 },
                                         { 0x7F, 0x80, 0, 0 }, { 0xFF, 0x80, 0, 0 }, { 255, 255, 255, 255 } };
    static const uint8_t doubles[][8] = { { 0x7F, 0xF8 }, { 0x7F, 0xF0 }, { 0xFF, 0xF0 },
                                          { 255, 255, 255, 255, 255, 255, 255, 255 } };

    for (size_t i = 0; i < ARRAY_SIZE(floats); i++) {
        CHECK_NAN(decoded("f32.abcd", floats[i], "1", i % 2));
    }
    for (size_t i = 0; i < ARRAY_SIZE(doubles); i++) {
        CHECK_NAN(decoded("f64.abcd", doubles[i], "1", i % 2));
    }
    // too large for a double once multiplied
    CHECK_NAN(decoded("f64.abcd", (const uint8_t[]){ 0x7F, 0xEF, 255, 255, 255, 255, 255, 255 }, "10", false));
}

static void test_a_four_quadrant_power_factor_is_two_numbers(void)
{
    static const struct { float raw; double power_factor, direction; } quadrants[] = {
        { 0.0f, 0, 1 },       { 0.95f, 0.95, 1 },   { 1.0f, 1, 0 },      { 1.05f, 0.95, -1 },  { 1.5f, 0.5, -1 },
        { 2.0f, 0, -1 },      { -0.8f, -0.8, 1 },   { -1.0f, -1, 0 },    { -1.2f, -0.8, -1 },  { -2.0f, 0, -1 },
        { NAN, NAN, NAN },    { 2.01f, NAN, NAN },  { -3.0f, NAN, NAN }, { INFINITY, NAN, NAN },
    };
    static const char *const orders[] = { "pf4q.abcd", "pf4q.badc", "pf4q.cdab", "pf4q.dcba" };

    for (size_t i = 0; i < ARRAY_SIZE(quadrants); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(orders); j++) {
            uint32_t bits;
            uint16_t words[2];
            double ret[2];

            memcpy(&bits, &quadrants[i].raw, sizeof(bits));
            words[j >= 2] = (uint16_t) (bits >> 16);
            words[j < 2] = (uint16_t) bits;
            for (int w = 0; j % 2 && w < 2; w++) {
                words[w] = (uint16_t) (words[w] << 8 | words[w] >> 8);
            }
            codec_decode(find(orders[j]), words, one, false, ret);
            CHECK_NEAR(ret[0], quadrants[i].power_factor, 1e-6);
            CHECK_NEAR(ret[1], quadrants[i].direction, 0);
        }
    }
}

static void check_text(const char *name, const char *bytes, const char *expected)
{
    unsigned word_count = 0;
    const struct codec *codec = codec_find(name, &word_count);
    uint16_t words[64] = { 0 };
    char text[200];

    CHECK(codec && word_count > 0 && word_count <= 64);
    for (unsigned i = 0; i < word_count; i++) {
        words[i] = (uint16_t) ((unsigned char) bytes[2 * i] << 8 | (unsigned char) bytes[2 * i + 1]);
    }
    CHECK_EQ(codec_decode_text(codec, words, word_count, text, sizeof(text)), strlen(expected));
    CHECK_STR(text, expected);
}

static void test_a_text_comes_without_padding_and_without_harm(void)
{
    char small[4] = "xyz";
    static const uint16_t words[] = { 0x4142, 0x4344, 0x4546 };

    check_text("text.4", "EM3250  ", "EM3250");
    check_text("text.4", "EM\0xxxxx", "EM");
    check_text("text.4", "\0\0\0\0\0\0\0\0", "");
    check_text("text.4", "        ", "");
    check_text("text.4", "a\nb\x1B[c\x7F", "a?b?[c?");
    check_text("text.2", "caf\xE9", "caf?");              // Latin 1
    check_text("text.3", "K\xC3\xBC" "che", "K\xC3\xBC" "che");
    check_text("text.2", "ab\xC3\xBC", "ab\xC3\xBC");
    check_text("text.2", "abc\xC3", "abc?");              // cut in the middle of a character
    check_text("text.2.ba", "BADC", "ABCD");
    CHECK_EQ(codec_decode_text(find("text.3"), words, 3, small, sizeof(small)), 3);
    CHECK_STR(small, "ABC");
}

static void test_a_date_and_time_in_four_registers(void)
{
    static const struct { uint16_t words[4]; const char *expect; } times[] = {
        { { 26, 11 << 8 | 20, 10 << 8 | 5, 59999 }, "2026-11-20 10:05:59" },
        { { 0, 1 << 8 | 1, 0, 0 }, "2000-01-01 00:00:00" },
        { { 99, 12 << 8 | 31, 23 << 8 | 59, 30000 }, "2099-12-31 23:59:30" },
        { { 26, 11 << 8 | 0xE0 | 20, 0x80 << 8 | 10 << 8 | 5, 0 }, "2026-11-20 10:05:00" },  // weekday and summer time
        { { 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF }, "" },
        { { 26, 13 << 8 | 1, 0, 0 }, "" },
        { { 26, 0 << 8 | 1, 0, 0 }, "" },
        { { 26, 1 << 8, 0, 0 }, "" },
        { { 26, 1 << 8 | 1, 24 << 8, 0 }, "" },
        { { 26, 1 << 8 | 1, 60, 0 }, "" },
        { { 26, 1 << 8 | 1, 0, 60000 }, "" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        char text[40] = "x";

        CHECK_EQ(codec_decode_text(find("datetime4"), times[i].words, 4, text, sizeof(text)), strlen(times[i].expect));
        CHECK_STR(text, times[i].expect);
    }
}

static void test_only_names_that_exist_are_found(void)
{
    static const char *const bad[] = { "", "u", "u16.abcd", "u32", "U32.abcd", "u32.acbd", "u32.abcd ", "f16",
                                       "text", "text.",
                                       "text.0", "text.65", "text.200", "text.20x", "text.20.ab", "text.20.bax",
                                       "text.-1",
                                       "texts", "pf4q" };
    unsigned word_count = 99;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (codec_find(bad[i], &word_count)) {
            fail_msg("'%s' is no codec", bad[i]);
        }
        CHECK_EQ(word_count, 99);
    }
    CHECK(codec_find("text.64", &word_count) && word_count == 64);
    CHECK(codec_find("text.7.ba", &word_count) && word_count == 7);
    CHECK(codec_find("f64.dcba", &word_count) && word_count == 4);
    CHECK_STR(codec_nearest("f32.abdc"), "f32.abcd");
    CHECK_STR(codec_nearest("float32.abcd"), "f32.abcd");
    CHECK_STR(codec_nearest("text20"), "text.20");
    CHECK_STR(codec_nearest("pf4q.abc"), "pf4q.abcd");
    CHECK(codec_nearest("something") == NULL);
}

static void test_an_order_can_be_exchanged(void)
{
    static const struct { const char *codec; bool low_word_first, low_byte_first; const char *expect; } orders[] = {
        { "f32.abcd", true, false, "f32.cdab" },  { "f32.abcd", false, true, "f32.badc" },
        { "f32.abcd", true, true, "f32.dcba" },   { "f32.dcba", false, false, "f32.abcd" },
        { "u16", true, false, "u16" },            { "u16", true, true, "u16.ba" },
        { "i16.ba", false, false, "i16" },        { "u32.abcd", true, false, "u32.cdab" },
        { "i32.cdab", true, true, "i32.dcba" },   { "u64.abcd", true, false, "u64.cdab" },
        { "i64.abcd", false, true, "i64.badc" },  { "f64.abcd", true, true, "f64.dcba" },
        { "pf4q.abcd", true, false, "pf4q.cdab" }, { "text.20", true, true, "text.ba" },
        { "datetime4", true, true, "datetime4" }, { "watts", true, true, "watts" },
        { "ch3", false, true, "ch3" },            { "text.20", true, false, "text" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
        const struct codec *codec = find(orders[i].codec);

        codec = codec_reorder(codec, orders[i].low_word_first, orders[i].low_byte_first);
        CHECK_STR(codec->name, orders[i].expect);
    }
}

static void check_round_trip(const struct codec *codec, double value, struct decimal resolution, double by)
{
    uint16_t words[4] = { 0 };
    double back[2];

    codec_encode(codec, value, resolution, words);
    codec_decode(codec, words, resolution, true, back);
    if (!(fabs(back[0] - value) <= by) && !(isnan(back[0]) && isnan(value))) {
        fail_msg("%s: %.17g comes back as %.17g", codec->name, value, back[0]);
    }
}

static void test_what_is_encoded_is_decoded_to_the_same(void)
{
    static const double values[] = { 0, 1, 12.3, 230.1, 1234.5, 3000 };
    static const struct decimal tenth = { .digits = 1, .exponent = -1 }, kilo = { .digits = 1, .exponent = 3 };
    size_t codec_count;
    const struct codec *all = codec_all(&codec_count);

    for (size_t c = 0; c < codec_count; c++) {
        const struct codec *codec = &all[c];
        bool is_signed = codec->type != TYPE_UNSIGNED;

        if (codec->result == CODEC_PF4Q) {
            check_round_trip(codec, 0.95, one, 0);
            check_round_trip(codec, -0.5, one, 0);
            check_round_trip(codec, NAN, one, 0);
        }
        if (codec->result != CODEC_NUMBER) {
            continue;
        }
        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
            check_round_trip(codec, values[i], tenth, 0);
            check_round_trip(codec, is_signed ? -values[i] : 0, tenth, 0);
            check_round_trip(codec, values[i] * 1000, kilo, codec->type == TYPE_FLOAT ? 1e-9 : 500);
        }
        check_round_trip(codec, NAN, tenth, 0);
    }
}

static void test_what_is_too_large_to_encode_is_full_scale(void)
{
    uint16_t words[4];
    double back[2];

    codec_encode(find("u16"), 1e9, one, words);
    CHECK_EQ(words[0], 0xFFFF);
    codec_encode(find("u16"), -5, one, words);
    CHECK_EQ(words[0], 0);
    codec_encode(find("i16"), 1e9, one, words);
    CHECK_EQ(words[0], 0x7FFF);
    codec_encode(find("i16"), -1e9, one, words);
    CHECK_EQ(words[0], 0x8000);
    codec_encode(find("u64.abcd"), 1e30, one, words);
    codec_decode(find("u64.abcd"), words, one, false, back);
    CHECK_NEAR(back[0], 18446744073709551615.0, 5000);
    codec_encode(find("i64.abcd"), INFINITY, one, words);
    codec_decode(find("i64.abcd"), words, one, false, back);
    CHECK_NEAR(back[0], 9223372036854775807.0, 5000);
}

static void test_texts_are_encoded_to_their_length(void)
{
    static const char *const names[] = { "text.4", "text.4.ba" };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        uint16_t words[4];
        char text[16];

        codec_encode_text(find(names[i]), "EM325", 4, words);
        (void) codec_decode_text(find(names[i]), words, 4, text, sizeof(text));
        CHECK_STR(text, "EM325");
        codec_encode_text(find(names[i]), "far too long", 4, words);
        (void) codec_decode_text(find(names[i]), words, 4, text, sizeof(text));
        CHECK_STR(text, "far too");
        CHECK_EQ(words[0], i == 0 ? 0x6661 : 0x6166);
    }
}

TESTS(test_every_type_is_read_in_every_order, test_the_resolution_is_applied_in_decimal,
      test_the_codes_for_not_available_hold_only_where_the_model_says_so,
      test_nan_and_infinity_are_missing_in_every_model, test_a_four_quadrant_power_factor_is_two_numbers,
      test_a_text_comes_without_padding_and_without_harm, test_a_date_and_time_in_four_registers,
      test_only_names_that_exist_are_found, test_an_order_can_be_exchanged,
      test_what_is_encoded_is_decoded_to_the_same, test_what_is_too_large_to_encode_is_full_scale,
      test_texts_are_encoded_to_their_length)
