/* SPDX-License-Identifier: MIT */
#include "app/base/clock.h"
#include "drivers/modbus_meter.h"
#include "drivers/source_ops.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define ATTEMPTS          3       // of a request whose answer came damaged or not
#define BUSY_PAUSE_US     100000  // exceptions 5 and 6: the meter asks for time
#define FIRST_GUESS_US    10000   // turnaround of a meter that has not answered yet
#define LEAST_TIMEOUT_US  100000  // a meter that is fast now may be busy next time
#define MEASURED          8       // latencies that are remembered
#define MEASURE_EVERY     8       // requests, of a meter that is known
#define MEASURE_EARLY_US  250     // wake so long before
#define IDENTITY_SIZE     132     // 64 registers of text and the end

/* One point of the selection, in the poll at hand. */
struct selected {
    const struct point *point;
    uint16_t word_offset;                     // in the sample's words
    uint8_t reason;                           // enum reason; REASON_NONE: its words are there
    char *text;                               // of CODEC_TEXT
};

struct modbus_source {
    struct source source;
    char meter_name[METER_ID_SIZE];
    struct line *line;
    struct serial_setting serial;
    unsigned unit;
    uint32_t timeout_us;                      // longest
    uint32_t expect_us;                       // least latency lately, 0 = not measured yet
    uint32_t slowest_us;                      // most lately
    uint32_t latency_us;                      // last measured
    uint32_t measured_us[MEASURED];
    size_t measured_count;
    unsigned request_count;                   // since one was measured
    bool measuring;                           // in the request at hand
    const struct model *model;
    struct modbus_meter meter;
    struct selected *points;                  // in the order of the selection
    unsigned point_count;
    uint16_t word_count;
    struct layout *layout;                    // as long as it has columns
    struct source_limit *limits;
    uint64_t first_byte_ms;
    char problem[160];
};

static struct modbus_source *modbus(const struct source *source)
{
    return (struct modbus_source *) source;
}

static void close_source(struct source *source)
{
    struct modbus_source *own = modbus(source);

    meter_clear(&own->meter);
    for (unsigned i = 0; own->points && i < own->point_count; i++) {
        free(own->points[i].text);
    }
    free(own->points);
    free(own->layout);
    free(own->limits);
    free(own);
}

static const struct layout *get_layout(const struct source *source)
{
    return modbus(source)->layout;
}

static const char *get_problem(const struct source *source)
{
    return modbus(source)->problem;
}

static uint32_t current_timeout_us(const struct modbus_source *source)
{
    uint32_t learned_us = 3 * source->slowest_us + LEAST_TIMEOUT_US / 2;

    if (source->expect_us == 0) {
        return source->timeout_us;
    }
    learned_us = MAX(learned_us, (uint32_t) LEAST_TIMEOUT_US);
    return MIN(learned_us, source->timeout_us);
}

/*
 * How long to sleep before the answer is looked for. A wake-up costs more than all else that a request makes us do, so
 * we sleep until the answer should be there, as early as the meter was lately; to know that, we wake earlier now
 * and then and wait for its last bytes. To wake too early costs little, to wake too late costs time of the bus.
 */
static uint32_t choose_sleep_us(struct modbus_source *source)
{
    uint32_t early_us = MIN((uint32_t) MEASURE_EARLY_US, source->expect_us / 2);

    source->measuring = source->measured_count < ARRAY_SIZE(source->measured_us)
                        || ++source->request_count % MEASURE_EVERY == 0;
    return source->expect_us - (source->measuring ? early_us : 0);
}

