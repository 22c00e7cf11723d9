/* SPDX-License-Identifier: MIT */
#pragma once

/* What the service of a stick takes from the configuration: of --config, else of acquire's good.conf. */

#include "app/base/options.h"
#include "app/config/config.h"

#include <time.h>

struct stick_settings {
    const struct options *options;
    struct timespec at;             // of the file, as last read
    bool is_read;
    uint64_t burst_ms;
    enum csv_format format;
    bool configure;                 // whether a stick may bring a configuration
    char appliance[METER_ID_SIZE];
};

/*
 * At first, and whenever acquire has written good.conf anew. true: they were read, and any of them may be another; the
 * log and the time zone of the process follow them. What cannot be used is said, and gives the defaults.
 */
bool stick_settings_look(struct stick_settings *settings);
