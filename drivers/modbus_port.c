/* SPDX-License-Identifier: MIT */
#include "drivers/modbus_line.h"

#include "app/base/clock.h"
#include "drivers/line_open.h"
#include "drivers/modbus_line_private.h"
#include "drivers/port_lock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>

#define OPEN_AGAIN_US     1000000   // an adapter that is gone is looked for each second
#define OPEN_REST_US      500000    // before a port is opened whose user died

bool line_is_serial(const struct line *line)
{
    return endpoint_is_serial(&line->endpoint);
}

int line_new(const struct endpoint *endpoint, const struct serial_setting *setting, struct line **ret)
{
    struct line *line = calloc(1, sizeof(*line));

    if (!line) {
        return -ENOMEM;
    }
    line->endpoint = *endpoint;
    line->setting = *setting;
    line->framing = endpoint->kind == ENDPOINT_TCP ? MODBUS_TCP : MODBUS_RTU;
    line->fd = -1;
    late_init(&line->late);
    *ret = line;
    return 0;
}

static void close_port(struct line *line)
{
    if (line->fd >= 0) {
        (void) close(line->fd);
    }
    line->fd = -1;
}

void line_shut(struct line *line)
{
    // whoever opens it next may talk at once
    if (line->fd >= 0 && clock_monotonic_us() < line->quiet_until_us) {
        clock_sleep_until_us(line->quiet_until_us);
    }
    close_port(line);
}

void line_close(struct line *line)
{
    if (!line) {
        return;
    }
    line_shut(line);
    late_clear(&line->late);
    port_share_free(line->share);
    text_clear(&line->problem);
    free(line);
}

void line_closep(struct line **line)
{
    line_close(*line);
}

double line_character_us(const struct line *line)
{
    return line_is_serial(line) ? serial_character_us(&line->setting) : 0;
}

double line_silence_us(const struct line *line)
{
    return line_is_serial(line) ? serial_silence_us(&line->setting) : 0;
}

const char *line_problem(const struct line *line)
{
    return text_string(&line->problem);
}

void line_set_serial(struct line *line, const struct serial_setting *setting)
{
    line->setting = *setting;
}

int line_share(struct line *line, const char *name, bool pty_too)
{
    return line_is_serial(line) ? port_share_new(name, NULL, pty_too, &line->share) : 0;
}

static bool is_shared(const struct line *line)
{
    return line->share && port_share_applies(line->share, &line->endpoint);
}

uint64_t line_hold_us(const struct line *line)
{
    return is_shared(line) ? PORT_LOCK_HOLD_US - LINE_TAKE_US - LINE_SLACK_US : 0;
}

uint64_t line_waited_us(const struct line *line)
{
    return line->share ? port_share_waited_us(line->share) : 0;
}

const char *line_warning(const struct line *line)
{
    return line->shared ? port_share_warning(line->share) : "";
}

/* It cannot be used for now. Returns the error. */
static int refuse(struct line *line, int error)
{
    close_port(line);
    line->open_error = error;
    line->open_again_us = clock_monotonic_us() + OPEN_AGAIN_US;
    return error;
}

int line_take(struct line *line, uint64_t rest_us)
{
    bool died;
    int r;

    if (!line->shared) {
        return 0;
    }
    text_reset(&line->problem);
    r = port_share_take(line->share, line->fd, rest_us, line_silence_us(line), &line->problem, &died);
    if (r < 0) {
        return r == -ENODEV ? line_lose(line, ENODEV) : refuse(line, r);
    }
    late_load(&line->late, died, clock_monotonic_us());
    return 0;
}

void line_give(struct line *line)
{
    if (line->shared) {
        port_share_give(line->share, line->fd, line->quiet_until_us);
    }
}

/* What the programs that share a port tell each other. Without it each knows only of its own late answers. */
static void share_late(struct line *line)
{
    char path[PATH_SIZE];

    if (line->shared && line->late.fd < 0 && port_share_path(line->share, "late", path, sizeof(path)) == 0) {
        (void) !late_share(&line->late, path);
    }
}

static int open_port(struct line *line, uint64_t deadline_us)
{
    int r = line_open_endpoint(&line->endpoint, &line->setting, deadline_us, &line->problem);

    if (r < 0) {
        return refuse(line, r);
    }
    line->fd = r;
    line->configured = line->setting;
    line->quiet_until_us = 0;  // the one before us closed it after its silence
    if (line->shared) {
        port_share_keep_setting(line->share, line->fd);
    }
    // the kernel may sleep 50 us longer than asked for, thrice a transaction: 1 % of the bus at 115200
    (void) prctl(PR_SET_TIMERSLACK, 1);
    return 0;
}

