/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Modbus frames: building requests, recognising answers. Only functions 3 and 4 exist here: nothing in this
 * project writes to a meter. All pure. Sources: MODBUS Application Protocol V1.1b3, section 6.3, 6.4 and 7;
 * MODBUS over Serial Line V1.02, section 2.5; MODBUS Messaging on TCP/IP V1.0b, section 3.1.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum modbus_table { MODBUS_HOLDING = 3, MODBUS_INPUT = 4 };  // the function code that reads it

enum modbus_framing { MODBUS_RTU, MODBUS_TCP };

#define MODBUS_MAX_REGISTERS    125
#define MODBUS_REQUEST_SIZE     12   // TCP; RTU takes 8
#define MODBUS_MAX_ANSWER_SIZE  260  // TCP with its header; RTU at most 256

struct modbus_request {
    uint8_t unit;
    enum modbus_table table;
    uint16_t address;      // on the wire: from 0
    uint16_t count;        // 1 to 125
    uint16_t transaction;  // of Modbus TCP
    bool exact;            // a line never asks for more registers in its place
};

/* What a stream of bytes is, held against the request it should answer. */
enum modbus_fault {
    MODBUS_ANSWERED,        // a whole, right answer
    MODBUS_EXCEPTION,       // a whole, right refusal
    MODBUS_SILENT,          // nothing at all
    MODBUS_SHORT,           // more must come
    MODBUS_CRC,             // long enough, checksum wrong
    MODBUS_WRONG_UNIT,
    MODBUS_WRONG_FUNCTION,
    MODBUS_BYTE_COUNT,      // a whole answer of another length than asked
    MODBUS_WRONG_TRANSACTION,
    MODBUS_WRONG_PROTOCOL,  // TCP: protocol id is not 0
};

struct modbus_answer {
    enum modbus_fault fault;
    uint8_t exception;      // MODBUS_EXCEPTION: its code
    size_t offset;          // MODBUS_ANSWERED: where the register bytes begin
    size_t used;            // bytes to drop from the stream: noise, echo and the frame itself
};

/* Build a request. Returns its size. */
size_t modbus_request_build(enum modbus_framing framing, const struct modbus_request *request,
                            uint8_t ret[static MODBUS_REQUEST_SIZE]);

/* Size of the whole right answer. */
size_t modbus_answer_size(enum modbus_framing framing, const struct modbus_request *request);

/*
 * Look for the answer in the bytes so far. Leading noise and a local echo of the request are stepped over; foreign
 * TCP transactions too. A fault other than ANSWERED and EXCEPTION is only the best explanation of what is
 * there: more bytes may still bring the answer, until the time-out makes it final.
 */
void modbus_answer_find(enum modbus_framing framing, const struct modbus_request *request, const uint8_t *bytes,
                        size_t size, struct modbus_answer *ret);

/* Register bytes of an answer to words in host order. */
void modbus_words(const uint8_t *bytes, size_t word_count, uint16_t *ret);

uint16_t modbus_crc(const uint8_t *bytes, size_t size);

/*
 * The other end, for simulated meters. modbus_request_find() returns the size of the first whole frame of any
 * function (its fields in *ret, table = its function code), 0 if more must come; *skipped is the noise before it.
 * modbus_answer_build() and modbus_exception_build() return the size of the answer, at most MODBUS_MAX_ANSWER_SIZE.
 */
size_t modbus_request_find(enum modbus_framing framing, const uint8_t *bytes, size_t size,
                           struct modbus_request *ret, size_t *skipped);
size_t modbus_answer_build(enum modbus_framing framing, const struct modbus_request *request,
                           const uint16_t *words, uint8_t ret[static MODBUS_MAX_ANSWER_SIZE]);
size_t modbus_exception_build(enum modbus_framing framing, const struct modbus_request *request,
                              uint8_t exception, uint8_t ret[static MODBUS_MAX_ANSWER_SIZE]);
