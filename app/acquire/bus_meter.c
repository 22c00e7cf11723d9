/* SPDX-License-Identifier: MIT */
#include "app/acquire/bus_meter.h"

#include "app/base/clock.h"
#include "app/base/log.h"
#include "drivers/modbus_latency.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int bus_meter_init(struct bus_meter *ret, const struct config *config, unsigned index, struct line *line)
{
    const struct meter_config *meter = &config->meters[index];
    struct source_setup setup;
    int r;

    *ret = (struct bus_meter){ .index = index, .config = meter, .health = { .state = HEALTH_NEW } };
    config_source_setup(config, index, NULL, line, &setup);
    setup.yields = true;
    r = source_open(&setup, &ret->source);
    if (r < 0) {
        return r;
    }

    ret->model_timeout_us = (setup.timeout_ms ? setup.timeout_ms : meter->model ? meter->model->timeout_ms : 0) * 1000;
    ret->model_timeout_us = MIN(ret->model_timeout_us, (uint32_t) LATENCY_MOST_US);
    ret->values = calloc(MAX(source_layout(ret->source)->count, 1u), sizeof(double));
    r = ret->values ? 0 : -ENOMEM;
    if (r == 0) {
        r = guard_new(ret->source, meter->max_power_w, &ret->guard);
    }
    if (r == 0 && meter->log_every_ms > meter->interval_ms) {
        r = average_new(source_layout(ret->source), meter->log_every_ms * UINT64_C(1000), &ret->average);
    }
    if (r < 0) {
        bus_meter_clear(ret);
    }
    return r;
}

void bus_meter_clear(struct bus_meter *meter)
{
    guard_free(TAKE(meter->guard));
    source_close(TAKE(meter->source));
    average_free(TAKE(meter->average));
    free(TAKE(meter->values));
}

void bus_meter_recall(struct bus_meter *meter, const struct recall *recall, const struct epoch *epoch)
{
    const struct layout *layout = source_layout(meter->source);
    const uint64_t boot_ms = clock_boot_ms();

    for (unsigned i = 0; i < layout->count; i++) {
        struct counter_level level;
        enum counter_memory memory = recall_level(recall, meter->config->name, layout->columns[i].name, epoch, boot_ms,
                                                  &level);

        guard_remember(meter->guard, i, memory, &level);
    }
}

