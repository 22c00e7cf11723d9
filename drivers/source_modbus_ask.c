/* SPDX-License-Identifier: MIT */
#include "app/base/clock.h"
#include "drivers/source_modbus_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ATTEMPTS          3       // of a request whose answer came damaged or not
#define BUSY_PAUSE_US     100000  // exceptions 5 and 6: the meter asks for time
#define LEAST_TIMEOUT_US  20000   // of a request, however near the deadline is
#define GATEWAY_NO_PATH   10      // exceptions by which a gateway says...
#define GATEWAY_NO_ANSWER 11      // ...that the meter behind it is not there

static void learn_latency(struct modbus_source *source, const struct line_result *result)
{
    if (latency_learn(&source->latency, result->latency_us, result->latency_is_bound)) {
        // the plan counts the silence after the request by itself
        meter_learn_turnaround(&source->meter,
                               MAX(source->latency.expect_us - line_silence_us(source->line), 100.0));
    }
}

static void count_reason(struct modbus_source *source, const struct meter_request *request, enum reason reason)
{
    for (unsigned i = request->first; i < request->last; i++) {
        source->points[source->meter.slots[i].selected].reason = (uint8_t) reason;
    }
}

static enum reason reason_of(int error, const struct line_result *result)
{
    switch (error) {
    case -ETIMEDOUT:
        return REASON_TIMEOUT;
    case -EBADMSG:
        return result->fault == MODBUS_CRC || result->fault == MODBUS_SHORT ? REASON_DAMAGED : REASON_WRONG_ANSWER;
    case -EOPNOTSUPP:
        return (enum reason) MIN((unsigned) result->exception, (unsigned) REASON_EXCEPTION_LAST);
    default:
        return REASON_DISCONNECTED;
    }
}

/* Put the words of an answered request where its points have theirs. */
static void keep_words(struct modbus_source *source, const struct meter_request *request, const uint16_t *words,
                       struct sample *sample)
{
    for (unsigned i = request->first; i < request->last; i++) {
        const struct point *point = source->meter.slots[i].point;
        struct selected *selected = &source->points[source->meter.slots[i].selected];

        memcpy(sample->words + selected->word_offset, words + (point->address - request->block.address),
               point->word_count * sizeof(words[0]));
        selected->reason = REASON_NONE;
    }
}

/* Now, as a poll's deadline counts it: that other programs use the port is not the meter's fault. */
static uint64_t poll_now_us(const struct modbus_source *source)
{
    uint64_t waited_us = line_waited_us(source->line) - source->waited_before_us;

    return clock_monotonic_us() - MIN(waited_us, source->patience_us);
}

/* The request cannot be asked yet, since a late answer to another might pass for this one's. Errors: -EAGAIN */
static int wait_for_late_answers(struct modbus_source *source, const struct line_result *result, uint64_t deadline_us)
{
    source->refuses_longer |= result->refuses_longer;
    source->not_before_us = MAX(source->not_before_us, result->retry_us);
    if (source->yields || result->retry_us + LEAST_TIMEOUT_US > deadline_us) {
        return -EAGAIN;
    }
    clock_sleep_until_us(result->retry_us);
    return 0;
}

/*
 * How long to wait for an answer; 0: it is not worth asking again. The first time as the meter's latency has it, then
 * as long as its model says. A meter that is known and does not answer that either is not there.
 */
static uint32_t attempt_us(const struct modbus_source *source, unsigned attempt, uint64_t deadline_us)
{
    uint64_t now_us = poll_now_us(source);
    uint32_t left_us = (uint32_t) MIN(deadline_us - MIN(now_us, deadline_us), (uint64_t) UINT32_MAX);

    if (attempt == 0) {
        return MIN(latency_timeout_us(&source->latency), MAX(left_us, (uint32_t) LEAST_TIMEOUT_US));
    }
    if (attempt >= ATTEMPTS || source->latency.longest_us > left_us
        || (source->silences > 1 && !source->heard && source->latency.expect_us > 0)) {
        return 0;
    }
    return source->latency.longest_us;
}

/* Whether a refusal is a gateway's word that the meter behind it is silent. */
static bool is_gone(const struct line_result *result)
{
    return result->exception == GATEWAY_NO_PATH || result->exception == GATEWAY_NO_ANSWER;
}

/* Whether a refusal says that the meter asks for time. */
static bool is_busy(const struct line_result *result)
{
    return result->exception == 5 || result->exception == 6;
}