static void learn_latency(struct modbus_source *source, const struct line_result *result)
{
    uint32_t latency_us = result->latency_us;
    size_t count;

    source->latency_us = latency_us;
    if (result->latency_is_bound && !source->measuring) {
        return;  // as we wanted it
    }
    if (result->latency_is_bound) {
        latency_us -= latency_us / 8;                  // it was there long before: an attempt to meet it...
        source->request_count = MEASURE_EVERY - 1;     // ...the next time
    }
    source->measured_us[source->measured_count++ % ARRAY_SIZE(source->measured_us)] = latency_us;
    count = MIN(source->measured_count, ARRAY_SIZE(source->measured_us));
    source->expect_us = source->slowest_us = source->measured_us[0];
    for (size_t i = 1; i < count; i++) {
        source->expect_us = MIN(source->expect_us, source->measured_us[i]);
        source->slowest_us = MAX(source->slowest_us, source->measured_us[i]);
    }
    // the plan counts the silence after the request by itself
    meter_learn_turnaround(&source->meter, MAX(source->expect_us - line_silence_us(source->line), 100.0));
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

/* One request, until it is answered, refused, or asked often enough. */
static int ask(struct modbus_source *source, const struct plan_block *block, uint64_t deadline_us,
               uint16_t *ret_words, struct line_result *ret_result)
{
    struct modbus_request request = { .unit = (uint8_t) source->unit, .table = block->table,
                                      .address = block->address, .count = block->count };
    struct line_result damage = { 0 };
    int r = -ETIMEDOUT;

    for (unsigned attempt = 0; attempt < ATTEMPTS; attempt++) {
        uint32_t timeout_us = attempt == 0 ? current_timeout_us(source) : source->timeout_us;

        if (attempt > 0 && clock_monotonic_us() + timeout_us > deadline_us) {
            break;
        }
        r = line_transact(source->line, &request, timeout_us, choose_sleep_us(source), ret_words,
                          ret_result);
        damage = r == -EBADMSG ? *ret_result : damage;
        if (r == 0) {
            learn_latency(source, ret_result);
            source->first_byte_ms = source->first_byte_ms ? source->first_byte_ms : ret_result->first_byte_ms;
            return 0;
        }
        if (r == -EOPNOTSUPP && ret_result->exception != 5 && ret_result->exception != 6) {
            return r;
        }
        if (r == -EOPNOTSUPP) {
            clock_sleep_until_us(clock_monotonic_us() + BUSY_PAUSE_US);
        } else if (r != -ETIMEDOUT && r != -EBADMSG) {
            return r;
        }
    }
    if (r == -ETIMEDOUT && damage.fault != MODBUS_ANSWERED) {
        *ret_result = damage;  // something did come: that says more than the silence after it
        return -EBADMSG;
    }
    return r;
}

/*
 * Ask for some points, in halves if the meter refuses them together. Returns 0 if it answered at all, or what kept
 * every request unanswered. Recursion ends: each level has half the points.
 */
static int ask_points(struct modbus_source *source, const struct meter_request *request, uint64_t deadline_us,
                      struct sample *sample)
{
    uint16_t words[MODBUS_MAX_REGISTERS];
    struct line_result result = { 0 };
    struct meter_request half;
    unsigned middle;
    int r, r_second;

    if (clock_monotonic_us() >= deadline_us) {
        count_reason(source, request, REASON_NOT_READ);
        return -ETIMEDOUT;
    }
    r = ask(source, &request->block, deadline_us, words, &result);
    if (r == 0) {
        keep_words(source, request, words, sample);
        return 0;
    }
    if (r != -EOPNOTSUPP || (result.exception != 2 && result.exception != 3)) {
        count_reason(source, request, reason_of(r, &result));
        return r;
    }
    if (request->last - request->first == 1) {
        count_reason(source, request, reason_of(r, &result));
        meter_mute(&source->meter, request->first, reason_of(r, &result), clock_monotonic_us());
        return r;
    }

    meter_split(&source->meter, request, clock_monotonic_us(), &middle);
    half = meter_request_for(&source->meter, request->first, middle);
    r = ask_points(source, &half, deadline_us, sample);
    half = meter_request_for(&source->meter, middle, request->last);
    r_second = ask_points(source, &half, deadline_us, sample);
    return r == 0 || r_second == 0 ? 0 : r_second;
}

static void decode_text(const struct selected *selected, const struct sample *sample)
{
    selected->text[0] = '\0';
    if (selected->reason == REASON_NONE) {
        (void) codec_decode_text(selected->point->codec, sample->words + selected->word_offset,
                                 selected->point->word_count, selected->text, IDENTITY_SIZE);
    }
}

static void decode(struct modbus_source *source, struct sample *sample)
{
    unsigned column = 0;

    for (unsigned i = 0; i < source->point_count; i++) {
        const struct selected *selected = &source->points[i];
        unsigned count = selected->point->codec->result == CODEC_PF4Q ? 2 : 1;
        double values[2] = { NAN, NAN };
        uint8_t reason = selected->reason;

        if (selected->point->codec->result == CODEC_TEXT) {
            decode_text(selected, sample);
            continue;
        }
        if (reason == REASON_NONE) {
            point_decode(source->model, selected->point, sample->words + selected->word_offset, values);
            reason = isnan(values[0]) ? REASON_NOT_AVAILABLE : REASON_NONE;
        }
        for (unsigned j = 0; j < count; j++, column++) {
            sample->values[column] = values[j];
            sample->reasons[column] = reason;
        }
    }
    assert(column == source->layout->count);
    source_apply_limits(source->limits, sample);
}

/* Points that are left out of the plan for now have no words and their old reason. */
static void start_poll(struct modbus_source *source, struct sample *sample, uint64_t now_us)
{
    sample_clear(sample, source->meter_name, source->layout->count, REASON_NOT_READ);
    sample->word_count = source->word_count;
    memset(sample->words, 0, source->word_count * sizeof(sample->words[0]));
    source->first_byte_ms = 0;
    for (unsigned i = 0; i < source->meter.slot_count; i++) {
        const struct meter_slot *slot = &source->meter.slots[i];

        source->points[slot->selected].reason =
            slot->muted_until_us > now_us ? slot->muted_reason : (uint8_t) REASON_NOT_READ;
    }
}

static void explain(struct modbus_source *source, int error, unsigned requests, enum reason reason)
{
    if (error == 0) {
        source->problem[0] = '\0';
    } else if (error == -ETIMEDOUT || error == -EBADMSG) {
        (void) snprintf(source->problem, sizeof(source->problem), requests > 1 ? "%s %u times" : "%s",
                        reason_text(reason), requests);
    } else if (error == -EOPNOTSUPP) {
        (void) snprintf(source->problem, sizeof(source->problem), "refused with %s", reason_text(reason));
    } else {
        (void) snprintf(source->problem, sizeof(source->problem), "%.150s", line_problem(source->line));
    }
}

static int next_sample(struct source *base, uint64_t deadline_us, struct sample *ret)
{
    struct modbus_source *source = modbus(base);
    unsigned silent = 0;
    bool answered = false;
    int r, error = -EOPNOTSUPP;

    start_poll(source, ret, clock_monotonic_us());
    r = meter_plan(&source->meter, clock_monotonic_us());
    if (r < 0) {
        return r;
    }
    line_set_serial(source->line, &source->serial);
    for (unsigned i = 0; i < source->meter.request_count; i++) {
        const struct meter_request *request = &source->meter.requests[i];

        r = ask_points(source, request, deadline_us, ret);
        answered |= r == 0;
        error = r < 0 ? r : error;
        silent = r == -ETIMEDOUT ? silent + 1 : 0;
        // no need to ask all its requests of a meter that is not there; one lost answer is not yet that
        if ((r < 0 && r != -EBADMSG && r != -ETIMEDOUT && r != -EOPNOTSUPP) || (silent > 0 && !answered)
            || silent > 1) {
            for (unsigned j = i + 1; j < source->meter.request_count; j++) {
                count_reason(source, &source->meter.requests[j], reason_of(r, &(struct line_result){ 0 }));
            }
            break;
        }
    }

    decode(source, ret);
    ret->boot_ms = source->first_byte_ms ? source->first_byte_ms : clock_boot_ms();
    if (!answered) {
        source->expect_us = 0;  // ask anew with the full time-out
        source->measured_count = 0;
        explain(source, error, ATTEMPTS,
                (enum reason) source->points[source->meter.slots[0].selected].reason);
        return error;
    }
    explain(source, 0, 0, REASON_NONE);
    return 0;
}

static int get_identity(const struct source *base, unsigned index, const char **ret_name, const char **ret_text)
{
    const struct modbus_source *source = modbus(base);

    for (unsigned i = 0; i < source->point_count; i++) {
        const struct selected *selected = &source->points[i];

        if (selected->point->codec->result == CODEC_TEXT && index-- == 0) {
            *ret_name = selected->point->name;
            *ret_text = selected->reason == REASON_NONE ? selected->text : NULL;
            return 0;
        }
    }
    return -ENOENT;
}

static void get_timing(const struct source *base, struct source_timing *ret)
{
    const struct modbus_source *source = modbus(base);
    double us = 0;

    for (unsigned i = 0; i < source->meter.request_count; i++) {
        us += plan_us(&source->meter.timing, &source->meter.requests[i].block, 1);
    }
    *ret = (struct source_timing){ .poll_us = (uint32_t) us,
                                   .latency_us = source->latency_us,
                                   .timeout_us = current_timeout_us(source),
                                   .request_count = source->meter.request_count };
}

static int probe(struct source *base, uint32_t timeout_us)
{
    struct modbus_source *source = modbus(base);
    const struct meter_request *shortest = source->meter.requests;
    struct modbus_request request;
    uint16_t words[MODBUS_MAX_REGISTERS];
    struct line_result result;
    int r;

    if (source->meter.request_count == 0) {
        return -EOPNOTSUPP;
    }
    for (unsigned i = 1; i < source->meter.request_count; i++) {
        if (source->meter.requests[i].block.count < shortest->block.count) {
            shortest = &source->meter.requests[i];
        }
    }
    request = (struct modbus_request){ .unit = (uint8_t) source->unit, .table = shortest->block.table,
                                       .address = shortest->block.address, .count = shortest->block.count };
    line_set_serial(source->line, &source->serial);
    r = line_transact(source->line, &request, timeout_us, 0, words, &result);
    if (r == 0) {
        learn_latency(source, &result);
    }
    explain(source, r == -EOPNOTSUPP ? 0 : r, 1, reason_of(r, &result));
    return r == -EOPNOTSUPP ? 0 : r;  // a refusal is an answer
}

static const struct source_ops modbus_ops = {
    .close = close_source,
    .next = next_sample,
    .layout = get_layout,
    .problem = get_problem,
    .identity = get_identity,
    .timing = get_timing,
    .probe = probe,
};

/* Each selected point, and where its words stand in a sample. */
static int place_points(struct modbus_source *source, const struct selection *selection)
{
    unsigned offset = 0;

    source->point_count = selection->point_count;
    source->points = calloc(MAX(selection->point_count, 1u), sizeof(*source->points));
    if (!source->points) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < selection->point_count; i++) {
        struct selected *selected = &source->points[i];

        selected->point = &source->model->points[selection->points[i]];
        selected->word_offset = (uint16_t) offset;
        offset += selected->point->word_count;
        if (offset > MAX_WORDS) {
            return -E2BIG;
        }
        if (selected->point->codec->result == CODEC_TEXT
            && !(selected->text = calloc(1, IDENTITY_SIZE))) {
            return -ENOMEM;
        }
    }
    source->word_count = (uint16_t) offset;
    return 0;
}

