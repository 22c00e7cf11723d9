/* SPDX-License-Identifier: MIT */
#include "app/acquire/buses.h"

#include "app/acquire/buses_private.h"
#include "app/base/log.h"
#include "app/config/config_compare.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

/* --- lists --- */

static int list_reserve(struct buses_list *list, unsigned more)
{
    unsigned capacity = list->count + more;
    struct buses_entry **entries;

    if (capacity <= list->capacity) {
        return 0;
    }
    entries = reallocarray(list->entries, capacity, sizeof(*entries));
    if (!entries) {
        return -ENOMEM;
    }
    list->entries = entries;
    list->capacity = capacity;
    return 0;
}

static void entry_free(struct buses_entry *entry)
{
    if (!entry) {
        return;
    }
    bus_free(entry->bus);
    macros_close(&entry->stop_fd);
    free(entry);
}

static void list_clear(struct buses_list *list)
{
    free(list->entries);
    *list = (struct buses_list){};
}

void buses_init(struct buses *ret, struct meters *meters)
{
    *ret = (struct buses){ .meters = meters };
}

/* Those that were made for a change that will not come. */
static void forget_next(struct buses *buses)
{
    for (unsigned i = 0; i < buses->next.count; i++) {
        if (buses->next.entries[i]->state == BUS_MADE) {
            entry_free(buses->next.entries[i]);
        }
    }
    list_clear(&buses->next);
    buses->changing = false;
}

void buses_clear(struct buses *buses)
{
    forget_next(buses);
    for (unsigned i = 0; i < buses->now.count; i++) {
        entry_free(buses->now.entries[i]);
    }
    for (unsigned i = 0; i < buses->gone.count; i++) {
        entry_free(buses->gone.entries[i]);
    }
    list_clear(&buses->now);
    list_clear(&buses->gone);
    recall_free(TAKE(buses->recall));
}

/* --- what a configuration asks for --- */

static const struct meter_config *meter_of(const struct bus *bus, unsigned index)
{
    return &bus_config(bus)->meters[bus_meter_index(bus, index)];
}

/* The meter of that name on a bus, NULL if it is not there. */
static const struct meter_config *find_meter(const struct bus *bus, const char *name)
{
    for (unsigned i = 0; i < bus_meter_count(bus); i++) {
        if (text_equal(meter_of(bus, i)->name, name)) {
            return meter_of(bus, i);
        }
    }
    return NULL;
}

/* Some meters of a new configuration, which will share a bus. */
struct group {
    const struct config *config;
    const unsigned *meters;
    unsigned count;
};

/* Whether a bus is that one, as it is or changed: by its name, or by that of its only meter. */
static bool is_of(const struct bus *bus, const struct group *group)
{
    const struct meter_config *old = meter_of(bus, 0), *new = &group->config->meters[group->meters[0]];

    if (old->kind != new->kind) {
        return false;
    }
    return old->kind == SOURCE_MODBUS ? text_equal(bus_name(bus), group->config->buses[new->bus].name)
                                      : text_equal(old->name, new->name);
}

static bool is_same(const struct bus *bus, const struct group *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        const struct meter_config *new = &group->config->meters[group->meters[i]];
        const struct meter_config *old = find_meter(bus, new->name);

        if (!old || !config_meter_is_same(old, new)) {
            return false;
        }
        if (old->kind != SOURCE_EXEC && !config_bus_is_same(bus_config(bus), old->bus, group->config, new->bus)) {
            return false;
        }
    }
    return bus_meter_count(bus) == group->count;
}

static int entry_new(const struct bus_setup *common, const struct group *group, struct buses_entry **ret)
{
    struct buses_entry *entry = calloc(1, sizeof(*entry));
    struct bus_setup setup = *common;
    int r;

    if (!entry) {
        return -ENOMEM;
    }
    entry->wanted = true;
    entry->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    setup.meters = group->meters;
    setup.meter_count = group->count;
    setup.stop_fd = entry->stop_fd;
    r = entry->stop_fd < 0 ? -errno : bus_new(&setup, &entry->bus);
    if (r < 0) {
        log_error("meter '%s' cannot be prepared: %s", group->config->meters[group->meters[0]].name, strerror(-r));
        entry_free(entry);
        return r;
    }

    *ret = entry;
    return 0;
}