int line_open(struct line *line, uint64_t deadline_us)
{
    uint64_t now_us = clock_monotonic_us();
    int r;

    if (line->fd >= 0) {
        return 0;
    }
    if (now_us < line->open_again_us) {
        return line->open_error;
    }

    text_reset(&line->problem);
    line->shared = is_shared(line) && !port_share_is_absent(&line->endpoint);
    share_late(line);
    r = line_take(line, OPEN_REST_US);  // or another program's hold would keep it closed to us
    if (r < 0) {
        return r;
    }
    r = open_port(line, MIN(deadline_us, now_us + LINE_CONNECT_US));
    line_give(line);
    return r == 0 && !line->shared && is_shared(line) ? refuse(line, -ENOENT) : r;  // it came just now, untaken
}

int line_lose(struct line *line, int error)
{
    char name[ENDPOINT_TEXT_SIZE];

    text_reset(&line->problem);
    text_addf(&line->problem, "%s: %s", endpoint_text(&line->endpoint, name),
              error == 0          ? "connection closed by the other end"
              : line_is_serial(line) ? "adapter gone"
                                : strerror(error));
    close_port(line);
    return -ENODEV;
}

int line_fd(const struct line *line)
{
    return line->fd;
}

int line_hung_up(struct line *line)
{
    return line_lose(line, line_is_serial(line) ? ENODEV : 0);
}

/* A UART that a board has anyway says nothing of where the meters are; an adapter that somebody plugs in does. */
static bool is_better_elsewhere(const struct line *line)
{
    char path[PATH_SIZE], name[SERIAL_NAME_SIZE];

    return line->fd >= 0 && line->endpoint.kind == ENDPOINT_AUTO && !line->answered && *line->endpoint.adapter == '\0'
           && serial_find("", &line->endpoint, path, sizeof(path), NULL) == 0
           && serial_name("", path, name, sizeof(name)) == 0;
}

bool line_look_again(struct line *line)
{
    line->open_again_us = 0;
    if (!is_better_elsewhere(line)) {
        return false;
    }
    line_shut(line);
    return true;
}

static bool same_setting(const struct serial_setting *a, const struct serial_setting *b)
{
    return a->baud == b->baud && a->parity == b->parity && a->data_bits == b->data_bits
           && a->stop_bits == b->stop_bits;
}

int line_apply_setting(struct line *line)
{
    int r;

    if (!line_is_serial(line)
        || (same_setting(&line->setting, &line->configured)
            && !(line->shared && port_share_setting_changed(line->share, line->fd)))) {
        return 0;
    }
    r = serial_configure(line->fd, &line->setting);
    if (r < 0) {
        return line_lose(line, -r);
    }
    line->configured = line->setting;
    if (line->shared) {
        port_share_keep_setting(line->share, line->fd);
    }
    return 0;
}

int line_take_bytes(struct line *line)
{
    ssize_t count;

    if (line->size == LINE_BUFFER_SIZE) {
        line->size = 0;
    }
    do {
        count = read(line->fd, line->buffer + line->size, LINE_BUFFER_SIZE - line->size);
    } while (count < 0 && errno == EINTR);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return 0;
    }
    if (count < 0 || (count == 0 && !line_is_serial(line))) {
        return line_lose(line, count < 0 ? errno : 0);
    }
    line->size += (size_t) count;
    return (int) count;
}

int line_wait_bytes(struct line *line, uint64_t until_us)
{
    struct pollfd waiting = { .fd = line->fd, .events = POLLIN };
    uint64_t now_us = clock_monotonic_us();
    uint64_t rest_us = until_us > now_us ? until_us - now_us : 0;
    const struct timespec rest = { .tv_sec = (time_t) (rest_us / 1000000),
                                   .tv_nsec = (long) (rest_us % 1000000) * 1000 };
    int r = ppoll(&waiting, 1, &rest, NULL);

    if (r < 0) {
        return errno == EINTR ? 0 : line_lose(line, errno);
    }
    if (r > 0 && (waiting.revents & (POLLERR | POLLHUP | POLLNVAL)) && !(waiting.revents & POLLIN)) {
        return line_lose(line, ENODEV);
    }
    return r;
}
