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

#define SERIAL_NAME_SIZE 256

enum endpoint_kind {
    ENDPOINT_AUTO,           // the only adapter there is
    ENDPOINT_SERIAL,         // a device, or a link to one
    ENDPOINT_USB_SOCKET,     // whatever adapter is plugged in there
    ENDPOINT_USB_NUMBER,     // the adapter with that serial number, wherever it is
    ENDPOINT_TCP,
    ENDPOINT_RTU_TCP,
};

/* Where a bus is: the PORT of the command line and of [bus]. */
struct endpoint {
    enum endpoint_kind kind;
    char path[PATH_SIZE];    // device, or what follows "usb:" and "serial:"
    char host[256];          // name or address of the TCP kinds
    char service[8];         // port number
    bool rs485_kernel;       // the kernel's driver turns the transceiver round; not a part of the text

    /* Of ENDPOINT_SERIAL and ENDPOINT_AUTO, what line_open_endpoint() remembers. */
    char adapter[SERIAL_NAME_SIZE];  // the name that stays of the adapter that was opened; "" none yet
    uint64_t missed_us;      // since when another one has its device; 0: none has
};

/*
 * "auto", "/dev/ttyUSB0", "usb:1-1.2", "serial:A50285BI", "tcp:HOST:PORT", "rtu-tcp:HOST:PORT", "tcp:[::1]:502"; PORT
 * may be left out: 502. An adapter with several ports: "usb:1-1.2:1.1", and "serial:A50285BI:1.1" as well.
 * Errors: -EINVAL; *problem (may be NULL) says what is allowed, a static string
 */
int endpoint_parse(const char *text, struct endpoint *ret, const char **problem) MUST_CHECK;
#define ENDPOINT_TEXT_SIZE (PATH_SIZE + 16)
const char *endpoint_text(const struct endpoint *endpoint, char buffer[static ENDPOINT_TEXT_SIZE]);

/* A serial line, and not a connection. */
bool endpoint_is_serial(const struct endpoint *endpoint);

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

/* What an open device, or a pty's other end, is set to; baud 0: a speed that is not ours. Errors: -errno */
int serial_get(int fd, struct serial_setting *ret) MUST_CHECK;

/*
 * Let the kernel drive the transceiver's direction by RTS: on while it sends. Delays and polarity stay as the board's
 * device tree has them. Errors: -ENOTTY the driver cannot, and what else TIOCSRS485 gives
 */
int serial_set_rs485(int fd) MUST_CHECK;

/* The flags that it asks for (enum of linux/serial.h), where those are there already. Pure. */
uint32_t serial_rs485_flags(uint32_t flags);

#define SERIAL_ADAPTERS_MAX 64

/* A serial device of this machine, and each name by which it may be called; "" if it has none of that kind. */
struct serial_adapter {
    char path[SERIAL_NAME_SIZE];         // "/dev/ttyUSB0": may be another's after the next plugging
    char description[128];
    bool usb;
    char socket[SERIAL_NAME_SIZE];       // "usb:1-1.2": whatever is plugged in there
    char number[SERIAL_NAME_SIZE];       // "serial:A50285BI": this adapter, unless another says it is the same
    char by_id[SERIAL_NAME_SIZE];        // udev's link for this adapter; none if it has no serial number of its own
    char by_path[SERIAL_NAME_SIZE];      // udev's link for the socket
};

/*
 * The adapters of this machine, from sysfs: no udev is needed, and no permission. USB first (ttyUSB, ttyACM), then the
 * board's UARTs that have hardware. Returns how many; the caller frees *ret. root is "" for this machine's "/dev" and
 * "/sys"; a test gives a directory of its own in place of "/".
 */
int serial_list(const char *root, struct serial_adapter **ret) MUST_CHECK;

/*
 * The name that stays of a device ("/dev/ttyUSB0"): its serial number, or else its socket. Errors: -ENOENT it has none,
 * -ENOMEM
 */
int serial_name(const char *root, const char *path, char *ret, size_t size) MUST_CHECK;

/*
 * The device that a serial endpoint means now. problem (may be NULL) gets words for people, with what was looked at
 * (ES-28). Errors: -ENOENT there is none, -ENOTUNIQ more than one, -EINVAL a connection, -ENOMEM
 */
int serial_find(const char *root, const struct endpoint *endpoint, char *ret_path, size_t size,
                struct text *problem) MUST_CHECK;
