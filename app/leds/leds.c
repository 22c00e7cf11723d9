/* SPDX-License-Identifier: MIT */

/*
 * meterstick leds: reads what the other programs say of themselves and shows it as eight lights. It owns nothing,
 * asks nobody and waits for nobody: a program that falls silent turns its own light.
 */

#include "app/base/clock.h"
#include "app/base/exit.h"
#include "app/base/file.h"
#include "app/base/limits.h"
#include "app/base/log.h"
#include "app/base/options.h"
#include "app/base/status.h"
#include "app/leds/settings.h"
#include "app/leds/watch.h"
#include "leds/indicator.h"
#include "leds/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TICK_MS 100  // how late a light may turn

struct leds_options {
    struct options common;
    bool terminal;
    const char *record;
};

static const struct option_spec specs[] = {
    { "terminal", NULL, OPTION_FLAG, offsetof(struct leds_options, terminal), NULL,
      "draw the lights in this terminal", 0, 0 },
    { "record", NULL, OPTION_TEXT, offsetof(struct leds_options, record), "FILE",
      "append each frame to a file, a JSON line each", 0, 0 },
};

static const struct verb_usage usage = {
    .verb = "leds",
    .synopsis = "--terminal | --record FILE",
    .summary = "Show the state of the appliance as eight lights.",
    .specs = specs,
    .spec_count = ARRAY_SIZE(specs),
};

/* Everything that the loop keeps between two looks. */
struct leds {
    const struct leds_options *options;
    char boot_id[CLOCK_BOOT_ID_SIZE];
    char settings_path[PATH_SIZE];
    struct watch_seen settings_seen;
    struct settings settings;
    struct watch acquire, stick;
    enum terminal_mode mode;
    int record_fd;
    bool record_failed;
    bool drawn;                  // frame and lights hold what was last shown
    unsigned terminal_lines;     // to go up before drawing again
    struct frame frame;
    enum light lights[BLINKT_PIXELS];
    uint64_t status_ms;          // when the own status was last written
    bool status_failed;
};

/* The options of the command line win; a log file that cannot be opened is no reason to go dark. */
static void follow_log(const struct leds *leds)
{
    const struct options *options = &leds->options->common;
    const char *level = options->log_level ? options->log_level : leds->settings.log_level;
    const char *file = options->log_file ? options->log_file : leds->settings.log_file;
    int r;

    r = log_setup("leds", *level ? level : NULL, *file ? file : NULL);
    if (r < 0) {
        log_warning("log_file %s: %s; logging to where it was", file, strerror(-r));
    }
}

static void look_at_settings(struct leds *leds)
{
    auto_free char *text = NULL;
    size_t size;

    if (!watch_changed(leds->settings_path, &leds->settings_seen)) {
        return;
    }
    leds->settings = settings_default;
    if (file_read(leds->settings_path, MAX_FILE_SIZE, &text, &size) == 0) {
        settings_read(text, size, &leds->settings);
    }
    follow_log(leds);
}

static void get_words(const enum light lights[static BLINKT_PIXELS], const char *ret[static BLINKT_PIXELS])
{
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        ret[i] = indicator_meaning(lights[i])->word;
    }
}

static void record(struct leds *leds, uint64_t now_ms)
{
    auto_text struct text line = {};
    int r;

    text_addf(&line, "{\"boot_ms\":%llu,\"brightness\":%u,\"pixels\":[", (unsigned long long) now_ms,
              leds->frame.brightness);
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        const struct pixel *pixel = &leds->frame.pixels[i];

        text_addf(&line, "%s\"%02x%02x%02x\"", i ? "," : "", pixel->red, pixel->green, pixel->blue);
    }
    text_add(&line, "],\"words\":[");
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        text_add(&line, i ? "," : "");
        json_add_string(&line, indicator_meaning(leds->lights[i])->word);
    }
    text_add(&line, "]}\n");
    if (line.failed) {
        return;
    }

    r = file_write_all(leds->record_fd, line.data, line.size);
    if (r < 0 && !leds->record_failed) {
        log_warning("cannot write frames to %s: %s, trying again at the next one", leds->options->record,
                    strerror(-r));
    }
    leds->record_failed = r < 0;
}

/* The pixels, and a line for each of them. */
static void draw(struct leds *leds)
{
    auto_text struct text text = {};
    const char *words[BLINKT_PIXELS];

    get_words(leds->lights, words);
    if (leds->terminal_lines > 0) {
        text_addf(&text, "\x1b[%uA\x1b[J", leds->terminal_lines);
    }
    terminal_add_frame(&text, leds->mode, &leds->frame, words);
    text_add(&text, "\n");
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        const struct meaning *meaning = indicator_meaning(leds->lights[i]);

        text_addf(&text, "%u %-8s %-7s%s %s\n", i, indicator_pixel_name((enum indicator_pixel) i),
                  indicator_colour_name(meaning->colour), meaning->blinks ? " blinks " : "        ",
                  meaning->text);
    }
    if (leds->mode == TERMINAL_COLOUR) {
        leds->terminal_lines = 4 + 1 + BLINKT_PIXELS;
    } else {
        text_add(&text, "\n");
    }
    if (text.failed || file_write_all(STDOUT_FILENO, text.data, text.size) < 0) {
        leds->terminal_lines = 0;  // the next picture stands on its own; a closed terminal sends SIGHUP as well
    }
}

