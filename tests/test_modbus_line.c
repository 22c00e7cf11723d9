/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "app/base/clock.h"
#include "drivers/modbus_line.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <termios.h>

#define TIMEOUT_US 60000

/* What the other end does with the requests, in order; the last one goes for all that follow. */
enum deed {
    ANSWER,
    STAY_SILENT,
    ANSWER_LATE,        // the answer comes when the next request has, before its own
    DAMAGE,             // one bit of the answer is wrong
    REFUSE,             // exception 2
    REFUSE_LATE,        // the same, when the next request has come, before its own answer
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

static void say(struct peer *peer, const void *bytes, size_t size)
{
    (void) !write(peer->fd, bytes, size);
}

static size_t build_answer(const struct peer *peer, const struct modbus_request *request, uint8_t *ret)
{
    uint16_t words[MODBUS_MAX_REGISTERS];

    for (unsigned i = 0; i < request->count; i++) {
        words[i] = (uint16_t) (0x100 + request->address + i);
    }
    return modbus_answer_build(peer->framing, request, words, ret);
}

/* Do what is asked for with one request. false: the connection is closed. */
static bool do_deed(struct peer *peer, enum deed deed, const struct modbus_request *request, const uint8_t *raw,
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
static void serve(struct peer *peer)
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

static void *run(void *data)
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
static void start_pty(struct rig *rig, const enum deed *deeds, size_t deed_count)
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

static void stop_pty(struct rig *rig)
{
    line_close(rig->line);
    rig->peer.stop = true;
    (void) pthread_join(rig->peer.thread, NULL);
    (void) close(rig->keeper);
    (void) close(rig->peer.fd);
}

static void start_tcp(struct rig *rig, enum endpoint_kind kind, const enum deed *deeds, size_t deed_count)
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

static void stop_tcp(struct rig *rig)
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
static int ask(struct rig *rig, uint16_t address, uint16_t count)
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

static void test_a_meter_answers(void)
{
    static const enum deed deeds[] = { ANSWER };
    struct rig rig;
    uint64_t before_ms = clock_boot_ms();

    start_pty(&rig, deeds, 1);
    for (uint16_t i = 0; i < 20; i++) {
        CHECK_EQ(ask(&rig, (uint16_t) (i * 7), (uint16_t) (i + 1)), 0);
        CHECK_EQ(result.fault, MODBUS_ANSWERED);
        CHECK(result.latency_us > 0 && result.latency_us < TIMEOUT_US);
        CHECK(result.first_byte_ms + 50 >= before_ms && result.first_byte_ms <= clock_boot_ms());
    }
    CHECK_EQ(ask(&rig, 0, 125), 0);
    CHECK_EQ(rig.peer.request_count, 21);
    stop_pty(&rig);
}

static void test_whoever_slept_too_long_does_not_know_when_the_answer_came(void)
{
    static const enum deed deeds[] = { ANSWER };
    struct modbus_request request = { .unit = 1, .table = MODBUS_HOLDING, .address = 0, .count = 2 };
    struct rig rig;

    start_pty(&rig, deeds, 1);
    CHECK_EQ(line_transact(rig.line, &request, TIMEOUT_US, 0, words, &result), 0);
    CHECK(!result.latency_is_bound);
    CHECK_EQ(line_transact(rig.line, &request, TIMEOUT_US, 40000, words, &result), 0);
    CHECK(result.latency_is_bound);
    CHECK(result.latency_us > 30000);
    stop_pty(&rig);
}

static void test_silence_takes_the_time_out_and_no_longer(void)
{
    static const enum deed deeds[] = { STAY_SILENT, ANSWER };
    struct rig rig;
    uint64_t start_us;

    start_pty(&rig, deeds, 2);
    start_us = clock_monotonic_us();
    CHECK_EQ(ask(&rig, 5, 2), -ETIMEDOUT);
    CHECK_EQ(result.fault, MODBUS_SILENT);
    CHECK_EQ(result.latency_us, 0);
    CHECK(clock_monotonic_us() - start_us >= TIMEOUT_US);
    CHECK(clock_monotonic_us() - start_us < TIMEOUT_US + 200000);
    CHECK_EQ(ask(&rig, 5, 4), 0);
    stop_pty(&rig);
}

static void test_damaged_and_foreign_answers_are_no_answers(void)
{
    static const enum deed deeds[] = { DAMAGE, WRONG_UNIT, HALF, ANSWER };
    struct rig rig;

    start_pty(&rig, deeds, 4);
    CHECK_EQ(ask(&rig, 0, 2), -EBADMSG);
    CHECK_EQ(result.fault, MODBUS_CRC);
    CHECK_EQ(ask(&rig, 0, 4), -EBADMSG);
    CHECK_EQ(result.fault, MODBUS_WRONG_UNIT);
    CHECK_EQ(ask(&rig, 0, 6), -EBADMSG);
    CHECK_EQ(result.fault, MODBUS_SHORT);
    CHECK_EQ(ask(&rig, 0, 8), 0);
    stop_pty(&rig);
}

static void test_echo_noise_and_pauses_do_not_matter(void)
{
    static const enum deed deeds[] = { ECHO_FIRST, NOISE, DRIP, ANSWER };
    struct rig rig;

    start_pty(&rig, deeds, 4);
    for (uint16_t i = 0; i < 4; i++) {
        CHECK_EQ(ask(&rig, (uint16_t) (10 * i), 3), 0);
    }
    CHECK_EQ(rig.peer.request_count, 4);
    stop_pty(&rig);
}

static void test_a_refusal_has_its_code_and_is_told_at_once(void)
{
    static const enum deed deeds[] = { REFUSE, ANSWER };
    struct rig rig;
    uint64_t start_us;

    start_pty(&rig, deeds, 2);
    start_us = clock_monotonic_us();
    CHECK_EQ(ask(&rig, 0, 2), -EOPNOTSUPP);
    CHECK_EQ(result.fault, MODBUS_EXCEPTION);
    CHECK_EQ(result.exception, 2);
    CHECK(clock_monotonic_us() - start_us < TIMEOUT_US);
    CHECK_EQ(ask(&rig, 0, 2), 0);
    stop_pty(&rig);
}

/* RTU answers carry no address: that of register 0 would pass for that of register 10. ask() compares the words. */
static void test_a_late_answer_is_never_credited_to_the_next_request_of_its_length(void)
{
    static const enum deed deeds[] = { ANSWER_LATE, ANSWER };
    struct rig rig;

    start_pty(&rig, deeds, 2);
    CHECK_EQ(ask(&rig, 0, 2), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 10, 2), 0);
    CHECK_EQ(rig.peer.request_count, 2);
    CHECK_EQ(rig.peer.requests[1].count, 3);  // asked for one more, so that the lengths differ
    CHECK_EQ(rig.peer.requests[1].address, 10);
    CHECK_EQ(ask(&rig, 20, 2), 0);
    stop_pty(&rig);
}

static void test_late_answers_of_several_requests_are_all_kept_apart(void)
{
    static const enum deed deeds[] = { STAY_SILENT, ANSWER_LATE, ANSWER };
    struct rig rig;

    start_pty(&rig, deeds, 3);
    CHECK_EQ(ask(&rig, 0, 2), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 10, 2), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 20, 2), 0);
    CHECK_EQ(rig.peer.request_count, 3);
    CHECK_EQ(rig.peer.requests[1].count, 3);
    CHECK_EQ(rig.peer.requests[2].count, 4);
    stop_pty(&rig);
}

