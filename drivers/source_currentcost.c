/* SPDX-License-Identifier: MIT */
/*
 * A Current Cost display as a source: it talks by itself, about every 6 s for each sensor, and we listen.
 *
 * A poll collects what was heard since the last one. It returns as soon as the round is complete: every sensor asked
 * for that was heard lately was heard again, or, at the first poll, when one sensor comes round a second time. A sensor
 * not heard for long (currentcost_is_fresh) is missing.
 */
#include "drivers/line_open.h"
#include "drivers/source_ops.h"

#include "app/base/clock.h"
#include "app/base/log.h"
#include "app/base/text.h"
#include "drivers/currentcost.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

#define HEARD_MS 30000

/* What a point shows: the names of the CODEC_MESSAGE codecs. */
enum field {
    FIELD_WATTS,
    FIELD_CH1,
    FIELD_CH2,
    FIELD_CH3,
    FIELD_TEMPERATURE,
    FIELD_IMPULSES,
    FIELD_COUNT
};

static const char *const field_names[FIELD_COUNT] = { "watts", "ch1",         "ch2",
                                                      "ch3",   "temperature", "impulses" };

struct heard {
    struct currentcost message;
    uint64_t when_ms;    // monotonic; 0: never
    unsigned long poll;  // of which poll
};

struct listener {
    struct source source;
    char meter[METER_ID_SIZE];
    struct endpoint port;
    struct serial_setting serial;
    int fd;
    struct layout layout;
    struct source_limit limits[MAX_POINTS];
    struct decimal resolutions[MAX_POINTS];
    enum field fields[MAX_POINTS];
    unsigned sensors[MAX_POINTS];
    unsigned wanted;  // bits: sensors that some column shows
    struct heard sensors_heard[CURRENTCOST_SENSORS];
    double temperature_degc;
    uint64_t temperature_ms;
    unsigned long poll;
    unsigned damaged;        // messages of this poll
    bool round_complete;     // a sensor was heard twice in this poll
    uint64_t first_boot_ms;  // of this poll's first reading; 0: none yet
    uint64_t drained_ms;     // when the port was last read empty
    char problem[256];
    size_t held;
    char buffer[CURRENTCOST_MAX_SIZE + 4096];
};

static struct listener *listener_of(struct source *source)
{
    return (struct listener *) source;
}

static void listener_shut(struct listener *listener)
{
    if (listener->fd >= 0) {
        (void) close(listener->fd);  // nothing was written
    }
    listener->fd = -1;
    listener->held = 0;
}

static void listener_shut_source(struct source *source)
{
    listener_shut(listener_of(source));
}

static void listener_close(struct source *source)
{
    listener_shut(listener_of(source));
    free(source);
}

static int listener_open_port(struct listener *listener)
{
    auto_text struct text problem = { 0 };
    int r;

    if (listener->fd >= 0) {
        return 0;
    }
    r = line_open_endpoint(&listener->port, &listener->serial, clock_monotonic_us(), &problem);
    if (r < 0) {
        (void) snprintf(listener->problem, sizeof(listener->problem), "%s", text_string(&problem));
        return r;
    }
    listener->fd = r;
    listener->drained_ms = clock_monotonic_ms();
    return 0;
}

/* Whether a sensor's last message still counts. */
static bool is_fresh(const struct listener *listener, const struct heard *heard, uint64_t now_ms)
{
    return heard->when_ms > 0
           && currentcost_is_fresh(listener->poll - heard->poll, now_ms - heard->when_ms);
}

static void take(struct listener *listener, const struct currentcost *message, uint64_t now_ms)
{
    struct heard *heard;

    if (message->kind == CURRENTCOST_DAMAGED) {
        listener->damaged++;
        log_debug("meter '%s': damaged message (%s)", listener->meter, message->damage);
        return;
    }
    if (message->kind != CURRENTCOST_READING && message->kind != CURRENTCOST_IMPULSE) {
        return;
    }
    if (!isnan(message->temperature_degc)) {
        listener->temperature_degc = message->temperature_degc;
        listener->temperature_ms = now_ms;
    }
    if (listener->first_boot_ms == 0) {
        listener->first_boot_ms = clock_boot_ms();
    }
    if (message->sensor >= CURRENTCOST_SENSORS) {
        return;
    }

    heard = &listener->sensors_heard[message->sensor];
    if (heard->when_ms > 0 && heard->poll == listener->poll) {
        listener->round_complete = true;
    }
    *heard = (struct heard){ .message = *message, .when_ms = now_ms, .poll = listener->poll };
}

