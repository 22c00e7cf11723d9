/* SPDX-License-Identifier: MIT */
#include "app/cli/simulate_meter.h"

#include "app/base/text.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define ILLEGAL_FUNCTION 1
#define ILLEGAL_ADDRESS  2
#define ILLEGAL_VALUE    3

#define LONGEST_POINT    64  // registers; text.64

int simulated_meter_init(struct simulated_meter *ret, const struct model *model, unsigned address,
                         uint64_t seed)
{
    double *overrides = calloc(model->point_count, sizeof(*overrides));

    if (!overrides) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < model->point_count; i++) {
        overrides[i] = HUGE_VAL;
    }
    *ret = (struct simulated_meter){ .model = model, .address = address, .overrides = overrides };
    load_init(&ret->load, model, seed * 1000 + address);
    return 0;
}

void simulated_meter_clear(struct simulated_meter *meter)
{
    free(meter->overrides);
    meter->overrides = NULL;
}

double simulated_meter_value(const struct simulated_meter *meter, size_t point, double elapsed_s)
{
    return meter->overrides[point] == HUGE_VAL
               ? load_value(&meter->load, &meter->model->points[point], elapsed_s)
               : meter->overrides[point];
}

int simulated_meter_set(struct simulated_meter *meter, const char *point, double value)
{
    int index = model_point(meter->model, point);

    if (index < 0) {
        return -ENOENT;
    }
    meter->overrides[index] = value;
    return 0;
}

int simulated_meter_refuse(struct simulated_meter *meter, int register_address, uint8_t code)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < meter->exception_count; i++) {
        if (meter->exceptions[i].register_address != register_address) {
            meter->exceptions[kept++] = meter->exceptions[i];
        }
    }
    meter->exception_count = kept;
    if (code == 0) {
        return 0;
    }
    if (kept == SIMULATED_METER_EXCEPTIONS) {
        return -ENOSPC;
    }
    meter->exceptions[meter->exception_count++] =
        (struct simulated_meter_exception){ .register_address = register_address, .code = code };
    return 0;
}

static const char *text_of(const struct simulated_meter *meter, const struct point *point)
{
    return text_starts(point->name, "manufacturer") ? "Meterstick"
           : text_starts(point->name, "meter_name") ? "simulated"
                                                    : meter->model->title;
}

/* A register of settings has the address in it, where the model knows that. */
static void put_address(const struct simulated_meter *meter, const struct point *point, uint16_t *words)
{
    for (size_t i = 0; i < meter->model->identity_count; i++) {
        const struct identity *identity = &meter->model->identities[i];

        if (identity->kind == IDENTITY_ADDRESS && identity->table == point->table
            && identity->address == point->address) {
            words[0] = identity->byte == IDENTITY_LOW    ? (uint16_t) ((words[0] & 0xFF00) | meter->address)
                       : identity->byte == IDENTITY_HIGH ? (uint16_t) ((words[0] & 0xFF) | meter->address << 8)
                                                         : (uint16_t) meter->address;
        }
    }
}

static void encode_point(const struct simulated_meter *meter, size_t index, double elapsed_s,
                         uint16_t ret[static LONGEST_POINT])
{
    const struct point *point = &meter->model->points[index];

    if (text_equal(point->codec->name, "datetime4")) {
        const uint16_t made[] = { 20, 6 << 8 | 15, 8 << 8 | 30, 0 };  // 2020-06-15 08:30

        memcpy(ret, made, sizeof(made));
    } else if (point->codec->result == CODEC_TEXT) {
        codec_encode_text(point->codec, text_of(meter, point), point->word_count, ret);
    } else {
        codec_encode(point->codec, simulated_meter_value(meter, index, elapsed_s),
                     point->resolution, ret);
        put_address(meter, point, ret);
    }
}

/* Why a meter with these rules would not answer; 0 if it would. */
static unsigned refusal(const struct simulated_meter *meter, const struct modbus_request *request)
{
    const struct model *model = meter->model;
    unsigned last = request->address + request->count - 1u;

    for (unsigned i = 0; i < meter->exception_count; i++) {
        int at = meter->exceptions[i].register_address;

        if (at < 0 || ((unsigned) at >= request->address && (unsigned) at <= last)) {
            return meter->exceptions[i].code;
        }
    }
    if (request->table != MODBUS_HOLDING && request->table != MODBUS_INPUT) {
        return ILLEGAL_FUNCTION;
    }
    if (request->count == 0 || request->count > MODBUS_MAX_REGISTERS
        || request->count > model->max_registers) {
        return ILLEGAL_VALUE;
    }
    if (last > UINT16_MAX || (model->even && (request->address % 2 || request->count % 2))) {
        return ILLEGAL_ADDRESS;
    }
    return 0;
}

unsigned simulated_meter_answer(const struct simulated_meter *meter,
                                const struct modbus_request *request, double elapsed_s,
                                uint16_t ret_words[static MODBUS_MAX_REGISTERS])
{
    const struct model *model = meter->model;
    unsigned first = request->address, end = first + request->count;
    bool known[MODBUS_MAX_REGISTERS] = { false };
    unsigned known_count = 0;
    unsigned code = refusal(meter, request);

    if (code) {
        return code;
    }
    memset(ret_words, 0, MODBUS_MAX_REGISTERS * sizeof(*ret_words));
    for (size_t i = 0; i < model->point_count; i++) {
        const struct point *point = &model->points[i];
        uint16_t words[LONGEST_POINT];

        if (point->table != request->table || point->address >= end
            || point->address + point->word_count <= first) {
            continue;
        }
        encode_point(meter, i, elapsed_s, words);
        for (unsigned k = 0; k < point->word_count; k++) {
            unsigned at = point->address + k;

            if (at >= first && at < end) {
                known_count += !known[at - first];
                known[at - first] = true;
                ret_words[at - first] = words[k];
            }
        }
    }
    return known_count == request->count || (known_count > 0 && model->read_gaps) ? 0
                                                                                  : ILLEGAL_ADDRESS;
}
