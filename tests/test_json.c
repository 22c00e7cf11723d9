/* SPDX-License-Identifier: MIT */
// link: ms_base
#include "tests/test.h"

#include "app/base/json.h"

#include <errno.h>

static struct json *parsed(const char *text)
{
    struct json *json = NULL;

    CHECK_EQ(json_parse(text, strlen(text), &json, NULL), 0);
    return json;
}

static void test_a_document_is_taken_apart(void)
{
    auto_json struct json *json = parsed("{\"name\":\"kitchen\",\"seq\":12,\"value\":-0.5,\"on\":true,"
                                         "\"none\":null,\"meters\":[{\"id\":1},{\"id\":2}],\"empty\":[]}");
    const struct json *meters = json_member(json, "meters");

    CHECK(json_is_map(json));
    CHECK(!json_is_list(json));
    CHECK(json_is_list(meters));
    CHECK_EQ(json_count(meters), 2);
    CHECK_NEAR(json_member_number(json_item(meters, 1), "id"), 2, 0);
    CHECK(json_item(meters, 2) == NULL);
    CHECK_STR(json_member_string(json, "name"), "kitchen");
    CHECK_NEAR(json_member_number(json, "seq"), 12, 0);
    CHECK_NEAR(json_member_number(json, "value"), -0.5, 0);
    CHECK(json_as_bool(json_member(json, "on")));
    CHECK_EQ(json_count(json_member(json, "empty")), 0);
}

static void test_what_is_absent_or_of_another_type_is_nothing(void)
{
    auto_json struct json *json = parsed("{\"text\":\"5\",\"number\":5,\"off\":false,\"none\":null}");

    CHECK(json_member(json, "absent") == NULL);
    CHECK(json_member_string(json, "number") == NULL);
    CHECK(json_member_string(json, "none") == NULL);
    CHECK_NAN(json_member_number(json, "text"));
    CHECK_NAN(json_member_number(json, "off"));
    CHECK_NAN(json_member_number(json, "absent"));
    CHECK(!json_as_bool(json_member(json, "off")));
    CHECK(!json_as_bool(json_member(json, "number")));
    CHECK_EQ(json_count(json), 0);
    CHECK(json_item(json, 0) == NULL);
    CHECK(json_member(NULL, "x") == NULL);
    CHECK(json_item(NULL, 0) == NULL);
    CHECK_EQ(json_count(NULL), 0);
    CHECK(json_as_string(NULL) == NULL);
    CHECK_NAN(json_as_number(NULL));
    CHECK(!json_as_bool(NULL) && !json_is_list(NULL) && !json_is_map(NULL));
    CHECK(json_next_key(NULL, NULL) == NULL);
    json_free(NULL);
}

static void test_the_members_of_an_object_are_walked_once_each(void)
{
    auto_json struct json *json = parsed("{\"a\":1,\"b\":2,\"c\":3}");
    double sum = 0;
    unsigned count = 0;

    for (const char *key = json_next_key(json, NULL); key; key = json_next_key(json, key)) {
        sum += json_member_number(json, key);
        count++;
    }
    CHECK_EQ(count, 3);
    CHECK_NEAR(sum, 6, 0);
}

static void test_what_is_no_json_is_refused_with_its_place(void)
{
    static const char *const bad[] = { "", "{", "{\"a\":1,}", "[1,2", "{\"a\":1}x", "{'a':1}", "{\"a\":NaN}",
                                       "\"\xFF\"",
                                       "{\"a\":1,\"a\":2}", "[1e999]", "\"a\\u0000b\"" };
    auto_text struct text error = { 0 };
    struct json *json = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK_EQ(json_parse(bad[i], strlen(bad[i]), &json, NULL), -EBADMSG);
        CHECK(json == NULL);
    }
    CHECK_EQ(json_parse("{\n\"a\": x}", 9, &json, &error), -EBADMSG);
    CHECK_HAS(text_string(&error), "line 2 column 6");
}

static void test_only_the_bytes_given_are_read(void)
{
    auto_json struct json *json = NULL;

    CHECK_EQ(json_parse("12345", 2, &json, NULL), 0);
    CHECK_NEAR(json_as_number(json), 12, 0);
}

static void test_a_deep_document_does_not_overflow(void)
{
    size_t size = 100000;
    auto_free char *text = malloc(size);
    struct json *json = NULL;

    memset(text, '[', size);
    CHECK_EQ(json_parse(text, size, &json, NULL), -EBADMSG);
}

static void test_what_is_written_is_read_back(void)
{
    static const char hard[] = "quote \" back \\ tab \t line \n bell \x07 del \x7F Küche €";
    auto_text struct text text = { 0 };
    auto_json struct json *json = NULL;

    text_add_char(&text, '{');
    json_add_key(&text, "name");
    json_add_string(&text, hard);
    json_add_key(&text, "value");
    json_add_number(&text, 230.1);
    json_add_key(&text, "missing");
    json_add_number(&text, NAN);
    json_add_member_string(&text, "error", NULL);
    json_add_member_number(&text, "tiny", -1.5e-7);
    json_add_key(&text, "huge");
    json_add_number(&text, 1e21);
    text_add_char(&text, '}');
    CHECK_STR(text.data,
              "{\"name\":\"quote \\\" back \\\\ tab \\u0009 line \\u000a bell \\u0007 del \x7F Küche €\","
              "\"value\":230.1,"
              "\"missing\":null,\"error\":null,\"tiny\":-1.5e-7,\"huge\":1e+21}");

    json = parsed(text.data);
    CHECK_STR(json_member_string(json, "name"), hard);
    CHECK(json_member_number(json, "value") == 230.1);
    CHECK(json_member_number(json, "tiny") == -1.5e-7);
    CHECK(json_member_number(json, "huge") == 1e21);
    CHECK_NAN(json_member_number(json, "missing"));
}

static void test_bytes_that_are_no_utf_8_do_not_break_the_document(void)
{
    static const struct { const char *string, *expect; } cases[] = {
        { "a\xFFz", "a\uFFFDz" },
        { "\xC3", "\uFFFD" },                              // cut in the middle
        { "\xE2\x82", "\uFFFD\uFFFD" },
        { "\xE2\x82\"", "\uFFFD\uFFFD\"" },                // what follows is not eaten
        { "\xC0\xAF", "\uFFFD\uFFFD" },                    // overlong
        { "\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD" },          // a surrogate
        { "\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD" },  // beyond the last character
        { "\xF0\x9F\x94\x8C \xC3\xA4", "\U0001F50C \u00E4" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_text struct text text = { 0 };
        auto_json struct json *json = NULL;

        text_add_char(&text, '{');
        json_add_key(&text, cases[i].string);
        json_add_string(&text, cases[i].string);
        text_add_char(&text, '}');
        json = parsed(text.data);
        CHECK_STR(json_member_string(json, cases[i].expect), cases[i].expect);
    }
}

TESTS(test_a_document_is_taken_apart, test_what_is_absent_or_of_another_type_is_nothing,
      test_the_members_of_an_object_are_walked_once_each, test_what_is_no_json_is_refused_with_its_place,
      test_only_the_bytes_given_are_read, test_a_deep_document_does_not_overflow,
      test_what_is_written_is_read_back, test_bytes_that_are_no_utf_8_do_not_break_the_document)
