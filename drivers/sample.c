/* SPDX-License-Identifier: MIT */
#include "drivers/sample.h"

#include "app/base/text.h"
#include "drivers/modbus_frame.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *reason_text(enum reason reason)
{
    static const char *const exceptions[] = {
        [1] = "exception 1 (illegal function)",
        [2] = "exception 2 (illegal data address)",
        [3] = "exception 3 (illegal data value)",
        [4] = "exception 4 (device failure)",
        [5] = "exception 5 (acknowledge, still working)",
        [6] = "exception 6 (busy)",
        [7] = "exception 7 (negative acknowledge)",
        [8] = "exception 8 (memory parity error)",
        [10] = "exception 10 (gateway path unavailable)",
        [11] = "exception 11 (gateway target does not answer)",
    };

    switch (reason) {
    case REASON_NONE: return "";
    case REASON_TIMEOUT: return "timed out";
    case REASON_DAMAGED: return "damaged answer";
    case REASON_WRONG_ANSWER: return "answer of another unit, function or length";
    case REASON_DISCONNECTED: return "not connected";
    case REASON_NOT_AVAILABLE: return "not available";
    case REASON_OUT_OF_BOUNDS: return "out of bounds";
    case REASON_HELD: return "held back by the counter guard";
    case REASON_NOT_READ: return "not read";
    case REASON_EXCEPTION_FIRST:
    case REASON_EXCEPTION_LAST:
        break;
    }
    if ((size_t) reason < sizeof(exceptions) / sizeof(exceptions[0]) && exceptions[reason]) {
        return exceptions[reason];
    }
    return "unknown exception";
}

bool layout_is_same(const struct layout *a, const struct layout *b)
{
    if (a->count != b->count) {
        return false;
    }

    for (unsigned i = 0; i < a->count; i++) {
        if (!text_equal(a->columns[i].name, b->columns[i].name) ||
            !text_equal(a->columns[i].unit, b->columns[i].unit)) {
            return false;
        }
    }
    return true;
}

void sample_clear(struct sample *sample, const char *meter, unsigned value_count, enum reason reason)
{
    (void) snprintf(sample->meter, sizeof(sample->meter), "%s", meter);
    sample->boot_ms = 0;
    sample->word_count = 0;
    sample->value_count = value_count;
    for (unsigned i = 0; i < value_count; i++) {
        sample->values[i] = NAN;
        sample->reasons[i] = (uint8_t) reason;
    }
}

unsigned sample_present(const struct sample *sample)
{
    unsigned count = 0;

    for (unsigned i = 0; i < sample->value_count; i++) {
        count += !isnan(sample->values[i]);
    }
    return count;
}

int layout_find(const struct layout *layout, const char *name)
{
    for (unsigned i = 0; i < layout->count; i++) {
        if (strcmp(layout->columns[i].name, name) == 0) {
            return (int) i;
        }
    }
    return -1;
}
