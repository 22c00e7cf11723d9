/* SPDX-License-Identifier: MIT */
#include "app/service/loop.h"

#include "app/base/clock.h"
#include "app/base/log.h"
#include "app/service/timedate.h"
#include "board/hotplug.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <time.h>

#include <systemd/sd-event.h>

#define TICK_US           UINT64_C(2000000)
#define TICK_ACCURACY_US  UINT64_C(100000)
#define TIMER_ACCURACY_US UINT64_C(1000)
#define CHANGE_US         UINT64_C(100000)    // several changes at once make one tick
#define PORTS_US          UINT64_C(200000)    // a hub brings its adapters one by one
#define ASK_US            UINT64_C(10000000)  // until the clock is synchronised,
#define ASK_SELDOM_US     UINT64_C(60000000)  // and then: timedated ends by itself when nobody asks for 30 s
#define NEVER_S           INT64_C(0x7FFFFFFF) // a wall time that will not come

/* A descriptor or a timer that the program brought. */
struct loop_source {
    struct loop_source *next;
    sd_event_source *source;
    void (*call)(void *data);
    void *data;
};

struct loop_timer {
    struct loop_source source;
};

struct loop {
    struct loop_handlers handlers;
    void *data;
    sd_event *event;
    sd_event_source *tick, *change, *clock, *ask, *hotplug_io, *ports, *directory, *signals[3];
    int change_fd, clock_fd;
    struct timedate *timedate;
    bool asks;                    // timedate1
    struct loop_source *sources;  // those that the program brought
    struct hotplug *hotplug;      // NULL: nobody tells of adapters here
    bool ports_waiting;           // the timer for them runs
};

static const int loop_signals[] = { SIGTERM, SIGINT, SIGHUP };

/* --- ticks and changes --- */

static int tick_in(struct loop *loop, uint64_t us)
{
    int r;

    r = sd_event_source_set_time_relative(loop->tick, us);
    return r < 0 ? r : sd_event_source_set_enabled(loop->tick, SD_EVENT_ONESHOT);
}

static int on_tick(sd_event_source *source, uint64_t us, void *data)
{
    struct loop *loop = data;

    (void) source;
    (void) us;
    loop->handlers.tick(loop->data);
    return tick_in(loop, TICK_US);
}

static int on_change(sd_event_source *source, int fd, uint32_t events, void *data)
{
    struct loop *loop = data;
    uint64_t count;

    (void) source;
    (void) events;
    (void) !read(fd, &count, sizeof(count));  // only to make it quiet
    return tick_in(loop, CHANGE_US);
}

void loop_change(struct loop *loop)
{
    uint64_t one = 1;

    (void) !write(loop->change_fd, &one, sizeof(one));  // EAGAIN: it knows already
}

/* --- the clock --- */

/*
 * Readable, with ECANCELED, when the wall clock was set discontinuously (timerfd_create(2)). That it was set since
 * somebody read, timerfd_settime() itself says with ECANCELED: returns 1 then.
 */
