/* SPDX-License-Identifier: MIT */
#include "app/config/config_compare.h"

#include "app/config/sharing.h"

#include <math.h>
#include <string.h>

static bool text_is_same(const char *a, const char *b)
{
    return a == b || (a && b && text_equal(a, b));
}

/* NAN is "not given" and the same as itself. */
static bool number_is_same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool serial_is_same(const struct serial_setting *a, const struct serial_setting *b)
{
    return a->baud == b->baud
           && (a->baud == 0
               || (a->parity == b->parity && a->data_bits == b->data_bits && a->stop_bits == b->stop_bits));
}

static bool endpoint_is_same(const struct endpoint *a, const struct endpoint *b)
{
    return a->kind == b->kind && a->rs485_kernel == b->rs485_kernel && text_equal(a->path, b->path)
           && text_equal(a->host, b->host) && text_equal(a->service, b->service);
}

bool config_bus_is_same(const struct config *a, unsigned bus_a, const struct config *b, unsigned bus_b)
{
    const struct bus_config *x = &a->buses[bus_a], *y = &b->buses[bus_b];
    struct sharing sharing_a, sharing_b;

    sharing_decide(a, (int) bus_a, &x->port, &sharing_a);
    sharing_decide(b, (int) bus_b, &y->port, &sharing_b);
    return text_equal(x->name, y->name) && endpoint_is_same(&x->port, &y->port)
           && serial_is_same(&x->serial, &y->serial) && text_equal(x->lock, y->lock)
           && x->rs485_kernel == y->rs485_kernel && x->timeout_ms == y->timeout_ms
           && text_equal(sharing_a.name, sharing_b.name) && sharing_a.pty_too == sharing_b.pty_too;
}

static bool point_is_same(const struct point *a, const struct point *b)
{
    return text_equal(a->name, b->name) && a->quantity == b->quantity && a->table == b->table
           && a->number == b->number && a->address == b->address && a->codec == b->codec
           && a->word_count == b->word_count && a->resolution.digits == b->resolution.digits
           && a->resolution.exponent == b->resolution.exponent && text_equal(a->unit, b->unit);
}

static bool ranges_are_same(const struct model *a, const struct model *b)
{
    for (size_t i = 0; i < a->avoid_count && i < b->avoid_count; i++) {
        if (a->avoid[i].table != b->avoid[i].table || a->avoid[i].first != b->avoid[i].first
            || a->avoid[i].last != b->avoid[i].last) {
            return false;
        }
    }
    return a->avoid_count == b->avoid_count;
}

/* All points: a selection holds their numbers. */
static bool model_is_same(const struct model *a, const struct model *b)
{
    if (!a || !b) {
        return a == b;
    }
    if (!text_equal(a->id, b->id) || a->driver != b->driver || a->tcp != b->tcp
        || !serial_is_same(&a->serial, &b->serial) || a->timeout_ms != b->timeout_ms
        || a->schneider_codes != b->schneider_codes || a->max_registers != b->max_registers || a->even != b->even
        || a->read_gaps != b->read_gaps || !ranges_are_same(a, b) || a->point_count != b->point_count) {
        return false;
    }
    for (size_t i = 0; i < a->point_count; i++) {
        if (!point_is_same(&a->points[i], &b->points[i])) {
            return false;
        }
    }
    return true;
}

static bool bounds_are_same(const struct meter_config *a, const struct meter_config *b)
{
    for (unsigned i = 0; i < a->bounds_count && i < b->bounds_count; i++) {
        if (!text_equal(a->bounds[i].name, b->bounds[i].name) || !number_is_same(a->bounds[i].min, b->bounds[i].min)
            || !number_is_same(a->bounds[i].max, b->bounds[i].max)) {
            return false;
        }
    }
    return a->bounds_count == b->bounds_count;
}

static bool inputs_are_same(const struct meter_config *a, const struct meter_config *b)
{
    for (unsigned i = 0; i < a->input_count && i < b->input_count; i++) {
        if (a->inputs[i].letter != b->inputs[i].letter || !text_equal(a->inputs[i].name, b->inputs[i].name)
            || !number_is_same(a->inputs[i].ratio, b->inputs[i].ratio)) {
            return false;
        }
    }
    return a->input_count == b->input_count;
}

static bool columns_are_same(const struct layout *a, const struct layout *b)
{
    if (!a || !b) {
        return a == b;
    }
    for (unsigned i = 0; i < a->count && i < b->count; i++) {
        if (!text_equal(a->columns[i].name, b->columns[i].name)
            || !text_equal(a->columns[i].unit, b->columns[i].unit)) {
            return false;
        }
    }
    return a->count == b->count;
}

static bool selection_is_same(const struct selection *a, const struct selection *b)
{
    return a->point_count == b->point_count
           && memcmp(a->points, b->points, a->point_count * sizeof(a->points[0])) == 0;
}

bool config_meter_is_same(const struct meter_config *a, const struct meter_config *b)
{
    return text_equal(a->name, b->name) && a->kind == b->kind && model_is_same(a->model, b->model)
           && selection_is_same(&a->selection, &b->selection) && a->address == b->address
           && serial_is_same(&a->serial, &b->serial) && a->interval_ms == b->interval_ms
           && a->log_every_ms == b->log_every_ms && a->timeout_ms == b->timeout_ms
           && a->message_size == b->message_size && number_is_same(a->max_power_w, b->max_power_w)
           && bounds_are_same(a, b) && inputs_are_same(a, b) && text_is_same(a->command, b->command)
           && columns_are_same(a->columns, b->columns);
}
