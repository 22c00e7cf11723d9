/* SPDX-License-Identifier: MIT */
#include "app/formats/energy_scribe.h"

#include "app/base/clock.h"
#include "app/base/decimal.h"
#include "app/base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum field_kind {
    FIELD_NUMBER,
    FIELD_DIRECTION,   // "leading", "lagging"
    FIELD_TEXT,
    FIELD_VERSION,     // firmware_x, _y and _z with dots
};

struct field {
    const char *title;     // in the heading
    const char *key;       // in JSON
    const char *point;     // ours
    const char *unit;      // in the lines
    int exponent;          // base unit to theirs: -3 where they print kW
    enum field_kind kind;
};

struct format {
    const char *model;
    const struct field *fields;
    unsigned field_count;
    const char *separator; // of the heading
    const char *points;
    bool logs;
    bool flat;             // PM5100: JSON without "points", titles are keys, lines have names, time comes last
};

static const struct field iem2150[] = {
    { "Voltage",                "voltage",                "voltage",                "V",            0 },
    { "Current",                "current",                "current",                "A",            0 },
    { "Power",                  "power",                  "power_active",           "kW",           -3 },
    { "Reactive power",         "reactive_power",         "power_reactive",         "kvar",         -3 },
    { "Power factor",           "power_factor",           "power_factor",           "pf",           0 },
    { "Power factor direction", "power_factor_direction", "power_factor_direction", "pf direction", 0,
      FIELD_DIRECTION },
    { "Frequency",              "frequency",              "frequency",              "Hz",           0 },
    { "Cumulative energy",      "energy",                 "energy_active_import",   "Wh",           0 },
};

static const struct field dds238[] = {
    { "Voltage",           "voltage",        "voltage",              "V",   0 },
    { "Current",           "current",        "current",              "A",   0 },
    { "Power",             "power",          "power_active",         "W",   0 },
    { "Reactive power",    "reactive_power", "power_reactive",       "var", 0 },
    { "Power factor",      "power_factor",   "power_factor",         "pf",  0 },
    { "Frequency",         "frequency",      "frequency",            "Hz",  0 },
    { "Cumulative energy", "energy",         "energy_active_import", "kWh", -3 },
};

static const struct field cc128[] = {
    { "Watts #1", "watts_1", "power_active_s1", "W", 0 }, { "Watts #2", "watts_2", "power_active_s2", "W", 0 },
    { "Watts #3", "watts_3", "power_active_s3", "W", 0 }, { "Watts #4", "watts_4", "power_active_s4", "W", 0 },
    { "Watts #5", "watts_5", "power_active_s5", "W", 0 }, { "Watts #6", "watts_6", "power_active_s6", "W", 0 },
    { "Watts #7", "watts_7", "power_active_s7", "W", 0 }, { "Watts #8", "watts_8", "power_active_s8", "W", 0 },
    { "Watts #9", "watts_9", "power_active_s9", "W", 0 }, { "Watts #0", "watts_0", "power_active_s0", "W", 0 },
};

#define PM(key, ...) { key, key, __VA_ARGS__ }

static const struct field pm5100[] = {
    PM("manufacturer_label", "manufacturer", "", 0, FIELD_TEXT),
    PM("product_label", "meter_model", "", 0, FIELD_TEXT),
    PM("serial_number_label", "serial_number", "", 0),
    PM("firmware_version_status", "firmware_x", "", 0, FIELD_VERSION),
    PM("line1_neutral_voltage_sensor", "voltage_l1_n", "V", 0),
    PM("line2_neutral_voltage_sensor", "voltage_l2_n", "V", 0),
    PM("line3_neutral_voltage_sensor", "voltage_l3_n", "V", 0),
    PM("average_neutral_voltage_sensor", "voltage_ln_avg", "V", 0),
    PM("line1_line2_voltage_sensor", "voltage_l12", "V", 0),
    PM("line2_line3_voltage_sensor", "voltage_l23", "V", 0),
    PM("line3_line1_voltage_sensor", "voltage_l31", "V", 0),
    PM("average_line_voltage_sensor", "voltage_ll_avg", "V", 0),
    PM("line1_current_sensor", "current_l1", "A", 0),
    PM("line2_current_sensor", "current_l2", "A", 0),
    PM("line3_current_sensor", "current_l3", "A", 0),
    PM("neutral_current_sensor", "current_n", "A", 0),
    PM("average_line_current_sensor", "current_avg", "A", 0),
    PM("line1_neutral_power_sensor", "power_active_l1", "kW", -3),
    PM("line2_neutral_power_sensor", "power_active_l2", "kW", -3),
    PM("line3_neutral_power_sensor", "power_active_l3", "kW", -3),
    PM("total_power_sensor", "power_active_total", "kW", -3),
    PM("line1_neutral_apparent_power_sensor", "power_apparent_l1", "kVA", -3),
    PM("line2_neutral_apparent_power_sensor", "power_apparent_l2", "kVA", -3),
    PM("line3_neutral_apparent_power_sensor", "power_apparent_l3", "kVA", -3),
    PM("total_apparent_power_sensor", "power_apparent_total", "kVA", -3),
    PM("line1_neutral_reactive_power_sensor", "power_reactive_l1", "kvar", -3),
    PM("line2_neutral_reactive_power_sensor", "power_reactive_l2", "kvar", -3),
    PM("line3_neutral_reactive_power_sensor", "power_reactive_l3", "kvar", -3),
    PM("total_reactive_power_sensor", "power_reactive_total", "kvar", -3),
    PM("total_power_factor_sensor", "power_factor_total", "", 0),
    PM("total_energy_accumulator", "energy_active_import", "Wh", 0),
    PM("total_reactive_energy_accumulator", "energy_reactive_import", "varh", 0),
    PM("frequency_sensor", "frequency", "Hz", 0),
    PM("line1_neutral_harmonic_distortion_voltage_sensor", "thd_voltage_l1_n", "%", 0),
    PM("line2_neutral_harmonic_distortion_voltage_sensor", "thd_voltage_l2_n", "%", 0),
    PM("line3_neutral_harmonic_distortion_voltage_sensor", "thd_voltage_l3_n", "%", 0),
    PM("average_line_neutral_harmonic_distortion_voltage_sensor", "thd_voltage_ln_avg", "%", 0),
    PM("line1_harmonic_distortion_current_sensor", "thd_current_l1", "%", 0),
    PM("line2_harmonic_distortion_current_sensor", "thd_current_l2", "%", 0),
    PM("line3_harmonic_distortion_current_sensor", "thd_current_l3", "%", 0),
    PM("neutral_harmonic_distortion_current_sensor", "thd_current_n", "%", 0),
};

