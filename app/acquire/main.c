/* SPDX-License-Identifier: MIT */
/* meterstick acquire: read the meters, keep the journal. */

#include "app/acquire/configuration.h"
#include "app/acquire/core.h"
#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/log.h"
#include "app/base/options.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#define PROGRAM "meterstick-acquire"

static const struct verb_usage usage = {
    .verb = "acquire",
    .synopsis = "",
    .summary = "Read the meters and keep the journal. Runs until SIGTERM.",
};

/* Five threads with an arena each would take several MiB for nothing. */
static void keep_memory_small(void)
{
    (void) mallopt(M_ARENA_MAX, 1);
    (void) mallopt(M_MMAP_THRESHOLD, 64 * 1024);  // what is large goes back when it is freed
    (void) mallopt(M_TRIM_THRESHOLD, 64 * 1024);
}

static enum exit_code make_directory(const char *path, const char *option)
{
    int r = file_make_directories(path, 0755);

    if (r < 0) {
        log_error("%s cannot be a directory: %s; %s chooses another place", path,
                  r == -ENOTDIR || r == -EEXIST ? "it, or a part of the path, is a file" : strerror(-r), option);
        return EXIT_IO;
    }
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    auto_config struct config *config = NULL;
    struct options options = { .state_dir = "/var/lib/meterstick", .run_dir = "/run/meterstick" };
    const char *problem;
    enum exit_code code;
    int r;

    keep_memory_small();
    r = options_parse(&usage, argc - 1, argv + 1, &options);
    if (r != 0) {
        return r > 0 ? EXIT_OK : EXIT_USAGE;
    }

    code = make_directory(options.state_dir, "--state-dir");
    if (code == EXIT_OK) {
        code = make_directory(options.run_dir, "--run-dir");
    }
    if (code == EXIT_OK) {
        code = configuration_load(&options, &config, &problem);
    }
    if (code != EXIT_OK) {
        return code;
    }

    config_set_up_log(config, PROGRAM, &options);
    r = clock_set_timezone(config->appliance.timezone);
    if (r < 0) {
        log_warning("time zone '%s' is not known here: log lines carry the system's", config->appliance.timezone);
    }
    (void) malloc_trim(0);  // what loading the configuration took is not wanted again
    return core_run(&(struct core_setup){ .config = config,
                                          .state_dir = options.state_dir,
                                          .run_dir = options.run_dir,
                                          .config_problem = problem,
                                          .keep_good = !problem });
}
