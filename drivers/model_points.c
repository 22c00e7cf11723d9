/* SPDX-License-Identifier: MIT */

/* The lines of [points]. */

#include "drivers/model_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define POINTS_MAX 2000  // lines of [points]; the largest seed model has 110

static int read_table(struct model_parsing *parsing, const char *word, struct point *point)
{
    if (text_equal(word, "holding")) {
        point->table = MODBUS_HOLDING;
    } else if (text_equal(word, "input")) {
        point->table = MODBUS_INPUT;
    } else if (parsing->model->driver != MODEL_CURRENTCOST || !text_equal(word, "message")) {
        model_fault(parsing, "%s: '%.30s' is no table; 'holding' (function 3) or 'input' (function 4)", point->name,
                    word);
        return -EINVAL;
    }
    return 0;
}

static int read_number(struct model_parsing *parsing, const char *word, struct point *point)
{
    unsigned first = parsing->model->first_number;
    bool message = parsing->model->driver == MODEL_CURRENTCOST;
    uint64_t number;

    if (text_to_unsigned(word, first, message ? 9 : 65535 + first, &number) < 0) {
        model_fault(parsing,
                    message ? "%s: sensor %.30s; %u to 9 are allowed" : "%s: register %.30s; %u to %u are allowed",
                    point->name, word, first, 65535 + first);
        return -EINVAL;
    }
    point->number = (unsigned) number;
    point->address = (uint16_t) (number - first);
    return 0;
}

static int read_codec(struct model_parsing *parsing, const char *word, struct point *point)
{
    char hint[TEXT_HINT_SIZE];

    point->codec = codec_find(word, &point->word_count);
    if (!point->codec) {
        model_fault(parsing, "%s: unknown codec '%.30s'%s", point->name, word, text_hint(codec_nearest(word), hint));
        return -EINVAL;
    }
    if ((point->codec->result == CODEC_MESSAGE) != (parsing->model->driver == MODEL_CURRENTCOST)) {
        model_fault(parsing, "%s: codec '%.30s' is of another driver", point->name, word);
        return -EINVAL;
    }
    if (point->address + point->word_count > 65536) {
        model_fault(parsing, "%s: its %u registers go beyond the last one", point->name, point->word_count);
        return -EINVAL;
    }
    return 0;
}

/* "0.01 kWh": what one step of the raw number is, in the base unit. */
static int read_resolution(struct model_parsing *parsing, const char *number, const char *unit, struct point *point)
{
    const char *base;
    int exponent;

    if (point->codec->result == CODEC_TEXT) {
        if (*number) {
            model_fault(parsing, "%s: a text has no resolution", point->name);
            return -EINVAL;
        }
        return 0;
    }
    if (decimal_parse(number, &point->resolution) < 0 || point->resolution.digits == 0) {
        model_fault(parsing, "%s: '%.30s' is no resolution; a decimal and a unit such as '0.01 kWh'", point->name,
                    number);
        return -EINVAL;
    }
    if (quantity_unit(unit, &base, &exponent) < 0) {
        model_fault(parsing, "%s: unknown unit '%.30s'", point->name, unit);
        return -EINVAL;
    }
    if (!quantity_has_unit(point->quantity, base)) {
        model_fault(parsing, "%s: %s is measured in %s, not in '%.30s'", point->name, point->quantity->name,
                    *point->quantity->units ? point->quantity->units : "plain numbers", unit);
        return -EINVAL;
    }
    point->resolution.exponent += exponent;
    (void) snprintf(point->unit, sizeof(point->unit), "%s", base);
    return 0;
}

static int read_name(struct model_parsing *parsing, const char *word, struct point *point)
{
    if (text_copy(point->name, sizeof(point->name), word) < 0
        || strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_.") != strlen(word)) {
        model_fault(parsing, "'%.60s' is no name of a point: small letters, digits, '_', at most %d", word,
                    QUANTITY_NAME_SIZE - 1);
        return -EINVAL;
    }
    for (size_t i = 0; i < parsing->model->point_count; i++) {
        if (text_equal(parsing->model->points[i].name, word)) {
            model_fault(parsing, "%s stands twice; first in line %u", word, parsing->model->points[i].line);
            return -EINVAL;
        }
    }
    return 0;
}

static int read_quantity(struct model_parsing *parsing, struct point *point)
{
    char hint[TEXT_HINT_SIZE];

    if (point->codec->result == CODEC_TEXT) {
        return 0;
    }
    point->quantity = quantity_find(point->name);
    if (!point->quantity) {
        model_fault(parsing, "unknown quantity '%s'%s", point->name, text_hint(quantity_nearest(point->name), hint));
        return -EINVAL;
    }
    return 0;
}

static int add_point(struct model_parsing *parsing, const struct point *point)
{
    struct model *model = parsing->model;

    if (model->point_count == parsing->point_capacity) {
        size_t capacity = MAX(parsing->point_capacity * 2, (size_t) 32);
        struct point *more;

        if (model->point_count >= POINTS_MAX) {
            model_fault(parsing, "more than %d points", POINTS_MAX);
            return -E2BIG;
        }
        more = reallocarray(model->points, capacity, sizeof(*more));
        if (!more) {
            return -ENOMEM;
        }
        model->points = more;
        parsing->point_capacity = capacity;
    }
    model->points[model->point_count++] = *point;
    return 0;
}

/* quantity table number codec [resolution [unit]] [? doubt] */
void model_read_point(struct model_parsing *parsing)
{
    auto_free char *line = strdup(parsing->entry->value);
    struct point point = { .line = parsing->entry->line, .source = parsing->source, .doubt = "" };
    char *rest = line, *doubt, *name, *table, *number, *codec, *resolution, *unit;

    if (!line) {
        return;
    }
    if (text_starts(line, "source ") || text_starts(line, "source=")) {
        char *equals = strchr(line, '=');

        parsing->source = equals ? model_keep(parsing, text_trim(equals + 1)) : parsing->source;
        return;
    }
    doubt = strstr(line, " ?");
    if (doubt) {
        *doubt = '\0';
        point.doubt = model_keep(parsing, *text_trim(doubt + 2) ? text_trim(doubt + 2) : "not certain");
    }

    name = text_word(&rest);
    table = text_word(&rest);
    number = text_word(&rest);
    codec = text_word(&rest);
    resolution = text_word(&rest);
    unit = text_trim(rest);
    if (*codec == '\0') {
        model_fault(parsing, "'%.60s': a point is written  quantity table number codec resolution unit",
                    parsing->entry->value);
        return;
    }
    if (read_name(parsing, name, &point) < 0 || read_table(parsing, table, &point) < 0
        || read_number(parsing, number, &point) < 0 || read_codec(parsing, codec, &point) < 0
        || read_quantity(parsing, &point) < 0 || read_resolution(parsing, resolution, unit, &point) < 0) {
        return;
    }
    (void) add_point(parsing, &point);  // without memory the end notices that points are missing
}
