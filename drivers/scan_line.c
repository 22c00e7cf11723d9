/* SPDX-License-Identifier: MIT */
#include "drivers/scan_line.h"

#include "app/base/clock.h"
#include "drivers/currentcost.h"
#include "drivers/modbus_line_private.h"

#include <errno.h>
#include <string.h>

#define TURN_US      800000   // of listening on a shared port: others have theirs in between
#define LONGER       16       // registers that the line may add to a question
#define MARGIN_US    20000
#define LEAST_US     100000   // of a time-out, where pauses are short

uint64_t scan_line_worst_us(const struct scan_question *question)
{
    double characters = 8 + 5 + 2.0 * (question->request.count + LONGER);
    double us = question->timeout_us + LINE_SLACK_US + LINE_TAKE_US + MARGIN_US;

    if (question->serial.baud) {
        us += characters * serial_character_us(&question->serial) + 2 * serial_silence_us(&question->serial);
    }
    return (uint64_t) us;
}

/* Messages of a display in what came; what is read is dropped. */
static bool find_message(char *bytes, size_t *size)
{
    struct currentcost message;
    size_t used;

    while (*size > 0 && (used = currentcost_parse(bytes, *size, &message)) > 0) {
        *size -= used;
        memmove(bytes, bytes + used, *size);
        if (message.kind == CURRENTCOST_READING || message.kind == CURRENTCOST_IMPULSE) {
            return true;
        }
    }
    return false;
}

/* One turn at the port. 1: a message, 0: none until then. */
static int listen_once(struct line *line, uint64_t until_us, char *bytes, size_t capacity, size_t *size)
{
    int r = line_apply_setting(line);

    while (r == 0 && clock_monotonic_us() < until_us) {
        r = line_wait_bytes(line, until_us);
        line->size = 0;
        r = r > 0 ? line_take_bytes(line) : r;
        if (r <= 0) {
            continue;
        }
        r = 0;
        if (line->size > capacity - *size) {
            *size = 0;
        }
        memcpy(bytes + *size, line->buffer, line->size);
        *size += line->size;
        if (find_message(bytes, size)) {
            return 1;
        }
    }
    return r;
}

static int listen_for_display(struct line *line, uint64_t us)
{
    uint64_t until_us = clock_monotonic_us() + us;
    auto_free char *bytes = malloc(CURRENTCOST_MAX_SIZE);
    size_t size = 0;
    int r;

    r = bytes ? line_open(line, clock_monotonic_us() + LINE_CONNECT_US) : -ENOMEM;
    while (r == 0 && clock_monotonic_us() < until_us) {
        r = line_take(line, 0);
        if (r < 0) {
            break;
        }
        r = listen_once(line, line->shared ? MIN(until_us, clock_monotonic_us() + TURN_US) : until_us, bytes,
                        CURRENTCOST_MAX_SIZE, &size);
        if (line->fd >= 0) {
            line_give(line);
        }
    }
    return r;
}

/*
 * Whether a question is over by then. Where no pause is ever long enough for the whole time-out, less of it must do:
 * most meters answer at once.
 */
static bool fit(struct scan *scan, struct scan_question *question, uint64_t now_us, uint64_t until_us)
{
    uint64_t end_us = now_us + scan_line_worst_us(question);

    if (end_us <= until_us) {
        return true;
    }
    if (!scan_put_off(scan, now_us, end_us - now_us, until_us > now_us ? until_us - now_us : 0)
        || until_us + question->timeout_us < end_us + LEAST_US) {
        return false;
    }
    question->timeout_us -= (uint32_t) (end_us - until_us);
    return true;
}

int scan_line_step(struct scan *scan, struct line *line, uint64_t until_us, uint64_t *ret_again_us)
{
    uint16_t words[MODBUS_MAX_REGISTERS];
    uint64_t now_us = clock_monotonic_us();
    struct scan_question question;
    struct line_result result;
    int r;

    *ret_again_us = UINT64_MAX;
    switch (scan_next(scan, now_us, &question)) {
    case SCAN_DONE:
        return 0;
    case SCAN_WAIT:
        *ret_again_us = question.until_us;
        return 0;
    case SCAN_LISTEN:
        if (until_us > 0) {
            scan_heard(scan, false);
            return 1;
        }
        line_set_serial(line, &question.serial);
        r = listen_for_display(line, question.timeout_us);
        if (r >= 0) {
            scan_heard(scan, r > 0);
        }
        return r < 0 ? r : 1;
    case SCAN_ASK:
        break;
    }
    if (until_us > 0 && !fit(scan, &question, now_us, until_us)) {
        *ret_again_us = until_us;
        return 0;
    }
    if (question.serial.baud) {
        line_set_serial(line, &question.serial);
    }
    r = line_transact(line, &question.request, question.timeout_us, 0, words, &result);
    scan_answer(scan, clock_monotonic_us(), r, &result, words);
    return r < 0 && r != -ETIMEDOUT && r != -EBADMSG && r != -EOPNOTSUPP && r != -EAGAIN ? r : 1;
}
