/* SPDX-License-Identifier: MIT */
#include "app/config/keys.h"

#include "app/config/closed.h"
#include "app/config/keys_private.h"

#include <stdio.h>
#include <string.h>

void keys_wrong(struct loading *loading, const char *allowed)
{
    loading_fault(loading, "%s = %.80s: %s", loading->entry->key, loading->entry->value, allowed);
}

void keys_set_text(struct loading *loading, char *ret, size_t size, const char *value)
{
    if (text_copy(ret, size, value) < 0) {
        loading_fault(loading, "%s: at most %zu bytes are allowed", loading->entry->key, size - 1);
    }
}

void keys_set_duration(struct loading *loading, const char *value, uint64_t unit_ms, uint64_t min_ms, uint64_t max_ms,
                       unsigned *ret_ms)
{
    char low[TEXT_DURATION_SIZE], high[TEXT_DURATION_SIZE];
    uint64_t ms;

    if (text_to_duration_ms(value, unit_ms, min_ms, max_ms, &ms) < 0) {
        loading_fault(loading, "%s = %.80s: a time from %s to %s such as '10 s' is expected", loading->entry->key,
                      value, text_duration(min_ms, low), text_duration(max_ms, high));
        return;
    }
    *ret_ms = (unsigned) ms;
}

void keys_set_serial(struct loading *loading, const char *value, struct serial_setting *ret)
{
    if (serial_setting_parse(value, ret) < 0) {
        keys_wrong(loading, "speed, data bits, parity (N, E, O) and stop bits such as '9600 8N1'; speeds are 300 to "
                            "115200 and 230400");
    }
}

static void set_bool(struct loading *loading, const char *value, bool *ret)
{
    if (text_to_bool(value, ret) < 0) {
        keys_wrong(loading, "'yes' or 'no' is expected");
    }
}

/* One of a few words; *ret is its index. */
static void set_word(struct loading *loading, const char *value, const char *const *words, unsigned count,
                     unsigned *ret)
{
    auto_text struct text allowed = { 0 };

    for (unsigned i = 0; i < count; i++) {
        if (text_equal(value, words[i])) {
            *ret = i;
            return;
        }
        text_addf(&allowed, "%s'%s'", i == 0 ? "" : i + 1 == count ? " or " : ", ", words[i]);
    }
    loading_fault(loading, "%s = %.80s: %s is expected", loading->entry->key, value, text_string(&allowed));
}

/* [appliance] */

static void appliance_name(struct loading *loading, const char *value)
{
    if (!text_is_name(value)) {
        keys_wrong(loading, "small letters, digits, '-' and '_', at most 31, and no name that Windows reserves");
        return;
    }
    keys_set_text(loading, loading->config->appliance.name, sizeof(loading->config->appliance.name), value);
}

static void appliance_interval(struct loading *loading, const char *value)
{
    keys_set_duration(loading, value, 1000, 100, DAY_MS, &loading->config->appliance.interval_ms);
}

static void appliance_timezone(struct loading *loading, const char *value)
{
    char path[160];

    (void) snprintf(path, sizeof(path), "/usr/share/zoneinfo/%.100s", value);
    if (strstr(value, "..") || (access(path, R_OK) < 0 && access("/usr/share/zoneinfo/UTC", R_OK) == 0)) {
        keys_wrong(loading, "no such time zone; such as 'Europe/Berlin' or 'UTC'");
        return;
    }
    keys_set_text(loading, loading->config->appliance.timezone, sizeof(loading->config->appliance.timezone), value);
}

static void appliance_clock(struct loading *loading, const char *value)
{
    static const char *const words[] = { "auto", "trusted" };
    unsigned index = loading->config->appliance.clock_trusted;

    set_word(loading, value, words, ARRAY_SIZE(words), &index);
    loading->config->appliance.clock_trusted = index == 1;
}

static void appliance_log_level(struct loading *loading, const char *value)
{
    static const char *const words[] = { "error", "warning", "info", "debug" };
    unsigned index = 0;

    set_word(loading, value, words, ARRAY_SIZE(words), &index);
    loading->config->appliance.log_level = words[index];
}

static void appliance_log_file(struct loading *loading, const char *value)
{
    if (value[0] != '/' && !text_equal(value, "stderr")) {
        keys_wrong(loading, "'stderr' or the whole path of a file");
        return;
    }
    loading->config->appliance.log_file = pool_string(loading->config->memory, value);
}

