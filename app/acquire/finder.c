/* SPDX-License-Identifier: MIT */
#include "app/acquire/finder.h"

#include "app/acquire/finder_private.h"
#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/json.h"
#include "app/base/log.h"
#include "app/config/adopt.h"
#include "app/config/scanned.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#define SETTLED_US UINT64_C(3000000)  // several that are found soon after each other are taken together

#define HEADER                                                                                                         \
    "# Found by Meterstick where no configuration named a meter. Change what you like: then the search is over, and\n" \
    "# what stands here stays. 'systemctl reload meterstick-acquire' or the next start takes it; what is wrong then\n" \
    "# stands in 'meterstick status', and what was goes on.\n"                                                         \
    "#\n"                                                                                                              \
    "#   [meter kitchen]      another name (a-z, 0-9, - and _), which its files on the stick have as well\n"           \
    "#   label = Kitchen, A3  a name for people\n"                                                                     \
    "#   interval = 1 min     how often it is read (10 s)\n"                                                           \
    "#   log = voltage, ...   what is kept of it; 'meterstick models MODEL' lists all that it has\n"                   \
    "#\n"                                                                                                              \
    "# All keys are in 'man meterstick.conf'. 'meterstick scan' searches by hand.\n"
#define GOES_ON "# The search goes on.\n"

static void compose(struct finder *finder, struct text *ret);

/* The buses of a configuration, without meters or with those that were found. */
static int add_buses(struct finder *finder, const struct config *config)
{
    struct sharing sharing;

    for (unsigned i = 0; i < config->bus_count && finder->port_count < FINDER_PORTS; i++) {
        const struct bus_config *bus = &config->buses[i];
        bool named = !bus->file || !text_ends(bus->file, "/" ADOPT_FILE);
        struct finder_port *port;
        int r;

        sharing_decide(config, (int) i, &bus->port, &sharing);
        r = finder_port_new(finder, &bus->port, bus->name, named, &sharing, &port);
        if (r < 0) {
            return r;
        }
        finder->ports[finder->port_count++] = port;
        if (config->meter_count > 0) {
            finder_port_resume(port, config, i);
        }
    }
    return 0;
}

/* The next line that is no remark, "" at the end. */
static const char *next_line(const char **text, size_t *ret_length)
{
    for (const char *line = *text; *line; line = *text) {
        *ret_length = strcspn(line, "\n");
        *text = line + *ret_length + (line[*ret_length] == '\n');
        if (*line != '#' && *ret_length > 0) {
            return line;
        }
    }
    *ret_length = 0;
    return *text;
}

/* Whether two texts say the same, whatever their remarks. */
static bool says_same(const char *a, const char *b)
{
    for (;;) {
        size_t a_length, b_length;
        const char *a_line = next_line(&a, &a_length), *b_line = next_line(&b, &b_length);

        if (a_length != b_length || memcmp(a_line, b_line, a_length) != 0) {
            return false;
        }
        if (a_length == 0) {
            return true;
        }
    }
}

/* adopted.conf, if a search wrote it that has not come to its end. */
static bool load_unfinished(struct finder *finder)
{
    char path[PATH_SIZE];
    size_t size;

    return file_path(path, sizeof(path), finder->setup.state_dir, ADOPT_FILE) == 0
           && file_read(path, MAX_FILE_SIZE, &finder->written, &size) == 0 && strstr(finder->written, GOES_ON);
}

/* Whether nobody has changed it since. */
static bool resume(struct finder *finder, const struct config *config)
{
    auto_text struct text text = { 0 };

    if (add_buses(finder, config) < 0) {
        return false;
    }
    compose(finder, &text);
    return says_same(text_string(&text), finder->written);
}

