/* SPDX-License-Identifier: MIT */
/* What other programs print, for the scripts that read them: powermeter and energy-scribe. */
#include "app/cli/read.h"

#include "app/base/decimal.h"
#include "app/base/json.h"
#include "app/formats/energy_scribe.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- powermeter: PM-01, PM-04, PM-05, PM-16 ---- */

#define ALL_INPUTS "abcdefghijklmnop"

/* The n-th input as configured, or as the meter has it. false: no more. */
static bool input_of(const struct read_meter *meter, unsigned n, char *ret_letter, char ret_name[static LABEL_SIZE])
{
    const struct input *inputs = meter->configured ? meter->configured->inputs : NULL;
    unsigned count = meter->configured ? meter->configured->input_count : 0;

    if (count > 0) {
        if (n >= count) {
            return false;
        }
        *ret_letter = inputs[n].letter;
        (void) snprintf(ret_name, LABEL_SIZE, "%s", inputs[n].name);
        return true;
    }
    if (n >= strlen(ALL_INPUTS)) {
        return false;
    }
    *ret_letter = ALL_INPUTS[n];
    (void) snprintf(ret_name, LABEL_SIZE, "Input %c", *ret_letter);
    return true;
}

static bool all_digits(const char *string)
{
    return *string && strspn(string, "0123456789") == strlen(string);
}

/* device-3 is 3, as it was before; any other meter is its label or name. */
static void add_device_id(struct text *ret, const struct read_meter *meter)
{
    const char *label = meter->configured ? meter->configured->label : "";

    if (!meter->configured) {
        text_add(ret, "1");
    } else if (text_starts(meter->name, "device-") && all_digits(meter->name + 7) && *label == '\0') {
        text_addf(ret, "%llu", strtoull(meter->name + 7, NULL, 10));
    } else {
        json_add_string(ret, *label ? label : meter->name);
    }
}

/* Two decimals, as its round() prints them: 12.0, 12.5, 12.34. */
static void add_current(struct text *ret, double current)
{
    char number[DECIMAL_SIZE * 2];
    size_t length = (size_t) snprintf(number, sizeof(number), "%.2f", current);

    if (number[length - 1] == '0') {
        number[length - 1] = '\0';
    }
    text_add(ret, number[0] == '-' && strtod(number, NULL) == 0 ? number + 1 : number);
}

static void add_powermeter_input(struct text *ret, const struct read_meter *meter, unsigned id, char letter,
                                 const char *name, double current)
{
    text_addf(ret, "%s\n    {\n        \"id\": %u,\n        \"device_id\": ", ret->size > 1 ? "," : "", id);
    add_device_id(ret, meter);
    text_addf(ret, ",\n        \"input\": \"%c\",\n        \"name\": ", letter);
    json_add_string(ret, name);
    text_add(ret, ",\n        \"current\": ");
    add_current(ret, current);
    text_add(ret, "\n    }");
}

/*
 * A number belongs to device and input for good, whoever answers (PM-16): counted over all meters of the
 * configuration, read or not.
 */
static unsigned first_id(const struct read_job *job, const struct read_meter *meter)
{
    unsigned id = 0;

    for (unsigned i = 0; job->config && i < job->config->meter_count; i++) {
        const struct meter_config *other = &job->config->meters[i];

        if (other == meter->configured) {
            break;
        }
        id += other->input_count ? other->input_count : (unsigned) strlen(ALL_INPUTS);
    }

    return id;
}

void read_print_powermeter(struct text *ret, const struct read_job *job)
{
    auto_text struct text list = { 0 };

    text_add_char(&list, '[');
    for (unsigned i = 0; i < job->meter_count; i++) {
        const struct read_meter *meter = &job->meters[i];
        const struct layout *layout = source_layout(meter->source);
        char name[LABEL_SIZE], letter;

        for (unsigned n = 0; meter->result >= 0 && input_of(meter, n, &letter, name); n++) {
            const char point[] = { 'c', 'u', 'r', 'r', 'e', 'n', 't', '_', letter, '\0' };
            int column = layout_find(layout, point);

            if (column >= 0 && !isnan(meter->sample.values[column])) {
                add_powermeter_input(&list, meter, first_id(job, meter) + n, letter, name,
                                     meter->sample.values[column]);
            }
        }
    }
    text_add(ret, list.size > 1 ? list.data : "[");
    text_add(ret, list.size > 1 ? "\n]\n" : "]\n");
}

/* ---- energy-scribe ---- */

#define MAX_TEXTS 16  // the PM5100 has three

void read_print_energy_scribe(struct text *ret, const struct read_options *options, struct read_job *job,
                              const struct read_meter *meter)
{
    struct energy_scribe_text texts[MAX_TEXTS];
    struct energy_scribe_reading reading = {
        .model = meter->model_id,
        .layout = source_layout(meter->source),
        .values = meter->sample.values,
        .wall_ms = meter->wall_ms,
        .texts = texts,
    };

    while (reading.text_count < MAX_TEXTS &&
           source_identity(meter->source, reading.text_count, &texts[reading.text_count].name,
                           &texts[reading.text_count].text) == 0) {
        reading.text_count++;
    }

    if (options->shape == READ_JSON) {
        energy_scribe_json(ret, &reading);
        return;
    }
    if (options->shape == READ_TEXT && (options->text || energy_scribe_prefers_lines(meter->model_id))) {
        energy_scribe_lines(ret, &reading);
        return;
    }
    // The PM5100 program always heads its table, the loggers' readers never do
    if ((options->header || energy_scribe_prefers_lines(meter->model_id)) && job->header != reading.layout) {
        energy_scribe_header(ret, meter->model_id);
        text_add_char(ret, '\n');
        job->header = reading.layout;
    }
    energy_scribe_row(ret, &reading);
    text_add_char(ret, '\n');
}
