/* SPDX-License-Identifier: MIT */
#include "drivers/modbus_line.h"

#include "app/base/clock.h"
#include "drivers/line_open.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#define OPEN_AGAIN_US     1000000   // an adapter that is gone is looked for each second
#define CONNECT_US        3000000   // a gateway that does not answer by then is asked again later
#define LATE_US           2000000   // an answer may come so late, from a busy gateway
#define LATE_COUNT        128       // time-outs remembered for that long: 2 s / 20 ms, and retries
#define FRAME_SLACK_US    50000     // pauses inside an answer: USB adapters, loaded gateways
#define WORTH_SLEEPING_US 300       // shorter than this, poll() does as well
#define BUFFER_SIZE       1024      // answer, echo and noise; what comes beyond is noise

/* A request whose answer may still come: RTU answers carry no address, only the unit and their length. */
struct late {
    uint8_t unit;
    enum modbus_table table;
    uint16_t count;
    uint64_t until_us;
};

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
    struct late late[LATE_COUNT];
    struct text problem;
    uint8_t buffer[BUFFER_SIZE];
    size_t size;                        // bytes of it that came since the request
};

static bool is_serial(const struct line *line)
{
    return endpoint_is_serial(&line->endpoint);
}

int line_new(const struct endpoint *endpoint, const struct serial_setting *setting, struct line **ret)
{
    struct line *line = calloc(1, sizeof(*line));

    if (!line) {
        return -ENOMEM;
    }
    line->endpoint = *endpoint;
    line->setting = *setting;
    line->framing = endpoint->kind == ENDPOINT_TCP ? MODBUS_TCP : MODBUS_RTU;
    line->fd = -1;
    *ret = line;
    return 0;
}

static void close_port(struct line *line)
{
    if (line->fd >= 0) {
        (void) close(line->fd);
    }
    line->fd = -1;
}

void line_close(struct line *line)
{
    if (!line) {
        return;
    }
    // whoever opens it next may talk at once
    if (line->fd >= 0 && clock_monotonic_us() < line->quiet_until_us) {
        clock_sleep_until_us(line->quiet_until_us);
    }
    close_port(line);
    text_clear(&line->problem);
    free(line);
}

void line_closep(struct line **line)
{
    line_close(*line);
}

double line_character_us(const struct line *line)
{
    return is_serial(line) ? serial_character_us(&line->setting) : 0;
}

double line_silence_us(const struct line *line)
{
    return is_serial(line) ? serial_silence_us(&line->setting) : 0;
}

const char *line_problem(const struct line *line)
{
    return text_string(&line->problem);
}

void line_set_serial(struct line *line, const struct serial_setting *setting)
{
    line->setting = *setting;
}

int line_open(struct line *line, uint64_t deadline_us)
{
    uint64_t now_us = clock_monotonic_us();
    int r;

    if (line->fd >= 0) {
        return 0;
    }
    if (now_us < line->open_again_us) {
        return line->open_error;
    }

    text_reset(&line->problem);
    r = line_open_endpoint(&line->endpoint, &line->setting, MIN(deadline_us, now_us + CONNECT_US),
                           &line->problem);
    if (r < 0) {
        line->open_error = r;
        line->open_again_us = now_us + OPEN_AGAIN_US;
        return r;
    }

    line->fd = r;
    line->configured = line->setting;
    line->quiet_until_us = 0;  // the one before us closed it after its silence
    // the kernel may sleep 50 us longer than asked for, thrice a transaction: 1 % of the bus at 115200
    (void) prctl(PR_SET_TIMERSLACK, 1);
    return 0;
}

/* The port is not what it was: closed, opened again at once the next time. Returns -ENODEV. */
static int lose_port(struct line *line, int error)
{
    char name[ENDPOINT_TEXT_SIZE];

    text_reset(&line->problem);
    text_addf(&line->problem, "%s: %s", endpoint_text(&line->endpoint, name),
              error == 0          ? "connection closed by the other end"
              : is_serial(line) ? "adapter gone"
                                : strerror(error));
    close_port(line);
    return -ENODEV;
}

