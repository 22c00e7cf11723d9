/* SPDX-License-Identifier: MIT */
#include "app/cli/read.h"

#include "app/base/clock.h"
#include "app/base/exit.h"
#include "app/base/file.h"
#include "app/config/import_powermeter.h"
#include "app/config/sharing.h"
#include "app/formats/energy_scribe.h"

#include <errno.h>
#include <float.h>
#include <stdio.h>
#include <string.h>

static int complain(int exit_code, const struct problems *problems)
{
    (void) fprintf(stderr, "%s\n", problems_text(problems));
    return exit_code;
}

/* The configuration: --config, powermeter's own places for its format, or ours. */
static int load_config(const struct read_options *options, struct read_job *job)
{
    auto_problems struct problems problems = { 0 };
    const char *file = options->common.config;
    int r;

    for (unsigned i = 0; !file && options->format == READ_POWERMETER && import_powermeter_paths[i]; i++) {
        if (access(import_powermeter_paths[i], F_OK) == 0) {
            file = import_powermeter_paths[i];
        }
    }
    r = config_load(file, options->common.state_dir, &problems, &job->config);
    if (r == -ENOENT && problems.count == 0) {
        problems_add(&problems, "meterstick read", 0,
                     "there is no configuration (/etc/meterstick/meterstick.conf); write one, or name the meter: "
                     "--model MODEL --port PORT");
    } else if (r < 0 && problems.count == 0) {
        problems_add(&problems, file ? file : "the configuration", 0, "%s", strerror(-r));
    }
    if (r < 0) {
        return complain(EXIT_CONFIG, &problems);
    }
    if (job->config->appliance.timezone[0]) {
        (void) !clock_set_timezone(job->config->appliance.timezone);  // config_load() refused an unknown one
    }
    return EXIT_OK;
}

/* What to read of a meter: --points, or what the format shows. */
static int choose_points(const struct read_options *options, const struct model *model,
                         const struct meter_config *meter, struct selection *ret)
{
    auto_problems struct problems problems = { 0 };
    const char *list = options->points;
    int r;

    if (!list && options->format == READ_ENERGY_SCRIBE) {
        list = energy_scribe_points(model->id);
    } else if (!list && (options->format == READ_CSV || options->format == READ_POWERMETER)) {
        list = "log";
    }
    if (meter && list && text_equal(list, "log")) {
        *ret = meter->selection;
        return EXIT_OK;
    }

    r = selection_parse(model, list ? list : "all", "--points", 0, &problems, ret);
    return r < 0 ? complain(EXIT_USAGE, &problems) : EXIT_OK;
}

