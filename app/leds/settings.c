/* SPDX-License-Identifier: MIT */
#include "app/leds/settings.h"

#include "app/base/ini.h"
#include "app/base/log.h"
#include "app/base/text.h"
#include "leds/blinkt.h"

#include <stdio.h>
#include <string.h>

const struct settings settings_default = { .brightness = 3, .code_colours = false, .commit_ms = 10000 };

/* "10 %", "10%" or "10". */
static int parse_percent(const char *value, uint64_t *ret)
{
    char number[16];

    if (text_copy(number, sizeof(number), value) < 0) {
        return -1;
    }
    number[strcspn(number, "%")] = '\0';
    return text_to_unsigned(number, 0, 100, ret);
}

static void take(const struct ini_entry *entry, void *data)
{
    struct settings *settings = data;
    uint64_t number;

    if (!entry->key || !entry->value) {
        return;
    }
    if (text_equal(entry->kind, "leds") && text_equal(entry->key, "brightness") &&
        parse_percent(entry->value, &number) == 0) {
        settings->brightness = blinkt_brightness((unsigned) number);
    } else if (text_equal(entry->kind, "leds") && text_equal(entry->key, "colours")) {
        settings->code_colours = text_equal(entry->value, "code");
    } else if (text_equal(entry->kind, "appliance") && text_equal(entry->key, "log_level")) {
        (void) snprintf(settings->log_level, sizeof(settings->log_level), "%s", entry->value);
    } else if (text_equal(entry->kind, "appliance") && text_equal(entry->key, "log_file")) {
        (void) snprintf(settings->log_file, sizeof(settings->log_file), "%s", entry->value);
    } else if (text_equal(entry->kind, "journal") && text_equal(entry->key, "commit") &&
               text_to_duration_ms(entry->value, 1000, 1, 3600000, &number) == 0) {
        settings->commit_ms = number;
    }
}

void settings_read(const char *text, size_t size, struct settings *ret)
{
    auto_problems struct problems problems = {};

    *ret = settings_default;
    if (ini_read_text("good.conf", text, size, take, ret, &problems) < 0) {
        log_warning("%s: what stands before the fault is used", problems_text(&problems));
    }
}
