/* SPDX-License-Identifier: MIT */
#include "drivers/scan_judge.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LEAST_HZ        45.0
#define MOST_HZ         65.0
#define TEXT_BYTES      (2 * MODBUS_MAX_REGISTERS + 1)

#define FOR_TEXT        4   // a name that no other model has
#define FOR_ADDRESS     2   // one of 255 would be right by chance,
#define FOR_RANGE       1   // much more of these
#define FOR_FREQUENCY   2
#define FOR_VOLTAGE     1
#define FOR_AGREEMENT   2   // of several values with each other

void scan_refuse(struct scan_evidence *evidence, const char *format, ...)
{
    va_list arguments;

    if (evidence->refused) {
        return;  // the first reason is the clearest
    }
    evidence->refused = true;
    va_start(arguments, format);
    (void) vsnprintf(evidence->reason, sizeof(evidence->reason), format, arguments);
    va_end(arguments);
}

/* --- identity --- */

static bool contains(const char *text, const char *word, size_t length)
{
    for (; *text; text++) {
        if (strncasecmp(text, word, length) == 0) {
            return true;
        }
    }
    return false;
}

static void judge_text(const struct identity *identity, const uint16_t *words, struct scan_evidence *evidence)
{
    char text[TEXT_BYTES];
    const char *word = identity->words;

    (void) codec_decode_text(identity->codec, words, identity->word_count, text, sizeof(text));
    if (text[strspn(text, " ?")] == '\0' && identity->optional) {
        return;  // blank, or the bytes of something else
    }
    while (*word) {
        size_t length = strcspn(word, " ");

        if (length > 0 && contains(text, word, length)) {
            evidence->points += FOR_TEXT;
            return;
        }
        word += length + strspn(word + length, " ");
    }
    text_make_printable(text);
    scan_refuse(evidence, "it calls itself '%.40s'", text);
}

void scan_judge_identity(const struct model *model, const struct identity *identity, unsigned unit,
                         const uint16_t *words, struct scan_evidence *evidence)
{
    unsigned number;

    if (!words) {
        if (!identity->optional) {
            scan_refuse(evidence, "it has no register %u", identity->address + model->first_number);
        }
        return;
    }
    if (identity->kind == IDENTITY_TEXT) {
        judge_text(identity, words, evidence);
        return;
    }
    number = words[0];
    number = identity->byte == IDENTITY_LOW ? number & 0xFF : identity->byte == IDENTITY_HIGH ? number >> 8 : number;
    if (identity->kind == IDENTITY_ADDRESS && number == unit) {
        evidence->points += FOR_ADDRESS;
    } else if (identity->kind == IDENTITY_RANGE && number >= identity->min && number <= identity->max) {
        evidence->points += FOR_RANGE;
    } else {
        scan_refuse(evidence, "register %u says %u", identity->address + model->first_number, number);
    }
}

/* --- values --- */

#define STEP_W 100  // that a load may change by between two questions

/* What the judge looks at. */
struct reading {
    const struct model *model;
    const struct selection *selection;
    const double *values;
    struct scan_evidence *evidence;
};

/* The value of "<quantity><suffix>", NAN if it is not there. */
static double value_of(const struct reading *reading, const char *quantity, const char *suffix)
{
    char name[QUANTITY_NAME_SIZE];

    (void) snprintf(name, sizeof(name), "%s%s", quantity, suffix);
    for (unsigned i = 0; i < reading->selection->point_count; i++) {
        if (text_equal(reading->model->points[reading->selection->points[i]].name, name)) {
            return reading->values[i];
        }
    }
    return NAN;
}

static bool is_near(double a, double b, double share, double most)
{
    return fabs(a - b) <= fabs(b) * share + most;
}

static void judge_bounds(const struct reading *reading)
{
    unsigned missing = 0;

    for (unsigned i = 0; i < reading->selection->point_count; i++) {
        const struct point *point = &reading->model->points[reading->selection->points[i]];
        double value = reading->values[i];

        missing += isnan(value);
        if (point->quantity && (value < point->quantity->min || value > point->quantity->max)) {
            scan_refuse(reading->evidence, "%s would be %g %s", point->name, value, point->unit);
        }
    }
    if (2 * missing >= reading->selection->point_count) {
        scan_refuse(reading->evidence, "%u of %u values are missing", missing, reading->selection->point_count);
    }
}

