/* SPDX-License-Identifier: MIT */
#include "app/cli/demo_plant.h"

#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/log.h"
#include "app/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MAX_ARGUMENTS 12
#define STOP_MS       10000
#define READY_MS      5000  // a simulator that is not ready by then never will be

const struct demo_meter demo_meters[DEMO_METERS] = {
    { "kitchen",   "schneider-iem2150",    "RTU bus, address 1" },
    { "heat-pump", "hiking-dds238-2-zn-s", "RTU bus, address 2" },
    { "workshop",  "circutor-cvm-nrg96",   "RTU bus, address 3" },
    { "main",      "schneider-pm8000",     "Modbus TCP"         },
    { "house",     "currentcost-cc128",    "Current Cost"       },
};

/* Names of the children and their arguments; "%" stands for the directory. */
static const struct {
    const char *name;
    int death_signal;  // what it gets when we die: those that have something to save are asked politely
    const char *arguments[MAX_ARGUMENTS];
} programs[DEMO_PROGRAMS] = {
    [DEMO_BUS] = { "simulated-bus", SIGKILL,
                   { "simulate", "--model", "schneider-iem2150:1", "--model", "hiking-dds238-2-zn-s:2", "--model",
                     "circutor-cvm-nrg96:3", "--pty", "%/bus", "--seed", "1" } },
    [DEMO_TCP] = { "simulated-tcp-meter", SIGKILL,
                   { "simulate", "--model", "schneider-pm8000", "--tcp", "127.0.0.1:0", "--seed", "2" } },
    [DEMO_DISPLAY] = { "simulated-display", SIGKILL,
                       { "simulate", "--model", "currentcost-cc128", "--pty", "%/display", "--seed", "3" } },
    [DEMO_ACQUIRE] = { "acquire", SIGTERM,
                       { "acquire", "--config", "%/meterstick.conf", "--state-dir", "%/state", "--run-dir", "%/run" } },
    [DEMO_STICK] = { "stick", SIGTERM,
                     { "stick", "--dir", "%/stick", "--config", "%/meterstick.conf", "--state-dir", "%/state",
                       "--run-dir", "%/run" } },
    [DEMO_LEDS] = { "leds", SIGTERM,
                    { "leds", "--read-outs", "0", "--record", "%/frames.jsonl", "--state-dir", "%/state", "--run-dir",
                      "%/run" } },
};

static const char config_head[] =
    "# The demo's plant. Three meters share one RS-485 line, one is on the network, one only talks.\n"
    "[appliance]\n"
    "name     = demo\n"
    "interval = 2 s\n"
    "clock    = trusted\n"
    "[journal]\n"
    "commit   = 1 s\n"
    "[stick]\n"
    "burst    = 5 s\n";

static int write_config(const struct demo_plant *plant, const char *network)
{
    auto_text struct text text = {};
    char path[PATH_SIZE + 32];

    text_add(&text, config_head);
    text_addf(&text, "[bus rs485]\nport = %s/bus\n", plant->directory);
    text_addf(&text, "[bus network]\nport = tcp:%s\n", network);
    text_addf(&text, "[bus display]\nport = %s/display\n", plant->directory);
    for (unsigned i = 0; i < DEMO_METERS; i++) {
        const char *bus = i < 3 ? "rs485" : i == 3 ? "network" : "display";

        text_addf(&text, "[meter %s]\nbus = %s\nmodel = %s\n", demo_meters[i].name, bus, demo_meters[i].model);
        if (i < 3) {
            text_addf(&text, "address = %u\n", i + 1);
        } else if (i == 4) {
            text_add(&text, "log = power_active_s0, temperature\n");
        }
    }
    if (text.failed) {
        return -ENOMEM;
    }
    (void) snprintf(path, sizeof(path), "%s/meterstick.conf", plant->directory);
    return file_replace(path, text.data, text.size, 0644, false);
}

