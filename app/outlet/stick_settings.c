/* SPDX-License-Identifier: MIT */

#include "app/outlet/stick_settings.h"

#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/log.h"
#include "app/config/adopt.h"
#include "app/config/appliance.h"

#include <errno.h>
#include <string.h>
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

/* The clock of files goes in steps of some ms; one that took another's place is another. */
static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec
           && a->st_ino == b->st_ino && a->st_size == b->st_size;
}

static void look_at(const char *path, struct stat *ret)
{
    if (stat(path, ret) < 0) {
        *ret = (struct stat){};
    }
}

bool stick_settings_look(struct stick_settings *settings)
{
    const char *config = settings->options->config, *state_dir = settings->options->state_dir;
    struct stat files[2] = {};
    char path[PATH_SIZE];

    if (file_path(path, sizeof(path), state_dir, config ? ADOPT_FILE : "good.conf") == 0) {
        look_at(path, &files[0]);
    }
    if (config) {
        look_at(config, &files[1]);
    }
    if (settings->is_read && is_same(&files[0], &settings->files[0]) && is_same(&files[1], &settings->files[1])) {
        return false;
    }

    settings->is_read = true;
    memcpy(settings->files, files, sizeof(files));
    if (files[0].st_mtim.tv_sec == 0 && !config) {
        take_defaults(settings);
    } else {
        take(settings, config ? config : path);
    }
    return true;
}
