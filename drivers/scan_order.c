/* SPDX-License-Identifier: MIT */
#include "drivers/scan_order.h"

#include <string.h>

#define LAST_ADDRESS 247
#define MODEL_US     500000   // the models' time-out
#define TCP_US       1000000  // a gateway's round trip, its serial line included
#define REQUEST_SIZE 8

/* What people set meters to, the usual first. 8N2 is what the Modbus document asks for without parity. */
static const unsigned speeds[] = { 9600, 19200, 38400, 4800, 2400, 115200, 57600, 1200 };
static const struct { char parity; unsigned stop_bits; } shapes[] = { { 'N', 1 }, { 'E', 1 }, { 'O', 1 }, { 'N', 2 } };

bool scan_same_setting(const struct serial_setting *a, const struct serial_setting *b)
{
    return a->baud == b->baud && a->parity == b->parity && a->data_bits == b->data_bits && a->stop_bits == b->stop_bits;
}

bool scan_is_listed(const struct scan_setup *setup, const struct model *model, const struct serial_setting *serial)
{
    return model->driver == MODEL_MODBUS && (setup->tcp ? model->tcp : scan_same_setting(&model->serial, serial));
}

static unsigned count_listed(const struct scan_setup *setup, const struct serial_setting *serial)
{
    unsigned count = 0;

    for (unsigned i = 0; i < setup->model_count; i++) {
        count += scan_is_listed(setup, setup->models[i], serial);
    }
    return count;
}

static bool is_wanted(const struct scan_setup *setup, const struct serial_setting *serial)
{
    bool found = setup->setting_count == 0;

    for (unsigned i = 0; i < setup->setting_count; i++) {
        found |= scan_same_setting(&setup->settings[i], serial);
    }
    return found;
}

/* The settings to try: those of most models first, then those of the caller, then what there is. */
struct settings {
    struct serial_setting list[SCAN_PASSES_MAX / 2 - 2];
    unsigned count;
    unsigned listed;
};

static void add_setting(const struct scan_setup *setup, struct settings *ret, const struct serial_setting *serial)
{
    for (unsigned i = 0; i < ret->count; i++) {
        if (scan_same_setting(&ret->list[i], serial)) {
            return;
        }
    }
    if (is_wanted(setup, serial) && ret->count < ARRAY_SIZE(ret->list)) {
        ret->list[ret->count++] = *serial;
    }
}

static void find_settings(const struct scan_setup *setup, struct settings *ret)
{
    *ret = (struct settings){ 0 };
    for (unsigned most = setup->model_count; most > 0; most--) {
        for (unsigned i = 0; i < setup->model_count; i++) {
            const struct serial_setting *serial = &setup->models[i]->serial;

            if (setup->models[i]->driver == MODEL_MODBUS && serial->baud && count_listed(setup, serial) == most) {
                add_setting(setup, ret, serial);
            }
        }
    }
    ret->listed = ret->count;
    if (setup->only_listed) {
        return;
    }
    for (unsigned i = 0; i < setup->setting_count; i++) {
        add_setting(setup, ret, &setup->settings[i]);
    }
    for (size_t shape = 0; shape < ARRAY_SIZE(shapes); shape++) {
        for (size_t i = 0; i < ARRAY_SIZE(speeds); i++) {
            add_setting(setup, ret, &(struct serial_setting){ speeds[i], shapes[shape].parity, 8,
                                                              shapes[shape].stop_bits });
        }
    }
}

static void add_pass(struct scan_order *ret, const struct scan_pass *pass)
{
    if (pass->first <= pass->last && ret->count < ARRAY_SIZE(ret->passes)) {
        ret->passes[ret->count++] = *pass;
    }
}

static void make_tcp(const struct scan_setup *setup, struct scan_order *ret)
{
    const struct serial_setting none = { 0 };
    const struct scan_pass first = { SCAN_PASS_MODELS, .is_listed = true, .first = setup->first, .last = setup->first,
                                     .questions = 1 + count_listed(setup, &none), .timeout_us = TCP_US };

    add_pass(ret, &first);
    add_pass(ret, &(struct scan_pass){ SCAN_PASS_ADDRESSES, .is_listed = true, .first = setup->first + 1,
                                       .last = setup->last, .questions = 1,
                                       .timeout_us = setup->short_us ? setup->short_us : TCP_US / 2 });
}

static const struct model *find_display(const struct scan_setup *setup)
{
    for (unsigned i = 0; i < setup->model_count; i++) {
        if (setup->models[i]->driver == MODEL_CURRENTCOST && is_wanted(setup, &setup->models[i]->serial)) {
            return setup->models[i];
        }
    }
    return NULL;
}

static void add_passes(const struct scan_setup *setup, const struct settings *settings, unsigned from, unsigned to,
                       bool all_addresses, struct scan_order *ret)
{
    for (unsigned i = from; i < to; i++) {
        bool is_listed = i < settings->listed;
        struct scan_pass pass = { SCAN_PASS_ADDRESSES, settings->list[i], is_listed,
                                  .first = all_addresses ? setup->first + 1 : setup->first,
                                  .last = all_addresses ? setup->last : setup->first,
                                  .questions = 1,
                                  .timeout_us = setup->short_us ? setup->short_us : SCAN_SHORT_US };

        if (!all_addresses && is_listed) {
            pass.kind = SCAN_PASS_MODELS;
            pass.questions += count_listed(setup, &pass.serial);
            pass.timeout_us = setup->short_us ? setup->short_us : MODEL_US;
        }
        add_pass(ret, &pass);
    }
}

void scan_order_make(const struct scan_setup *setup, struct scan_order *ret)
{
    struct scan_setup own = *setup;
    const struct model *display;
    struct settings settings;

    own.first = setup->last ? setup->first : 1;
    own.last = setup->last ? setup->last : LAST_ADDRESS;
    ret->count = 0;
    if (own.tcp) {
        make_tcp(&own, ret);
        return;
    }
    find_settings(&own, &settings);
    add_passes(&own, &settings, 0, settings.listed, false, ret);
    display = find_display(&own);
    if (display) {
        add_pass(ret, &(struct scan_pass){ SCAN_PASS_LISTEN, display->serial, .first = own.first, .last = own.first,
                                           .questions = 1 });
    }
    add_passes(&own, &settings, 0, settings.listed, true, ret);
    add_passes(&own, &settings, settings.listed, settings.count, false, ret);
    add_passes(&own, &settings, settings.listed, settings.count, true, ret);
}

uint64_t scan_pass_us(const struct scan_pass *pass, unsigned from)
{
    double question_us = pass->timeout_us;

    if (pass->kind == SCAN_PASS_LISTEN) {
        return SCAN_LISTEN_US;
    }
    if (pass->serial.baud) {
        question_us += REQUEST_SIZE * serial_character_us(&pass->serial) + serial_silence_us(&pass->serial);
    }
    return from > pass->last ? 0 : (uint64_t) (question_us * pass->questions * (pass->last - from + 1));
}