static const struct format formats[] = {
    { "currentcost-cc128", cc128, ARRAY_SIZE(cc128), ", ",
      "power_active_s1, power_active_s2, power_active_s3, power_active_s4, power_active_s5, power_active_s6, "
      "power_active_s7, power_active_s8, power_active_s9, power_active_s0",
      .logs = true },
    { "hiking-dds238-2-zn-s", dds238, ARRAY_SIZE(dds238), ",",
      "voltage, current, power_active, power_reactive, power_factor, frequency, energy_active_import",
      .logs = true },
    { "hiking-dds238-2-zn-s-b", dds238, ARRAY_SIZE(dds238), ",",
      "voltage, current, power_active, power_reactive, power_factor, frequency, energy_active_import",
      .logs = true },
    { "schneider-iem2150", iem2150, ARRAY_SIZE(iem2150), ",",
      "voltage, current, power_active, power_reactive, power_factor, frequency, energy_active_import",
      .logs = true },
    { "schneider-pm5100", pm5100, ARRAY_SIZE(pm5100), ",", "all", .flat = true },
};

static const struct format *format_find(const char *model)
{
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        if (text_equal(formats[i].model, model)) {
            return &formats[i];
        }
    }

    return NULL;
}

bool energy_scribe_knows(const char *model)
{
    return format_find(model) != NULL;
}

bool energy_scribe_logs(const char *model)
{
    const struct format *format = format_find(model);

    return format && format->logs;
}

const char *energy_scribe_points(const char *model)
{
    const struct format *format = format_find(model);

    return format ? format->points : NULL;
}

bool energy_scribe_prefers_lines(const char *model)
{
    const struct format *format = format_find(model);

    return format && format->flat;
}

static double value_of(const struct energy_scribe_reading *reading, const char *point)
{
    int index = layout_find(reading->layout, point);

    return index < 0 ? NAN : reading->values[index];
}

static const char *text_of(const struct energy_scribe_reading *reading, const char *name)
{
    for (unsigned i = 0; i < reading->text_count; i++) {
        if (text_equal(reading->texts[i].name, name)) {
            return reading->texts[i].text;
        }
    }

    return NULL;
}

/* Three registers, "1.2.3"; all or nothing. */
static void version_print(const struct energy_scribe_reading *reading, char *buffer, size_t size)
{
    double x = value_of(reading, "firmware_x");
    double y = value_of(reading, "firmware_y");
    double z = value_of(reading, "firmware_z");

    buffer[0] = '\0';
    if (isfinite(x) && isfinite(y) && isfinite(z)) {
        (void) snprintf(buffer, size, "%.0f.%.0f.%.0f", x, y, z);  // three numbers below 65536
    }
}

#define FIELD_SIZE 64

/* A field as bare text, "" if it is missing. A text of the meter may be longer: it stays where it is. */
static const char *field_print(const struct field *field, const struct energy_scribe_reading *reading,
                               char buffer[static FIELD_SIZE])
{
    double value;

    switch (field->kind) {
    case FIELD_NUMBER:
        value = value_of(reading, field->point);
        (void) decimal_print(decimal_scale_double(value, (struct decimal){ 1, field->exponent }), buffer);
        return buffer;
    case FIELD_DIRECTION:
        value = value_of(reading, field->point);
        return isnan(value) ? "" : value > 0 ? "lagging" : value < 0 ? "leading" : "unity";
    case FIELD_TEXT:
        return text_of(reading, field->point) ?: "";
    case FIELD_VERSION:
        version_print(reading, buffer, FIELD_SIZE);
        return buffer;
    }

    return "";
}

