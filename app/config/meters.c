/* SPDX-License-Identifier: MIT */
#include "app/config/meters.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define meter_fault(loading, meter, ...)                                                           \
    problems_add((loading)->problems, (meter)->file, (meter)->line, __VA_ARGS__)

static int keep_model(struct config *config, struct model *model)
{
    struct model **more = reallocarray(config->models, config->model_count + 1, sizeof(*more));

    if (!more) {
        model_free(model);
        return -ENOMEM;
    }
    config->models = more;
    more[config->model_count++] = model;
    return 0;
}

/* Adapt a model of the meter's own. */
static int adapt_model(struct loading *loading, const struct meter_words *words, struct model *model)
{
    loading->entry = words->order_entry;
    if (model_reorder(model, words->word_order, words->byte_order) < 0) {
        loading_fault(loading, "word_order and byte_order are 'BIG' or 'LITTLE'; AUTO would mean this computer's own "
                               "order, which says nothing about the meter");
    }
    if (words->addresses && model_recount(model, words->addresses[5] == '1') < 0) {
        loading_fault(loading, "addresses = from 1, but %s has a register 0", model->id);
    }
    return keep_model(loading->config, model);
}

/* The model of a meter: shared with the others that name it, unless it is changed for this one. */
static int find_model(struct loading *loading, struct meter_config *meter, const struct meter_words *words)
{
    auto_problems struct problems problems = { 0 };
    struct config *config = loading->config;
    struct model *model;
    int r;

    for (unsigned i = 0; i < config->meter_count && !words->order_entry; i++) {
        const struct meter_config *other = &config->meters[i];

        if (other == meter) {
            break;
        }
        if (other->model && !loading->words[i].order_entry && text_equal(loading->words[i].model, words->model)) {
            meter->model = other->model;
            return 0;
        }
    }

    r = model_find(words->model, &problems, &model);
    if (r == -ENOMEM) {
        return r;
    }
    if (r < 0) {
        loading->entry = words->model_entry;
        loading_fault(loading, "%s", problems_text(&problems));
        return 0;
    }
    meter->model = model;
    return words->order_entry ? adapt_model(loading, words, model) : keep_model(config, model);
}

/* The bus of a meter: the one named, else the only one. */
static void find_bus(struct loading *loading, struct meter_config *meter, const struct meter_words *words)
{
    struct config *config = loading->config;
    const char *names[MAX_BUSES];
    char hint[TEXT_HINT_SIZE];

    for (unsigned i = 0; i < config->bus_count; i++) {
        names[i] = config->buses[i].name;
        if (words->bus && text_equal(words->bus, names[i])) {
            meter->bus = i;
            return;
        }
    }
    if (words->bus) {
        loading->entry = words->bus_entry;
        loading_fault(loading, "there is no [bus %s]%s", words->bus,
                      text_hint(text_nearest(words->bus, names, config->bus_count), hint));
    } else if (config->bus_count == 1) {
        meter->bus = 0;
    } else if (config->bus_count == 0) {
        // nobody named a bus: the only adapter there is
        (void) snprintf(config->buses[0].name, sizeof(config->buses[0].name), "auto");
        config->buses[0].file = meter->file;
        config->buses[0].line = meter->line;
        config->bus_count = 1;
        meter->bus = 0;
    } else {
        meter_fault(loading, meter, "[meter %s] needs bus =, since there are %u buses", meter->name,
                    config->bus_count);
    }
}

/* "power_active W, -, energy_active_import kWh": what an exec program prints. */
static void read_columns(struct loading *loading, struct meter_config *meter, const struct meter_words *words)
{
    struct layout *layout = pool_take(loading->config->memory, sizeof(*layout));
    char *copy = pool_string(loading->config->memory, words->columns);
    char *rest = copy, *item;

    loading->entry = words->columns_entry;
    while (layout && (item = text_item(&rest))) {
        struct column *column = &layout->columns[layout->count];
        char *name = text_word(&item), *unit = text_trim(item);
        const char *base = "";
        char hint[TEXT_HINT_SIZE];
        int exponent;

        if (layout->count == MAX_POINTS) {
            loading_fault(loading, "more than %d columns", MAX_POINTS);
            return;
        }
        layout->count++;
        (void) snprintf(column->name, sizeof(column->name), "%s", name);
        if (text_equal(name, "-")) {
            continue;
        }
        column->quantity = quantity_find(name);
        if (!column->quantity) {
            loading_fault(loading, "unknown quantity '%s' in columns%s; '-' skips a cell", name,
                          text_hint(quantity_nearest(name), hint));
            continue;
        }
        if (*unit == '\0') {
            (void) snprintf(column->unit, sizeof(column->unit), "%.*s",
                            (int) strcspn(column->quantity->units, " "), column->quantity->units);
        } else if (quantity_unit(unit, &base, &exponent) < 0 || !quantity_has_unit(column->quantity, base)) {
            loading_fault(loading, "%s is measured in %s, not in '%s'", name,
                          *column->quantity->units ? column->quantity->units : "plain numbers", unit);
        } else {
            (void) snprintf(column->unit, sizeof(column->unit), "%.*s", UNIT_SIZE - 1, unit);
        }
    }
    meter->columns = layout;
}

