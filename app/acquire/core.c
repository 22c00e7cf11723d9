/* SPDX-License-Identifier: MIT */
#include "app/acquire/core.h"

#include "app/acquire/children.h"
#include "app/acquire/configuration.h"
#include "app/acquire/core_private.h"
#include "app/acquire/predecessor.h"
#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WATCHDOG_MS       UINT64_C(25000)    // it barks after 30 s
#define STOP_BUSES_US     UINT64_C(1500000)  // SIGTERM ends everything in 5 s: the buses,
#define STOP_ALL_US       UINT64_C(4500000)  // and the last commit

static void on_change(void *data)
{
    struct core *core = data;

    loop_change(core->loop);
}

/* From the writer's thread, which may wait for a card: what was learned of the meters goes there too. */
static void on_committed(void *data)
{
    struct core *core = data;

    learned_save(core->learned, clock_monotonic_us());
}

/* Only if every bus went round lately; else the service manager ends us and begins anew. */
static void feed_watchdog(struct core *core)
{
    const char *stuck = buses_stuck(&core->buses, clock_monotonic_ms(), WATCHDOG_MS);

    if (stuck && !core->stuck) {
        log_error("bus '%s' has not gone on for %u s; the watchdog will start the program anew", stuck,
                  (unsigned) (WATCHDOG_MS / 1000));
    }
    core->stuck = stuck;
    if (!stuck) {
        loop_feed_watchdog();
    }
}

/* --- the clock --- */

static void tell_clock(struct core *core, uint64_t boot_ms, bool was_begun, enum clock_quality before)
{
    enum clock_quality now = core->clock.epoch.source;
    char time[CLOCK_TEXT_SIZE], text[QUEUE_TEXT_SIZE];

    if (!was_begun || clock_quality_known(before) != clock_quality_known(now)) {
        (void) snprintf(text, sizeof(text), "the time is %s (%c): %s",
                        clock_quality_known(now) ? "known" : "not known", now, clock_utc(clock_wall_ms(), time));
    } else if (before != now) {
        (void) snprintf(text, sizeof(text), "the time was known by %c, now by %c: %s", before, now,
                        clock_utc(clock_wall_ms(), time));
    } else {
        (void) snprintf(text, sizeof(text), "the clock was set (%c): %s", now, clock_utc(clock_wall_ms(), time));
    }
    log_info("%s", text);
    queue_push_event(core->queue, boot_ms, "clock", text, false);
}

static void look_at_clock(struct core *core)
{
    enum clock_quality before = core->clock.epoch.source;
    bool was_begun = core->clock.begun;
    uint64_t boot_ms;
    int64_t wall_ms;

    clock_read_pair(&boot_ms, &wall_ms);
    if (!clock_state_look(&core->clock, boot_ms, wall_ms)) {
        return;
    }
    queue_push_epoch(core->queue, boot_ms, &core->clock.epoch);
    tell_clock(core, boot_ms, was_begun, before);
    if (was_begun) {
        loop_change(core->loop);
    }
}

static void on_clock_set(void *data)
{
    look_at_clock(data);
}

static void on_synchronised(void *data, bool synchronised)
{
    struct core *core = data;

    clock_state_hear(&core->clock, synchronised);
    look_at_clock(core);
}

static void on_ports_changed(void *data)
{
    struct core *core = data;

    buses_look_again(&core->buses);
}

/* --- the other programs --- */

static void tell_of_others(void *data, const char *code, const char *text)
{
    struct core *core = data;

    log_info("%s %s", code, text);
    queue_push_event(core->queue, clock_boot_ms(), code, text, false);
}

static void look_at_others(struct core *core)
{
    others_look(&core->others, core->setup->options->run_dir, clock_monotonic_us(), tell_of_others, core);
}

static void on_replaced(void *data, const char *name)
{
    if (!text_equal(name, CORE_PROGRAM ".json")) {
        look_at_others(data);
    }
}

/* --- another configuration --- */

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && text_equal(a, b));
}

static void set_log_level(const struct core *core)
{
    const char *level = core->setup->options->log_level;

    level = level ? level : core->config->appliance.log_level;
    (void) !log_set_level(level ? level : "info");  // it was checked
}

/* All but the buses, which reload.c changes. */
static void on_taken(void *data)
{
    struct core *core = data;
    const struct config *before = core->config, *config = reload_config(core->reload);

    core->config = config;
    atomic_store(&core->keep_words, config->journal.keep_words);
    writer_set_journal(core->writer, &config->journal);
    if (config->appliance.clock_trusted != before->appliance.clock_trusted) {
        clock_state_trust(&core->clock, config->appliance.clock_trusted);
        clock_state_hear(&core->clock, false);
        loop_ask_timedate(core->loop, !config->appliance.clock_trusted);
        look_at_clock(core);
    }
    set_log_level(core);
    if (!text_equal(config->appliance.timezone, before->appliance.timezone)
        || !is_same_text(config->appliance.log_file, before->appliance.log_file)) {
        log_warning("another timezone or log_file counts from the next start on");
    }
}

