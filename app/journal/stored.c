/* SPDX-License-Identifier: MIT */

#include "app/journal/stored.h"

#include "app/base/decimal.h"
#include "app/base/json.h"
#include "drivers/column.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

void stored_add_values(struct text *text, const double *values, unsigned count)
{
    char number[DECIMAL_SIZE];

    text_add_char(text, '[');
    for (unsigned i = 0; i < count; i++) {
        int length = decimal_print(values[i], number);

        if (i > 0) {
            text_add_char(text, ',');
        }
        if (length > 0) {
            text_add_bytes(text, number, (size_t) length);
        } else {
            text_add(text, "null");
        }
    }
    text_add_char(text, ']');
}

/* JSON allows blanks anywhere between; we write none, another tool may. */
static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t\r\n");
}

int stored_parse_values(const char *text, double ret[static MAX_POINTS], unsigned *ret_count)
{
    double values[MAX_POINTS];
    unsigned count = 0;
    char *end;

    if (*text != '[') {
        return -EBADMSG;
    }

    text = skip_blanks(text + 1);
    while (*text != ']') {
        if (count == MAX_POINTS || (count > 0 && *text++ != ',')) {
            return -EBADMSG;
        }
        text = skip_blanks(text);
        if (strncmp(text, "null", 4) == 0) {
            values[count++] = NAN;
            text = skip_blanks(text + 4);
            continue;
        }
        // strtod also takes "nan", "inf" and "+1": none of them is JSON
        if (*text != '-' && (*text < '0' || *text > '9')) {
            return -EBADMSG;
        }
        values[count] = strtod(text, &end);
        if (end == text || !isfinite(values[count])) {
            return -EBADMSG;
        }
        text = skip_blanks(end);
        count++;
    }
    if (text[1] != '\0') {
        return -EBADMSG;
    }

    memcpy(ret, values, count * sizeof(*values));
    *ret_count = count;
    return 0;
}

void stored_add_words(struct text *text, const uint16_t *words, unsigned count)
{
    static const char digits[] = "0123456789ABCDEF";

    for (unsigned i = 0; i < count; i++) {
        for (int shift = 12; shift >= 0; shift -= 4) {
            text_add_char(text, digits[words[i] >> shift & 15]);
        }
    }
}

void stored_add_layout(struct text *text, const struct layout *layout)
{
    text_add_char(text, '[');
    for (unsigned i = 0; i < layout->count; i++) {
        text_add(text, i > 0 ? ",{" : "{");
        json_add_member_string(text, "quantity", layout->columns[i].name);
        json_add_member_string(text, "unit", layout->columns[i].unit);
        text_add_char(text, '}');
    }
    text_add_char(text, ']');
}

int stored_parse_layout(const char *text, size_t size, struct layout *ret)
{
    auto_json struct json *json = NULL;
    int r;

    r = json_parse(text, size, &json, NULL);
    if (r < 0) {
        return r;
    }
    if (!json_is_list(json) || json_count(json) > MAX_POINTS) {
        return -EBADMSG;
    }

    // First all is looked at, then all is taken, so that *ret stays as it was if anything is wrong.
    for (int take = 0; take < 2; take++) {
        for (size_t i = 0; i < json_count(json); i++) {
            const char *name = json_member_string(json_item(json, i), "quantity");
            const char *unit = json_member_string(json_item(json, i), "unit");
            struct column column = {};

            if (!name || !unit || text_copy(column.name, sizeof(column.name), name) < 0 ||
                text_copy(column.unit, sizeof(column.unit), unit) < 0) {
                return -EBADMSG;
            }
            if (take) {
                column.quantity = quantity_find(column.name);
                ret->columns[i] = column;
            }
        }
    }

    ret->count = (unsigned) json_count(json);
    return 0;
}

/* An identifier in quotes: names have '-' and '.', and exec columns may be called anything. */
static void add_identifier(struct text *text, const char *name)
{
    text_add_char(text, '"');
    for (; *name; name++) {
        text_add(text, *name == '"' ? "\"" : "");
        text_add_char(text, *name);
    }
    text_add_char(text, '"');
}

void stored_add_layout_view(struct text *text, int64_t id, const struct layout *layout)
{
    char label[COLUMN_LABEL_SIZE];

    text_addf(text, "CREATE VIEW IF NOT EXISTS layout_%" PRId64 " AS SELECT seq,utc,quality,meter", id);
    for (unsigned i = 0; i < layout->count; i++) {
        text_addf(text, ",json_extract(vals,'$[%u]') AS ", i);
        add_identifier(text, column_label(&layout->columns[i], label));
    }
    text_add(text, " FROM timed_sample;");
}

void stored_add_view(struct text *text, const char *view, int64_t meter, int64_t layout_id)
{
    text_add(text, "DROP VIEW IF EXISTS ");
    add_identifier(text, view);
    text_add(text, ";CREATE VIEW ");
    add_identifier(text, view);
    text_addf(text, " AS SELECT * FROM layout_%" PRId64 " WHERE meter=%" PRId64 ";", layout_id, meter);
}