static int make_directory(const char *directory, struct demo_plant *plant)
{
    static const char *const parts[] = { "state", "run", "stick", "logs" };
    const char *temporary = getenv("TMPDIR");
    char path[PATH_SIZE + 32];
    int r;

    if (directory) {
        r = file_make_directories(directory, 0755);
        if (r < 0) {
            return r;
        }
        if (!realpath(directory, path)) {
            return -errno;
        }
    } else {
        (void) snprintf(path, sizeof(path), "%s/meterstick-demo-XXXXXX",
                        temporary && *temporary ? temporary : "/tmp");
        if (!mkdtemp(path)) {
            return -errno;
        }
    }
    r = text_copy(plant->directory, sizeof(plant->directory), path);
    if (r < 0) {
        return r;
    }

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        (void) snprintf(path, sizeof(path), "%s/%s", plant->directory, parts[i]);
        r = file_make_directories(path, 0755);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* The directory in place of its mark. */
static void fill_argument(const struct demo_plant *plant, const char *pattern, char *ret, size_t size)
{
    if (*pattern == '%') {
        (void) snprintf(ret, size, "%s%s", plant->directory, pattern + 1);
    } else {
        (void) snprintf(ret, size, "%s", pattern);
    }
}

/* In the child: become the program. Returns only on failure. */
static void become(const struct demo_plant *plant, enum demo_program which, char **arguments, int log_fd, int input,
                   pid_t parent)
{
    sigset_t none;

    (void) prctl(PR_SET_PDEATHSIG, programs[which].death_signal);
    if (getppid() != parent) {
        return;  // it died before we could ask to be told
    }
    (void) setpgid(0, 0);  // Ctrl-C is for the demo, which then stops us in order
    (void) signal(SIGPIPE, SIG_DFL);
    (void) sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(input, STDIN_FILENO) < 0 || dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0) {
        return;
    }
    (void) execv(plant->program, arguments);
}

static int start(struct demo_plant *plant, enum demo_program which)
{
    struct demo_child *child = &plant->children[which];
    char filled[MAX_ARGUMENTS][PATH_SIZE + 32];
    char *arguments[MAX_ARGUMENTS + 2] = { plant->program };
    char log_path[PATH_SIZE + 64];
    auto_close int log_fd = -1, input = -1;
    int pipe_fds[2];
    pid_t parent = getpid(), pid;

    for (unsigned i = 0; i < MAX_ARGUMENTS && programs[which].arguments[i]; i++) {
        fill_argument(plant, programs[which].arguments[i], filled[i], sizeof(filled[i]));
        arguments[i + 1] = filled[i];
    }
    (void) snprintf(log_path, sizeof(log_path), "%s/logs/%s.log", plant->directory, programs[which].name);
    log_fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    if (log_fd < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0) {
        return -errno;
    }
    input = pipe_fds[0];
    child->input = pipe_fds[1];

    pid = fork();
    if (pid < 0) {
        return -errno;
    }
    if (pid == 0) {
        become(plant, which, arguments, log_fd, input, parent);
        _exit(126);
    }
    child->pid = pid;
    return 0;
}

/* Wait until a simulator says "ready WHERE". Errors: -ETIMEDOUT, it logged why */
static int wait_until_ready(struct demo_plant *plant, enum demo_program which, char *ret_where, size_t size)
{
    uint64_t end_ms = clock_monotonic_ms() + READY_MS;
    char path[PATH_SIZE + 64];

    (void) snprintf(path, sizeof(path), "%s/logs/%s.log", plant->directory, programs[which].name);
    while (clock_monotonic_ms() < end_ms && !demo_plant_reap(plant)) {
        auto_free char *log = NULL;
        char *ready, *end;
        size_t log_size;

        if (file_read(path, MAX_FILE_SIZE, &log, &log_size) == 0 && (ready = strstr(log, "ready "))
            && (end = strchr(ready, '\n'))) {
            *end = '\0';
            return text_copy(ret_where, size, ready + strlen("ready "));
        }
        clock_sleep_until_us(clock_monotonic_us() + 10000);
    }
    log_error("the %s does not start, see %s", programs[which].name, path);
    return -ETIMEDOUT;
}

