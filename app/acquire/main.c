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
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

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

/*
 * A SIGHUP waits for the loop from the first moment on. A thousand programs as meters need more descriptors than the
 * 1024 that select(2) can count, which is not used here.
 */
static void prepare_process(void)
{
    struct rlimit limit;
    sigset_t signals;

    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGHUP);
    (void) pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = MIN(limit.rlim_max, MAX(limit.rlim_cur, (rlim_t) 4 * MAX_METERS));
        (void) setrlimit(RLIMIT_NOFILE, &limit);
    }
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
    struct config *config = NULL;
    struct options options = { .state_dir = "/var/lib/meterstick", .run_dir = "/run/meterstick" };
    char problem[CONFIGURATION_PROBLEM_SIZE];
    enum exit_code code;
    int r;

    keep_memory_small();
    prepare_process();
    r = options_parse(&usage, argc - 1, argv + 1, &options);
    if (r != 0) {
        return r > 0 ? EXIT_OK : EXIT_USAGE;
    }

    code = make_directory(options.state_dir, "--state-dir");
    if (code == EXIT_OK) {
        code = make_directory(options.run_dir, "--run-dir");
    }
    if (code == EXIT_OK) {
        code = configuration_load(&options, &config, problem);
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
    return core_run(&(struct core_setup){ .config = config, .options = &options, .config_problem = problem });
}
