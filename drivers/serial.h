/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Serial lines and where a meter hangs: endpoints, settings, opening, listing.
 */

#include "app/base/limits.h"
#include "app/base/text.h"

#include <stdbool.h>
#include <stdint.h>

/* "9600 8N1". baud 0: not given. */
struct serial_setting {
    unsigned baud;       // 300 to 115200, 230400
    char parity;         // 'N', 'E', 'O'
    unsigned data_bits;  // 8 (7 for odd devices, not for Modbus RTU)
    unsigned stop_bits;  // 1 or 2
};

/* "9600 8N1", "19200 8E1"; order and one blank matter. Errors: -EINVAL */
int serial_setting_parse(const char *text, struct serial_setting *ret) MUST_CHECK;
#define SERIAL_SETTING_SIZE 16
const char *serial_setting_text(const struct serial_setting *setting, char buffer[static SERIAL_SETTING_SIZE]);

/* Time of one character on the line: start, data, parity and stop bits. */
double serial_character_us(const struct serial_setting *setting);

/* Silence between frames: 3.5 characters, 1750 us above 19200 Bd (Modbus over serial line V1.02, 2.5.1.1). */
double serial_silence_us(const struct serial_setting *setting);

enum endpoint_kind { ENDPOINT_AUTO, ENDPOINT_SERIAL, ENDPOINT_TCP, ENDPOINT_RTU_TCP };

/* Where a bus is: the PORT of the command line and of [bus]. */
struct endpoint {
    enum endpoint_kind kind;
    char path[PATH_SIZE];    // device of ENDPOINT_SERIAL
    char host[256];          // name or address of the TCP kinds
    char service[8];         // port number
};

/*
 * "auto", "/dev/ttyUSB0", "tcp:HOST:PORT", "rtu-tcp:HOST:PORT", "tcp:[::1]:502"; PORT may be left out: 502.
 * Errors: -EINVAL; *problem (may be NULL) says what is allowed, a static string
 */
int endpoint_parse(const char *text, struct endpoint *ret, const char **problem) MUST_CHECK;
#define ENDPOINT_TEXT_SIZE (PATH_SIZE + 16)
const char *endpoint_text(const struct endpoint *endpoint, char buffer[static ENDPOINT_TEXT_SIZE]);

/*
 * Open a serial device: raw, non-blocking, flock'ed so that two of our programs never talk at once, low
 * latency where the driver knows it. The caller closes the descriptor.
 *
 * Errors: -ENOENT absent, -EACCES no permission, -EBUSY another program holds it, -ENOTTY not a serial
 *         device, -EINVAL the device refuses the setting
 */
int serial_open(const char *path, const struct serial_setting *setting) MUST_CHECK;

/* Change the setting of an open device, after what was written has left. */
int serial_configure(int fd, const struct serial_setting *setting) MUST_CHECK;

/*
 * The adapters of this machine, one "path\tdescription\tstable name" line each, into ret: USB serial adapters
 * first (ttyUSB, ttyACM), then the board's UARTs that answer. Returns how many. root is "" for this machine's
 * "/dev" and "/sys/class/tty"; a test gives a directory of its own in place of "/".
 */
int serial_list(const char *root, struct text *ret) MUST_CHECK;

/*
 * The device that `auto` means: the only adapter there is. tried (may be NULL) gets the list of what was
 * looked at, for the message (ES-28). Errors: -ENOENT none, -ENOTUNIQ more than one
 */
int serial_find_only(const char *root, char *ret_path, size_t size, struct text *tried) MUST_CHECK;
