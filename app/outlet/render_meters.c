/* SPDX-License-Identifier: MIT */

#include "app/outlet/render_meters.h"

#include <errno.h>
#include <string.h>

void render_meters_clear(struct render_meters *meters)
{
    for (unsigned i = 0; i < meters->meter_count; i++) {
        free(meters->meters[i]);
    }
    for (unsigned i = 0; i < meters->layout_count; i++) {
        free(meters->layouts[i]);
    }
    free(meters->meters);
    free(meters->layouts);
    *meters = (struct render_meters){};
}

/* The one of ours that is like it. */
static int share_layout(struct render_meters *meters, const struct layout *layout, const struct layout **ret)
{
    struct layout **grown;
    struct layout *own;

    for (unsigned i = 0; i < meters->layout_count; i++) {
        if (layout_is_same(meters->layouts[i], layout)) {
            *ret = meters->layouts[i];
            return 0;
        }
    }

    grown = reallocarray(meters->layouts, meters->layout_count + 1, sizeof(struct layout *));
    if (!grown) {
        return -ENOMEM;
    }
    meters->layouts = grown;
    own = malloc(sizeof(*own));
    if (!own) {
        return -ENOMEM;
    }

    *own = *layout;
    *ret = grown[meters->layout_count++] = own;
    return 0;
}

static int add(struct render_meters *meters, const struct journal_meter *found)
{
    auto_free struct render_meter *meter = NULL;
    struct render_meter **grown;
    int r;

    grown = reallocarray(meters->meters, meters->meter_count + 1, sizeof(struct render_meter *));
    if (!grown) {
        return -ENOMEM;
    }
    meters->meters = grown;
    meter = calloc(1, sizeof(*meter));
    if (!meter) {
        return -ENOMEM;
    }

    meter->id = found->id;
    memcpy(meter->name, found->name, sizeof(meter->name));
    memcpy(meter->model, found->model, sizeof(meter->model));
    r = share_layout(meters, &found->layout, &meter->layout);
    if (r < 0) {
        return r;
    }

    grown[meters->meter_count++] = TAKE(meter);
    return 0;
}

int render_meters_find(struct render_meters *meters, struct journal *journal, int64_t id,
                       const struct render_meter **ret)
{
    auto_free struct journal_meter *found = NULL;
    int r;

    for (unsigned i = 0; i < meters->meter_count; i++) {
        unsigned at = (meters->next + i) % meters->meter_count;

        if (meters->meters[at]->id == id) {
            meters->next = at;  // it is asked for several times a row
            *ret = meters->meters[at];
            return 0;
        }
    }

    found = malloc(sizeof(*found));
    if (!found) {
        return -ENOMEM;
    }
    r = journal_meter(journal, id, found);
    if (r >= 0) {
        r = add(meters, found);
    }
    if (r < 0) {
        return r == -ENOENT ? -EBADMSG : r;
    }

    meters->next = meters->meter_count - 1;
    *ret = meters->meters[meters->next];
    return 0;
}
