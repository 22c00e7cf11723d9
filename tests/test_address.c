/* SPDX-License-Identifier: MIT */
// link: ms_lights

/* The appliance's address, from what the kernel says of routes and addresses (rtnetlink(7)). */

#include "tests/test.h"

#include "app/base/macros.h"
#include "app/leds/address.h"

#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <sys/socket.h>

#include <linux/rtnetlink.h>

/* What a recv() would give. */
static struct {
    _Alignas(8) uint8_t bytes[2048];
    size_t size;
} sent;

static struct address_table table;
static char text[ADDRESS_TEXT_SIZE];

static void add(const void *bytes, size_t size)
{
    memcpy(sent.bytes + sent.size, bytes, size);
    sent.size += NLMSG_ALIGN(size);
}

static void add_attribute(uint16_t type, const void *bytes, uint16_t size)
{
    struct rtattr attribute = { .rta_len = (uint16_t) RTA_LENGTH(size), .rta_type = type };

    memcpy(sent.bytes + sent.size, &attribute, sizeof(attribute));
    memcpy(sent.bytes + sent.size + sizeof(attribute), bytes, size);
    sent.size += RTA_ALIGN(attribute.rta_len);
}

static struct nlmsghdr *begin_message(uint16_t type)
{
    struct nlmsghdr header = { .nlmsg_type = type };
    struct nlmsghdr *begun = (struct nlmsghdr *) (sent.bytes + sent.size);

    add(&header, sizeof(header));
    return begun;
}

static void end_message(struct nlmsghdr *header)
{
    header->nlmsg_len = (uint32_t) (sent.bytes + sent.size - (uint8_t *) header);
}

static void add_route(int interface, uint32_t metric, unsigned flags, uint8_t in_table)
{
    struct nlmsghdr *header = begin_message(RTM_NEWROUTE);
    struct rtmsg route = { .rtm_family = AF_INET, .rtm_table = in_table, .rtm_type = RTN_UNICAST, .rtm_flags = flags };

    add(&route, sizeof(route));
    add_attribute(RTA_OIF, &interface, sizeof(interface));
    if (metric > 0) {
        add_attribute(RTA_PRIORITY, &metric, sizeof(metric));
    }
    end_message(header);
}

static void add_address(int interface, uint8_t flags, uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    struct nlmsghdr *header = begin_message(RTM_NEWADDR);
    struct ifaddrmsg message = { .ifa_family = AF_INET, .ifa_flags = flags, .ifa_index = (uint32_t) interface };
    const uint8_t bytes[4] = { a, b, c, d };

    add(&message, sizeof(message));
    add_attribute(IFA_ADDRESS, bytes, sizeof(bytes));
    add_attribute(IFA_LOCAL, bytes, sizeof(bytes));
    end_message(header);
}

static int take(void)
{
    int r = address_take(&table, sent.bytes, sent.size);

    sent.size = 0;
    return r;
}

static void begin(void)
{
    table = (struct address_table){};
    memset(&sent, 0, sizeof(sent));
}

static const char *choose(void)
{
    CHECK_EQ(take(), 0);
    return address_choose(&table, text);
}

static void test_without_anything_it_is_that_of_the_loopback(void)
{
    begin();
    CHECK_STR(choose(), "127.0.0.1");
    add_address(1, 0, 127, 0, 0, 1);
    add_address(1, 0, 127, 5, 5, 5);
    CHECK_STR(choose(), "127.0.0.1");
}

static void test_the_interface_of_the_default_route_is_first(void)
{
    begin();
    add_address(2, 0, 10, 0, 0, 2);
    add_address(3, 0, 192, 168, 1, 17);
    CHECK_STR(choose(), "10.0.0.2");  // a cable to a notebook has no route
    add_route(3, 0, 0, RT_TABLE_MAIN);
    CHECK_STR(choose(), "192.168.1.17");
}

static void test_of_several_default_routes_the_one_that_the_kernel_takes(void)
{
    begin();
    add_address(2, 0, 10, 0, 0, 2);
    add_address(3, 0, 192, 168, 1, 17);
    add_address(4, 0, 172, 16, 0, 4);
    add_route(2, 0, RTNH_F_LINKDOWN, RT_TABLE_MAIN);  // its cable is out
    add_route(2, 1, 0, 100);                          // for others
    add_route(3, 600, 0, RT_TABLE_MAIN);
    add_route(4, 100, 0, RT_TABLE_MAIN);
    add_route(3, 100, 0, RT_TABLE_MAIN);
    CHECK_STR(choose(), "172.16.0.4");
}

static void test_an_address_that_a_router_gave_is_before_one_of_its_own(void)
{
    begin();
    add_route(2, 0, 0, RT_TABLE_MAIN);
    add_address(2, 0, 169, 254, 7, 7);
    add_address(2, IFA_F_SECONDARY, 10, 0, 0, 3);
    add_address(2, 0, 10, 0, 0, 2);
    CHECK_STR(choose(), "10.0.0.2");

    begin();
    add_address(2, 0, 169, 254, 7, 7);
    CHECK_STR(choose(), "169.254.7.7");
}

