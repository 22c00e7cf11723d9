/* SPDX-License-Identifier: MIT */
// link: ms_base
#include "tests/test.h"

#include "app/base/text.h"

#include <errno.h>

static void test_a_whole_number_is_taken_with_white_space_around_and_in_hexadecimal(void)
{
    static const struct { const char *string; uint64_t value; } cases[] = {
        { "0", 0 }, { " 42\t", 42 }, { "007", 7 }, { "0x10", 16 }, { "0XfF", 255 }, { "+5", 5 },
        { "18446744073709551615", UINT64_MAX },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t value = 99;

        CHECK_EQ(text_to_unsigned(cases[i].string, 0, UINT64_MAX, &value), 0);
        CHECK(value == cases[i].value);
    }
}

static void test_what_is_no_whole_number_is_refused_and_the_result_stays(void)
{
    static const struct { const char *string; int r; } cases[] = {
        { "", -EINVAL },       { " ", -EINVAL },    { "x", -EINVAL },  { "1x", -EINVAL }, { "1 2", -EINVAL },
        { "1.5", -EINVAL },    { "0x", -EINVAL },   { "0xg", -EINVAL }, { "1e3", -EINVAL }, { "-", -EINVAL },
        { "-1", -ERANGE },     { "4", -ERANGE },    { "101", -ERANGE },
        { "18446744073709551616", -ERANGE },        { "-18446744073709551611", -ERANGE },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t value = 99;

        CHECK_EQ(text_to_unsigned(cases[i].string, 5, 100, &value), cases[i].r);
        CHECK_EQ(value, 99);
    }
}

static void test_a_number_with_a_fraction_is_plain_or_has_an_exponent(void)
{
    static const char *const refused[] = { "nan", "inf", "0x1p3", "1,5", "", "1.2.3", "-", "1e", "5 W" };
    double value = 7;

    CHECK_EQ(text_to_double(" -1.5e2 ", -200, 200, &value), 0);
    CHECK_NEAR(value, -150, 0);
    CHECK_EQ(text_to_double(".5", 0, 1, &value), 0);
    CHECK_NEAR(value, 0.5, 0);
    CHECK_EQ(text_to_double("1.001", 0, 1, &value), -ERANGE);
    CHECK_EQ(text_to_double("1e999", 0, 1e300, &value), -ERANGE);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        CHECK_EQ(text_to_double(refused[i], -1e300, 1e300, &value), -EINVAL);
    }
    CHECK_NEAR(value, 0.5, 0);
}

static void test_yes_and_no_have_their_usual_words(void)
{
    static const char *const yes[] = { "yes", "true", "on", "1", "YES", "True" };
    static const char *const no[] = { "no", "false", "off", "0", "No" };
    static const char *const neither[] = { "", "y", "2", "yes ", "oui" };
    bool value;

    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        value = false;
        CHECK_EQ(text_to_bool(yes[i], &value), 0);
        CHECK(value);
    }
    for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
        value = true;
        CHECK_EQ(text_to_bool(no[i], &value), 0);
        CHECK(!value);
    }
    for (size_t i = 0; i < ARRAY_SIZE(neither); i++) {
        value = true;
        CHECK_EQ(text_to_bool(neither[i], &value), -EINVAL);
        CHECK(value);
    }
}

