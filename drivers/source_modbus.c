/* SPDX-License-Identifier: MIT */
#include "app/base/clock.h"
#include "drivers/source_modbus_private.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FIRST_GUESS_US    10000     // turnaround of a meter that has not answered yet
#define SHARED_TIMEOUT_US 500000    // that has room in each hold of a shared port: longer blocks are split
#define LONGEST_POLL_US   18000000  // waiting for a shared port included: the watchdog barks after 30 s
#define IDENTITY_SIZE     132       // 64 registers of text and the end

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
    source->heard = source->refused = false;
    source->silences = 0;
    source->not_before_us = 0;
    for (unsigned i = 0; i < source->meter.slot_count; i++) {
        const struct meter_slot *slot = &source->meter.slots[i];

        source->points[slot->selected].reason =
            slot->muted_until_us > now_us ? slot->muted_reason : (uint8_t) REASON_NOT_READ;
    }
}

static int next_sample(struct source *base, uint64_t deadline_us, struct sample *ret)
{
    struct modbus_source *source = modbus(base);
    uint64_t now_us = clock_monotonic_us();
    int r;

    source->waited_before_us = line_waited_us(source->line);
    source->patience_us = LONGEST_POLL_US - MIN(deadline_us - MIN(now_us, deadline_us), (uint64_t) LONGEST_POLL_US);
    start_poll(source, ret, now_us);
    r = meter_plan(&source->meter, now_us);
    if (r < 0) {
        return r;
    }
    line_set_serial(source->line, &source->serial);
    r = modbus_ask_all(source, deadline_us, ret);
    if (r == -EAGAIN && !source->yields) {
        r = -ETIMEDOUT;
    }

    decode(source, ret);
    ret->boot_ms = source->first_byte_ms ? source->first_byte_ms : clock_boot_ms();
    modbus_explain(source, r, source->attempts,
            r == 0 ? REASON_NONE : (enum reason) source->points[source->meter.slots[0].selected].reason);
    return r;
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

static const struct point *get_point(const struct source *base, unsigned column, unsigned *ret_word_offset)
{
    const struct modbus_source *source = modbus(base);
    unsigned first = 0;

    for (unsigned i = 0; i < source->point_count; i++) {
        const struct selected *selected = &source->points[i];
        const enum codec_result result = selected->point->codec->result;

        first += result == CODEC_TEXT ? 0 : result == CODEC_PF4Q ? 2 : 1;
        if (column < first) {
            *ret_word_offset = selected->word_offset;
            return selected->point;
        }
    }
    return NULL;
}

static void get_timing(const struct source *base, struct source_timing *ret)
{
    const struct modbus_source *source = modbus(base);
    double us = 0;

    for (unsigned i = 0; i < source->meter.request_count; i++) {
        us += plan_us(&source->meter.timing, &source->meter.requests[i].block, 1);
    }
    *ret = (struct source_timing){ .poll_us = (uint32_t) us,
                                   .latency_us = source->latency.last_us,
                                   .slowest_us = source->latency.slowest_us,
                                   .timeout_us = latency_timeout_us(&source->latency),
                                   .probe_us = latency_probe_us(&source->latency),
                                   .not_before_us = source->not_before_us,
                                   .request_count = source->meter.request_count };
}

static int probe(struct source *base, uint32_t timeout_us)
{
    return modbus_probe(modbus(base), timeout_us);
}

static unsigned get_learned(const struct source *base, struct text *ret)
{
    const struct modbus_source *source = modbus(base);

    if (ret) {
        meter_save(&source->meter, ret);
    }
    return source->meter.version;
}

/* The plan is made at once: a probe, which comes before the first poll, asks by it. */
static int teach(struct source *base, const char *learned)
{
    uint64_t now_us = clock_monotonic_us();
    int r = meter_restore(&modbus(base)->meter, learned, now_us);

    return r < 0 ? r : meter_plan(&modbus(base)->meter, now_us);
}

static const struct source_ops modbus_ops = {
    .close = close_source,
    .next = next_sample,
    .layout = get_layout,
    .problem = get_problem,
    .identity = get_identity,
    .timing = get_timing,
    .probe = probe,
    .point = get_point,
    .learned = get_learned,
    .teach = teach,
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
    source->yields = setup->yields;
    source->latency.longest_us = MIN((setup->timeout_ms ? setup->timeout_ms : setup->model->timeout_ms) * 1000,
                                     (unsigned) LATENCY_MOST_US);
    (void) snprintf(source->meter_name, sizeof(source->meter_name), "%s", setup->meter);

    line_set_serial(source->line, &source->serial);
    timing = (struct plan_timing){ .character_us = line_character_us(source->line),
                                   .silence_us = line_silence_us(source->line),
                                   .turnaround_us = FIRST_GUESS_US,
                                   .max_hold_us = (double) line_hold_us(source->line),
                                   .timeout_us = MIN(source->latency.longest_us, (uint32_t) SHARED_TIMEOUT_US) };
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
