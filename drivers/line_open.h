/* SPDX-License-Identifier: MIT */
#pragma once

/* How a line comes to its descriptor: what knows devices and sockets, for all drivers. */

#include "drivers/serial.h"

/*
 * Open what an endpoint names: a serial device with the setting, or a TCP connection, by the deadline. Returns
 * the descriptor, non-blocking. *problem gets words for people on failure: what, why, and what helps.
 *
 * "/dev/ttyUSB0" may be another adapter the next time. The endpoint remembers the adapter that it was, and means that
 * one from then on, whatever its device is called; another that has its name is taken when the first was away for 10 s.
 *
 * Errors: as line_open()
 */
int line_open_endpoint(struct endpoint *endpoint, const struct serial_setting *setting, uint64_t deadline_us,
                       struct text *problem) MUST_CHECK;