static void test_a_meter_that_refuses_the_longer_request_is_asked_when_late_answers_are_over(void)
{
    static const enum deed deeds[] = { STAY_SILENT, REFUSE, ANSWER };
    struct modbus_request exact = { .unit = 1, .table = MODBUS_HOLDING, .address = 10, .count = 2, .exact = true };
    struct rig rig;
    uint64_t start_us;

    start_pty(&rig, deeds, 3);
    CHECK_EQ(ask(&rig, 0, 2), -ETIMEDOUT);
    start_us = clock_monotonic_us();
    CHECK_EQ(ask(&rig, 10, 2), -EAGAIN);
    CHECK(clock_monotonic_us() - start_us < 1000000);  // nobody waits here: others may be asked
    CHECK(result.refuses_longer);
    CHECK(result.retry_us > clock_monotonic_us() + 1000000);
    CHECK_EQ(rig.peer.requests[1].count, 3);

    CHECK_EQ(line_transact(rig.line, &exact, TIMEOUT_US, 0, words, &result), -EAGAIN);  // and it is not asked again
    CHECK(!result.refuses_longer);
    CHECK_EQ(rig.peer.request_count, 2);
    CHECK_EQ(ask(&rig, 20, 5), 0);  // another length is asked at once
    clock_sleep_until_us(result.retry_us > 0 ? result.retry_us : start_us + 2000000);
    CHECK_EQ(ask(&rig, 10, 2), 0);
    CHECK_EQ(rig.peer.requests[3].count, 2);
    stop_pty(&rig);
}