/* The meters first, so that the first poll finds them, and the configuration once the free port is known. */
static int start_all(struct demo_plant *plant)
{
    char where[DEMO_ACQUIRE][PATH_SIZE + 16];
    int r;

    for (unsigned i = 0; i < DEMO_ACQUIRE; i++) {
        r = start(plant, (enum demo_program) i);
        if (r < 0) {
            return r;
        }
    }
    for (unsigned i = 0; i < DEMO_ACQUIRE; i++) {
        r = wait_until_ready(plant, (enum demo_program) i, where[i], sizeof(where[i]));
        if (r < 0) {
            return r;
        }
    }
    r = write_config(plant, where[DEMO_TCP]);
    for (unsigned i = DEMO_ACQUIRE; i < DEMO_PROGRAMS && r >= 0; i++) {
        r = start(plant, (enum demo_program) i);
    }
    return r;
}

int demo_plant_start(const char *directory, struct demo_plant *ret)
{
    char bin[PATH_SIZE];
    int r;

    *ret = (struct demo_plant){};
    for (unsigned i = 0; i < DEMO_PROGRAMS; i++) {
        ret->children[i].input = -1;
    }
    r = file_program_directory(bin, sizeof(bin));
    if (r >= 0) {
        r = file_path(ret->program, sizeof(ret->program), bin, "meterstick");
    }
    if (r >= 0) {
        r = make_directory(directory, ret);
    }
    if (r >= 0) {
        r = start_all(ret);
    }
    if (r < 0) {
        log_error("cannot set up the demo in %s: %s", *ret->directory ? ret->directory : "its directory",
                  strerror(-r));
        demo_plant_stop(ret);
    }
    return r;
}

static void note_end(struct demo_child *child, int wait_status)
{
    child->pid = 0;
    child->wait_status = wait_status;
}

static void stop(struct demo_child *child)
{
    uint64_t end_ms = clock_monotonic_ms() + STOP_MS;
    int wait_status;

    if (child->pid > 0) {
        (void) kill(child->pid, SIGTERM);
        while (waitpid(child->pid, &wait_status, WNOHANG) == 0) {
            if (clock_monotonic_ms() >= end_ms) {
                (void) kill(child->pid, SIGKILL);
            }
            clock_sleep_until_us(clock_monotonic_us() + 10000);
        }
        note_end(child, wait_status);
    }
    if (child->input >= 0) {
        (void) close(child->input);
        child->input = -1;
    }
}

void demo_plant_stop(struct demo_plant *plant)
{
    static const enum demo_program order[] = { DEMO_ACQUIRE, DEMO_STICK, DEMO_LEDS, DEMO_BUS, DEMO_TCP, DEMO_DISPLAY };

    if (plant->stick_out) {
        demo_plant_toggle_stick(plant);  // leave it where we say that it is
    }
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        stop(&plant->children[order[i]]);
    }
}

const char *demo_plant_reap(struct demo_plant *plant)
{
    for (unsigned i = 0; i < DEMO_PROGRAMS; i++) {
        int wait_status;

        if (plant->children[i].pid > 0 && waitpid(plant->children[i].pid, &wait_status, WNOHANG) > 0) {
            note_end(&plant->children[i], wait_status);
            return programs[i].name;
        }
    }
    return NULL;
}

void demo_plant_toggle_meter(struct demo_plant *plant)
{
    char command[32];
    int size;

    plant->victim_dead = !plant->victim_dead;
    size = snprintf(command, sizeof(command), "%s %u\n", plant->victim_dead ? "kill" : "revive",
                    DEMO_VICTIM + 1U);
    if (file_write_all(plant->children[DEMO_BUS].input, command, (size_t) size) < 0) {
        plant->victim_dead = !plant->victim_dead;  // the simulator is gone: nothing changed
    }
}

/* To the programs, a directory that is gone is a stick that was pulled. */
void demo_plant_toggle_stick(struct demo_plant *plant)
{
    char in[PATH_SIZE + 32], out[PATH_SIZE + 32];

    (void) snprintf(in, sizeof(in), "%s/stick", plant->directory);
    (void) snprintf(out, sizeof(out), "%s/stick-pulled", plant->directory);
    if (rename(plant->stick_out ? out : in, plant->stick_out ? in : out) == 0) {
        plant->stick_out = !plant->stick_out;
    }
}
