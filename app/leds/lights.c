/* SPDX-License-Identifier: MIT */
#include "app/leds/lights.h"

#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/limits.h"
#include "app/base/log.h"
#include "app/base/status.h"
#include "app/leds/address.h"
#include "app/leds/lamp.h"
#include "app/leds/power_latch.h"
#include "app/leds/record.h"
#include "app/leds/report.h"
#include "app/leds/screen.h"
#include "app/leds/server.h"
#include "app/leds/settings.h"
#include "app/leds/watch.h"
#include "app/service/loop.h"
#include "leds/scene.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SYS_DIR    "/sys"
#define EVERY_MS   1000   // a look, at the latest: a program that falls silent says nothing
#define APART_MS   50     // looks, at least: files may be replaced at any rate
#define SLOW_MS    5000   // the voltage, which the kernel asks for each 2 s itself, and the address once more
#define SETTLE_US  UINT64_C(1000000)  // addresses and routes come together
#define HOLD_MS    60000  // a pixel that a person asked for

struct lights {
    const struct lights_setup *setup;
    const char *run_dir;
    struct loop *loop;
    struct loop_timer *timer, *address_timer;
    char boot_id[CLOCK_BOOT_ID_SIZE];
    char settings_path[PATH_SIZE];
    struct watch_seen settings_seen;
    struct settings settings;
    struct watch acquire, stick;

    struct stat run_dir_seen;        // the directory that is watched
    struct server server;
    int address_fd;
    bool address_failed, address_known, address_waits, address_is_new;
    char address[ADDRESS_TEXT_SIZE];
    struct power_latch latch;
    enum power_fact power;
    uint64_t slow_ms, directory_ms;  // when these are looked at again

    struct scene scene;
    struct lamp lamp;
    struct record record;
    struct screen screen;
    bool drawn;                      // frame and lights hold what was last shown
    struct frame frame;
    enum light lights[BLINKT_PIXELS];
    uint64_t look_ms;
    uint64_t fed_ms;                 // the watchdog
    struct text notified;            // what the service manager was told
    uint64_t status_ms;              // when the own status was last written
    int status_error;                // of the lamp, as written there
    bool status_failed;
};

/* --- what is looked at --- */

/* The options of the command line win; a log file that cannot be opened is no reason to go dark. */
static void follow_log(const struct lights *lights)
{
    const struct options *options = lights->setup->options;
    const char *level = options->log_level ? options->log_level : lights->settings.log_level;
    const char *file = options->log_file ? options->log_file : lights->settings.log_file;
    int r;

    r = log_setup("leds", *level ? level : NULL, *file ? file : NULL);
    if (r < 0) {
        log_warning("log_file %s: %s; logging to where it was", file, strerror(-r));
    }
}

static void look_at_settings(struct lights *lights)
{
    auto_free char *text = NULL;
    size_t size;

    if (!watch_changed(lights->settings_path, &lights->settings_seen)) {
        return;
    }
    lights->settings = settings_default;
    if (file_read(lights->settings_path, MAX_FILE_SIZE, &text, &size) == 0) {
        settings_read(text, size, &lights->settings);
    }
    follow_log(lights);
}

static void look_at_address(struct lights *lights)
{
    char address[ADDRESS_TEXT_SIZE];
    int r = address_find(address);

    if (r < 0 && !lights->address_failed) {
        log_warning("the network address cannot be asked for: %s, trying again every 5 s", strerror(-r));
    }
    lights->address_failed = r < 0;
    if (r < 0 && lights->address_known) {
        return;  // it has hardly changed for that
    }
    lights->address_known = r >= 0;
    lights->address_is_new = lights->address_is_new || !text_equal(address, lights->address);
    memcpy(lights->address, address, sizeof(lights->address));
    r = scene_set_address(&lights->scene, lights->address, lights->setup->read_outs);
    if (r < 0) {
        log_debug("'%s' cannot be spelled", lights->address);
    }
}

static void look_at_slow_things(struct lights *lights, uint64_t now_ms)
{
    if (now_ms < lights->slow_ms) {
        return;
    }
    lights->slow_ms = now_ms + SLOW_MS;
    lights->power = power_latch_look(&lights->latch, SYS_DIR, lights->run_dir, lights->boot_id);
    look_at_address(lights);
}

static void look_soon(struct lights *lights)
{
    uint64_t now_ms = clock_boot_ms(), due_ms = lights->look_ms + APART_MS;

    loop_timer_in(lights->timer, due_ms > now_ms ? (due_ms - now_ms) * 1000 : 0);
}

static void on_address_timer(void *data)
{
    struct lights *lights = data;

    lights->address_waits = false;
    look_at_address(lights);
    look_soon(lights);
}

static void on_address(void *data)
{
    struct lights *lights = data;

    address_watch_drain(lights->address_fd);
    if (!lights->address_waits) {
        lights->address_waits = true;
        loop_timer_in(lights->address_timer, SETTLE_US);
    }
}

/* --- what is asked --- */

