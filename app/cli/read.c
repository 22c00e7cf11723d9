/* SPDX-License-Identifier: MIT */
#include "app/cli/read.h"

#include "app/base/clock.h"
#include "app/base/exit.h"
#include "app/base/file.h"
#include "app/base/log.h"
#include "app/cli/verbs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define LISTEN_MS 30000  // a Current Cost display's sensors have all spoken twice by then

#define MEMBER(name) offsetof(struct read_options, name)

static const struct option_spec specs[] = {
    { "model", NULL, OPTION_TEXT, MEMBER(model), "MODEL|FILE", "a meter without configuration: its model", 0, 0 },
    { "port", NULL, OPTION_TEXT, MEMBER(port), "PORT",
      "/dev/ttyUSB0, auto, tcp:HOST[:PORT], rtu-tcp:HOST[:PORT]", 0, 0 },
    { "host", NULL, OPTION_TEXT, MEMBER(host), "HOST", "Modbus TCP; --port is then the port's number (502)", 0, 0 },
    { "address", "device_address", OPTION_UNSIGNED, MEMBER(address), "N", "Modbus address, unit id (1)", 0, 255 },
    { "serial", NULL, OPTION_TEXT, MEMBER(serial), "SETTING", "\"9600 8N1\" (the model's)", 0, 0 },
    { "baudrate", NULL, OPTION_UNSIGNED, MEMBER(baud), "N", "only the speed", 300, 230400 },
    { "register", NULL, OPTION_TEXT, MEMBER(registers), "REGISTER",
      "\"holding 3028 f32.abcd 1 V\": registers of an unknown meter, with commas", 0, 0 },
    { "first-number", NULL, OPTION_UNSIGNED, MEMBER(first_number), "0|1",
      "what --register calls the first register (1)", 0, 1 },
    { "points", NULL, OPTION_TEXT, MEMBER(points), "LIST",
      "log, all, or names with commas: voltage*, power_active", 0, 0 },
    { "format", NULL, OPTION_TEXT, MEMBER(format_name), "FORMAT",
      "text (default), csv, json, powermeter, energy-scribe", 0, 0 },
    { "text", NULL, OPTION_FLAG, MEMBER(text), NULL, "--format text, or that shape of energy-scribe's", 0, 0 },
    { "csv", NULL, OPTION_FLAG, MEMBER(csv), NULL, "likewise", 0, 0 },
    { "json", NULL, OPTION_FLAG, MEMBER(json), NULL, "likewise", 0, 0 },
    { "header", NULL, OPTION_FLAG, MEMBER(header), NULL, "begin CSV with the names of its columns", 0, 0 },
    { "interval", NULL, OPTION_DURATION, MEMBER(interval_ms), "TIME", "again and again, until Ctrl-C or --count", 10,
      86400000 },
    { "count", "quantity", OPTION_UNSIGNED, MEMBER(count), "N", "so many times (5 s apart without --interval)", 1,
      1000000000 },
    { "timeout", NULL, OPTION_DURATION, MEMBER(timeout_ms), "TIME", "how late an answer may begin (the model's)", 10,
      60000 },
    { "message-size", "message_size", OPTION_UNSIGNED, MEMBER(message_size), "N",
      "most registers a request (the model's)", 1, 125 },
    { "word-order", "wordorder", OPTION_TEXT, MEMBER(word_order), "BIG|LITTLE", "instead of the model's", 0, 0 },
    { "byte-order", "byteorder", OPTION_TEXT, MEMBER(byte_order), "BIG|LITTLE", "inside a register, likewise", 0, 0 },
};

static const struct verb_usage usage = {
    .verb = "read",
    .synopsis = "[METER...] [--model MODEL --port PORT [--address N] [--serial SETTING]]",
    .summary = "Read meters of the configuration, or one named here, and print their values.",
    .specs = specs,
    .spec_count = ARRAY_SIZE(specs),
    .max_arguments = MAX_METERS,
};

static const char *const format_names[] = {
    [READ_TEXT] = "text",
    [READ_CSV] = "csv",
    [READ_JSON] = "json",
    [READ_POWERMETER] = "powermeter",
    [READ_ENERGY_SCRIBE] = "energy-scribe",
};

