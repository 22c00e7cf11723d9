/* SPDX-License-Identifier: MIT */
#include "app/acquire/bus_private.h"
#include "app/base/clock.h"
#include "app/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define POLL_SPARE_US    UINT64_C(300000)    // what a poll may take beyond all that is known of its meter
#define POLL_MAX_US      UINT64_C(20000000)  // the watchdog barks after 30 s
#define PROGRAM_MIN_US   UINT64_C(10000000)
#define IDLE_US          UINT64_C(2000000)   // a bus that had a pause lately has time for everybody
#define REOPEN_US        UINT64_C(1000000)

static unsigned count_state(const struct bus *bus, enum health_state state)
{
    unsigned count = 0;

    for (unsigned i = 0; i < bus->meter_count; i++) {
        count += bus->meters[i].health.state == state;
    }
    return count;
}

static bool any_alive(const struct bus *bus)
{
    return count_state(bus, HEALTH_LIVE) + count_state(bus, HEALTH_REFUSED) > 0;
}

/* Whether an error says something about the port and nothing about the meter. */
static bool is_port_error(int r)
{
    return r < 0 && r != -ETIMEDOUT && r != -EBADMSG && r != -EOPNOTSUPP && r != -EAGAIN;
}

/* What a probe of one meter depends on. */
static struct health_bus describe(const struct bus *bus, unsigned index)
{
    const struct bus_meter *meter = &bus->meters[index];
    struct source_timing timing;
    struct health_bus ret = { .model_us = meter->model_timeout_us,
                              .index = index,
                              .silent_count = count_state(bus, HEALTH_SILENT),
                              .any_alive = any_alive(bus) };

    for (unsigned i = 0; i < bus->meter_count; i++) {
        source_timing(bus->meters[i].source, &timing);
        ret.bus_us = MAX(ret.bus_us, timing.slowest_us);
    }
    source_timing(meter->source, &timing);
    ret.own_us = timing.timeout_us;
    ret.own_probe_us = timing.probe_us;
    return ret;
}

/* Those that fell silent while no meter answered are asked again at once. */
static void ask_all_silent(struct bus *bus, uint64_t now_us)
{
    for (unsigned i = 0; i < bus->meter_count; i++) {
        if (bus->meters[i].health.state == HEALTH_SILENT) {
            bus->schedule.entries[i].next_us = MIN(bus->schedule.entries[i].next_us, now_us);
        }
    }
}

static uint64_t poll_deadline_us(const struct bus *bus, unsigned index, uint64_t now_us)
{
    const struct bus_meter *meter = &bus->meters[index];
    struct source_timing timing;

    switch (meter->config->kind) {
    case SOURCE_MODBUS:
        source_timing(meter->source, &timing);
        // One time-out, one more attempt with the model's, and the answers: who is silent must not cost more,
        // and who often is must not even cost that once the budget is spent.
        return now_us
               + MIN(2 * (uint64_t) timing.poll_us + timing.timeout_us + POLL_SPARE_US
                         + (health_is_doubtful(&meter->health) && budget_wait_us(&bus->budget, now_us, 0) > 0
                                ? 0 : meter->model_timeout_us),
                     POLL_MAX_US);
    case SOURCE_CURRENTCOST:
        // It listens until its slice ends, so that nothing is missed between two polls.
        return MIN(schedule_slice_us(&bus->schedule, index, schedule_slice(&bus->schedule, index, now_us) + 1),
                   now_us + POLL_MAX_US);
    case SOURCE_EXEC:
        return now_us + MIN(MAX(meter->config->interval_ms * UINT64_C(1000), PROGRAM_MIN_US), POLL_MAX_US);
    }
    return now_us;
}

