/* SPDX-License-Identifier: MIT */

/*
 * meterstick demo: simulated meters, and the real logger, stick and lights on them, in one terminal.
 */

#include "app/base/clock.h"
#include "app/base/exit.h"
#include "app/base/file.h"
#include "app/base/log.h"
#include "app/base/options.h"
#include "app/cli/demo_screen.h"
#include "app/cli/verbs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#define TICK_MS         100
#define PLAIN_EVERY_MS  5000
#define PLAIN_DEFAULT_S 30

struct demo_options {
    struct options common;
    const char *directory;
    uint64_t seconds;
};

static const struct option_spec specs[] = {
    { "dir", NULL, OPTION_TEXT, offsetof(struct demo_options, directory), "DIR",
      "keep everything there (default: a new directory under $TMPDIR)", 0, 0 },
    { "seconds", NULL, OPTION_UNSIGNED, offsetof(struct demo_options, seconds), "N",
      "run so long, in plain lines; exit 0 only if every meter's rows reached the CSV", 5, 86400 },
};

static const struct verb_usage usage = {
    .verb = "demo",
    .synopsis = "[--seconds N] [--dir DIR]",
    .summary = "Simulated meters, and the real logger, stick and lights on them, in one terminal.",
    .specs = specs,
    .spec_count = ARRAY_SIZE(specs),
};

struct demo {
    struct demo_plant plant;
    struct demo_view view;
    struct demo_screen screen;
    bool plain;
    bool child_ended;          // before we asked it to
    unsigned shown;            // meter whose CSV is shown
    uint64_t start_ms;
    uint64_t plain_ms;         // when the next plain line is due
    char news[160];
    struct text picture;       // the one on the screen
};

static void tell(struct demo *demo, const char *format, const char *what)
{
    (void) snprintf(demo->news, sizeof(demo->news), format, what);
    if (demo->plain) {
        (void) printf("%s\n", demo->news);
        (void) fflush(stdout);
    }
}

/* Returns false for the key that ends it. */
static bool take_key(struct demo *demo, char key)
{
    const char *victim = demo_meters[DEMO_VICTIM].name;

    switch (key) {
    case 'k':
        demo_plant_toggle_meter(&demo->plant);
        tell(demo, demo->plant.victim_dead ? "%s no longer answers; the other meters do not wait for it"
                                           : "%s answers again; it is found within seconds", victim);
        break;
    case 's':
        demo_plant_toggle_stick(&demo->plant);
        tell(demo, "%s", demo->plant.stick_out ? "the stick is pulled; nothing is lost"
                                               : "the stick is back and catches up from where it left");
        break;
    case 'm':
        demo->shown = (demo->shown + 1) % DEMO_METERS;
        break;
    case 'q':
        return false;
    default:
        break;
    }
    return true;
}

static void draw(struct demo *demo, uint64_t elapsed_ms)
{
    auto_text struct text picture = {};

    demo_screen_add(&picture, &demo->view, &demo->plant, elapsed_ms, demo->shown, demo->news);
    if (picture.failed || text_equal(text_string(&picture), text_string(&demo->picture))) {
        return;
    }
    if (file_write_all(STDOUT_FILENO, picture.data, picture.size) == 0) {
        text_clear(&demo->picture);
        demo->picture = picture;
        picture = (struct text){};
    }
}

static void look(struct demo *demo)
{
    uint64_t elapsed_ms = clock_monotonic_ms() - demo->start_ms;
    const char *ended = demo_plant_reap(&demo->plant);

    if (ended) {
        demo->child_ended = true;
        tell(demo, "%s has ended by itself: see its file in logs", ended);
    }
    demo_view_update(&demo->view, &demo->plant);
    if (!demo->plain) {
        draw(demo, elapsed_ms);
    } else if (elapsed_ms >= demo->plain_ms) {
        auto_text struct text line = {};

        demo_screen_add_plain(&line, &demo->view, &demo->plant, elapsed_ms);
        (void) fputs(text_string(&line), stdout);
        (void) fflush(stdout);
        demo->plain_ms += PLAIN_EVERY_MS;
    }
}

static void run(struct demo *demo, int signals, uint64_t seconds)
{
    struct pollfd fds[] = { { .fd = signals, .events = POLLIN },
                            { .fd = demo->plain ? -1 : STDIN_FILENO, .events = POLLIN } };
    bool going = true;

    demo->start_ms = clock_monotonic_ms();
    demo->plain_ms = PLAIN_EVERY_MS;
    while (going) {
        char key;

        look(demo);
        if (poll(fds, ARRAY_SIZE(fds), TICK_MS) < 0 && errno != EINTR) {
            break;
        }
        if (fds[0].revents) {
            going = false;
        } else if (fds[1].revents) {
            going = read(STDIN_FILENO, &key, 1) == 1 && take_key(demo, key);
        }
        if (seconds > 0 && clock_monotonic_ms() - demo->start_ms >= seconds * 1000) {
            going = false;
        }
    }
}

/* What was reached, and where it is. Returns whether every meter has rows on the stick. */
static bool sum_up(const struct demo *demo)
{
    const char *directory = demo->plant.directory;
    bool complete = true;

    for (unsigned i = 0; i < DEMO_METERS; i++) {
        unsigned rows = demo_view_rows(&demo->plant, demo_meters[i].name);

        (void) printf("%-10s %5u rows\n", demo_meters[i].name, rows);
        complete = complete && rows > 0;
    }
    (void) printf("Everything is in %s:\n"
                  "  stick/kwhmeter/   the CSV files\n"
                  "  state/journal/    the journal, SQLite\n"
                  "  meterstick.conf   the configuration\n"
                  "  frames.jsonl      every frame of the lights\n"
                  "  logs/             what each program said\n", directory);
    return complete;
}

static int open_signals(void)
{
    sigset_t set;

    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGINT);
    (void) sigaddset(&set, SIGTERM);
    (void) sigaddset(&set, SIGHUP);
    (void) sigprocmask(SIG_BLOCK, &set, NULL);
    (void) signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

int verb_demo(int argc, char **argv)
{
    struct demo_options options = {};
    struct demo demo = { .news = "starting" };
    auto_close int signals = -1;
    bool complete;
    int r;

    r = options_parse(&usage, argc, argv, &options);
    if (r != 0) {
        return r < 0 ? EXIT_USAGE : EXIT_OK;
    }
    demo.plain = options.seconds > 0 || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO);
    if (demo.plain && options.seconds == 0) {
        options.seconds = PLAIN_DEFAULT_S;
    }

    signals = open_signals();
    if (signals < 0 || demo_plant_start(options.directory, &demo.plant) < 0) {
        return EXIT_IO;
    }
    if (demo.plain) {
        (void) printf("%llu s of five simulated meters in %s\n", (unsigned long long) options.seconds,
                      demo.plant.directory);
        (void) fflush(stdout);
    } else if (demo_screen_open(&demo.screen) < 0) {
        demo_screen_close(&demo.screen);
        demo.plain = true;
    }
    tell(&demo, "%s", "started");
    run(&demo, signals, options.seconds);

    demo_screen_close(&demo.screen);
    (void) printf("stopping\n");
    (void) fflush(stdout);
    demo_plant_stop(&demo.plant);
    demo_view_clear(&demo.view);
    text_clear(&demo.picture);
    complete = sum_up(&demo);
    return complete && !demo.child_ended ? EXIT_OK : EXIT_SOMETHING_WRONG;
}
