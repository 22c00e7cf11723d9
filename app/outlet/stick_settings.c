/* SPDX-License-Identifier: MIT */

#include "app/outlet/stick_settings.h"

#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/log.h"
#include "app/config/appliance.h"

#include <errno.h>
#include <sys/stat.h>

#define BURST_DEFAULT_MS 60000

static void take_defaults(struct stick_settings *settings)
{
    settings->burst_ms = BURST_DEFAULT_MS;
    settings->format = CSV_METERSTICK;
    settings->configure = true;
    appliance_name("", settings->options->state_dir, settings->appliance);
}

static void take(struct stick_settings *settings, const char *path)
{
    auto_config struct config *config = NULL;
    auto_problems struct problems problems = {};
    int r;

    // What was adopted is in good.conf already.
    r = config_load(path, settings->options->config ? settings->options->state_dir : NULL, &problems, &config);
    if (r < 0) {
        if (r != -ENOENT || settings->options->config) {
            log_warning("settings of %s cannot be used, the defaults are: %s", path, problems_text(&problems));
        }
        take_defaults(settings);
        return;
    }

    config_set_up_log(config, "stick", settings->options);
    settings->burst_ms = config->stick.burst_ms;
    settings->format = config->stick.csv;
    settings->configure = config->stick.configure;
    appliance_name(config->appliance.name, settings->options->state_dir, settings->appliance);
    if (clock_set_timezone(config->appliance.timezone) < 0) {
        log_warning("no time zone '%s': the system's is used", config->appliance.timezone);
    }
}

bool stick_settings_look(struct stick_settings *settings)
{
    const char *config = settings->options->config;
    char path[PATH_SIZE];
    struct stat status = {};
    int r = 0;

    if (!config) {
        r = file_path(path, sizeof(path), settings->options->state_dir, "good.conf");
    }
    if (r < 0 || stat(config ? config : path, &status) < 0) {
        status = (struct stat){};
    }
    if (settings->is_read && status.st_mtim.tv_sec == settings->at.tv_sec &&
        status.st_mtim.tv_nsec == settings->at.tv_nsec) {
        return false;
    }

    settings->is_read = true;
    settings->at = status.st_mtim;
    if (status.st_mtim.tv_sec == 0 && !config) {
        take_defaults(settings);
    } else {
        take(settings, config ? config : path);
    }
    return true;
}
