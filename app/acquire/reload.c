/* SPDX-License-Identifier: MIT */
#include "app/acquire/reload.h"

#include "app/acquire/thread.h"
#include "app/base/clock.h"
#include "app/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum reload_state {
    RELOAD_IDLE,
    RELOAD_READING,
    RELOAD_CHANGING,
    RELOAD_KEEPING,
};

/* A configuration lives as long as a bus that was made of it. */
struct held {
    struct config *config;
    struct held *next;
};

struct reload {
    struct reload_setup setup;
    struct held *held;               // the first is in force
    char problem[CONFIGURATION_PROBLEM_SIZE + 64];
    enum reload_state state;
    bool asked;                      // once more

    struct thread thread;            // while READING or KEEPING
    struct config *new;
    char new_problem[CONFIGURATION_PROBLEM_SIZE];
    int result;
};

/* --- what is held --- */

static int hold(struct reload *reload, struct config *config)
{
    struct held *held = calloc(1, sizeof(*held));

    if (!held) {
        return -ENOMEM;
    }
    *held = (struct held){ .config = config, .next = reload->held };
    reload->held = held;
    return 0;
}

/* The newest stays, and all that a bus was made of. */
static void let_go(struct reload *reload)
{
    struct held **link = &reload->held->next;

    while (*link) {
        struct held *held = *link;

        if (buses_use(reload->setup.buses, held->config)) {
            link = &held->next;
            continue;
        }
        *link = held->next;
        config_free(held->config);
        free(held);
    }
}

int reload_new(const struct reload_setup *setup, struct config *config, const char *problem, struct reload **ret)
{
    struct reload *reload = calloc(1, sizeof(*reload));
    int r;

    if (!reload) {
        return -ENOMEM;
    }
    reload->setup = *setup;
    (void) snprintf(reload->problem, sizeof(reload->problem), "%s", problem);
    r = hold(reload, config);
    if (r < 0) {
        free(reload);
        return r;
    }

    *ret = reload;
    return 0;
}

const struct config *reload_config(const struct reload *reload)
{
    return reload->held->config;
}

int reload_begin(struct reload *reload, struct queue *queue)
{
    struct buses_news news;
    int r;

    reload->setup.bus.queue = queue;
    reload->setup.bus.config = reload_config(reload);
    r = buses_change(reload->setup.buses, &reload->setup.bus, &news);
    return r < 0 ? r : buses_take_slots(reload->setup.buses);
}

void reload_free(struct reload *reload)
{
    if (!reload) {
        return;
    }
    while (reload->held) {
        struct held *held = reload->held;

        reload->held = held->next;
        config_free(held->config);
        free(held);
    }
    config_free(reload->new);
    free(reload);
}

const char *reload_problem(const struct reload *reload)
{
    return *reload->problem ? reload->problem : NULL;
}

/* --- what the thread does --- */

static void read_new(void *data)
{
    struct reload *reload = data;

    reload->result = configuration_read(reload->setup.options, &reload->new, reload->new_problem);
    reload->setup.changed(reload->setup.data);
}

static void keep_new(void *data)
{
    struct reload *reload = data;

    configuration_keep(reload->held->config, reload->setup.options->state_dir);
    reload->setup.changed(reload->setup.data);
}

/* --- step by step --- */

static void tell(struct reload *reload, const char *text)
{
    queue_push_event(reload->setup.bus.queue, clock_boot_ms(), "config", text, true);
}

static void refuse(struct reload *reload, const char *why)
{
    char text[QUEUE_TEXT_SIZE];

    (void) snprintf(reload->problem, sizeof(reload->problem),
                    "the new configuration is refused, the one before goes on: %s", why);
    log_error("%s", reload->problem);
    (void) snprintf(text, sizeof(text), "refused: %s", why);
    tell(reload, text);
    reload->state = RELOAD_IDLE;
}

static void tell_taken(struct reload *reload, const struct buses_news *news)
{
    char text[QUEUE_TEXT_SIZE];

    (void) snprintf(text, sizeof(text), "taken: %u buses go on, %u changed, %u new, %u removed; %u meters", news->kept,
                    news->changed, news->added, news->removed, reload_config(reload)->meter_count);
    log_info("the new configuration is %s", text);
    tell(reload, text);
}

/* It has been read. Until the first bus is told to end nothing has changed, and nothing of it can fail after that. */
static void take(struct reload *reload)
{
    struct config *config = TAKE(reload->new);
    struct buses_news news;
    int r;

    if (reload->result < 0) {
        config_free(config);
        refuse(reload, reload->new_problem);
        return;
    }
    reload->setup.bus.config = config;
    r = hold(reload, config);
    if (r < 0) {
        config_free(config);
    } else {
        r = queue_grow(reload->setup.bus.queue, buses_queue_capacity(config));
        r = r < 0 ? r : buses_change(reload->setup.buses, &reload->setup.bus, &news);
        if (r < 0) {
            struct held *held = reload->held;

            reload->held = held->next;
            config_free(held->config);
            free(held);
        }
    }
    if (r < 0) {
        refuse(reload, r == -EBUSY ? "rows of meters that were removed before still wait for the card" : strerror(-r));
        return;
    }

    reload->problem[0] = '\0';
    reload->state = RELOAD_CHANGING;
    tell_taken(reload, &news);
    reload->setup.taken(reload->setup.data);
}

static void begin(struct reload *reload, enum reload_state state, const char *name, void (*run)(void *data))
{
    int r;

    r = thread_start(&reload->thread, name, run, reload);
    if (r == 0) {
        reload->state = state;
    } else if (state == RELOAD_READING) {
        refuse(reload, strerror(-r));
    } else {
        log_warning("the configuration cannot be kept as the last good one: %s", strerror(-r));
        reload->state = RELOAD_IDLE;
    }
}

void reload_ask(struct reload *reload)
{
    reload->asked = true;
    (void) reload_step(reload);
}

/* Returns true if there is more to do at once. */
static bool step(struct reload *reload)
{
    switch (reload->state) {
    case RELOAD_IDLE:
        if (!reload->asked) {
            return false;
        }
        reload->asked = false;
        begin(reload, RELOAD_READING, "config", read_new);
        return true;
    case RELOAD_READING:
        if (thread_join(&reload->thread, 0) < 0) {
            return false;
        }
        take(reload);
        return true;
    case RELOAD_CHANGING:
        if (buses_change_step(reload->setup.buses, reload->setup.bus.queue) <= 0) {
            return false;
        }
        begin(reload, RELOAD_KEEPING, "config", keep_new);
        return true;
    case RELOAD_KEEPING:
        if (thread_join(&reload->thread, 0) < 0) {
            return false;
        }
        reload->state = RELOAD_IDLE;
        return true;
    }
    return false;
}

bool reload_step(struct reload *reload)
{
    while (step(reload)) {
    }
    let_go(reload);
    return reload->state == RELOAD_IDLE;
}

bool reload_end(struct reload *reload, uint64_t deadline_us)
{
    bool has_thread = reload->state == RELOAD_READING || reload->state == RELOAD_KEEPING;

    return !has_thread || thread_join(&reload->thread, deadline_us) == 0;
}