/* A refusal has no length by which it could be told apart: it counts only if no answer follows. Fault 8. */
static void test_a_late_refusal_is_not_credited_to_the_next_request(void)
{
    static const enum deed deeds[] = { REFUSE_LATE, ANSWER, REFUSE_LATE, REFUSE, ANSWER };
    struct rig rig;

    start_pty(&rig, deeds, ARRAY_SIZE(deeds));
    CHECK_EQ(ask(&rig, 0, 2), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 10, 4), 0);
    CHECK_EQ(ask(&rig, 20, 6), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 30, 8), -EOPNOTSUPP);  // its own refusal came too
    CHECK_EQ(ask(&rig, 40, 8), 0);
    CHECK_EQ(rig.peer.requests[4].count, 9);  // the refusal may have been the other one's: the answer can be late
    stop_pty(&rig);
}

/* Bytes that are no answer may be noise, and the answer still come. Fault 6. */
static void test_after_noise_the_answer_may_still_be_late(void)
{
    static const enum deed deeds[] = { WRONG_UNIT, DAMAGE, ANSWER };
    struct rig rig;

    start_pty(&rig, deeds, 3);
    CHECK_EQ(ask(&rig, 0, 2), -EBADMSG);
    CHECK_EQ(ask(&rig, 10, 2), -EBADMSG);
    CHECK_EQ(rig.peer.requests[1].count, 3);
    CHECK_EQ(ask(&rig, 20, 3), 0);
    CHECK_EQ(rig.peer.requests[2].count, 3);  // what came damaged has come
    stop_pty(&rig);
}

static void test_a_port_that_vanishes_is_told_and_used_again_when_it_is_back(void)
{
    static const enum deed deeds[] = { ANSWER };
    char link[64];
    static const struct serial_setting fast = { 115200, 'N', 8, 1 };
    struct endpoint endpoint = { .kind = ENDPOINT_SERIAL };
    struct rig rig;
    struct rig again;

    (void) snprintf(link, sizeof(link), "/tmp/meterstick-line-%d", (int) getpid());
    start_pty(&rig, deeds, 1);
    CHECK_EQ(symlink(rig.path, link), 0);
    CHECK_EQ(text_copy(endpoint.path, sizeof(endpoint.path), link), 0);
    line_close(rig.line);
    CHECK_EQ(line_new(&endpoint, &fast, &rig.line), 0);
    CHECK_EQ(ask(&rig, 0, 2), 0);

    (void) unlink(link);
    (void) close(rig.keeper);
    // a hangup of the master, as when an adapter is pulled
    rig.peer.stop = true;
    (void) pthread_join(rig.peer.thread, NULL);
    (void) close(rig.peer.fd);
    CHECK_EQ(ask(&rig, 0, 2), -ENODEV);
    CHECK_HAS(line_problem(rig.line), "adapter gone");
    CHECK_EQ(ask(&rig, 0, 2), -ENOENT);
    CHECK_HAS(line_problem(rig.line), "there is no device /tmp/meterstick-line-");

    start_pty(&again, deeds, 1);
    CHECK_EQ(symlink(again.path, link), 0);
    CHECK_EQ(ask(&rig, 0, 2), -ENOENT);  // looked for once a second
    (void) usleep(1050000);
    CHECK_EQ(ask(&rig, 3, 2), 0);
    line_close(rig.line);
    stop_pty(&again);
    (void) unlink(link);
}