int finder_new(const struct finder_setup *setup, struct finder **ret)
{
    struct finder *finder = calloc(1, sizeof(*finder));
    bool wanted;
    int r;

    if (!finder) {
        return -ENOMEM;
    }
    finder->setup = *setup;
    finder->any_adapter = setup->config->bus_count == 0;
    wanted = setup->config->meter_count == 0 || load_unfinished(finder);
    finder->model_count = wanted ? scanned_load_models(finder->models, FINDER_MODELS) : 0;
    r = wanted && finder->model_count == 0 ? -ENOENT : 0;
    if (r == 0 && wanted && setup->config->meter_count > 0) {
        wanted = resume(finder, setup->config);
    } else if (r == 0 && wanted) {
        r = add_buses(finder, setup->config);
    }
    finder->setup.config = NULL;  // it may be another one soon
    if (r < 0 || !wanted) {
        finder_free(finder);
        finder = NULL;
    }
    if (r == 0) {
        *ret = finder;
    }
    return r;
}

void finder_free(struct finder *finder)
{
    if (!finder) {
        return;
    }
    for (unsigned i = 0; i < finder->port_count; i++) {
        finder_port_free(finder->ports[i]);
    }
    for (unsigned i = 0; i < finder->model_count; i++) {
        model_free(finder->models[i]);
    }
    free(finder->written);
    free(finder);
}

/* --- adapters --- */

static bool is_known(const struct finder *finder, const char *path)
{
    for (unsigned i = 0; i < finder->port_count; i++) {
        if (text_equal(finder->ports[i]->endpoint.path, path)) {
            return true;
        }
    }
    return false;
}

/* A terminal of the system: nobody wants our questions there. */
static bool is_console(const char *path)
{
    auto_free char *names = NULL;
    const char *slash = strrchr(path, '/');
    char *rest, *name;
    size_t size;

    if (file_read("/sys/class/tty/console/active", MAX_LINE_SIZE, &names, &size) < 0) {
        return false;
    }
    rest = names;
    while (*(name = text_word(&rest))) {
        if (slash && text_equal(name, slash + 1)) {
            return true;
        }
    }
    return false;
}

static void add_adapter(struct finder *finder, const struct serial_adapter *adapter)
{
    const char *name = *adapter->by_id ? adapter->by_id : *adapter->by_path ? adapter->by_path : adapter->path;
    struct endpoint endpoint;
    struct sharing sharing = { 0 };
    char bus[METER_ID_SIZE];
    int r;

    if (is_known(finder, name) || is_console(adapter->path) || endpoint_parse(name, &endpoint, NULL) < 0) {
        return;
    }
    (void) snprintf(bus, sizeof(bus), finder->port_count > 0 ? "rs485-%u" : "rs485", finder->port_count + 1);
    // as the buses of the configuration that it becomes will be shared
    (void) snprintf(sharing.name, sizeof(sharing.name), "%s%s%s", SHARING_DEFAULT, finder->port_count > 0 ? "-" : "",
                    finder->port_count > 0 ? bus : "");
    r = finder_port_new(finder, &endpoint, bus, false, &sharing, &finder->ports[finder->port_count]);
    if (r < 0) {
        log_warning("%s cannot be searched: %s", name, strerror(-r));
        return;
    }
    finder->port_count++;
    log_info("looking for meters on %s (%s)", name, adapter->description);
}

static void look_for_adapters(struct finder *finder)
{
    auto_free struct serial_adapter *adapters = NULL;
    int count = serial_list("", &adapters);

    for (int i = 0; i < count && finder->port_count < FINDER_PORTS; i++) {
        add_adapter(finder, &adapters[i]);
    }
}

/* --- adopting --- */

/* Somebody has changed what was written. */
static bool is_changed(const struct finder *finder)
{
    auto_free char *now = NULL;
    char path[PATH_SIZE];
    size_t size;

    if (file_path(path, sizeof(path), finder->setup.state_dir, ADOPT_FILE) < 0
        || file_read(path, MAX_FILE_SIZE, &now, &size) < 0) {
        return false;  // there is none, or not now
    }
    return !finder->written || !text_equal(now, finder->written);
}