static int choose_format(struct read_options *options)
{
    int shapes = options->text + options->csv + options->json;
    const char *nearest;

    if (shapes > 1) {
        (void) fprintf(stderr, "meterstick read: only one of --text, --csv and --json\n");
        return EXIT_USAGE;
    }
    options->shape = options->json ? READ_JSON : options->csv ? READ_CSV : READ_TEXT;
    options->format = options->shape;
    if (!options->format_name) {
        return EXIT_OK;
    }

    for (size_t i = 0; i < ARRAY_SIZE(format_names); i++) {
        if (!text_equal(format_names[i], options->format_name)) {
            continue;
        }
        if (shapes && i != READ_ENERGY_SCRIBE && i != options->shape) {
            (void) fprintf(stderr, "meterstick read: --format %s and --%s contradict each other\n", format_names[i],
                           format_names[options->shape]);
            return EXIT_USAGE;
        }
        options->format = (enum read_format) i;
        return EXIT_OK;
    }
    nearest = text_nearest(options->format_name, format_names, ARRAY_SIZE(format_names));
    (void) fprintf(stderr,
                   "meterstick read: --format %s: text, csv, json, powermeter or energy-scribe is expected%s%s%s\n",
                   options->format_name, nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    return EXIT_USAGE;
}

static int check_order(const char *option, const char *order)
{
    if (!order || strcasecmp(order, "BIG") == 0 || strcasecmp(order, "LITTLE") == 0) {
        return EXIT_OK;
    }
    if (strcasecmp(order, "AUTO") == 0) {
        (void) fprintf(stderr,
                       "meterstick read: --%s AUTO: it would mean the order of this computer, which says nothing "
                       "about the meter's; BIG or LITTLE is expected\n",
                       option);
    } else {
        (void) fprintf(stderr, "meterstick read: --%s %s: BIG or LITTLE is expected\n", option, order);
    }
    return EXIT_USAGE;
}

/* What contradicts itself, or is missing its other half. */
static int check_options(struct read_options *options)
{
    bool direct = options->model || options->registers;

    if (options->model && options->registers) {
        (void) fprintf(stderr, "meterstick read: --model and --register: one of them\n");
        return EXIT_USAGE;
    }
    if (direct && options->common.config) {
        (void) fprintf(stderr, "meterstick read: --config and --model: the meter is either in the configuration or on "
                               "the command line\n");
        return EXIT_USAGE;
    }
    if (!direct && (options->port || options->host || options->serial || options->baud ||
                    options->address != READ_ADDRESS_NONE)) {
        (void) fprintf(stderr, "meterstick read: --port, --host, --address, --serial and --baudrate belong to a meter "
                               "without configuration: --model or --register is missing\n");
        return EXIT_USAGE;
    }
    if (check_order("word-order", options->word_order) || check_order("byte-order", options->byte_order)) {
        return EXIT_USAGE;
    }

    options->has_interval = options->interval_ms || options->count > 1;
    if (options->has_interval && !options->interval_ms) {
        options->interval_ms = 5000;  // ES-31
    }
    return choose_format(options);
}

/* ---- one poll ---- */

/* powermeter's own words for what went wrong (PM-06), beside ours. */
static void say_powermeter(const struct read_job *job, const struct read_meter *meter, bool port_failed)
{
    const struct endpoint *endpoint =
        meter->configured ? &job->config->buses[meter->configured->bus].port : &meter->setup.port;
    char port[ENDPOINT_TEXT_SIZE];
    const char *id = text_starts(meter->name, "device-") ? meter->name + 7 : meter->name;

    if (port_failed) {
        (void) fprintf(stderr, "Device ID %s on port %s - connection failed!\n", id,
                       endpoint_text(endpoint, port));
    } else {
        (void) fprintf(stderr, "Device ID %s - Modbus read error!\n", id);
    }
}

static bool is_port_failure(const struct read_job *job, const struct read_meter *meter)
{
    if (meter->setup.kind == SOURCE_MODBUS) {
        return job->lines[meter->group].result < 0;
    }
    return meter->result < 0 && meter->result != -ETIMEDOUT && meter->result != -EBADMSG &&
           meter->result != -EOPNOTSUPP;
}

/* Say what changed since the poll before. */
static void report(const struct read_options *options, const struct read_job *job, struct read_meter *meter)
{
    bool port_failed = is_port_failure(job, meter);
    const char *problem = port_failed && meter->setup.kind == SOURCE_MODBUS
                              ? line_problem(job->lines[meter->group].line)
                              : source_problem(meter->source);

    if (meter->result >= 0) {
        if (meter->told) {
            (void) fprintf(stderr, "meterstick read: meter '%s' answers again\n", meter->name);
        }
        meter->told = false;
        return;
    }
    if (meter->told) {
        return;
    }
    meter->told = true;
    if (options->format == READ_POWERMETER) {
        say_powermeter(job, meter, port_failed);
    }
    (void) fprintf(stderr, "meterstick read: meter '%s'%s: %s\n", meter->name, port_failed ? "" : " did not answer",
                   problem && *problem ? problem : strerror(-meter->result));
}

static int exit_code(const struct read_job *job)
{
    unsigned failed = 0, port_failed = 0;

    for (unsigned i = 0; i < job->meter_count; i++) {
        failed += job->meters[i].result < 0;
        port_failed += job->meters[i].result < 0 && is_port_failure(job, &job->meters[i]);
    }
    return failed == 0 ? EXIT_OK : port_failed == job->meter_count ? EXIT_PORT_ABSENT : EXIT_IO;
}

/* Read, print and tell. Output is one write, so that a pipe's reader gets whole lines. */
static int poll_and_print(const struct read_options *options, struct read_job *job)
{
    uint64_t listen_ms = options->interval_ms ? MIN(options->interval_ms, (uint64_t) LISTEN_MS) : LISTEN_MS;
    bool trusted = job->config && job->config->appliance.clock_trusted;
    int r;

    log_debug("Polling data...");
    read_poll(job, options->timeout_ms ? MAX(options->timeout_ms, listen_ms) : listen_ms);
    job->clock_letter = read_clock_letter(trusted);

    text_reset(&job->scratch);
    read_print(options, job);
    for (unsigned i = 0; i < job->meter_count; i++) {
        report(options, job, &job->meters[i]);
    }
    if (job->scratch.failed) {
        (void) fprintf(stderr, "meterstick read: %s\n", strerror(ENOMEM));
        return EXIT_IO;
    }
    (void) pthread_mutex_lock(&job->printing);
    r = job->scratch.size ? file_write_all(STDOUT_FILENO, job->scratch.data, job->scratch.size) : 0;
    (void) pthread_mutex_unlock(&job->printing);
    if (r < 0) {
        (void) fprintf(stderr, "meterstick read: output: %s\n", strerror(-r));
        return EXIT_IO;
    }
    return exit_code(job);
}

/* ---- again and again ---- */

struct loop {
    const struct read_options *options;
    struct read_job *job;
    pthread_t waiter;
    atomic_bool done;
    int code;
};

/* Polls stand at start + k x interval: no drift, and a late one skips. */
static void *loop_run(void *data)
{
    struct loop *loop = data;
    uint64_t interval_us = MAX(loop->options->interval_ms, UINT64_C(1)) * 1000;
    uint64_t next_us = clock_monotonic_us();

    for (uint64_t i = 0; loop->options->count == 0 || i < loop->options->count; i++) {
        int code;

        if (i > 0) {
            uint64_t now_us = clock_monotonic_us();

            next_us += ((now_us > next_us ? now_us - next_us : 0) / interval_us + 1) * interval_us;
            clock_sleep_until_us(next_us);
        }
        code = poll_and_print(loop->options, loop->job);
        loop->code = loop->code ? loop->code : code;
    }
    atomic_store(&loop->done, true);
    (void) pthread_kill(loop->waiter, SIGUSR1);  // wakes the waiter, which outlives us: cannot fail
    return NULL;
}

/*
 * Ctrl-C must not wait for a slow meter, so the polls have a thread of their own, and the end of the process closes
 * ports and connections (FX-07).
 */
static int read_repeatedly(const struct read_options *options, struct read_job *job)
{
    static const char stopped[] = "Polling stopped by user.\n";
    struct loop loop = { .options = options, .job = job, .waiter = pthread_self() };
    pthread_t thread;
    sigset_t signals;
    int signal_number, r;

    (void) sigemptyset(&signals);  // cannot fail, nor can the next five
    (void) sigaddset(&signals, SIGUSR1);
    (void) sigaddset(&signals, SIGINT);
    (void) sigaddset(&signals, SIGTERM);
    (void) pthread_sigmask(SIG_BLOCK, &signals, NULL);
    r = pthread_create(&thread, NULL, loop_run, &loop);
    if (r > 0) {
        (void) fprintf(stderr, "meterstick read: %s\n", strerror(r));
        return EXIT_IO;
    }

    (void) sigwait(&signals, &signal_number);
    if (!atomic_load(&loop.done)) {
        (void) pthread_mutex_lock(&job->printing);  // no line is torn; never unlocked
        (void) !write(STDERR_FILENO, stopped, sizeof(stopped) - 1);  // then nobody is there to read it
        _exit(EXIT_OK);
    }
    (void) pthread_join(thread, NULL);
    return loop.code;
}

int verb_read(int argc, char **argv)
{
    struct read_options options = { .address = READ_ADDRESS_NONE, .first_number = 1 };
    struct read_job job = { .printing = PTHREAD_MUTEX_INITIALIZER };
    int r;

    r = options_parse(&usage, argc, argv, &options);
    if (r != 0) {
        return r < 0 ? EXIT_USAGE : EXIT_OK;
    }
    r = check_options(&options);
    if (r == EXIT_OK) {
        r = read_job_make(&options, &job);
    }
    if (r == EXIT_OK) {
        r = options.has_interval ? read_repeatedly(&options, &job) : poll_and_print(&options, &job);
    }
    read_job_clear(&job);
    return r;
}
