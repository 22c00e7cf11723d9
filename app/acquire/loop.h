/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The core's event loop, and all that it needs of systemd: timers, signals, the watchdog, and timedate1's word on the
 * clock over D-Bus; and adapters that come and go. Without systemd, D-Bus or udev it runs all the same. One thread,
 * except for loop_change().
 */

#include "app/base/macros.h"

#include <stdbool.h>

struct loop;

/* Called from loop_run(). */
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

/* Watch a directory for files that are replaced. Where that is not possible a tick must do. */
void loop_watch_directory(struct loop *loop, const char *path);

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
