/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A recorded question and answer, put through the real frame, model and codec code. Used by the tests of
 * captures and of vectors. Links ms_drivers.
 */

#include "app/base/decimal.h"
#include "app/base/text.h"
#include "drivers/modbus_frame.h"
#include "drivers/model.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXCHANGE_BYTES  1024
#define EXCHANGE_VALUES 300
#define EXCHANGE_TEXT   80

/* One value as the product prints it: "" is missing. */
struct exchange_value {
    char name[QUANTITY_NAME_SIZE + 16];
    char text[EXCHANGE_TEXT];
    double number;                   // NAN for texts and missing ones
};

struct exchange {
    struct modbus_request request;
    struct modbus_answer answer;
    const char *error;               // "" or the name of the fault
    char error_text[32];
    size_t value_count;
    struct exchange_value values[EXCHANGE_VALUES];
};

/* "01 03 0b" to bytes; -1 if it is no hex. */
static inline int exchange_hex(const char *hex, uint8_t *ret, size_t size)
{
    size_t count = 0;

    for (; *hex; hex++) {
        char digits[3] = { hex[0], hex[1], '\0' };
        char *end;

        if (*hex == ' ') {
            continue;
        }
        if (!isxdigit((unsigned char) hex[0]) || !isxdigit((unsigned char) hex[1]) || count == size) {
            return -1;
        }
        ret[count++] = (uint8_t) strtoul(digits, &end, 16);
        hex++;
    }
    return (int) count;
}

/* The names that captures and vectors have for our faults. */
static inline const char *exchange_error(const struct modbus_answer *answer, char *buffer, size_t size)
{
    switch (answer->fault) {
    case MODBUS_ANSWERED:
        return "";
    case MODBUS_EXCEPTION:
        snprintf(buffer, size, "exception_%02u", answer->exception);
        return buffer;
    case MODBUS_SILENT:
        return "timeout";
    case MODBUS_SHORT:
        return "short";
    case MODBUS_CRC:
        return "crc";
    case MODBUS_WRONG_UNIT:
        return "wrong_address";
    case MODBUS_WRONG_FUNCTION:
        return "wrong_function";
    case MODBUS_BYTE_COUNT:
        return "byte_count";
    case MODBUS_WRONG_TRANSACTION:
        return "transaction_id";
    case MODBUS_WRONG_PROTOCOL:
        return "protocol_id";
    }
    return "?";
}

static inline void exchange_add(struct exchange *exchange, const char *name, const char *ending,
                                const char *text, double number)
{
    struct exchange_value *value = &exchange->values[exchange->value_count++];

    snprintf(value->name, sizeof(value->name), "%s%s", name, ending);
    snprintf(value->text, sizeof(value->text), "%s", text);
    value->number = number;
}

static inline void exchange_add_point(struct exchange *exchange, const struct model *model,
                                      const struct point *point, const uint16_t *words)
{
    char text[EXCHANGE_TEXT] = "";
    double numbers[2];

    if (point->codec->result == CODEC_TEXT) {
        (void) codec_decode_text(point->codec, words, point->word_count, text, sizeof(text));
        exchange_add(exchange, point->name, "", text, NAN);
        return;
    }

    point_decode(model, point, words, numbers);
    (void) decimal_print(numbers[0], text);
    exchange_add(exchange, point->name, "", text, numbers[0]);
    if (point->codec->result == CODEC_PF4Q) {
        (void) decimal_print(numbers[1], text);
        exchange_add(exchange, point->name, "_direction", text, numbers[1]);
    }
}

/*
 * Take the request apart, build it again, find the answer, decode every point that it holds.
 * model may be NULL: nothing is decoded. Returns "" or what is wrong with the request.
 */
static inline const char *exchange_run(enum modbus_framing framing, const struct model *model,
                                       const uint8_t *request, size_t request_size, const uint8_t *answer,
                                       size_t answer_size, struct exchange *ret)
{
    uint8_t built[MODBUS_REQUEST_SIZE];
    uint16_t words[MODBUS_MAX_REGISTERS];
    size_t skipped;

    memset(ret, 0, sizeof(*ret));
    if (modbus_request_find(framing, request, request_size, &ret->request, &skipped) != request_size ||
        skipped != 0) {
        return "the request is not recognised";
    }
    if (modbus_request_build(framing, &ret->request, built) != request_size ||
        memcmp(built, request, request_size) != 0) {
        return "the request is built otherwise";
    }

    modbus_answer_find(framing, &ret->request, answer, answer_size, &ret->answer);
    ret->error = exchange_error(&ret->answer, ret->error_text, sizeof(ret->error_text));
    if (ret->answer.fault != MODBUS_ANSWERED || !model) {
        return "";
    }

    modbus_words(answer + ret->answer.offset, ret->request.count, words);
    for (size_t i = 0; i < model->point_count; i++) {
        const struct point *point = &model->points[i];

        if (point->table == ret->request.table && point->address >= ret->request.address &&
            point->address + point->word_count <= ret->request.address + ret->request.count) {
            exchange_add_point(ret, model, point, words + (point->address - ret->request.address));
        }
    }
    return "";
}

static inline const struct exchange_value *exchange_find(const struct exchange *exchange, const char *name)
{
    for (size_t i = 0; i < exchange->value_count; i++) {
        if (text_equal(exchange->values[i].name, name)) {
            return &exchange->values[i];
        }
    }
    return NULL;
}
