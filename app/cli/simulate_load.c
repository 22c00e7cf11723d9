/* SPDX-License-Identifier: MIT */
#include "app/cli/simulate_load.h"

#include "app/base/text.h"

#include <math.h>
#include <string.h>

#define TAU 6.283185307179586

static const double periods_s[LOAD_WAVES] = { 86400, 7200, 1260, 173, 31 };

/* xorshift64*, Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled" */
uint64_t load_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static double draw(uint64_t *state, double min, double max)
{
    return min + (max - min) * (double) (load_random(state) >> 11) / 9007199254740992.0;
}

static void wave_init(struct wave *ret, uint64_t *state, double base, double swing)
{
    static const double shares[LOAD_WAVES] = { 0.4, 0.25, 0.15, 0.13, 0.07 };

    ret->base = base;
    for (size_t i = 0; i < LOAD_WAVES; i++) {
        ret->amplitudes[i] = swing * shares[i] * draw(state, 0.5, 1);
        ret->phases[i] = draw(state, 0, TAU);
    }
}

/* Now, or the highest or lowest that it can ever be. */
enum extreme { EXTREME_NOW, EXTREME_MAX, EXTREME_MIN };

static double wave_at(const struct wave *wave, double t, enum extreme extreme)
{
    double sum = 1;

    for (size_t i = 0; i < LOAD_WAVES; i++) {
        double sine = extreme == EXTREME_MAX   ? 1
                      : extreme == EXTREME_MIN ? -1
                                               : sin(TAU * t / periods_s[i] + wave->phases[i]);

        sum += wave->amplitudes[i] * sine;
    }
    return wave->base * sum;
}

/* Its integral over 0 to t, in base x seconds. */
static double wave_integral(const struct wave *wave, double t)
{
    double sum = t;

    for (size_t i = 0; i < LOAD_WAVES; i++) {
        double omega = TAU / periods_s[i];

        sum +=
            wave->amplitudes[i] / omega * (cos(wave->phases[i]) - cos(omega * t + wave->phases[i]));
    }
    return wave->base * sum;
}

void load_init(struct load *ret, const struct model *model, uint64_t seed)
{
    uint64_t state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;

    *ret = (struct load){ .seed = seed };
    for (size_t i = 0; i < model->point_count; i++) {
        const char *name = model->points[i].name;

        ret->three_phase = ret->three_phase || strstr(name, "_l2");
    }
    state = state ? state : 1;
    for (size_t i = 0; i < LOAD_PHASES; i++) {
        double base_w = draw(&state, 300, 2200);

        wave_init(&ret->active[i], &state, base_w, 0.9);
        wave_init(&ret->reactive[i], &state, base_w * draw(&state, 0.15, 0.45), 0.9);
        wave_init(&ret->voltage[i], &state, 230, 0.02);
        ret->energy_start_wh[i] = floor(draw(&state, 1e5, 9e6));
    }
    ret->export_wh = floor(draw(&state, 0, 1e5));
    wave_init(&ret->frequency, &state, 50, 0.001);
    wave_init(&ret->temperature, &state, 20, 0.2);
}

/* One phase, or several together. */
struct flow {
    double voltage, current, active, reactive, apparent, factor;
    double active_wh, reactive_varh;
};

static void flow_of(const struct load *load, unsigned first, unsigned count, double t,
                    enum extreme extreme, struct flow *ret)
{
    *ret = (struct flow){ 0 };
    for (unsigned i = first; i < first + count; i++) {
        double voltage = wave_at(&load->voltage[i], t, extreme);
        double active = wave_at(&load->active[i], t, extreme);
        double reactive = wave_at(&load->reactive[i], t, extreme);

        ret->voltage += voltage / count;
        ret->current += hypot(active, reactive) / voltage / count;
        ret->active += active;
        ret->reactive += reactive;
        ret->active_wh += load->energy_start_wh[i] + wave_integral(&load->active[i], t) / 3600;
        ret->reactive_varh +=
            load->energy_start_wh[i] / 4 + wave_integral(&load->reactive[i], t) / 3600;
    }
    ret->apparent = hypot(ret->active, ret->reactive);
    ret->factor = ret->active / ret->apparent;
}

/* Mean power of the last 15 min. */
static double demand(const struct load *load, unsigned first, unsigned count, double t,
                     enum extreme extreme)
{
    double sum = 0;

    for (unsigned i = first; i < first + count; i++) {
        sum += extreme != EXTREME_NOW
                   ? wave_at(&load->active[i], t, extreme)
                   : (wave_integral(&load->active[i], t) - wave_integral(&load->active[i], t - 900))
                         / 900;
    }
    return sum;
}

/* What follows the quantity in a point's name, turned into phases. */
struct part {
    unsigned first, count;
    double share;  // of a clamp or tariff
    bool pair;     // between two conductors
    bool neutral;
};

static struct part part_of(const struct load *load, const char *suffix)
{
    struct part part = { .count = load->three_phase ? 3 : 1, .share = 1 };
    const char *tariff = strstr(suffix, "_t");

