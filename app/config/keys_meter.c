/* SPDX-License-Identifier: MIT */

/* The keys of [meter X]. */

#include "app/config/keys_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void meter_bus(struct loading *loading, const char *value)
{
    loading->meter_words->bus = value;
    loading->meter_words->bus_entry = loading->entry;
}

static void meter_model(struct loading *loading, const char *value)
{
    loading->meter_words->model = value;
    loading->meter_words->model_entry = loading->entry;
}

static void meter_driver(struct loading *loading, const char *value)
{
    if (!text_equal(value, "exec") && !text_equal(value, "modbus") && !text_equal(value, "currentcost")) {
        keys_wrong(loading, "'exec' is expected; other meters name their model");
        return;
    }
    loading->meter_words->driver = value;
}

static void meter_address(struct loading *loading, const char *value)
{
    uint64_t address;

    if (text_to_unsigned(value, 0, 255, &address) < 0) {
        keys_wrong(loading, "a number from 1 to 247 (Modbus TCP: 0 to 255)");
        return;
    }
    loading->meter->address = (unsigned) address;
    loading->meter_words->has_address = true;
}

static void meter_serial(struct loading *loading, const char *value)
{
    keys_set_serial(loading, value, &loading->meter->serial);
}

static void meter_interval(struct loading *loading, const char *value)
{
    keys_set_duration(loading, value, 1000, 100, DAY_MS, &loading->meter->interval_ms);
}

static void meter_log(struct loading *loading, const char *value)
{
    loading->meter_words->log = value;
    loading->meter_words->log_entry = loading->entry;
}

static void meter_log_every(struct loading *loading, const char *value)
{
    keys_set_duration(loading, value, 1000, 100, DAY_MS, &loading->meter->log_every_ms);
}

static void meter_timeout(struct loading *loading, const char *value)
{
    keys_set_duration(loading, value, 1, 20, 60000, &loading->meter->timeout_ms);
}

static void meter_message_size(struct loading *loading, const char *value)
{
    uint64_t size;

    if (text_to_unsigned(value, 1, MODBUS_MAX_REGISTERS, &size) < 0) {
        keys_wrong(loading, "registers of one request, from 1 to 125");
        return;
    }
    loading->meter->message_size = (unsigned) size;
}

static void meter_word_order(struct loading *loading, const char *value)
{
    loading->meter_words->word_order = value;
    loading->meter_words->order_entry = loading->entry;
}

static void meter_byte_order(struct loading *loading, const char *value)
{
    loading->meter_words->byte_order = value;
    loading->meter_words->order_entry = loading->entry;
}

static void meter_addresses(struct loading *loading, const char *value)
{
    if (!text_equal(value, "from 0") && !text_equal(value, "from 1")) {
        keys_wrong(loading, "'from 0' or 'from 1', as this meter counts its registers");
        return;
    }
    loading->meter_words->addresses = value;
    loading->meter_words->order_entry = loading->entry;
}

/* A number with a unit or without: "30 kW", "20000". false: it is neither, or of another quantity. */
static bool read_amount(const char *value, const char *base, double *ret)
{
    size_t digits = strspn(value, "+-0123456789.eE");
    char number[32], unit[32];
    struct decimal decimal;
    const char *unit_base = base;
    int exponent = 0;

    (void) snprintf(number, sizeof(number), "%.*s", (int) MIN(digits, sizeof(number) - 1), value);
    (void) snprintf(unit, sizeof(unit), "%s", value + digits);
    if (decimal_parse(number, &decimal) < 0
        || (*text_trim(unit)
            && (quantity_unit(text_trim(unit), &unit_base, &exponent) < 0 || !text_equal(unit_base, base)))) {
        return false;
    }
    decimal.exponent += exponent;
    *ret = decimal_scale_signed(1, decimal);
    return true;
}

static void meter_max_power(struct loading *loading, const char *value)
{
    if (!read_amount(value, "W", &loading->meter->max_power_w) || !(loading->meter->max_power_w > 0)) {
        loading->meter->max_power_w = NAN;
        keys_wrong(loading, "the most that the connection can carry, such as '30 kW'");
    }
}

static void meter_label(struct loading *loading, const char *value)
{
    keys_set_text(loading, loading->meter->label, sizeof(loading->meter->label), value);
}

static void meter_location(struct loading *loading, const char *value)
{
    keys_set_text(loading, loading->meter->location, sizeof(loading->meter->location), value);
}

