/* SPDX-License-Identifier: MIT */

/*
 * meterstick stick: carries the journal onto sticks. Those that are plugged in are each served by a child (sticks.h);
 * with --dir a directory is the one stick, and this process serves it.
 */

#include "app/base/clock.h"
#include "app/base/exit.h"
#include "app/base/file.h"
#include "app/base/log.h"
#include "app/base/options.h"
#include "app/config/appliance.h"
#include "app/outlet/stick_service.h"
#include "app/outlet/stick_status.h"
#include "app/outlet/sticks.h"
#include "app/outlet/sticks_life.h"
#include "app/service/loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#define LAST_BURST_MS 3000  // of the five seconds that a stop may take
#define NICE          10
#define FEED_MS       1000  // the watchdog barks after 30 s

struct stick_options {
    struct options common;
    const char *directory;
    bool once;
};

static const struct option_spec specs[] = {
    { "dir", NULL, OPTION_TEXT, offsetof(struct stick_options, directory), "DIR",
      "treat this directory as the only stick; it is never created", 0, 0 },
    { "once", NULL, OPTION_FLAG, offsetof(struct stick_options, once), NULL,
      "write what there is and end: 0 if it is on every stick that is in, else 1", 0, 0 },
};

static const struct verb_usage usage = {
    .verb = "stick",
    .synopsis = "[--dir DIR] [--once]",
    .summary = "Write what the journal holds to CSV files on every USB stick that is plugged in, and go on doing so.",
    .specs = specs,
    .spec_count = ARRAY_SIZE(specs),
};

/* One stick program for a run directory: two would take turns at the same files. */
static int lock_run_directory(const char *run_dir, int *ret)
{
    char path[PATH_SIZE];
    int r;

    r = file_make_directories(run_dir, 0755);
    if (r >= 0) {
        r = file_path(path, sizeof(path), run_dir, "stick.lock");
    }
    return r < 0 ? r : file_lock(path, ret);
}

static int open_signals(void)
{
    sigset_t signals;
    int fd;

    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGTERM);
    (void) sigaddset(&signals, SIGINT);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0) {
        return -errno;
    }

    fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* What the service manager knows. */
struct manager {
    bool is_ready;
    size_t sticks;
    uint64_t feed_ms;
};

static void tell_manager(struct manager *manager, size_t sticks)
{
    uint64_t now_ms = clock_monotonic_ms();
    char text[40];

    if (!manager->is_ready || manager->sticks != sticks) {
        (void) snprintf(text, sizeof(text), sticks == 1 ? "1 stick is in" : "%zu sticks are in", sticks);
        loop_notify_status(text);
        manager->sticks = sticks;
    }
    if (!manager->is_ready) {
        loop_notify_ready();
        manager->is_ready = true;
    }
    if (now_ms >= manager->feed_ms) {
        loop_feed_watchdog();
        manager->feed_ms = now_ms + FEED_MS;
    }
}

/* The one stick of --dir, as last told. */
struct told {
    const char *run_dir;
    struct stick_report report;
    struct manager manager;
};

static void write_status(const struct told *told, const char *state)
{
    int r = stick_status_write(told->run_dir, state, &told->report, NULL, 1);

    if (r < 0) {
        log_debug("status not written (%s)", strerror(-r));
    }
}

static void take_report(const struct stick_report *report, void *data)
{
    struct told *told = data;

    told->report = *report;
    write_status(told, "running");
    tell_manager(&told->manager, report->in);
}

/* Until a signal ends it. */
static void serve(struct stick_service *service, struct told *told, int signal_fd)
{
    struct pollfd wait = { .fd = signal_fd, .events = POLLIN };

    for (;;) {
        uint64_t now_ms = clock_monotonic_ms();
        uint64_t next_ms = stick_service_step(service, now_ms);
        int n;

        tell_manager(&told->manager, told->report.in);
        now_ms = clock_monotonic_ms();
        n = poll(&wait, 1, next_ms > now_ms ? (int) MIN(next_ms - now_ms, (uint64_t) 1000) : 0);
        if (n > 0) {
            return;
        }
    }
}

/* ES-17. */
static void say_not_written(void)
{
    fputs("Error writing the log file.\n", stderr);
}

