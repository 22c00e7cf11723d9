/* SPDX-License-Identifier: MIT */
/*
 * meterstick simulate: meters that are not there, for trying things, for tests and for the bench. One thread, one
 * loop; commands come on standard input where that is a pipe, and the end of the pipe is the end of the meters.
 */
#include "app/cli/simulate.h"

#include "app/base/clock.h"
#include "app/base/exit.h"
#include "app/base/options.h"
#include "app/base/problems.h"
#include "app/cli/verbs.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

/*
 * So long before a time that must be met we stop sleeping and look at the clock instead, and so long we look for the
 * next request that way, once it may come.
 */
#define EARLY_US 150
#define ALERT_US 1000

struct simulate_options {
    struct options options;
    struct option_list models;
    const char *pty, *tcp, *rtu_tcp;
    uint64_t address;
    uint64_t seed;
    const char *serial;
    uint64_t turnaround_ms;
    uint64_t period_ms;
    const char *fault;
    bool wire, collide;
};

#define AT(member) offsetof(struct simulate_options, member)

static const struct option_spec specs[] = {
    { "model", NULL, OPTION_LIST, AT(models), "M[:ADDRESS[-LAST]][@SERIAL]",
      "a meter on this line; may be repeated; SERIAL: hears only \"19200 8E1\"", 0, 0 },
    { "collide", NULL, OPTION_FLAG, AT(collide), NULL, "meters may share an address: their answers meet", 0, 0 },
    { "pty", NULL, OPTION_TEXT, AT(pty), "LINK", "a serial line: LINK leads to it", 0, 0 },
    { "tcp", NULL, OPTION_TEXT, AT(tcp), "ADDR:PORT", "Modbus TCP; port 0 takes a free one", 0, 0 },
    { "rtu-tcp", NULL, OPTION_TEXT, AT(rtu_tcp), "ADDR:PORT", "RTU frames over TCP", 0, 0 },
    { "address", NULL, OPTION_UNSIGNED, AT(address), "N", "of the meters that name none (1)", 0,
      255 },
    { "seed", NULL, OPTION_UNSIGNED, AT(seed), "N", "the same seed gives the same load (the time)",
      0, 0 },
    { "serial", NULL, OPTION_TEXT, AT(serial), "\"9600 8N1\"",
      "setting whose wire time is charged (the model's)", 0, 0 },
    { "turnaround", NULL, OPTION_DURATION, AT(turnaround_ms), "TIME",
      "from a request's end to the answer (0, with --wire 10 ms)", 0, 10000 },
    { "wire", NULL, OPTION_FLAG, AT(wire), NULL,
      "charge the time of the wire; counters as JSON at the end", 0, 0 },
    { "period", NULL, OPTION_DURATION, AT(period_ms), "TIME",
      "between two messages of a display's sensor (6 s)", 20, 600000 },
    { "fault", NULL, OPTION_TEXT, AT(fault), "LIST",
      "drop=1%,crc=50%,late=700ms,echo,noise,cut,exception=2@0x56...", 0, 0 },
};

static const struct verb_usage usage = {
    .verb = "simulate",
    .synopsis = "--model M (--pty LINK | --tcp ADDR:PORT | --rtu-tcp ADDR:PORT) [...]",
    .summary = "Answer as real meters would, with values that move like a real load.",
    .specs = specs,
    .spec_count = ARRAY_SIZE(specs),
};

double simulation_elapsed_s(const struct simulation *simulation)
{
    return (double) (clock_monotonic_us() - simulation->start_us) / 1e6;
}

struct simulated_meter *simulation_meter(struct simulation *simulation, unsigned address)
{
    for (unsigned i = 0; i < simulation->meter_count; i++) {
        if (simulation->meters[i].address == address) {
            return &simulation->meters[i];
        }
    }
    return NULL;
}

/* --- what is simulated --- */

static int say(const char *what, const char *value)
{
    (void) fprintf(stderr, "meterstick simulate: %s%s%s\n", what, *value ? ": " : "", value);
    return -EINVAL;
}