/* All that was found on ports that are handed over. */
static void compose(struct finder *finder, struct text *ret)
{
    text_add(ret, HEADER);
    text_add(ret, finder->ended ? "" : GOES_ON);
    for (unsigned i = 0; i < finder->port_count; i++) {
        struct finder_port *port = finder->ports[i];

        (void) pthread_mutex_lock(&port->mutex);
        if (port->state == FINDER_HANDED) {
            text_add(ret, text_string(&port->found));
            port->adopted = port->meters;
        }
        (void) pthread_mutex_unlock(&port->mutex);
    }
}

static bool adopt(struct finder *finder)
{
    auto_text struct text text = { 0 };
    int r;

    if (is_changed(finder)) {
        finder_stop(finder, "adopted.conf was changed by somebody else");
        return false;
    }
    compose(finder, &text);
    r = text.failed ? -ENOMEM : adopt_write(finder->setup.state_dir, text_string(&text), text.size);
    if (r < 0) {
        log_error("what was found cannot be kept in %s: %s", finder->setup.state_dir, strerror(-r));
        return false;
    }
    free(finder->written);
    finder->written = text.data;
    text = (struct text){ 0 };
    return true;
}

/* Whether there is something at a port that is worth adopting now. */
static bool is_ripe(struct finder_port *port)
{
    bool ripe;

    (void) pthread_mutex_lock(&port->mutex);
    ripe = port->meters > port->adopted
           && (port->adopted == 0 || port->done || clock_monotonic_us() > port->found_us + SETTLED_US);
    (void) pthread_mutex_unlock(&port->mutex);
    return ripe;
}

/* Nothing more is to come, from no port. */
static bool is_all_done(struct finder *finder)
{
    bool done = finder->port_count > 0;

    for (unsigned i = 0; i < finder->port_count; i++) {
        (void) pthread_mutex_lock(&finder->ports[i]->mutex);
        done &= finder->ports[i]->done && finder->ports[i]->meters == finder->ports[i]->adopted;
        (void) pthread_mutex_unlock(&finder->ports[i]->mutex);
    }
    return done;
}

bool finder_step(struct finder *finder)
{
    bool ready = false;

    if (finder->stopped) {
        return false;
    }
    if (finder->any_adapter) {
        look_for_adapters(finder);
    }
    for (unsigned i = 0; i < finder->port_count; i++) {
        struct finder_port *port = finder->ports[i];

        if (!port->started && finder_port_start(port) < 0) {
            continue;  // the next tick tries again
        }
        if (!is_ripe(port)) {
            continue;
        }
        if (port->state == FINDER_SEARCHING) {
            (void) eventfd_write(port->stop_fd, 1);
            port->state = FINDER_ENDING;
        }
        if (port->state == FINDER_ENDING && thread_join(&port->thread, clock_monotonic_us() + 100000) == 0) {
            port->joined = true;
            port->state = FINDER_HANDED;
        }
        ready |= port->state == FINDER_HANDED;
    }
    if (!ready && !finder->ended && is_all_done(finder)) {
        finder->ended = true;
        log_info("all has been looked for");
        ready = finder->written;
    }
    return ready && adopt(finder);
}

bool finder_take_clash(struct finder *finder, char *ret, size_t size)
{
    bool any = false;

    for (unsigned i = 0; i < finder->port_count && !any; i++) {
        struct finder_port *port = finder->ports[i];
        auto_text struct text rest = { 0 };
        const char *line;
        size_t length;

        (void) pthread_mutex_lock(&port->mutex);
        line = text_string(&port->clashes);
        length = strcspn(line, "\n");
        any = length > 0;
        if (any) {
            (void) snprintf(ret, size, "%.*s", (int) length, line);
            text_add(&rest, line + length + 1);
            text_reset(&port->clashes);
            text_add(&port->clashes, text_string(&rest));
        }
        (void) pthread_mutex_unlock(&port->mutex);
    }
    return any;
}