int bus_meter_remember(const struct bus_meter *meter, struct recall *recall)
{
    const struct layout *layout = source_layout(meter->source);

    for (unsigned i = 0; i < layout->count; i++) {
        struct counter_level level = { 0 };
        enum counter_memory memory = guard_last(meter->guard, i, &level);
        int r = memory == COUNTER_NEW ? 0 : recall_keep(recall, meter->config->name, layout->columns[i].name, memory,
                                                        &level);

        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* The first of several that are held back, and what a change of level was. */
static void log_note(const struct bus_meter *meter, const struct guard_note *note)
{
    const enum counter_verdict verdict = note->judgement.verdict;
    char text[GUARD_TEXT_SIZE];

    if (note->untold > 0 || (counter_verdict_holds(verdict) && note->judgement.held == 1)
        || counter_verdict_releases(verdict)) {
        (void) guard_event(NULL, 0, meter->config->name, source_layout(meter->source), note, 0, text);
        log_warning("meter %s", text);
    }
}

/* With all that was noted since the last row: of a row that is averaged, of each of its polls. */
static void push(struct bus_meter *meter, struct queue *queue, const struct sample *sample, bool keep_words,
                 bool urgent)
{
    const struct guard_note *notes;
    unsigned count = guard_take_notes(meter->guard, &notes);

    queue_push_row(queue, meter->slot, sample, notes, count, keep_words, urgent);
    for (unsigned i = 0; i < count; i++) {
        log_note(meter, &notes[i]);
    }
}

static void flush(struct bus_meter *meter, struct queue *queue, struct sample *scratch)
{
    if (meter->average && average_take(meter->average, scratch)) {
        push(meter, queue, scratch, false, false);
    }
}

static void push_row(struct bus_meter *meter, const struct bus_poll *poll, struct sample *sample)
{
    uint64_t interval_us = meter->config->interval_ms * UINT64_C(1000);

    if (!meter->average) {
        if (poll->result == 0) {
            guard_judge(meter->guard, sample);
            push(meter, poll->queue, sample, poll->keep_words, poll->urgent);
        }
        return;
    }

    if (average_is_due(meter->average, poll->slice * interval_us)) {
        flush(meter, poll->queue, poll->scratch);  // the last slices of its period were skipped
    }
    if (poll->result == 0) {
        guard_judge(meter->guard, sample);
        average_add(meter->average, sample, poll->slice * interval_us);
    }
    if (average_is_due(meter->average, poll->next_slice * interval_us)) {
        flush(meter, poll->queue, poll->scratch);
    }
}

static void PRINTF_LIKE(5, 6) push_event(const struct bus_meter *meter, struct queue *queue, const char *code,
                                         bool urgent, const char *format, ...)
{
    char text[QUEUE_TEXT_SIZE];
    int size = snprintf(text, sizeof(text), "%s: ", meter->config->name);
    va_list arguments;

    va_start(arguments, format);
    (void) vsnprintf(text + size, sizeof(text) - (size_t) size, format, arguments);
    va_end(arguments);
    queue_push_event(queue, clock_boot_ms(), code, text, urgent);
}

/* problem: of a poll that failed. What each event counts stands in absence.h. */
static void push_events(const struct bus_meter *meter, struct queue *queue, const struct absence_news *news,
                        const char *problem)
{
    static const char without[] = "slices without a row";
    char time[TEXT_DURATION_SIZE];

    if (news->missed) {
        push_event(meter, queue, "missed", false, "%s", problem);
    }
    if (news->lost) {
        push_event(meter, queue, "lost", true, "%s (%s)",
                   meter->health.answered ? "stopped answering" : "does not answer", problem);
    }
    if (news->back) {
        push_event(meter, queue, "back", true, "answers again, %" PRIu64 " %s", news->back_slices, without);
    }
    if (news->flapping) {
        push_event(meter, queue, "flapping", false, "fell silent %u times in %s, now %s, %" PRIu64 " %s",
                   news->silences, text_duration(news->flapping_us / 1000, time),
                   meter->health.missing ? "silent" : "answering", news->silent_slices, without);
    }
    if (news->skipped_slices > 0) {
        push_event(meter, queue, "skipped", false, "the bus had no time, %" PRIu64 " %s", news->skipped_slices,
                   without);
    }
    if (news->missing_slices > 0) {
        push_event(meter, queue, "missing", false, "silent to the end, %" PRIu64 " %s", news->missing_slices, without);
    }
}

void bus_meter_end(struct bus_meter *meter, struct queue *queue, struct sample *scratch, uint64_t slice)
{
    struct absence_news news;

    flush(meter, queue, scratch);
    absence_end(&meter->absence, meter->health.missing, slice, clock_monotonic_us(), &news);
    push_events(meter, queue, &news, "");
}

static void measure(struct bus_meter *meter, const struct bus_poll *poll)
{
    uint32_t cycle_ms = meter->polled_us ? (uint32_t) ((poll->now_us - meter->polled_us) / 1000) : 0;
    struct source_timing timing;

    source_timing(meter->source, &timing);
    meter->latency_us = timing.latency_us;
    meter->cycle_ms = meter->cycle_ms == 0 ? cycle_ms : (3 * meter->cycle_ms + cycle_ms) / 4;
    meter->polled_us = poll->now_us;
}

unsigned bus_meter_result(struct bus_meter *meter, struct bus_poll *poll, struct sample *sample)
{
    uint64_t missing_us = meter->health.missing_us;
    struct absence_news news;
    unsigned change;

    poll->was_down = meter->health.state == HEALTH_SILENT || meter->health.state == HEALTH_REFUSED;
    change = health_result(&meter->health, poll->result, poll->now_us);
    poll->missing_ms = (poll->now_us - MIN(missing_us, poll->now_us)) / 1000;
    if (poll->result < 0) {
        const char *problem = source_problem(meter->source);

        poll->problem = poll->port_problem ? poll->port_problem
                        : problem && *problem ? problem : strerror(-poll->result);
    } else {
        poll->is_first = !meter->any_row;
        meter->any_row = true;
        meter->row_slice = poll->slice;
        meter->polled_us = poll->was_down ? 0 : meter->polled_us;  // its silence says nothing of the bus's speed
        measure(meter, poll);
    }

    push_row(meter, poll, sample);
    absence_update(&meter->absence, change, poll->slice, poll->result == 0, poll->now_us, &news);
    push_events(meter, poll->queue, &news, poll->problem);
    return change;
}

void bus_meter_publish(struct bus_meter *meter, const struct bus_poll *poll, const struct sample *sample)
{
    struct bus_meter_status *status = &meter->status;

    status->state = meter->health.state;
    if (poll->result < 0) {
        (void) snprintf(status->problem, sizeof(status->problem), "%s", poll->problem);
        return;
    }
    status->problem[0] = '\0';
    status->latency_us = meter->latency_us;
    status->cycle_ms = meter->cycle_ms;
    status->boot_ms = sample->boot_ms;
    status->value_count = sample->value_count;
    memcpy(meter->values, sample->values, sample->value_count * sizeof(meter->values[0]));
}

/* What stands behind a line in place of those that were left out. Returns buffer. */
static const char *left_out_text(unsigned count, char buffer[static 64])
{
    buffer[0] = '\0';
    if (count > 0) {
        (void) snprintf(buffer, 64, " (%u such lines were left out before)", count);
    }
    return buffer;
}

void bus_meter_log(const struct bus_meter *meter, const char *bus, unsigned change, const struct bus_poll *poll,
                   struct bus_rates *rates)
{
    const char *name = meter->config->name;
    char text[TEXT_DURATION_SIZE], more[64];
    unsigned left_out = 0;

    // A port that is gone was told once, for all meters of its bus.
    if (change & HEALTH_LOST && poll->port_problem) {
        log_debug("meter '%s' on '%s' cannot be asked: %s", name, bus, poll->problem);
    } else if (change & HEALTH_LOST
               && (!meter->health.answered || rate_allows(&rates->lost, poll->now_us, &left_out))) {
        log_warning("meter '%s' on '%s' %s (%s), asking on%s", name, bus,
                    meter->health.answered ? "stopped answering" : "does not answer", poll->problem,
                    left_out_text(left_out, more));
    } else if (change & HEALTH_MISSED) {
        log_debug("meter '%s' on '%s': no row for this slice (%s)", name, bus, poll->problem);
    }

    if (poll->is_first && change & HEALTH_BACK && poll->was_down) {
        log_info("meter '%s' on '%s' answers after %s", name, bus, text_duration(poll->missing_ms, text));
    } else if (poll->is_first) {
        log_info("meter '%s' on '%s' answers", name, bus);
    } else if (change & HEALTH_BACK && poll->was_down && rate_allows(&rates->back, poll->now_us, &left_out)) {
        log_info("meter '%s' on '%s' is back after %s%s", name, bus, text_duration(poll->missing_ms, text),
                 left_out_text(left_out, more));
    }
}
