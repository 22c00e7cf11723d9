/* SPDX-License-Identifier: MIT */
#include "drivers/scan.h"

#include "drivers/scan_private.h"

#include <errno.h>
#include <stdio.h>

#define ATTEMPTS       3         // at who answers: noise, a busy meter
#define ANSWER_US      500000u   // of a meter that is known to be there: the models' time-out, or by its latency
#define ANSWER_LEAST   150000u
#define PUT_OFF_US     3000000   // so long a question waits for a pause that is long enough for it
#define CONFIRM_US     300000    // a second meter at the same address has answered by then
#define GATEWAY_FIRST  10        // exceptions of a gateway: nobody is there
#define GATEWAY_LAST   11
#define BUSY_FIRST     5         // asked too early
#define BUSY_LAST      6

int scan_new(const struct scan_setup *setup, struct scan **ret)
{
    struct scan *scan = calloc(1, sizeof(*scan));

    if (!scan) {
        return -ENOMEM;
    }
    scan->setup = *setup;
    scan_order_make(setup, &scan->order);
    scan->setup.settings = NULL;  // they are in the order now
    scan->setup.setting_count = 0;
    for (unsigned i = 0; i < scan->order.count; i++) {
        scan->pass_us[i] = scan_pass_us(&scan->order.passes[i], scan->order.passes[i].first);
    }
    scan->address = scan->order.count > 0 ? scan->order.passes[0].first : 0;

    *ret = scan;
    return 0;
}

void scan_free(struct scan *scan)
{
    if (scan) {
        candidate_clear(&scan->candidate);
        free(scan);
    }
}

void scan_freep(struct scan **scan)
{
    scan_free(*scan);
}

/* --- where it goes --- */

static bool is_done_with(const struct scan *scan, const struct scan_pass *pass)
{
    // what was found with the usual settings is not looked for with the others
    if (!pass->is_listed && scan_has_meter(scan, scan->address)) {
        return true;
    }
    for (unsigned i = 0; i < scan->found_count; i++) {
        if (scan->found[i].kind == SCAN_METER && scan->found[i].address == scan->address
            && scan_same_setting(&scan->found[i].serial, &pass->serial)) {
            return true;
        }
    }
    return false;
}

static void end(struct scan *scan)
{
    scan->pass = scan->order.count;
}

static void go_to_next_address(struct scan *scan)
{
    const struct scan_pass *pass = scan_pass_of(scan);

    candidate_clear(&scan->candidate);
    scan->state = SCAN_SEEKING;
    scan->question = scan->attempts = scan->damaged = 0;
    scan->exact = false;
    scan->latency_us = 0;
    do {
        if (scan->address < pass->last) {
            scan->address++;
        } else {
            scan->pass++;
            pass = scan_pass_of(scan);
            scan->address = pass ? pass->first : 0;
        }
    } while (pass && pass->kind != SCAN_PASS_LISTEN && is_done_with(scan, pass));
}

void scan_know(struct scan *scan, const struct model *model, const struct serial_setting *serial, unsigned address)
{
    if (scan->found_count == SCAN_FOUND_MAX) {
        return;
    }
    scan->found[scan->found_count++] =
        (struct scan_found){ .kind = SCAN_METER, .serial = *serial, .address = address, .model = model };
    if (scan_pass_of(scan) && scan_pass_of(scan)->kind != SCAN_PASS_LISTEN && is_done_with(scan, scan_pass_of(scan))) {
        go_to_next_address(scan);
    }
}

/* The model of a question behind the first, which is for all. */
static const struct model *model_of_question(const struct scan *scan)
{
    unsigned left = scan->question;

    for (unsigned i = 0; i < scan->setup.model_count; i++) {
        if (scan_is_listed(&scan->setup, scan->setup.models[i], &scan_pass_of(scan)->serial) && --left == 0) {
            return scan->setup.models[i];
        }
    }
    return NULL;
}

static void seek(const struct scan *scan, struct modbus_request *ret)
{
    const struct model *model = scan->question > 0 ? model_of_question(scan) : NULL;

    if (!model || candidate_first(model, &scan_pass_of(scan)->serial, ret) < 0) {
        *ret = (struct modbus_request){ .table = MODBUS_HOLDING, .address = 0, .count = 2 };
    }
}

/* --- judging --- */

static bool is_possible(const struct scan *scan, const struct model *model)
{
    return model->driver == MODEL_MODBUS && (scan->setup.tcp || !model->tcp);
}

