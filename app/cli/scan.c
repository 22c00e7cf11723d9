/* SPDX-License-Identifier: MIT */
/* meterstick scan: what is on these ports. It only reads. */
#include "app/base/clock.h"
#include "app/base/exit.h"
#include "app/base/file.h"
#include "app/base/options.h"
#include "app/cli/verbs.h"
#include "app/config/scanned.h"
#include "app/config/sharing.h"
#include "drivers/scan_line.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define PORTS_MAX    32
#define SETTINGS_MAX 32
#define TELL_US      250000  // how often the line with the progress changes

struct scan_options {
    struct options options;
    struct option_list serials;
    const char *addresses;
    uint64_t timeout_ms;
    bool quick;
};

#define AT(member) offsetof(struct scan_options, member)

static const struct option_spec specs[] = {
    { "addresses", NULL, OPTION_TEXT, AT(addresses), "FIRST-LAST", "only these (1-247)", 0, 0 },
    { "serial", NULL, OPTION_LIST, AT(serials), "\"9600 8N1\"", "only with this setting; may be repeated (all)", 0, 0 },
    { "timeout", NULL, OPTION_DURATION, AT(timeout_ms), "TIME", "how long nobody's answer is waited for (150 ms)", 10,
      5000 },
    { "quick", NULL, OPTION_FLAG, AT(quick), NULL, "only the settings that models have by default", 0, 0 },
};

static const struct verb_usage usage = {
    .verb = "scan",
    .synopsis = "[PORT...] [--quick] [--addresses FIRST-LAST] [--serial \"9600 8N1\"]",
    .summary = "Find the meters on the ports (all serial adapters), and print a configuration for them.",
    .specs = specs,
    .spec_count = ARRAY_SIZE(specs),
    .max_arguments = PORTS_MAX,
};

struct scan_job {
    const struct scan_options *options;
    struct model *models[128];
    unsigned model_count;
    struct endpoint ports[PORTS_MAX];
    unsigned port_count;
    struct config *config;              // good.conf, for the locks; NULL: there is none
    struct serial_setting settings[SETTINGS_MAX];
    unsigned setting_count;
    unsigned first, last;
    bool terminal;
    bool stopped;
    struct text found;
};

/* --- what to look for, and where --- */

static int load_models(struct scan_job *job)
{
    job->model_count = scanned_load_models(job->models, ARRAY_SIZE(job->models));
    if (job->model_count == 0) {
        (void) fprintf(stderr, "meterstick scan: there are no models\n");
        return EXIT_IO;
    }
    return EXIT_OK;
}

static int take_ports(struct scan_job *job)
{
    const struct options *options = &job->options->options;
    auto_free struct serial_adapter *adapters = NULL;
    const char *problem = "";
    int count;

    for (unsigned i = 0; i < options->argument_count; i++) {
        if (endpoint_parse(options->arguments[i], &job->ports[job->port_count++], &problem) < 0) {
            (void) fprintf(stderr, "meterstick scan: port %s: %s\n", options->arguments[i], problem);
            return EXIT_USAGE;
        }
    }
    if (job->port_count > 0) {
        return EXIT_OK;
    }
    count = serial_list("", &adapters);
    for (int i = 0; i < count && job->port_count < PORTS_MAX; i++) {
        if (adapters[i].usb && endpoint_parse(adapters[i].path, &job->ports[job->port_count], &problem) == 0) {
            job->port_count++;
        }
    }
    if (job->port_count == 0) {
        (void) fprintf(stderr, "meterstick scan: no USB adapter is plugged in; name the port of a board's own UART\n");
        return EXIT_PORT_ABSENT;
    }
    return EXIT_OK;
}

static int take_limits(struct scan_job *job)
{
    const struct scan_options *options = job->options;
    char end;

    if (options->addresses
        && (sscanf(options->addresses, "%3u-%3u%c", &job->first, &job->last, &end) != 2 || job->first < 1
            || job->first > job->last || job->last > 247)) {
        (void) fprintf(stderr, "meterstick scan: --addresses %s: such as 1-32; 1 to 247 are allowed\n",
                       options->addresses);
        return EXIT_USAGE;
    }
    for (unsigned i = 0; i < options->serials.count; i++) {
        if (serial_setting_parse(options->serials.items[i], &job->settings[job->setting_count++]) < 0) {
            (void) fprintf(stderr, "meterstick scan: --serial %s: such as '9600 8N1'\n", options->serials.items[i]);
            return EXIT_USAGE;
        }
    }
    return EXIT_OK;
}

/* acquire's configuration says how a port is shared; where it cannot be read, as programs do that know none. */
static void load_sharing(struct scan_job *job)
{
    auto_problems struct problems problems = { 0 };
    auto_free char *text = NULL;
    char path[PATH_SIZE];
    size_t size;

    if (file_path(path, sizeof(path), job->options->options.state_dir, "good.conf") == 0
        && file_read(path, MAX_FILE_SIZE, &text, &size) == 0
        && config_load_text(path, text, size, &problems, &job->config) < 0) {
        job->config = NULL;
    }
}

/* --- scanning --- */

static void tell_found(const struct scan_job *job, const struct scan *scan, unsigned index)
{
    auto_text struct text line = { 0 };

    scanned_describe(&line, scan_found_at(scan, index));
    (void) fprintf(stderr, "%s%s\n", job->terminal ? "\r\033[K" : "", text_string(&line));
}

