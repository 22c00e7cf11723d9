/* SPDX-License-Identifier: MIT */

/* The keys of [model]. */

#include "drivers/model_private.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void set_id(struct model_parsing *parsing, const char *value)
{
    if (strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789.-") != strlen(value)
        || text_copy(parsing->model->id, sizeof(parsing->model->id), value) < 0) {
        model_fault(parsing, "id = %.60s: small letters, digits, '-' and '.', at most %d", value, MODEL_ID_SIZE - 1);
    }
}

static void set_title(struct model_parsing *parsing, const char *value)
{
    if (text_copy(parsing->model->title, sizeof(parsing->model->title), value) < 0) {
        model_fault(parsing, "title: at most %d bytes", LABEL_SIZE - 1);
    }
}

static void set_addresses(struct model_parsing *parsing, const char *value)
{
    if (text_equal(value, "from 0") || text_equal(value, "from 1")) {
        parsing->model->first_number = value[5] == '1';
    } else {
        model_fault(parsing, "addresses = %.60s: 'from 0' or 'from 1', as the manual counts registers", value);
    }
}

static void set_driver(struct model_parsing *parsing, const char *value)
{
    if (text_equal(value, "currentcost")) {
        parsing->model->driver = MODEL_CURRENTCOST;
    } else if (!text_equal(value, "modbus")) {
        model_fault(parsing, "driver = %.60s: 'modbus' or 'currentcost'", value);
    }
}

static void set_transport(struct model_parsing *parsing, const char *value)
{
    if (text_equal(value, "tcp") || text_equal(value, "rtu")) {
        parsing->model->tcp = value[0] == 't';
    } else {
        model_fault(parsing, "transport = %.60s: 'rtu' or 'tcp'", value);
    }
}

static void set_serial(struct model_parsing *parsing, const char *value)
{
    if (serial_setting_parse(value, &parsing->model->serial) < 0) {
        model_fault(parsing, "serial = %.60s: speed, data bits, parity and stop bits such as '9600 8N1'", value);
    }
}

static void set_source(struct model_parsing *parsing, const char *value)
{
    parsing->source = model_keep(parsing, value);
    parsing->model->source = parsing->source;
}

static void set_verified(struct model_parsing *parsing, const char *value)
{
    static const char *const words[] = { "document", "capture", "hardware" };

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (text_equal(value, words[i])) {
            parsing->model->verified = (enum model_verified) i;
            return;
        }
    }
    model_fault(parsing, "verified = %.60s: 'document', 'capture' or 'hardware'", value);
}

static void set_log(struct model_parsing *parsing, const char *value)
{
    parsing->log = model_keep(parsing, value);
}

static void set_max_registers(struct model_parsing *parsing, const char *value)
{
    uint64_t number;

    if (text_to_unsigned(value, 1, MODBUS_MAX_REGISTERS, &number) < 0) {
        model_fault(parsing, "max_registers = %.60s: a number from 1 to 125", value);
        return;
    }
    parsing->model->max_registers = (unsigned) number;
}

static void set_align(struct model_parsing *parsing, const char *value)
{
    if (!text_equal(value, "even")) {
        model_fault(parsing, "align = %.60s: only 'even' is known", value);
        return;
    }
    parsing->model->even = true;
}

static void set_gaps(struct model_parsing *parsing, const char *value)
{
    if (!text_equal(value, "read") && !text_equal(value, "avoid")) {
        model_fault(parsing, "gaps = %.60s: 'read' or 'avoid'", value);
        return;
    }
    parsing->model->read_gaps = text_equal(value, "read");
}

static void set_timeout(struct model_parsing *parsing, const char *value)
{
    uint64_t ms;

    if (text_to_duration_ms(value, 1, 20, 10000, &ms) < 0) {
        model_fault(parsing, "timeout = %.60s: from 20 ms to 10 s", value);
        return;
    }
    parsing->model->timeout_ms = (unsigned) ms;
}

static void set_not_available(struct model_parsing *parsing, const char *value)
{
    if (!text_equal(value, "schneider") && !text_equal(value, "nan")) {
        model_fault(parsing, "not_available = %.60s: 'schneider' (0xFFFF, 0x8000... too) or 'nan'", value);
        return;
    }
    parsing->model->schneider_codes = text_equal(value, "schneider");
}

/* "3001-3199, 3721-3775", as printed; holding registers. */
static void set_avoid(struct model_parsing *parsing, const char *value)
{
    auto_free char *copy = strdup(value);
    char *rest = copy, *item;

    while (copy && (item = text_item(&rest))) {
        struct plan_range *more;
        unsigned first, last;
        char end;

        if (sscanf(item, "%5u-%5u%c", &first, &last, &end) != 2 || first > last
            || last > 65535) {
            model_fault(parsing, "avoid = %.60s: ranges of registers such as 3001-3199", item);
            return;
        }
        more = reallocarray(parsing->model->avoid, parsing->model->avoid_count + 1, sizeof(*more));
        if (!more) {
            return;
        }
        parsing->model->avoid = more;
        // counted as printed for now; finish() puts them on the wire
        more[parsing->model->avoid_count++] =
            (struct plan_range){ .table = MODBUS_HOLDING, .first = (uint16_t) first, .last = (uint16_t) last };
    }
}

/* Every key of [model]. */
static const struct model_key {
    const char *name;
    void (*set)(struct model_parsing *parsing, const char *value);
} model_keys[] = {
    { "addresses",     set_addresses },
    { "align",         set_align },
    { "avoid",         set_avoid },
    { "driver",        set_driver },
    { "gaps",          set_gaps },
    { "id",            set_id },
    { "identify",      model_read_identify },
    { "log",           set_log },
    { "max_registers", set_max_registers },
    { "not_available", set_not_available },
    { "serial",        set_serial },
    { "source",        set_source },
    { "timeout",       set_timeout },
    { "title",         set_title },
    { "transport",     set_transport },
    { "verified",      set_verified },
};
static_assert(ARRAY_SIZE(model_keys) == MODEL_KEY_COUNT, "a line is kept for each key");

unsigned model_key_line(const struct model_parsing *parsing, const char *key)
{
    for (size_t i = 0; i < ARRAY_SIZE(model_keys); i++) {
        if (text_equal(key, model_keys[i].name)) {
            return parsing->key_lines[i];
        }
    }
    return 0;
}

static void read_known_key(struct model_parsing *parsing, size_t index)
{
    unsigned *line = &parsing->key_lines[index];

    if (*line > 0) {
        model_fault(parsing, "%s stands twice; first in line %u", parsing->entry->key, *line);
        return;
    }
    *line = parsing->entry->line;
    if (parsing->has_points) {
        model_fault(parsing, "[points] stands before this; how they are counted must be known first");
        return;
    }
    model_keys[index].set(parsing, parsing->entry->value);
}

void model_read_key(struct model_parsing *parsing)
{
    const char *names[ARRAY_SIZE(model_keys)];
    char hint[TEXT_HINT_SIZE];

    for (size_t i = 0; i < ARRAY_SIZE(model_keys); i++) {
        names[i] = model_keys[i].name;
        if (text_equal(parsing->entry->key, names[i])) {
            read_known_key(parsing, i);
            return;
        }
    }
    model_fault(parsing, "unknown key '%s' in [model]%s", parsing->entry->key,
                text_hint(text_nearest(parsing->entry->key, names, ARRAY_SIZE(names)), hint));
}
