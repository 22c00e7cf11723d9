/* SPDX-License-Identifier: MIT */
/*
 * Any program that prints one CSV line is a meter (ES-18). Each poll runs `sh -c command` in a process group of its
 * own; at the deadline the whole group is ended. The first line on stdout with as many cells as there are columns,
 * each a number or empty, is the reading: header lines before it do no harm. Exit status 0 decides.
 *
 * An empty cell or NaN is a missing value. "lagging", "unity" and "leading" are 1, 0 and -1, as some readers print
 * the direction of the power factor. A column called "-" is skipped (a time stamp). A column's unit may be kW and
 * the like; the samples have base units.
 */
#include "drivers/source_ops.h"

#include "app/base/clock.h"
#include "app/base/log.h"
#include "app/base/text.h"
#include "drivers/exec_line.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define MAX_STDOUT (64 * 1024)       // one line of MAX_POINTS numbers has under 8 KiB
#define GRACE_US   UINT64_C(500000)  // between SIGTERM and SIGKILL
#define CHECK_MS   50                // where the kernel has no pidfd
#define MAX_STDERR 512               // of a line

struct program {
    struct source source;
    char meter[METER_ID_SIZE];
    char *command;
    struct layout layout;  // without the skipped columns
    struct source_limit limits[MAX_POINTS];
    struct exec_cells cells;
    char problem[256];

    /* of this poll */
    size_t output_size;
    char output[MAX_STDOUT + 1];
    bool overflow;
    uint64_t first_boot_ms;
    size_t error_size;
    char error_line[MAX_STDERR];
    char last_error[128];  // last whole line on stderr
};

/* A running child and our ends of its pipes. */
struct child {
    pid_t pid;
    int pidfd;
    int out, err;
};

static struct program *program_of(struct source *source)
{
    return (struct program *) source;
}

static void program_close(struct source *source)
{
    struct program *program = program_of(source);

    free(program->command);
    free(program);
}

static bool parse_output(const struct program *program, struct sample *ret)
{
    const char *line = program->output;
    const char *limit = program->output + program->output_size;

    while (line < limit) {
        const char *newline = memchr(line, '\n', (size_t) (limit - line));
        const char *end = newline ? newline : limit;
        const char *last = end > line && end[-1] == '\r' ? end - 1 : end;

        if (last > line && exec_line_parse(&program->cells, line, last, ret)) {
            return true;
        }
        sample_clear(ret, program->meter, program->layout.count, REASON_DAMAGED);
        line = end + 1;
    }
    return false;
}

static int spawn(const struct program *program, int in, int out, int err, pid_t *ret)
{
    char name[sizeof("METERSTICK_METER=") + METER_ID_SIZE];
    const char *arguments[] = { "sh", "-c", program->command, NULL };
    const char *environment[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", name,
        NULL
    };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int r;

    (void) snprintf(name, sizeof(name), "METERSTICK_METER=%s", program->meter);
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return -ENOMEM;
    }
    if (posix_spawnattr_init(&attributes) != 0) {
        (void) posix_spawn_file_actions_destroy(&actions);
        return -ENOMEM;
    }
    (void) sigemptyset(&none);
    (void) sigfillset(&all);
    r = posix_spawn_file_actions_adddup2(&actions, in, 0);
    r = r ? r : posix_spawn_file_actions_adddup2(&actions, out, 1);
    r = r ? r : posix_spawn_file_actions_adddup2(&actions, err, 2);
    r = r ? r : posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    r = r ? r : posix_spawnattr_setpgroup(&attributes, 0);
    r = r ? r : posix_spawnattr_setsigmask(&attributes, &none);
    r = r ? r : posix_spawnattr_setsigdefault(&attributes, &all);
    r = r ? r
          : posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK
                                                      | POSIX_SPAWN_SETSIGDEF);
    r = r ? r
          : posix_spawn(ret, "/bin/sh", &actions, &attributes, (char **) arguments,
                        (char **) environment);
    (void) posix_spawnattr_destroy(&attributes);
    (void) posix_spawn_file_actions_destroy(&actions);
    return -r;
}