static void test_a_port_in_use_or_of_no_serial_device_is_explained(void)
{
    static const enum deed deeds[] = { ANSWER };
    static const struct serial_setting fast = { 115200, 'N', 8, 1 };
    struct endpoint endpoint = { .kind = ENDPOINT_SERIAL };
    auto_line struct line *second = NULL, *none = NULL;
    struct rig rig;

    start_pty(&rig, deeds, 1);
    CHECK_EQ(ask(&rig, 0, 2), 0);
    CHECK_EQ(text_copy(endpoint.path, sizeof(endpoint.path), rig.path), 0);
    CHECK_EQ(line_new(&endpoint, &fast, &second), 0);
    CHECK_EQ(line_open(second, UINT64_MAX), -EBUSY);
    CHECK_HAS(line_problem(second), "is in use by another program");
    CHECK_EQ(text_copy(endpoint.path, sizeof(endpoint.path), "/dev/null"), 0);
    CHECK_EQ(line_new(&endpoint, &fast, &none), 0);
    CHECK_EQ(line_open(none, UINT64_MAX), -ENOTTY);
    CHECK_STR(line_problem(none), "/dev/null is no serial device");
    stop_pty(&rig);
}

static void test_a_setting_is_changed_for_the_next_request(void)
{
    static const enum deed deeds[] = { ANSWER };
    static const struct serial_setting slow = { 19200, 'N', 8, 1 };
    struct termios terminal;
    struct rig rig;

    start_pty(&rig, deeds, 1);
    CHECK_NEAR(line_character_us(rig.line), 86.8056, 1e-3);
    CHECK_EQ(ask(&rig, 0, 1), 0);
    CHECK_EQ(tcgetattr(rig.keeper, &terminal), 0);
    CHECK_EQ(cfgetospeed(&terminal), B115200);
    line_set_serial(rig.line, &slow);
    CHECK_EQ(ask(&rig, 0, 1), 0);
    CHECK_EQ(tcgetattr(rig.keeper, &terminal), 0);
    CHECK_EQ(cfgetospeed(&terminal), B19200);
    CHECK_NEAR(line_character_us(rig.line), 520.8333, 1e-3);
    CHECK_NEAR(line_silence_us(rig.line), 3.5 * 520.8333, 1e-2);
    stop_pty(&rig);
}

static void test_between_requests_there_is_silence(void)
{
    static const enum deed deeds[] = { ANSWER };
    static const struct serial_setting slow = { 1200, 'N', 8, 1 };
    struct rig rig;
    uint64_t answered_us;

    start_pty(&rig, deeds, 1);
    line_set_serial(rig.line, &slow);
    CHECK_EQ(ask(&rig, 0, 1), 0);
    answered_us = clock_monotonic_us();
    CHECK_EQ(ask(&rig, 0, 1), 0);
    CHECK(clock_monotonic_us() - answered_us >= 29000);  // 3.5 characters at 1200 Bd
    stop_pty(&rig);
}

static void test_a_line_is_silent_before_it_is_given_away_not_after_it_is_taken(void)
{
    static const enum deed deeds[] = { ANSWER };
    static const struct serial_setting slow = { 1200, 'N', 8, 1 };
    struct rig rig;
    uint64_t start_us;

    start_pty(&rig, deeds, 1);
    line_set_serial(rig.line, &slow);
    start_us = clock_monotonic_us();
    CHECK_EQ(ask(&rig, 0, 1), 0);
    CHECK(clock_monotonic_us() - start_us < 25000);
    start_us = clock_monotonic_us();
    line_close(TAKE(rig.line));
    CHECK(clock_monotonic_us() - start_us >= 29000);
    stop_pty(&rig);
}

static void test_modbus_tcp_answers_refuses_and_is_silent(void)
{
    static const enum deed deeds[] = { ANSWER, REFUSE, STAY_SILENT, DRIP };
    struct rig rig;

    start_tcp(&rig, ENDPOINT_TCP, deeds, 4);
    CHECK_NEAR(line_character_us(rig.line), 0, 0);
    CHECK_NEAR(line_silence_us(rig.line), 0, 0);
    CHECK_EQ(ask(&rig, 40, 10), 0);
    CHECK_EQ(ask(&rig, 40, 10), -EOPNOTSUPP);
    CHECK_EQ(result.exception, 2);
    CHECK_EQ(ask(&rig, 40, 10), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 40, 10), 0);
    CHECK_EQ(rig.peer.requests[3].count, 10);  // transactions are numbered: no need for another length
    CHECK_EQ(rig.peer.requests[3].transaction, rig.peer.requests[0].transaction + 3);
    stop_tcp(&rig);
}

