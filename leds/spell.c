/* SPDX-License-Identifier: MIT */
#include "leds/spell.h"

#include "app/base/macros.h"

#include <assert.h>
#include <string.h>

#define ALLOWED "0123456789."
#define DOT     10

/* Bit n: pixel n is lit. */
static const uint8_t patterns[] = {
    0x18, 0x01, 0x03, 0x07, 0x0F, 0x1F, 0x3F, 0x7F, 0xFF, 0xE7,
    [DOT] = 0x81,
};

/* One symbol of a text on its time line. */
struct symbol {
    unsigned index;                 // of patterns
    uint64_t gap_ms;                // when the dark before it begins; for the first one, the beginning
    uint64_t begin_ms, end_ms;
};

bool spell_can(const char *text)
{
    size_t length = strlen(text);

    return length > 0 && length < SPELL_TEXT_SIZE && strspn(text, ALLOWED) == length;
}

/* The symbol that is shown then, or comes next. Returns false after the last one, which ret then holds. */
static bool find(const char *text, uint64_t elapsed_ms, struct symbol *ret)
{
    uint64_t at_ms = 0;

    assert(spell_can(text));
    for (const char *next = text; *next; next++) {
        bool is_dot = *next == '.';

        ret->index = is_dot ? DOT : (unsigned) (*next - '0');
        ret->gap_ms = at_ms;
        ret->begin_ms = at_ms + (next == text ? SPELL_EDGE_MS : SPELL_GAP_MS);
        ret->end_ms = at_ms = ret->begin_ms + (is_dot ? SPELL_DOT_MS : SPELL_DIGIT_MS);
        if (elapsed_ms < at_ms) {
            return true;
        }
    }
    return false;
}

uint64_t spell_length_ms(const char *text)
{
    struct symbol last = {};

    (void) find(text, UINT64_MAX, &last);  // always after the last one
    return last.end_ms + SPELL_EDGE_MS;
}

void spell_look(const char *text, enum colour digits, uint64_t elapsed_ms, enum colour ret[static BLINKT_PIXELS],
                uint64_t *ret_rest_ms)
{
    struct symbol symbol = {};
    bool is_after_last = !find(text, elapsed_ms, &symbol);
    bool is_lit = !is_after_last && elapsed_ms >= symbol.begin_ms;
    uint64_t end_ms = is_after_last ? symbol.end_ms + SPELL_EDGE_MS : is_lit ? symbol.end_ms : symbol.begin_ms;
    uint8_t pattern = is_lit ? patterns[symbol.index] : 0;

    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        ret[i] = !(pattern >> i & 1) ? COLOUR_DARK : symbol.index == DOT ? COLOUR_WHITE : digits;
    }
    *ret_rest_ms = end_ms > elapsed_ms ? end_ms - elapsed_ms : 0;
}

uint64_t spell_resume_ms(const char *text, uint64_t elapsed_ms)
{
    struct symbol symbol = {};

    if (find(text, elapsed_ms, &symbol) && elapsed_ms < symbol.begin_ms + (symbol.end_ms - symbol.begin_ms) / 2) {
        return symbol.gap_ms;
    }
    return symbol.end_ms;
}