/* Whether the format can show such a meter. */
static int check_format(const struct read_options *options, const char *name, const char *model_id)
{
    if (options->format == READ_POWERMETER && !text_equal(model_id, "hdhk-hdxxaxxa16gk")) {
        (void) fprintf(stderr, "meterstick read: --format powermeter shows hdhk-hdxxaxxa16gk; '%s' is %s\n", name,
                       model_id);
        return EXIT_USAGE;
    }
    if (options->format == READ_ENERGY_SCRIBE && !energy_scribe_knows(model_id)) {
        (void) fprintf(stderr,
                       "meterstick read: --format energy-scribe shows currentcost-cc128, hiking-dds238-2-zn-s and -b, "
                       "schneider-iem2150 and schneider-pm5100; '%s' is %s\n",
                       name, model_id);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

/* Options that stand above what configuration and model say. */
static int apply_options(const struct read_options *options, struct read_meter *meter)
{
    if (options->timeout_ms) {
        meter->setup.timeout_ms = (unsigned) options->timeout_ms;
    }
    if (options->message_size) {
        meter->setup.max_registers = (unsigned) options->message_size;
    }
    if (!options->word_order && !options->byte_order) {
        return EXIT_OK;
    }
    if (!meter->model) {
        return EXIT_OK;  // a program's numbers have no order
    }

    // A copy: the configuration's models are shared
    meter->own = calloc(1, sizeof(*meter->own));
    if (!meter->own) {
        return EXIT_IO;
    }
    *meter->own = *meter->model;
    meter->own->points = calloc(meter->model->point_count, sizeof(*meter->own->points));
    if (!meter->own->points) {
        return EXIT_IO;
    }
    memcpy(meter->own->points, meter->model->points, meter->model->point_count * sizeof(*meter->own->points));
    if (model_reorder(meter->own, options->word_order, options->byte_order) < 0) {
        return EXIT_USAGE;  // read.c checked the words
    }
    meter->model = meter->own;
    meter->setup.model = meter->own;
    return EXIT_OK;
}

static int open_source(const struct read_options *options, struct read_meter *meter)
{
    int r;

    r = apply_options(options, meter);
    if (r != EXIT_OK) {
        return r;
    }
    r = source_open(&meter->setup, &meter->source);
    if (r == -EMSGSIZE) {
        (void) fprintf(stderr, "meterstick read: '%s': a point has more registers than one request may read%s\n",
                       meter->name, options->message_size ? "; give a larger --message-size" : "");
        return EXIT_USAGE;
    }
    if (r < 0) {
        (void) fprintf(stderr, "meterstick read: meter '%s': %s\n", meter->name, strerror(-r));
        return EXIT_IO;
    }
    return EXIT_OK;
}

/* A line, and the semaphore by which its port is shared. */
static int make_line(const struct config *config, int bus, const struct endpoint *port,
                     const struct serial_setting *serial, struct line **ret)
{
    struct sharing sharing;
    int r;

    sharing_decide(config, bus, port, &sharing);
    r = line_new(port, serial, ret);
    return r < 0 ? r : sharing_apply(&sharing, *ret);
}

static int make_configured(const struct read_options *options, struct read_job *job, unsigned index)
{
    const struct meter_config *configured = &job->config->meters[index];
    struct read_meter *meter = &job->meters[job->meter_count];
    struct line *line = NULL;
    int r;

    meter->name = configured->name;
    meter->configured = configured;
    meter->model = configured->model;
    meter->model_id = configured->model ? configured->model->id : "exec";
    r = check_format(options, meter->name, meter->model_id);
    if (r == EXIT_OK && meter->model) {
        r = choose_points(options, meter->model, configured, &meter->selection);
    }
    if (r != EXIT_OK) {
        return r;
    }

    if (configured->kind == SOURCE_MODBUS) {
        meter->group = configured->bus;
        if (!job->lines[configured->bus].line) {
            const struct bus_config *bus = &job->config->buses[configured->bus];
            const struct serial_setting *serial = bus->serial.baud ? &bus->serial : &configured->model->serial;

            r = make_line(job->config, (int) configured->bus, &bus->port, serial, &job->lines[configured->bus].line);
            if (r < 0) {
                return EXIT_IO;
            }
        }
        line = job->lines[configured->bus].line;
    } else {
        meter->group = job->group_count++;
    }
    job->meter_count++;
    config_source_setup(job->config, index, &meter->selection, line, &meter->setup);
    return open_source(options, meter);
}

static int make_from_config(const struct read_options *options, struct read_job *job)
{
    unsigned named = options->common.argument_count, count;
    int r;

    r = load_config(options, job);
    if (r != EXIT_OK) {
        return r;
    }
    count = named ? named : job->config->meter_count;
    job->line_count = job->config->bus_count;
    job->group_count = job->line_count;
    job->lines = calloc(MAX(job->line_count, 1u), sizeof(*job->lines));
    job->meters = calloc(MAX(count, 1u), sizeof(*job->meters));
    if (!job->lines || !job->meters) {
        return EXIT_IO;
    }

    if (job->config->meter_count == 0) {
        (void) fprintf(stderr, "meterstick read: the configuration has no [meter ...]\n");
        return EXIT_CONFIG;
    }
    for (unsigned i = 0; i < count; i++) {
        int index = (int) i;

        if (named) {
            const char *nearest = NULL;
            char hint[TEXT_HINT_SIZE];

            index = config_meter(job->config, options->common.arguments[i], &nearest);
            if (index < 0) {
                (void) fprintf(stderr, "meterstick read: there is no meter '%s' in the configuration%s\n",
                               options->common.arguments[i], text_hint(nearest, hint));
                return EXIT_USAGE;
            }
        }
        r = make_configured(options, job, (unsigned) index);
        if (r != EXIT_OK) {
            return r;
        }
    }
    return EXIT_OK;
}

/* "--host H --port N" of another program, or our P. */
static int take_port(const struct read_options *options, struct endpoint *ret)
{
    char text[ENDPOINT_TEXT_SIZE];
    const char *port = options->port ? options->port : options->host ? "502" : "auto";
    const char *problem;

    if (options->host) {
        bool v6 = strchr(options->host, ':') && options->host[0] != '[';

        (void) snprintf(text, sizeof(text), "tcp:%s%.255s%s:%.8s", v6 ? "[" : "", options->host, v6 ? "]" : "", port);
        port = text;
    }
    if (endpoint_parse(port, ret, &problem) < 0) {
        (void) fprintf(stderr, "meterstick read: --port %s: %s\n", port, problem);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

static int load_model(const struct read_options *options, struct read_job *job)
{
    auto_problems struct problems problems = { 0 };
    int r;

    if (options->registers) {
        r = read_registers_model(options->registers, (unsigned) options->first_number, &problems, &job->model);
        return r < 0 ? complain(EXIT_USAGE, &problems) : EXIT_OK;
    }
    r = model_find(options->model, &problems, &job->model);
    if (r == 0) {
        return EXIT_OK;
    }
    if (problems.count == 0) {
        problems_add(&problems, options->model, 0, "%s", strerror(-r));
    }
    return complain(r == -ENOENT ? EXIT_USAGE : EXIT_CONFIG, &problems);
}

static int take_serial(const struct read_options *options, const struct model *model, const struct endpoint *port,
                       struct serial_setting *ret)
{
    *ret = model->serial;
    if (options->serial && serial_setting_parse(options->serial, ret) < 0) {
        (void) fprintf(stderr,
                       "meterstick read: --serial \"%s\": a baud rate, data bits, parity and stop bits are expected, "
                       "for example \"9600 8N1\" or \"19200 8E1\"\n",
                       options->serial);
        return EXIT_USAGE;
    }
    if (ret->baud == 0) {
        *ret = (struct serial_setting){ 9600, 'N', 8, 1 };
        if (port->kind == ENDPOINT_AUTO && model->tcp) {
            (void) fprintf(stderr, "meterstick read: %s speaks Modbus TCP: --port tcp:HOST is expected\n", model->id);
            return EXIT_USAGE;
        }
    }
    if (options->baud) {
        ret->baud = (unsigned) options->baud;
    }
    return EXIT_OK;
}

/* Nobody knows what a lone register can be: no bounds. */
static struct bounds *no_bounds(const struct model *model)
{
    struct bounds *bounds = calloc(model->point_count, sizeof(*bounds));

    for (size_t i = 0; bounds && i < model->point_count; i++) {
        bounds[i].min = -DBL_MAX;
        bounds[i].max = DBL_MAX;
        memcpy(bounds[i].name, model->points[i].name, sizeof(bounds[i].name));
    }
    return bounds;
}

static int check_address(const struct read_options *options, const struct endpoint *port)
{
    bool tcp = port->kind == ENDPOINT_TCP;

    if (options->address != READ_ADDRESS_NONE && !tcp && (options->address < 1 || options->address > 247)) {
        (void) fprintf(stderr, "meterstick read: --address %llu: 1 to 247 on a serial line\n",
                       (unsigned long long) options->address);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

/*
 * A port of the command line is shared as acquire shares it, whose configuration is good.conf; where that cannot be
 * read, as programs do that know no configuration.
 */
static int make_line_of_port(const struct read_options *options, const struct endpoint *port,
                             const struct serial_setting *serial, struct line **ret)
{
    auto_problems struct problems problems = { 0 };
    auto_config struct config *config = NULL;
    auto_free char *text = NULL;
    char path[PATH_SIZE];
    int bus = SHARING_NO_BUS;
    size_t size;

    if (endpoint_is_serial(port) && file_path(path, sizeof(path), options->common.state_dir, "good.conf") == 0
        && file_read(path, MAX_FILE_SIZE, &text, &size) == 0
        && config_load_text(path, text, size, &problems, &config) == 0) {
        bus = sharing_find_bus(config, port);
    }
    return make_line(config, bus, port, serial, ret);
}

static int make_from_command_line(const struct read_options *options, struct read_job *job)
{
    struct read_meter *meter;
    struct endpoint port;
    int r;

    if (options->common.argument_count) {
        (void) fprintf(stderr, "meterstick read: '%s': meters by name are those of the configuration; --model, "
                               "--register and --host go without\n", options->common.arguments[0]);
        return EXIT_USAGE;
    }
    r = take_port(options, &port);
    if (r == EXIT_OK) {
        r = check_address(options, &port);
    }
    if (r == EXIT_OK) {
        r = load_model(options, job);
    }
    if (r != EXIT_OK) {
        return r;
    }

    job->lines = calloc(1, sizeof(*job->lines));
    job->meters = meter = calloc(1, sizeof(*job->meters));
    if (!job->lines || !meter) {
        return EXIT_IO;
    }
    job->line_count = job->group_count = job->meter_count = 1;
    meter->model = job->model;
    meter->name = meter->model_id = job->model->id;
    r = check_format(options, meter->name, meter->model_id);
    if (r == EXIT_OK) {
        r = choose_points(options, job->model, NULL, &meter->selection);
    }
    if (r == EXIT_OK) {
        r = take_serial(options, job->model, &port, &meter->setup.serial);
    }
    if (r != EXIT_OK) {
        return r;
    }

    meter->setup.kind = job->model->driver == MODEL_CURRENTCOST ? SOURCE_CURRENTCOST : SOURCE_MODBUS;
    meter->setup.meter = "read";
    meter->setup.model = job->model;
    meter->setup.selection = &meter->selection;
    meter->setup.unit = options->address == READ_ADDRESS_NONE ? 1 : (unsigned) options->address;
    meter->setup.port = port;
    if (options->registers) {
        meter->setup.bounds = job->bounds = no_bounds(job->model);
        meter->setup.bounds_count = job->bounds ? job->model->point_count : 0;
    }
    if (meter->setup.kind == SOURCE_MODBUS) {
        r = make_line_of_port(options, &port, &meter->setup.serial, &job->lines[0].line);
        if (r < 0) {
            return EXIT_IO;
        }
        meter->setup.line = job->lines[0].line;
    }
    return open_source(options, meter);
}

int read_job_make(struct read_options *options, struct read_job *ret)
{
    if (options->model || options->registers) {
        return make_from_command_line(options, ret);
    }
    return make_from_config(options, ret);
}

void read_job_clear(struct read_job *job)
{
    for (unsigned i = 0; i < job->meter_count; i++) {
        source_close(job->meters[i].source);
        if (job->meters[i].own) {
            free(job->meters[i].own->points);
            free(job->meters[i].own);
        }
    }
    for (unsigned i = 0; job->lines && i < job->line_count; i++) {
        line_close(job->lines[i].line);
    }
    free(job->lines);
    free(job->meters);
    free(job->bounds);
    model_free(job->model);
    config_free(job->config);
    text_clear(&job->scratch);
}
