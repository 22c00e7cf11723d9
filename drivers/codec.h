/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Number formats of registers. A format the table lacks is one more function here, named from the data.
 * All pure. Words are in host order, as they stood on the wire: word 0 is the lowest address.
 *
 * Orders: abcd  high word first, high byte first (Modbus' own)   cdab  low word first
 *         badc  bytes swapped inside each register                dcba  both
 *         u16.ba and i16.ba are one register with its bytes swapped
 *
 * "Not available": Schneider's codes, from the makers' register lists ("Data types"): NaN; 0xFFFF and 0xFFFFFFFF
 * unsigned; 0x8000, 0x80000000 and 0x8000000000000000 signed. They hold only where the model says
 * not_available = schneider, since other makers mean such values (HDHK: 655.35 A is 0xFFFF).
 */

#include "app/base/decimal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum codec_result {
    CODEC_NUMBER,     // one number
    CODEC_PF4Q,       // two: power factor, and direction 1 lagging, 0 unity, -1 leading
    CODEC_TEXT,       // a text
    CODEC_MESSAGE,    // not of registers: a part of a Current Cost message (watts, ch1, impulses, temperature...)
};

enum codec_type { TYPE_UNSIGNED, TYPE_SIGNED, TYPE_FLOAT, TYPE_PF4Q, TYPE_TEXT, TYPE_DATETIME4, TYPE_MESSAGE };

struct codec {
    const char *name;             // "f32.abcd"
    enum codec_result result;
    unsigned word_count;          // 0: as many as the model says (text.N)
    enum codec_type type;
    bool low_word_first;
    bool low_byte_first;          // inside each register
};

/* A codec by name; for "text.20" *ret_word_count is 20. NULL: no such format. */
const struct codec *codec_find(const char *name, unsigned *ret_word_count);

/* The same type in another order; the codec itself where order means nothing to it. */
const struct codec *codec_reorder(const struct codec *codec, bool low_word_first, bool low_byte_first);

/* The known name nearest to a misspelt one; NULL if nothing is near. */
const char *codec_nearest(const char *name);

/* All codecs; *ret_count of them. */
const struct codec *codec_all(size_t *ret_count);

/*
 * Decode numbers. ret[0], and ret[1] for CODEC_PF4Q, in units of the resolution: raw times resolution, see
 * decimal.h. NAN: not available.
 */
void codec_decode(const struct codec *codec, const uint16_t *words, struct decimal resolution,
                  bool schneider_codes, double ret[static 2]);

/* Decode a text: printable UTF-8 without the padding; other bytes become '?'. Returns its length. */
size_t codec_decode_text(const struct codec *codec, const uint16_t *words, unsigned word_count, char *ret,
                         size_t size);

/*
 * The reverse, for simulated meters: the words whose decoded value is nearest to a number (base unit) or, for
 * CODEC_TEXT, show the text. NAN gives the "not available" code.
 */
void codec_encode(const struct codec *codec, double value, struct decimal resolution, uint16_t *ret_words);
void codec_encode_text(const struct codec *codec, const char *text, unsigned word_count, uint16_t *ret_words);