/* Read what has arrived, until there is no more. Errors: -ENODEV the adapter is gone */
static int drain(struct listener *listener)
{
    for (;;) {
        size_t room = sizeof(listener->buffer) - listener->held;
        ssize_t size = read(listener->fd, listener->buffer + listener->held, room);
        struct currentcost message;
        size_t used;

        // a port without bytes reads 0 here (VMIN is 0); that it has hung up is what poll() tells
        if (size == 0 || (size < 0 && (errno == EAGAIN || errno == EINTR))) {
            listener->drained_ms = clock_monotonic_ms();
            return 0;
        }
        if (size < 0) {
            (void) snprintf(listener->problem, sizeof(listener->problem), "the adapter is gone");
            listener_shut(listener);
            return -ENODEV;
        }
        listener->held += (size_t) size;
        while ((used = currentcost_parse(listener->buffer, listener->held, &message)) > 0) {
            memmove(listener->buffer, listener->buffer + used, listener->held - used);
            listener->held -= used;
            take(listener, &message, clock_monotonic_ms());
        }
    }
}

/* Whether each sensor that is asked for and was heard lately was heard in this poll. */
static bool is_complete(const struct listener *listener)
{
    uint64_t now_ms = clock_monotonic_ms();
    bool any = false;

    if (listener->round_complete) {
        return true;
    }
    if (listener->poll == 1) {
        return false;  // we do not know yet how many there are
    }
    for (size_t i = 0; i < CURRENTCOST_SENSORS; i++) {
        const struct heard *heard = &listener->sensors_heard[i];

        if (!(listener->wanted & 1u << i)) {
            continue;
        }
        if (heard->when_ms > 0 && heard->poll == listener->poll) {
            any = true;
        } else if (is_fresh(listener, heard, now_ms)) {
            return false;
        }
    }
    return any;
}

static int listen_until(struct listener *listener, uint64_t deadline_us)
{
    // What waited in the port since long ago would count as heard now
    if (clock_monotonic_ms() - listener->drained_ms > HEARD_MS) {
        (void) tcflush(listener->fd, TCIFLUSH);
        listener->held = 0;
    }

    for (;;) {
        uint64_t now_us;
        struct pollfd pollfd = { .fd = listener->fd, .events = POLLIN };
        int r;

        r = drain(listener);
        if (r < 0) {
            return r;
        }
        now_us = clock_monotonic_us();
        if (is_complete(listener) || now_us >= deadline_us) {
            return 0;
        }
        (void) poll(&pollfd, 1, (int) ((MIN(deadline_us - now_us, 3600000000u) + 999) / 1000));
        if (pollfd.revents & (POLLHUP | POLLERR | POLLNVAL)) {
            (void) snprintf(listener->problem, sizeof(listener->problem), "the adapter is gone");
            listener_shut(listener);
            return -ENODEV;
        }
        // A message trickles in over 15 ms or more: let some of it gather instead of waking at each byte
        if (pollfd.revents & POLLIN) {
            clock_sleep_until_us(MIN(clock_monotonic_us() + 20000, deadline_us));
        }
    }
}

static double field_value(const struct listener *listener, unsigned column, uint64_t now_ms)
{
    const struct heard *heard = &listener->sensors_heard[listener->sensors[column]];
    enum field field = listener->fields[column];
    double sum = NAN;

    if (field == FIELD_TEMPERATURE) {
        bool fresh = listener->temperature_ms > 0 && now_ms - listener->temperature_ms <= HEARD_MS;

        return fresh ? listener->temperature_degc : NAN;
    }
    if (!is_fresh(listener, heard, now_ms)) {
        return NAN;
    }
    if (field == FIELD_IMPULSES) {
        return heard->message.impulses;
    }
    if (field != FIELD_WATTS) {
        return heard->message.watts[field - FIELD_CH1];
    }
    for (size_t i = 0; i < CURRENTCOST_CHANNELS; i++) {
        if (!isnan(heard->message.watts[i])) {
            sum = (isnan(sum) ? 0 : sum) + heard->message.watts[i];
        }
    }
    return sum;
}

/* Why a value is missing: a sensor that fell silent, or one that was never there. */
static enum reason field_reason(const struct listener *listener, unsigned column, uint64_t now_ms)
{
    const struct heard *heard = &listener->sensors_heard[listener->sensors[column]];

