/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A line, and at its other end what answers as it is told: on a pty, and on TCP. For the tests of lines. Links
 * ms_drivers.
 */

#include "tests/test.h"

#include "app/base/clock.h"
#include "drivers/modbus_line.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#define TIMEOUT_US 60000

/* What the other end does with the requests, in order; the last one goes for all that follow. */
enum deed {
    ANSWER,
    STAY_SILENT,
    ANSWER_LATE,        // the answer comes when the next request has, before its own
    DAMAGE,             // one bit of the answer is wrong
    REFUSE,             // exception 2
    LATE_BEHIND_TWO,    // two whole answers to others at once, of other lengths; its own is late
    REFUSE_LATE,        // exception 2 when the next request has come, before its own answer
    ECHO_FIRST,               // the request comes back first
    NOISE,              // before the answer
    DRIP,               // byte by byte
    WRONG_UNIT,
    WRONG_TRANSACTION,  // only that
    FOREIGN_FIRST,      // an answer to another transaction, then the right one
    HANG_UP,
    HALF,               // of the answer
};

/* The other end of a line, in a thread of its own: register n has the value 0x100 + n. */
struct peer {
    int fd, listener;
    enum modbus_framing framing;
    const enum deed *deeds;
    size_t deed_count;
    pthread_t thread;
    atomic_bool stop;
    atomic_uint request_count;
    struct modbus_request requests[16];
    uint8_t late[MODBUS_MAX_ANSWER_SIZE];
    size_t late_size;
};

static inline void say(struct peer *peer, const void *bytes, size_t size)
{
    (void) !write(peer->fd, bytes, size);
}

static inline size_t build_answer(const struct peer *peer, const struct modbus_request *request, uint8_t *ret)
{
    uint16_t words[MODBUS_MAX_REGISTERS];

    for (unsigned i = 0; i < request->count; i++) {
        words[i] = (uint16_t) (0x100 + request->address + i);
    }
    return modbus_answer_build(peer->framing, request, words, ret);
}

/* Do what is asked for with one request. false: the connection is closed. */
static inline bool do_deed(struct peer *peer, enum deed deed, const struct modbus_request *request, const uint8_t *raw,
                    size_t raw_size)
{
    struct modbus_request other = *request;
    uint8_t frame[MODBUS_MAX_ANSWER_SIZE];
    size_t size = build_answer(peer, request, frame);

    switch (deed) {
    case STAY_SILENT:
        return true;
    case ANSWER_LATE:
        memcpy(peer->late, frame, size);
        peer->late_size = size;
        return true;
    case LATE_BEHIND_TWO:
        memcpy(peer->late, frame, size);
        peer->late_size = size;
        other.count += 3;
        size = build_answer(peer, &other, frame);
        other.count += 2;
        size += build_answer(peer, &other, frame + size);
        break;
    case REFUSE_LATE:
        peer->late_size = modbus_exception_build(peer->framing, request, 2, peer->late);
        return true;
    case DAMAGE:
        frame[4] ^= 0x10;
        break;
    case REFUSE:
        size = modbus_exception_build(peer->framing, request, 2, frame);
        break;
    case ECHO_FIRST:
        say(peer, raw, raw_size);
        break;
    case NOISE:
        say(peer, "\xFF\x00\x01\x03", 4);
        break;
    case DRIP:
        for (size_t i = 0; i < size; i++) {
            say(peer, frame + i, 1);
            (void) usleep(1000);
        }
        return true;
    case WRONG_UNIT:
        other.unit++;
        size = build_answer(peer, &other, frame);
        break;
    case WRONG_TRANSACTION:
    case FOREIGN_FIRST:
        other.transaction--;
        other.address += 1000;
        size = build_answer(peer, &other, frame);
        if (deed == FOREIGN_FIRST) {
            say(peer, frame, size);
            size = build_answer(peer, request, frame);
        }
        break;
    case HANG_UP:
        return false;
    case HALF:
        size /= 2;
        break;
    case ANSWER:
        break;
    }
    say(peer, frame, size);
    return true;
}

/* Serve one connection until it closes or the test ends. */
static inline void serve(struct peer *peer)
{
    uint8_t bytes[512];
    size_t size = 0;

    while (!peer->stop) {
        struct pollfd waiting = { .fd = peer->fd, .events = POLLIN };
        struct modbus_request request;
        size_t skipped, found;
        ssize_t count;

        if (poll(&waiting, 1, 10) == 0) {
            continue;
        }
        count = read(peer->fd, bytes + size, sizeof(bytes) - size);
        if (count <= 0) {
            return;
        }
        size += (size_t) count;
        while ((found = modbus_request_find(peer->framing, bytes, size, &request, &skipped)) > 0) {
            unsigned number = peer->request_count;
            enum deed deed = peer->deeds[MIN((size_t) number, peer->deed_count - 1)];

            peer->requests[number % ARRAY_SIZE(peer->requests)] = request;
            peer->request_count++;  // atomic: whoever has read it may look at the request
            if (peer->late_size > 0) {
                say(peer, peer->late, peer->late_size);
                peer->late_size = 0;
                (void) usleep(20000);
            }
            if (!do_deed(peer, deed, &request, bytes + skipped, found)) {
                return;
            }
            size -= skipped + found;
            memmove(bytes, bytes + skipped + found, size);
        }
    }
}

