/* SPDX-License-Identifier: MIT */
// link: ms_config
#include "tests/test.h"

#include "app/config/sharing.h"

#include <pty.h>
#include <stdlib.h>
#include <unistd.h>

/* Four buses in reading order, as a configuration has them; "-": there is no such key. */
static const struct {
    const char *says;
    const char *ports[4], *locks[4];
    const char *names[4];                 // expected; "": it is not shared
    bool pty_too[4];
} cases[] = {
    { "the first has /rs485, the others their own name",
      { "/dev/ttyUSB0", "/dev/ttyUSB1", "/dev/ttyAMA0", "auto" },
      { "-", "-", "-", "-" },
      { "/rs485", "/rs485-b", "/rs485-c", "/rs485-d" },
      { false, false, false, false } },
    { "connections do not count",
      { "tcp:10.0.0.1", "rtu-tcp:10.0.0.2:4001", "usb:1-1.2", "serial:A50285BI" },
      { "-", "/rs485", "-", "-" },
      { "", "", "/rs485", "/rs485-d" },
      { false, true, false, false } },
    { "lock = says otherwise, and leaves the others as they are",
      { "/dev/ttyUSB0", "/dev/ttyUSB1", "/dev/ttyUSB2", "/dev/ttyUSB3" },
      { "/meters", "-", "none", "/rs485" },
      { "/meters", "/rs485-b", "", "/rs485" },
      { true, false, true, true } },
    { "a port that others must not share still is the first",
      { "/dev/ttyUSB0", "/dev/ttyUSB1", "/dev/ttyUSB2", "tcp:[::1]" },
      { "none", "-", "-", "none" },
      { "", "/rs485-b", "/rs485-c", "" },
      { true, false, false, true } },
};

static void load(const char *const *ports, const char *const *locks, struct config **ret)
{
    auto_problems struct problems problems = { 0 };
    auto_text struct text text = { 0 };

    for (unsigned i = 0; i < 4; i++) {
        text_addf(&text, "[bus %c]\nport = %s\n", 'a' + i, ports[i]);
        if (strcmp(locks[i], "-") != 0) {
            text_addf(&text, "lock = %s\n", locks[i]);
        }
    }
    if (config_load_text("test.conf", text_string(&text), text.size, &problems, ret) < 0) {
        fail_msg("%s", problems_text(&problems));
    }
}

static void test_each_port_has_the_semaphore_that_the_design_gives_it(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_config struct config *config = NULL;

        load(cases[i].ports, cases[i].locks, &config);
        CHECK_EQ(config->bus_count, 4);
        for (int bus = 0; bus < 4; bus++) {
            struct sharing sharing;

            sharing_decide(config, bus, &config->buses[bus].port, &sharing);
            if (strcmp(sharing.name, cases[i].names[bus]) != 0 || sharing.pty_too != cases[i].pty_too[bus]) {
                fail_msg("%s: bus %c has \"%s\" (%d)", cases[i].says, 'a' + bus, sharing.name, sharing.pty_too);
            }
        }
    }
}

static void test_a_port_that_nobody_configured_has_the_default_name(void)
{
    static const struct { const char *port, *name; } ports[] = {
        { "/dev/ttyUSB7", "/rs485" }, { "auto", "/rs485" }, { "tcp:10.0.0.1", "" }, { "rtu-tcp:10.0.0.1", "" },
    };
    struct sharing sharing;
    struct endpoint port;

    for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
        CHECK_EQ(endpoint_parse(ports[i].port, &port, NULL), 0);
        sharing_decide(NULL, SHARING_NO_BUS, &port, &sharing);
        CHECK_STR(sharing.name, ports[i].name);
        CHECK(!sharing.pty_too);
    }
}

static void test_a_bus_is_found_by_its_device_whatever_its_name(void)
{
    auto_config struct config *config = NULL;
    auto_close int master = -1, slave = -1, other_master = -1, other = -1;
    char directory[] = "/tmp/meterstick-sharing-XXXXXX", link[64], path[64], other_path[64];
    const char *ports[4] = { "tcp:10.0.0.1", "/dev/no-such-port", link, "auto" };
    const char *locks[4] = { "-", "-", "-", "-" };
    struct endpoint port = { .kind = ENDPOINT_SERIAL };

    CHECK_EQ(openpty(&master, &slave, path, NULL, NULL), 0);
    CHECK_EQ(openpty(&other_master, &other, other_path, NULL, NULL), 0);
    CHECK(mkdtemp(directory));
    (void) snprintf(link, sizeof(link), "%s/wire", directory);
    CHECK_EQ(symlink(path, link), 0);
    load(ports, locks, &config);

    CHECK_EQ(text_copy(port.path, sizeof(port.path), path), 0);
    CHECK_EQ(sharing_find_bus(config, &port), 2);
    CHECK_EQ(text_copy(port.path, sizeof(port.path), link), 0);
    CHECK_EQ(sharing_find_bus(config, &port), 2);
    CHECK_EQ(text_copy(port.path, sizeof(port.path), other_path), 0);
    CHECK_EQ(sharing_find_bus(config, &port), SHARING_NO_BUS);
    CHECK_EQ(text_copy(port.path, sizeof(port.path), "/dev/no-such-port"), 0);
    CHECK_EQ(sharing_find_bus(config, &port), SHARING_NO_BUS);
    CHECK_EQ(sharing_find_bus(config, &(struct endpoint){ .kind = ENDPOINT_TCP }), SHARING_NO_BUS);
    (void) unlink(link);
    (void) rmdir(directory);
}

TESTS(test_each_port_has_the_semaphore_that_the_design_gives_it,
      test_a_port_that_nobody_configured_has_the_default_name, test_a_bus_is_found_by_its_device_whatever_its_name)
