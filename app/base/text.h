/* SPDX-License-Identifier: MIT */
#pragma once

/* Words and numbers in configuration, on command lines and in output. All pure. */

#include "app/base/macros.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A text that grows. Zero-initialised is empty; text_clear() frees it. After a failed allocation `failed`
 * is set, further additions do nothing, and the owner checks once at the end.
 */
struct text {
    char *data;       // always ends with a NUL once something was added
    size_t size;      // without the NUL
    size_t capacity;
    bool failed;
};

#define auto_text CLEANUP(text_clear)

void text_clear(struct text *text);
void text_reset(struct text *text);  // empty again, memory kept
void text_reserve(struct text *text, size_t more);  // room for so many bytes, so that many texts grow without holes
void text_add_char(struct text *text, char c);
void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const void *bytes, size_t size);
void text_addf(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);
void text_vaddf(struct text *text, const char *format, va_list arguments) PRINTF_LIKE(2, 0);
const char *text_string(const struct text *text);  // "" while empty

/* Cut white space off both ends, in place. Returns where the rest begins. */
char *text_trim(char *string);

/* Cut the next word (up to white space) off *rest. Returns it, "" at the end. */
char *text_word(char **rest);

/* Cut the next item (up to a comma) off *rest and trim it; NULL at the end. "" between two commas. */
char *text_item(char **rest);

bool text_equal(const char *a, const char *b);
bool text_starts(const char *string, const char *prefix);
bool text_ends(const char *string, const char *suffix);
/* Length of the UTF-8 character that the bytes begin with (at least one); 0 if it is none, as overlong forms are. */
size_t text_utf8_length(const char *bytes, size_t size);

bool text_is_utf8(const char *bytes, size_t size);

/*
 * What a file or a meter sent is about to stand on a terminal or in a log: each control character, and each byte that
 * is no UTF-8, becomes '?', a line break becomes a blank. In place.
 */
void text_make_printable(char *string);

/*
 * Whether a name of a meter, a bus or an appliance is allowed: [a-z0-9][a-z0-9_-]{0,30}, and not one of the
 * device names that FAT and Windows reserve (con, prn, aux, nul, com1, lpt1...).
 */
bool text_is_name(const char *name);

/* Copy a string that must fit. Errors: -ENAMETOOLONG, *ret untouched. */
int text_copy(char *ret, size_t size, const char *string) MUST_CHECK;

/*
 * Whole strings to numbers; white space around is allowed, nothing else.
 * Hexadecimal with 0x. Errors: -EINVAL not a number, -ERANGE outside min..max
 */
int text_to_unsigned(const char *string, uint64_t min, uint64_t max, uint64_t *ret) MUST_CHECK;
int text_to_double(const char *string, double min, double max, double *ret) MUST_CHECK;
int text_to_bool(const char *string, bool *ret) MUST_CHECK;  // yes no true false on off 1 0

/*
 * A duration such as "10 s", "500 ms", "1.5 min", "1 h", "400 days", in ms. A bare number has the unit
 * default_unit_ms. Errors: -EINVAL not a duration, -ERANGE outside min..max (ms)
 */
int text_to_duration_ms(const char *string, uint64_t default_unit_ms, uint64_t min_ms, uint64_t max_ms,
                        uint64_t *ret_ms) MUST_CHECK;

/* "850 ms", "12 s", "14 min", "3 h 20 min", "2 days 4 h": for people. Returns buffer. */
#define TEXT_DURATION_SIZE 32
const char *text_duration(uint64_t ms, char buffer[static TEXT_DURATION_SIZE]);

/* How far two words are apart: insertions, deletions, replacements and swaps of neighbours. */
unsigned text_distance(const char *a, const char *b);

/*
 * "Did you mean": offer the known words one by one; `best` is the nearest of those that can be meant, NULL if none.
 * Meant can be what differs by at most a third of the letters typed (at least one), and what begins so.
 *
 *     struct nearest nearest = { .word = "prot" };
 */
struct nearest {
    const char *word;
    const char *best;    // one of the offered pointers
    unsigned distance;   // of best
};

void nearest_offer(struct nearest *nearest, const char *candidate);

/* The word of the list nearest to a misspelt one; NULL if none is near enough to be meant. */
const char *text_nearest(const char *word, const char *const *words, size_t word_count);

/* What a message about an unknown word goes on with: ", did you mean 'protocol'?"; "" for NULL. Returns buffer. */
#define TEXT_HINT_SIZE 96
const char *text_hint(const char *nearest, char buffer[static TEXT_HINT_SIZE]);
