/* SPDX-License-Identifier: MIT */
#include "app/cli/read.h"

#include "app/base/clock.h"
#include "app/base/decimal.h"
#include "app/base/json.h"
#include "drivers/column.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/timex.h>

char read_clock_letter(bool trusted)
{
    struct timex state = { 0 };

    if (trusted) {
        return 'N';
    }
    if (clock_wall_ms() < clock_build_ms()) {
        return 'U';
    }
    return adjtimex(&state) >= 0 && !(state.status & STA_UNSYNC) ? 'N' : 'E';
}

void read_quality(const struct read_meter *meter, char letter, char ret[static 4])
{
    bool missing = sample_present(&meter->sample) < meter->sample.value_count;

    (void) snprintf(ret, 4, "%c%s", letter, missing ? "m" : "");
}

/* ---- text ---- */

/* k and M are only for the eye, and no digit is rounded away. */
static void eye_value(double value, const char *unit, char number[static DECIMAL_SIZE],
                      char eye_unit[static UNIT_SIZE + 1])
{
    static const char *const scaled[] = { "W", "VA", "var", "Wh", "VAh", "varh" };
    bool kilo = false;

    for (size_t i = 0; i < ARRAY_SIZE(scaled); i++) {
        kilo = kilo || (text_equal(unit, scaled[i]) && fabs(value) >= 1000);
    }
    (void) decimal_print(kilo ? decimal_scale_double(value, (struct decimal){ 1, -3 }) : value, number);
    (void) snprintf(eye_unit, UNIT_SIZE + 1, "%s%s", kilo ? "k" : "", unit);
}

/* The names of a direction say more than its number. */
static void add_line(struct text *ret, const struct column *column, double value, enum reason reason, int width,
                     int number_width)
{
    char number[DECIMAL_SIZE], unit[UNIT_SIZE + 1];

    if (isnan(value)) {
        text_addf(ret, "  %-*s  %*s  (%s)\n", width, column->name, number_width, "-", reason_text(reason));
        return;
    }
    if (text_ends(column->name, "_direction")) {
        text_addf(ret, "  %-*s  %*s\n", width, column->name, number_width,
                  value > 0 ? "lagging" : value < 0 ? "leading" : "unity");
        return;
    }
    eye_value(value, column->unit, number, unit);
    text_addf(ret, "  %-*s  %*s%s%s\n", width, column->name, number_width, number, *unit ? " " : "", unit);
}

static void print_text(struct text *ret, const struct read_job *job, const struct read_meter *meter)
{
    const struct layout *layout = source_layout(meter->source);
    char local[CLOCK_TEXT_SIZE], quality[4], number[DECIMAL_SIZE], unit[UNIT_SIZE + 1];
    const char *name, *text;
    int width = 12, number_width = 7;

    for (unsigned i = 0; i < layout->count; i++) {
        eye_value(meter->sample.values[i], layout->columns[i].unit, number, unit);
        width = MAX(width, (int) strlen(layout->columns[i].name));
        number_width = MAX(number_width, (int) strlen(number));
    }

    read_quality(meter, job->clock_letter, quality);
    text_addf(ret, "%s", meter->name);
    if (!text_equal(meter->name, meter->model_id)) {
        text_addf(ret, " (%s)", meter->model_id);
    }
    text_addf(ret, "  %s  %s\n", job->clock_letter == 'U' ? "time unknown" : clock_local(meter->wall_ms, local),
              quality);
    for (unsigned i = 0; source_identity(meter->source, i, &name, &text) == 0; i++) {
        text_addf(ret, "  %-*s  %s\n", width, name, text && *text ? text : "-");
    }
    for (unsigned i = 0; i < layout->count; i++) {
        add_line(ret, &layout->columns[i], meter->sample.values[i], meter->sample.reasons[i], width, number_width);
    }
}

/* ---- CSV ---- */

/* As a day file, with the meter in front where there are several. */
static void csv_header(struct text *ret, const struct layout *layout, bool several)
{
    text_addf(ret, "%sutc,local,quality", several ? "meter," : "");
    for (unsigned i = 0; i < layout->count; i++) {
        char label[COLUMN_LABEL_SIZE];

        text_addf(ret, ",%s", column_label(&layout->columns[i], label));
    }
    text_add(ret, ",seq\n");
}

