/* SPDX-License-Identifier: MIT */
#include "app/acquire/finder_private.h"

#include "app/base/clock.h"
#include "app/base/log.h"
#include "app/config/scanned.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#define AGAIN_US UINT64_C(1000000)  // a port that cannot be used is tried each second
#define LOOK_US  UINT64_C(2000000)  // how often "auto" is looked for where nobody answers

static int begin_scan(struct finder_port *port)
{
    const struct finder *finder = port->finder;

    scan_free(TAKE(port->scan));
    (void) pthread_mutex_lock(&port->mutex);
    port->began_us = clock_monotonic_us();
    (void) pthread_mutex_unlock(&port->mutex);
    return scan_new(&(struct scan_setup){ .models = (const struct model *const *) finder->models,
                                          .model_count = finder->model_count,
                                          .tcp = port->endpoint.kind == ENDPOINT_TCP },
                    &port->scan);
}

/* Two meters at one address are nothing to adopt, but somebody should know. The mutex is held. */
static void tell_clashes(struct finder_port *port, unsigned from)
{
    for (unsigned i = from; i < scan_found_count(port->scan); i++) {
        const struct scan_found *found = scan_found_at(port->scan, i);

        if (found->kind == SCAN_CLASH && !port->told[found->address % ARRAY_SIZE(port->told)]) {
            port->told[found->address % ARRAY_SIZE(port->told)] = true;
            text_addf(&port->clashes, "bus '%s': ", port->bus);
            scanned_describe(&port->clashes, found);
            text_add_char(&port->clashes, '\n');
        }
    }
}

/* What others may know. Returns whether something was found, or all is done. */
static bool put_news(struct finder_port *port, bool done)
{
    char name[ENDPOINT_TEXT_SIZE];
    bool news;

    (void) pthread_mutex_lock(&port->mutex);
    port->failing = false;
    scan_get_progress(port->scan, &port->progress);
    (void) scan_progress_text(port->scan, port->text);
    news = scan_found_count(port->scan) > port->things;
    if (news) {
        tell_clashes(port, port->things);
        port->things = scan_found_count(port->scan);
        text_reset(&port->found);
        port->meters = scanned_add(&port->found, port->scan, port->bus,
                                   port->named ? NULL : endpoint_text(&port->endpoint, name));
        port->found_us = clock_monotonic_us();
    }
    news |= done && !port->done;
    port->done = done;
    (void) pthread_mutex_unlock(&port->mutex);
    return news;
}

static void publish(struct finder_port *port, bool done)
{
    if (put_news(port, done)) {
        port->finder->setup.changed(port->finder->setup.data);
    }
}

/* Once for each reason. *told is the last one. */
static void put_failure(struct finder_port *port, const struct line *line, int r, int *told)
{
    const char *problem = *line_problem(line) ? line_problem(line) : strerror(-r);

    if (r == *told) {
        return;
    }
    *told = r;
    log_warning("looking for meters: %s", problem);
    (void) pthread_mutex_lock(&port->mutex);
    port->failing = true;
    (void) snprintf(port->text, sizeof(port->text), "%s", problem);
    (void) pthread_mutex_unlock(&port->mutex);
    port->finder->setup.changed(port->finder->setup.data);
}

static void count_round(struct finder_port *port)
{
    log_info("nothing answers on %s; looking again", port->bus);
    (void) pthread_mutex_lock(&port->mutex);
    port->rounds++;
    port->things = 0;  // a scan that is new has found nothing
    (void) pthread_mutex_unlock(&port->mutex);
    port->finder->setup.changed(port->finder->setup.data);
}

/* Returns true if the thread is to end. */
static bool wait_until(const struct finder_port *port, uint64_t until_us)
{
    uint64_t now_us = clock_monotonic_us();
    struct pollfd stop = { .fd = port->stop_fd, .events = POLLIN };
    int ms = until_us > now_us ? (int) MIN((until_us - now_us) / 1000 + 1, UINT64_C(60000)) : 0;

    return poll(&stop, 1, ms) > 0;
}