static void resolve_exec(struct loading *loading, struct meter_config *meter, const struct meter_words *words)
{
    meter->kind = SOURCE_EXEC;
    if (!meter->command || !*meter->command) {
        meter_fault(loading, meter, "[meter %s] has driver = exec and needs command =", meter->name);
    }
    if (!words->columns) {
        meter_fault(loading, meter, "[meter %s] has driver = exec and needs columns =, such as 'power_active W'",
                    meter->name);
        return;
    }
    read_columns(loading, meter, words);
}

static int resolve_points(struct loading *loading, struct meter_config *meter, const struct meter_words *words)
{
    const struct entry *entry = words->log_entry;
    int r;

    r = selection_parse(meter->model, words->log ? words->log : "log", entry ? entry->file : meter->file,
                        entry ? entry->line : meter->line, loading->problems, &meter->selection);
    if (r == -ENOMEM) {
        return r;
    }
    for (unsigned i = 0; r == 0 && i < meter->selection.point_count; i++) {
        const struct point *point = &meter->model->points[meter->selection.points[i]];

        if (point->codec->result == CODEC_TEXT) {
            problems_add(loading->problems, entry ? entry->file : meter->file, entry ? entry->line : meter->line,
                         "log: %s is a text; only numbers are logged", point->name);
        }
    }
    return 0;
}

static void check_address(struct loading *loading, const struct meter_config *meter)
{
    const struct config *config = loading->config;
    enum endpoint_kind kind = config->buses[meter->bus].port.kind;

    if (kind != ENDPOINT_TCP && (meter->address < 1 || meter->address > 247)) {
        meter_fault(loading, meter, "[meter %s] has address %u; 1 to 247 are allowed on a serial line", meter->name,
                    meter->address);
    }
    for (const struct meter_config *other = config->meters; other < meter; other++) {
        if (other->bus == meter->bus && other->kind == SOURCE_MODBUS && other->address == meter->address) {
            meter_fault(loading, meter, "[meter %s] and [meter %s] (line %u) both have address %u on bus '%s'",
                        meter->name, other->name, other->line, meter->address, config->buses[meter->bus].name);
            break;
        }
    }
}

static int resolve_meter(struct loading *loading, unsigned index)
{
    struct meter_config *meter = &loading->config->meters[index];
    const struct meter_words *words = &loading->words[index];
    int r;

    meter->interval_ms = meter->interval_ms ? meter->interval_ms : loading->config->appliance.interval_ms;
    if (meter->log_every_ms && meter->log_every_ms < meter->interval_ms) {
        meter_fault(loading, meter, "[meter %s] has log_every shorter than its interval", meter->name);
    }
    if (words->driver && text_equal(words->driver, "exec")) {
        resolve_exec(loading, meter, words);
        return 0;
    }
    if (!words->model) {
        meter_fault(loading, meter, "[meter %s] needs model =; 'meterstick models' lists them", meter->name);
        return 0;
    }
    r = find_model(loading, meter, words);
    if (r < 0) {
        return r;
    }
    find_bus(loading, meter, words);
    if (!meter->model) {
        return 0;
    }
    meter->kind = meter->model->driver == MODEL_CURRENTCOST ? SOURCE_CURRENTCOST : SOURCE_MODBUS;
    r = resolve_points(loading, meter, words);
    if (r == 0 && meter->kind == SOURCE_MODBUS && meter->bus < loading->config->bus_count) {
        check_address(loading, meter);
    }
    return r;
}

static bool same_port(const struct endpoint *a, const struct endpoint *b)
{
    return a->kind == b->kind && text_equal(a->path, b->path) && text_equal(a->host, b->host)
           && text_equal(a->service, b->service);
}

/* A port has one bus, and a display that only talks has its port for itself. */
static void check_buses(struct loading *loading)
{
    const struct config *config = loading->config;
    char port[ENDPOINT_TEXT_SIZE];

    for (unsigned i = 0; i < config->bus_count; i++) {
        unsigned meters = 0, talkers = 0;

        for (unsigned j = 0; j < i; j++) {
            if (same_port(&config->buses[i].port, &config->buses[j].port)) {
                problems_add(loading->problems, config->buses[i].file, config->buses[i].line,
                             "[bus %s] and [bus %s] have the same port %s", config->buses[i].name,
                             config->buses[j].name, endpoint_text(&config->buses[i].port, port));
            }
        }
        for (unsigned j = 0; j < config->meter_count; j++) {
            meters += config->meters[j].bus == i;
            talkers += config->meters[j].bus == i && config->meters[j].kind == SOURCE_CURRENTCOST;
        }
        if (talkers > 0 && meters > 1) {
            problems_add(loading->problems, config->buses[i].file, config->buses[i].line,
                         "[bus %s] has a Current Cost display and other meters; it talks on a port of its own",
                         config->buses[i].name);
        }
    }
}

int meters_resolve(struct loading *loading)
{
    for (unsigned i = 0; i < loading->config->meter_count; i++) {
        int r = resolve_meter(loading, i);

        if (r < 0) {
            return r;
        }
    }
    check_buses(loading);
    return 0;
}
