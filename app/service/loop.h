/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The event loop of a resident program, and all that such programs need of systemd: timers, signals, the watchdog, and
 * timedate1's word on the clock over D-Bus; and adapters that come and go. Without systemd, D-Bus or udev it runs all
 * the same. One thread, except for loop_change().
 */

#include "app/base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct loop_timer;

/* Called from loop_run(). What is NULL is not looked at. */
struct loop_handlers {
    void (*tick)(void *data);                            // each 2 s, and soon after loop_change()
    void (*clock_set)(void *data);                       // somebody set the wall clock
    void (*synchronised)(void *data, bool synchronised); // timedate1 was asked whether NTP keeps it; false: no answer
    void (*reload)(void *data);                          // SIGHUP
    void (*ports_changed)(void *data);                   // udev: a serial adapter came or went a moment ago
    void (*replaced)(void *data, const char *name);      // a file of the directory that is watched
};

/*
 * Block the signals that end the program, for all threads that start later, and prepare.
 * ask_timedate: whether timedate1 is asked. Errors: -ENOMEM, -EMFILE
 */
int loop_new(const struct loop_handlers *handlers, void *data, bool ask_timedate, struct loop **ret) MUST_CHECK;
void loop_free(struct loop *loop);

/* Whether timedate1 is asked, from now on. */
void loop_ask_timedate(struct loop *loop, bool ask);

/*
 * Watch a directory, instead of the one before, for files that are replaced. Where that is not possible a tick must do.
 * Errors: those of inotify_add_watch(2)
 */
int loop_watch_directory(struct loop *loop, const char *path);

/* Call when there is something to read from fd, which stays the caller's. Errors: -ENOMEM, -EPERM no such descriptor */
int loop_add_input(struct loop *loop, int fd, void (*call)(void *data), void *data) MUST_CHECK;

/* Not any more, before it is closed. Not from its own call. */
void loop_remove_input(struct loop *loop, int fd);

/* A timer that calls once, from loop_run(), each time it is set. It belongs to the loop. Errors: -ENOMEM */
int loop_add_timer(struct loop *loop, void (*call)(void *data), void *data, struct loop_timer **ret) MUST_CHECK;
void loop_timer_in(struct loop_timer *timer, uint64_t us);

/* End loop_run() as a signal does; it returns the code. */
void loop_exit(struct loop *loop, int code);

/* Run until SIGTERM or SIGINT comes. Returns the signal's number, or -Exxx. */
int loop_run(struct loop *loop) MUST_CHECK;

/* From any thread: something has changed that the next tick should tell. */
void loop_change(struct loop *loop);

/* Words for the service manager; nothing happens without one. */
void loop_notify_ready(void);
void loop_notify_reloading(void);    // then, when done, ready again (sd_notify(3))
void loop_notify_status(const char *status);
void loop_notify_stopping(void);
void loop_feed_watchdog(void);
