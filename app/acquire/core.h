/* SPDX-License-Identifier: MIT */
#pragma once

/* acquire, once it has a configuration: buses, writer, clock and status file, from start to SIGTERM. */

#include "app/base/exit.h"
#include "app/config/config.h"

struct core_setup {
    const struct config *config;
    const char *state_dir;
    const char *run_dir;
    const char *config_problem;  // what people should know about the configuration, NULL if all is well
    bool keep_good;              // the configuration is newly valid: replace <state-dir>/good.conf
};

/* Run until a signal ends it. Says what went wrong, if anything did. */
enum exit_code core_run(const struct core_setup *setup);