static void test_the_address_that_the_route_prefers_is_first(void)
{
    const uint8_t source[4] = { 10, 0, 0, 3 };
    struct rtmsg route = { .rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNICAST };
    struct nlmsghdr *header;
    int interface = 2;

    begin();
    header = begin_message(RTM_NEWROUTE);
    add(&route, sizeof(route));
    add_attribute(RTA_OIF, &interface, sizeof(interface));
    add_attribute(RTA_PREFSRC, source, sizeof(source));
    end_message(header);
    add_address(2, 0, 10, 0, 0, 2);
    add_address(2, IFA_F_SECONDARY, 10, 0, 0, 3);
    CHECK_STR(choose(), "10.0.0.3");
}

static void test_of_a_route_with_several_ways_the_first_that_can_be_used(void)
{
    struct rtmsg route = { .rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNICAST };
    const struct rtnexthop hops[] = {
        { .rtnh_len = sizeof(hops[0]), .rtnh_ifindex = 2, .rtnh_flags = RTNH_F_DEAD },
        { .rtnh_len = sizeof(hops[0]), .rtnh_ifindex = 3 },
    };
    struct nlmsghdr *header;

    begin();
    header = begin_message(RTM_NEWROUTE);
    add(&route, sizeof(route));
    add_attribute(RTA_MULTIPATH, hops, sizeof(hops));
    end_message(header);
    add_address(2, 0, 10, 0, 0, 2);
    add_address(3, 0, 10, 0, 1, 3);
    CHECK_STR(choose(), "10.0.1.3");
}

static void test_of_a_line_from_point_to_point_the_own_end(void)
{
    struct ifaddrmsg message = { .ifa_family = AF_INET, .ifa_index = 2 };
    const uint8_t local[4] = { 10, 0, 0, 1 }, far[4] = { 10, 0, 0, 2 };
    struct nlmsghdr *header;

    begin();
    header = begin_message(RTM_NEWADDR);
    add(&message, sizeof(message));
    add_attribute(IFA_LOCAL, local, sizeof(local));
    add_attribute(IFA_ADDRESS, far, sizeof(far));
    end_message(header);
    CHECK_STR(choose(), "10.0.0.1");
}

static void test_the_end_of_an_answer_and_its_errors_are_told(void)
{
    struct nlmsghdr *header;
    const int error = -EPERM, none = 0;

    begin();
    header = begin_message(NLMSG_DONE);
    end_message(header);
    CHECK_EQ(take(), 1);

    begin();
    header = begin_message(NLMSG_ERROR);
    add(&error, sizeof(error));
    end_message(header);
    CHECK_EQ(take(), -EPERM);

    begin();
    header = begin_message(NLMSG_ERROR);
    add(&none, sizeof(none));
    end_message(header);
    CHECK_EQ(take(), -EBADMSG);

    begin();
    add_address(2, 0, 10, 0, 0, 2);
    ((struct nlmsghdr *) sent.bytes)->nlmsg_flags = NLM_F_DUMP_INTR;
    CHECK_EQ(take(), -EAGAIN);
}

static void test_a_message_that_is_cut_or_lies_about_its_length_does_no_harm(void)
{
    size_t size;

    begin();
    add_route(2, 5, 0, RT_TABLE_MAIN);
    add_address(2, 0, 10, 0, 0, 2);
    size = sent.size;
    for (size_t i = 0; i < size; i++) {
        table = (struct address_table){};
        CHECK(address_take(&table, sent.bytes, i) <= 0);
    }
    for (size_t i = 0; i < size; i++) {
        uint8_t kept = sent.bytes[i];

        for (unsigned value = 0; value < 256; value++) {
            sent.bytes[i] = (uint8_t) value;
            table = (struct address_table){};
            (void) !address_take(&table, sent.bytes, size);
            (void) address_choose(&table, text);
        }
        sent.bytes[i] = kept;
    }
}

static void test_more_addresses_than_are_kept_do_no_harm(void)
{
    begin();
    for (unsigned i = 0; i < ADDRESS_MAX + 10; i++) {
        add_address(2, 0, 10, 0, 1, (uint8_t) i);
        CHECK_EQ(take(), 0);
    }
    CHECK_STR(choose(), "10.0.1.0");
}

static void test_the_kernel_tells_of_this_machine(void)
{
    unsigned a, b, c, d;

    CHECK_EQ(address_find(text), 0);
    CHECK_EQ(sscanf(text, "%u.%u.%u.%u", &a, &b, &c, &d), 4);
}

TESTS(test_without_anything_it_is_that_of_the_loopback, test_the_interface_of_the_default_route_is_first,
      test_of_several_default_routes_the_one_that_the_kernel_takes,
      test_an_address_that_a_router_gave_is_before_one_of_its_own, test_the_address_that_the_route_prefers_is_first,
      test_of_a_route_with_several_ways_the_first_that_can_be_used, test_of_a_line_from_point_to_point_the_own_end,
      test_the_end_of_an_answer_and_its_errors_are_told,
      test_a_message_that_is_cut_or_lies_about_its_length_does_no_harm, test_more_addresses_than_are_kept_do_no_harm,
      test_the_kernel_tells_of_this_machine)