static int load_model(struct simulation *simulation, const char *id, struct model **ret)
{
    auto_problems struct problems problems = { 0 };
    int r;

    for (unsigned i = 0; i < simulation->model_count; i++) {
        if (strcmp(simulation->models[i]->id, id) == 0) {
            *ret = simulation->models[i];
            return 0;
        }
    }
    r = model_find(id, &problems, ret);
    if (r < 0) {
        (void) fprintf(stderr, "%s", problems_text(&problems));
        return say(strerror(-r), id);
    }
    simulation->models[simulation->model_count++] = *ret;  // as many as --model may be repeated
    return 0;
}

/* The setting of "M:3@19200 8E1", cut off. */
static int take_serial(char *text, struct serial_setting *ret)
{
    char *at = strchr(text, '@');

    if (!at) {
        return 0;
    }
    *at = '\0';
    return serial_setting_parse(at + 1, ret) < 0 ? say("a setting such as 9600 8N1 is expected", at + 1) : 0;
}

/* "M", "M:3" or "M:1-20", each with "@19200 8E1". */
static int add_meters(struct simulation *simulation, const char *text,
                      const struct simulate_options *options)
{
    auto_free char *copy = strdup(text);
    uint64_t first = options->address, last = first;
    struct serial_setting serial = { 0 };
    struct model *model;
    char *colon, *dash;
    int r;

    if (!copy) {
        return -ENOMEM;
    }
    r = take_serial(copy, &serial);
    if (r < 0) {
        return r;
    }
    colon = strrchr(copy, ':');
    if (colon) {
        *colon++ = '\0';
        dash = strchr(colon, '-');
        if (dash) {
            *dash++ = '\0';
        }
        if (text_to_unsigned(colon, 0, 255, &first) < 0
            || text_to_unsigned(dash ? dash : colon, first, 255, &last) < 0) {
            return say("M, M:ADDRESS or M:FIRST-LAST is expected, addresses 0 to 255", text);
        }
    }
    r = load_model(simulation, copy, &model);
    if (r < 0) {
        return r;
    }
    for (uint64_t address = first; address <= last; address++) {
        if ((simulation_meter(simulation, (unsigned) address) && !options->collide)
            || simulation->meter_count == SIMULATE_METERS) {
            return say("two meters on one address", text);
        }
        r = simulated_meter_init(&simulation->meters[simulation->meter_count], model,
                                 (unsigned) address, options->seed);
        if (r < 0) {
            return r;
        }
        simulation->meters[simulation->meter_count].serial = serial;
        simulation->meter_count++;
    }
    return 0;
}

static int set_up_wire(struct simulation *simulation, const struct simulate_options *options)
{
    struct serial_setting serial = simulation->meters[0].model->serial;

    simulation->pattern = (struct wire){
        .rtu = !options->tcp,
        .turnaround_us = options->turnaround_ms == UINT64_MAX
                             ? (options->wire ? 10000.0 : 0.0)
                             : (double) options->turnaround_ms * 1000,
    };
    simulation->wire = options->wire;
    if (options->serial && serial_setting_parse(options->serial, &serial) < 0) {
        return say("--serial", options->serial);
    }
    if (!options->wire || options->tcp) {
        return 0;
    }
    if (serial.baud == 0) {
        return say("--wire needs --serial for this model", "");
    }
    simulation->pattern.character_us = serial_character_us(&serial);
    simulation->pattern.silence_us = serial_silence_us(&serial);
    return 0;
}

static int set_up(struct simulation *simulation, const struct simulate_options *options)
{
    const char *problem = "";
    int r;

    if (options->models.count == 0) {
        return say("--model is missing", "");
    }
    if (!options->pty + !options->tcp + !options->rtu_tcp != 2) {
        return say("one of --pty, --tcp and --rtu-tcp is expected", "");
    }
    for (unsigned i = 0; i < options->models.count; i++) {
        r = add_meters(simulation, options->models.items[i], options);
        if (r < 0) {
            return r;
        }
    }
    for (unsigned i = 0; i < simulation->meter_count; i++) {
        simulation->is_display |= simulation->meters[i].model->driver == MODEL_CURRENTCOST;
    }
    if (simulation->is_display && simulation->meter_count > 1) {
        return say("a display has a line of its own", "");
    }
    r = set_up_wire(simulation, options);
    if (r < 0) {
        return r;
    }
    simulation->faults.dice = options->seed * 2 + 1;
    r = options->fault ? faults_parse(options->fault, &simulation->faults, simulation->meters,
                                      simulation->meter_count, &problem)
                       : 0;
    if (r < 0) {
        return say("--fault", problem);
    }

    simulation->start_us = clock_monotonic_us();
    simulation->display_next_us = simulation->is_display ? simulation->start_us : UINT64_MAX;
    simulation->display_period_us = options->period_ms * 1000;
    return options->pty
               ? simulate_open_pty(simulation, options->pty)
               : simulate_listen(simulation, options->tcp ? options->tcp : options->rtu_tcp);
}

