/* SPDX-License-Identifier: MIT */
#include "app/acquire/configuration.h"

#include "app/base/file.h"
#include "app/base/log.h"

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

enum exit_code configuration_load(const struct options *options, struct config **ret, const char **ret_problem)
{
    auto_problems struct problems problems = {};
    bool missing;
    int r;

    *ret_problem = NULL;
    r = config_load(options->config, options->state_dir, &problems, ret);
    if (r == 0 && (*ret)->meter_count == 0) {
        explain_missing(options, "there is no meter in the configuration");
        return EXIT_CONFIG;
    }
    if (r == 0) {
        return EXIT_OK;
    }

    missing = r == -ENOENT && problems.count == 0;
    print_problems(&problems);
    if (r != -EINVAL && r != -ENOENT) {
        log_error("the configuration cannot be read: %s", strerror(-r));
    }
    if (load_good(options, ret) == 0) {
        *ret_problem = missing ? "there is no configuration; the last good one is used"
                               : "the configuration is not valid; the last good one is used";
        log_warning("%s: %s/good.conf", *ret_problem, options->state_dir);
        return EXIT_OK;
    }

    if (missing) {
        explain_missing(options, "there is no configuration");
    } else {
        log_error("there is no earlier good configuration in %s to go on with", options->state_dir);
    }
    return EXIT_CONFIG;
}

void configuration_keep(const struct config *config, const char *state_dir)
{
    auto_text struct text good = {};
    auto_free char *before = NULL;
    char path[PATH_SIZE];
    size_t size;
    int r;

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
