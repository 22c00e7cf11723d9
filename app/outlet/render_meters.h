/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The meters that a rendering has met. The journal's own struct has room for the largest layout there is; here those of
 * one layout share it, so that a thousand meters take little.
 */

#include "app/journal/journal.h"

struct render_meter {
    int64_t id;                    // the journal's
    char name[METER_ID_SIZE];
    char model[MODEL_ID_SIZE];
    const struct layout *layout;
};

/* Zero-initialised is empty. */
struct render_meters {
    struct render_meter **meters;
    unsigned meter_count;
    unsigned next;                 // where the last one was found: rows come in the order of the meters, slice by slice
    struct layout **layouts;
    unsigned layout_count;
};

void render_meters_clear(struct render_meters *meters);

/* A meter by id, valid until they are cleared. Errors: those of the journal; -EBADMSG it has no such meter */
int render_meters_find(struct render_meters *meters, struct journal *journal, int64_t id,
                       const struct render_meter **ret) MUST_CHECK;
