/* SPDX-License-Identifier: MIT */
#include "drivers/modbus_frame.h"

#include "app/base/macros.h"

#include <assert.h>
#include <string.h>

#define RTU_REQUEST_SIZE   8
#define TCP_REQUEST_SIZE   12
#define TCP_HEADER_SIZE    7    // transaction, protocol, length, unit
#define EXCEPTION_BIT      0x80

static void put_word(uint8_t *bytes, uint16_t word)
{
    bytes[0] = (uint8_t) (word >> 8);
    bytes[1] = (uint8_t) word;
}

static uint16_t get_word(const uint8_t *bytes)
{
    return (uint16_t) (bytes[0] << 8 | bytes[1]);
}

/* Polynomial 0xA001, from 0xFFFF, low bits first; four bits at a time. */
uint16_t modbus_crc(const uint8_t *bytes, size_t size)
{
    static const uint16_t table[16] = {
        0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401,
        0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400,
    };
    uint16_t crc = 0xFFFF;

    for (size_t i = 0; i < size; i++) {
        crc = (uint16_t) (crc >> 4 ^ table[(crc ^ bytes[i]) & 0x0F]);
        crc = (uint16_t) (crc >> 4 ^ table[(crc ^ bytes[i] >> 4) & 0x0F]);
    }
    return crc;
}

/* The checksum goes low byte first, unlike everything else. */
static size_t add_crc(uint8_t *frame, size_t size)
{
    uint16_t crc = modbus_crc(frame, size);

    frame[size] = (uint8_t) crc;
    frame[size + 1] = (uint8_t) (crc >> 8);
    return size + 2;
}

static bool crc_is_right(const uint8_t *frame, size_t size)
{
    return size >= 4 && modbus_crc(frame, size - 2) == (frame[size - 2] | frame[size - 1] << 8);
}

static void put_header(uint8_t *frame, uint16_t transaction, size_t pdu_and_unit_size, uint8_t unit)
{
    put_word(frame, transaction);
    put_word(frame + 2, 0);
    put_word(frame + 4, (uint16_t) pdu_and_unit_size);
    frame[6] = unit;
}

size_t modbus_request_build(enum modbus_framing framing, const struct modbus_request *request,
                            uint8_t ret[static MODBUS_REQUEST_SIZE])
{
    uint8_t *pdu = framing == MODBUS_TCP ? ret + TCP_HEADER_SIZE : ret + 1;

    assert(request->count >= 1 && request->count <= MODBUS_MAX_REGISTERS);
    pdu[0] = (uint8_t) request->table;
    put_word(pdu + 1, request->address);
    put_word(pdu + 3, request->count);
    if (framing == MODBUS_TCP) {
        put_header(ret, request->transaction, 6, request->unit);
        return TCP_REQUEST_SIZE;
    }
    ret[0] = request->unit;
    return add_crc(ret, 6);
}

size_t modbus_answer_size(enum modbus_framing framing, const struct modbus_request *request)
{
    return (framing == MODBUS_TCP ? TCP_HEADER_SIZE + 2u : 5u) + 2u * request->count;
}

/*
 * What the bytes from one offset on are. Its ->used is set only for whole frames that end the search.
 */
static enum modbus_fault rtu_frame_at(const struct modbus_request *request, const uint8_t *bytes, size_t size,
                                      struct modbus_answer *ret)
{
    size_t whole = modbus_answer_size(MODBUS_RTU, request);

    if (size < 5) {
        return MODBUS_SHORT;
    }
    if (bytes[0] == request->unit && bytes[1] == ((uint8_t) request->table | EXCEPTION_BIT)
        && crc_is_right(bytes, 5)) {
        ret->exception = bytes[2];
        ret->used = 5;
        return MODBUS_EXCEPTION;
    }
    if (bytes[0] == request->unit && bytes[1] == (uint8_t) request->table && bytes[2] == 2 * request->count) {
        if (size < whole) {
            return MODBUS_SHORT;
        }
        if (crc_is_right(bytes, whole)) {
            ret->offset = 3;
            ret->used = whole;
            return MODBUS_ANSWERED;
        }
    }
    return MODBUS_CRC;
}