/* [journal] */

static void journal_commit_every(struct loading *loading, const char *value)
{
    keys_set_duration(loading, value, 1000, 1000, 60000, &loading->config->journal.commit_ms);
}

static void journal_keep(struct loading *loading, const char *value)
{
    uint64_t ms;

    if (text_to_duration_ms(value, DAY_MS, 7 * DAY_MS, 36500 * DAY_MS, &ms) < 0) {
        keys_wrong(loading, "from 7 days to 36500 days");
        return;
    }
    loading->config->journal.keep_days = (unsigned) (ms / DAY_MS);
}

/* "8 GiB", "500 MB": bytes. */
static void journal_budget(struct loading *loading, const char *value)
{
    static const struct { const char *unit; double bytes; } units[] = {
        { "GB", 1e9 }, { "GiB", 1073741824.0 }, { "MB", 1e6 }, { "MiB", 1048576.0 }, { "", 1048576.0 },
    };
    size_t digits = strspn(value, "0123456789.");
    char number[32], unit[8];
    double amount;

    (void) snprintf(number, sizeof(number), "%.*s", (int) MIN(digits, sizeof(number) - 1), value);
    (void) snprintf(unit, sizeof(unit), "%s", value + digits);
    for (size_t i = 0; i < ARRAY_SIZE(units) && text_to_double(number, 0, 1e9, &amount) == 0; i++) {
        if (text_equal(text_trim(unit), units[i].unit) && amount * units[i].bytes >= 67108864.0) {
            loading->config->journal.budget_bytes = (uint64_t) (amount * units[i].bytes);
            return;
        }
    }
    keys_wrong(loading, "a size of at least 64 MiB such as '8 GiB' or '500 MB'");
}

static void journal_keep_words(struct loading *loading, const char *value)
{
    set_bool(loading, value, &loading->config->journal.keep_words);
}

/* [stick] */

static void stick_burst(struct loading *loading, const char *value)
{
    keys_set_duration(loading, value, 1000, 5000, 300000, &loading->config->stick.burst_ms);
}

static void stick_csv(struct loading *loading, const char *value)
{
    static const char *const words[] = { "meterstick", "energy-scribe" };
    unsigned index = loading->config->stick.csv;

    set_word(loading, value, words, ARRAY_SIZE(words), &index);
    loading->config->stick.csv = (enum csv_format) index;
}

static void stick_configure(struct loading *loading, const char *value)
{
    set_bool(loading, value, &loading->config->stick.configure);
}

/* [leds] */

static void leds_brightness(struct loading *loading, const char *value)
{
    char number[16];
    uint64_t percent;

    (void) snprintf(number, sizeof(number), "%.*s", (int) MIN(strcspn(value, "%"), (size_t) 15), value);
    if (text_to_unsigned(number, 1, 100, &percent) < 0) {
        keys_wrong(loading, "from 1 % to 100 %");
        return;
    }
    loading->config->leds.brightness_percent = (unsigned) percent;
}

static void leds_colours(struct loading *loading, const char *value)
{
    static const char *const words[] = { "readme", "code" };
    unsigned index = loading->config->leds.colours;

    set_word(loading, value, words, ARRAY_SIZE(words), &index);
    loading->config->leds.colours = (enum led_colours) index;
}

/* [bus X] */

static void bus_port(struct loading *loading, const char *value)
{
    const char *allowed;

    if (endpoint_parse(value, &loading->bus->port, &allowed) < 0) {
        keys_wrong(loading, allowed);
    }
    loading->bus->port.rs485_kernel = loading->bus->rs485_kernel;
}

static void bus_serial(struct loading *loading, const char *value)
{
    keys_set_serial(loading, value, &loading->bus->serial);
}

static void bus_lock(struct loading *loading, const char *value)
{
    if (!text_equal(value, "none") && (value[0] != '/' || !value[1] || strchr(value + 1, '/'))) {
        keys_wrong(loading, "'none' or the name of a semaphore such as '/rs485'");
        return;
    }
    keys_set_text(loading, loading->bus->lock, sizeof(loading->bus->lock), value);
}

