/* SPDX-License-Identifier: MIT */
#include "app/cli/simulate_fault.h"

#include "app/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[FAULT_KIND_COUNT] = {
    [FAULT_DROP] = "drop",
    [FAULT_LATE] = "late",
    [FAULT_CRC] = "crc",
    [FAULT_CUT] = "cut",
    [FAULT_NOISE] = "noise",
    [FAULT_ECHO] = "echo",
    [FAULT_FRAGMENT] = "fragment",
    [FAULT_WRONG_UNIT] = "wrong-unit",
    [FAULT_WRONG_FUNCTION] = "wrong-function",
    [FAULT_WRONG_LENGTH] = "wrong-length",
    [FAULT_WRONG_TRANSACTION] = "wrong-transaction",
};

static int parse_percent(char *word, double *ret)
{
    size_t length = strlen(word);
    double percent;

    if (length < 2 || word[length - 1] != '%') {
        return -EINVAL;
    }
    word[length - 1] = '\0';
    if (text_to_double(word, 0, 100, &percent) < 0) {
        return -EINVAL;
    }
    *ret = percent / 100;
    return 0;
}

/* "2" or "2@0x56", for all meters. */
static int parse_exception(char *value, struct simulated_meter *meters, unsigned meter_count)
{
    char *at = strchr(value, '@');
    uint64_t code, address = 0;
    int r;

    if (at) {
        *at++ = '\0';
        if (text_to_unsigned(at, 0, UINT16_MAX, &address) < 0) {
            return -EINVAL;
        }
    }
    if (text_to_unsigned(value, 0, 255, &code) < 0) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < meter_count; i++) {
        r = simulated_meter_refuse(&meters[i], at ? (int) address : -1, (uint8_t) code);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* One word of the list, value NULL if it has none. */
static int parse_fault(const char *name, char *value, struct faults *faults)
{
    enum fault_kind kind = 0;
    char *at;

    while (kind < FAULT_KIND_COUNT && !text_equal(names[kind], name)) {
        kind++;
    }
    if (kind == FAULT_KIND_COUNT) {
        return -ENOENT;
    }
    if (kind != FAULT_LATE && kind != FAULT_FRAGMENT) {
        faults->probability[kind] = 1;
        return value ? parse_percent(value, &faults->probability[kind]) : 0;
    }

    uint64_t *time_ms = kind == FAULT_LATE ? &faults->late_ms : &faults->fragment_ms;

    faults->probability[kind] = 1;
    if (!value) {
        return -EINVAL;
    }
    at = strchr(value, '@');
    if (at) {
        *at++ = '\0';
        if (parse_percent(at, &faults->probability[kind]) < 0) {
            return -EINVAL;
        }
    }
    return text_to_duration_ms(value, 1, 0, 60000, time_ms);
}

int faults_parse(const char *list, struct faults *faults, struct simulated_meter *meters,
                 unsigned meter_count, const char **problem)
{
    auto_free char *copy = strdup(list);
    char *rest = copy;
    char *item;
    int r;

    if (!copy) {
        return -ENOMEM;
    }
    while ((item = text_item(&rest))) {
        char *value = strchr(item, '=');

        if (value) {
            *value++ = '\0';
        }
        if (text_equal(item, "none")) {
            memset(faults->probability, 0, sizeof(faults->probability));
            r = 0;
        } else if (text_equal(item, "exception")) {
            r = value ? parse_exception(value, meters, meter_count) : -EINVAL;
        } else {
            r = parse_fault(item, value, faults);
        }
        if (r < 0) {
            *problem =
                r == -ENOENT
                    ? "there is no such fault: drop, late, crc, cut, noise, echo, fragment, "
                      "wrong-unit, wrong-function, wrong-length, wrong-transaction, exception "
                      "or none is expected"
                    : "NAME, NAME=50%, late=700ms, fragment=5ms or exception=2@0x56 is expected";
            return -EINVAL;
        }
    }
    return 0;
}

static bool happens(struct faults *faults, enum fault_kind kind)
{
    double probability = faults->probability[kind];

    return probability > 0
           && (probability >= 1
               || (double) (load_random(&faults->dice) >> 11) / 9007199254740992.0 < probability);
}

/* From 0 to below. */
static size_t die(struct faults *faults, size_t below)
{
    return below == 0 ? 0 : (size_t) (load_random(&faults->dice) % below);
}

static void put_before(struct answer *answer, const uint8_t *bytes, size_t size)
{
    memmove(answer->bytes + size, answer->bytes, answer->size);
    memcpy(answer->bytes, bytes, size);
    answer->size += size;
}

static void put_noise(struct faults *faults, struct answer *answer)
{
    uint8_t noise[8];
    size_t size = 1 + die(faults, sizeof(noise));

    for (size_t i = 0; i < size; i++) {
        noise[i] = (uint8_t) load_random(&faults->dice);
    }
    put_before(answer, noise, size);
}

void faults_answer(struct faults *faults, enum modbus_framing framing,
                   const struct modbus_request *request, unsigned exception, const uint16_t *words,
                   struct answer *ret)
{
    struct modbus_request told = *request;
    uint8_t echo[MODBUS_REQUEST_SIZE];

    *ret = (struct answer){ 0 };
    if (happens(faults, FAULT_DROP)) {
        return;
    }
    told.unit = (uint8_t) (told.unit + happens(faults, FAULT_WRONG_UNIT));
    told.table = happens(faults, FAULT_WRONG_FUNCTION) ? 7 - told.table : told.table;
    told.transaction = (uint16_t) (told.transaction + happens(faults, FAULT_WRONG_TRANSACTION));
    if (happens(faults, FAULT_WRONG_LENGTH)) {
        told.count = (uint16_t) (told.count > 1 ? told.count - 1 : told.count + 1);
    }
    if (exception) {
        ret->size = modbus_exception_build(framing, &told, (uint8_t) exception, ret->bytes);
    } else {
        uint16_t longer[MODBUS_MAX_REGISTERS + 1] = { 0 };

        memcpy(longer, words, request->count * sizeof(*words));
        ret->size = modbus_answer_build(framing, &told, longer, ret->bytes);
    }

    if (framing == MODBUS_RTU && happens(faults, FAULT_CRC)) {
        ret->bytes[die(faults, ret->size)] ^= (uint8_t) (1u << die(faults, 8));
    }
    if (happens(faults, FAULT_CUT)) {
        ret->size = 1 + die(faults, ret->size - 1);
    }
    if (happens(faults, FAULT_NOISE)) {
        put_noise(faults, ret);
    }
    if (happens(faults, FAULT_ECHO)) {
        put_before(ret, echo, modbus_request_build(framing, request, echo));
    }
    ret->late_ms = happens(faults, FAULT_LATE) ? faults->late_ms : 0;
    ret->fragment_ms = happens(faults, FAULT_FRAGMENT) ? faults->fragment_ms : 0;
}

size_t faults_text(struct faults *faults, char *text, size_t size, size_t capacity)
{
    if (happens(faults, FAULT_DROP)) {
        return 0;
    }
    if (happens(faults, FAULT_CRC)) {
        text[die(faults, size)] ^= (char) (1u << die(faults, 8));
    }
    if (happens(faults, FAULT_CUT)) {
        size = 1 + die(faults, size - 1);
    }
    if (happens(faults, FAULT_NOISE) && size + 4 <= capacity) {
        memmove(text + 4, text, size);
        for (size_t i = 0; i < 4; i++) {
            text[i] = (char) load_random(&faults->dice);
        }
        size += 4;
    }
    return size;
}
