/* SPDX-License-Identifier: MIT */
#include "app/acquire/buses.h"

#include "app/base/log.h"

#include <errno.h>
#include <string.h>

#define QUEUE_MS          UINT64_C(60000)  // rows that wait for a card
#define QUEUE_EVENTS_SIZE (64 * 1024)      // and what happens meanwhile

size_t buses_queue_capacity(const struct config *config)
{
    size_t capacity = QUEUE_EVENTS_SIZE;

    for (unsigned i = 0; i < config->meter_count; i++) {
        const struct meter_config *meter = &config->meters[i];
        // A point may give two numbers (power factor and direction), and has at most four registers.
        unsigned most = meter->columns ? meter->columns->count : 2 * meter->selection.point_count;
        unsigned values = MIN(most, (unsigned) MAX_POINTS);
        unsigned words = config->journal.keep_words ? MIN(4 * values, (unsigned) MAX_WORDS) : 0;
        uint64_t row_ms = MAX(MAX(meter->interval_ms, meter->log_every_ms), 1u);

        capacity += (size_t) (QUEUE_MS / row_ms + 1) * queue_sample_size(values, words);
    }
    return capacity;
}

/* Of the meters of a bus that was just made. */
static int add_slots(struct buses *buses, struct bus *bus)
{
    for (unsigned i = 0; i < bus_meter_count(bus); i++) {
        const struct meter_config *meter = &bus_config(bus)->meters[bus_meter_index(bus, i)];
        int slot = meters_add(buses->meters, meter->name, meter->model ? meter->model->id : "exec",
                              bus_meter_layout(bus, i));

        if (slot < 0) {
            return slot;
        }
        bus_set_slot(bus, i, (uint16_t) slot);
    }
    return 0;
}

static int add_bus(struct buses *buses, const struct bus_setup *common, const unsigned *meters, unsigned meter_count)
{
    struct bus_setup setup = *common;
    struct bus *bus;
    int r;

    setup.meters = meters;
    setup.meter_count = meter_count;
    r = bus_new(&setup, &bus);
    if (r < 0) {
        log_error("meter '%s' cannot be prepared: %s", common->config->meters[meters[0]].name, strerror(-r));
        return r;
    }
    buses->list[buses->count++] = bus;
    return add_slots(buses, bus);
}

static int add_lines(struct buses *buses, const struct bus_setup *common)
{
    const struct config *config = common->config;
    auto_free unsigned *meters = calloc(config->meter_count, sizeof(*meters));

    if (!meters) {
        return -ENOMEM;
    }
    for (unsigned bus = 0; bus < config->bus_count; bus++) {
        unsigned count = 0;
        int r;

        for (unsigned i = 0; i < config->meter_count; i++) {
            if (config->meters[i].kind == SOURCE_MODBUS && config->meters[i].bus == bus) {
                meters[count++] = i;
            }
        }
        r = count > 0 ? add_bus(buses, common, meters, count) : 0;
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int buses_init(struct buses *ret, struct meters *meters, const struct bus_setup *common)
{
    const struct config *config = common->config;
    int r;

    *ret = (struct buses){ .meters = meters,
                           .list = calloc(config->bus_count + config->meter_count, sizeof(ret->list[0])) };
    if (!ret->list) {
        return -ENOMEM;
    }

    r = add_lines(ret, common);
    for (unsigned i = 0; r == 0 && i < config->meter_count; i++) {
        if (config->meters[i].kind != SOURCE_MODBUS) {
            r = add_bus(ret, common, &i, 1);
        }
    }
    return r;
}

void buses_clear(struct buses *buses)
{
    for (unsigned i = 0; i < buses->count; i++) {
        bus_free(buses->list[i]);
    }
    free(TAKE(buses->list));
    buses->count = 0;
}

void buses_recall(struct buses *buses, const struct recall *recall, const struct epoch *epoch)
{
    for (unsigned i = 0; i < buses->count; i++) {
        bus_recall(buses->list[i], recall, epoch);
    }
}

int buses_start(struct buses *buses)
{
    for (; buses->running < buses->count; buses->running++) {
        int r = bus_start(buses->list[buses->running]);

        if (r < 0) {
            return r;
        }
    }
    return 0;
}

bool buses_join(struct buses *buses, uint64_t deadline_us)
{
    while (buses->running > 0 && bus_join(buses->list[buses->running - 1], deadline_us) == 0) {
        buses->running--;
    }
    return buses->running == 0;
}

void buses_look_again(struct buses *buses)
{
    for (unsigned i = 0; i < buses->running; i++) {
        bus_look_again(buses->list[i]);
    }
}

void buses_count(const struct buses *buses, unsigned *ret_live, unsigned *ret_new)
{
    struct bus_meter_status status;

    *ret_live = *ret_new = 0;
    for (unsigned i = 0; i < buses->count; i++) {
        for (unsigned k = 0; k < bus_meter_count(buses->list[i]); k++) {
            bus_get_meter(buses->list[i], k, &status, NULL);
            *ret_live += status.state == HEALTH_LIVE;
            *ret_new += status.state == HEALTH_NEW;
        }
    }
}

const char *buses_stuck(const struct buses *buses, uint64_t now_ms, uint64_t limit_ms)
{
    for (unsigned i = 0; i < buses->running; i++) {
        if (now_ms > bus_ticked_ms(buses->list[i]) + limit_ms) {
            return bus_name(buses->list[i]);
        }
    }
    return NULL;
}