/* --- the loop --- */

/* Two talk at once: on the wire 0 wins. */
static void meet(struct answer *answer, const struct answer *other)
{
    for (size_t i = 0; i < other->size; i++) {
        answer->bytes[i] = i < answer->size ? answer->bytes[i] & other->bytes[i] : other->bytes[i];
    }
    answer->size = MAX(answer->size, other->size);
}

static void answer_request(struct simulation *simulation, struct simulate_end *end,
                           const struct modbus_request *request)
{
    struct answer answer = { 0 }, other = { 0 };

    for (unsigned i = 0; i < simulation->meter_count; i++) {
        struct simulated_meter *meter = &simulation->meters[i];
        uint16_t words[MODBUS_MAX_REGISTERS] = { 0 };
        unsigned exception;

        if (meter->address != request->unit || meter->dead || !simulate_hears(simulation, meter)) {
            continue;
        }
        exception = simulated_meter_answer(meter, request, simulation_elapsed_s(simulation), words);
        faults_answer(&simulation->faults, end->wire.rtu ? MODBUS_RTU : MODBUS_TCP, request, exception, words,
                      answer.size > 0 ? &other : &answer);
        meet(&answer, &other);
    }
    wire_answer(&end->wire, &answer);
}

/* Send what is due, and take up the next request as soon as the line is free. */
static void serve(struct simulation *simulation, struct simulate_end *end)
{
    for (;;) {
        struct modbus_request request;
        const uint8_t *bytes;
        size_t size = wire_due(&end->wire, clock_monotonic_us(), &bytes);

        if (size > 0) {
            simulate_send(end, bytes, size);
        } else if (wire_request(&end->wire, &request)) {
            answer_request(simulation, end, &request);
        } else {
            return;
        }
    }
}

static void receive(struct simulation *simulation, struct simulate_end *end)
{
    uint8_t bytes[256];
    ssize_t size = read(end->fd, bytes, sizeof(bytes));

    if (size > 0) {
        if (!simulation->is_display) {
            wire_receive(&end->wire, bytes, (size_t) size, clock_monotonic_us());
        }
    } else if (simulation->listen_fd >= 0 && (size == 0 || errno != EAGAIN)) {
        simulate_hang_up(simulation, end);
    }
}

/*
 * How long to sleep. With wire time the clock is looked at instead of sleeping shortly before something is due, and
 * from the moment when the next request is allowed: a wake-up would be late by more than we want to measure.
 */
static uint64_t sleep_us(const struct simulation *simulation)
{
    uint64_t now_us = clock_monotonic_us();
    uint64_t until_us = simulation->display_next_us;

    for (size_t i = 0; i < SIMULATE_ENDS; i++) {
        const struct wire *wire = &simulation->ends[i].wire;
        uint64_t next_us = wire_next_us(wire);

        if (simulation->ends[i].fd < 0) {
            continue;
        }
        if (simulation->wire && wire->rtu && !wire->busy && wire->counters.answers > 0) {
            double allowed_us = wire->free_us + wire->silence_us;

            if ((double) now_us < allowed_us + ALERT_US) {
                next_us = (uint64_t) allowed_us;
            }
        }
        until_us = MIN(until_us, next_us);
    }
    if (until_us == UINT64_MAX) {
        return UINT64_MAX;
    }
    until_us -= simulation->wire ? EARLY_US : 0;
    return until_us > now_us ? until_us - now_us : 0;
}

