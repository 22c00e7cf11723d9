/* SPDX-License-Identifier: MIT */
#pragma once

/* What a child does: serve one volume until it is told to end, or nobody listens any more. */

#include "app/base/options.h"
#include "app/outlet/sticks_child.h"

struct sticks_life {
    const struct options *options;
    const char *mount_parent;    // as of stick_root_new_volume()
    bool is_once;                // one burst, up to date
};

/* A sticks_child_work; data is a struct sticks_life. Returns 0, or 1 where once did not bring it up to date. */
int sticks_life_serve(const struct sticks_child_life *child, void *data);