static void meter_command(struct loading *loading, const char *value)
{
    loading->meter->command = pool_string(loading->config->memory, value);
}

static void meter_columns(struct loading *loading, const char *value)
{
    loading->meter_words->columns = value;
    loading->meter_words->columns_entry = loading->entry;
}

/* bounds.voltage = 0 .. 20 kV */
static void meter_bounds(struct loading *loading, const char *name, const char *value)
{
    const struct quantity *quantity = quantity_find(name);
    char *low = pool_string(loading->config->memory, value);
    char *dots = low ? strstr(low, "..") : NULL;
    struct bounds bounds = { 0 };
    char base[UNIT_SIZE] = "", hint[TEXT_HINT_SIZE];

    if (!quantity) {
        loading_fault(loading, "%s: unknown quantity '%s'%s", loading->entry->key, name,
                      text_hint(quantity_nearest(name), hint));
        return;
    }
    (void) snprintf(base, sizeof(base), "%.*s", (int) strcspn(quantity->units, " "), quantity->units);
    if (dots) {
        *dots = '\0';
    }
    if (!dots || !read_amount(text_trim(low), base, &bounds.min)
        || !read_amount(text_trim(dots + 2), base, &bounds.max) || bounds.min >= bounds.max) {
        keys_wrong(loading, "lowest and highest value such as '0 .. 20 kV'");
        return;
    }
    if (!loading->meter->bounds) {
        loading->meter->bounds = pool_take(loading->config->memory, MAX_BOUNDS * sizeof(bounds));
    }
    if (!loading->meter->bounds || loading->meter->bounds_count == MAX_BOUNDS) {
        loading_fault(loading, "more than %d bounds", MAX_BOUNDS);
        return;
    }
    if (text_copy(bounds.name, sizeof(bounds.name), name) == 0) {
        loading->meter->bounds[loading->meter->bounds_count++] = bounds;
    }
}

/* input.c = Server room, 10 */
static void meter_input(struct loading *loading, const char *letter, const char *value)
{
    char *name = pool_string(loading->config->memory, value);
    char *comma = name ? strrchr(name, ',') : NULL;
    struct input input = { .letter = letter[0], .ratio = 1 };

    if (letter[0] < 'a' || letter[0] > 'p' || letter[1] != '\0') {
        loading_fault(loading, "%s: inputs are input.a to input.p", loading->entry->key);
        return;
    }
    if (comma) {
        *comma = '\0';
    }
    if (!name || (comma && text_to_double(text_trim(comma + 1), -1e6, 1e6, &input.ratio) < 0)) {
        keys_wrong(loading, "a name, or a name and a factor such as 'Server room, 10'");
        return;
    }
    keys_set_text(loading, input.name, sizeof(input.name), text_trim(name));
    if (!loading->meter->inputs) {
        loading->meter->inputs = pool_take(loading->config->memory, MAX_INPUTS * sizeof(input));
        if (!loading->meter->inputs) {
            return;
        }
    }
    loading->meter->inputs[loading->meter->input_count++] = input;  // 16 letters, none twice
}

static const struct key meter_keys[] = {
    { "meter",     "address",      meter_address,        NULL },
    { "meter",     "addresses",    meter_addresses,      NULL },
    { "meter",     "bounds.",      NULL,                 meter_bounds },
    { "meter",     "bus",          meter_bus,            NULL },
    { "meter",     "byte_order",   meter_byte_order,     NULL },
    { "meter",     "columns",      meter_columns,        NULL },
    { "meter",     "command",      meter_command,        NULL },
    { "meter",     "driver",       meter_driver,         NULL },
    { "meter",     "input.",       NULL,                 meter_input },
    { "meter",     "interval",     meter_interval,       NULL },
    { "meter",     "label",        meter_label,          NULL },
    { "meter",     "location",     meter_location,       NULL },
    { "meter",     "log",          meter_log,            NULL },
    { "meter",     "log_every",    meter_log_every,      NULL },
    { "meter",     "max_power",    meter_max_power,      NULL },
    { "meter",     "message_size", meter_message_size,   NULL },
    { "meter",     "model",        meter_model,          NULL },
    { "meter",     "serial",       meter_serial,         NULL },
    { "meter",     "timeout",      meter_timeout,        NULL },
    { "meter",     "word_order",   meter_word_order,     NULL },
};

const struct key *keys_of_meter(size_t *ret_count)
{
    *ret_count = ARRAY_SIZE(meter_keys);
    return meter_keys;
}
