/* SPDX-License-Identifier: MIT */

#include "app/outlet/csv.h"

#include "app/base/clock.h"
#include "app/base/decimal.h"
#include "drivers/column.h"

#include <inttypes.h>
#include <string.h>

void csv_add_text(struct text *text, const char *field)
{
    bool formula = *field && strchr("=+-@\t\r", *field);

    if (!formula && !strpbrk(field, ",\"\r\n")) {
        text_add(text, field);
        return;
    }

    text_add_char(text, '"');
    text_add(text, formula ? "'" : "");
    for (; *field; field++) {
        text_add(text, *field == '"' ? "\"" : "");
        text_add_char(text, *field);
    }
    text_add_char(text, '"');
}

void csv_add_header(struct text *text, const struct layout *layout, bool with_boot)
{
    char label[COLUMN_LABEL_SIZE];

    text_add(text, with_boot ? "boot_s,utc,local,quality" : "utc,local,quality");
    for (unsigned i = 0; i < layout->count; i++) {
        text_add_char(text, ',');
        csv_add_text(text, column_label(&layout->columns[i], label));
    }
    text_add(text, ",seq\r\n");
}

void csv_add_row(struct text *text, const struct csv_row *row, unsigned columns, bool with_boot)
{
    char buffer[CLOCK_TEXT_SIZE], number[DECIMAL_SIZE];

    if (with_boot) {
        text_addf(text, "%" PRIu64 ".%03u,", row->boot_ms / 1000, (unsigned) (row->boot_ms % 1000));
    }
    if (row->timed) {
        text_add(text, clock_utc(row->wall_ms, buffer));
        text_add_char(text, ',');
        text_add(text, clock_local(row->wall_ms, buffer));
        text_add_char(text, ',');
    } else {
        text_add(text, ",,");
    }
    text_add(text, row->quality);

    for (unsigned i = 0; i < columns; i++) {
        text_add_char(text, ',');
        if (i < row->value_count) {
            int length = decimal_print(row->values[i], number);

            text_add_bytes(text, number, (size_t) length);
        }
    }
    text_addf(text, ",%" PRIu64 "\r\n", row->seq);
}

uint64_t csv_line_seq(const char *line, size_t size)
{
    uint64_t seq = 0;
    size_t begin;

    while (size > 0 && strchr("\r\n\" ", line[size - 1])) {
        size--;
    }

    for (begin = size; begin > 0 && line[begin - 1] >= '0' && line[begin - 1] <= '9'; begin--) {
    }
    if (begin == size || size - begin > 16 || (begin > 0 && !strchr(",;\t\"", line[begin - 1]))) {
        return 0;
    }

    for (size_t i = begin; i < size; i++) {
        seq = seq * 10 + (uint64_t) (line[i] - '0');
    }
    return seq;
}