static void judge_mains(const struct reading *reading)
{
    static const char *const places[] = { "", "_l1_n", "_l2_n", "_l3_n", "_ln_avg" };
    double frequency = value_of(reading, "frequency", "");
    bool any = false;

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        double volts = value_of(reading, "voltage", places[i]);

        any |= volts >= 50;
        if (volts > 0 && volts < 1e-3) {
            scan_refuse(reading->evidence, "voltage%s would be %g V", places[i], volts);  // a torn or foreign float
        }
    }
    reading->evidence->points += any ? FOR_VOLTAGE : 0;
    if (frequency >= LEAST_HZ && frequency <= MOST_HZ) {
        reading->evidence->points += FOR_FREQUENCY;
    } else if (!isnan(frequency) && frequency != 0) {
        scan_refuse(reading->evidence, "the frequency would be %g Hz", frequency);
    } else if (any && !isnan(frequency)) {
        scan_refuse(reading->evidence, "there would be a voltage, but no frequency");
    }
}

/* P, Q and S of each phase and of all of them. */
static void judge_powers(const struct reading *reading)
{
    static const char *const places[] = { "", "_total", "_l1", "_l2", "_l3" };
    bool agree = false;

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        double active = value_of(reading, "power_active", places[i]);
        double reactive = value_of(reading, "power_reactive", places[i]);
        double apparent = value_of(reading, "power_apparent", places[i]);

        if (fabs(active) > apparent * 1.05 + 10) {
            scan_refuse(reading->evidence, "power_active%s would be more than the apparent power", places[i]);
        }
        agree |= apparent > 1 && is_near(hypot(active, reactive), apparent, 0.03, 2);
    }
    reading->evidence->points += agree ? FOR_AGREEMENT : 0;
}

/* Phases and their total; volts, amperes and what comes of them. */
static void judge_sums(const struct reading *reading)
{
    double total = value_of(reading, "power_active", "_total");
    double sum = value_of(reading, "power_active", "_l1") + value_of(reading, "power_active", "_l2")
                 + value_of(reading, "power_active", "_l3");
    double volts = value_of(reading, "voltage", ""), amperes = value_of(reading, "current", "");
    double active = value_of(reading, "power_active", ""), reactive = value_of(reading, "power_reactive", "");

    if (fabs(total) > 1 && is_near(sum, total, 0.03, 3)) {
        reading->evidence->points += FOR_AGREEMENT;
    } else if (fabs(total) < fabs(sum) / 2 - STEP_W) {
        scan_refuse(reading->evidence, "the phases would be %g W, and %g W together", sum, total);
    }
    if (amperes > 0.1 && is_near(hypot(active, reactive), volts * amperes, 0.05, 5)) {
        reading->evidence->points += FOR_AGREEMENT;
    } else if (fabs(active) > 1.2 * volts * amperes + 50) {
        scan_refuse(reading->evidence, "%g W would come of %g V and %g A", active, volts, amperes);
    }
}

static void judge_energies(const struct reading *reading)
{
    double total = value_of(reading, "energy_active_total", "");
    double import = value_of(reading, "energy_active_import", "");
    double export = value_of(reading, "energy_active_export", "");

    if (isnan(total) || isnan(import) || isnan(export)) {
        return;
    }
    if (!is_near(import + export, total, 0, 30)) {  // two steps of 0.01 kWh and one that came between
        scan_refuse(reading->evidence, "import and export would be %g Wh, the total %g Wh", import + export, total);
    } else if (total > 0) {
        reading->evidence->points += FOR_AGREEMENT;
    }
}

void scan_judge_values(const struct model *model, const struct selection *selection, const double *values,
                       struct scan_evidence *evidence)
{
    const struct reading reading = { model, selection, values, evidence };

    judge_bounds(&reading);
    judge_mains(&reading);
    judge_powers(&reading);
    judge_sums(&reading);
    judge_energies(&reading);
}

static bool has_point(const struct model *model, const struct point *point)
{
    for (size_t i = 0; i < model->point_count; i++) {
        const struct point *own = &model->points[i];

        if (own->table == point->table && own->address == point->address && own->codec == point->codec
            && text_equal(own->name, point->name) && text_equal(own->unit, point->unit)
            && own->resolution.digits == point->resolution.digits
            && own->resolution.exponent == point->resolution.exponent) {
            return true;
        }
    }
    return false;
}

bool scan_has_all_of(const struct model *more, const struct model *less)
{
    for (size_t i = 0; i < less->point_count; i++) {
        if (!has_point(more, &less->points[i])) {
            return false;
        }
    }
    return more->point_count > less->point_count;
}