/* Layout and limits, no longer than they need to be: a plant has hundreds of meters. */
static int make_layout(struct modbus_source *source, const struct source_setup *setup)
{
    auto_free struct layout *layout = calloc(1, sizeof(*layout));
    auto_free struct source_limit *limits = calloc(MAX_POINTS, sizeof(*limits));

    if (!layout || !limits) {
        return -ENOMEM;
    }
    selection_layout(setup->model, setup->selection, layout);
    source_limits(setup, layout, limits);

    source->layout = malloc(offsetof(struct layout, columns) + layout->count * sizeof(layout->columns[0]));
    source->limits = calloc(MAX(layout->count, 1u), sizeof(*limits));
    if (!source->layout || !source->limits) {
        return -ENOMEM;
    }
    memcpy(source->layout, layout, offsetof(struct layout, columns) + layout->count * sizeof(layout->columns[0]));
    memcpy(source->limits, limits, layout->count * sizeof(*limits));
    return 0;
}

int source_modbus_open(const struct source_setup *setup, struct source **ret)
{
    auto_source struct source *base = calloc(1, sizeof(struct modbus_source));
    struct modbus_source *source = modbus(base);
    struct plan_timing timing;
    int r;

    if (!source) {
        return -ENOMEM;
    }
    base->ops = &modbus_ops;
    source->model = setup->model;
    source->line = setup->line;
    source->serial = setup->serial.baud         ? setup->serial
                     : setup->model->serial.baud ? setup->model->serial
                                                 : (struct serial_setting){ 9600, 'N', 8, 1 };
    source->unit = setup->unit;
    source->timeout_us = (setup->timeout_ms ? setup->timeout_ms : setup->model->timeout_ms) * 1000;
    (void) snprintf(source->meter_name, sizeof(source->meter_name), "%s", setup->meter);

    line_set_serial(source->line, &source->serial);
    timing = (struct plan_timing){ .character_us = line_character_us(source->line),
                                   .silence_us = line_silence_us(source->line),
                                   .turnaround_us = FIRST_GUESS_US };
    r = meter_init(&source->meter, setup->model, setup->selection, setup->max_registers, &timing);
    if (r < 0) {
        return r;
    }
    r = place_points(source, setup->selection);
    if (r < 0) {
        return r;
    }
    r = make_layout(source, setup);
    if (r < 0) {
        return r;
    }

    *ret = TAKE(base);
    return 0;
}
