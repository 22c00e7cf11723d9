/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One Modbus line: a serial port or a TCP connection, with one request in flight. Owned by one thread.
 *
 * It keeps the line's manners: silence between frames, quiet and flush after a time-out, and it sleeps until the
 * answer is due instead of waking at each byte. It opens by itself, and again after the adapter or connection
 * was gone (not more often than each second).
 */

#include "drivers/modbus_frame.h"
#include "drivers/serial.h"

#include <stdint.h>

struct line;

#define auto_line CLEANUP(line_closep)

/* Nothing is opened yet. The caller closes *ret with line_close(). Errors: -ENOMEM */
int line_new(const struct endpoint *endpoint, const struct serial_setting *setting, struct line **ret) MUST_CHECK;
void line_close(struct line *line);
void line_closep(struct line **line);

/*
 * Other programs use the serial port as well: each transaction is made while the semaphore of that name is held
 * (port_share.h), at most PORT_LOCK_HOLD_US long. Before the line is opened, once. Nothing happens on TCP, nor on a
 * pseudo-terminal unless pty_too. Errors: -ENOMEM, -EINVAL not such a name
 */
int line_share(struct line *line, const char *name, bool pty_too) MUST_CHECK;

/* The longest that a transaction with its time-out may take; 0: any time. */
uint64_t line_hold_us(const struct line *line);

/* Time spent on waiting for the port, in all: nobody's meter is slow for that. */
uint64_t line_waited_us(const struct line *line);

/* Why the port is shared less safely than it could be; "" if there is nothing to say. */
const char *line_warning(const struct line *line);

/*
 * Open now, if it is not open. Errors: as serial_open(); TCP: -ECONNREFUSED, -EHOSTUNREACH, -ETIMEDOUT,
 * -ENOENT (name unknown), ...; ENDPOINT_AUTO: -ENOENT, -ENOTUNIQ. A shared port: -EBUSY other programs use it all
 * the time, and what port_share_take() gives; it is closed then. line_problem() has the words for people.
 */
int line_open(struct line *line, uint64_t deadline_us) MUST_CHECK;

/* Close its port, as line_close() does, once the line is quiet; the next line_open() opens it again. */
void line_shut(struct line *line);
const char *line_problem(const struct line *line);

/*
 * Between two transactions: -1, or the descriptor, for poll() without events. POLLHUP or POLLERR on it means that the
 * adapter or connection is gone; line_hung_up() then closes it, so that the kernel can give its name again, and returns
 * -ENODEV. line_look_again(): look for the port at the next call and not only when a second is over. "auto" that is one
 * of the board's own UARTs, where nobody has answered yet, is given up for an adapter that was plugged in: then true,
 * and what is open next is another line.
 */
int line_fd(const struct line *line);
int line_hung_up(struct line *line);
bool line_look_again(struct line *line);

/* Use another serial setting from the next transaction on; nothing happens if it is the same, or on TCP. */
void line_set_serial(struct line *line, const struct serial_setting *setting);

/* What a transaction found, beside its result. */
struct line_result {
    enum modbus_fault fault;
    uint8_t exception;
    uint32_t latency_us;      // from the request's end on the wire to the answer's first character; 0 if none
    bool latency_is_bound;    // it was there when we woke: it came no later than that
    uint64_t first_byte_ms;   // boot clock
    uint64_t retry_us;        // -EAGAIN: when it may be asked (monotonic)
    size_t stray;             // bytes that came unasked before the request
    bool refuses_longer;      // -EAGAIN: the meter refused the longer request in its place
};

/*
 * Ask and wait. words gets request->count registers in host order.
 *
 * timeout_us    how long after the request's end the answer's first byte may come
 * expect_us     the meter's usual latency: we sleep so long. 0 = unknown
 *
 * Errors: -ETIMEDOUT silent, -EBADMSG only damaged or foreign bytes, -EOPNOTSUPP refused (exception code in
 *         *ret_result), -EAGAIN a late answer to an earlier request might pass for this one's, and no longer request
 *         may be asked in its place (request->exact, or the meter refuses it): another one may be asked meanwhile,
 *         -ENODEV adapter or connection gone (closed; the next call opens again), and what
 *         line_open() gives. *ret_result is always set.
 */
int line_transact(struct line *line, struct modbus_request *request, uint32_t timeout_us, uint32_t expect_us,
                  uint16_t *ret_words, struct line_result *ret_result) MUST_CHECK;

/* What plan_make() needs to know of this line. turnaround_us is the caller's. */
double line_character_us(const struct line *line);
double line_silence_us(const struct line *line);