static void csv_quoted(struct text *ret, const char *string)
{
    text_add_char(ret, '"');
    for (; *string; string++) {
        if (*string == '"') {
            text_add_char(ret, '"');
        }
        text_add_char(ret, *string);
    }
    text_add_char(ret, '"');
}

/* Python's csv.writer quotes only what needs it; the loggers quote whatever is text. */
static void csv_field(struct text *ret, const char *string, bool quote)
{
    if (*string && (quote || strpbrk(string, ",\"\r\n"))) {
        csv_quoted(ret, string);
    } else {
        text_add(ret, string);
    }
}

void energy_scribe_header(struct text *ret, const char *model)
{
    const struct format *format = format_find(model);

    if (!format->flat) {
        text_add(ret, "\"Time\"");
    }
    for (unsigned i = 0; i < format->field_count; i++) {
        if (i > 0 || !format->flat) {
            text_add(ret, format->separator);
        }
        if (format->flat) {
            text_add(ret, format->fields[i].title);
        } else {
            csv_quoted(ret, format->fields[i].title);
        }
    }
    if (format->flat) {
        text_add(ret, ",timestamp");
    }
}

static const char *scribe_time(int64_t wall_ms, char buffer[static CLOCK_TEXT_SIZE])
{
    return clock_format(wall_ms, true, "%Y/%m/%d %H:%M:%S", buffer, CLOCK_TEXT_SIZE);
}

void energy_scribe_row(struct text *ret, const struct energy_scribe_reading *reading)
{
    const struct format *format = format_find(reading->model);
    char time[CLOCK_TEXT_SIZE];
    char buffer[FIELD_SIZE];

    if (!format->flat) {
        csv_quoted(ret, scribe_time(reading->wall_ms, time));
    }
    for (unsigned i = 0; i < format->field_count; i++) {
        const struct field *field = &format->fields[i];

        if (i > 0 || !format->flat) {
            text_add_char(ret, ',');
        }
        csv_field(ret, field_print(field, reading, buffer), field->kind == FIELD_DIRECTION);
    }
    if (format->flat) {
        text_addf(ret, ",%s", clock_utc(reading->wall_ms, time));
    }
}

/* A field's value in JSON. */
static void json_value(struct text *ret, const struct field *field, const char *string)
{
    if (*string == '\0') {
        text_add(ret, "null");
    } else if (field->kind == FIELD_NUMBER) {
        text_add(ret, string);
    } else {
        json_add_string(ret, string);
    }
}

/* Flat, without what is missing, the time last (ES-33). */
static void json_flat(struct text *ret, const struct format *format, const struct energy_scribe_reading *reading)
{
    char time[CLOCK_TEXT_SIZE];
    char buffer[FIELD_SIZE];

    text_add(ret, "{\n");
    for (unsigned i = 0; i < format->field_count; i++) {
        const struct field *field = &format->fields[i];
        const char *string = field_print(field, reading, buffer);

        if (*string) {
            text_addf(ret, "    \"%s\": ", field->key);
            json_value(ret, field, string);
            text_add(ret, ",\n");
        }
    }
    text_addf(ret, "    \"timestamp\": \"%s\"\n}\n", clock_utc(reading->wall_ms, time));
}

void energy_scribe_json(struct text *ret, const struct energy_scribe_reading *reading)
{
    const struct format *format = format_find(reading->model);
    char time[CLOCK_TEXT_SIZE];
    char buffer[FIELD_SIZE];

    if (format->flat) {
        json_flat(ret, format, reading);
        return;
    }

    text_addf(ret, "{\n    \"version\": 1,\n    \"timestamp\": \"%s\",\n    \"points\": {\n",
              scribe_time(reading->wall_ms, time));
    for (unsigned i = 0; i < format->field_count; i++) {
        const struct field *field = &format->fields[i];

        text_addf(ret, "        \"%s\": {\"present_value\": ", field->key);
        json_value(ret, field, field_print(field, reading, buffer));
        text_addf(ret, "}%s\n", i + 1 < format->field_count ? "," : "");
    }
    text_add(ret, "    }\n}\n");
}

void energy_scribe_lines(struct text *ret, const struct energy_scribe_reading *reading)
{
    const struct format *format = format_find(reading->model);
    char time[CLOCK_TEXT_SIZE];
    char buffer[FIELD_SIZE];

    if (!format->flat) {
        text_addf(ret, "%s\n", scribe_time(reading->wall_ms, time));
    }
    for (unsigned i = 0; i < format->field_count; i++) {
        const struct field *field = &format->fields[i];
        const char *string = field_print(field, reading, buffer);

        if (*string == '\0') {
            continue;
        }
        if (format->flat) {
            text_addf(ret, "%-60s: %s\n", field->key, string);
        } else {
            text_addf(ret, "%s %s\n", string, field->unit);
        }
    }
    if (format->flat) {
        text_addf(ret, "%-60s: %s\n", "timestamp", clock_utc(reading->wall_ms, time));
    }
}