/* The best words for bytes without an answer in them: what would they be as one frame from the start? */
static enum modbus_fault rtu_explain(const struct modbus_request *request, const uint8_t *bytes, size_t size)
{
    bool refusal = size >= 2 && (bytes[1] & EXCEPTION_BIT);

    if (size == 0) {
        return MODBUS_SILENT;
    }
    if (size < 5) {
        return MODBUS_SHORT;
    }
    if (!crc_is_right(bytes, size)) {
        return !refusal && size < 5u + bytes[2] ? MODBUS_SHORT : MODBUS_CRC;
    }
    if (bytes[0] != request->unit) {
        return MODBUS_WRONG_UNIT;
    }
    if ((bytes[1] & ~EXCEPTION_BIT) != (uint8_t) request->table) {
        return MODBUS_WRONG_FUNCTION;
    }
    return MODBUS_BYTE_COUNT;
}

static void rtu_find(const struct modbus_request *request, const uint8_t *bytes, size_t size,
                     struct modbus_answer *ret)
{
    uint8_t echo[MODBUS_REQUEST_SIZE];
    size_t start = 0;

    // an adapter that hears itself: its own words first. Before the search, since a frame might hide in them
    (void) modbus_request_build(MODBUS_RTU, request, echo);
    if (size >= RTU_REQUEST_SIZE && memcmp(bytes, echo, RTU_REQUEST_SIZE) == 0) {
        start = RTU_REQUEST_SIZE;
    }
    for (size_t i = start; i + 5 <= size; i++) {
        enum modbus_fault fault = rtu_frame_at(request, bytes + i, size - i, ret);

        if (fault == MODBUS_ANSWERED || fault == MODBUS_EXCEPTION) {
            ret->fault = fault;
            ret->offset += i;
            ret->used += i;
            return;
        }
    }
    ret->fault = size > 0 && start == size ? MODBUS_SILENT : rtu_explain(request, bytes + start, size - start);
}

/* One TCP frame from the start of the bytes; ret->used is its size once it is whole, whatever it is. */
static enum modbus_fault tcp_frame(const struct modbus_request *request, const uint8_t *bytes, size_t size,
                                   struct modbus_answer *ret)
{
    size_t whole;

    ret->used = 0;
    if (size < 6) {
        return size == 0 ? MODBUS_SILENT : MODBUS_SHORT;
    }
    whole = 6u + get_word(bytes + 4);
    if (get_word(bytes + 2) != 0 || whole > MODBUS_MAX_ANSWER_SIZE || whole < TCP_HEADER_SIZE + 2) {
        ret->used = size;  // the stream is out of step: nothing after this can be told apart
        return MODBUS_WRONG_PROTOCOL;
    }
    if (size < whole) {
        return MODBUS_SHORT;
    }
    ret->used = whole;
    if (get_word(bytes) != request->transaction) {
        return MODBUS_WRONG_TRANSACTION;
    }
    if (bytes[6] != request->unit) {
        return MODBUS_WRONG_UNIT;
    }
    if ((bytes[7] & ~EXCEPTION_BIT) != (uint8_t) request->table) {
        return MODBUS_WRONG_FUNCTION;
    }
    if (bytes[7] & EXCEPTION_BIT) {
        ret->exception = bytes[8];
        return whole == 9 ? MODBUS_EXCEPTION : MODBUS_BYTE_COUNT;
    }
    if (bytes[8] != 2 * request->count || whole != modbus_answer_size(MODBUS_TCP, request)) {
        return MODBUS_BYTE_COUNT;
    }
    ret->offset = 9;
    return MODBUS_ANSWERED;
}

static void tcp_find(const struct modbus_request *request, const uint8_t *bytes, size_t size,
                     struct modbus_answer *ret)
{
    enum modbus_fault explanation = MODBUS_SILENT;
    size_t start = 0;

    for (;;) {
        enum modbus_fault fault = tcp_frame(request, bytes + start, size - start, ret);

        if (fault == MODBUS_ANSWERED || fault == MODBUS_EXCEPTION) {
            ret->fault = fault;
            ret->offset += start;
            ret->used += start;
            return;
        }
        explanation = fault == MODBUS_SILENT ? explanation : fault;
        if (ret->used == 0) {
            break;
        }
        start += ret->used;
    }
    ret->fault = explanation;
    ret->used = start;
}

