/* SPDX-License-Identifier: MIT */
#include "app/base/json.h"

#include "app/base/decimal.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

/* struct json is json_t: jansson's own type, under our name so that only this file knows it. */
static json_t *theirs(const struct json *json)
{
    return (json_t *) json;
}

int json_parse(const char *text, size_t size, struct json **ret, struct text *error)
{
    json_error_t fault;
    json_t *root;

    errno = 0;
    root = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &fault);
    if (!root && errno == ENOMEM) {
        return -ENOMEM;  // the library says "invalid token" as well when it had no memory for one
    }
    if (!root) {
        if (error) {
            text_addf(error, "line %d column %d: %s", fault.line, fault.column, fault.text);
        }
        return -EBADMSG;
    }

    *ret = (struct json *) root;
    return 0;
}

void json_free(struct json *json)
{
    json_decref(theirs(json));
}

void json_freep(struct json **json)
{
    json_free(*json);
}

const struct json *json_member(const struct json *object, const char *key)
{
    return (const struct json *) json_object_get(theirs(object), key);
}

const struct json *json_item(const struct json *array, size_t index)
{
    return (const struct json *) json_array_get(theirs(array), index);
}

size_t json_count(const struct json *array)
{
    return json_array_size(theirs(array));
}

const char *json_as_string(const struct json *json)
{
    return json_string_value(theirs(json));
}

double json_as_number(const struct json *json)
{
    return json && json_is_number(theirs(json)) ? json_number_value(theirs(json)) : NAN;
}

bool json_as_bool(const struct json *json)
{
    return json && json_is_true(theirs(json));
}

bool json_is_list(const struct json *json)
{
    return json && json_is_array(theirs(json));
}

bool json_is_map(const struct json *json)
{
    return json && json_is_object(theirs(json));
}

const char *json_next_key(const struct json *object, const char *key)
{
    void *iterator = key ? json_object_iter_next(theirs(object), json_object_key_to_iter(key))
                         : json_object_iter(theirs(object));

    return iterator ? json_object_iter_key(iterator) : NULL;
}

const char *json_member_string(const struct json *object, const char *key)
{
    return json_as_string(json_member(object, key));
}

double json_member_number(const struct json *object, const char *key)
{
    return json_as_number(json_member(object, key));
}

void json_add_string(struct text *text, const char *string)
{
    if (!string) {
        text_add(text, "null");
        return;
    }

    text_add_char(text, '"');
    while (*string) {
        size_t length = text_utf8_length(string, strnlen(string, 4));
        unsigned char c = (unsigned char) *string;

        if (length == 0) {
            text_add(text, "\xEF\xBF\xBD");  // U+FFFD; a meter's text may hold anything
        } else if (c == '"' || c == '\\') {
            text_addf(text, "\\%c", c);
        } else if (c < 0x20) {
            text_addf(text, "\\u%04x", c);
        } else {
            text_add_bytes(text, string, length);
        }
        string += MAX(length, (size_t) 1);
    }
    text_add_char(text, '"');
}

void json_add_number(struct text *text, double value)
{
    char number[DECIMAL_SIZE];

    text_add(text, decimal_print(value, number) > 0 ? number : "null");
}

void json_add_key(struct text *text, const char *key)
{
    if (text->size > 0 && text->data[text->size - 1] != '{') {
        text_add_char(text, ',');
    }
    json_add_string(text, key);
    text_add_char(text, ':');
}

void json_add_member_string(struct text *text, const char *key, const char *string)
{
    json_add_key(text, key);
    json_add_string(text, string);
}

void json_add_member_number(struct text *text, const char *key, double value)
{
    json_add_key(text, key);
    json_add_number(text, value);
}