int line_fd(const struct line *line)
{
    return line->fd;
}

int line_hung_up(struct line *line)
{
    return lose_port(line, is_serial(line) ? ENODEV : 0);
}

void line_look_again(struct line *line)
{
    line->open_again_us = 0;
}

static bool same_setting(const struct serial_setting *a, const struct serial_setting *b)
{
    return a->baud == b->baud && a->parity == b->parity && a->data_bits == b->data_bits
           && a->stop_bits == b->stop_bits;
}

static int apply_setting(struct line *line)
{
    int r;

    if (!is_serial(line) || same_setting(&line->setting, &line->configured)) {
        return 0;
    }
    r = serial_configure(line->fd, &line->setting);
    if (r < 0) {
        return lose_port(line, -r);
    }
    line->configured = line->setting;
    return 0;
}

/*
 * Take what has come. Returns how many bytes, 0 if nothing, -ENODEV if the port is gone. A full buffer is noise:
 * it is emptied.
 */
static int take_bytes(struct line *line)
{
    ssize_t count;

    if (line->size == BUFFER_SIZE) {
        line->size = 0;
    }
    do {
        count = read(line->fd, line->buffer + line->size, BUFFER_SIZE - line->size);
    } while (count < 0 && errno == EINTR);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return 0;
    }
    if (count < 0 || (count == 0 && !is_serial(line))) {
        return lose_port(line, count < 0 ? errno : 0);
    }
    line->size += (size_t) count;
    return (int) count;
}

/* Wait for bytes. Returns 1 if some may be there, 0 at the time, -ENODEV. */
static int wait_bytes(struct line *line, uint64_t until_us)
{
    struct pollfd waiting = { .fd = line->fd, .events = POLLIN };
    uint64_t now_us = clock_monotonic_us();
    uint64_t rest_us = until_us > now_us ? until_us - now_us : 0;
    const struct timespec rest = { .tv_sec = (time_t) (rest_us / 1000000),
                                   .tv_nsec = (long) (rest_us % 1000000) * 1000 };
    int r = ppoll(&waiting, 1, &rest, NULL);

    if (r < 0) {
        return errno == EINTR ? 0 : lose_port(line, errno);
    }
    if (r > 0 && (waiting.revents & (POLLERR | POLLHUP | POLLNVAL)) && !(waiting.revents & POLLIN)) {
        return lose_port(line, ENODEV);
    }
    return r;
}

static int send_request(struct line *line, const struct modbus_request *request)
{
    uint8_t frame[MODBUS_REQUEST_SIZE];
    size_t size = modbus_request_build(line->framing, request, frame);
    ssize_t count;

    // what came since the last transaction answers nothing that we asked
    do {
        int r;

        line->size = 0;
        r = take_bytes(line);
        if (r < 0) {
            return r;
        }
    } while (line->size > 0);

    do {
        count = is_serial(line) ? write(line->fd, frame, size) : send(line->fd, frame, size, MSG_NOSIGNAL);
    } while (count < 0 && errno == EINTR);
    return count == (ssize_t) size ? 0 : lose_port(line, count < 0 ? errno : EIO);
}

/* Until when an answer of this shape may still come; 0 if none may. A count of 0: of any length. */
static uint64_t may_come_late(const struct line *line, const struct modbus_request *request, unsigned count,
                              uint64_t now_us)
{
    uint64_t until_us = 0;

    for (size_t i = 0; i < LATE_COUNT; i++) {
        const struct late *late = &line->late[i];

        if (late->until_us > now_us && late->unit == request->unit && late->table == request->table
            && (count == 0 || late->count == count)) {
            until_us = MAX(until_us, late->until_us);
        }
    }
    return until_us;
}