/* "auto" may be another port now, on which nobody was asked. */
static void look_again(struct finder_port *port, struct line *line, uint64_t *again_us)
{
    uint64_t now_us = clock_monotonic_us();

    if (now_us < port->look_us) {
        return;
    }
    port->look_us = now_us + LOOK_US;
    if (port->endpoint.kind == ENDPOINT_AUTO && line_fd(line) >= 0 && port->things == 0 && line_look_again(line)) {
        log_info("nobody has answered on the board's own port; looking for meters on the adapter");
        *again_us = begin_scan(port) < 0 ? now_us + AGAIN_US : 0;
    }
}

static void run(void *data)
{
    struct finder_port *port = data;
    uint64_t again_us = 0;
    struct line *line = NULL;
    int told = 0;

    if (line_new(&port->endpoint, &(struct serial_setting){ 9600, 'N', 8, 1 }, &line) < 0
        || sharing_apply(&port->sharing, line) < 0) {
        line_close(line);
        return;
    }
    while (!wait_until(port, again_us)) {
        int r;

        look_again(port, line, &again_us);
        r = port->scan ? scan_line_step(port->scan, line, 0, &again_us) : -ENOMEM;
        if (r < 0) {
            put_failure(port, line, r, &told);
            again_us = clock_monotonic_us() + AGAIN_US;
            continue;
        }
        told = 0;
        again_us = r > 0 ? 0 : again_us;
        if (again_us == UINT64_MAX && port->meters == 0) {
            count_round(port);
            again_us = begin_scan(port) < 0 ? UINT64_MAX : clock_monotonic_us() + AGAIN_US;
            continue;
        }
        publish(port, again_us == UINT64_MAX);
    }
    line_close(line);
}

int finder_port_new(struct finder *finder, const struct endpoint *endpoint, const char *bus, bool named,
                    const struct sharing *sharing, struct finder_port **ret)
{
    struct finder_port *port = calloc(1, sizeof(*port));
    int r;

    if (!port) {
        return -ENOMEM;
    }
    port->finder = finder;
    port->endpoint = *endpoint;
    port->named = named;
    port->sharing = *sharing;
    port->joined = true;
    (void) snprintf(port->bus, sizeof(port->bus), "%s", bus);
    (void) pthread_mutex_init(&port->mutex, NULL);
    port->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = port->stop_fd < 0 ? -EMFILE : begin_scan(port);
    if (r < 0) {
        finder_port_free(port);
        return r;
    }

    *ret = port;
    return 0;
}

int finder_port_start(struct finder_port *port)
{
    int r = thread_start(&port->thread, "scan", run, port);

    port->started = r == 0;
    port->joined = r < 0;
    return r;
}

static const struct model *model_called(const struct finder *finder, const char *id)
{
    for (unsigned i = 0; i < finder->model_count; i++) {
        if (text_equal(finder->models[i]->id, id)) {
            return finder->models[i];
        }
    }
    return NULL;
}

void finder_port_resume(struct finder_port *port, const struct config *config, unsigned bus)
{
    for (unsigned i = 0; i < config->meter_count; i++) {
        const struct meter_config *meter = &config->meters[i];
        const struct model *model = meter->model ? model_called(port->finder, meter->model->id) : NULL;

        if (meter->bus == bus && model) {
            scan_know(port->scan, model, &meter->serial, meter->address);
        }
    }
    port->state = FINDER_HANDED;
    port->started = port->joined = true;
    (void) put_news(port, false);  // the core knows: it asked
    port->adopted = port->meters;
}

void finder_port_free(struct finder_port *port)
{
    if (!port) {
        return;
    }
    scan_free(port->scan);
    text_clear(&port->found);
    text_clear(&port->clashes);
    macros_close(&port->stop_fd);
    (void) pthread_mutex_destroy(&port->mutex);
    free(port);
}

uint64_t finder_search(struct finder_port *port, struct line *line, uint64_t until_us)
{
    uint64_t again_us;
    int r;

    if (port->done || port->finder->stopped || until_us == 0) {
        return UINT64_MAX;
    }
    r = scan_line_step(port->scan, line, until_us, &again_us);
    if (r > 0 || again_us == UINT64_MAX) {
        publish(port, r == 0);
    }
    return r > 0 ? 0 : again_us;
}