static const char *take_question(const struct question *question, void *data)
{
    struct lights *lights = data;
    const char *address = *question->address ? question->address : lights->address;

    if (lights->setup->blinkt && lights->lamp.error < 0) {
        return lamp_explain(lights->lamp.error);
    }
    switch (question->kind) {
    case QUESTION_LED:
        scene_hold_pixel(&lights->scene, question->pixel, question->colour, clock_boot_ms() + HOLD_MS);
        break;
    case QUESTION_IP:
        if (scene_read_out(&lights->scene, address, 1) < 0) {
            return "this cannot be spelled";
        }
        break;
    }
    look_soon(lights);
    return NULL;
}

static void on_question(void *data)
{
    struct lights *lights = data;

    server_take(&lights->server, clock_boot_ms(), take_question, lights);
}

static void begin_serving(int fd, void *data)
{
    struct lights *lights = data;
    int r = loop_add_input(lights->loop, fd, on_question, lights);

    if (r < 0) {
        log_warning("nobody can ask: %s", strerror(-r));
    }
}

static void end_serving(int fd, void *data)
{
    struct lights *lights = data;

    loop_remove_input(lights->loop, fd);
}

/* It may appear later than we, and be another any time. */
static void look_at_directory(struct lights *lights, uint64_t now_ms)
{
    struct stat status = {};

    if (now_ms < lights->directory_ms) {
        return;
    }
    lights->directory_ms = now_ms + EVERY_MS;
    if (stat(lights->run_dir, &status) == 0 && (status.st_ino != lights->run_dir_seen.st_ino ||
                                                status.st_dev != lights->run_dir_seen.st_dev)) {
        (void) loop_watch_directory(lights->loop, lights->run_dir);  // there is a look each second as well
    }
    lights->run_dir_seen = status;
    server_look(&lights->server, end_serving, begin_serving, lights);
}

/* --- what is shown --- */

/* In letters only a change of meaning is one, not a blink. */
static void show(struct lights *lights, const struct frame *frame, const enum light now[static BLINKT_PIXELS],
                 uint64_t now_ms)
{
    bool same_lights = lights->drawn && memcmp(lights->lights, now, sizeof(lights->lights)) == 0;
    bool same_frame = lights->drawn && blinkt_equal(&lights->frame, frame);

    memcpy(lights->lights, now, sizeof(lights->lights));
    lights->frame = *frame;
    lights->drawn = true;

    if (!same_frame || !same_lights) {
        record_frame(&lights->record, frame, now, now_ms);
    }
    if (lights->setup->terminal && (!same_lights || (lights->screen.mode == TERMINAL_COLOUR && !same_frame))) {
        screen_draw(&lights->screen, frame, now);
    }
    if (lights->setup->blinkt) {
        (void) lamp_show(&lights->lamp, frame, now_ms);  // it says itself what is wrong, and so does the status
    }
}

static void write_status(struct lights *lights, const char *state)
{
    struct report report = {
        .state = state,
        .error = lights->lamp.error < 0 ? lamp_explain(lights->lamp.error) : NULL,
        .address = lights->address,
        .lights = lights->lights,
    };
    auto_text struct text line = {};
    int r;

    r = report_write(lights->run_dir, &report);
    if (r < 0 && !lights->status_failed) {
        log_warning("cannot write %s/leds.json: %s, trying again every 2 s", lights->run_dir, strerror(-r));
    }
    lights->status_failed = r < 0;
    lights->status_error = lights->lamp.error;
    lights->address_is_new = false;

    report_add_line(&line, &report);
    if (!line.failed && !text_equal(text_string(&line), text_string(&lights->notified))) {
        loop_notify_status(line.data);
        text_clear(&lights->notified);
        lights->notified = line;
        line = (struct text){};
    }
}

static void tell(struct lights *lights, bool changed, uint64_t now_ms)
{
    changed = changed || lights->address_is_new || lights->lamp.error != lights->status_error;
    if (changed || now_ms >= lights->status_ms + STATUS_EVERY_MS) {
        write_status(lights, "running");
        lights->status_ms = now_ms;
    }
    if (lights->fed_ms == 0 || now_ms >= lights->fed_ms + EVERY_MS) {
        loop_feed_watchdog();  // only here: what is to be shown has been shown
        lights->fed_ms = now_ms;
    }
}

/* One look at everything. */
static void look(struct lights *lights)
{
    uint64_t now_ms = clock_boot_ms(), next_ms;
    enum light now[BLINKT_PIXELS];
    struct frame frame;
    struct facts facts;
    bool changed;

    look_at_settings(lights);
    look_at_directory(lights, now_ms);
    look_at_slow_things(lights, now_ms);
    watch_read(&lights->acquire, lights->run_dir);
    watch_read(&lights->stick, lights->run_dir);

    now_ms = clock_boot_ms();
    lights->look_ms = now_ms;
    facts_gather(watch_believe(&lights->acquire, lights->boot_id, now_ms),
                 watch_believe(&lights->stick, lights->boot_id, now_ms), now_ms, lights->settings.commit_ms, &facts);
    facts.power = lights->power;
    scene_frame(&lights->scene, &facts, now_ms, lights->settings.brightness, lights->settings.code_colours, &frame, now,
                &next_ms);

    changed = !lights->drawn || memcmp(lights->lights, now, sizeof(now)) != 0;
    show(lights, &frame, now, now_ms);
    tell(lights, changed, now_ms);

    next_ms = MIN(next_ms, MIN(now_ms + EVERY_MS, lights->status_ms + STATUS_EVERY_MS));
    now_ms = clock_boot_ms();
    loop_timer_in(lights->timer, next_ms > now_ms ? (next_ms - now_ms) * 1000 : 0);
}