/* seq is the journal's, so it is empty here. */
static void print_csv(struct text *ret, bool header, struct read_job *job, const struct read_meter *meter)
{
    const struct layout *layout = source_layout(meter->source);
    char utc[CLOCK_TEXT_SIZE] = "", local[CLOCK_TEXT_SIZE] = "", quality[4];
    bool several = job->meter_count > 1;

    if (header && (!job->header || !layout_is_same(job->header, layout))) {
        csv_header(ret, layout, several);
        job->header = layout;
    }
    if (job->clock_letter != 'U') {
        (void) clock_utc(meter->wall_ms, utc);
        (void) clock_local(meter->wall_ms, local);
    }
    read_quality(meter, job->clock_letter, quality);
    text_addf(ret, "%s%s%s,%s,%s", several ? meter->name : "", several ? "," : "", utc, local, quality);
    for (unsigned i = 0; i < meter->sample.value_count; i++) {
        char number[DECIMAL_SIZE];

        (void) decimal_print(meter->sample.values[i], number);
        text_addf(ret, ",%s", number);
    }
    text_add(ret, ",\n");
}

/* ---- JSON ---- */

static void json_identity(struct text *ret, const struct read_meter *meter)
{
    const char *name, *text;

    json_add_key(ret, "identity");
    text_add_char(ret, '{');
    for (unsigned i = 0; source_identity(meter->source, i, &name, &text) == 0; i++) {
        if (text) {
            json_add_member_string(ret, name, text);
        }
    }
    text_add_char(ret, '}');
}

static void json_errors(struct text *ret, const struct read_meter *meter, const struct layout *layout)
{
    json_add_key(ret, "errors");
    text_add_char(ret, '{');
    for (unsigned i = 0; i < layout->count; i++) {
        if (isnan(meter->sample.values[i])) {
            json_add_member_string(ret, layout->columns[i].name, reason_text(meter->sample.reasons[i]));
        }
    }
    text_add_char(ret, '}');
}

static void print_json(struct text *ret, const struct read_job *job, const struct read_meter *meter)
{
    const struct layout *layout = source_layout(meter->source);
    char utc[CLOCK_TEXT_SIZE], quality[4];

    read_quality(meter, job->clock_letter, quality);
    text_add_char(ret, '{');
    json_add_member_string(ret, "meter", meter->name);
    json_add_member_string(ret, "model", meter->model_id);
    json_add_member_string(ret, "time", job->clock_letter == 'U' ? NULL : clock_utc(meter->wall_ms, utc));
    json_add_member_string(ret, "quality", quality);
    json_add_key(ret, "values");
    text_add_char(ret, '{');
    for (unsigned i = 0; i < layout->count; i++) {
        json_add_member_number(ret, layout->columns[i].name, meter->sample.values[i]);
    }
    text_add_char(ret, '}');
    json_identity(ret, meter);
    json_errors(ret, meter, layout);
    text_add(ret, "}\n");
}

/* A meter that did not answer has a line only in JSON, all null, with the reasons. */
void read_print(const struct read_options *options, struct read_job *job)
{
    if (options->format == READ_POWERMETER) {
        read_print_powermeter(&job->scratch, job);
        return;
    }
    for (unsigned i = 0; i < job->meter_count; i++) {
        const struct read_meter *meter = &job->meters[i];

        if (meter->result < 0 && options->format != READ_JSON) {
            continue;
        }
        switch (options->format) {
        case READ_TEXT:
            print_text(&job->scratch, job, meter);
            break;
        case READ_CSV:
            print_csv(&job->scratch, options->header, job, meter);
            break;
        case READ_JSON:
            print_json(&job->scratch, job, meter);
            break;
        case READ_ENERGY_SCRIBE:
            read_print_energy_scribe(&job->scratch, options, job, meter);
            break;
        case READ_POWERMETER:
            break;
        }
    }
}
