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
    } else if (text[0] == '/') {
        endpoint.kind = ENDPOINT_SERIAL;
        r = text_copy(endpoint.path, sizeof(endpoint.path), text);
    } else {
        r = -EINVAL;
    }
    if (r < 0) {
        if (problem) {
            *problem = "a device such as /dev/ttyUSB0, 'auto', 'tcp:HOST:PORT' or 'rtu-tcp:HOST:PORT'";
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
    case ENDPOINT_TCP:
    case ENDPOINT_RTU_TCP:
        (void) snprintf(buffer, ENDPOINT_TEXT_SIZE, "%s:%s%s%s:%s",
                        endpoint->kind == ENDPOINT_TCP ? "tcp" : "rtu-tcp", ipv6 ? "[" : "", endpoint->host,
                        ipv6 ? "]" : "", endpoint->service);
        break;
    }
    return buffer;
}