static int child_start(const struct program *program, struct child *ret)
{
    int out[2] = { -1, -1 }, err[2] = { -1, -1 };
    int in, r;

    in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (in < 0) {
        return -errno;
    }
    if (pipe2(out, O_CLOEXEC) < 0) {
        r = -errno;
        (void) close(in);
        return r;
    }
    if (pipe2(err, O_CLOEXEC) < 0) {
        r = -errno;
        (void) close(in);
        (void) close(out[0]);
        (void) close(out[1]);
        return r;
    }

    r = spawn(program, in, out[1], err[1], &ret->pid);
    (void) close(in);
    (void) close(out[1]);
    (void) close(err[1]);
    if (r < 0) {
        (void) close(out[0]);
        (void) close(err[0]);
        return r;
    }
    (void) fcntl(out[0], F_SETFL, O_NONBLOCK);
    (void) fcntl(err[0], F_SETFL, O_NONBLOCK);
    ret->out = out[0];
    ret->err = err[0];
    ret->pidfd = pidfd_open(ret->pid, 0);
    return 0;
}

static void log_error_line(struct program *program)
{
    program->error_line[program->error_size] = '\0';
    if (program->error_size > 0) {
        log_debug("meter '%s': %s", program->meter, program->error_line);
        (void) snprintf(program->last_error, sizeof(program->last_error), "%.120s", program->error_line);
    }
    program->error_size = 0;
}

/* Read what is there. Closes the end at end of file. */
static void read_output(struct program *program, int *fd)
{
    char bytes[4096];
    ssize_t size;

    while (*fd >= 0 && (size = read(*fd, bytes, sizeof(bytes))) != 0) {
        size_t room = MAX_STDOUT - program->output_size;

        if (size < 0) {
            return;
        }
        if (program->first_boot_ms == 0) {
            program->first_boot_ms = clock_boot_ms();
        }
        program->overflow = program->overflow || (size_t) size > room;
        memcpy(program->output + program->output_size, bytes, MIN((size_t) size, room));
        program->output_size += MIN((size_t) size, room);
        if (program->overflow) {
            return;
        }
    }
    if (*fd >= 0) {
        (void) close(take_fd(fd));  // only read from
    }
}

/* The same for stderr. A program that talks without end is read no faster than it is polled. */
static void read_errors(struct program *program, int *fd)
{
    char bytes[4096];
    ssize_t size;

    if (*fd < 0) {
        return;
    }
    size = read(*fd, bytes, sizeof(bytes));
    for (ssize_t i = 0; i < size; i++) {
        if (bytes[i] == '\n' || program->error_size == sizeof(program->error_line) - 1) {
            log_error_line(program);
        }
        if (bytes[i] != '\n' && bytes[i] != '\r') {
            program->error_line[program->error_size++] = bytes[i];
        }
    }
    if (size == 0) {
        log_error_line(program);
        (void) close(take_fd(fd));
    }
}

/*
 * Watch the child until it ends, has printed too much, or the time is over.
 * Returns 1 with its status if it ended, 0 if it still runs.
 */
static int watch(struct program *program, struct child *child, uint64_t until_us, int *ret_status)
{
    for (;;) {
        uint64_t now_us = clock_monotonic_us();
        struct pollfd pollfds[] = {
            { .fd = child->pidfd, .events = POLLIN },
            { .fd = child->out, .events = POLLIN },
            { .fd = child->err, .events = POLLIN },
        };
        int wait_ms;

        if (waitpid(child->pid, ret_status, WNOHANG) == child->pid) {
            read_output(program, &child->out);  // what is still in the pipes
            read_errors(program, &child->err);
            log_error_line(program);
            return 1;
        }
        if (program->overflow || now_us >= until_us) {
            return 0;
        }
        wait_ms = (int) ((MIN(until_us - now_us, 3600000000u) + 999) / 1000);
        if (child->pidfd < 0) {
            wait_ms = MIN(wait_ms, CHECK_MS);
        }
        (void) poll(pollfds, ARRAY_SIZE(pollfds), wait_ms);
        read_output(program, &child->out);
        read_errors(program, &child->err);
    }
}

/* End the whole group, first kindly, and leave neither a process nor a descriptor behind. */
static void child_end(struct program *program, struct child *child, bool ended,
                      uint64_t deadline_us)
{
    int status;

    if (!ended) {
        (void) kill(-child->pid, SIGTERM);
        program->overflow = false;  // keep reading, so that it does not hang in a write
        program->output_size = 0;
        ended = watch(program, child, deadline_us, &status) > 0;
    }
    (void) kill(-child->pid, SIGKILL);  // whatever it left behind in its group, too
    if (!ended) {
        while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
        }
    }
    macros_close(&child->pidfd);
    macros_close(&child->out);
    macros_close(&child->err);
}