/* A short question first if it was silent; a whole poll if it answers. */
static int ask(struct bus *bus, unsigned index, uint64_t now_us)
{
    struct bus_meter *meter = &bus->meters[index];
    int r;

    if (!bus->line) {
        return source_next(meter->source, poll_deadline_us(bus, index, now_us), bus->sample);
    }

    r = bus_use_port(bus, now_us);
    if (r < 0) {
        return r;
    }
    if (health_wants_probe(&meter->health)) {
        const struct health_bus around = describe(bus, index);

        r = source_probe(meter->source, health_probe_timeout_us(&meter->health, &around));
        atomic_store(&bus->ticked_ms, clock_monotonic_ms());  // it may have taken as long as a poll
    }
    if (r == 0 || r == -EOPNOTSUPP) {  // a refusal of the probe's register is an answer too
        r = source_next(meter->source, poll_deadline_us(bus, index, clock_monotonic_us()), bus->sample);
    }
    if (is_port_error(r)) {
        bus_port_failed(bus, r);
    }
    return r;
}

/* When is it asked next, now that we know how it went? */
static void plan_next(struct bus *bus, unsigned index, int result)
{
    const struct bus_meter *meter = &bus->meters[index];
    uint64_t now_us = clock_monotonic_us();
    struct health_bus around;

    if (!bus->line && is_port_error(result) && meter->config->kind == SOURCE_CURRENTCOST) {
        schedule_probe(&bus->schedule, index, MIN(bus->schedule.entries[index].next_us, now_us + REOPEN_US));
        return;  // it looks for its port by itself
    }
    if (!bus->line || bus->port.error != 0 || meter->health.state != HEALTH_SILENT) {
        return;  // the slices go on
    }
    around = describe(bus, index);
    schedule_probe(&bus->schedule, index,
                   now_us + health_probe_delay_us(&meter->health, bus->schedule.entries[index].interval_us, &around));
}

/* Whether a meter that answers as it should is waiting for the bus, beside that one. */
static bool others_wait(const struct bus *bus, unsigned index, uint64_t now_us)
{
    if (bus->meters[index].health.state == HEALTH_SILENT) {
        return any_alive(bus);
    }
    if (now_us - MIN(bus->idle_us, now_us) < IDLE_US) {
        return false;  // there is time for everybody
    }
    for (unsigned i = 0; i < bus->meter_count; i++) {
        if (i != index && bus->meters[i].health.state == HEALTH_LIVE && !health_is_doubtful(&bus->meters[i].health)) {
            return true;
        }
    }
    return false;
}

/* Whether a meter that may not answer is not to be asked now: it, and others like it, have cost the rest enough. */
bool bus_put_off(struct bus *bus, unsigned index)
{
    struct bus_meter *meter = &bus->meters[index];
    bool silent = meter->health.state == HEALTH_SILENT;
    uint64_t now_us = clock_monotonic_us(), wait_us;

    if (!bus->line || bus->port.error != 0 || !health_is_doubtful(&meter->health) || !others_wait(bus, index, now_us)) {
        return false;
    }
    wait_us = budget_wait_us(&bus->budget, now_us, silent ? 0 : -BUDGET_MOST_US);
    if (wait_us == 0) {
        return false;
    }
    if (silent) {
        schedule_probe(&bus->schedule, index, now_us + wait_us);
    } else {
        schedule_skip(&bus->schedule, index, now_us);
    }
    (void) pthread_mutex_lock(&bus->mutex);
    meter->status.next_us = bus->schedule.entries[index].next_us;
    (void) pthread_mutex_unlock(&bus->mutex);
    return true;
}

/* What a question without an answer has cost. */
static void count_cost(struct bus *bus, struct bus_meter *meter, int result, uint64_t began_us)
{
    uint64_t now_us = clock_monotonic_us();

    if (!bus->line || (result != -ETIMEDOUT && result != -EBADMSG)) {
        return;
    }
    budget_spend(&bus->budget, now_us, now_us - began_us);
    if (meter->health.state == HEALTH_SILENT) {
        health_probe_failed(&meter->health, now_us - began_us);
    }
}

/* Holes are found once and kept over a restart. */
static void keep_learned(struct bus *bus, struct bus_meter *meter)
{
    if (bus->setup.learned && source_learned(meter->source, NULL) != meter->learned_version) {
        meter->learned_version = source_learned(meter->source, &bus->words);
        learned_put(bus->setup.learned, meter->config->name, text_string(&bus->words));
    }
}

