/* SPDX-License-Identifier: MIT */
#include "app/acquire/bus.h"

#include "app/acquire/bus_meter.h"
#include "app/acquire/port_watch.h"
#include "app/acquire/schedule.h"
#include "app/acquire/thread.h"
#include "app/base/clock.h"
#include "app/base/log.h"
#include "app/config/sharing.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#define TICK_US          UINT64_C(5000000)   // longest sleep: the watchdog wants to see us
#define POLL_SPARE_US    UINT64_C(300000)    // what a poll may take beyond all that is known of its meter
#define POLL_MAX_US      UINT64_C(20000000)  // the watchdog barks after 30 s
#define PROGRAM_MIN_US   UINT64_C(10000000)
#define OPEN_US          UINT64_C(3000000)
#define REOPEN_US        UINT64_C(1000000)

struct bus {
    struct bus_setup setup;
    const char *name;
    struct line *line;             // NULL: the meter has a port of its own, or is a program
    struct schedule schedule;
    struct bus_meter *meters;
    unsigned meter_count;
    struct sample *sample, *scratch;
    uint32_t latency_us;           // the longest measured
    bool row_pushed;
    bool busy;
    bool overload_told;

    struct port_watch port;
    char warning[BUS_PROBLEM_SIZE];  // about it, told last
    int wake_fd;                   // eventfd: an adapter came or went
    bool told, hung_up;            // what wait_until() found

    struct thread thread;
    atomic_uint_fast64_t ticked_ms;
    pthread_mutex_t mutex;         // of what others look at: the meters' status and values, and
    char problem[BUS_PROBLEM_SIZE];
};

/* --- making --- */

static int open_line(struct bus *bus, const struct config *config, const struct meter_config *first)
{
    const struct bus_config *bus_config = &config->buses[first->bus];
    struct serial_setting serial = bus_config->serial;
    struct sharing sharing;
    int r;

    if (serial.baud == 0) {
        serial = first->serial.baud ? first->serial : first->model->serial;
    }
    sharing_decide(config, (int) first->bus, &bus_config->port, &sharing);
    r = line_new(&bus_config->port, &serial, &bus->line);
    return r < 0 ? r : sharing_apply(&sharing, bus->line);
}

static int open_meters(struct bus *bus)
{
    const struct config *config = bus->setup.config;
    int r;

    for (unsigned i = 0; i < bus->setup.meter_count; i++) {
        r = bus_meter_init(&bus->meters[i], config, bus->setup.meters[i], bus->line);
        if (r < 0) {
            return r;
        }
        bus->meter_count++;
        schedule_set_interval(&bus->schedule, i, bus->meters[i].config->interval_ms * UINT64_C(1000));
    }
    return 0;
}

int bus_new(const struct bus_setup *setup, struct bus **ret)
{
    const struct meter_config *first = &setup->config->meters[setup->meters[0]];
    struct bus *bus;
    int r = 0;

    bus = calloc(1, sizeof(*bus));
    if (!bus) {
        return -ENOMEM;
    }
    bus->setup = *setup;
    bus->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bus->name = first->kind == SOURCE_EXEC ? first->name : setup->config->buses[first->bus].name;
    (void) pthread_mutex_init(&bus->mutex, NULL);
    bus->meters = calloc(setup->meter_count, sizeof(*bus->meters));
    bus->sample = calloc(1, sizeof(*bus->sample));
    bus->scratch = calloc(1, sizeof(*bus->scratch));
    if (!bus->meters || !bus->sample || !bus->scratch || bus->wake_fd < 0) {
        r = bus->wake_fd < 0 ? -EMFILE : -ENOMEM;
    }
    if (r == 0) {
        r = schedule_init(&bus->schedule, setup->start_us, setup->meter_count);
    }
    if (r == 0 && first->kind == SOURCE_MODBUS) {
        r = open_line(bus, setup->config, first);
    }
    if (r == 0) {
        r = open_meters(bus);
    }
    if (r < 0) {
        bus_free(bus);
        return r;
    }
    bus->setup.meters = NULL;  // they were the caller's

    *ret = bus;
    return 0;
}

void bus_free(struct bus *bus)
{
    if (!bus) {
        return;
    }
    for (unsigned i = 0; i < bus->meter_count; i++) {
        bus_meter_clear(&bus->meters[i]);
    }
    line_close(bus->line);
    schedule_clear(&bus->schedule);
    macros_close(&bus->wake_fd);
    (void) pthread_mutex_destroy(&bus->mutex);
    free(bus->meters);
    free(bus->sample);
    free(bus->scratch);
    free(bus);
}

