/* SPDX-License-Identifier: MIT */
#pragma once

/* What modbus_line.c (transactions) and modbus_port.c (the port under them) share. */

#include "drivers/modbus_late.h"
#include "drivers/modbus_line.h"
#include "drivers/port_share.h"

#define LINE_CONNECT_US  3000000  // a gateway that does not answer by then is asked again later
#define LINE_SLACK_US    50000    // pauses inside an answer: USB adapters, loaded gateways
#define LINE_TAKE_US     5000     // of a hold, for taking the port and giving it back
#define LINE_BUFFER_SIZE 1024     // answer, echo and noise; what comes beyond is noise

struct line {
    struct endpoint endpoint;
    struct serial_setting setting;      // wanted
    struct serial_setting configured;   // of the open device
    enum modbus_framing framing;
    int fd;
    uint64_t quiet_until_us;            // silence before the next request
    uint64_t open_again_us;
    int open_error;                     // of the last attempt, until then
    uint16_t transaction;
    struct late_list late;
    struct port_share *share;           // NULL: the port is ours alone
    bool shared;                        // as it is open now
    bool answered;                      // somebody has, since the line was made
    struct text problem;
    uint8_t buffer[LINE_BUFFER_SIZE];
    size_t size;                        // bytes of it that came since the request
};

bool line_is_serial(const struct line *line);

/*
 * Take a shared port, whose user before us may have died: then the line rests for so long. Nothing happens on others.
 * Errors: those of port_share_take()
 */
int line_take(struct line *line, uint64_t rest_us) MUST_CHECK;
void line_give(struct line *line);

/* Set the port up as the next request wants it. Errors: -ENODEV */
int line_apply_setting(struct line *line) MUST_CHECK;

/*
 * Take what has come. Returns how many bytes, 0 if nothing, -ENODEV if the port is gone. A full buffer is noise:
 * it is emptied.
 */
int line_take_bytes(struct line *line) MUST_CHECK;

/* Wait for bytes. Returns 1 if some may be there, 0 at the time, -ENODEV. */
int line_wait_bytes(struct line *line, uint64_t until_us) MUST_CHECK;

/* The port is not what it was: closed, opened again at once the next time. Returns -ENODEV. */
int line_lose(struct line *line, int error);