/* Each meter that answers has its own round: the bus keeps the intervals if all of them do. */
static void tell_overload(struct bus *bus, uint64_t now_us)
{
    struct overload_round worst = { 0, 1 };
    char cycle[TEXT_DURATION_SIZE], interval[TEXT_DURATION_SIZE];

    for (unsigned i = 0; i < bus->meter_count; i++) {
        const struct bus_meter *meter = &bus->meters[i];

        if (meter->health.state == HEALTH_LIVE) {
            worst = overload_worse(worst, (struct overload_round){ meter->cycle_ms, meter->config->interval_ms });
        }
    }
    if (worst.cycle_ms == 0) {
        return;  // nobody was measured
    }
    (void) text_duration(worst.cycle_ms, cycle);
    (void) text_duration(worst.interval_ms, interval);
    switch (overload_update(&bus->overload, worst, now_us)) {
    case OVERLOAD_BEGAN:
        log_warning("bus '%s' needs %s for a round, more than the interval of %s: meters are read as often as it can",
                    bus->name, cycle, interval);
        break;
    case OVERLOAD_ENDED:
        log_info("bus '%s' keeps the interval of %s again", bus->name, interval);
        break;
    case OVERLOAD_NO_NEWS:
        break;
    }
}

/* It was not asked, since a late answer might pass for the one to this question: the others are, until that is over. */
static void wait_for_late_answers(struct bus *bus, unsigned index)
{
    struct bus_meter *meter = &bus->meters[index];
    struct source_timing timing;

    source_timing(meter->source, &timing);
    schedule_probe(&bus->schedule, index, MAX(timing.not_before_us, clock_monotonic_us()));
    (void) pthread_mutex_lock(&bus->mutex);
    meter->status.next_us = bus->schedule.entries[index].next_us;
    (void) pthread_mutex_unlock(&bus->mutex);
}

void bus_poll_meter(struct bus *bus, unsigned index)
{
    struct bus_meter *meter = &bus->meters[index];
    uint64_t now_us = clock_monotonic_us();
    bool was_alive = any_alive(bus);
    struct bus_poll poll = { .now_us = now_us, .queue = bus->setup.queue, .scratch = bus->scratch };
    unsigned change;

    poll.slice = schedule_take(&bus->schedule, index, now_us);
    poll.result = ask(bus, index, now_us);
    if (poll.result < 0 && bus_wait_until(bus, 0)) {
        return;  // we were told to end, and so were the programs: that is no news of a meter
    }
    if (poll.result == -EAGAIN) {
        wait_for_late_answers(bus, index);
        return;
    }
    count_cost(bus, meter, poll.result, now_us);
    poll.port_problem = bus->line && is_port_error(poll.result) ? bus->problem : NULL;
    poll.next_slice = schedule_slice(&bus->schedule, index, bus->schedule.entries[index].next_us);
    poll.urgent = !bus->row_pushed;
    poll.keep_words = atomic_load(bus->setup.keep_words);

    change = bus_meter_result(meter, &poll, bus->sample);
    bus->row_pushed |= poll.result == 0;
    keep_learned(bus, meter);
    plan_next(bus, index, poll.result);
    if (poll.result == 0 && !was_alive) {
        ask_all_silent(bus, now_us);  // whatever kept the bus quiet is over,
        budget_init(&bus->budget, now_us);  // and cost nobody anything
    }

    (void) pthread_mutex_lock(&bus->mutex);
    bus_meter_publish(meter, &poll, bus->sample);
    meter->status.next_us = bus->schedule.entries[index].next_us;
    meter->status.skipped = bus->schedule.entries[index].skipped;
    (void) pthread_mutex_unlock(&bus->mutex);
    bus_meter_log(meter, bus->name, change, &poll, &bus->rates);
    tell_overload(bus, now_us);
    if (change & (HEALTH_LOST | HEALTH_BACK) || poll.is_first) {
        bus->setup.changed(bus->setup.data);
    }
}