static void decide(struct scan *scan)
{
    if (!scan->best) {
        scan_add_found(scan, SCAN_UNKNOWN, NULL, scan->reason);
        go_to_next_address(scan);
        return;
    }
    if (scan->rival && scan->rival_points == scan->best_points) {
        scan_add_found(scan, SCAN_DOUBTFUL, scan->best, "");
        scan->found[scan->found_count - 1].other = scan->rival;
        go_to_next_address(scan);
        return;
    }
    if (candidate_first(scan->best, &scan_pass_of(scan)->serial, &scan->confirm) < 0) {
        return;  // without memory: the next question tries again
    }
    scan->state = SCAN_CONFIRMING;
    scan->attempts = scan->damaged = 0;
}

/* The next model that is possible; none: it is decided. */
static void go_to_next_model(struct scan *scan)
{
    const struct scan_pass *pass = scan_pass_of(scan);

    scan->attempts = 0;
    // models that are usual with this setting, then the others
    for (; scan->model < 2 * scan->setup.model_count; scan->model++) {
        bool first_round = scan->model < scan->setup.model_count;
        const struct model *model = scan->setup.models[scan->model - (first_round ? 0 : scan->setup.model_count)];

        if (is_possible(scan, model) && scan_is_listed(&scan->setup, model, &pass->serial) == first_round
            && candidate_begin(&scan->candidate, model, &pass->serial) == 0) {
            scan->model++;
            return;
        }
    }
    decide(scan);
}

static void begin_judging(struct scan *scan)
{
    scan->state = SCAN_JUDGING;
    scan->exact = true;
    scan->model = 0;
    scan->best = scan->rival = NULL;
    scan->best_points = scan->rival_points = scan->reason_points = 0;
    scan->damaged = 0;
    scan->reason[0] = '\0';
    go_to_next_model(scan);
}

/* What speaks for a model is weighed against the others. */
static void weigh(struct scan *scan)
{
    const struct candidate *candidate = &scan->candidate;
    const struct model *model = candidate->model;
    unsigned points = candidate->evidence.points;

    if (candidate->evidence.refused) {
        if (points >= scan->reason_points && points > 0) {
            (void) snprintf(scan->reason, sizeof(scan->reason), "no %.30s: %.80s", model->id,
                            candidate->evidence.reason);
            scan->reason_points = points;
        }
    } else if (!scan->best || points > scan->best_points || scan_has_all_of(model, scan->best)) {
        if (scan->best && !scan_has_all_of(model, scan->best)) {
            scan->rival = scan->best;
            scan->rival_points = scan->best_points;
        }
        scan->best = model;
        scan->best_points = points;
    } else if (points >= scan->rival_points && !scan_has_all_of(scan->best, model)) {
        scan->rival = model;
        scan->rival_points = points;
    }
}

/* --- questions --- */

/* Who has answered does so about as fast again; at the second attempt it may take the models' time-out. */
static uint32_t answer_timeout_us(const struct scan *scan)
{
    return scan->attempts > 0 ? ANSWER_US : MIN(MAX(4 * scan->latency_us, ANSWER_LEAST), ANSWER_US);
}

bool scan_put_off(struct scan *scan, uint64_t now_us, uint64_t wanted_us, uint64_t pause_us)
{
    scan->pause_us = MAX(scan->pause_us, pause_us);
    scan->put_off_us = scan->put_off_us ? scan->put_off_us : now_us;
    if (now_us - scan->put_off_us > PUT_OFF_US) {
        scan->pause_us = pause_us;  // there was a longer one, but there is none any more
        scan->pauses_are_known = true;
        return true;
    }
    return scan->pauses_are_known && wanted_us > scan->pause_us && pause_us >= scan->pause_us / 4 * 3;
}

enum scan_step scan_next(struct scan *scan, uint64_t now_us, struct scan_question *ret)
{
    const struct scan_pass *pass = scan_pass_of(scan);

    *ret = (struct scan_question){ .until_us = scan->until_us };
    if (!pass) {
        return SCAN_DONE;
    }
    if (now_us < scan->until_us) {
        return SCAN_WAIT;
    }
    ret->serial = pass->serial;
    ret->timeout_us = pass->timeout_us;
    if (pass->kind == SCAN_PASS_LISTEN) {
        ret->timeout_us = (uint32_t) SCAN_LISTEN_US;
        return SCAN_LISTEN;
    }
    switch (scan->state) {
    case SCAN_SEEKING:
        seek(scan, &ret->request);
        break;
    case SCAN_JUDGING:
        (void) candidate_next(&scan->candidate, &ret->request);
        ret->timeout_us = answer_timeout_us(scan);
        break;
    case SCAN_CONFIRMING:
        ret->request = scan->confirm;
        ret->timeout_us = answer_timeout_us(scan);
        break;
    }
    ret->request.unit = (uint8_t) scan->address;
    ret->request.exact = scan->exact;
    return SCAN_ASK;
}