static inline void *run(void *data)
{
    struct peer *peer = data;

    if (peer->listener < 0) {
        serve(peer);
        return NULL;
    }
    while ((peer->fd = accept(peer->listener, NULL, NULL)) >= 0) {
        serve(peer);
        (void) close(peer->fd);
    }
    return NULL;
}

/* A line and what hangs at its other end. */
struct rig {
    struct peer peer;
    struct line *line;
    char path[64];
    int keeper;
};

/* On a pty. The slave stays open here too, so that the peer has a partner before and after the line. */
static inline void start_pty(struct rig *rig, const enum deed *deeds, size_t deed_count)
{
    static const struct serial_setting fast = { 115200, 'N', 8, 1 };
    struct endpoint endpoint = { .kind = ENDPOINT_SERIAL };
    const struct termios raw = { .c_cflag = CS8 | CREAD | CLOCAL, .c_cc = { [VMIN] = 1 } };

    *rig = (struct rig){ .peer = { .listener = -1, .framing = MODBUS_RTU, .deeds = deeds, .deed_count = deed_count } };
    CHECK_EQ(openpty(&rig->peer.fd, &rig->keeper, rig->path, &raw, NULL), 0);
    CHECK_EQ(text_copy(endpoint.path, sizeof(endpoint.path), rig->path), 0);
    CHECK_EQ(line_new(&endpoint, &fast, &rig->line), 0);
    CHECK_EQ(pthread_create(&rig->peer.thread, NULL, run, &rig->peer), 0);
}

static inline void stop_pty(struct rig *rig)
{
    line_close(rig->line);
    rig->peer.stop = true;
    (void) pthread_join(rig->peer.thread, NULL);
    (void) close(rig->keeper);
    (void) close(rig->peer.fd);
}

static inline void start_tcp(struct rig *rig, enum endpoint_kind kind, const enum deed *deeds, size_t deed_count)
{
    static const struct serial_setting none = { 9600, 'N', 8, 1 };
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(address);
    struct endpoint endpoint = { .kind = kind, .host = "127.0.0.1" };

    *rig = (struct rig){ .peer = { .framing = kind == ENDPOINT_TCP ? MODBUS_TCP : MODBUS_RTU, .deeds = deeds,
                                   .deed_count = deed_count } };
    rig->peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(rig->peer.listener >= 0);
    CHECK_EQ(bind(rig->peer.listener, (struct sockaddr *) &address, sizeof(address)), 0);
    CHECK_EQ(listen(rig->peer.listener, 4), 0);
    CHECK_EQ(getsockname(rig->peer.listener, (struct sockaddr *) &address, &size), 0);
    (void) snprintf(endpoint.service, sizeof(endpoint.service), "%u", ntohs(address.sin_port));
    CHECK_EQ(line_new(&endpoint, &none, &rig->line), 0);
    CHECK_EQ(pthread_create(&rig->peer.thread, NULL, run, &rig->peer), 0);
}

static inline void stop_tcp(struct rig *rig)
{
    line_close(rig->line);
    rig->peer.stop = true;
    (void) shutdown(rig->peer.listener, SHUT_RDWR);
    (void) pthread_join(rig->peer.thread, NULL);
    (void) close(rig->peer.listener);
}

static struct line_result result;
static uint16_t words[MODBUS_MAX_REGISTERS];

/* Ask for registers of unit 1. On success the words must be those of that address. */
static inline int ask(struct rig *rig, uint16_t address, uint16_t count)
{
    struct modbus_request request = { .unit = 1, .table = MODBUS_HOLDING, .address = address, .count = count };
    int r;

    memset(words, 0xEE, sizeof(words));
    result.fault = (enum modbus_fault) 99;
    r = line_transact(rig->line, &request, TIMEOUT_US, 0, words, &result);
    for (unsigned i = 0; i < MODBUS_MAX_REGISTERS; i++) {
        uint16_t expected = (uint16_t) (r == 0 && i < count ? 0x100 + address + i : 0xEEEE);

        if (words[i] != expected) {
            fail_msg("word %u is 0x%04X, not 0x%04X", i, words[i], expected);
        }
    }
    CHECK(result.fault != (enum modbus_fault) 99);
    return r;
}