static void test_a_duration_has_a_unit_or_that_of_its_default(void)
{
    static const struct { const char *string; uint64_t ms; } cases[] = {
        { "10", 10000 },        { "10 s", 10000 },      { "10s", 10000 },      { "500 ms", 500 },
        { "1.5 min", 90000 },   { "1 h", 3600000 },     { "2 hours", 7200000 }, { "0.25", 250 },
        { "1 day", 86400000 },  { "400 days", UINT64_C(34560000000) },         { "3d", 259200000 },
        { "2 m", 120000 },      { "90 seconds", 90000 }, { "10 s ", 10000 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t ms = 1;

        if (text_to_duration_ms(cases[i].string, 1000, 0, UINT64_MAX, &ms) != 0 || ms != cases[i].ms) {
            fail_msg("'%s' is %llu ms", cases[i].string, (unsigned long long) ms);
        }
    }
}

static void test_what_is_no_duration_or_out_of_its_limits_is_refused(void)
{
    static const struct { const char *string; int r; } cases[] = {
        { "", -EINVAL },        { "s", -EINVAL },       { "ten s", -EINVAL },  { "10 weeks", -EINVAL },
        { "1.2.3 s", -EINVAL }, { "-5 s", -EINVAL },    { "10 s 5", -EINVAL }, { "1 h 20 min", -EINVAL },
        { "0", -ERANGE },       { "999 ms", -ERANGE },  { "61 s", -ERANGE },
        { "99999999999999999 days", -EINVAL },          { "100000000000000 days", -ERANGE },
        { "11111111111111111111111111111111111111111 s", -EINVAL },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t ms = 7;

        CHECK_EQ(text_to_duration_ms(cases[i].string, 1000, 1000, 60000, &ms), cases[i].r);
        CHECK_EQ(ms, 7);
    }
}

static void test_a_duration_for_people_says_as_much_as_they_want_to_know(void)
{
    static const struct { uint64_t ms; const char *string; } cases[] = {
        { 0, "0 ms" },              { 850, "850 ms" },         { 1000, "1 s" },          { 1500, "1.5 s" },
        { 12000, "12 s" },          { 12400, "12 s" },         { 119000, "119 s" },      { 120000, "2 min" },
        { 840000, "14 min" },       { 7199000, "120 min" },    { 7200000, "2 h 0 min" },
        { 12000000, "3 h 20 min" }, { 187200000, "2 days 4 h" }, { UINT64_C(34560000000), "400 days 0 h" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char buffer[TEXT_DURATION_SIZE];

        CHECK_STR(text_duration(cases[i].ms, buffer), cases[i].string);
    }
}

static void test_a_name_fits_a_fat_file_system_and_windows(void)
{
    static const char *const good[] = { "a", "0", "kitchen", "rs485-1", "heat_pump", "com", "com10", "lpt", "console",
                                        "abcdefghijklmnopqrstuvwxyz01234" };
    static const char *const bad[] = { "", "Kitchen", "-a", "_a", "a b", "a.b", "a/b", "küche", "con", "prn", "aux",
                                       "nul", "com1", "com0", "lpt9", "abcdefghijklmnopqrstuvwxyz012345" };

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        if (!text_is_name(good[i])) {
            fail_msg("'%s' is a name", good[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (text_is_name(bad[i])) {
            fail_msg("'%s' is no name", bad[i]);
        }
    }
}

static void test_utf8_is_told_from_what_only_looks_like_it(void)
{
    static const char *const good[] = { "", "plain", "Zähler", "€", "\xF0\x9F\x94\x8C", "\xF4\x8F\xBF\xBF",
                                        "\xEF\xBF\xBF" };
    static const char *const bad[] = {
        "\x80", "Z\xE4hler", "\xC3", "\xC0\x80", "\xC1\xBF",  // cut, Latin 1, overlong
        "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF",
        "\xE2(\xA1",
    };

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        CHECK(text_is_utf8(good[i], strlen(good[i])));
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (text_is_utf8(bad[i], strlen(bad[i]))) {
            fail_msg("case %zu is no UTF-8", i);
        }
    }
    CHECK(text_is_utf8("a\0b", 3));
    CHECK(!text_is_utf8("\xC3\xA4", 1));
}

static void test_what_could_upset_a_terminal_is_made_printable(void)
{
    static const struct {
        const char *raw, *printable;
    } cases[] = {
        { "", "" },
        { "Zähler € \xF0\x9F\x94\x8C", "Zähler € \xF0\x9F\x94\x8C" },
        { "two\nlines\r\t", "two lines??" },
        { "\x1B[2J\x7F", "?[2J?" },
        { "Z\xE4hler \xDD\xF6", "Z?hler ??" },
        { "\xC2\x9B" "2J \xC2\xA0", "??2J \xC2\xA0" },
        { "cut \xE2\x82", "cut ??" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[64];

        CHECK_EQ(text_copy(text, sizeof(text), cases[i].raw), 0);
        text_make_printable(text);
        CHECK_STR(text, cases[i].printable);
    }
}

static void test_the_distance_counts_one_for_each_slip(void)
{
    static const struct { const char *a, *b; unsigned distance; } cases[] = {
        { "", "", 0 },          { "voltage", "voltage", 0 }, { "", "abc", 3 },     { "abc", "", 3 },
        { "volage", "voltage", 1 }, { "voltagee", "voltage", 1 }, { "voltafe", "voltage", 1 },
        { "votlage", "voltage", 1 }, { "ovltaeg", "voltage", 2 }, { "kitten", "sitting", 3 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(text_distance(cases[i].a, cases[i].b), cases[i].distance);
        CHECK_EQ(text_distance(cases[i].b, cases[i].a), cases[i].distance);
    }
}

static void test_the_distance_of_very_long_words_ends(void)
{
    char a[1000], b[1000];

    memset(a, 'a', sizeof(a));
    memset(b, 'b', sizeof(b));
    a[999] = b[999] = '\0';
    CHECK_EQ(text_distance(a, b), 64);
    CHECK_EQ(text_distance(a, ""), 64);
}

static void test_only_a_word_that_may_be_meant_is_proposed(void)
{
    char hint[TEXT_HINT_SIZE];
    static const char *const words[] = { "interval", "label", "location", "log", "log_every" };

    CHECK_STR(text_nearest("intervall", words, ARRAY_SIZE(words)), "interval");
    CHECK_STR(text_nearest("lable", words, ARRAY_SIZE(words)), "label");
    CHECK_STR(text_nearest("lag", words, ARRAY_SIZE(words)), "log");
    CHECK_STR(text_nearest("log_evry", words, ARRAY_SIZE(words)), "log_every");
    CHECK(text_nearest("brightness", words, ARRAY_SIZE(words)) == NULL);
    CHECK(text_nearest("xyz", words, ARRAY_SIZE(words)) == NULL);
    CHECK(text_nearest("log", words, 0) == NULL);
    CHECK_STR(text_nearest("locat", words, ARRAY_SIZE(words)), "location");  // begun, not finished
    CHECK_STR(text_hint(text_nearest("lag", words, ARRAY_SIZE(words)), hint), ", did you mean 'log'?");
    CHECK_STR(text_hint(text_nearest("xyz", words, ARRAY_SIZE(words)), hint), "");
}

static void test_a_line_is_cut_into_words_and_items(void)
{
    char line[] = "  voltage \t holding  3028 ", list[] = " a, b b ,,c", trimmed[] = "\t x y \r\n";
    char *words = line, *items = list;

    CHECK_STR(text_word(&words), "voltage");
    CHECK_STR(text_word(&words), "holding");
    CHECK_STR(text_word(&words), "3028");
    CHECK_STR(text_word(&words), "");
    CHECK_STR(text_word(&words), "");
    CHECK_STR(text_item(&items), "a");
    CHECK_STR(text_item(&items), "b b");
    CHECK_STR(text_item(&items), "");
    CHECK_STR(text_item(&items), "c");
    CHECK(text_item(&items) == NULL);
    CHECK_STR(text_trim(trimmed), "x y");
}

static void test_a_copy_that_does_not_fit_is_not_begun(void)
{
    char copy[4] = "xyz";

    CHECK_EQ(text_copy(copy, sizeof(copy), "abcd"), -ENAMETOOLONG);
    CHECK_STR(copy, "xyz");
    CHECK_EQ(text_copy(copy, sizeof(copy), "abc"), 0);
    CHECK_STR(copy, "abc");
}

static void test_beginnings_and_ends_of_words(void)
{
    CHECK(text_starts("voltage_l1", "voltage"));
    CHECK(!text_starts("volt", "voltage"));
    CHECK(text_ends("a.meter", ".meter"));
    CHECK(!text_ends("meter", ".meter"));
    CHECK(text_ends("", ""));
}

static void test_a_text_grows_and_starts_again(void)
{
    auto_text struct text text = { 0 };

    CHECK_STR(text_string(&text), "");
    for (int i = 0; i < 1000; i++) {
        text_addf(&text, "%03d,", i);
    }
    CHECK_EQ(text.size, 4000);
    CHECK(text_ends(text.data, "998,999,"));
    text_add_bytes(&text, "a\0b", 3);
    CHECK_EQ(text.size, 4003);
    CHECK_EQ(text.data[4003], '\0');
    text_reset(&text);
    text_reserve(&text, 100000);
    CHECK(text.capacity > 100000);
    CHECK_STR(text_string(&text), "");
    text_add_char(&text, 'x');
    text_add(&text, "yz");
    CHECK_STR(text_string(&text), "xyz");
    CHECK(!text.failed);
}

TESTS(test_a_whole_number_is_taken_with_white_space_around_and_in_hexadecimal,
      test_what_is_no_whole_number_is_refused_and_the_result_stays,
      test_a_number_with_a_fraction_is_plain_or_has_an_exponent, test_yes_and_no_have_their_usual_words,
      test_a_duration_has_a_unit_or_that_of_its_default, test_what_is_no_duration_or_out_of_its_limits_is_refused,
      test_a_duration_for_people_says_as_much_as_they_want_to_know, test_a_name_fits_a_fat_file_system_and_windows,
      test_utf8_is_told_from_what_only_looks_like_it, test_what_could_upset_a_terminal_is_made_printable,
      test_the_distance_counts_one_for_each_slip, test_the_distance_of_very_long_words_ends,
      test_only_a_word_that_may_be_meant_is_proposed, test_a_line_is_cut_into_words_and_items,
      test_a_copy_that_does_not_fit_is_not_begun, test_beginnings_and_ends_of_words,
      test_a_text_grows_and_starts_again)