static int run_directory(const struct stick_options *options, int signal_fd)
{
    auto_stick_root struct stick_root *root = NULL;
    struct told told = { .run_dir = options->common.run_dir };
    struct stick_service_setup setup = { .options = &options->common, .tell = take_report, .data = &told };
    struct stick_service *service = NULL;
    int r;

    r = stick_root_new_directory(options->directory, &root);
    if (r >= 0) {
        setup.root = root;
        r = stick_service_new(&setup, &service);
    }
    if (r < 0) {
        log_error("cannot begin (%s)", strerror(-r));
        return EXIT_IO;
    }

    if (options->once) {
        r = stick_service_flush(service, UINT64_MAX);
        if (r < 0) {
            say_not_written();
        }
    } else {
        serve(service, &told, signal_fd);
        r = stick_service_flush(service, LAST_BURST_MS);
        if (r < 0) {
            log_debug("the last burst was not written (%s)", strerror(-r));
        }
        r = 0;
    }

    stick_service_free(service);
    write_status(&told, "stopped");
    return r < 0 ? EXIT_SOMETHING_WRONG : EXIT_OK;
}

/* What sticks_serve() asks for: where our own mounts are, and what a child works with. */
struct plugged {
    struct sticks_life life;     // first: the child's work takes it
    char mount_parent[PATH_SIZE];
    struct manager manager;
};

static int find_plugged(void *data, struct block_volume ret[static BLOCK_VOLUMES_MAX])
{
    const struct plugged *plugged = data;

    return block_list("", plugged->mount_parent, ret);
}

static bool is_plugged(void *data, const struct block_volume *volume)
{
    (void) data;
    return block_is_plugged("", volume->port, volume->serial);
}

static void say_alive(void *data, size_t count)
{
    struct plugged *plugged = data;

    tell_manager(&plugged->manager, count);
}

/* Where sticks are mounted, as mountinfo has it. Nobody else has anything to do there. */
static int make_mount_parent(const char *run_dir, char ret[static PATH_SIZE])
{
    auto_free char *real = NULL;
    char path[PATH_SIZE];
    int r;

    r = file_path(path, sizeof(path), run_dir, "sticks");
    if (r >= 0) {
        r = file_make_directories(path, 0700);
    }
    if (r < 0) {
        return r;
    }
    real = realpath(path, NULL);
    return real ? text_copy(ret, PATH_SIZE, real) : -errno;
}

static int run_plugged(const struct stick_options *options, int signal_fd)
{
    struct plugged plugged = { .life = { .options = &options->common, .is_once = options->once } };
    struct sticks_setup setup = { .run_dir = options->common.run_dir, .signal_fd = signal_fd, .find = find_plugged,
                                  .is_plugged = is_plugged, .work = sticks_life_serve, .alive = say_alive,
                                  .data = &plugged };
    int r;

    r = make_mount_parent(options->common.run_dir, plugged.mount_parent);
    if (r < 0) {
        log_error("cannot use %s/sticks (%s)", options->common.run_dir, strerror(-r));
        return EXIT_IO;
    }

    plugged.life.mount_parent = plugged.mount_parent;
    if (options->once) {
        r = sticks_serve_once(&setup);
        if (r == -ENODEV) {
            log_error("no stick is plugged in");
        }
        if (r < 0) {
            say_not_written();
        }
        return r < 0 ? EXIT_SOMETHING_WRONG : EXIT_OK;
    }

    r = sticks_serve(&setup);
    if (r < 0) {
        log_error("cannot begin (%s)", strerror(-r));
    }
    return r < 0 ? EXIT_IO : EXIT_OK;
}

int main(int argc, char **argv)
{
    struct stick_options options = {};
    auto_close int lock_fd = -1, signal_fd = -1;
    int r;

    r = options_parse(&usage, argc - 1, argv + 1, &options);
    if (r != 0) {
        return r < 0 ? EXIT_USAGE : EXIT_OK;
    }
    // Acquisition goes first, whatever there is to catch up with: beside it, on one processor, slices were missed.
    (void) setpriority(PRIO_PROCESS, 0, MIN(getpriority(PRIO_PROCESS, 0) + NICE, 19));
    signal_fd = open_signals();
    if (signal_fd < 0) {
        log_error("no signals (%s)", strerror(-signal_fd));
        return EXIT_IO;
    }

    r = lock_run_directory(options.common.run_dir, &lock_fd);
    if (r < 0) {
        if (r == -EBUSY) {
            log_error("another 'stick' is at work in %s", options.common.run_dir);
        } else {
            log_error("cannot use %s (%s)", options.common.run_dir, strerror(-r));
        }
        return EXIT_IO;
    }

    return options.directory ? run_directory(&options, signal_fd) : run_plugged(&options, signal_fd);
}