static void tell_progress(const struct scan_job *job, const struct scan *scan, const char *port)
{
    char text[SCAN_TEXT_SIZE];

    if (job->terminal) {
        (void) fprintf(stderr, "\r\033[K%s: %s", port, scan_progress_text(scan, text));
        (void) fflush(stderr);
    }
}

/* Ctrl-C ends the scan, and what was found until then is printed. */
static bool is_stopped(void)
{
    sigset_t signals;

    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGINT);
    (void) sigaddset(&signals, SIGTERM);
    return sigtimedwait(&signals, NULL, &(struct timespec){ 0 }) > 0;
}

static int scan_line(struct scan_job *job, struct scan *scan, struct line *line, const char *port)
{
    uint64_t tell_us = 0, again_us = 0;
    unsigned told = 0;
    int r = 1;

    while ((r > 0 || again_us != UINT64_MAX) && !job->stopped) {
        if (clock_monotonic_us() >= tell_us) {
            tell_progress(job, scan, port);
            tell_us = clock_monotonic_us() + TELL_US;
        }
        r = scan_line_step(scan, line, 0, &again_us);
        if (r < 0) {
            (void) fprintf(stderr, "%smeterstick scan: %s\n", job->terminal ? "\r\033[K" : "",
                           *line_problem(line) ? line_problem(line) : strerror(-r));
            return r;
        }
        if (r == 0 && again_us != UINT64_MAX) {
            clock_sleep_until_us(again_us);
        }
        while (told < scan_found_count(scan)) {
            tell_found(job, scan, told++);
        }
        job->stopped = is_stopped();
    }
    return 0;
}

static int scan_port(struct scan_job *job, unsigned index)
{
    const struct endpoint *port = &job->ports[index];
    const struct scan_setup setup = { .models = (const struct model *const *) job->models,
                                      .model_count = job->model_count,
                                      .tcp = port->kind == ENDPOINT_TCP,
                                      .first = job->first,
                                      .last = job->last,
                                      .settings = job->settings,
                                      .setting_count = job->setting_count,
                                      .only_listed = job->options->quick,
                                      .short_us = (uint32_t) job->options->timeout_ms * 1000 };
    char name[ENDPOINT_TEXT_SIZE], bus[METER_ID_SIZE];
    auto_scan struct scan *scan = NULL;
    auto_line struct line *line = NULL;
    struct sharing sharing;
    int r;

    (void) endpoint_text(port, name);
    sharing_decide(job->config, job->config ? sharing_find_bus(job->config, port) : SHARING_NO_BUS, port, &sharing);
    r = scan_new(&setup, &scan);
    r = r < 0 ? r : line_new(port, &(struct serial_setting){ 9600, 'N', 8, 1 }, &line);
    r = r < 0 ? r : sharing_apply(&sharing, line);
    if (r < 0) {
        (void) fprintf(stderr, "meterstick scan: %s\n", strerror(-r));
        return r;
    }
    r = scan_line(job, scan, line, name);
    if (job->terminal) {
        (void) fprintf(stderr, "\r\033[K");
    }
    (void) snprintf(bus, sizeof(bus), index > 0 ? "rs485-%u" : "rs485", index + 1);
    return (int) scanned_add(&job->found, scan, bus, name) > 0 ? 1 : r;
}

static int scan_ports(struct scan_job *job)
{
    bool found = false, opened = false;

    for (unsigned i = 0; i < job->port_count && !job->stopped; i++) {
        int r = scan_port(job, i);

        found |= r > 0;
        opened |= r >= 0;
    }
    if (job->found.size > 0) {
        (void) printf("# Found by meterstick scan. Names, labels and intervals are yours to choose.\n%s",
                      text_string(&job->found));
    }
    if (!found) {
        (void) fprintf(stderr, "meterstick scan: no meter was found\n");
    }
    return found ? EXIT_OK : opened ? EXIT_SOMETHING_WRONG : EXIT_PORT_ABSENT;
}

static void clear(struct scan_job *job)
{
    for (unsigned i = 0; i < job->model_count; i++) {
        model_free(job->models[i]);
    }
    config_free(job->config);
    text_clear(&job->found);
    free(job);
}

static void block_signals(void)
{
    sigset_t signals;

    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGINT);
    (void) sigaddset(&signals, SIGTERM);
    (void) sigprocmask(SIG_BLOCK, &signals, NULL);
}

int verb_scan(int argc, char **argv)
{
    struct scan_options options = { .options = { .state_dir = "/var/lib/meterstick" } };
    struct scan_job *job;
    int r;

    r = options_parse(&usage, argc, argv, &options);
    if (r != 0) {
        return r < 0 ? EXIT_USAGE : EXIT_OK;
    }
    job = calloc(1, sizeof(*job));
    if (!job) {
        return EXIT_IO;
    }
    job->options = &options;
    job->terminal = isatty(STDERR_FILENO);
    r = load_models(job);
    r = r == EXIT_OK ? take_ports(job) : r;
    r = r == EXIT_OK ? take_limits(job) : r;
    if (r == EXIT_OK) {
        load_sharing(job);
        block_signals();
        r = scan_ports(job);
    }
    clear(job);
    return r;
}
