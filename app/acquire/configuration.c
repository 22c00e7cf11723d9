/* SPDX-License-Identifier: MIT */
#include "app/acquire/configuration.h"

#include "app/base/file.h"
#include "app/base/log.h"
#include "app/config/appliance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void print_problems(const struct problems *problems)
{
    auto_free char *text = strdup(problems_text(problems));
    char *rest = text;
    char *line;

    while (text && (line = strsep(&rest, "\n"))) {
        if (*line) {
            log_error("%s", line);
        }
    }
}

/* The last configuration that was good. Errors: -ENOENT there is none, -EINVAL it is not good any more */
static int load_good(const struct options *options, struct config **ret)
{
    auto_problems struct problems problems = {};
    auto_free char *text = NULL;
    char path[PATH_SIZE];
    size_t size;
    int r;

    r = file_path(path, sizeof(path), options->state_dir, "good.conf");
    if (r < 0) {
        return r;
    }
    r = file_read(path, MAX_FILE_SIZE, &text, &size);
    if (r < 0) {
        return r;
    }
    r = config_load_text(path, text, size, &problems, ret);
    if (r < 0) {
        print_problems(&problems);
    }
    return r;
}

static void explain_missing(const struct options *options, const char *what)
{
    log_error("%s: %s", options->config ? options->config : "/etc/meterstick/meterstick.conf", what);
    log_error("write one with a meter, for example:  [bus rs485]  port = /dev/ttyUSB0  and  [meter house]  "
              "bus = rs485  model = schneider-iem2150  (each on a line of its own); 'meterstick models' lists the "
              "models, 'meterstick ports' the ports, 'meterstick check' tries it");
}

/* The first of them, for a status and an event. */
static void put_first(const struct problems *problems, char ret[static CONFIGURATION_PROBLEM_SIZE])
{
    const char *text = problems_text(problems);
    int length = (int) strcspn(text, "\n");

    if (problems->count > 1) {
        (void) snprintf(ret, CONFIGURATION_PROBLEM_SIZE, "%.*s (and %u more)", MIN(length, 280), text,
                        problems->count - 1);
    } else {
        (void) snprintf(ret, CONFIGURATION_PROBLEM_SIZE, "%.*s", length, text);
    }
}

int configuration_read(const struct options *options, struct config **ret,
                       char ret_problem[static CONFIGURATION_PROBLEM_SIZE])
{
    auto_problems struct problems problems = {};
    auto_config struct config *config = NULL;
    int r;

    r = config_load(options->config, options->state_dir, &problems, &config);
    if (r == 0 && config->meter_count == 0) {
        r = -ENODATA;
    }
    if (r == 0) {
        *ret = TAKE(config);
        return 0;
    }

    print_problems(&problems);
    if (problems.count > 0) {
        put_first(&problems, ret_problem);
    } else if (r == -ENOENT) {
        (void) snprintf(ret_problem, CONFIGURATION_PROBLEM_SIZE, "there is no configuration");
    } else if (r == -ENODATA) {
        (void) snprintf(ret_problem, CONFIGURATION_PROBLEM_SIZE, "there is no meter in the configuration");
    } else {
        (void) snprintf(ret_problem, CONFIGURATION_PROBLEM_SIZE, "the configuration cannot be read: %s", strerror(-r));
        log_error("%s", ret_problem);
    }
    return r;
}

/* A place to look for meters at: anywhere, or at the buses of the file that is named. Errors: -ENODATA there is none */
static int load_without_meters(const struct options *options, struct config **ret)
{
    auto_problems struct problems problems = {};
    auto_config struct config *config = NULL;
    int r;

    r = config_load(options->config, options->state_dir, &problems, &config);
    if (r < 0) {
        return r;
    }
    if (config->meter_count > 0 || (options->config && config->bus_count == 0)) {
        return -ENODATA;
    }
    *ret = TAKE(config);
    return 0;
}

enum exit_code configuration_load(const struct options *options, struct config **ret,
                                  char ret_problem[static CONFIGURATION_PROBLEM_SIZE])
{
    char problem[CONFIGURATION_PROBLEM_SIZE];
    bool missing;
    int r;

    ret_problem[0] = '\0';
    r = configuration_read(options, ret, problem);
    if (r == 0) {
        return EXIT_OK;
    }

    missing = r == -ENOENT && !options->config;
    if (r == -ENODATA && load_without_meters(options, ret) == 0) {
        return EXIT_OK;
    }
    if (r == -ENODATA) {
        explain_missing(options, problem);
        return EXIT_CONFIG;
    }
    if (load_good(options, ret) == 0) {
        (void) snprintf(ret_problem, CONFIGURATION_PROBLEM_SIZE, "the last good one is used: %s", problem);
        log_warning("%s: %s/good.conf", missing ? "there is no configuration; the last good one is used"
                                                : "the configuration is not valid; the last good one is used",
                    options->state_dir);
        return EXIT_OK;
    }

    if (missing) {
        auto_problems struct problems problems = {};

        return config_load_text("nothing", "", 0, &problems, ret) == 0 ? EXIT_OK : EXIT_CONFIG;
    } else {
        log_error("there is no earlier good configuration in %s to go on with", options->state_dir);
    }
    return EXIT_CONFIG;
}

int configuration_try(const struct options *options, const char *name, const char *bytes, size_t size,
                      struct problems *problems, bool *ret_configure, struct text *ret_what)
{
    auto_config struct config *config = NULL;
    int r;

    r = config_load_adopting(options->config, name, bytes, size, problems, ret_configure, &config);
    if (r < 0) {
        return r;
    }
    if (config->meter_count == 0) {
        problems_add(problems, name, 0, "there is no meter in the configuration");
        return -EINVAL;
    }
    text_addf(ret_what, "%u meter%s on %u bus%s", config->meter_count, config->meter_count == 1 ? "" : "s",
              config->bus_count, config->bus_count == 1 ? "" : "es");
    return ret_what->failed ? -ENOMEM : 0;
}

void configuration_keep(const struct config *config, const char *state_dir)
{
    auto_text struct text good = {};
    auto_free char *before = NULL;
    char path[PATH_SIZE], appliance[METER_ID_SIZE];
    size_t size;
    int r;

    if (config->meter_count == 0) {
        return;  // none yet: what is found will be
    }
    appliance_name(config->appliance.name, state_dir, appliance);  // whoever writes sticks may only read here
    r = config_write(config, &good);
    r = r < 0 ? r : file_path(path, sizeof(path), state_dir, "good.conf");
    if (r == 0 && file_read(path, MAX_FILE_SIZE, &before, &size) == 0 && size == good.size
        && memcmp(before, good.data, size) == 0) {
        return;
    }
    r = r < 0 ? r : file_replace(path, good.data, good.size, 0640, true);
    if (r < 0) {
        log_warning("the configuration cannot be kept as %s/good.conf: %s; it is used all the same", state_dir,
                    strerror(-r));
    }
}