/* --- asking --- */

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
    return r < 0 && r != -ETIMEDOUT && r != -EBADMSG && r != -EOPNOTSUPP;
}

static void set_problem(struct bus *bus, const char *problem)
{
    (void) pthread_mutex_lock(&bus->mutex);
    (void) snprintf(bus->problem, sizeof(bus->problem), "%s", problem);
    (void) pthread_mutex_unlock(&bus->mutex);
}

static void port_failed(struct bus *bus, int r)
{
    const char *problem = line_problem(bus->line);

    if (!port_watch_failed(&bus->port, r, clock_monotonic_us())) {
        return;
    }
    set_problem(bus, problem && *problem ? problem : strerror(-r));
    log_warning("bus '%s' cannot be used: %s; trying again every second", bus->name, bus->problem);
    bus->setup.changed(bus->setup.data);
}

/* The slice at hand can still have its row; that nobody was asked meanwhile says nothing of the bus's speed. */
static void ask_all_missed(struct bus *bus, uint64_t now_us)
{
    for (unsigned i = 0; i < bus->meter_count; i++) {
        struct bus_meter *meter = &bus->meters[i];

        meter->polled_us = 0;
        if (!meter->any_row || meter->row_slice != schedule_slice(&bus->schedule, i, now_us)) {
            bus->schedule.entries[i].next_us = MIN(bus->schedule.entries[i].next_us, now_us);
        }
    }
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

/* Once, and again only if it has changed. */
static void tell_warning(struct bus *bus)
{
    const char *warning = line_warning(bus->line);

    if (*warning && strncmp(warning, bus->warning, sizeof(bus->warning) - 1) != 0) {
        log_warning("bus '%s': %s", bus->name, warning);
    }
    (void) snprintf(bus->warning, sizeof(bus->warning), "%s", warning);
}

/* The port, opened again if it was gone. */
static int use_port(struct bus *bus, uint64_t now_us)
{
    bool was_closed = line_fd(bus->line) < 0;
    int r;

    if (bus->port.error != 0 && now_us < bus->port.again_us) {
        return bus->port.error;
    }
    r = line_open(bus->line, now_us + OPEN_US);
    if (r < 0) {
        port_failed(bus, r);
        return r;
    }
    tell_warning(bus);
    if (was_closed && port_watch_opened(&bus->port, now_us)) {
        set_problem(bus, "");
        log_info("bus '%s' can be used again", bus->name);
        ask_all_missed(bus, now_us);
        bus->setup.changed(bus->setup.data);
    }
    return 0;
}

/*
 * Between polls: the kernel says when the port is gone, and it is closed at once, so that the adapter can come back
 * under its name. The core says when there may be a port again, and so does a second that is over.
 */
static void look_after_port(struct bus *bus)
{
    uint64_t now_us = clock_monotonic_us(), count;

    if (bus->told) {
        (void) !read(bus->wake_fd, &count, sizeof(count));  // only to make it quiet
    }
    if (bus->line && bus->hung_up) {
        port_failed(bus, line_hung_up(bus->line));
    } else if (bus->line && port_watch_is_due(&bus->port, bus->told, now_us)) {
        log_debug("bus '%s': %s", bus->name, bus->told ? "told of a port" : "looking for the port");
        bus->port.again_us = 0;
        line_look_again(bus->line);
        (void) use_port(bus, now_us);
    }
}

static uint64_t poll_deadline_us(const struct bus *bus, unsigned index, uint64_t now_us)
{
    const struct bus_meter *meter = &bus->meters[index];
    struct source_timing timing;

    switch (meter->config->kind) {
    case SOURCE_MODBUS:
        source_timing(meter->source, &timing);
        // One time-out, one more attempt with the model's, and the answers: who is silent must not cost more.
        return now_us
               + MIN(2 * (uint64_t) timing.poll_us + timing.timeout_us + meter->model_timeout_us + POLL_SPARE_US,
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

    r = use_port(bus, now_us);
    if (r < 0) {
        return r;
    }
    if (health_wants_probe(&meter->health)) {
        struct source_timing timing;

        source_timing(meter->source, &timing);
        r = source_probe(meter->source, health_probe_timeout_us(&meter->health, timing.timeout_us, bus->latency_us,
                                                                meter->model_timeout_us));
    }
    if (r == 0 || r == -EOPNOTSUPP) {  // a refusal of the probe's register is an answer too
        r = source_next(meter->source, poll_deadline_us(bus, index, clock_monotonic_us()), bus->sample);
    }
    if (is_port_error(r)) {
        port_failed(bus, r);
    }
    return r;
}

/* When is it asked next, now that we know how it went? */
static void plan_next(struct bus *bus, unsigned index, int result)
{
    const struct bus_meter *meter = &bus->meters[index];
    uint64_t now_us = clock_monotonic_us();
    struct source_timing timing;
    uint32_t cost_us;

    if (!bus->line && is_port_error(result) && meter->config->kind == SOURCE_CURRENTCOST) {
        schedule_probe(&bus->schedule, index, MIN(bus->schedule.entries[index].next_us, now_us + REOPEN_US));
        return;  // it looks for its port by itself
    }
    if (!bus->line || bus->port.error != 0 || meter->health.state != HEALTH_SILENT) {
        return;  // the slices go on
    }
    source_timing(meter->source, &timing);
    cost_us = health_probe_cost_us(&meter->health, timing.timeout_us, bus->latency_us, meter->model_timeout_us);
    schedule_probe(&bus->schedule, index,
                   now_us + health_probe_delay_us(&meter->health, bus->schedule.entries[index].interval_us,
                                                  count_state(bus, HEALTH_SILENT), cost_us, any_alive(bus)));
}

static void tell_overload(struct bus *bus, const struct bus_meter *meter)
{
    const uint32_t interval_ms = meter->config->interval_ms;
    char cycle[TEXT_DURATION_SIZE], interval[TEXT_DURATION_SIZE];

    if (!bus->overload_told && meter->cycle_ms > interval_ms + interval_ms / 2) {
        log_warning("bus '%s' needs %s for a round, more than the interval of %s: meters are read as often as it can",
                    bus->name, text_duration(meter->cycle_ms, cycle), text_duration(interval_ms, interval));
        bus->overload_told = true;
    } else if (bus->overload_told && meter->cycle_ms < interval_ms + interval_ms / 10) {
        log_info("bus '%s' keeps the interval of %s again", bus->name, text_duration(interval_ms, interval));
        bus->overload_told = false;
    }
}

/* Returns true if the bus is to end. */
static bool wait_until(struct bus *bus, uint64_t until_us)
{
    struct pollfd fds[] = { { .fd = bus->setup.stop_fd, .events = POLLIN },
                            { .fd = bus->wake_fd, .events = POLLIN },
                            { .fd = bus->line ? line_fd(bus->line) : -1 } };
    uint64_t now_us = clock_monotonic_us();
    const uint64_t left_us = until_us > now_us ? MIN(until_us - now_us, TICK_US) : 0;
    const struct timespec timeout = { .tv_sec = (time_t) (left_us / 1000000),
                                      .tv_nsec = (long) (left_us % 1000000) * 1000 };

    if (ppoll(fds, ARRAY_SIZE(fds), &timeout, NULL) <= 0) {
        fds[0].revents = fds[1].revents = fds[2].revents = 0;
    }
    bus->told = fds[1].revents != 0;
    bus->hung_up = fds[2].revents != 0;
    return fds[0].revents != 0;
}

static void poll_meter(struct bus *bus, unsigned index)
{
    struct bus_meter *meter = &bus->meters[index];
    uint64_t now_us = clock_monotonic_us();
    bool was_alive = any_alive(bus);
    struct bus_poll poll = { .now_us = now_us, .queue = bus->setup.queue, .scratch = bus->scratch };
    unsigned change;

    poll.slice = schedule_take(&bus->schedule, index, now_us);
    poll.result = ask(bus, index, now_us);
    if (poll.result < 0 && wait_until(bus, 0)) {
        return;  // we were told to end, and so were the programs: that is no news of a meter
    }
    poll.port_problem = bus->line && is_port_error(poll.result) ? bus->problem : NULL;
    poll.next_slice = schedule_slice(&bus->schedule, index, bus->schedule.entries[index].next_us);
    poll.urgent = !bus->row_pushed;
    poll.keep_words = atomic_load(bus->setup.keep_words);

    change = bus_meter_result(meter, &poll, bus->sample);
    bus->row_pushed |= poll.result == 0;
    bus->latency_us = MAX(bus->latency_us, meter->latency_us);
    plan_next(bus, index, poll.result);
    if (poll.result == 0 && !was_alive) {
        ask_all_silent(bus, now_us);  // whatever kept the bus quiet is over
    }

    (void) pthread_mutex_lock(&bus->mutex);
    bus_meter_publish(meter, &poll, bus->sample);
    meter->status.next_us = bus->schedule.entries[index].next_us;
    meter->status.skipped = bus->schedule.entries[index].skipped;
    (void) pthread_mutex_unlock(&bus->mutex);
    bus_meter_log(meter, bus->name, change, &poll);
    tell_overload(bus, meter);
    if (change & (HEALTH_LOST | HEALTH_BACK) || poll.is_first) {
        bus->setup.changed(bus->setup.data);
    }
}

/* --- the thread --- */

/* The writer would like to commit at a slice's end: it counts the buses that are in one. */
static void set_busy(struct bus *bus, bool busy)
{
    if (!bus->line || bus->busy == busy) {
        return;  // one that listens is always in the middle of something
    }
    bus->busy = busy;
    if (busy) {
        (void) atomic_fetch_add(bus->setup.busy_buses, 1);
    } else if (atomic_fetch_sub(bus->setup.busy_buses, 1) == 1 && atomic_load(bus->setup.commit_wanted)) {
        queue_wake(bus->setup.queue);
    }
}

static void run(void *data)
{
    struct bus *bus = data;
    uint64_t until_us = 0;

    for (;;) {
        int index;

        atomic_store(&bus->ticked_ms, clock_monotonic_ms());
        index = schedule_next(&bus->schedule, clock_monotonic_us(), &until_us);
        set_busy(bus, index >= 0);
        if (bus->port.error != 0) {
            until_us = MIN(until_us, bus->port.again_us);
        }
        if (wait_until(bus, index >= 0 ? 0 : until_us)) {
            break;
        }
        look_after_port(bus);
        if (index >= 0) {
            poll_meter(bus, (unsigned) index);
        }
    }

    set_busy(bus, false);
    for (unsigned i = 0; i < bus->meter_count; i++) {
        bus_meter_flush(&bus->meters[i], bus->setup.queue, bus->scratch);
    }
}

void bus_recall(struct bus *bus, const struct recall *recall, const struct epoch *epoch)
{
    for (unsigned i = 0; i < bus->meter_count; i++) {
        bus_meter_recall(&bus->meters[i], recall, epoch);
    }
}

int bus_remember(const struct bus *bus, struct recall *recall)
{
    int r = 0;

    for (unsigned i = 0; i < bus->meter_count && r == 0; i++) {
        r = bus_meter_remember(&bus->meters[i], recall);
    }
    return r;
}

int bus_start(struct bus *bus)
{
    atomic_store(&bus->ticked_ms, clock_monotonic_ms());
    return thread_start(&bus->thread, bus->name, run, bus);
}

void bus_look_again(struct bus *bus)
{
    uint64_t one = 1;

    (void) !write(bus->wake_fd, &one, sizeof(one));  // EAGAIN: it knows already
}

int bus_join(struct bus *bus, uint64_t deadline_us)
{
    return thread_join(&bus->thread, deadline_us);
}

/* --- what others look at --- */

const char *bus_name(const struct bus *bus)
{
    return bus->name;
}

const struct config *bus_config(const struct bus *bus)
{
    return bus->setup.config;
}

void bus_set_slot(struct bus *bus, unsigned meter, uint16_t slot)
{
    bus->meters[meter].slot = slot;
}

uint16_t bus_slot(const struct bus *bus, unsigned meter)
{
    return bus->meters[meter].slot;
}

unsigned bus_meter_count(const struct bus *bus)
{
    return bus->meter_count;
}

unsigned bus_meter_index(const struct bus *bus, unsigned meter)
{
    return bus->meters[meter].index;
}

const struct layout *bus_meter_layout(const struct bus *bus, unsigned meter)
{
    return source_layout(bus->meters[meter].source);
}

uint64_t bus_ticked_ms(const struct bus *bus)
{
    return atomic_load(&bus->ticked_ms);
}

void bus_get_meter(struct bus *bus, unsigned meter, struct bus_meter_status *ret, double *ret_values)
{
    (void) pthread_mutex_lock(&bus->mutex);
    *ret = bus->meters[meter].status;
    if (ret_values) {
        memcpy(ret_values, bus->meters[meter].values, ret->value_count * sizeof(double));
    }
    (void) pthread_mutex_unlock(&bus->mutex);
}

void bus_get_problem(struct bus *bus, char ret[static BUS_PROBLEM_SIZE])
{
    (void) pthread_mutex_lock(&bus->mutex);
    (void) snprintf(ret, BUS_PROBLEM_SIZE, "%s", bus->problem);
    (void) pthread_mutex_unlock(&bus->mutex);
}
