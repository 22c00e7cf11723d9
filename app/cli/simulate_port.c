/* SPDX-License-Identifier: MIT */
#include "app/cli/simulate.h"

#include "app/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>

static struct simulate_end *free_end(struct simulation *simulation)
{
    for (size_t i = 0; i < SIMULATE_ENDS; i++) {
        if (simulation->ends[i].fd < 0) {
            return &simulation->ends[i];
        }
    }
    return NULL;
}

static int open_slave(int master, char *path, size_t size)
{
    struct termios terminal;
    int fd, r;

    if (grantpt(master) < 0 || unlockpt(master) < 0) {
        return -errno;
    }
    r = ptsname_r(master, path, size);
    if (r != 0) {
        return -r;
    }
    fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    if (tcgetattr(fd, &terminal) == 0) {
        cfmakeraw(&terminal);  // no echo, no line editing, before anybody else opens it
        (void) tcsetattr(fd, TCSANOW, &terminal);
    }
    return fd;
}

int simulate_open_pty(struct simulation *simulation, const char *link)
{
    char path[64], text[PATH_SIZE];
    auto_close int master = -1;
    ssize_t length;
    int r;

    master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (master < 0) {
        r = -errno;
        (void) fprintf(stderr, "meterstick simulate: no pty: %s\n", strerror(errno));
        return r;
    }
    r = open_slave(master, path, sizeof(path));
    if (r < 0) {
        (void) fprintf(stderr, "meterstick simulate: pty: %s\n", strerror(-r));
        return r;
    }
    simulation->pty_slave_fd = r;

    length = readlink(link, text, sizeof(text) - 1);
    if (length > 0) {
        (void) unlink(link);  // of one that was killed; a file that is no link stays
    }
    if (text_copy(simulation->link, sizeof(simulation->link), link) < 0
        || symlink(path, link) < 0) {
        r = -errno;
        simulation->link[0] = '\0';
        (void) fprintf(stderr, "meterstick simulate: --pty %s: %s\n", link, strerror(-r));
        return r;
    }
    simulation->ends[0] =
        (struct simulate_end){ .fd = take_fd(&master), .wire = simulation->pattern };
    (void) printf("ready %s -> %s\n", link, path);
    return 0;
}

/* "127.0.0.1:1502", "[::1]:1502", "localhost:0" */
static int split_address(const char *address, char *host, size_t host_size, const char **ret_port)
{
    const char *colon = strrchr(address, ':');
    size_t length = colon ? (size_t) (colon - address) : 0;

    if (!colon || !colon[1] || length >= host_size) {
        return -EINVAL;
    }
    if (length >= 2 && address[0] == '[' && address[length - 1] == ']') {
        address++;
        length -= 2;
    }
    memcpy(host, address, length);
    host[length] = '\0';
    *ret_port = colon + 1;
    return 0;
}

static int listen_on(const struct addrinfo *info)
{
    auto_close int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                               info->ai_protocol);
    int on = 1;

    if (fd < 0) {
        return -errno;
    }
    (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
                      sizeof(on));  // without it only a restart is slower
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, SIMULATE_ENDS) < 0) {
        return -errno;
    }
    return take_fd(&fd);
}

int simulate_listen(struct simulation *simulation, const char *address)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct sockaddr_storage name = { 0 };
    socklen_t name_size = sizeof(name);
    struct addrinfo *info = NULL;
    char host[256];
    const char *port;
    char number[8] = "";
    int r;

    if (split_address(address, host, sizeof(host), &port) < 0) {
        (void) fprintf(stderr, "meterstick simulate: %s: ADDRESS:PORT is expected\n", address);
        return -EINVAL;
    }
    r = getaddrinfo(host, port, &hints, &info);
    if (r != 0) {
        (void) fprintf(stderr, "meterstick simulate: %s: %s\n", address, gai_strerror(r));
        return -EINVAL;
    }
    r = listen_on(info);
    freeaddrinfo(info);
    if (r < 0) {
        (void) fprintf(stderr, "meterstick simulate: %s: %s\n", address, strerror(-r));
        return r;
    }
    simulation->listen_fd = r;
    (void) getsockname(r, (struct sockaddr *) &name, &name_size);
    (void) getnameinfo((struct sockaddr *) &name, name_size, NULL, 0, number, sizeof(number),
                       NI_NUMERICSERV);
    (void) printf("ready %s:%s\n", host, number);
    return 0;
}

void simulate_accept(struct simulation *simulation)
{
    int fd = accept4(simulation->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct simulate_end *end = free_end(simulation);
    int on = 1;

    if (fd < 0) {
        return;
    }
    if (!end) {
        (void) close(fd);  // one too many, as a real meter does
        return;
    }
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    *end = (struct simulate_end){ .fd = fd, .wire = simulation->pattern };
}

static void add_counters(struct wire_counters *sum, const struct wire_counters *more)
{
    sum->requests += more->requests;
    sum->answers += more->answers;
    sum->silent += more->silent;
    sum->collisions += more->collisions;
    sum->silence_violations += more->silence_violations;
    sum->busy_us += more->busy_us;
    sum->work_us += more->work_us;
    sum->first_us =
        sum->first_us && sum->first_us < more->first_us ? sum->first_us : more->first_us;
    sum->last_us = MAX(sum->last_us, more->last_us);
}

void simulate_hang_up(struct simulation *simulation, struct simulate_end *end)
{
    add_counters(&simulation->gone, &end->wire.counters);
    (void) close(take_fd(&end->fd));
}

bool simulate_hears(const struct simulation *simulation, const struct simulated_meter *meter)
{
    struct serial_setting now = { 0 };

    if (meter->serial.baud == 0 || simulation->ends[0].fd < 0 || serial_get(simulation->ends[0].fd, &now) < 0) {
        return true;
    }
    return now.baud == meter->serial.baud && now.parity == meter->serial.parity;  // one more stop bit is a pause
}

void simulate_send(struct simulate_end *end, const void *bytes, size_t size)
{
    if (write(end->fd, bytes, size) < 0) {
        return;  // nobody reads: characters on a wire are lost then, too
    }
}

void simulate_close(struct simulation *simulation)
{
    for (size_t i = 0; i < SIMULATE_ENDS; i++) {
        if (simulation->ends[i].fd >= 0) {
            simulate_hang_up(simulation, &simulation->ends[i]);
        }
    }
    macros_close(&simulation->pty_slave_fd);
    macros_close(&simulation->listen_fd);
    if (simulation->link[0] != '\0') {
        (void) unlink(simulation->link);  // the next one replaces it anyway
    }
}

void simulate_print_stats(const struct simulation *simulation)
{
    struct wire_counters sum = simulation->gone;

    for (size_t i = 0; i < SIMULATE_ENDS; i++) {
        if (simulation->ends[i].fd >= 0) {
            add_counters(&sum, &simulation->ends[i].wire.counters);
        }
    }
    (void) printf("{\"requests\":%llu,\"answers\":%llu,\"silent\":%llu,\"collisions\":%llu,"
                  "\"silence_violations\":%llu,\"busy_s\":%.6f,\"work_s\":%.6f,\"span_s\":%.6f}\n",
                  (unsigned long long) sum.requests, (unsigned long long) sum.answers,
                  (unsigned long long) sum.silent, (unsigned long long) sum.collisions,
                  (unsigned long long) sum.silence_violations, sum.busy_us / 1e6, sum.work_us / 1e6,
                  sum.last_us > sum.first_us ? (double) (sum.last_us - sum.first_us) / 1e6 : 0.0);
    (void) fflush(stdout);
}
