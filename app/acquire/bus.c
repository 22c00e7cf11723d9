/* SPDX-License-Identifier: MIT */
#include "app/acquire/bus.h"

#include "app/acquire/bus_private.h"
#include "app/base/clock.h"
#include "app/base/log.h"
#include "app/config/sharing.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#define TICK_US          UINT64_C(5000000)   // longest sleep: the watchdog wants to see us
#define OPEN_US          UINT64_C(3000000)
#define REOPEN_US        UINT64_C(1000000)
#define SPARE_US         UINT64_C(50000)     // between a question to who may be there and the next poll

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
    bus->without_numbers = bus_config->port.kind != ENDPOINT_TCP;
    sharing_decide(config, (int) first->bus, &bus_config->port, &sharing);
    r = line_new(&bus_config->port, &serial, &bus->line);
    return r < 0 ? r : sharing_apply(&sharing, bus->line);
}

/* What was learned of a meter before the last restart. */
static void recall(struct bus *bus, struct bus_meter *meter)
{
    int r;

    if (!bus->setup.learned) {
        return;
    }
    learned_get(bus->setup.learned, meter->config->name, &bus->words);
    if (bus->words.size == 0) {
        return;
    }
    r = source_teach(meter->source, text_string(&bus->words));
    if (r == -EBADMSG) {
        log_warning("what was learned of meter '%s' is damaged; learning anew", meter->config->name);
    } else if (r < 0) {
        log_debug("what was learned of meter '%s' was with other settings; learning anew", meter->config->name);
    }
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
        recall(bus, &bus->meters[i]);
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
        bus->finding = finder_port(setup->finder, bus->name);
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
    text_clear(&bus->words);
    macros_close(&bus->wake_fd);
    (void) pthread_mutex_destroy(&bus->mutex);
    free(bus->meters);
    free(bus->sample);
    free(bus->scratch);
    free(bus);
}

/* --- the port --- */

static void set_problem(struct bus *bus, const char *problem)
{
    (void) pthread_mutex_lock(&bus->mutex);
    (void) snprintf(bus->problem, sizeof(bus->problem), "%s", problem);
    (void) pthread_mutex_unlock(&bus->mutex);
}

void bus_port_failed(struct bus *bus, int r)
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
int bus_use_port(struct bus *bus, uint64_t now_us)
{
    bool was_closed = line_fd(bus->line) < 0;
    int r;

    if (bus->port.error != 0 && now_us < bus->port.again_us) {
        return bus->port.error;
    }
    r = line_open(bus->line, now_us + OPEN_US);
    if (r < 0) {
        bus_port_failed(bus, r);
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
        bus_port_failed(bus, line_hung_up(bus->line));
    } else if (bus->line && port_watch_is_due(&bus->port, bus->told, now_us)) {
        log_debug("bus '%s': %s", bus->name, bus->told ? "told of a port" : "looking for the port");
        bus->port.again_us = 0;
        (void) line_look_again(bus->line);
        (void) bus_use_port(bus, now_us);
    } else if (bus->line && bus->told && bus->port.error == 0 && line_look_again(bus->line)) {
        log_info("bus '%s': nobody has answered on the board's own port; an adapter is there now", bus->name);
        (void) bus_use_port(bus, now_us);
    }
}

/* --- the thread --- */

/* Returns true if the bus is to end. */
bool bus_wait_until(struct bus *bus, uint64_t until_us)
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

/*
 * A program that was here a moment ago may have asked a question whose answer still comes, and RTU answers carry no
 * number: until that is over nobody is asked. Returns true if the bus is to end.
 */
static bool wait_for_the_one_before(struct bus *bus)
{
    if (!bus->line || !bus->without_numbers) {
        return false;
    }
    while (clock_monotonic_us() < bus->setup.quiet_until_us) {
        atomic_store(&bus->ticked_ms, clock_monotonic_ms());
        if (bus_wait_until(bus, bus->setup.quiet_until_us)) {
            return true;
        }
        look_after_port(bus);
    }
    return false;
}

/* Slices count from now on, also of a bus that is made while others have been going for long. */
static void begin(struct bus *bus)
{
    uint64_t now_us = clock_monotonic_us();

    budget_init(&bus->budget, now_us);
    for (unsigned i = 0; i < bus->meter_count; i++) {
        uint64_t slice = schedule_slice(&bus->schedule, i, now_us);

        absence_init(&bus->meters[i].absence, slice);
        bus->schedule.entries[i].next_us = schedule_slice_us(&bus->schedule, i, slice);
    }
}

static void end(struct bus *bus)
{
    uint64_t now_us = clock_monotonic_us();

    set_busy(bus, false);
    for (unsigned i = 0; i < bus->meter_count; i++) {
        bus_meter_end(&bus->meters[i], bus->setup.queue, bus->scratch, schedule_slice(&bus->schedule, i, now_us));
        source_shut(bus->meters[i].source);
    }
    if (bus->line) {
        line_shut(bus->line);  // another bus may want the port long before this one is freed
    }
    bus->setup.changed(bus->setup.data);
}

/* In a pause that is long enough for a question, look for more meters. Returns when to go on. */
static uint64_t use_pause(struct bus *bus, uint64_t until_us)
{
    if (!bus->finding || bus->port.error != 0 || line_fd(bus->line) < 0 || until_us < SPARE_US) {
        return until_us;
    }
    return MIN(until_us, finder_search(bus->finding, bus->line, until_us - SPARE_US));
}

static void run(void *data)
{
    struct bus *bus = data;
    uint64_t until_us = 0;
    bool stop;

    begin(bus);
    stop = wait_for_the_one_before(bus);
    while (!stop) {
        int index;

        atomic_store(&bus->ticked_ms, clock_monotonic_ms());
        index = schedule_next(&bus->schedule, clock_monotonic_us(), &until_us);
        set_busy(bus, index >= 0);
        if (bus->port.error != 0) {
            until_us = MIN(until_us, bus->port.again_us);
        }
        bus->idle_us = index >= 0 ? bus->idle_us : clock_monotonic_us();
        stop = bus_wait_until(bus, index >= 0 ? 0 : use_pause(bus, until_us));
        if (stop) {
            break;
        }
        look_after_port(bus);
        if (index >= 0 && !bus_put_off(bus, (unsigned) index)) {
            bus_poll_meter(bus, (unsigned) index);
        }
    }
    end(bus);
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