struct finder_port *finder_port(struct finder *finder, const char *bus)
{
    for (unsigned i = 0; finder && i < finder->port_count; i++) {
        if (finder->ports[i]->state == FINDER_HANDED && text_equal(finder->ports[i]->bus, bus)) {
            return finder->ports[i];
        }
    }
    return NULL;
}

/* --- what others look at, and the end --- */

/* In the pauses of a bus it takes longer than it would alone: as it did until now. The mutex is held. */
static uint64_t left_of(const struct finder_port *port)
{
    uint64_t left_us = port->progress.total_us - port->progress.done_us;
    uint64_t passed_us = port->began_us ? clock_monotonic_us() - port->began_us : 0;
    double slower = (double) passed_us / (double) MAX(port->progress.done_us, UINT64_C(1));

    return passed_us > SETTLED_US && slower > 1 && port->progress.done_us > SETTLED_US
               ? (uint64_t) ((double) left_us * slower)
               : left_us;
}

/* Where all ports fail, or there is none, nobody is asked. The mutexes are held one after another. */
static const char *find_state(struct finder *finder)
{
    bool done = finder->port_count > 0, asks = false;

    for (unsigned i = 0; i < finder->port_count; i++) {
        (void) pthread_mutex_lock(&finder->ports[i]->mutex);
        done &= finder->ports[i]->done;
        asks |= !finder->ports[i]->done && !finder->ports[i]->failing;
        (void) pthread_mutex_unlock(&finder->ports[i]->mutex);
    }
    return finder->stopped ? "stopped" : done ? "done" : asks ? "running" : "waiting";
}

void finder_add_status(struct finder *finder, struct text *ret)
{
    uint64_t done_us = 0, total_us = 0, left_us = 0;
    unsigned meters = 0, rounds = UINT_MAX;
    auto_text struct text ports = { 0 };

    for (unsigned i = 0; i < finder->port_count; i++) {
        struct finder_port *port = finder->ports[i];

        (void) pthread_mutex_lock(&port->mutex);
        done_us += port->progress.done_us;
        total_us += port->progress.total_us;
        left_us = MAX(left_us, left_of(port));  // side by side
        meters += port->meters;
        rounds = MIN(rounds, port->meters > 0 ? 0 : port->rounds);
        text_add(&ports, i > 0 ? ",{" : "{");
        json_add_member_string(&ports, "bus", port->bus);
        json_add_member_string(&ports, "text", port->text);
        text_add_char(&ports, '}');
        (void) pthread_mutex_unlock(&port->mutex);
    }
    text_add_char(ret, '{');
    json_add_member_string(ret, "state", find_state(finder));
    json_add_member_number(ret, "percent", total_us ? (double) (100 * done_us / total_us) : 0);
    json_add_member_number(ret, "left_s", (double) (left_us / 1000000));
    json_add_member_number(ret, "found", meters);
    json_add_member_number(ret, "rounds", finder->port_count > 0 ? rounds : 0);
    json_add_key(ret, "ports");
    text_addf(ret, "[%s]}", text_string(&ports));
}

void finder_stop(struct finder *finder, const char *why)
{
    if (finder->stopped) {
        return;
    }
    log_info("no more looking for meters: %s", why);
    finder->stopped = true;
    for (unsigned i = 0; i < finder->port_count; i++) {
        (void) eventfd_write(finder->ports[i]->stop_fd, 1);
    }
}

bool finder_end(struct finder *finder, uint64_t deadline_us)
{
    bool all = true;

    for (unsigned i = 0; i < finder->port_count; i++) {
        (void) eventfd_write(finder->ports[i]->stop_fd, 1);
    }
    for (unsigned i = 0; i < finder->port_count; i++) {
        struct finder_port *port = finder->ports[i];

        port->joined = port->joined || thread_join(&port->thread, deadline_us) == 0;
        all &= port->joined;
    }
    return all;
}