void scan_heard(struct scan *scan, bool message)
{
    for (unsigned i = 0; message && i < scan->setup.model_count; i++) {
        if (scan->setup.models[i]->driver == MODEL_CURRENTCOST) {
            scan_add_found(scan, SCAN_DISPLAY, scan->setup.models[i], "");
            end(scan);
            return;
        }
    }
    go_to_next_address(scan);
}

static bool is_gone(int r, const struct line_result *result)
{
    return r == -ETIMEDOUT
           || (r == -EOPNOTSUPP && result->exception >= GATEWAY_FIRST && result->exception <= GATEWAY_LAST);
}

static void clash(struct scan *scan)
{
    scan_add_found(scan, SCAN_CLASH, NULL, "");
    go_to_next_address(scan);
}

/* Nobody has answered that. */
static void seek_on(struct scan *scan)
{
    scan->attempts = 0;
    scan->question++;
    if (scan->question >= scan_pass_of(scan)->questions) {
        go_to_next_address(scan);
    }
}

static void take_while_seeking(struct scan *scan, int r, const struct line_result *result)
{
    if (r == 0 || (r == -EOPNOTSUPP && !is_gone(r, result)) || (r == -EAGAIN && result->refuses_longer)) {
        begin_judging(scan);
    } else if (r == -EBADMSG) {
        scan->damaged++;
        if (scan->damaged == ATTEMPTS) {
            clash(scan);
        }
    } else if (scan->damaged > 0 && scan->attempts < ATTEMPTS) {
        return;  // there was something
    } else {
        seek_on(scan);
    }
}

static void take_while_judging(struct scan *scan, int r, const struct line_result *result, const uint16_t *words)
{
    bool again = r != 0 && scan->attempts < ATTEMPTS
                 && (r == -EBADMSG || is_gone(r, result)
                     || (result->exception >= BUSY_FIRST && result->exception <= BUSY_LAST));

    if (r == -EBADMSG && ++scan->damaged >= 2 * ATTEMPTS) {
        clash(scan);
        return;
    }
    if (again && !(is_gone(r, result) && scan->attempts > 1)) {
        return;
    }
    candidate_answer(&scan->candidate, scan->address, r == 0 ? words : NULL,
                     r == -EOPNOTSUPP && !is_gone(r, result) ? result->exception : 0);
    scan->attempts = 0;
    if (!candidate_next(&scan->candidate, &(struct modbus_request){ 0 })) {
        weigh(scan);
        go_to_next_model(scan);
    }
}

static void take_while_confirming(struct scan *scan, int r, const struct line_result *result)
{
    if (r == 0 && result->stray == 0) {
        scan_add_found(scan, SCAN_METER, scan->best, "");
        if (scan->setup.tcp && scan->best->tcp) {
            end(scan);  // such a meter may answer to all units
        } else {
            go_to_next_address(scan);
        }
        return;
    }
    scan->damaged += r == -EBADMSG || result->stray > 0;
    if (scan->attempts < ATTEMPTS) {
        return;
    }
    if (scan->damaged == ATTEMPTS) {
        clash(scan);
    } else {
        scan_add_found(scan, SCAN_UNKNOWN, NULL, "it answered and fell silent");
        go_to_next_address(scan);
    }
}

void scan_answer(struct scan *scan, uint64_t now_us, int r, const struct line_result *result, const uint16_t *words)
{
    enum scan_state before = scan->state;

    if (!scan_pass_of(scan) || (r < 0 && r != -ETIMEDOUT && r != -EBADMSG && r != -EOPNOTSUPP && r != -EAGAIN)) {
        return;  // the port is gone: the question comes again
    }
    scan->until_us = scan->put_off_us = 0;
    if (r == 0 || r == -EOPNOTSUPP) {
        scan->latency_us = MAX(scan->latency_us, MIN(result->latency_us, ANSWER_US));
    }
    if (r == -EAGAIN && !result->refuses_longer) {
        scan->until_us = MAX(result->retry_us, now_us + 1);
        return;
    }
    scan->attempts++;
    switch (scan->state) {
    case SCAN_SEEKING:
        take_while_seeking(scan, r, result);
        break;
    case SCAN_JUDGING:
        take_while_judging(scan, r, result, words);
        break;
    case SCAN_CONFIRMING:
        take_while_confirming(scan, r, result);
        break;
    }
    if (scan->state == SCAN_CONFIRMING) {
        scan->until_us = now_us + CONFIRM_US;  // a second one at this address has answered by then
    } else if (scan->state == SCAN_SEEKING && before == SCAN_SEEKING && scan->attempts > 0) {
        scan->until_us = now_us + CONFIRM_US;
    }
}