static void read_commands(struct simulation *simulation, struct text *line)
{
    char bytes[512];
    ssize_t size = read(STDIN_FILENO, bytes, sizeof(bytes));

    if (size <= 0) {
        simulation->quit = true;  // whoever started us is gone
        return;
    }
    for (ssize_t i = 0; i < size; i++) {
        if (bytes[i] == '\n' && line->data) {
            simulate_command(simulation, line->data);
            text_reset(line);
        } else if (bytes[i] != '\n' && line->size < 1000) {
            text_add_char(line, bytes[i]);
        }
    }
}

static bool stdin_commands(void)
{
    struct stat status;

    return fstat(STDIN_FILENO, &status) == 0
           && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

static void run(struct simulation *simulation, int signal_fd)
{
    auto_text struct text line = { 0 };
    int commands_fd = stdin_commands() ? STDIN_FILENO : -1;

    while (!simulation->quit) {
        struct pollfd polls[SIMULATE_ENDS + 3];
        uint64_t us = sleep_us(simulation);
        struct timespec timeout = { .tv_sec = (time_t) (us / 1000000),
                                    .tv_nsec = (long) (us % 1000000 * 1000) };

        polls[0] = (struct pollfd){ .fd = signal_fd, .events = POLLIN };
        polls[1] = (struct pollfd){ .fd = commands_fd, .events = POLLIN };
        polls[2] = (struct pollfd){ .fd = simulation->listen_fd, .events = POLLIN };
        for (size_t i = 0; i < SIMULATE_ENDS; i++) {
            polls[i + 3] = (struct pollfd){ .fd = simulation->ends[i].fd, .events = POLLIN };
        }
        (void) ppoll(polls, ARRAY_SIZE(polls), us == UINT64_MAX ? NULL : &timeout, NULL);

        for (size_t i = 0; i < SIMULATE_ENDS; i++) {
            if (polls[i + 3].revents) {
                receive(simulation, &simulation->ends[i]);
            }
            if (simulation->ends[i].fd >= 0) {
                serve(simulation, &simulation->ends[i]);
            }
        }
        while (clock_monotonic_us() >= simulation->display_next_us) {
            simulate_display_talk(simulation);
        }
        if (polls[2].revents) {
            simulate_accept(simulation);
        }
        if (polls[1].revents) {
            read_commands(simulation, &line);
        }
        simulation->quit = simulation->quit || polls[0].revents;
    }
}

static int catch_signals(void)
{
    sigset_t signals;

    (void) signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0) {
        return -errno;
    }
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void clear(struct simulation *simulation)
{
    simulate_close(simulation);
    for (unsigned i = 0; i < simulation->meter_count; i++) {
        simulated_meter_clear(&simulation->meters[i]);
    }
    for (unsigned i = 0; i < simulation->model_count; i++) {
        model_free(simulation->models[i]);
    }
    free(simulation);
}

int verb_simulate(int argc, char **argv)
{
    struct simulate_options options = {
        .address = 1,
        .seed = (uint64_t) clock_wall_ms() % 1000000,
        .turnaround_ms = UINT64_MAX,
        .period_ms = 6000,
    };
    struct simulation *simulation;
    int signal_fd, r;

    r = options_parse(&usage, argc, argv, &options);
    if (r != 0) {
        return r > 0 ? EXIT_OK : EXIT_USAGE;
    }
    simulation = calloc(1, sizeof(*simulation));
    if (!simulation) {
        return EXIT_IO;
    }
    simulation->pty_slave_fd = simulation->listen_fd = -1;
    for (size_t i = 0; i < SIMULATE_ENDS; i++) {
        simulation->ends[i].fd = -1;
    }
    signal_fd = catch_signals();
    r = set_up(simulation, &options);
    if (r == 0 && signal_fd >= 0) {
        (void) prctl(PR_SET_TIMERSLACK, 1);  // sleep no longer than asked
        (void) fflush(stdout);
        run(simulation, signal_fd);
        if (simulation->wire) {
            simulate_print_stats(simulation);
        }
    }
    if (signal_fd >= 0) {
        (void) close(signal_fd);
    }
    clear(simulation);
    return r == 0 ? EXIT_OK : r == -EINVAL ? EXIT_USAGE : EXIT_PORT_ABSENT;
}