/* Run the command. Errors: -ETIMEDOUT, -EBADMSG, and what starting it gives; the problem has the words */
static int program_run(struct program *program, uint64_t deadline_us)
{
    uint64_t now_us = clock_monotonic_us();
    uint64_t left_us = deadline_us > now_us ? deadline_us - now_us : 0;
    struct child child = { .out = -1, .err = -1, .pidfd = -1 };
    bool ended, overflow;
    int status = 0;
    int r;

    r = child_start(program, &child);
    if (r < 0) {
        (void) snprintf(program->problem, sizeof(program->problem), "cannot start sh: %s", strerror(-r));
        return r;
    }
    ended = watch(program, &child, deadline_us - MIN(GRACE_US, left_us / 4), &status) > 0;
    overflow = program->overflow;
    child_end(program, &child, ended, deadline_us);

    if (overflow) {
        (void) snprintf(program->problem, sizeof(program->problem), "printed more than 64 KiB");
        return -EBADMSG;
    }
    if (!ended) {
        char text[TEXT_DURATION_SIZE];

        (void) snprintf(program->problem, sizeof(program->problem), "not done after %s, ended",
                        text_duration((left_us + 999) / 1000, text));
        return -ETIMEDOUT;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        (void) snprintf(program->problem, sizeof(program->problem), "%s %d%s%s",
                        WIFEXITED(status) ? "exit status" : "ended by signal",
                        WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
                        *program->last_error ? ": " : "", program->last_error);
        return -EBADMSG;
    }
    return 0;
}

static int program_next(struct source *source, uint64_t deadline_us, struct sample *ret)
{
    struct program *program = program_of(source);
    int r;

    program->output_size = 0;
    program->error_size = 0;
    program->overflow = false;
    program->first_boot_ms = 0;
    program->last_error[0] = '\0';
    program->problem[0] = '\0';

    r = program_run(program, deadline_us);
    sample_clear(ret, program->meter, program->layout.count,
                 r == -ETIMEDOUT ? REASON_TIMEOUT : REASON_DAMAGED);
    if (r < 0) {
        return r;
    }
    program->output[program->output_size] = '\0';
    if (!parse_output(program, ret)) {
        (void) snprintf(program->problem, sizeof(program->problem), "no line with %u numbers: \"%.60s\"",
                        program->cells.count, program->output);
        return -EBADMSG;
    }
    ret->boot_ms = program->first_boot_ms ? program->first_boot_ms : clock_boot_ms();
    source_apply_limits(program->limits, ret);
    if (sample_present(ret) == 0) {
        (void) snprintf(program->problem, sizeof(program->problem), "no value in its line");
        return -ETIMEDOUT;
    }
    return 0;
}

static const struct layout *program_layout(const struct source *source)
{
    return &((const struct program *) source)->layout;
}

static const char *program_problem(const struct source *source)
{
    return ((const struct program *) source)->problem;
}

static const struct source_ops program_ops = {
    .close = program_close,
    .next = program_next,
    .layout = program_layout,
    .problem = program_problem,
};

/* Errors: -EINVAL a unit that does not exist */
static int program_columns(struct program *program, const struct layout *columns)
{
    program->cells.count = columns->count;
    for (unsigned i = 0; i < columns->count; i++) {
        struct column *column = &program->layout.columns[program->layout.count];
        const char *base = "";

        program->cells.columns[i] = -1;
        if (text_equal(columns->columns[i].name, "-")) {
            continue;
        }
        if (quantity_unit(columns->columns[i].unit, &base, &program->cells.exponents[i]) < 0) {
            return -EINVAL;
        }
        *column = columns->columns[i];
        (void) snprintf(column->unit, sizeof(column->unit), "%s", base);
        program->cells.columns[i] = (int) program->layout.count++;
    }
    return 0;
}

int source_exec_open(const struct source_setup *setup, struct source **ret)
{
    auto_free struct program *program = NULL;
    int r;

    program = calloc(1, sizeof(*program));
    if (!program) {
        return -ENOMEM;
    }
    program->source.ops = &program_ops;
    r = text_copy(program->meter, sizeof(program->meter), setup->meter);
    if (r < 0) {
        return r;
    }
    r = program_columns(program, setup->columns);
    if (r < 0) {
        return r;
    }
    source_limits(setup, &program->layout, program->limits);
    program->command = strdup(setup->command);
    if (!program->command) {
        return -ENOMEM;
    }

    *ret = &TAKE(program)->source;
    return 0;
}