static void test_a_foreign_transaction_on_tcp_is_stepped_over_and_never_credited(void)
{
    static const enum deed deeds[] = { FOREIGN_FIRST, WRONG_TRANSACTION, WRONG_UNIT, ANSWER_LATE, ANSWER };
    struct rig rig;

    start_tcp(&rig, ENDPOINT_TCP, deeds, 5);
    CHECK_EQ(ask(&rig, 0, 2), 0);
    CHECK_EQ(ask(&rig, 10, 2), -EBADMSG);
    CHECK_EQ(result.fault, MODBUS_WRONG_TRANSACTION);
    CHECK_EQ(ask(&rig, 20, 2), -EBADMSG);
    CHECK_EQ(result.fault, MODBUS_WRONG_UNIT);
    CHECK_EQ(ask(&rig, 30, 2), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 40, 2), 0);
    stop_tcp(&rig);
}

static void test_a_connection_that_is_closed_is_opened_again_at_the_next_request(void)
{
    static const enum deed deeds[] = { ANSWER, HANG_UP, ANSWER };
    struct rig rig;

    start_tcp(&rig, ENDPOINT_TCP, deeds, 3);
    CHECK_EQ(ask(&rig, 0, 2), 0);
    CHECK_EQ(ask(&rig, 0, 2), -ENODEV);
    CHECK_HAS(line_problem(rig.line), "tcp:127.0.0.1:");
    CHECK_HAS(line_problem(rig.line), "closed by the other end");
    CHECK_EQ(ask(&rig, 0, 2), 0);
    stop_tcp(&rig);
}

static void test_rtu_over_tcp_keeps_late_answers_apart_as_a_serial_line_does(void)
{
    static const enum deed deeds[] = { ANSWER, ANSWER_LATE, ANSWER };
    struct rig rig;

    start_tcp(&rig, ENDPOINT_RTU_TCP, deeds, 3);
    CHECK_EQ(ask(&rig, 0, 2), 0);
    CHECK_EQ(ask(&rig, 10, 2), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 20, 2), 0);
    stop_tcp(&rig);
}

static void test_a_refused_connection_and_an_unknown_host_are_explained(void)
{
    static const struct serial_setting none = { 9600, 'N', 8, 1 };
    struct endpoint endpoint = { .kind = ENDPOINT_TCP, .host = "127.0.0.1", .service = "1" };
    auto_line struct line *refused = NULL, *unknown = NULL;
    struct rig rig;

    CHECK_EQ(line_new(&endpoint, &none, &refused), 0);
    rig = (struct rig){ .line = refused };
    CHECK_EQ(ask(&rig, 0, 2), -ECONNREFUSED);
    CHECK_STR(line_problem(refused), "tcp:127.0.0.1:1 refused the connection: the device is there, but nothing "
                                     "listens on "
                                     "that port");
    CHECK_EQ(text_copy(endpoint.host, sizeof(endpoint.host), "no-such-host.invalid"), 0);
    CHECK_EQ(line_new(&endpoint, &none, &unknown), 0);
    CHECK_EQ(line_open(unknown, clock_monotonic_us() + 1000000), -ENOENT);
    CHECK_HAS(line_problem(unknown), "no host of that name");
    line_close(NULL);
}

TESTS(test_a_meter_answers, test_whoever_slept_too_long_does_not_know_when_the_answer_came,
      test_silence_takes_the_time_out_and_no_longer,
      test_damaged_and_foreign_answers_are_no_answers, test_echo_noise_and_pauses_do_not_matter,
      test_a_refusal_has_its_code_and_is_told_at_once,
      test_a_late_answer_is_never_credited_to_the_next_request_of_its_length,
      test_late_answers_of_several_requests_are_all_kept_apart,
      test_a_meter_that_refuses_the_longer_request_is_asked_when_late_answers_are_over,
      test_a_late_refusal_is_not_credited_to_the_next_request,
      test_after_noise_the_answer_may_still_be_late,
      test_a_port_that_vanishes_is_told_and_used_again_when_it_is_back,
      test_a_port_in_use_or_of_no_serial_device_is_explained, test_a_setting_is_changed_for_the_next_request,
      test_between_requests_there_is_silence,
      test_a_line_is_silent_before_it_is_given_away_not_after_it_is_taken,
      test_modbus_tcp_answers_refuses_and_is_silent,
      test_a_foreign_transaction_on_tcp_is_stepped_over_and_never_credited,
      test_a_connection_that_is_closed_is_opened_again_at_the_next_request,
      test_rtu_over_tcp_keeps_late_answers_apart_as_a_serial_line_does,
      test_a_refused_connection_and_an_unknown_host_are_explained)
