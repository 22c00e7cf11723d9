/* SPDX-License-Identifier: MIT */
/* meterstick acquire: read the meters, keep the journal. */

#include "app/acquire/configuration.h"
#include "app/acquire/core.h"
#include "app/acquire/inbox.h"
#include "app/acquire/patience.h"
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
#define CARD_US UINT64_C(25000000)  // DESIGN section 2: then it is dead

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

/* The configuration, and where things are kept: all of it may be on a card that hangs. */
struct beginning {
    const struct options *options;
    struct config *config;
    char problem[CONFIGURATION_PROBLEM_SIZE];
    struct inbox *inbox;
    enum exit_code code;
    int card_error;
};

/* Where a person who has the SD card in a computer can put a file. */
static const char *const boot_files[] = { "/boot/firmware/meterstick.conf", "/boot/meterstick.conf", NULL };

/* These will not pass by waiting: a wrong path. */
static bool is_final(int error)
{
    return error == -ENOTDIR || error == -EEXIST || error == -EACCES || error == -EPERM || error == -ENAMETOOLONG;
}

static enum exit_code explain(const char *path, int error, const char *option)
{
    log_error("%s cannot be a directory: %s; %s chooses another place", path,
              error == -ENOTDIR || error == -EEXIST ? "it, or a part of the path, is a file" : strerror(-error),
              option);
    return EXIT_IO;
}

/* What was brought while nobody was here, so that the first configuration that is loaded has it. */
static void begin_inbox(struct beginning *beginning)
{
    int r = inbox_new(beginning->options, boot_files, &beginning->inbox);

    if (r < 0) {
        log_warning("what sticks bring is not taken: %s", strerror(-r));
        return;
    }
    inbox_begin(beginning->inbox);
}

static void begin(void *data)
{
    struct beginning *beginning = data;
    const struct options *options = beginning->options;

    beginning->card_error = file_make_directories(options->state_dir, 0755);
    if (beginning->card_error >= 0) {
        begin_inbox(beginning);
        beginning->code = configuration_load(options, &beginning->config, beginning->problem);
    } else if (is_final(beginning->card_error)) {
        beginning->code = explain(options->state_dir, beginning->card_error, "--state-dir");
    }
}

/* With what is not on the card. The journal begins in memory. */
static int begin_without_card(struct beginning *ret, int error)
{
    struct options options = *ret->options;
    int r;

    log_error("%s cannot be used: %s; going on without what is there", options.state_dir,
              error == -ETIMEDOUT ? "it does not answer" : strerror(-error));
    options.state_dir = NULL;
    r = configuration_read(&options, &ret->config, ret->problem);
    if (r < 0) {
        return r;
    }
    (void) snprintf(ret->problem, sizeof(ret->problem), "%s cannot be read: an adopted.conf in it is not used",
                    ret->options->state_dir);
    return 0;
}

/* Returns false if the card hangs: the beginning is its thread's then, and *ret is another. */
static bool begin_in_time(struct beginning *beginning, struct beginning *ret)
{
    struct patience *patience = NULL;

    if (patience_begin(begin, beginning, &patience) < 0) {
        begin(beginning);
        return true;
    }
    if (patience_wait(patience, clock_monotonic_us() + CARD_US) == 0) {
        return true;
    }
    if (begin_without_card(ret, -ETIMEDOUT) == 0) {
        return false;
    }
    return patience_wait(patience, UINT64_MAX) == 0;  // there is nothing to do without it
}

int main(int argc, char **argv)
{
    static struct options options = { .state_dir = "/var/lib/meterstick", .run_dir = "/run/meterstick" };
    static struct beginning in_time = { .options = &options }, late = { .options = &options };
    struct beginning *beginning;
    bool card_hangs;
    int r;

    keep_memory_small();
    prepare_process();
    r = options_parse(&usage, argc - 1, argv + 1, &options);
    if (r != 0) {
        return r > 0 ? EXIT_OK : EXIT_USAGE;
    }

    card_hangs = !begin_in_time(&in_time, &late);
    beginning = card_hangs ? &late : &in_time;
    if (!card_hangs && in_time.card_error < 0 && !is_final(in_time.card_error)
        && begin_without_card(&in_time, in_time.card_error) < 0) {
        return EXIT_CONFIG;
    }
    if (beginning->code == EXIT_OK) {
        r = file_make_directories(options.run_dir, 0755);
        beginning->code = r < 0 ? explain(options.run_dir, r, "--run-dir") : EXIT_OK;
    }
    if (beginning->code != EXIT_OK) {
        inbox_free(beginning->inbox);
        return beginning->code;
    }

    config_set_up_log(beginning->config, PROGRAM, &options);
    r = clock_set_timezone(beginning->config->appliance.timezone);
    if (r < 0) {
        log_warning("time zone '%s' is not known here: log lines carry the system's",
                    beginning->config->appliance.timezone);
    }
    (void) malloc_trim(0);  // what loading the configuration took is not wanted again
    beginning->code = core_run(&(struct core_setup){ .config = beginning->config,
                                                     .options = &options,
                                                     .config_problem = beginning->problem,
                                                     .card_hangs = card_hangs,
                                                     .inbox = beginning->inbox });
    inbox_free(beginning->inbox);
    return beginning->code;
}