    part.pair = text_starts(suffix, "_l12") || text_starts(suffix, "_l23")
                || text_starts(suffix, "_l31") || text_starts(suffix, "_ll_avg");
    part.neutral =
        text_equal(suffix, "_n") || text_equal(suffix, "_g") || text_starts(suffix, "_n_g");
    if (tariff && tariff[2] >= '1' && tariff[2] <= '8') {
        part.share = tariff[2] == '1' ? 0.7 : tariff[2] == '2' ? 0.3 : 0;
    }
    if (suffix[0] == '_' && suffix[1] == 'l' && suffix[2] >= '1' && suffix[2] <= '3'
        && !part.pair) {
        part.first = (unsigned) (suffix[2] - '1');
        part.count = 1;
    } else if (suffix[0] == '_' && suffix[1] == 's' && suffix[2] >= '0' && suffix[2] <= '9') {
        part.first = (unsigned) (suffix[2] - '0');
        part.count = 1;
        part.share = text_starts(suffix + 3, "_ch1")   ? 0.5
                     : text_starts(suffix + 3, "_ch2") ? 0.3
                     : text_starts(suffix + 3, "_ch3") ? 0.2
                                                       : 1;
    } else if (!load->three_phase && strlen(suffix) == 2 && suffix[1] >= 'a' && suffix[1] <= 'p') {
        part.first = (unsigned) (suffix[1] - 'a');
        part.count = 1;
        part.neutral = false;
    }
    return part;
}

/* Settings and other facts, as the data sheets show them. */
static const struct {
    const char *name;
    double value;
} facts[] = {
    { "ct_ratio", 1 },      { "factory_date", 0x1809 },
    { "firmware_x", 2 },    { "firmware_y", 1 },
    { "firmware_z", 0 },    { "frequency_division", 5 },
    { "interruptions", 3 }, { "range", 40 },
    { "relay", 1 },         { "sampling_threshold", 0x011E },
    { "settings", 0x0101 }, { "version", 628 },
};

static double fact(const struct load *load, const char *name, double t)
{
    for (size_t i = 0; i < ARRAY_SIZE(facts); i++) {
        if (text_equal(facts[i].name, name)) {
            return facts[i].value;
        }
    }
    if (text_equal(name, "serial_number")) {
        return 100000 + (double) (load->seed % 899999);
    }
    return text_ends(name, "_seconds") ? floor(1e6 + t) : 1;
}

static double energy_value(const struct load *load, const char *name, const struct flow *flow,
                           const struct part *part)
{
    double amount = text_starts(name, "energy_active") ? flow->active_wh
                    : text_starts(name, "energy_reactive")
                        ? flow->reactive_varh
                        : hypot(flow->active_wh, flow->reactive_varh);
    double export = load->export_wh * part->count / (load->three_phase ? 3 : 1);

    if (strstr(name, "capacitive")) {
        return floor(export / 5) * part->share;  // an inductive load does not count here
    }
    if (text_ends(name, "_export")) {
        return export * part->share;
    }
    if (text_ends(name, "_net")) {
        return (amount - export) * part->share;
    }
    if (text_ends(name, "_sum") || text_ends(name, "_total")) {
        return (amount + export) * part->share;
    }
    return amount * part->share;
}

static double demand_value(const struct load *load, const struct point *point,
                           const struct part *part, const struct flow *flow, double t,
                           enum extreme extreme)
{
    double mean_w = demand(load, part->first, part->count, t, extreme);

    if (text_equal(point->unit, "A")) {
        return mean_w / flow->factor / flow->voltage / part->count;
    }
    return text_equal(point->unit, "var")  ? mean_w * flow->reactive / flow->active
           : text_equal(point->unit, "VA") ? mean_w / flow->factor
                                           : mean_w;
}

static double power_value(const char *name, const struct flow *flow, const struct part *part)
{
    if (strstr(name, "capacitive")) {
        return 0;
    }
    return part->share
           * (text_starts(name, "power_reactive")   ? flow->reactive
              : text_starts(name, "power_apparent") ? flow->apparent
                                                    : flow->active);
}

double load_value(const struct load *load, const struct point *point, double elapsed_s)
{
    const struct quantity *quantity = point->quantity;
    const char *name = quantity ? quantity->name : "";
    const char *bank = quantity ? quantity_bank(point->name) : "";
    enum extreme extreme = text_equal(bank, "max") || text_equal(name, "max_demand") ? EXTREME_MAX
                           : text_equal(bank, "min")                                 ? EXTREME_MIN
                                                                                     : EXTREME_NOW;
    struct part part = part_of(load, point->name + strlen(name));
    struct flow flow;

    flow_of(load, part.first, part.count, elapsed_s, extreme, &flow);
    if (text_equal(name, "voltage")) {
        return part.neutral ? 0.4 : part.pair ? flow.voltage * sqrt(3) : flow.voltage;
    }
    if (text_equal(name, "current")) {
        return part.neutral ? flow.current / 10 : flow.current;
    }
    if (text_equal(name, "power_factor") || text_equal(name, "cos_phi")) {
        return flow.factor;
    }
    if (text_ends(name, "demand")) {
        return demand_value(load, point, &part, &flow, elapsed_s, extreme);
    }
    if (text_starts(name, "energy_")) {
        return energy_value(load, name, &flow, &part);
    }
    if (text_starts(name, "power")) {
        return power_value(name, &flow, &part);
    }
    if (text_equal(name, "frequency")) {
        return wave_at(&load->frequency, elapsed_s, extreme);
    }
    if (text_starts(name, "temperature")) {
        return wave_at(&load->temperature, elapsed_s, extreme);
    }
    if (text_starts(name, "thd_") || text_ends(name, "_unbalance")) {
        return flow.voltage / 100 + (text_starts(name, "thd_current") ? 5 : 0);
    }
    if (text_equal(name, "impulses")) {
        return floor(flow.active_wh);
    }
    return fact(load, name, elapsed_s);
}
