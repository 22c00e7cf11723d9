/* SPDX-License-Identifier: MIT */
#include "app/cli/read.h"

#include "app/base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

/* Long enough for a big model's every request to be asked three times; a source returns as soon as it is done. */
#define MODBUS_POLL_US 60000000

struct group {
    struct read_job *job;
    unsigned index;
    uint64_t timeout_ms;
    pthread_t thread;
    bool started;
};

static void tell_warning(struct read_line *line)
{
    const char *warning = line_warning(line->line);

    if (*warning && !line->warned) {
        (void) fprintf(stderr, "meterstick read: %s\n", warning);
        line->warned = true;
    }
}

static void poll_meter(struct read_job *job, struct read_meter *meter, uint64_t timeout_ms)
{
    uint64_t now_us = clock_monotonic_us();
    uint64_t deadline_us = now_us + (meter->setup.kind == SOURCE_MODBUS ? MODBUS_POLL_US : timeout_ms * 1000);

    if (meter->setup.kind == SOURCE_MODBUS) {
        struct read_line *line = &job->lines[meter->group];

        line->result = line_open(line->line, deadline_us);
        if (line->result < 0) {
            sample_clear(&meter->sample, meter->name, source_layout(meter->source)->count, REASON_DISCONNECTED);
            meter->sample.boot_ms = clock_boot_ms();
            meter->result = line->result;
            return;
        }
        tell_warning(line);
    }
    meter->result = source_next(meter->source, deadline_us, &meter->sample);
    if (meter->result == -EBUSY && meter->setup.kind == SOURCE_MODBUS) {
        job->lines[meter->group].result = -EBUSY;  // other programs use the port all the time: nobody is silent
    }
    if (meter->sample.boot_ms == 0) {
        meter->sample.boot_ms = clock_boot_ms();
    }
}

static void *poll_group(void *data)
{
    struct group *group = data;

    for (unsigned i = 0; i < group->job->meter_count; i++) {
        if (group->job->meters[i].group == group->index) {
            poll_meter(group->job, &group->job->meters[i], group->timeout_ms);
        }
    }
    return NULL;
}

void read_poll(struct read_job *job, uint64_t timeout_ms)
{
    auto_free struct group *groups = calloc(job->group_count, sizeof(*groups));
    int64_t wall_ms;
    uint64_t boot_ms;

    for (unsigned i = 0; i < job->group_count; i++) {
        struct group here = { .job = job, .index = i, .timeout_ms = timeout_ms };

        // The last one, which is mostly the only one, in this thread
        if (groups && i + 1 < job->group_count) {
            groups[i] = here;
            groups[i].started = pthread_create(&groups[i].thread, NULL, poll_group, &groups[i]) == 0;
        }
        if (!groups || !groups[i].started) {
            (void) poll_group(&here);
        }
    }
    for (unsigned i = 0; groups && i < job->group_count; i++) {
        if (groups[i].started) {
            (void) pthread_join(groups[i].thread, NULL);
        }
    }

    wall_ms = clock_wall_ms();
    boot_ms = clock_boot_ms();
    for (unsigned i = 0; i < job->meter_count; i++) {
        job->meters[i].wall_ms = wall_ms - (int64_t) (boot_ms - job->meters[i].sample.boot_ms);
    }
}
