/* SPDX-License-Identifier: MIT */
#include "app/leds/address.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#define LOOPBACK 127

/* An attribute's bytes, or NULL if it is not there or is shorter than that. */
struct attributes {
    const uint8_t *bytes;
    size_t size;
};

static bool next_attribute(struct attributes *rest, unsigned *ret_type, struct attributes *ret)
{
    struct rtattr attribute;

    if (rest->size < sizeof(attribute)) {
        return false;
    }
    memcpy(&attribute, rest->bytes, sizeof(attribute));
    if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > rest->size) {
        return false;
    }

    *ret_type = attribute.rta_type;
    ret->bytes = rest->bytes + RTA_LENGTH(0);
    ret->size = attribute.rta_len - RTA_LENGTH(0);
    rest->bytes += MIN(RTA_ALIGN((size_t) attribute.rta_len), rest->size);
    rest->size -= MIN(RTA_ALIGN((size_t) attribute.rta_len), rest->size);
    return true;
}

static bool copy_exactly(void *ret, size_t size, const struct attributes *attribute)
{
    if (attribute->size != size) {
        return false;
    }
    memcpy(ret, attribute->bytes, size);
    return true;
}

/* A route with several ways: the first that can be used. 0: none */
static int find_hop(struct attributes hops)
{
    struct rtnexthop hop;

    while (hops.size >= sizeof(hop)) {
        memcpy(&hop, hops.bytes, sizeof(hop));
        if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > hops.size) {
            break;
        }
        if (!(hop.rtnh_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN))) {
            return hop.rtnh_ifindex;
        }
        hops.bytes += MIN(RTNH_ALIGN((size_t) hop.rtnh_len), hops.size);
        hops.size -= MIN(RTNH_ALIGN((size_t) hop.rtnh_len), hops.size);
    }
    return 0;
}

static void take_route(struct address_table *table, const uint8_t *bytes, size_t size)
{
    struct attributes rest, attribute;
    struct rtmsg route;
    uint32_t metric = 0, in_table;
    uint8_t source[4] = {};
    int interface = 0;
    unsigned type;

    if (size < sizeof(route)) {
        return;
    }
    memcpy(&route, bytes, sizeof(route));
    if (route.rtm_family != AF_INET || route.rtm_dst_len != 0 || route.rtm_type != RTN_UNICAST ||
        route.rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) {
        return;
    }

    in_table = route.rtm_table;
    rest = (struct attributes){ bytes + MIN(NLMSG_ALIGN(sizeof(route)), size),
                                size - MIN(NLMSG_ALIGN(sizeof(route)), size) };
    while (next_attribute(&rest, &type, &attribute)) {
        if (type == RTA_OIF) {
            (void) copy_exactly(&interface, sizeof(interface), &attribute);
        } else if (type == RTA_PRIORITY) {
            (void) copy_exactly(&metric, sizeof(metric), &attribute);
        } else if (type == RTA_PREFSRC) {
            (void) copy_exactly(source, sizeof(source), &attribute);
        } else if (type == RTA_TABLE) {
            (void) copy_exactly(&in_table, sizeof(in_table), &attribute);
        } else if (type == RTA_MULTIPATH) {
            interface = find_hop(attribute);
        }
    }
    if (in_table != RT_TABLE_MAIN || interface <= 0 || (table->has_route && metric >= table->metric)) {
        return;  // of those of one metric the kernel takes the first, too
    }
    table->has_route = true;
    table->interface = interface;
    table->metric = metric;
    memcpy(table->source, source, sizeof(table->source));
}