static void on_timer(void *data)
{
    look(data);
}

static void on_replaced(void *data, const char *name)
{
    if (text_equal(name, "acquire.json") || text_equal(name, "stick.json")) {
        look_soon(data);
    }
}

static void on_reload(void *data)
{
    struct lights *lights = data;

    if (lights->setup->terminal) {
        loop_exit(lights->loop, SIGHUP);  // it was closed
        return;
    }
    lights->settings_seen = (struct watch_seen){};
    look_soon(lights);
}

/* --- beginning and end --- */

static void say_farewell(struct lights *lights)
{
    enum light farewell[BLINKT_PIXELS];
    struct frame frame;

    indicator_farewell(farewell);
    indicator_frame(farewell, 0, lights->settings.brightness, false, &frame);
    show(lights, &frame, farewell, clock_boot_ms());
}

static int prepare(const struct lights_setup *setup, struct lights *ret)
{
    int r;

    *ret = (struct lights){
        .setup = setup,
        .run_dir = setup->options->run_dir,
        .settings = settings_default,
        .acquire.program = "acquire",
        .stick.program = "stick",
        .address_fd = -1,
        .server.fd = -1,
        .record.fd = -1,
        .screen.mode = terminal_mode_of(STDOUT_FILENO),
        .address = ADDRESS_NONE,
    };
    clock_boot_id(ret->boot_id);
    r = file_path(ret->settings_path, sizeof(ret->settings_path), setup->options->state_dir, "good.conf");
    if (r < 0) {
        log_error("the state directory's name is too long");
        return r;
    }
    r = record_open(&ret->record, setup->record);
    if (r < 0) {
        log_error("cannot open %s: %s", setup->record, strerror(-r));
    }
    return r;
}

static int prepare_loop(struct lights *lights)
{
    static const struct loop_handlers handlers = { .reload = on_reload, .replaced = on_replaced };
    int r;

    r = loop_new(&handlers, lights, false, &lights->loop);
    if (r >= 0) {
        r = loop_add_timer(lights->loop, on_timer, lights, &lights->timer);
    }
    if (r >= 0) {
        r = loop_add_timer(lights->loop, on_address_timer, lights, &lights->address_timer);
    }
    if (r < 0) {
        return r;
    }

    r = address_watch_open(&lights->address_fd);
    if (r >= 0) {
        r = loop_add_input(lights->loop, lights->address_fd, on_address, lights);
    }
    if (r < 0) {
        log_warning("nobody tells of network addresses here: %s, looking every 5 s", strerror(-r));
    }
    return 0;
}

static void clear(struct lights *lights)
{
    loop_free(lights->loop);
    server_end(&lights->server);
    macros_close(&lights->address_fd);
    lamp_clear(&lights->lamp);
    record_close(&lights->record);
    watch_clear(&lights->acquire);
    watch_clear(&lights->stick);
    text_clear(&lights->notified);
}

int lights_run(const struct lights_setup *setup)
{
    struct lights lights;
    int r;

    r = prepare(setup, &lights);
    if (r < 0) {
        return r;
    }
    r = prepare_loop(&lights);
    if (r < 0) {
        log_error("cannot begin: %s", strerror(-r));
        clear(&lights);
        return r;
    }

    server_begin(&lights.server, lights.run_dir);
    power_latch_begin(&lights.latch, lights.run_dir, lights.boot_id);
    look(&lights);
    loop_notify_ready();
    r = loop_run(lights.loop);

    loop_notify_stopping();
    // Pixels keep their last colours: leave none that would go on telling what is no longer looked at.
    say_farewell(&lights);
    write_status(&lights, "stopped");
    log_info("ended by signal %d (%s)", r, strsignal(r));
    clear(&lights);
    return MIN(r, 0);
}

void lights_farewell(const struct lights_setup *setup)
{
    struct lights lights;
    enum light farewell[BLINKT_PIXELS];
    struct frame frame;
    int r;

    if (prepare(setup, &lights) < 0) {
        return;
    }
    look_at_settings(&lights);
    indicator_farewell(farewell);
    indicator_frame(farewell, 0, lights.settings.brightness, false, &frame);
    record_frame(&lights.record, &frame, farewell, clock_boot_ms());
    r = setup->blinkt ? lamp_leave(&frame) : 0;
    if (r < 0) {
        log_warning("no farewell on a Blinkt: %s", lamp_explain(r));
    }
    clear(&lights);
}
