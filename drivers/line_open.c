/* SPDX-License-Identifier: MIT */
#include "drivers/line_open.h"

#include "app/base/clock.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define MISSED_US UINT64_C(10000000)  // an adapter of that number may be on its way back

static void explain_absent(const char *path, struct text *problem)
{
    auto_free struct serial_adapter *others = NULL;
    int count = serial_list("", &others);

    text_addf(problem, "there is no device %s%s", path, count <= 0 ? ", nor any other serial port" : "");
    for (int i = 0; i < count; i++) {
        text_addf(problem, "%s%s", i == 0 ? "; serial ports here: " : ", ", others[i].path);
    }
}

static void explain_serial(const char *path, int error, const struct serial_setting *setting, struct text *problem)
{
    char settings[SERIAL_SETTING_SIZE];

    switch (-error) {
    case ENOENT:
        explain_absent(path, problem);
        break;
    case EACCES:
    case EPERM:
        text_addf(problem, "no permission for %s; its group (mostly dialout) must have this user", path);
        break;
    case EBUSY:
        text_addf(problem, "%s is in use by another program", path);
        break;
    case ENOTTY:
        text_addf(problem, "%s is no serial device", path);
        break;
    case EINVAL:
        text_addf(problem, "%s does not take '%s'", path, serial_setting_text(setting, settings));
        break;
    default:
        text_addf(problem, "%s: %s", path, strerror(-error));
        break;
    }
}

/* Refusing is better than a bus on which nobody hears us. */
static int turn_by_kernel(int fd, const char *path, struct text *problem)
{
    int r = serial_set_rs485(fd);

    if (r == -ENOTTY) {
        text_addf(problem, "the driver of %s cannot turn an RS-485 transceiver round (rs485 = kernel); adapters that "
                           "do it by themselves want rs485 = adapter", path);
    } else if (r < 0) {
        text_addf(problem, "%s does not take rs485 = kernel: %s", path, strerror(-r));
    }
    return r;
}

/*
 * Adapters that dip together may come back with their devices swapped, and then the rows of one would stand under the
 * other's meter. So the adapter is looked for, and one that has its name is no replacement until the first stays away.
 */
static int follow_adapter(struct endpoint *endpoint, char *path, size_t size, struct text *problem)
{
    char found[PATH_SIZE], other[SERIAL_NAME_SIZE];
    uint64_t now_us = clock_monotonic_us();
    struct endpoint adapter;
    int r;

    if (*endpoint->adapter == '\0' || endpoint_parse(endpoint->adapter, &adapter, NULL) < 0) {
        return 0;
    }
    r = serial_find("", &adapter, found, sizeof(found), NULL);
    if (r == 0) {
        endpoint->missed_us = 0;
        return text_copy(path, size, found);
    }
    // who has no number of his own cannot be missed: he may be in another socket
    if (r != -ENOENT || adapter.kind != ENDPOINT_USB_NUMBER || serial_name("", path, other, sizeof(other)) < 0) {
        endpoint->missed_us = 0;
        return 0;
    }
    endpoint->missed_us = endpoint->missed_us ? endpoint->missed_us : now_us;
    if (now_us >= endpoint->missed_us + MISSED_US) {
        endpoint->missed_us = 0;
        return 0;
    }
    text_addf(problem, "%s is another adapter now (%s); waiting for the one before (%s)", path, other,
              endpoint->adapter);
    return -ENOENT;
}

/* "auto" was an adapter that somebody plugged in: while that is away, it is not one of the board's own UARTs. */
static int stay_with_usb(const struct endpoint *endpoint, const char *path, struct text *problem)
{
    char other[SERIAL_NAME_SIZE];

    if (*endpoint->adapter == '\0' || serial_name("", path, other, sizeof(other)) != -ENOENT) {
        return 0;
    }
    text_addf(problem, "the adapter is gone (%s), and %s is not taken for it; to use that, name it as the port",
              endpoint->adapter, path);
    return -ENOENT;
}

