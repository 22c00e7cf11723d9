/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON: a reader over jansson (whose own names this header stays clear of), and writers that add to a text. Numbers are
 * written as the shortest decimal of their double; what is missing is null.
 */

#include "app/base/text.h"

struct json;

#define auto_json CLEANUP(json_freep)

/*
 * Parse a document. The caller frees *ret with json_free().
 * Errors: -ENOMEM; -EBADMSG not JSON, and error (may be NULL) gets "line 3 column 7: ..."
 */
int json_parse(const char *text, size_t size, struct json **ret, struct text *error) MUST_CHECK;
void json_free(struct json *json);
void json_freep(struct json **json);

/* Parts belong to the document that they are part of. NULL: absent or of another type. All accept NULL. */
const struct json *json_member(const struct json *object, const char *key);
const struct json *json_item(const struct json *array, size_t index);
size_t json_count(const struct json *array);            // items of an array, 0 for anything else
const char *json_as_string(const struct json *json);       // NULL if it is no string
double json_as_number(const struct json *json);            // NAN if it is no number
bool json_as_bool(const struct json *json);
bool json_is_list(const struct json *json);
bool json_is_map(const struct json *json);

/* Walk an object's members: first with NULL; NULL at the end. */
const char *json_next_key(const struct json *object, const char *key);

/* Shorthands for status files: a member's string or number; NULL and NAN if absent. */
const char *json_member_string(const struct json *object, const char *key);
double json_member_number(const struct json *object, const char *key);

/*
 * Add a quoted string, a number (null if NAN), and a key with its colon, to a text. Whatever the string holds, the
 * text stays JSON: each byte that is no UTF-8 becomes U+FFFD.
 */
void json_add_string(struct text *text, const char *string);  // NULL gives null
void json_add_number(struct text *text, double value);
void json_add_key(struct text *text, const char *key);        // a comma before it unless after '{'

/* A key and its value. */
void json_add_member_string(struct text *text, const char *key, const char *string);
void json_add_member_number(struct text *text, const char *key, double value);
