/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * acquire, once it has a configuration: buses, writer, clock and status file, from start to SIGTERM; SIGHUP reads the
 * configuration anew.
 */

#include "app/base/exit.h"
#include "app/base/options.h"
#include "app/config/config.h"

struct core_setup {
    struct config *config;       // to begin with; freed by core_run()
    const struct options *options;
    const char *config_problem;  // what people should know of it; "": it is valid, and kept as good.conf
    bool card_hangs;             // a call on the state directory has not returned: nobody else is to make one here
    struct inbox *inbox;         // the caller's; NULL: none
};

/* Run until a signal ends it. Says what went wrong, if anything did. */
enum exit_code core_run(const struct core_setup *setup);