static int watch_clock(struct loop *loop)
{
    const struct itimerspec never = { .it_value.tv_sec = (time_t) NEVER_S };
    bool was_set = false;

    while (timerfd_settime(loop->clock_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0) {
        if (errno != ECANCELED) {
            return -errno;
        }
        was_set = true;
    }
    return was_set;
}

static int on_clock(sd_event_source *source, int fd, uint32_t events, void *data)
{
    struct loop *loop = data;
    uint64_t count;
    int r;

    (void) source;
    (void) events;
    (void) !read(fd, &count, sizeof(count));
    r = watch_clock(loop);  // before anybody looks: what is set from now on calls again
    loop->handlers.clock_set(loop->data);
    if (loop->asks) {
        (void) sd_event_source_set_time_relative(loop->ask, 0);  // most often NTP did it
        (void) sd_event_source_set_enabled(loop->ask, SD_EVENT_ONESHOT);
    }
    return r;
}

static void on_synchronised(bool synchronised, void *data)
{
    struct loop *loop = data;

    if (loop->asks) {
        loop->handlers.synchronised(loop->data, synchronised);
        (void) sd_event_source_set_time_relative(loop->ask, synchronised ? ASK_SELDOM_US : ASK_US);
    }
}

static int on_ask(sd_event_source *source, uint64_t us, void *data)
{
    struct loop *loop = data;

    (void) us;
    if (timedate_ask(loop->timedate) < 0) {
        loop->handlers.synchronised(loop->data, false);
    }
    (void) sd_event_source_set_time_relative(source, ASK_US);  // also if the answer never comes
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void loop_ask_timedate(struct loop *loop, bool ask)
{
    loop->asks = ask;
    (void) sd_event_source_set_time_relative(loop->ask, 0);
    (void) sd_event_source_set_enabled(loop->ask, ask ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* --- adapters --- */

static int on_ports(sd_event_source *source, uint64_t us, void *data)
{
    struct loop *loop = data;

    (void) source;
    (void) us;
    loop->ports_waiting = false;
    loop->handlers.ports_changed(loop->data);
    return 0;
}

static int on_hotplug(sd_event_source *source, int fd, uint32_t events, void *data)
{
    struct loop *loop = data;
    struct hotplug_event event;
    bool any = false;

    (void) fd;
    while (hotplug_next(loop->hotplug, &event) > 0) {
        log_debug("%s %s", *event.device ? event.device : "a serial port", event.gone ? "is gone" : "is there");
        any = true;
    }
    if (events & (EPOLLERR | EPOLLHUP)) {
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);  // it would wake us for ever
    }
    if (!any || loop->ports_waiting) {
        return 0;
    }
    loop->ports_waiting = true;
    (void) sd_event_source_set_time_relative(loop->ports, PORTS_US);
    return sd_event_source_set_enabled(loop->ports, SD_EVENT_ONESHOT);
}

/* Without it the buses look for their ports each second. */
static void watch_adapters(struct loop *loop)
{
    int r = hotplug_new("tty", &loop->hotplug);

    if (r < 0) {
        log_debug("nobody tells here of adapters that come and go: %s", strerror(-r));
        return;
    }
    r = sd_event_add_time_relative(loop->event, &loop->ports, CLOCK_MONOTONIC, 0, TICK_ACCURACY_US, on_ports, loop);
    r = r < 0 ? r : sd_event_source_set_enabled(loop->ports, SD_EVENT_OFF);
    r = r < 0 ? r : sd_event_add_io(loop->event, &loop->hotplug_io, hotplug_fd(loop->hotplug), EPOLLIN, on_hotplug,
                                    loop);
    if (r < 0) {
        log_debug("adapters that come and go are not watched: %s", strerror(-r));
    }
}

/* --- files --- */

static int on_replaced(sd_event_source *source, const struct inotify_event *event, void *data)
{
    struct loop *loop = data;

    (void) source;
    if (event->mask & IN_MOVED_TO && event->len > 0) {
        loop->handlers.replaced(loop->data, event->name);
    }
    return 0;
}

int loop_watch_directory(struct loop *loop, const char *path)
{
    int r;

    loop->directory = sd_event_source_disable_unref(loop->directory);
    r = sd_event_add_inotify(loop->event, &loop->directory, path, IN_MOVED_TO, on_replaced, loop);
    if (r < 0) {
        log_debug("%s is not watched: %s", path, strerror(-r));
    }
    return r;
}

/* --- what the program brought --- */

static int on_input(sd_event_source *source, int fd, uint32_t events, void *data)
{
    struct loop_source *own = data;

    (void) source;
    (void) fd;
    (void) events;
    own->call(own->data);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t us, void *data)
{
    struct loop_source *own = data;

    (void) source;
    (void) us;
    own->call(own->data);
    return 0;
}

static void free_source(struct loop_source *own)
{
    sd_event_source_disable_unref(own->source);
    free(own);  // a timer begins with it
}

static void add_source(struct loop *loop, struct loop_source *own)
{
    own->next = loop->sources;
    loop->sources = own;
}

int loop_add_input(struct loop *loop, int fd, void (*call)(void *data), void *data)
{
    auto_free struct loop_source *own = calloc(1, sizeof(*own));
    int r;

    if (!own) {
        return -ENOMEM;
    }
    own->call = call;
    own->data = data;
    r = sd_event_add_io(loop->event, &own->source, fd, EPOLLIN, on_input, own);
    if (r < 0) {
        return r;
    }

    add_source(loop, TAKE(own));
    return 0;
}

void loop_remove_input(struct loop *loop, int fd)
{
    for (struct loop_source **link = &loop->sources; *link; link = &(*link)->next) {
        struct loop_source *own = *link;

        if (sd_event_source_get_io_fd(own->source) == fd) {  // -EDOM: a timer
            *link = own->next;
            free_source(own);
            return;
        }
    }
}

int loop_add_timer(struct loop *loop, void (*call)(void *data), void *data, struct loop_timer **ret)
{
    auto_free struct loop_timer *timer = calloc(1, sizeof(*timer));
    int r;

    if (!timer) {
        return -ENOMEM;
    }
    timer->source.call = call;
    timer->source.data = data;
    r = sd_event_add_time_relative(loop->event, &timer->source.source, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US, on_timer,
                                   &timer->source);
    r = r < 0 ? r : sd_event_source_set_enabled(timer->source.source, SD_EVENT_OFF);
    if (r < 0) {
        sd_event_source_unref(timer->source.source);
        return r;
    }

    *ret = TAKE(timer);
    add_source(loop, &(*ret)->source);
    return 0;
}

void loop_timer_in(struct loop_timer *timer, uint64_t us)
{
    (void) sd_event_source_set_time_relative(timer->source.source, us);
    (void) sd_event_source_set_enabled(timer->source.source, SD_EVENT_ONESHOT);
}

static void free_sources(struct loop *loop)
{
    while (loop->sources) {
        struct loop_source *own = loop->sources;

        loop->sources = own->next;
        free_source(own);
    }
}

/* --- the loop --- */

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
    struct loop *loop = data;

    (void) source;
    if (info->ssi_signo == SIGHUP && loop->handlers.reload) {
        loop->handlers.reload(loop->data);
        return 0;
    }
    return sd_event_exit(loop->event, (int) info->ssi_signo);
}

static int add_ticks(struct loop *loop)
{
    int r;

    r = sd_event_add_time_relative(loop->event, &loop->tick, CLOCK_MONOTONIC, TICK_US, TICK_ACCURACY_US, on_tick, loop);
    if (r < 0) {
        return r;
    }
    return sd_event_add_io(loop->event, &loop->change, loop->change_fd, EPOLLIN, on_change, loop);
}

static int add_clock(struct loop *loop, bool wants_timedate)
{
    int r;

    r = sd_event_add_io(loop->event, &loop->clock, loop->clock_fd, EPOLLIN, on_clock, loop);
    if (r < 0) {
        return r;
    }
    r = timedate_new(loop->event, on_synchronised, loop, &loop->timedate);
    if (r >= 0) {
        r = sd_event_add_time_relative(loop->event, &loop->ask, CLOCK_MONOTONIC, 0, TICK_ACCURACY_US, on_ask, loop);
    }
    if (r < 0) {
        return r;
    }
    loop_ask_timedate(loop, wants_timedate);
    return watch_clock(loop);
}

static int add_sources(struct loop *loop, bool wants_timedate)
{
    int r = 0;

    if (loop->handlers.tick) {
        r = add_ticks(loop);
    }
    if (r >= 0 && loop->handlers.clock_set) {
        r = add_clock(loop, wants_timedate);
    }
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < ARRAY_SIZE(loop_signals); i++) {
        r = sd_event_add_signal(loop->event, &loop->signals[i], loop_signals[i], on_signal, loop);
        if (r < 0) {
            return r;
        }
    }
    if (loop->handlers.ports_changed) {
        watch_adapters(loop);
    }
    return 0;
}

static void block_signals(void)
{
    sigset_t signals;

    (void) sigemptyset(&signals);
    for (size_t i = 0; i < ARRAY_SIZE(loop_signals); i++) {
        (void) sigaddset(&signals, loop_signals[i]);
    }
    (void) pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void) signal(SIGPIPE, SIG_IGN);  // a connection that ends is an error of its write,
    (void) signal(SIGXFSZ, SIG_IGN);  // and so is a file that may not grow
}

