/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Requests that were given up and whose answer may still come. An RTU answer carries no address, only unit, function
 * and length: until its time is over, nobody asks the same unit for as many registers of the same table, or the late
 * answer would pass for the new one.
 *
 * Programs that share a port share this list too, in a file that is read and written only by who holds the port. Before
 * each request its shape is put there as the flight: who finds the port left by a dead program knows what that had
 * asked for. All programs count the same monotonic clock.
 */

#include "app/base/macros.h"
#include "drivers/modbus_frame.h"

#include <stdbool.h>
#include <stdint.h>

#define LATE_US    UINT64_C(2000000)  // an answer may come so late, from a busy gateway
#define LATE_COUNT 128                // time-outs remembered for that long: 2 s / 20 ms, and retries

struct late {
    uint8_t unit, table;
    uint16_t count;                   // 0: none
    uint32_t unused;
    uint64_t until_us;                // monotonic clock
};

struct late_list {
    struct late entries[LATE_COUNT];
    int fd;                           // of the file; -1: nobody shares this list
};

void late_init(struct late_list *list);
void late_clear(struct late_list *list);

/*
 * Share it in that file, made if it is not there. Whoever may not use the file does not share: returns why.
 * Errors: those of open()
 */
int late_share(struct late_list *list, const char *path) MUST_CHECK;

/* Until when an answer of the shape of this one may come late; 0: none. */
uint64_t late_until_us(const struct late_list *list, const struct modbus_request *request, uint64_t now_us);

/* Whether an answer of its unit and table may, of any length: a refusal has none to tell it by. */
bool late_is_any(const struct late_list *list, const struct modbus_request *request, uint64_t now_us);

/* Make it longer until no late answer has its length. false: there is no room, and it is as it was. */
bool late_lengthen(const struct late_list *list, struct modbus_request *request, uint64_t now_us);

/* Nobody waits for the answer to this one any more. */
void late_remember(struct late_list *list, const struct modbus_request *request, uint64_t now_us);

/*
 * The port is ours: learn what other programs gave up. dirty: who had it before us died, and what it had in flight is
 * given up as well.
 */
void late_load(struct late_list *list, bool dirty, uint64_t now_us);

/* This one goes out now. */
void late_depart(const struct late_list *list, const struct modbus_request *request, uint64_t now_us);
