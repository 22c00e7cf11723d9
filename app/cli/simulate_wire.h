/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One half-duplex line as it would be on copper: a request takes its characters, then 3.5 characters of silence
 * pass, then the meter's turnaround, then the answer comes character by character, handed over eight at a time as a
 * serial driver does. It counts what must never happen: bytes sent into a running transaction, and requests that
 * begin less than 3.5 characters after the last frame.
 *
 * With character_us 0 it is a wire without time: answers only wait for the turnaround. Pure: the time, in us of the
 * monotonic clock, comes from the caller.
 */

#include "app/cli/simulate_fault.h"

#include <stdbool.h>
#include <stdint.h>

#define WIRE_CHUNK 8

struct wire_counters {
    uint64_t requests, answers, silent;
    uint64_t collisions;  // bytes that came into a running transaction
    uint64_t silence_violations;
    double busy_us;              // charged: characters, silences, turnarounds
    double work_us;              // the same without the turnarounds
    uint64_t first_us, last_us;  // begin of the first request, end of the last answer
};

struct wire {
    double character_us, silence_us, turnaround_us;
    bool rtu;  // else TCP: requests may be sent ahead
    uint8_t in[512];
    size_t in_size;
    uint64_t in_first_us;  // when the first byte of what waits in `in` came
    uint64_t in_last_us;
    struct answer answer;
    size_t sent;
    bool busy;
    double start_us;  // when the answer's first character begins; no answer: when the line is free
    double free_us;   // end of the last frame
    struct wire_counters counters;
};

/* Bytes came in. */
void wire_receive(struct wire *wire, const uint8_t *bytes, size_t size, uint64_t now_us);

/* The next whole request, if the line is free for it. */
bool wire_request(struct wire *wire, struct modbus_request *ret);

/* Put the answer to the last request on the line; size 0: there is none. */
void wire_answer(struct wire *wire, const struct answer *answer);

/* What is due of the answer: returns its size and where it begins; 0 if nothing is. Call until it is 0. */
size_t wire_due(struct wire *wire, uint64_t now_us, const uint8_t **ret);

/* When wire_due() has something to do again; UINT64_MAX: never by itself. */
uint64_t wire_next_us(const struct wire *wire);
