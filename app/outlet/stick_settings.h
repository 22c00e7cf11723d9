/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the service of a stick takes from the configuration: of --config and what was adopted, else of acquire's
 * good.conf, which has both.
 */

#include "app/base/options.h"
#include "app/config/config.h"

#include <sys/stat.h>

struct stick_settings {
    const struct options *options;
    struct stat files[2];           // as last read; all 0: there is none
    bool is_read;
    uint64_t burst_ms;
    enum csv_format format;
    bool configure;                 // whether a stick may bring a configuration
    char appliance[METER_ID_SIZE];
};

/*
 * At first, and whenever one of these files is another. true: they were read, and any of them may be another; the
 * log and the time zone of the process follow them. What cannot be used is said, and gives the defaults.
 */
bool stick_settings_look(struct stick_settings *settings);