static void take_address(struct address_table *table, const uint8_t *bytes, size_t size)
{
    struct attributes rest, attribute;
    struct address_entry entry = {};
    struct ifaddrmsg message;
    bool has_address = false, has_local = false;
    uint8_t address[4] = {};
    unsigned type;

    if (size < sizeof(message)) {
        return;
    }
    memcpy(&message, bytes, sizeof(message));
    if (message.ifa_family != AF_INET || table->count == ADDRESS_MAX) {
        return;
    }

    rest = (struct attributes){ bytes + MIN(NLMSG_ALIGN(sizeof(message)), size),
                                size - MIN(NLMSG_ALIGN(sizeof(message)), size) };
    while (next_attribute(&rest, &type, &attribute)) {
        if (type == IFA_LOCAL) {
            has_local = copy_exactly(entry.bytes, sizeof(entry.bytes), &attribute) || has_local;
        } else if (type == IFA_ADDRESS) {  // on a point-to-point line the other end's
            has_address = copy_exactly(address, sizeof(address), &attribute) || has_address;
        }
    }
    if (!has_local && !has_address) {
        return;
    }
    if (!has_local) {
        memcpy(entry.bytes, address, sizeof(entry.bytes));
    }
    if (entry.bytes[0] == LOOPBACK || entry.bytes[0] == 0) {
        return;
    }
    entry.interface = (int) MIN(message.ifa_index, (uint32_t) INT32_MAX);
    entry.is_local = entry.bytes[0] == 169 && entry.bytes[1] == 254;
    entry.is_secondary = message.ifa_flags & IFA_F_SECONDARY;
    table->entries[table->count++] = entry;
}

int address_take(struct address_table *table, const void *bytes, size_t size)
{
    const uint8_t *next = bytes;
    struct nlmsghdr header;

    while (size > 0) {
        const uint8_t *body = next + NLMSG_HDRLEN;
        size_t body_size;
        int error;

        if (size < sizeof(header)) {
            return -EBADMSG;
        }
        memcpy(&header, next, sizeof(header));
        if (header.nlmsg_len < NLMSG_HDRLEN || header.nlmsg_len > size) {
            return -EBADMSG;
        }
        if (header.nlmsg_flags & NLM_F_DUMP_INTR) {
            return -EAGAIN;
        }

        body_size = header.nlmsg_len - NLMSG_HDRLEN;
        if (header.nlmsg_type == NLMSG_DONE) {
            return 1;
        }
        if (header.nlmsg_type == NLMSG_ERROR) {
            if (body_size < sizeof(error)) {
                return -EBADMSG;
            }
            memcpy(&error, body, sizeof(error));
            return error < 0 && error > -4096 ? error : -EBADMSG;
        }
        if (header.nlmsg_type == RTM_NEWROUTE) {
            take_route(table, body, body_size);
        } else if (header.nlmsg_type == RTM_NEWADDR) {
            take_address(table, body, body_size);
        }
        next += MIN(NLMSG_ALIGN((size_t) header.nlmsg_len), size);
        size -= MIN(NLMSG_ALIGN((size_t) header.nlmsg_len), size);
    }
    return 0;
}

/* How good an address is for a person who wants to reach us; 0 is best. */
static unsigned rank(const struct address_table *table, const struct address_entry *entry)
{
    bool has_source = table->has_route && memcmp(table->source, "\0\0\0\0", 4) != 0;
    unsigned result = 0;

    if (has_source && memcmp(table->source, entry->bytes, 4) == 0) {
        return 0;
    }
    result += table->has_route && entry->interface == table->interface ? 1 : 8;
    result += entry->is_local ? 4 : 0;
    result += entry->is_secondary ? 2 : 0;
    return result;
}

const char *address_choose(const struct address_table *table, char buffer[static ADDRESS_TEXT_SIZE])
{
    const struct address_entry *best = NULL;

    for (unsigned i = 0; i < table->count; i++) {
        const struct address_entry *entry = &table->entries[i];

        if (!best || rank(table, entry) < rank(table, best)) {
            best = entry;
        }
    }
    if (!best) {
        (void) snprintf(buffer, ADDRESS_TEXT_SIZE, "%s", ADDRESS_NONE);
        return buffer;
    }
    (void) snprintf(buffer, ADDRESS_TEXT_SIZE, "%u.%u.%u.%u", best->bytes[0], best->bytes[1], best->bytes[2],
                    best->bytes[3]);
    return buffer;
}