static void go_on_reloading(struct core *core)
{
    bool idle = reload_step(core->reload);

    buses_release(&core->buses, core->queue, core->writer);
    if (core->reloading && idle) {
        core->reloading = false;
        loop_notify_ready();
    }
}

static void on_reload(void *data)
{
    struct core *core = data;

    core->reloading = true;
    loop_notify_reloading();
    reload_ask(core->reload);
}

/* What people bring without a shell counts as a SIGHUP does. */
static void look_at_inbox(void *data)
{
    struct core *core = data;
    struct inbox_news news;
    char text[QUEUE_TEXT_SIZE];

    if (!core->inbox || !inbox_step(core->inbox, &news)) {
        return;
    }
    if (*news.refused) {
        (void) snprintf(text, sizeof(text), "refused: %s", news.refused);
        queue_push_event(core->queue, clock_boot_ms(), "config", text, true);
    }
    if (news.adopted > 0) {
        if (core->finder) {
            finder_stop(core->finder, "a configuration was adopted");
        }
        on_reload(core);
    }
}

/* Meters that nobody has named, if there is no other configuration. */
static void look_for_meters(struct core *core)
{
    char text[QUEUE_TEXT_SIZE];

    while (core->finder && finder_take_clash(core->finder, text, sizeof(text))) {
        log_warning("%s", text);
        queue_push_event(core->queue, clock_boot_ms(), "clash", text, true);
    }
    if (core->finder && finder_step(core->finder)) {
        on_reload(core);
    }
}

static void on_tick(void *data)
{
    struct core *core = data;

    go_on_reloading(core);
    look_for_meters(core);
    look_at_inbox(core);
    look_at_clock(core);
    look_at_others(core);
    feed_watchdog(core);
    core_write_status(core, NULL);
}

/* --- making and ending --- */

/* The configuration is its own from now on. */
static int make_reload(struct core *core)
{
    const char *run_dir = core->setup->options->run_dir;

    return reload_new(&(struct reload_setup){ .options = core->setup->options,
                                              .buses = &core->buses,
                                              .bus = { .keep_words = &core->keep_words,
                                                       .start_us = core->start_us,
                                                       .quiet_until_us = predecessor_quiet_us(run_dir),
                                                       .finder = core->finder,
                                                       .learned = core->learned,
                                                       .busy_buses = &core->busy_buses,
                                                       .commit_wanted = &core->commit_wanted,
                                                       .changed = on_change,
                                                       .data = core },
                                              .taken = on_taken,
                                              .changed = on_change,
                                              .data = core },
                      core->setup->config, core->setup->config_problem, &core->reload);
}

static int make_finder(struct core *core)
{
    if (core->setup->card_hangs || *core->setup->config_problem) {
        return 0;
    }
    if (core->config->meter_count == 0) {
        log_info("no configuration names a meter: looking for some");
    }
    return finder_new(&(struct finder_setup){ .config = core->config,
                                              .state_dir = core->setup->options->state_dir,
                                              .changed = on_change,
                                              .data = core },
                      &core->finder);
}

static int watch_inbox(struct core *core)
{
    int r;

    if (!core->inbox) {
        return 0;
    }
    r = inbox_watch(core->inbox, on_change, core);
    if (r < 0) {
        log_warning("the inbox is not watched: %s; it is looked at once a minute", strerror(-r));
        return 0;
    }
    return loop_add_input(core->loop, inbox_fd(core->inbox), look_at_inbox, core);
}

static int core_make(struct core *core)
{
    static const struct loop_handlers handlers = { on_tick, on_clock_set, on_synchronised, on_reload,
                                                   on_ports_changed, on_replaced };
    const struct config *config = core->config;
    int r;

    core->start_us = clock_monotonic_us();
    r = learned_open(core->setup->options->state_dir, !core->setup->card_hangs, &core->learned);
    r = r < 0 ? r : make_finder(core);
    r = r < 0 ? r : make_reload(core);
    if (r < 0) {
        return r;
    }
    // Before all threads, so that the signals are blocked in them.
    r = loop_new(&handlers, core, !config->appliance.clock_trusted, &core->loop);
    if (r < 0) {
        return r;
    }
    r = watch_inbox(core);
    if (r < 0) {
        return r;
    }
    loop_watch_directory(core->loop, core->setup->options->run_dir);
    look_at_others(core);  // what is there now is no news
    r = meters_new(&core->meters);
    if (r < 0) {
        return r;
    }
    atomic_store(&core->keep_words, config->journal.keep_words);
    r = queue_new(buses_queue_capacity(config), &core->queue);
    if (r < 0) {
        return r;
    }
    buses_init(&core->buses, core->meters);
    return reload_begin(core->reload, core->queue);
}

static void core_clear(struct core *core)
{
    buses_clear(&core->buses);
    finder_free(core->finder);
    writer_free(core->writer);
    learned_close(core->learned);
    queue_free(core->queue);
    loop_free(core->loop);
    text_clear(&core->status);
    meters_free(core->meters);
    if (core->reload) {
        reload_free(core->reload);
    } else {
        config_free(core->setup->config);
    }
}

