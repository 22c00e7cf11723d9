/* SPDX-License-Identifier: MIT */
#pragma once

/* How a line comes to its descriptor: what knows devices and sockets, for all drivers. */

#include "drivers/serial.h"

/*
 * Open what an endpoint names: a serial device with the setting, or a TCP connection, by the deadline. Returns
 * the descriptor, non-blocking. *problem gets words for people on failure: what, why, and what helps.
 *
 * Errors: as line_open()
 */
int line_open_endpoint(const struct endpoint *endpoint, const struct serial_setting *setting, uint64_t deadline_us,
                       struct text *problem) MUST_CHECK;
