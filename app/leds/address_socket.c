/* SPDX-License-Identifier: MIT */
#include "app/leds/address.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#define ANSWER_SIZE  32768  // a dump's parts are at most that large
#define ANSWER_PARTS 64     // 1000 addresses take three
#define ANSWER_MS    1000
#define TRIES        5
#define DRAIN_MAX    64     // then the others have their turn

static int open_socket(uint32_t groups, int *ret)
{
    struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = groups };
    auto_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

    if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0) {
        return -errno;
    }
    *ret = take_fd(&fd);
    return 0;
}

/* One datagram, and only of the kernel. */
static int receive(int fd, void *buffer, size_t size, size_t *ret_size)
{
    struct pollfd waiting = { .fd = fd, .events = POLLIN };
    struct sockaddr_nl from = {};
    socklen_t from_size = sizeof(from);
    ssize_t count;

    if (poll(&waiting, 1, ANSWER_MS) <= 0) {
        return -ETIMEDOUT;
    }
    count = recvfrom(fd, buffer, size, MSG_TRUNC, (struct sockaddr *) &from, &from_size);
    if (count < 0) {
        return -errno;
    }
    if (from.nl_pid != 0 || (size_t) count > size) {
        return -EBADMSG;
    }
    *ret_size = (size_t) count;
    return 0;
}

static int ask(int fd, uint16_t type, struct address_table *table)
{
    struct {
        struct nlmsghdr header;
        struct rtgenmsg message;
    } request = {
        .header = { .nlmsg_len = sizeof(request), .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
        .message = { .rtgen_family = AF_INET },
    };
    auto_free char *buffer = malloc(ANSWER_SIZE);
    int r = 0;

    if (!buffer) {
        return -ENOMEM;
    }
    if (send(fd, &request, sizeof(request), 0) < 0) {
        return -errno;
    }
    for (unsigned i = 0; i < ANSWER_PARTS && r == 0; i++) {
        size_t size = 0;

        r = receive(fd, buffer, ANSWER_SIZE, &size);
        if (r == 0) {
            r = address_take(table, buffer, size);
        }
    }
    return r < 0 ? r : 0;
}

static int find(struct address_table *table)
{
    auto_close int fd = -1;
    int r;

    *table = (struct address_table){};
    r = open_socket(0, &fd);
    if (r >= 0) {
        r = ask(fd, RTM_GETROUTE, table);
    }
    return r < 0 ? r : ask(fd, RTM_GETADDR, table);
}

int address_find(char buffer[static ADDRESS_TEXT_SIZE])
{
    struct address_table table;
    int r = -EAGAIN;

    (void) snprintf(buffer, ADDRESS_TEXT_SIZE, "%s", ADDRESS_NONE);
    for (unsigned i = 0; i < TRIES && r == -EAGAIN; i++) {
        r = find(&table);
    }
    if (r < 0) {
        return r;
    }
    (void) address_choose(&table, buffer);
    return 0;
}

int address_watch_open(int *ret_fd)
{
    return open_socket(RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE, ret_fd);
}

void address_watch_drain(int fd)
{
    char buffer[256];  // of a message nobody needs more than that it came

    for (unsigned i = 0; i < DRAIN_MAX; i++) {
        if (recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC) < 0 && errno != ENOBUFS && errno != EINTR) {
            return;
        }
    }
}
