/* SPDX-License-Identifier: MIT */
#include "drivers/source.h"

#include "app/base/clock.h"
#include "drivers/source_ops.h"

#include <errno.h>
#include <stdlib.h>

int source_open(const struct source_setup *setup, struct source **ret)
{
    switch (setup->kind) {
    case SOURCE_MODBUS:
        return source_modbus_open(setup, ret);
    case SOURCE_CURRENTCOST:
        return source_currentcost_open(setup, ret);
    case SOURCE_EXEC:
        return source_exec_open(setup, ret);
    }
    return -EINVAL;
}

void source_close(struct source *source)
{
    if (source) {
        source->ops->close(source);
    }
}

void source_closep(struct source **source)
{
    source_close(*source);
}

const struct point *source_point(const struct source *source, unsigned column, unsigned *ret_word_offset)
{
    return source->ops->point ? source->ops->point(source, column, ret_word_offset) : NULL;
}

const struct layout *source_layout(const struct source *source)
{
    return source->ops->layout(source);
}

int source_next(struct source *source, uint64_t deadline_us, struct sample *ret)
{
    return source->ops->next(source, deadline_us, ret);
}

const char *source_problem(const struct source *source)
{
    return source->ops->problem(source);
}

int source_identity(const struct source *source, unsigned index, const char **ret_name, const char **ret_text)
{
    return source->ops->identity ? source->ops->identity(source, index, ret_name, ret_text) : -ENOENT;
}

void source_timing(const struct source *source, struct source_timing *ret)
{
    *ret = (struct source_timing){ 0 };
    if (source->ops->timing) {
        source->ops->timing(source, ret);
    }
}

void source_shut(struct source *source)
{
    if (source->ops->shut) {
        source->ops->shut(source);
    }
}

int source_probe(struct source *source, uint32_t timeout_us)
{
    auto_free struct sample *sample = NULL;

    if (source->ops->probe) {
        return source->ops->probe(source, timeout_us);
    }

    // a source that only listens: its poll is the probe
    sample = calloc(1, sizeof(*sample));
    return sample ? source->ops->next(source, clock_monotonic_us() + timeout_us, sample) : -ENOMEM;
}

unsigned source_learned(const struct source *source, struct text *ret)
{
    if (ret) {
        text_reset(ret);
    }
    return source->ops->learned ? source->ops->learned(source, ret) : 0;
}

int source_teach(struct source *source, const char *learned)
{
    return source->ops->teach ? source->ops->teach(source, learned) : -EBADMSG;
}