/* One request, until it is answered, refused, or asked often enough. -EAGAIN: not asked, it cannot be yet. */
static int ask(struct modbus_source *source, const struct plan_block *block, uint64_t deadline_us,
               uint16_t *ret_words, struct line_result *ret_result)
{
    struct modbus_request request = { .unit = (uint8_t) source->unit, .table = block->table,
                                      .address = block->address, .count = block->count };
    struct line_result damage = { 0 };
    uint32_t timeout_us;
    int r = -EAGAIN;

    source->attempts = 0;
    while ((timeout_us = attempt_us(source, source->attempts, deadline_us)) > 0) {
        request.exact = source->refuses_longer;
        r = line_transact(source->line, &request, timeout_us, latency_sleep_us(&source->latency), ret_words,
                          ret_result);
        if (r == -EAGAIN && wait_for_late_answers(source, ret_result, deadline_us) == 0) {
            continue;
        }
        if (r == -EAGAIN) {
            break;
        }
        source->attempts++;
        source->silences = r == -ETIMEDOUT ? source->silences + 1 : 0;
        damage = r == -EBADMSG ? *ret_result : damage;
        source->heard |= r == 0 || (r == -EOPNOTSUPP && !is_gone(ret_result));
        if (r == 0) {
            learn_latency(source, ret_result);
            source->first_byte_ms = source->first_byte_ms ? source->first_byte_ms : ret_result->first_byte_ms;
            source->busy = false;
            return 0;
        }
        if (r == -EOPNOTSUPP && is_busy(ret_result) && !source->busy) {
            clock_sleep_until_us(clock_monotonic_us() + (source->attempts < ATTEMPTS ? BUSY_PAUSE_US : 0));
        } else if (r != -ETIMEDOUT && r != -EBADMSG) {
            return r;
        }
    }
    source->busy |= r == -EOPNOTSUPP;
    if ((r == -ETIMEDOUT || r == -EAGAIN) && damage.fault != MODBUS_ANSWERED) {
        *ret_result = damage;  // something did come: that says more than the silence after it
        return -EBADMSG;
    }
    return r;
}

static int ask_points(struct modbus_source *source, const struct meter_request *request, uint64_t deadline_us,
                      struct sample *sample);

/* Both halves of a request. Returns 0 if one was answered. */
static int ask_halves(struct modbus_source *source, const struct meter_request *request, unsigned middle,
                      uint64_t deadline_us, struct sample *sample)
{
    struct meter_request half;
    int r, r_second;

    half = meter_request_for(&source->meter, request->first, middle);
    r = ask_points(source, &half, deadline_us, sample);
    half = meter_request_for(&source->meter, middle, request->last);
    r_second = ask_points(source, &half, deadline_us, sample);
    return r == 0 || r_second == 0 ? 0 : r_second;
}

/*
 * Ask for some points: in halves if the meter refuses them together, and also if they cannot be asked together yet,
 * since halves have other lengths than the late answer. Returns 0 if it answered at all, or what kept every request
 * unanswered; -EAGAIN if none could be asked. Recursion ends: each level has half the points.
 */
static int ask_points(struct modbus_source *source, const struct meter_request *request, uint64_t deadline_us,
                      struct sample *sample)
{
    uint16_t words[MODBUS_MAX_REGISTERS];
    struct line_result result = { 0 };
    bool is_one = request->last - request->first == 1;
    unsigned middle;
    int r;

    if (poll_now_us(source) >= deadline_us || (source->silences > 1 && !source->heard)) {
        count_reason(source, request, source->silences > 1 ? REASON_TIMEOUT : REASON_NOT_READ);
        return -ETIMEDOUT;
    }
    r = ask(source, &request->block, deadline_us, words, &result);
    if (r == 0) {
        keep_words(source, request, words, sample);
        meter_answered(&source->meter, request);
        return 0;
    }
    if (r == -EAGAIN && !is_one) {
        return ask_halves(source, request, request->first + (request->last - request->first) / 2, deadline_us, sample);
    }
    source->reason = r == -EAGAIN ? REASON_TIMEOUT : reason_of(r, &result);
    count_reason(source, request, source->reason);
    if (r == -EAGAIN && source->attempts > 0) {
        return -ETIMEDOUT;
    }
    if (r == -EOPNOTSUPP && is_gone(&result)) {
        return -ETIMEDOUT;
    }
    source->refused |= r == -EOPNOTSUPP;
    if (r != -EOPNOTSUPP || (result.exception != 2 && result.exception != 3)) {
        return r;
    }
    if (is_one) {
        meter_mute(&source->meter, request->first, source->reason, clock_monotonic_us());
        return r;
    }

