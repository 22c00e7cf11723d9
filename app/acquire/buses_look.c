/* SPDX-License-Identifier: MIT */

/* Looking at the buses: what others ask, changing nothing. */

#include "app/acquire/buses_private.h"

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

static bool list_uses(const struct buses_list *list, const struct config *config)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (bus_config(list->entries[i]->bus) == config) {
            return true;
        }
    }
    return false;
}

bool buses_use(const struct buses *buses, const struct config *config)
{
    return list_uses(&buses->now, config) || list_uses(&buses->next, config) || list_uses(&buses->gone, config);
}

unsigned buses_number(const struct buses *buses)
{
    return buses->now.count;
}

struct bus *buses_at(const struct buses *buses, unsigned index)
{
    return buses->now.entries[index]->bus;
}

void buses_look_again(struct buses *buses)
{
    for (unsigned i = 0; i < buses->now.count; i++) {
        bus_look_again(buses->now.entries[i]->bus);
    }
}

void buses_count(const struct buses *buses, struct buses_counts *ret)
{
    struct bus_meter_status status;

    *ret = (struct buses_counts){};
    for (unsigned i = 0; i < buses->now.count; i++) {
        struct bus *bus = buses->now.entries[i]->bus;

        for (unsigned k = 0; k < bus_meter_count(bus); k++) {
            bus_get_meter(bus, k, &status, NULL);
            ret->meters++;
            ret->live += status.state == HEALTH_LIVE;
            ret->new += status.state == HEALTH_NEW;
        }
    }
}

const char *buses_stuck(const struct buses *buses, uint64_t now_ms, uint64_t limit_ms)
{
    for (unsigned i = 0; i < buses->now.count; i++) {
        const struct buses_entry *entry = buses->now.entries[i];

        if (entry->state == BUS_RUNNING && now_ms > bus_ticked_ms(entry->bus) + limit_ms) {
            return bus_name(entry->bus);
        }
    }
    return NULL;
}
