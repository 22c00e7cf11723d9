/* SPDX-License-Identifier: MIT */

/* The status file: what others may know of acquire. */

#include "app/acquire/core_private.h"

#include "app/acquire/report.h"
#include "app/base/clock.h"
#include "app/base/log.h"
#include "app/base/status.h"

#include <stdio.h>
#include <string.h>

/* A number for a meter that is still the same one: other settings do not make it another (FNV-1a). */
static uint32_t who_is(const struct meter_config *config)
{
    char text[METER_ID_SIZE + MODEL_ID_SIZE + 16];
    uint32_t hash = 2166136261u;

    (void) snprintf(text, sizeof(text), "%s %s %u", config->name, config->model ? config->model->id : "",
                    config->address);
    for (const char *c = text; *c; c++) {
        hash = (hash ^ (uint8_t) *c) * 16777619u;
    }
    return hash;
}

/* That of its slot, or of the one that it had before its bus began anew. */
static uint64_t committed_of(struct core *core, const struct meter_config *config, unsigned slot)
{
    const uint32_t who = who_is(config);
    uint64_t boot_ms = core->committed[slot];

    for (unsigned i = 0; boot_ms == 0 && i < core->rows_before.count; i++) {
        boot_ms = core->rows_before.entries[i].who == who ? core->rows_before.entries[i].committed_boot_ms : 0;
    }
    if (core->rows.count < ARRAY_SIZE(core->rows.entries)) {
        core->rows.entries[core->rows.count].who = who;
        core->rows.entries[core->rows.count++].committed_boot_ms = boot_ms;
    }
    return boot_ms;
}

static void add_meter(struct core *core, struct bus *bus, unsigned meter)
{
    unsigned index = bus_meter_index(bus, meter);
    const struct meter_config *config = &bus_config(bus)->meters[index];
    struct bus_meter_status status;

    bus_get_meter(bus, meter, &status, core->values);
    report_add_meter(&core->status, &(struct report_meter){ .name = config->name,
                                                            .layout = bus_meter_layout(bus, meter),
                                                            .status = &status,
                                                            .values = core->values,
                                                            .committed_boot_ms = committed_of(core, config,
                                                                                              bus_slot(bus, meter)),
                                                            .row_ms = MAX(config->interval_ms, config->log_every_ms),
                                                            .now_us = clock_monotonic_us() });
}

static void add_meters(struct core *core)
{
    // No more than there are: what is not touched takes no memory.
    core->rows_before.count = core->rows.count;
    memcpy(core->rows_before.entries, core->rows.entries, core->rows.count * sizeof(core->rows.entries[0]));
    core->rows.count = 0;
    json_add_key(&core->status, "meters");
    text_add_char(&core->status, '[');
    for (unsigned i = 0; i < buses_number(&core->buses); i++) {
        struct bus *bus = buses_at(&core->buses, i);

        for (unsigned k = 0; k < bus_meter_count(bus); k++) {
            if (i + k > 0) {
                text_add_char(&core->status, ',');
            }
            add_meter(core, bus, k);
        }
    }
    text_add_char(&core->status, ']');
}

/* The most important thing that is wrong; NULL if nothing is. */
static const char *find_error(struct core *core, const struct writer_status *writer, char *buffer, size_t size)
{
    char problem[BUS_PROBLEM_SIZE];

    if (*writer->error) {
        (void) snprintf(buffer, size, "%s", writer->error);
        return buffer;
    }
    if (core->stuck) {
        (void) snprintf(buffer, size, "bus '%s' does not go on", core->stuck);
        return buffer;
    }
    for (unsigned i = 0; i < buses_number(&core->buses); i++) {
        bus_get_problem(buses_at(&core->buses, i), problem);
        if (*problem) {
            (void) snprintf(buffer, size, "bus '%s': %s", bus_name(buses_at(&core->buses, i)), problem);
            return buffer;
        }
    }
    return reload_problem(core->reload);
}

/* "running", unless no meter answers, or some were not even asked. */
static const char *find_state(const struct core *core, const struct buses_counts *counts)
{
    bool starting = counts->new > 0 || (core->finder && counts->meters == 0);

    return counts->live > 0 ? "running" : starting ? "starting" : "failed";
}

static void notify(struct core *core, const struct buses_counts *counts)
{
    char text[sizeof(core->notified)];

    (void) snprintf(text, sizeof(text), "%u of %u meters answer", counts->live, counts->meters);
    if (!text_equal(text, core->notified)) {
        loop_notify_status(text);
        (void) snprintf(core->notified, sizeof(core->notified), "%s", text);
    }
}

void core_write_status(struct core *core, const char *state)
{
    char error[WRITER_ERROR_SIZE + BUS_PROBLEM_SIZE];
    struct writer_status writer;
    struct buses_counts counts;
    int r;

    writer_get_status(core->writer, &writer);
    writer_get_committed(core->writer, core->committed);
    buses_count(&core->buses, &counts);

    status_begin(&core->status, CORE_PROGRAM, state ? state : find_state(core, &counts),
                 find_error(core, &writer, error, sizeof(error)));
    add_meters(core);
    report_add_clock(&core->status, core->clock.epoch.source);
    report_add_journal(&core->status, &writer);
    if (core->finder) {
        json_add_key(&core->status, "scan");
        finder_add_status(core->finder, &core->status);
    }
    json_add_key(&core->status, "inbox");
    if (core->inbox) {
        inbox_add_status(core->inbox, &core->status);
    } else {
        text_add(&core->status, "[]");
    }

    r = status_end_and_replace(&core->status, core->setup->options->run_dir, CORE_PROGRAM);
    if (r < 0 && !core->status_failing) {
        log_error("the status in %s cannot be written: %s; logging goes on, but the lights will not show it",
                  core->setup->options->run_dir, strerror(-r));
    }
    core->status_failing = r < 0;
    notify(core, &counts);
}
