/* SPDX-License-Identifier: MIT */
#include "drivers/serial.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MODBUS_TCP_PORT "502"  // MODBUS Messaging on TCP/IP V1.0b, section 4.1.2

/* HOST, HOST:PORT, [IPV6] or [IPV6]:PORT. */
static int parse_host(const char *text, struct endpoint *ret)
{
    const char *colon = strrchr(text, ':');
    const char *bracket = strrchr(text, ']');
    uint64_t port;
    char host[sizeof(ret->host)];

    if (bracket && colon && colon < bracket) {
        colon = NULL;
    }
    if (colon && !bracket && strchr(text, ':') != colon) {
        return -EINVAL;  // an IPv6 address without brackets: where would the port begin?
    }
    if (text_copy(ret->service, sizeof(ret->service), colon ? colon + 1 : MODBUS_TCP_PORT) < 0
        || strspn(ret->service, "0123456789") != strlen(ret->service)
        || text_to_unsigned(ret->service, 1, 65535, &port) < 0
        || text_copy(host, sizeof(host), text) < 0) {
        return -EINVAL;
    }
    if (colon) {
        host[colon - text] = '\0';
    }
    if (host[0] == '[') {
        size_t length = strlen(host);

        if (length < 3 || host[length - 1] != ']') {
            return -EINVAL;
        }
        host[length - 1] = '\0';
        return text_copy(ret->host, sizeof(ret->host), host + 1);
    }
    if (host[0] == '\0' || strpbrk(host, " /\t")) {
        return -EINVAL;
    }
    return text_copy(ret->host, sizeof(ret->host), host);
}

/* Skip "1.0": figures, and more of them behind dots. */
static const char *skip_numbers(const char *text)
{
    for (;;) {
        size_t digits = strspn(text, "0123456789");

        if (digits == 0) {
            return NULL;
        }
        text += digits;
        if (*text != '.') {
            return text;
        }
        text++;
    }
}

/* A place on USB as the kernel writes it: bus-port.port:configuration.interface, "1-1.2" or "1-1.2:1.1". */
static bool is_socket(const char *text)
{
    const char *place = text + strspn(text, "0123456789");

    if (place == text || *place != '-') {
        return false;
    }
    place = skip_numbers(place + 1);
    if (place && *place == ':') {
        place = skip_numbers(place + 1);
    }
    if (place && text_starts(place, "-port")) {  // of an interface with several, as udev counts
        place = skip_numbers(place + 5);
    }
    return place && *place == '\0';
}

static int parse_socket(const char *text, struct endpoint *ret)
{
    return is_socket(text) ? text_copy(ret->path, sizeof(ret->path), text) : -EINVAL;
}

static int parse_number(const char *text, struct endpoint *ret)
{
    return *text && !strpbrk(text, " \t/") ? text_copy(ret->path, sizeof(ret->path), text) : -EINVAL;
}

int endpoint_parse(const char *text, struct endpoint *ret, const char **problem)
{
    struct endpoint endpoint = { 0 };
    int r = 0;

    if (text_equal(text, "auto")) {
        endpoint.kind = ENDPOINT_AUTO;
    } else if (text_starts(text, "tcp:")) {
        endpoint.kind = ENDPOINT_TCP;
        r = parse_host(text + 4, &endpoint);
    } else if (text_starts(text, "rtu-tcp:")) {
        endpoint.kind = ENDPOINT_RTU_TCP;
        r = parse_host(text + 8, &endpoint);
    } else if (text_starts(text, "usb:")) {
        endpoint.kind = ENDPOINT_USB_SOCKET;
        r = parse_socket(text + 4, &endpoint);
    } else if (text_starts(text, "serial:")) {
        endpoint.kind = ENDPOINT_USB_NUMBER;
        r = parse_number(text + 7, &endpoint);
    } else if (text[0] == '/') {
        endpoint.kind = ENDPOINT_SERIAL;
        r = text_copy(endpoint.path, sizeof(endpoint.path), text);
    } else {
        r = -EINVAL;
    }
    if (r < 0) {
        if (problem) {
            *problem = "a device such as /dev/ttyUSB0, 'auto', 'usb:SOCKET' or 'serial:NUMBER' as 'meterstick ports' "
                       "prints them, 'tcp:HOST:PORT' or 'rtu-tcp:HOST:PORT'";
        }
        return -EINVAL;
    }

    *ret = endpoint;
    return 0;
}

const char *endpoint_text(const struct endpoint *endpoint, char buffer[static ENDPOINT_TEXT_SIZE])
{
    bool ipv6 = strchr(endpoint->host, ':') != NULL;

    switch (endpoint->kind) {
    case ENDPOINT_AUTO:
        (void) snprintf(buffer, ENDPOINT_TEXT_SIZE, "auto");
        break;
    case ENDPOINT_SERIAL:
        (void) snprintf(buffer, ENDPOINT_TEXT_SIZE, "%s", endpoint->path);
        break;
    case ENDPOINT_USB_SOCKET:
    case ENDPOINT_USB_NUMBER:
        (void) snprintf(buffer, ENDPOINT_TEXT_SIZE, "%s:%s",
                        endpoint->kind == ENDPOINT_USB_SOCKET ? "usb" : "serial", endpoint->path);
        break;
    case ENDPOINT_TCP:
    case ENDPOINT_RTU_TCP:
        (void) snprintf(buffer, ENDPOINT_TEXT_SIZE, "%s:%s%s%s:%s",
                        endpoint->kind == ENDPOINT_TCP ? "tcp" : "rtu-tcp", ipv6 ? "[" : "", endpoint->host,
                        ipv6 ? "]" : "", endpoint->service);
        break;
    }
    return buffer;
}

bool endpoint_is_serial(const struct endpoint *endpoint)
{
    switch (endpoint->kind) {
    case ENDPOINT_AUTO:
    case ENDPOINT_SERIAL:
    case ENDPOINT_USB_SOCKET:
    case ENDPOINT_USB_NUMBER:
        return true;
    case ENDPOINT_TCP:
    case ENDPOINT_RTU_TCP:
        break;
    }
    return false;
}