void modbus_answer_find(enum modbus_framing framing, const struct modbus_request *request, const uint8_t *bytes,
                        size_t size, struct modbus_answer *ret)
{
    *ret = (struct modbus_answer){ 0 };
    if (framing == MODBUS_TCP) {
        tcp_find(request, bytes, size, ret);
    } else {
        rtu_find(request, bytes, size, ret);
    }
}

void modbus_words(const uint8_t *bytes, size_t word_count, uint16_t *ret)
{
    for (size_t i = 0; i < word_count; i++) {
        ret[i] = get_word(bytes + 2 * i);
    }
}

/* The slave's side knows only the fixed 8 bytes of functions 1 to 6; anything else is no request to it. */
static size_t rtu_request_find(const uint8_t *bytes, size_t size, struct modbus_request *ret, size_t *skipped)
{
    for (size_t i = 0; i + RTU_REQUEST_SIZE <= size; i++) {
        if (!crc_is_right(bytes + i, RTU_REQUEST_SIZE)) {
            continue;
        }
        *ret = (struct modbus_request){ .unit = bytes[i], .table = bytes[i + 1],
                                        .address = get_word(bytes + i + 2), .count = get_word(bytes + i + 4) };
        *skipped = i;
        return RTU_REQUEST_SIZE;
    }
    return 0;
}

/* On TCP the header has the length, so that requests of any function can be stepped over. */
static size_t tcp_request_find(const uint8_t *bytes, size_t size, struct modbus_request *ret)
{
    size_t whole;

    if (size < TCP_HEADER_SIZE + 1) {
        return 0;
    }
    whole = 6u + get_word(bytes + 4);
    if (get_word(bytes + 2) != 0 || whole < TCP_HEADER_SIZE + 1 || size < whole) {
        return 0;  // out of step, or more must come
    }
    *ret = (struct modbus_request){ .transaction = get_word(bytes), .unit = bytes[6], .table = bytes[7] };
    if (whole >= TCP_REQUEST_SIZE) {
        ret->address = get_word(bytes + 8);
        ret->count = get_word(bytes + 10);
    }
    return whole;
}

size_t modbus_request_find(enum modbus_framing framing, const uint8_t *bytes, size_t size,
                           struct modbus_request *ret, size_t *skipped)
{
    *skipped = 0;
    return framing == MODBUS_RTU ? rtu_request_find(bytes, size, ret, skipped) : tcp_request_find(bytes, size, ret);
}

size_t modbus_answer_build(enum modbus_framing framing, const struct modbus_request *request,
                           const uint16_t *words, uint8_t ret[static MODBUS_MAX_ANSWER_SIZE])
{
    uint8_t *pdu = framing == MODBUS_TCP ? ret + TCP_HEADER_SIZE : ret + 1;

    assert(request->count >= 1 && request->count <= MODBUS_MAX_REGISTERS);
    pdu[0] = (uint8_t) request->table;
    pdu[1] = (uint8_t) (2 * request->count);
    for (unsigned i = 0; i < request->count; i++) {
        put_word(pdu + 2 + 2 * i, words[i]);
    }
    if (framing == MODBUS_TCP) {
        put_header(ret, request->transaction, 3u + 2u * request->count, request->unit);
        return TCP_HEADER_SIZE + 2u + 2u * request->count;
    }
    ret[0] = request->unit;
    return add_crc(ret, 3u + 2u * request->count);
}

size_t modbus_exception_build(enum modbus_framing framing, const struct modbus_request *request,
                              uint8_t exception, uint8_t ret[static MODBUS_MAX_ANSWER_SIZE])
{
    uint8_t *pdu = framing == MODBUS_TCP ? ret + TCP_HEADER_SIZE : ret + 1;

    pdu[0] = (uint8_t) ((uint8_t) request->table | EXCEPTION_BIT);
    pdu[1] = exception;
    if (framing == MODBUS_TCP) {
        put_header(ret, request->transaction, 3, request->unit);
        return TCP_HEADER_SIZE + 2;
    }
    ret[0] = request->unit;
    return add_crc(ret, 3);
}
