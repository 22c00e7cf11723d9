// SPDX-License-Identifier: MIT
// link: ms_journal m
// share: 8
//
// Text of a journal's row, from a card that aged. What is read is written again as what it was.

#include "app/base/macros.h"
#include "app/journal/stored.h"

#include <assert.h>
#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_values(const char *stored)
{
    static double values[MAX_POINTS], again[MAX_POINTS];
    auto_text struct text text = {};
    unsigned count, count_again;

    if (stored_parse_values(stored, values, &count) < 0) {
        return;
    }
    assert(count <= MAX_POINTS);
    stored_add_values(&text, values, count);
    assert(stored_parse_values(text_string(&text), again, &count_again) == 0 && count_again == count);
    for (unsigned i = 0; i < count; i++) {
        assert(isfinite(values[i]) ? values[i] == again[i] : isnan(values[i]) && isnan(again[i]));
    }
}

static void check_layout(const char *stored, size_t size)
{
    static struct layout layout, again;
    auto_text struct text text = {}, views = {};

    if (stored_parse_layout(stored, size, &layout) < 0) {
        return;
    }
    assert(layout.count <= MAX_POINTS);
    stored_add_layout(&text, &layout);
    assert(stored_parse_layout(text.data, text.size, &again) == 0 && again.count == layout.count);
    stored_add_layout_view(&views, 1, &layout);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_text struct text text = {};

    if (size == 0) {
        return 0;
    }
    text_add_bytes(&text, (const char *) data + 1, size - 1);
    if (data[0] % 2) {
        check_values(text_string(&text));
    } else {
        check_layout(text_string(&text), size - 1);
    }
    return 0;
}