static int open_serial(struct endpoint *endpoint, const struct serial_setting *setting, struct text *problem)
{
    char path[PATH_SIZE];
    auto_close int fd = -1;
    int r;

    // anew each time: an adapter that comes back may have another name
    r = serial_find("", endpoint, path, sizeof(path), problem);
    if (r < 0) {
        return r;
    }
    if (endpoint->kind == ENDPOINT_SERIAL) {
        r = follow_adapter(endpoint, path, sizeof(path), problem);
    } else if (endpoint->kind == ENDPOINT_AUTO) {
        r = stay_with_usb(endpoint, path, problem);
    }
    if (r < 0) {
        return r;
    }
    fd = serial_open(path, setting);
    if (fd < 0) {
        explain_serial(path, fd, setting, problem);
        return fd;
    }
    r = endpoint->rs485_kernel ? turn_by_kernel(fd, path, problem) : 0;
    if (r < 0) {
        return r;
    }
    if ((endpoint->kind == ENDPOINT_SERIAL || endpoint->kind == ENDPOINT_AUTO)
        && serial_name("", path, endpoint->adapter, sizeof(endpoint->adapter)) < 0) {
        endpoint->adapter[0] = '\0';
    }
    return take_fd(&fd);
}

static int wait_connected(int fd, uint64_t deadline_us)
{
    struct pollfd waiting = { .fd = fd, .events = POLLOUT };
    uint64_t now_us = clock_monotonic_us();
    int timeout_ms = deadline_us > now_us ? (int) ((deadline_us - now_us + 999) / 1000) : 0;
    int error = 0;
    socklen_t size = sizeof(error);
    int r;

    do {
        r = poll(&waiting, 1, timeout_ms);
    } while (r < 0 && errno == EINTR);
    if (r <= 0) {
        return r < 0 ? -errno : -ETIMEDOUT;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
        return -errno;
    }
    return -error;
}

static int connect_address(const struct addrinfo *address, uint64_t deadline_us)
{
    auto_close int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    int r;

    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
        if (errno != EINPROGRESS) {
            return -errno;
        }
        r = wait_connected(fd, deadline_us);
        if (r < 0) {
            return r;
        }
    }
    // a request is one small packet and waits for nothing; a vanished peer is noticed by the kernel as well
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void) setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    return take_fd(&fd);
}

static void explain_tcp(const struct endpoint *endpoint, int error, struct text *problem)
{
    char name[ENDPOINT_TEXT_SIZE];

    (void) endpoint_text(endpoint, name);
    switch (-error) {
    case ECONNREFUSED:
        text_addf(problem, "%s refused the connection: the device is there, but nothing listens on that port", name);
        break;
    case ETIMEDOUT:
        text_addf(problem, "%s does not answer the connection", name);
        break;
    case EHOSTUNREACH:
    case ENETUNREACH:
        text_addf(problem, "%s cannot be reached: no way to that network", name);
        break;
    case ENOENT:
        text_addf(problem, "%s: no host of that name", name);
        break;
    default:
        text_addf(problem, "%s: %s", name, strerror(-error));
        break;
    }
}

static int open_tcp(const struct endpoint *endpoint, uint64_t deadline_us, struct text *problem)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *addresses;
    int r;

    // the name service has time-outs of its own, about 10 s; addresses in figures never wait
    r = getaddrinfo(endpoint->host, endpoint->service, &hints, &addresses);
    if (r != 0) {
        r = r == EAI_MEMORY ? -ENOMEM : -ENOENT;
        explain_tcp(endpoint, r, problem);
        return r;
    }
    r = -ENOENT;
    for (struct addrinfo *address = addresses; address && r < 0; address = address->ai_next) {
        r = connect_address(address, deadline_us);
    }
    freeaddrinfo(addresses);
    if (r < 0) {
        explain_tcp(endpoint, r, problem);
    }
    return r;
}

int line_open_endpoint(struct endpoint *endpoint, const struct serial_setting *setting, uint64_t deadline_us,
                       struct text *problem)
{
    switch (endpoint->kind) {
    case ENDPOINT_AUTO:
    case ENDPOINT_SERIAL:
    case ENDPOINT_USB_SOCKET:
    case ENDPOINT_USB_NUMBER:
        return open_serial(endpoint, setting, problem);
    case ENDPOINT_TCP:
    case ENDPOINT_RTU_TCP:
        return open_tcp(endpoint, deadline_us, problem);
    }
    return -EINVAL;
}