static void remember_late(struct line *line, const struct modbus_request *request, uint64_t now_us)
{
    struct late *place = &line->late[0];

    if (line->framing == MODBUS_TCP) {
        return;  // transactions are numbered there
    }
    for (size_t i = 0; i < LATE_COUNT; i++) {
        struct late *late = &line->late[i];

        if (late->unit == request->unit && late->table == request->table && late->count == request->count) {
            place = late;
            break;
        }
        place = late->until_us < place->until_us ? late : place;
    }
    *place = (struct late){ .unit = request->unit, .table = request->table, .count = request->count,
                            .until_us = now_us + LATE_US };
}

/* What came damaged has come. Anything else may be noise, and the answer still under way. */
static bool came_damaged(const struct line *line, const struct modbus_request *request, enum modbus_fault fault)
{
    return (fault == MODBUS_CRC || fault == MODBUS_SHORT) && line->size >= 2 && line->buffer[0] == request->unit
           && line->buffer[1] == (uint8_t) request->table;
}

/* Set a refusal aside that may belong to an earlier request, and go on listening behind it. */
static void set_aside(struct line *line, const struct modbus_answer *answer, struct modbus_answer *ret)
{
    *ret = *answer;
    line->size -= answer->used;
    memmove(line->buffer, line->buffer + answer->used, line->size);
}

/*
 * The answer to a request, whenever the request's last character leaves at sent_us. Returns 0 when it (or a
 * refusal) is there, -ETIMEDOUT, -EBADMSG or -ENODEV. *ret_waited: it was not there when we woke, so we know when it
 * came. doubtful: a refusal may be the late answer to an earlier request, since it has no length to tell them apart;
 * it counts only if nothing else comes.
 */
static int await_answer(struct line *line, const struct modbus_request *request, uint64_t sent_us,
                        uint32_t timeout_us, uint32_t expect_us, bool doubtful, struct modbus_answer *ret,
                        bool *ret_waited)
{
    struct modbus_answer refusal = { .fault = MODBUS_SILENT };
    uint64_t answer_us = (uint64_t) ((double) modbus_answer_size(line->framing, request)
                                     * line_character_us(line));
    uint64_t deadline_us = sent_us + timeout_us;
    uint64_t due_us = sent_us + expect_us + answer_us;
    bool wait = true;
    int r;

    if (expect_us > 0 && due_us > clock_monotonic_us() + WORTH_SLEEPING_US) {
        clock_sleep_until_us(MIN(due_us, deadline_us + answer_us));
        wait = false;
    }
    for (bool started = false;;) {
        r = wait ? wait_bytes(line, deadline_us) : 1;
        if (r < 0 || (r > 0 && (r = take_bytes(line)) < 0)) {
            return r;
        }
        modbus_answer_find(line->framing, request, line->buffer, line->size, ret);
        if (ret->fault == MODBUS_EXCEPTION && doubtful) {
            set_aside(line, ret, &refusal);
            wait = true;
            continue;
        }
        if (ret->fault == MODBUS_ANSWERED || ret->fault == MODBUS_EXCEPTION) {
            *ret_waited = wait;
            return 0;
        }
        wait = true;
        if (!started && line->size > 0) {
            // it has begun: it may take as long as its characters do
            started = true;
            deadline_us = MAX(deadline_us, clock_monotonic_us()) + answer_us + FRAME_SLACK_US;
        }
        if (clock_monotonic_us() >= deadline_us && refusal.fault == MODBUS_EXCEPTION) {
            *ret = refusal;
            *ret_waited = wait;
            return 0;
        }
        if (clock_monotonic_us() >= deadline_us) {
            return ret->fault == MODBUS_SILENT ? -ETIMEDOUT : -EBADMSG;
        }
    }
}