/* The bus of a group: the one that there is, or a new one. */
static int add_group(struct buses *buses, const struct bus_setup *common, const struct group *group,
                     struct buses_news *news)
{
    bool is_known = false;
    int r;

    r = list_reserve(&buses->next, 1);
    if (r < 0) {
        return r;
    }
    for (unsigned i = 0; i < buses->now.count; i++) {
        struct buses_entry *entry = buses->now.entries[i];

        if (!is_of(entry->bus, group)) {
            continue;
        }
        is_known = true;
        if (is_same(entry->bus, group)) {
            entry->wanted = true;
            buses->next.entries[buses->next.count++] = entry;
            news->kept++;
            return 0;
        }
    }
    r = entry_new(common, group, &buses->next.entries[buses->next.count]);
    if (r < 0) {
        return r;
    }
    buses->next.count++;
    *(is_known ? &news->changed : &news->added) += 1;
    return 0;
}

static int add_groups(struct buses *buses, const struct bus_setup *common, struct buses_news *news)
{
    const struct config *config = common->config;
    auto_free unsigned *meters = calloc(config->meter_count + 1, sizeof(*meters));
    struct group group = { .config = config, .meters = meters };
    int r = meters ? 0 : -ENOMEM;

    for (unsigned bus = 0; r == 0 && bus < config->bus_count; bus++) {
        group.count = 0;
        for (unsigned i = 0; i < config->meter_count; i++) {
            if (config->meters[i].kind == SOURCE_MODBUS && config->meters[i].bus == bus) {
                meters[group.count++] = i;
            }
        }
        r = group.count > 0 ? add_group(buses, common, &group, news) : 0;
    }
    for (unsigned i = 0; r == 0 && i < config->meter_count; i++) {
        if (config->meters[i].kind != SOURCE_MODBUS) {
            group.meters = &i;
            group.count = 1;
            r = add_group(buses, common, &group, news);
        }
    }
    return r;
}

/* --- changing --- */

static unsigned count_meters(const struct buses_list *list, enum buses_state state)
{
    unsigned count = 0;

    for (unsigned i = 0; i < list->count; i++) {
        count += list->entries[i]->state == state ? bus_meter_count(list->entries[i]->bus) : 0;
    }
    return count;
}

static int prepare_change(struct buses *buses, const struct bus_setup *common, struct buses_news *news)
{
    int r;

    r = add_groups(buses, common, news);
    r = r < 0 ? r : list_reserve(&buses->gone, buses->now.count);  // so that ending cannot fail
    if (r < 0) {
        return r;
    }
    return count_meters(&buses->next, BUS_MADE) <= meters_room(buses->meters) ? 0 : -EBUSY;
}

int buses_change(struct buses *buses, const struct bus_setup *common, struct buses_news *ret)
{
    struct buses_news news = {};
    int r;

    for (unsigned i = 0; i < buses->now.count; i++) {
        buses->now.entries[i]->wanted = false;
    }
    r = prepare_change(buses, common, &news);
    if (r < 0) {
        forget_next(buses);
        return r;
    }
    for (unsigned i = 0; i < buses->now.count; i++) {
        if (!buses->now.entries[i]->wanted) {
            (void) eventfd_write(buses->now.entries[i]->stop_fd, 1);
        }
    }
    news.removed = buses->now.count - news.kept - news.changed;
    buses->changing = true;
    buses->is_told = false;
    *ret = news;
    return 0;
}

/* No more rows will come of it. */
static void entry_ended(struct buses *buses, struct buses_entry *entry)
{
    for (unsigned i = 0; i < bus_meter_count(entry->bus); i++) {
        meters_retire(buses->meters, bus_slot(entry->bus, i));
    }
    entry->state = BUS_ENDED;
}

/* The writer looks at its meters from now on. */
static int entry_take_slots(struct buses *buses, struct buses_entry *entry)
{
    int r;

    for (unsigned i = 0; i < bus_meter_count(entry->bus) && !entry->has_slots; i++) {
        const struct meter_config *meter = meter_of(entry->bus, i);

        r = meters_add(buses->meters, meter->name, meter->model ? meter->model->id : "exec",
                       bus_meter_layout(entry->bus, i));
        if (r < 0) {
            return r;  // cannot be: there was room
        }
        bus_set_slot(entry->bus, i, (uint16_t) r);
    }
    entry->has_slots = true;
    return 0;
}