int loop_new(const struct loop_handlers *handlers, void *data, bool wants_timedate, struct loop **ret)
{
    struct loop *loop;
    int r;

    loop = calloc(1, sizeof(*loop));
    if (!loop) {
        return -ENOMEM;
    }
    loop->handlers = *handlers;
    loop->data = data;
    loop->change_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    block_signals();

    r = loop->change_fd < 0 || loop->clock_fd < 0 ? -EMFILE : sd_event_new(&loop->event);
    if (r >= 0) {
        r = add_sources(loop, wants_timedate);
    }
    if (r < 0) {
        loop_free(loop);
        return r;
    }

    *ret = loop;
    return 0;
}

void loop_free(struct loop *loop)
{
    if (!loop) {
        return;
    }
    timedate_free(loop->timedate);
    sd_event_source_unref(loop->tick);
    sd_event_source_unref(loop->change);
    sd_event_source_unref(loop->clock);
    sd_event_source_unref(loop->ask);
    sd_event_source_unref(loop->hotplug_io);
    sd_event_source_unref(loop->ports);
    sd_event_source_unref(loop->directory);
    free_sources(loop);
    hotplug_free(loop->hotplug);
    for (size_t i = 0; i < ARRAY_SIZE(loop_signals); i++) {
        sd_event_source_unref(loop->signals[i]);
    }
    sd_event_unref(loop->event);
    macros_close(&loop->change_fd);
    macros_close(&loop->clock_fd);
    free(loop);
}

int loop_run(struct loop *loop)
{
    return sd_event_loop(loop->event);
}

void loop_exit(struct loop *loop, int code)
{
    (void) sd_event_exit(loop->event, code);
}