static void bus_rs485(struct loading *loading, const char *value)
{
    static const char *const words[] = { "adapter", "kernel" };
    unsigned index = loading->bus->rs485_kernel;

    set_word(loading, value, words, ARRAY_SIZE(words), &index);
    loading->bus->rs485_kernel = loading->bus->port.rs485_kernel = index == 1;
}

static void bus_timeout(struct loading *loading, const char *value)
{
    keys_set_duration(loading, value, 1, 20, 10000, &loading->bus->timeout_ms);
}

static const struct key keys[] = {
    { "appliance", "clock",        appliance_clock,      NULL },
    { "appliance", "interval",     appliance_interval,   NULL },
    { "appliance", "log_file",     appliance_log_file,   NULL },
    { "appliance", "log_level",    appliance_log_level,  NULL },
    { "appliance", "name",         appliance_name,       NULL },
    { "appliance", "timezone",     appliance_timezone,   NULL },
    { "bus",       "lock",         bus_lock,             NULL },
    { "bus",       "port",         bus_port,             NULL },
    { "bus",       "rs485",        bus_rs485,            NULL },
    { "bus",       "serial",       bus_serial,           NULL },
    { "bus",       "timeout",      bus_timeout,          NULL },
    { "journal",   "budget",       journal_budget,       NULL },
    { "journal",   "commit",       journal_commit_every, NULL },
    { "journal",   "keep",         journal_keep,         NULL },
    { "journal",   "keep_words",   journal_keep_words,   NULL },
    { "leds",      "brightness",   leds_brightness,      NULL },
    { "leds",      "colours",      leds_colours,         NULL },
    { "stick",     "burst",        stick_burst,          NULL },
    { "stick",     "configure",    stick_configure,      NULL },
    { "stick",     "csv",          stick_csv,            NULL },
};

/* Every key there is; NULL behind the last. */
static const struct key *key_at(size_t index)
{
    size_t meter_count;
    const struct key *of_meter = keys_of_meter(&meter_count);

    if (index < ARRAY_SIZE(keys)) {
        return &keys[index];
    }
    index -= ARRAY_SIZE(keys);
    return index < meter_count ? &of_meter[index] : NULL;
}

static void say_unknown_key(struct loading *loading)
{
    struct nearest nearest = { .word = loading->entry->key };
    char hint[TEXT_HINT_SIZE];
    const struct key *key;

    for (size_t i = 0; (key = key_at(i)); i++) {
        if (text_equal(key->section, loading->entry->kind)) {
            nearest_offer(&nearest, key->name);
        }
    }
    loading_fault(loading, "unknown key '%s' in [%s]%s", loading->entry->key, loading->entry->kind,
                  text_hint(nearest.best, hint));
}

static void say_unknown_section(struct loading *loading)
{
    static const char *const sections[] = { "appliance", "bus", "journal", "leds", "meter", "stick" };
    const char *nearest = text_nearest(loading->entry->kind, sections, ARRAY_SIZE(sections));

    loading_fault(loading, "unknown section [%s]%s%s%s; there are [appliance], [journal], [stick], [leds], "
                           "[bus NAME] and [meter NAME]",
                  loading->entry->kind, nearest ? ", did you mean [" : "", nearest ? nearest : "",
                  nearest ? "]?" : "");
}

/* member: what a family's key goes on with */
static void set(struct loading *loading, const struct key *key, const char *member)
{
    const struct entry *entry = loading->entry;
    const char *why = entry->adopted ? closed_refuses(entry) : NULL;

    if (why) {
        keys_wrong(loading, why);
    } else if (member) {
        key->set_member(loading, member, entry->value);
    } else {
        key->set(loading, entry->value);
    }
}

void keys_take(struct loading *loading, const struct entry *entry)
{
    bool section_known = false;
    const struct key *key;

    loading->entry = entry;
    for (size_t i = 0; (key = key_at(i)); i++) {
        if (!text_equal(key->section, entry->kind)) {
            continue;
        }
        section_known = true;
        if (entry->key && key->set && text_equal(key->name, entry->key)) {
            set(loading, key, NULL);
            return;
        }
        if (entry->key && key->set_member && text_starts(entry->key, key->name)) {
            set(loading, key, entry->key + strlen(key->name));
            return;
        }
    }
    if (!section_known && !entry->key) {
        say_unknown_section(loading);  // once, for its header
    } else if (section_known && entry->key) {
        say_unknown_key(loading);
    }
}