/* One request on the wire, as it is. */
static int exchange(struct line *line, const struct modbus_request *request, uint32_t timeout_us,
                    uint32_t expect_us, uint16_t *ret_words, struct line_result *ret_result)
{
    struct modbus_answer answer = { .fault = MODBUS_SILENT };
    uint64_t sent_us, now_us;
    double answer_us;
    bool doubtful, waited = false;
    int r;

    r = apply_setting(line);
    if (r < 0) {
        return r;
    }
    if (clock_monotonic_us() < line->quiet_until_us) {
        clock_sleep_until_us(line->quiet_until_us);
    }
    r = send_request(line, request);
    if (r < 0) {
        return r;
    }
    sent_us = clock_monotonic_us() + (uint64_t) (8 * line_character_us(line));

    doubtful = may_come_late(line, request, 0, clock_monotonic_us()) > 0;
    r = await_answer(line, request, sent_us, timeout_us, expect_us, doubtful, &answer, &waited);
    now_us = clock_monotonic_us();
    ret_result->fault = answer.fault;
    ret_result->exception = answer.exception;
    line->quiet_until_us = now_us + (uint64_t) line_silence_us(line);
    if (r == -ETIMEDOUT || (r == -EBADMSG && !came_damaged(line, request, answer.fault))
        || (doubtful && answer.fault == MODBUS_EXCEPTION)) {
        remember_late(line, request, now_us);
    }
    if (r < 0) {
        return r;
    }

    answer_us = (double) (answer.fault == MODBUS_EXCEPTION ? 5 : modbus_answer_size(line->framing, request))
                * line_character_us(line);
    ret_result->latency_us = now_us > sent_us + (uint64_t) answer_us
                                 ? (uint32_t) (now_us - sent_us - (uint64_t) answer_us) : 1;
    ret_result->latency_is_bound = !waited;
    ret_result->first_byte_ms = clock_boot_ms() - (uint64_t) (answer_us / 1000);
    if (answer.fault == MODBUS_EXCEPTION) {
        return -EOPNOTSUPP;
    }
    modbus_words(line->buffer + answer.offset, request->count, ret_words);
    return 0;
}

/*
 * Ask for more registers than wanted, so that an answer still under way to an earlier question cannot pass for the
 * answer to this one: it has another length.
 */
static int exchange_longer(struct line *line, const struct modbus_request *request, uint32_t timeout_us,
                           uint32_t expect_us, uint16_t *ret_words, struct line_result *ret_result)
{
    uint16_t words[MODBUS_MAX_REGISTERS];
    struct modbus_request longer = *request;
    uint64_t now_us = clock_monotonic_us();
    int r;

    ret_result->retry_us = may_come_late(line, request, request->count, now_us);
    while (!request->exact && may_come_late(line, &longer, longer.count, now_us) > 0
           && longer.count < MODBUS_MAX_REGISTERS && longer.address + longer.count < 65536) {
        longer.count++;
    }
    if (may_come_late(line, &longer, longer.count, now_us) > 0) {
        return -EAGAIN;
    }
    r = exchange(line, &longer, timeout_us, expect_us, words, ret_result);
    if (r == 0) {
        memcpy(ret_words, words, request->count * sizeof(words[0]));
    }
    if (r == -EOPNOTSUPP && (ret_result->exception == 2 || ret_result->exception == 3)) {
        ret_result->refuses_longer = true;
        return -EAGAIN;
    }
    return r;
}

int line_transact(struct line *line, struct modbus_request *request, uint32_t timeout_us, uint32_t expect_us,
                  uint16_t *ret_words, struct line_result *ret_result)
{
    int r;

    assert(request->count >= 1 && request->count <= MODBUS_MAX_REGISTERS);
    *ret_result = (struct line_result){ .fault = MODBUS_SILENT };
    r = line_open(line, clock_monotonic_us() + CONNECT_US);
    if (r < 0) {
        return r;
    }

    request->transaction = ++line->transaction;
    if (may_come_late(line, request, request->count, clock_monotonic_us()) > 0) {
        return exchange_longer(line, request, timeout_us, expect_us, ret_words, ret_result);
    }
    return exchange(line, request, timeout_us, expect_us, ret_words, ret_result);
}
