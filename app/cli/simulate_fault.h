/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What can go wrong on a line, done on purpose: "drop=1%,crc=50%,late=700ms,exception=2@0x56". Each fault has a
 * probability; without one it happens to every answer. Pure; the dice are the caller's.
 *
 *   drop            no answer at all
 *   late=TIME       the answer comes so much later        late=700ms or late=700ms@10%
 *   crc             one bit of the answer is wrong (RTU only: TCP has its own checksum)
 *   cut             the answer ends somewhere in its middle
 *   noise           some bytes of nothing before the answer
 *   echo            the request comes back first, as from an adapter that hears itself
 *   fragment=TIME   the answer comes in pieces with so much time between them
 *   wrong-unit, wrong-function, wrong-length, wrong-transaction
 *                   a whole answer, but to something else
 *   exception=CODE  the meter refuses; CODE@REGISTER (on the wire) only requests that touch that register
 */

#include "app/cli/simulate_meter.h"

#include <stdbool.h>
#include <stdint.h>

enum fault_kind {
    FAULT_DROP,
    FAULT_LATE,
    FAULT_CRC,
    FAULT_CUT,
    FAULT_NOISE,
    FAULT_ECHO,
    FAULT_FRAGMENT,
    FAULT_WRONG_UNIT,
    FAULT_WRONG_FUNCTION,
    FAULT_WRONG_LENGTH,
    FAULT_WRONG_TRANSACTION,
    FAULT_KIND_COUNT,
};

struct faults {
    double probability[FAULT_KIND_COUNT];  // 0 to 1
    uint64_t late_ms;
    uint64_t fragment_ms;
    uint64_t dice;  // state of load_random()
};

/*
 * Set what a list names; what it does not name stays. "none" takes all back. The exceptions go to the meters.
 * Errors: -EINVAL; *problem is a static string
 */
int faults_parse(const char *list, struct faults *faults, struct simulated_meter *meters,
                 unsigned meter_count, const char **problem) MUST_CHECK;

/* An answer on its way, with room for what noise and echo put before it. */
#define FAULT_ANSWER_SIZE (MODBUS_MAX_ANSWER_SIZE + 32)

struct answer {
    uint8_t bytes[FAULT_ANSWER_SIZE];
    size_t size;  // 0: none
    uint64_t late_ms;
    uint64_t fragment_ms;  // 0: in one piece
};

/* Build the answer to a request: right words or an exception, and then what the dice say. */
void faults_answer(struct faults *faults, enum modbus_framing framing,
                   const struct modbus_request *request, unsigned exception, const uint16_t *words,
                   struct answer *ret);

/* The same for a line of text: cut, garbled, with noise before it or dropped. Returns its new size. */
size_t faults_text(struct faults *faults, char *text, size_t size, size_t capacity);