    if (listener->fields[column] == FIELD_TEMPERATURE) {
        return listener->temperature_ms > 0 ? REASON_TIMEOUT : REASON_NOT_READ;
    }
    return heard->when_ms > 0 && !is_fresh(listener, heard, now_ms) ? REASON_TIMEOUT
                                                                    : REASON_NOT_READ;
}

static int listener_fill(struct listener *listener, struct sample *ret)
{
    uint64_t now_ms = clock_monotonic_ms();

    for (unsigned i = 0; i < listener->layout.count; i++) {
        double value =
            decimal_scale_double(field_value(listener, i, now_ms), listener->resolutions[i]);

        ret->values[i] = value;
        ret->reasons[i] = isnan(value) ? field_reason(listener, i, now_ms) : REASON_NONE;
    }
    ret->boot_ms = listener->first_boot_ms ? listener->first_boot_ms : clock_boot_ms();
    source_apply_limits(listener->limits, ret);
    if (sample_present(ret) > 0) {
        return 0;
    }

    if (listener->damaged > 0) {
        (void) snprintf(listener->problem, sizeof(listener->problem), "only damaged messages (%u)",
                        listener->damaged);
        return -EBADMSG;
    }
    (void) snprintf(listener->problem, sizeof(listener->problem), "nothing heard");
    return -ETIMEDOUT;
}

static int listener_next(struct source *source, uint64_t deadline_us, struct sample *ret)
{
    struct listener *listener = listener_of(source);
    int r;

    listener->poll++;
    listener->damaged = 0;
    listener->round_complete = false;
    listener->first_boot_ms = 0;
    listener->problem[0] = '\0';

    sample_clear(ret, listener->meter, listener->layout.count, REASON_DISCONNECTED);
    r = listener_open_port(listener);
    if (r < 0) {
        return r;
    }
    r = listen_until(listener, deadline_us);
    if (r < 0) {
        return r;
    }

    r = listener_fill(listener, ret);
    if (r < 0) {
        sample_clear(ret, listener->meter, listener->layout.count,
                     r == -EBADMSG ? REASON_DAMAGED : REASON_TIMEOUT);
    }
    return r;
}

static const struct layout *listener_layout(const struct source *source)
{
    return &((const struct listener *) source)->layout;
}

static const char *listener_problem(const struct source *source)
{
    return ((const struct listener *) source)->problem;
}

static const struct source_ops listener_ops = {
    .close = listener_close,
    .shut = listener_shut_source,
    .next = listener_next,
    .layout = listener_layout,
    .problem = listener_problem,
};

/* Look up what each column shows. Errors: -EINVAL a point that no message has */
static int listener_resolve(struct listener *listener, const struct source_setup *setup)
{
    for (unsigned i = 0; i < setup->selection->point_count; i++) {
        const struct point *point = &setup->model->points[setup->selection->points[i]];
        unsigned field = 0;

        while (field < FIELD_COUNT && !text_equal(point->codec->name, field_names[field])) {
            field++;
        }
        if (field == FIELD_COUNT || point->number >= CURRENTCOST_SENSORS) {
            return -EINVAL;
        }
        listener->fields[i] = field;
        listener->sensors[i] = point->number;
        listener->wanted |= 1u << point->number;
        listener->resolutions[i] = point->resolution;
    }
    return 0;
}

int source_currentcost_open(const struct source_setup *setup, struct source **ret)
{
    auto_free struct listener *listener = NULL;
    int r;

    if (!endpoint_is_serial(&setup->port)) {
        return -EINVAL;
    }
    listener = calloc(1, sizeof(*listener));
    if (!listener) {
        return -ENOMEM;
    }
    listener->source.ops = &listener_ops;
    listener->fd = -1;
    listener->port = setup->port;
    listener->serial = setup->serial.baud ? setup->serial : setup->model->serial;
    listener->temperature_degc = NAN;
    r = text_copy(listener->meter, sizeof(listener->meter), setup->meter);
    if (r < 0) {
        return r;
    }
    selection_layout(setup->model, setup->selection, &listener->layout);
    r = listener_resolve(listener, setup);
    if (r < 0) {
        return r;
    }
    source_limits(setup, &listener->layout, listener->limits);

    *ret = &TAKE(listener)->source;
    return 0;
}