/* Show these lights, if that is a change. Without colours only a change of meaning is one, not a blink. */
static void show(struct leds *leds, const enum light lights[static BLINKT_PIXELS], uint64_t now_ms)
{
    struct frame frame;
    bool same_lights, same_frame;

    indicator_frame(lights, now_ms, leds->settings.brightness, leds->settings.code_colours, &frame);
    same_lights = leds->drawn && memcmp(leds->lights, lights, sizeof(leds->lights)) == 0;
    same_frame = leds->drawn && blinkt_equal(&leds->frame, &frame);
    memcpy(leds->lights, lights, sizeof(leds->lights));
    leds->frame = frame;
    leds->drawn = true;

    if (leds->record_fd >= 0 && (!same_frame || !same_lights)) {
        record(leds, now_ms);
    }
    if (leds->options->terminal && (!same_lights || (leds->mode == TERMINAL_COLOUR && !same_frame))) {
        draw(leds);
    }
}

static void write_status(struct leds *leds, const char *state)
{
    auto_text struct text text = {};
    int r;

    status_begin(&text, "leds", state, NULL);
    json_add_key(&text, "lights");
    text_add(&text, "[");
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        const struct meaning *meaning = indicator_meaning(leds->lights[i]);

        text_addf(&text, "%s{\"pixel\":\"%s\",\"colour\":\"%s\",\"blinks\":%s,\"text\":", i ? "," : "",
                  indicator_pixel_name((enum indicator_pixel) i), indicator_colour_name(meaning->colour),
                  meaning->blinks ? "true" : "false");
        json_add_string(&text, meaning->text);
        text_add(&text, "}");
    }
    text_add(&text, "]");
    r = status_end_and_replace(&text, leds->options->common.run_dir, "leds");
    if (r < 0 && !leds->status_failed) {
        log_warning("cannot write %s/leds.json: %s, trying again every 2 s", leds->options->common.run_dir,
                    strerror(-r));
    }
    leds->status_failed = r < 0;
}

/* One look at everything. */
static void look(struct leds *leds)
{
    const char *run_dir = leds->options->common.run_dir;
    uint64_t now_ms = clock_boot_ms();
    enum light lights[BLINKT_PIXELS];
    struct facts facts;
    bool changed;

    look_at_settings(leds);
    facts_gather(watch_look(&leds->acquire, run_dir, leds->boot_id, now_ms),
                 watch_look(&leds->stick, run_dir, leds->boot_id, now_ms), now_ms, leds->settings.commit_ms, &facts);
    indicator_choose(&facts, lights);
    changed = !leds->drawn || memcmp(leds->lights, lights, sizeof(lights)) != 0;
    show(leds, lights, now_ms);
    if (changed || now_ms >= leds->status_ms + STATUS_EVERY_MS) {
        write_status(leds, "running");
        leds->status_ms = now_ms;
    }
}

/* Sleep until the next tick of the boot clock, so that blinks are even. Returns a signal that asks us to end, or 0. */
static int wait_for_tick(const sigset_t *signals)
{
    uint64_t rest_ms = TICK_MS - clock_boot_ms() % TICK_MS;
    struct timespec timeout = { .tv_nsec = (long) rest_ms * 1000000 };
    int r;

    r = sigtimedwait(signals, NULL, &timeout);
    return r > 0 ? r : 0;
}

static void run(struct leds *leds, const sigset_t *signals)
{
    enum light lights[BLINKT_PIXELS];
    int signal;

    do {
        look(leds);
        signal = wait_for_tick(signals);
    } while (signal == 0);

    // Pixels keep their last colours: leave none that would go on telling what is no longer looked at.
    indicator_farewell(lights);
    show(leds, lights, clock_boot_ms());
    write_status(leds, "stopped");
    log_info("ended by signal %d (%s)", signal, strsignal(signal));
}

static int prepare(const struct leds_options *options, struct leds *ret)
{
    int r;

    *ret = (struct leds){
        .options = options,
        .settings = settings_default,
        .acquire.program = "acquire",
        .stick.program = "stick",
        .mode = terminal_mode_of(STDOUT_FILENO),
        .record_fd = -1,
    };
    clock_boot_id(ret->boot_id);
    r = file_path(ret->settings_path, sizeof(ret->settings_path), options->common.state_dir, "good.conf");
    if (r < 0) {
        log_error("the state directory's name is too long");
        return r;
    }
    if (options->record) {
        ret->record_fd = open(options->record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
        if (ret->record_fd < 0) {
            r = -errno;
            log_error("cannot open %s: %s", options->record, strerror(-r));
            return r;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct leds_options options = {};
    struct leds leds;
    sigset_t signals;
    int r;

    r = options_parse(&usage, argc - 1, argv + 1, &options);
    if (r != 0) {
        return r < 0 ? EXIT_USAGE : EXIT_OK;
    }
    if (!options.terminal && !options.record) {
        log_error("this version does not drive a Blinkt yet: use --terminal or --record FILE");
        return EXIT_USAGE;
    }
    r = prepare(&options, &leds);
    if (r < 0) {
        return EXIT_IO;
    }

    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGTERM);
    (void) sigaddset(&signals, SIGINT);
    (void) sigaddset(&signals, SIGHUP);
    (void) sigprocmask(SIG_BLOCK, &signals, NULL);
    (void) signal(SIGPIPE, SIG_IGN);
    run(&leds, &signals);

    watch_clear(&leds.acquire);
    watch_clear(&leds.stick);
    if (leds.record_fd >= 0) {
        (void) close(leds.record_fd);  // each frame was written as it was shown
    }
    return EXIT_OK;
}
