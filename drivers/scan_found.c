/* SPDX-License-Identifier: MIT */

/* What a scan has found, and where it was then. */

#include "drivers/scan_private.h"

#include <stdio.h>

const struct scan_pass *scan_pass_of(const struct scan *scan)
{
    return scan->pass < scan->order.count ? &scan->order.passes[scan->pass] : NULL;
}

void scan_add_found(struct scan *scan, enum scan_found_kind kind, const struct model *model, const char *reason)
{
    const struct scan_pass *pass = scan_pass_of(scan);
    struct scan_found *found = &scan->found[scan->found_count];

    if (scan->found_count == SCAN_FOUND_MAX) {
        return;
    }
    *found = (struct scan_found){ .kind = kind, .serial = pass->serial, .address = scan->address, .model = model };
    (void) snprintf(found->reason, sizeof(found->reason), "%s", reason);
    scan->found_count++;
}

bool scan_has_meter(const struct scan *scan, unsigned address)
{
    for (unsigned i = 0; i < scan->found_count; i++) {
        if (scan->found[i].kind == SCAN_METER && scan->found[i].address == address) {
            return true;
        }
    }
    return false;
}

unsigned scan_found_count(const struct scan *scan)
{
    return scan->found_count;
}

const struct scan_found *scan_found_at(const struct scan *scan, unsigned index)
{
    return &scan->found[index];
}

bool scan_still_stands(const struct scan *scan, unsigned index)
{
    const struct scan_found *found = &scan->found[index];

    if (found->kind == SCAN_METER || found->kind == SCAN_DISPLAY) {
        return true;
    }
    for (unsigned i = 0; i < scan->found_count; i++) {
        // with its right setting it was a meter; and what is said twice is said once
        if (scan->found[i].address == found->address
            && (scan->found[i].kind == SCAN_METER || (i < index && scan->found[i].kind == found->kind))) {
            return false;
        }
    }
    return true;
}