static int start_writer(struct core *core)
{
    int r;

    r = file_path(core->directory, sizeof(core->directory), core->setup->options->state_dir, "journal");
    r = r < 0 ? r : file_path(core->memory, sizeof(core->memory), core->setup->options->run_dir, "journal");
    if (r < 0) {
        return r;
    }
    return writer_start(&(struct writer_setup){ .journal = core->config->journal,
                                                .meters = core->meters,
                                                .queue = core->queue,
                                                .directory = core->directory,
                                                .memory_directory = core->memory,
                                                .card_hangs = core->setup->card_hangs,
                                                .start_us = core->start_us,
                                                .busy_buses = &core->busy_buses,
                                                .commit_wanted = &core->commit_wanted,
                                                .changed = on_change,
                                                .committed = on_committed,
                                                .data = core },
                        &core->writer);
}

static void explain_writer(const struct core *core, int r)
{
    const char *state_dir = core->setup->options->state_dir;

    if (r == -EBUSY) {
        log_error("another acquire has the journal in %s: two would mix their rows; stop it, or give this one a "
                  "--state-dir of its own", state_dir);
    } else if (r == -ENOTDIR) {
        log_error("%s/journal cannot be a directory: a part of the path is a file; remove it, or choose another "
                  "--state-dir", state_dir);
    } else {
        log_error("the journal in %s cannot be opened: %s; --state-dir chooses another place", state_dir,
                  strerror(-r));
    }
}

static void begin_clock(struct core *core)
{
    struct writer_status status;
    char text[QUEUE_TEXT_SIZE];

    writer_get_status(core->writer, &status);
    clock_state_init(&core->clock, core->config->appliance.clock_trusted, clock_rtc_set_it(""), status.last_known_ms,
                     status.known_earlier ? status.known_earlier : CLOCK_UNKNOWN, clock_build_ms());
    look_at_clock(core);
    (void) snprintf(text, sizeof(text), "meterstick acquire %s begins, %u meters", METERSTICK_VERSION,
                    core->config->meter_count);
    queue_push_event(core->queue, clock_boot_ms(), "start", text, false);
}

/* The guards go on from what the journal has. */
static void begin_counters(struct core *core)
{
    auto_recall struct recall *recall = writer_take_recall(core->writer);

    buses_recall(&core->buses, recall, &core->clock.epoch);
}

/* End buses, then the writer. Returns false if one of them hangs: then nothing may be freed. */
static bool stop_all(struct core *core, enum exit_code *ret)
{
    uint64_t now_us = clock_monotonic_us();
    struct writer_status status;
    bool joined;
    int r;

    buses_stop(&core->buses);
    joined = buses_join(&core->buses, now_us + STOP_BUSES_US);
    if (!joined) {
        children_end();  // a program that is a meter has not ended yet
        joined = buses_join(&core->buses, now_us + 2 * STOP_BUSES_US);
    }
    r = writer_stop(core->writer, now_us + STOP_ALL_US);
    if (r == 0) {
        *ret = EXIT_OK;
        log_info("stopped; everything is committed");
    } else {
        *ret = EXIT_IO;
        writer_get_status(core->writer, &status);
        log_error("stopped; the last rows are %s: %s",
                  status.in_memory ? "in memory, not on the card" : "not committed",
                  r == -ETIMEDOUT ? "the card hangs" : strerror(-r));
    }
    joined &= !core->finder || finder_end(core->finder, now_us + STOP_ALL_US);
    joined &= reload_end(core->reload, now_us + STOP_ALL_US);
    joined &= !core->inbox || inbox_end(core->inbox, now_us + STOP_ALL_US);
    return joined && r != -ETIMEDOUT;
}

static enum exit_code run(struct core *core)
{
    enum exit_code code = EXIT_IO;
    bool all_ended;
    int r;

    r = start_writer(core);
    if (r < 0) {
        explain_writer(core, r);
        return EXIT_IO;
    }
    if (!*core->setup->config_problem) {
        configuration_keep(core->config, core->setup->options->state_dir);
    }
    begin_clock(core);
    begin_counters(core);
    r = buses_change_step(&core->buses, core->queue);
    if (r > 0) {
        core_write_status(core, NULL);
        loop_notify_ready();
        r = loop_run(core->loop);
    }
    if (r < 0) {
        log_error("acquire cannot go on: %s", strerror(-r));
    } else {
        log_info("%s: ending", strsignal(r));
    }

    loop_notify_stopping();
    all_ended = stop_all(core, &code);
    core_write_status(core, "stopped");
    if (!all_ended) {
        _exit(code);  // a thread still waits for a meter or a card: it ends with the process
    }
    return r < 0 ? EXIT_IO : code;
}

enum exit_code core_run(const struct core_setup *setup)
{
    struct core core = { .setup = setup, .config = setup->config, .inbox = setup->inbox };
    enum exit_code code = EXIT_IO;
    int r;

    r = core_make(&core);
    if (r == 0) {
        code = run(&core);
    } else {
        log_error("acquire cannot start: %s", strerror(-r));
    }
    core_clear(&core);
    return code;
}
