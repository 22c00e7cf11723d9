/* SPDX-License-Identifier: MIT */
#include "drivers/modbus_line.h"

#include "app/base/clock.h"
#include "drivers/modbus_line_private.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define LEAST_TIMEOUT_US  20000     // that is left of a time-out, if a hold of the port is too short for it
#define WORTH_SLEEPING_US 300       // shorter than this, poll() does as well

static int send_request(struct line *line, const struct modbus_request *request, size_t *ret_stray)
{
    uint8_t frame[MODBUS_REQUEST_SIZE];
    size_t size = modbus_request_build(line->framing, request, frame);
    ssize_t count;

    // what came since the last transaction answers nothing that we asked
    do {
        int r;

        line->size = 0;
        r = line_take_bytes(line);
        if (r < 0) {
            return r;
        }
        *ret_stray += line->size;
    } while (line->size > 0);

    do {
        count = line_is_serial(line) ? write(line->fd, frame, size) : send(line->fd, frame, size, MSG_NOSIGNAL);
    } while (count < 0 && errno == EINTR);
    return count == (ssize_t) size ? 0 : line_lose(line, count < 0 ? errno : EIO);
}

static void give_up(struct line *line, const struct modbus_request *request, uint64_t now_us)
{
    if (line->framing != MODBUS_TCP) {  // transactions are numbered there
        late_remember(&line->late, request, now_us);
    }
}

/*
 * What came damaged has come, if its head says that it was the answer to this request. Anything else may be noise, or
 * late answers to others, one behind the other, and its own still under way.
 */
static bool came_damaged(const struct line *line, const struct modbus_request *request, enum modbus_fault fault)
{
    return (fault == MODBUS_CRC || fault == MODBUS_SHORT) && line->size >= 3 && line->buffer[0] == request->unit
           && line->buffer[1] == (uint8_t) request->table && line->buffer[2] == 2 * request->count;
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
        r = wait ? line_wait_bytes(line, deadline_us) : 1;
        if (r < 0 || (r > 0 && (r = line_take_bytes(line)) < 0)) {
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
            deadline_us = MAX(deadline_us, clock_monotonic_us()) + answer_us + LINE_SLACK_US;
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

/* A hold is short, so that nobody who waits for the port gives up: what remains of the time-out in this one. */
static uint32_t fitting_timeout_us(const struct line *line, const struct modbus_request *request, uint32_t timeout_us)
{
    double characters = 8.0 + (double) modbus_answer_size(line->framing, request);
    double needed_us, left_us;

    if (!line->shared) {
        return timeout_us;
    }
    needed_us = characters * line_character_us(line) + 2 * line_silence_us(line) + LINE_SLACK_US + LINE_TAKE_US;
    left_us = (double) port_share_until_us(line->share) - (double) clock_monotonic_us() - needed_us;
    return MIN(timeout_us, (uint32_t) MAX(left_us, (double) LEAST_TIMEOUT_US));
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

    r = line_apply_setting(line);
    if (r < 0) {
        return r;
    }
    if (clock_monotonic_us() < line->quiet_until_us) {
        clock_sleep_until_us(line->quiet_until_us);
    }
    timeout_us = fitting_timeout_us(line, request, timeout_us);
    late_depart(&line->late, request, clock_monotonic_us());
    r = send_request(line, request, &ret_result->stray);
    if (r < 0) {
        return r;
    }
    sent_us = clock_monotonic_us() + (uint64_t) (8 * line_character_us(line));

    doubtful = late_is_any(&line->late, request, clock_monotonic_us());
    r = await_answer(line, request, sent_us, timeout_us, expect_us, doubtful, &answer, &waited);
    now_us = clock_monotonic_us();
    ret_result->fault = answer.fault;
    ret_result->exception = answer.exception;
    line->quiet_until_us = now_us + (uint64_t) line_silence_us(line);
    if (r == -ETIMEDOUT || (r == -EBADMSG && !came_damaged(line, request, answer.fault))
        || (doubtful && answer.fault == MODBUS_EXCEPTION)) {
        give_up(line, request, now_us);
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

    ret_result->retry_us = late_until_us(&line->late, request, now_us);
    if (request->exact || !late_lengthen(&line->late, &longer, now_us)) {
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
    r = line_open(line, clock_monotonic_us() + LINE_CONNECT_US);
    if (r < 0) {
        return r;
    }

    request->transaction = ++line->transaction;
    r = line_take(line, timeout_us);
    if (r < 0) {
        return r;
    }
    if (late_until_us(&line->late, request, clock_monotonic_us()) > 0) {
        r = exchange_longer(line, request, timeout_us, expect_us, ret_words, ret_result);
    } else {
        r = exchange(line, request, timeout_us, expect_us, ret_words, ret_result);
    }
    line_give(line);
    line->answered |= r == 0 || r == -EOPNOTSUPP;
    return r;
}
