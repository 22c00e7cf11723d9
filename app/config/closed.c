/* SPDX-License-Identifier: MIT */
#include "app/config/closed.h"

#include "drivers/serial.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

static bool has_only(const char *value, const char *allowed)
{
    return *value && strspn(value, allowed) == strlen(value);
}

/* A name in /dev/serial/by-id or by-path, as udev makes them. */
static bool is_below_serial(const char *rest)
{
    size_t folder = strcspn(rest, "/");
    const char *name = rest[folder] ? rest + folder + 1 : rest;

    return (folder == strlen(rest) || (folder == 5 && text_starts(rest, "by-id"))
            || (folder == 7 && text_starts(rest, "by-path")))
           && name[0] != '.' && has_only(name, LETTERS DIGITS "#+-.:=@_,\\");
}

static const char *refuse_port(const char *value)
{
    struct endpoint endpoint;
    bool good;

    if (text_starts(value, "/dev/tty")) {
        good = has_only(value + 5, LETTERS DIGITS "_.-");
    } else if (text_starts(value, "/dev/serial/")) {
        good = is_below_serial(value + 12);
    } else if (text_starts(value, "tcp:") || text_starts(value, "rtu-tcp:")) {
        good = has_only(value, LETTERS DIGITS "-._:[]%") && endpoint_parse(value, &endpoint, NULL) == 0;
    } else {
        good = text_equal(value, "auto");
    }
    return good ? NULL : "of ports only 'auto', /dev/tty..., /dev/serial/..., 'tcp:HOST:PORT' and 'rtu-tcp:HOST:PORT' "
                         "can be adopted";
}

static const char *refuse_timezone(const char *value)
{
    bool good = isalpha((unsigned char) value[0]) && has_only(value, LETTERS DIGITS "_+-/");

    return good ? NULL : "no such time zone; such as 'Europe/Berlin' or 'UTC'";
}

static const char *refuse_model(const char *value)
{
    bool good = isalnum((unsigned char) value[0]) && has_only(value, LETTERS DIGITS "_.-")
                && !text_ends(value, ".meter");

    return good ? NULL : "the id of a model is expected, not a file; 'meterstick models' lists them";
}

static const char *refuse_driver(const char *value)
{
    return text_equal(value, "exec") ? "a program to run cannot be adopted; it stands in the configuration on the card"
                                     : NULL;
}

/* Everything else stays on the card. A key that ends in a dot begins a family. */
static const struct {
    const char *section, *name;
    const char *(*refuse)(const char *value);
} adoptable[] = {
    { "appliance", "interval",     NULL },
    { "appliance", "name",         NULL },
    { "appliance", "timezone",     refuse_timezone },
    { "bus",       "port",         refuse_port },
    { "bus",       "rs485",        NULL },
    { "bus",       "serial",       NULL },
    { "bus",       "timeout",      NULL },
    { "leds",      "brightness",   NULL },
    { "leds",      "colours",      NULL },
    { "meter",     "address",      NULL },
    { "meter",     "addresses",    NULL },
    { "meter",     "bounds.",      NULL },
    { "meter",     "bus",          NULL },
    { "meter",     "byte_order",   NULL },
    { "meter",     "driver",       refuse_driver },
    { "meter",     "input.",       NULL },
    { "meter",     "interval",     NULL },
    { "meter",     "label",        NULL },
    { "meter",     "location",     NULL },
    { "meter",     "log",          NULL },
    { "meter",     "log_every",    NULL },
    { "meter",     "max_power",    NULL },
    { "meter",     "message_size", NULL },
    { "meter",     "model",        refuse_model },
    { "meter",     "serial",       NULL },
    { "meter",     "timeout",      NULL },
    { "meter",     "word_order",   NULL },
};

static bool is_key(const char *name, const char *key)
{
    return text_ends(name, ".") ? text_starts(key, name) : text_equal(name, key);
}

/* Whether a value could do something to a terminal or a log that it stands in. */
static bool is_printable(const char *value)
{
    char copy[MAX_LINE_SIZE + 8];

    (void) snprintf(copy, sizeof(copy), "%s", value);
    text_make_printable(copy);
    return text_equal(copy, value);
}

const char *closed_refuses(const struct entry *entry)
{
    for (size_t i = 0; i < ARRAY_SIZE(adoptable); i++) {
        if (text_equal(adoptable[i].section, entry->kind) && is_key(adoptable[i].name, entry->key)) {
            if (!is_printable(entry->value)) {
                return "it has control characters";
            }
            return adoptable[i].refuse ? adoptable[i].refuse(entry->value) : NULL;
        }
    }
    return "this cannot be adopted; it stands in the configuration on the card";
}