int buses_take_slots(struct buses *buses)
{
    int r = 0;

    for (unsigned i = 0; i < buses->next.count && r == 0; i++) {
        r = entry_take_slots(buses, buses->next.entries[i]);
    }
    return r;
}

void buses_recall(struct buses *buses, const struct recall *recall, const struct epoch *epoch)
{
    for (unsigned i = 0; i < buses->next.count; i++) {
        bus_recall(buses->next.entries[i]->bus, recall, epoch);
    }
}

static int entry_start(struct buses *buses, struct buses_entry *entry)
{
    int r;

    r = entry_take_slots(buses, entry);
    if (r < 0) {
        return r;
    }
    if (buses->recall) {
        bus_recall(entry->bus, buses->recall, &(struct epoch){});  // all of this boot: the epoch does not matter
    }
    r = bus_start(entry->bus);
    if (r < 0) {
        return r;
    }
    entry->state = BUS_RUNNING;
    return 0;
}

/* A counter that is forgotten for want of memory is believed again as one that is new. */
static void remember(struct buses *buses, const struct bus *bus)
{
    if (!buses->recall && recall_new(&buses->recall) < 0) {
        return;
    }
    (void) !bus_remember(bus, buses->recall);
}

/* All that are not wanted have ended: from now on there is what will be. */
static void turn(struct buses *buses, struct queue *queue)
{
    for (unsigned i = 0; i < buses->now.count; i++) {
        struct buses_entry *entry = buses->now.entries[i];

        if (!entry->wanted) {
            remember(buses, entry->bus);
            entry->pushed = queue_pushed(queue) + 1;  // and one more, so that the writer went round since
            buses->gone.entries[buses->gone.count++] = entry;
        }
    }
    list_clear(&buses->now);
    buses->now = buses->next;
    buses->next = (struct buses_list){};
}

int buses_change_step(struct buses *buses, struct queue *queue)
{
    bool all_ended = true;

    for (unsigned i = 0; i < buses->now.count && buses->next.entries; i++) {
        struct buses_entry *entry = buses->now.entries[i];

        if (!entry->wanted && entry->state == BUS_RUNNING && bus_join(entry->bus, 0) == 0) {
            entry_ended(buses, entry);
        }
        all_ended &= entry->wanted || entry->state != BUS_RUNNING;
    }
    if (!all_ended) {
        return 0;
    }
    if (buses->next.entries) {
        turn(buses, queue);
    }
    for (unsigned i = 0; i < buses->now.count; i++) {
        struct buses_entry *entry = buses->now.entries[i];
        int r = entry->state == BUS_MADE ? entry_start(buses, entry) : 0;

        if (r < 0) {
            if (!buses->is_told) {
                log_error("bus '%s' cannot begin: %s; trying again", bus_name(entry->bus), strerror(-r));
            }
            buses->is_told = true;
            return r;
        }
    }
    buses->changing = false;
    recall_free(TAKE(buses->recall));
    return 1;
}

void buses_release(struct buses *buses, struct queue *queue, struct writer *writer)
{
    unsigned left = 0;

    for (unsigned i = 0; i < buses->gone.count; i++) {
        struct buses_entry *entry = buses->gone.entries[i];

        if (!queue_is_released(queue, entry->pushed)) {
            buses->gone.entries[left++] = entry;
            continue;
        }
        for (unsigned k = 0; k < bus_meter_count(entry->bus) && entry->has_slots; k++) {
            writer_forget(writer, bus_slot(entry->bus, k));
            meters_remove(buses->meters, bus_slot(entry->bus, k));
        }
        entry_free(entry);
    }
    buses->gone.count = left;
}

/* --- all of them --- */

void buses_stop(struct buses *buses)
{
    for (unsigned i = 0; i < buses->now.count; i++) {
        (void) eventfd_write(buses->now.entries[i]->stop_fd, 1);
    }
}

bool buses_join(struct buses *buses, uint64_t deadline_us)
{
    bool all_ended = true;

    for (unsigned i = 0; i < buses->now.count; i++) {
        struct buses_entry *entry = buses->now.entries[i];

        if (entry->state == BUS_RUNNING && bus_join(entry->bus, deadline_us) == 0) {
            entry->state = BUS_ENDED;
        }
        all_ended &= entry->state != BUS_RUNNING;
    }
    return all_ended;
}
