/* SPDX-License-Identifier: MIT */
#include "app/config/import_powermeter.h"

#include "app/base/decimal.h"
#include "app/base/json.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MODEL     "hdhk-hdxxaxxa16gk"
#define MAX_DEVICES MAX_METERS

const char *const import_powermeter_paths[] = {
    "/etc/powermeter/powermeter.json",
    "/etc/powermeter/powermeter_config.json",
    NULL,
};

static const char *const device_keys[] = { "id",     "port",     "timeout", "stopbits", "bytesize",
                                           "parity", "baudrate", "inputs",  "address" };
static const char *const input_keys[] = { "input", "ratio", "name" };

/* One device while it is read. */
struct device {
    const struct json *json;
    const char *file;
    unsigned index;                // from 1, for messages
    struct problems *problems;
    char id[METER_ID_SIZE];
    bool failed;
};

__attribute__((format(printf, 2, 3))) static void complain(struct device *device, const char *format, ...)
{
    auto_text struct text text = { 0 };
    va_list arguments;

    va_start(arguments, format);
    text_vaddf(&text, format, arguments);
    va_end(arguments);
    problems_add(device->problems, device->file, 0, "device %u%s%s: %s", device->index, device->id[0] ? ", id " : "",
                 device->id, text_string(&text));
    device->failed = true;
}

/* A whole number that may stand as a string; the default if it is absent. */
static uint64_t take_number(struct device *device, const char *key, uint64_t min, uint64_t max, uint64_t fallback)
{
    const struct json *json = json_member(device->json, key);
    const char *string = json_as_string(json);
    double number = json_as_number(json);
    uint64_t value;

    if (!json) {
        return fallback;
    }
    if (string && text_to_unsigned(string, min, max, &value) == 0) {
        return value;
    }
    if (number >= (double) min && number <= (double) max && floor(number) == number) {
        return (uint64_t) number;
    }

    complain(device, "%s must be a whole number from %llu to %llu", key, (unsigned long long) min,
             (unsigned long long) max);
    return fallback;
}

static void check_keys(struct device *device, const struct json *object, const char *const *known, size_t count)
{
    const char *key = NULL;

    while ((key = json_next_key(object, key))) {
        const char *nearest;
        bool found = false;

        for (size_t i = 0; i < count; i++) {
            found = found || text_equal(known[i], key);
        }
        if (found) {
            continue;
        }
        nearest = text_nearest(key, known, count);
        complain(device, "unknown key \"%s\"%s%s%s", key, nearest ? ", did you mean \"" : "", nearest ? nearest : "",
                 nearest ? "\"?" : "");
    }
}

/* The id as a part of a name: 1 is "1", "Rack A" is "rack-a". */
static void take_id(struct device *device)
{
    const struct json *json = json_member(device->json, "id");
    const char *string = json_as_string(json);
    double number = json_as_number(json);
    size_t length = 0;

    if (!string && !(number >= 0 && number <= 1e9 && floor(number) == number)) {
        complain(device, "id must be a whole number or a text");
        return;
    }
    if (!string) {
        (void) snprintf(device->id, sizeof(device->id), "%.0f", number);
        return;
    }
    for (; *string && length < 20; string++) {
        device->id[length++] = isalnum((unsigned char) *string) ? (char) tolower((unsigned char) *string) : '-';
    }
    device->id[length] = '\0';
    if (length == 0) {
        complain(device, "id is empty");
    }
}

/* An input's name as far as an INI line can hold it. */
static void add_name(struct text *ret, const char *name)
{
    for (char before = ' '; *name; before = *name++) {
        if (iscntrl((unsigned char) *name)) {
            text_add_char(ret, ' ');
        } else if (*name == '#' && isspace((unsigned char) before)) {
            text_add(ret, "No.");
        } else {
            text_add_char(ret, *name);
        }
    }
}

/* What makes an ampere of ours one of theirs: a hundred times their ratio, in decimal. */
static double take_ratio(struct device *device, const struct json *input, char letter)
{
    const struct json *json = json_member(input, "ratio");
    const char *string = json_as_string(json);
    double ratio = json_as_number(json);

    if (string && text_to_double(string, -1e6, 1e6, &ratio) < 0) {
        ratio = NAN;
    }
    if (!json || !isfinite(ratio) || ratio == 0) {
        complain(device, "input %c: ratio must be a number other than 0; 0.01 shows amperes as the meter has them",
                 letter);
        return 1;
    }
    return decimal_scale_double(ratio, (struct decimal){ 1, 2 });
}

static void add_input(struct device *device, const struct json *input, bool seen[static MAX_INPUTS], struct text *ret)
{
    const char *letter = json_as_string(json_member(input, "input"));
    const char *name = json_as_string(json_member(input, "name"));
    char ratio[DECIMAL_SIZE];

    check_keys(device, input, input_keys, ARRAY_SIZE(input_keys));
    if (!letter || strlen(letter) != 1 || tolower((unsigned char) *letter) < 'a' ||
        tolower((unsigned char) *letter) > 'p') {
        complain(device, "input \"%s\": a letter from a to p is allowed", letter ? letter : "");
        return;
    }
    if (seen[tolower((unsigned char) *letter) - 'a']) {
        complain(device, "input %s stands there twice", letter);
        return;
    }
    seen[tolower((unsigned char) *letter) - 'a'] = true;
    if (!name || *name == '\0' || strlen(name) >= LABEL_SIZE) {
        complain(device, "input %s: name must be a text of 1 to %d bytes", letter, LABEL_SIZE - 1);
        return;
    }

    (void) decimal_print(take_ratio(device, input, *letter), ratio);
    text_addf(ret, "input.%c = ", tolower((unsigned char) *letter));
    add_name(ret, name);
    text_addf(ret, ", %s\n", ratio);
}