    meter_split(&source->meter, request, clock_monotonic_us(), &middle);
    return ask_halves(source, request, middle, deadline_us, sample);
}

void modbus_explain(struct modbus_source *source, int error, unsigned requests, enum reason reason)
{
    if (error == 0) {
        source->problem[0] = '\0';
    } else if (error == -ETIMEDOUT || error == -EBADMSG || error == -EAGAIN) {
        (void) snprintf(source->problem, sizeof(source->problem), requests > 1 ? "%s %u times" : "%s",
                        reason_text(reason), requests);
    } else if (error == -EOPNOTSUPP) {
        (void) snprintf(source->problem, sizeof(source->problem), "refused with %s", reason_text(reason));
    } else {
        (void) snprintf(source->problem, sizeof(source->problem), "%.150s", line_problem(source->line));
    }
}

/* What a poll without an answer was: a refusal says most, silence least. */
static int worse(const struct modbus_source *source, int before, int r)
{
    if (source->refused) {
        return -EOPNOTSUPP;
    }
    return before == -EBADMSG && (r == -ETIMEDOUT || r == -EAGAIN) ? before
           : before == -ETIMEDOUT && r == -EAGAIN                 ? before
                                                                   : r;
}

static bool is_port_error(int r)
{
    return r < 0 && r != -EBADMSG && r != -ETIMEDOUT && r != -EOPNOTSUPP && r != -EAGAIN;
}

/* All requests of the plan. Returns 0 if one was answered. */
int modbus_ask_all(struct modbus_source *source, uint64_t deadline_us, struct sample *ret)
{
    unsigned silent = 0;
    bool answered = false;
    int error = 0;

    for (unsigned i = 0; i < source->meter.request_count; i++) {
        int r = ask_points(source, &source->meter.requests[i], deadline_us, ret);

        answered |= r == 0;
        error = r == 0 ? error : is_port_error(r) ? r : worse(source, error, r);
        silent = r == -ETIMEDOUT ? silent + 1 : 0;
        // no need to ask all its requests of a meter that is not there; one lost answer is not yet that
        if (is_port_error(r) || (silent > 0 && !source->heard) || silent > 1) {
            for (unsigned j = i + 1; j < source->meter.request_count; j++) {
                count_reason(source, &source->meter.requests[j], source->reason);
            }
            break;
        }
    }
    return answered ? 0 : error < 0 ? error : -EOPNOTSUPP;
}

/* The shortest request of the plan, better one that is known to be answered. */
static const struct meter_request *shortest_request(const struct modbus_meter *meter)
{
    const struct meter_request *best = &meter->requests[0];

    for (unsigned i = 1; i < meter->request_count; i++) {
        const struct meter_request *request = &meter->requests[i];
        const bool trial = meter->slots[request->first].trial, best_trial = meter->slots[best->first].trial;

        if (trial == best_trial ? request->block.count < best->block.count : best_trial) {
            best = request;
        }
    }
    return best;
}

int modbus_probe(struct modbus_source *source, uint32_t timeout_us)
{
    const struct meter_request *shortest;
    struct modbus_request request;
    uint16_t words[MODBUS_MAX_REGISTERS];
    struct line_result result;
    int r;

    if (source->meter.request_count == 0) {
        return -EOPNOTSUPP;
    }
    shortest = shortest_request(&source->meter);
    request = (struct modbus_request){ .unit = (uint8_t) source->unit, .table = shortest->block.table,
                                       .address = shortest->block.address, .count = shortest->block.count,
                                       .exact = source->refuses_longer };
    line_set_serial(source->line, &source->serial);
    source->not_before_us = 0;
    r = line_transact(source->line, &request, timeout_us, 0, words, &result);
    if (r == 0) {
        learn_latency(source, &result);
    } else if (r == -EAGAIN) {
        source->refuses_longer |= result.refuses_longer;
        source->not_before_us = result.retry_us;
        r = result.refuses_longer ? 0 : r;  // a refusal is an answer
    } else if (r == -EOPNOTSUPP) {
        r = is_gone(&result) ? -ETIMEDOUT : 0;
    }
    modbus_explain(source, r, 1, result.exception ? (enum reason) result.exception : reason_of(r, &result));
    return r;
}