static void add_inputs(struct device *device, struct text *ret)
{
    const struct json *inputs = json_member(device->json, "inputs");
    bool seen[MAX_INPUTS] = { false };
    auto_text struct text log = { 0 };
    size_t count = json_count(inputs);

    if (count == 0) {
        complain(device, "inputs must be a list of {\"input\", \"ratio\", \"name\"}");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        add_input(device, json_item(inputs, i), seen, ret);
    }
    for (unsigned i = 0; i < MAX_INPUTS; i++) {
        if (seen[i]) {
            text_addf(&log, "%scurrent_%c", log.size ? ", " : "", 'a' + (int) i);
        }
    }
    text_addf(ret, "log = %s\n", text_string(&log));
}

/* "/dev/ttyUSB0" is "dev-ttyusb0": its bus. */
static void bus_name(const char *port, char ret[static METER_ID_SIZE])
{
    const char *slash = strrchr(port, '/');
    size_t length = 0;

    for (port = slash ? slash + 1 : port; *port && length < METER_ID_SIZE - 1; port++) {
        ret[length++] = isalnum((unsigned char) *port) ? (char) tolower((unsigned char) *port) : '-';
    }
    ret[length] = '\0';
}

/* Whether an earlier device has the same port: then the bus is there already. */
static bool port_seen(const struct json *devices, unsigned index, const char *port)
{
    for (unsigned i = 0; i < index; i++) {
        const char *other = json_member_string(json_item(devices, i), "port");

        if (other && text_equal(other, port)) {
            return true;
        }
    }

    return false;
}

static void add_device(const struct json *devices, unsigned index, struct device *device, struct text *ret)
{
    const char *port = json_member_string(device->json, "port");
    const char *parity = json_member_string(device->json, "parity");
    const char *label = json_member_string(device->json, "id");
    char bus[METER_ID_SIZE];
    uint64_t baud, stop_bits, timeout_s, address;

    check_keys(device, device->json, device_keys, ARRAY_SIZE(device_keys));
    take_id(device);
    baud = take_number(device, "baudrate", 300, 230400, 9600);
    stop_bits = take_number(device, "stopbits", 1, 2, 1);
    (void) take_number(device, "bytesize", 8, 8, 8);
    timeout_s = take_number(device, "timeout", 1, 60, 1);
    address = take_number(device, "address", 1, 247, 1);
    parity = parity ? parity : "N";
    if (strlen(parity) != 1 || !strchr("NEO", *parity)) {
        complain(device, "parity must be \"N\", \"E\" or \"O\"");
    }
    if (!port || *port == '\0' || strpbrk(port, "\r\n#")) {
        complain(device, "port must be a device such as \"/dev/ttyUSB0\"");
        return;
    }

    bus_name(port, bus);
    if (!port_seen(devices, index, port)) {
        text_addf(ret, "\n[bus %s]\nport = %s\ntimeout = %llu s\n", bus, port, (unsigned long long) timeout_s);
    }
    text_addf(ret, "\n[meter device-%s]\nbus = %s\nmodel = " MODEL "\naddress = %llu\nserial = %llu 8%s%llu\n",
              device->id, bus, (unsigned long long) address, (unsigned long long) baud, parity,
              (unsigned long long) stop_bits);
    if (label) {
        text_add(ret, "label = ");
        add_name(ret, label);
        text_add_char(ret, '\n');
    }
    add_inputs(device, ret);
}

int import_powermeter(const char *name, const char *text, size_t size, struct problems *problems, struct text *ret)
{
    auto_json struct json *json = NULL;
    auto_text struct text error = { 0 };
    auto_text struct text made = { 0 };
    bool failed = false;
    int r;

    r = json_parse(text, size, &json, &error);
    if (r < 0) {
        problems_add(problems, name, 0, "not JSON: %s", text_string(&error));
        return -EINVAL;
    }
    if (!json_is_list(json) || json_count(json) == 0 || json_count(json) > MAX_DEVICES) {
        problems_add(problems, name, 0, "a list of 1 to %d devices is expected: [{\"id\": 1, \"port\": ...}]",
                     MAX_DEVICES);
        return -EINVAL;
    }

    text_addf(&made, "# made from the powermeter configuration %s\n", name);
    for (unsigned i = 0; i < json_count(json); i++) {
        struct device device = { json_item(json, i), name, i + 1, problems, "", false };

        if (!json_is_map(device.json)) {
            complain(&device, "an object {\"id\", \"port\", \"inputs\"...} is expected");
        } else {
            add_device(json, i, &device, &made);
        }
        failed = failed || device.failed;
    }
    if (failed) {
        return -EINVAL;
    }
    if (made.failed) {
        return -ENOMEM;
    }

    text_add_bytes(ret, made.data, made.size);
    return 0;
}

void import_powermeter_names(const char *text, size_t size, struct config *config)
{
    auto_json struct json *json = NULL;

    if (json_parse(text, size, &json, NULL) < 0) {
        return;
    }
    for (unsigned i = 0; i < json_count(json) && i < config->meter_count; i++) {
        const struct json *inputs = json_member(json_item(json, i), "inputs");
        struct meter_config *meter = &config->meters[i];

        for (unsigned j = 0; j < json_count(inputs); j++) {
            const char *letter = json_member_string(json_item(inputs, j), "input");
            const char *name = json_member_string(json_item(inputs, j), "name");

            for (unsigned k = 0; letter && name && k < meter->input_count; k++) {
                if (meter->inputs[k].letter == tolower((unsigned char) *letter)) {
                    (void) snprintf(meter->inputs[k].name, LABEL_SIZE, "%s", name);  // its length was checked
                }
            }
        }
    }
}
