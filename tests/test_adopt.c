/* SPDX-License-Identifier: MIT */
// link: ms_config
#include "app/config/adopt.h"

#include "app/base/file.h"
#include "app/config/closed.h"
#include "app/config/config.h"
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define METER "[meter m]\nmodel = schneider-iem2150\n"
#define PLAIN "[bus b]\nport = auto\n" METER

/* What the card has, and beside it what is to be adopted. */
static int adopt(const char *card, const char *text, size_t size, struct problems *problems, bool *ret_configure,
                 struct config **ret)
{
    char path[] = "/tmp/test-adopt-XXXXXX";
    int fd = mkstemp(path), r;

    CHECK(fd >= 0);
    CHECK_EQ(file_write_all(fd, card, strlen(card)), 0);
    CHECK_EQ(close(fd), 0);
    r = config_load_adopting(path, "meterstick.conf", text, size, problems, ret_configure, ret);
    CHECK_EQ(unlink(path), 0);
    return r;
}

static void check_refused(const char *card, const char *text, size_t size, const char *expect)
{
    auto_problems struct problems problems = { 0 };
    auto_config struct config *config = NULL;
    bool configure;
    int r = adopt(card, text, size, &problems, &configure, &config);

    if (r != -EINVAL || !strstr(problems_text(&problems), expect)) {
        fail_msg("%.200s\ngives %d\n%s\nand not\n%s", text, r, problems_text(&problems), expect);
    }
    CHECK(configure);
}

static void test_every_key_of_the_closed_set_is_adopted(void)
{
    static const char text[] =
        "\xEF\xBB\xBF# from a stick\r\n[appliance]\r\nname = cellar\r\ninterval = 5 s\r\ntimezone = Europe/Berlin\r\n"
        "[leds]\r\nbrightness = 40 %\r\ncolours = code\r\n"
        "[bus a]\r\nport = /dev/ttyUSB3\r\nserial = 19200 8E1\r\nrs485 = kernel\r\ntimeout = 300 ms\r\n"
        "[meter m]\r\nbus = a\r\nmodel = circutor-cvm-nrg96\r\ndriver = modbus\r\naddress = 17\r\nserial = 9600 8N1\r\n"
        "interval = 1 s\r\nlog = voltage_l1_n, energy*\r\nlog_every = 12 s\r\nmax_power = 650 kW\r\n"
        "bounds.voltage = 0 .. 20 kV\r\nmessage_size = 20\r\ntimeout = 200 ms\r\nlabel = K\xC3\xBC" "che\r\n"
        "location = Hall 1\r\nword_order = BIG\r\nbyte_order = BIG\r\naddresses = from 0\r\n"
        "[meter h]\r\nbus = a\r\nmodel = hdhk-hdxxaxxa16gk\r\naddress = 9\r\ninput.c = Server room, 10\r\n";
    auto_problems struct problems problems = { 0 };
    auto_config struct config *config = NULL;
    bool configure = false;
    int r = adopt("[appliance]\nname = old\nlog_level = debug\n", text, strlen(text), &problems, &configure, &config);

    CHECK_STR(problems_text(&problems), "");
    CHECK_EQ(r, 0);
    CHECK(configure);
    CHECK_STR(config->appliance.name, "cellar");
    CHECK_STR(config->appliance.log_level, "debug");
    CHECK_EQ(config->meter_count, 2);
    CHECK_EQ(config->meters[0].address, 17);
    CHECK_EQ(config->leds.brightness_percent, 40);
}

/* The card's own configuration may say these; a stick may not, whatever they say. */
static void test_what_runs_or_writes_or_goes_elsewhere_stays_on_the_card(void)
{
    static const char *const entries[] = {
        "[meter m]\ndriver = exec", "[meter m]\ncommand = reboot", "[meter m]\ncolumns = power_active",
        "[appliance]\nlog_file = /tmp/x", "[appliance]\nlog_level = debug", "[appliance]\nclock = trusted",
        "[bus b]\nlock = /rs485", "[bus b]\nlock = none", "[journal]\nkeep = 7 days", "[journal]\nbudget = 1 MiB",
        "[journal]\ncommit = 1 s", "[journal]\nkeep_words = yes", "[stick]\nconfigure = yes", "[stick]\nburst = 5 s",
        "[stick]\ncsv = energy-scribe", "[meter m]\nmodel = ../../tmp/evil", "[meter m]\nmodel = /tmp/evil.meter",
        "[meter m]\nmodel = evil.meter", "[meter m]\nmodel = ..",
    };

    for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
        auto_text struct text text = { 0 };
        char expect[120];

        text_addf(&text, "%s\n", entries[i]);
        (void) snprintf(expect, sizeof(expect), "meterstick.conf:2: %s: ", strchr(entries[i], '\n') + 1);
        check_refused(PLAIN, text.data, text.size, expect);
    }
}

static const struct { const char *port; bool good; } ports[] = {
    { "auto", true },
    { "/dev/ttyUSB0", true },
    { "/dev/ttyAMA0", true },
    { "/dev/tty.usb_1-2", true },
    { "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0", true },
    { "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.2:1.0-port0", true },
    { "/dev/serial/by-id/usb-1a86_USB\\x20Serial@2,1=0-if00", true },
    { "/dev/serial0", false },
    { "tcp:192.168.1.20:502", true },
    { "tcp:meter-1.example", true },
    { "tcp:[fe80::1%eth0]:502", true },
    { "rtu-tcp:gateway:8899", true },
    { "/dev/tty/../sda", false },
    { "/dev/ttyUSB0/../sda", false },
    { "/dev/tty/", false },
    { "/dev/../dev/ttyUSB0", false },
    { "//dev/ttyUSB0", false },
    { "/dev//ttyUSB0", false },
    { "/dev/serial/../../etc/passwd", false },
    { "/dev/serial/by-id/../../sda", false },
    { "/dev/serial/by-id/..", false },
    { "/dev/serial/..", false },
    { "/dev/serial/", false },
    { "/dev/serial/by-id/", false },
    { "/dev/serial/by-id", true },  // no serial port, as the bus will say
    { "/dev/serial/by-other/x", false },
    { "/dev/serial/by-id/a/b", false },
    { "/dev/pts/3", false },
    { "/dev/sda", false },
    { "/etc/passwd", false },
    { "usb:1-1.2", false },
    { "serial:A50285BI", false },
    { "tcp:/run/x.sock", false },
    { "tcp:host:0", false },
    { "tcp:a b", false },
    { "tcp:$(reboot)", false },
    { "exec:reboot", false },
    { "AUTO", false },
    { "", false },
};

static void test_ports_are_named_in_four_ways_only(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
        auto_problems struct problems problems = { 0 };
        auto_config struct config *config = NULL;
        auto_text struct text text = { 0 };
        bool configure;
        int r;

        text_addf(&text, "[bus b]\nport = %s\n" METER, ports[i].port);
        r = adopt("", text.data, text.size, &problems, &configure, &config);
        if (r != (ports[i].good ? 0 : -EINVAL)) {
            fail_msg("port = %s gives %d\n%s", ports[i].port, r, problems_text(&problems));
        }
        if (!ports[i].good) {
            CHECK_HAS(problems_text(&problems), "meterstick.conf:2: port = ");
        }
    }
}

#define BYTES(text) text, sizeof(text) - 1

/* What somebody, or a dying stick, might put there. */
static const struct { const char *text; size_t size; const char *expect; } hostile[] = {
    { BYTES("[appliance]\nname = a\0b\n"), "meterstick.conf:2: a NUL byte" },
    { BYTES("\0\0\0\0\0\0\0\0"), "meterstick.conf:1: a NUL byte" },
    { BYTES("\xFF\xFE[\0a\0]\0"), "meterstick.conf:1: UTF-16 text; save the file as UTF-8" },
    { BYTES("\xFE\xFF\0[\0a\0]"), "meterstick.conf:1: UTF-16 text" },
    { BYTES("[appliance]\nname = \xE9t\xE9\n"), "meterstick.conf:2: bytes that are not UTF-8" },
    { BYTES("[meter m]\nlabel = \x1b]0;evil\x07\n"), "label = ?]0;evil?: it has control characters" },
    { BYTES("[meter m]\nlocation = a\rb\n"), "meterstick.conf:2: location = a?b: it has control characters" },
    { BYTES("[meter m]\nlabel = \xC2\x9b" "2J\n"), "it has control characters" },
    { BYTES("include = /etc/passwd\n"), "meterstick.conf:1: 'include' stands before the first [section]" },
    { BYTES("[include]\nfile = /etc/passwd\n"), "meterstick.conf:1: unknown section [include]" },
    { BYTES("@include /etc/passwd\n"), "meterstick.conf:1: '@include /etc/passwd' is neither" },
    { BYTES(".include /etc/passwd\n"), "meterstick.conf:1: '.include /etc/passwd' is neither" },
    { BYTES("[appliance]\ninclude = /etc/passwd\n"), "meterstick.conf:2: unknown key 'include' in [appliance]" },
    { BYTES("[bus ../../etc]\nport = auto\n"), "meterstick.conf:1: [bus ../../etc]: a name has small letters" },
    { BYTES("[meter con]\nmodel = schneider-iem2150\n"), "none that Windows" },
    { BYTES("[appliance]\nname = ../../x\n"), "meterstick.conf:2: name = ../../x: small letters" },
    { BYTES("[appliance]\ntimezone = ../../etc/passwd\n"), "meterstick.conf:2: timezone = ../../etc/passwd: no such" },
    { BYTES("[appliance]\ntimezone = /etc/passwd\n"), "meterstick.conf:2: timezone = /etc/passwd: no such" },
    { BYTES("[appliance]\ntimezone = :/etc/passwd\n"), "meterstick.conf:2: timezone = :/etc/passwd: no such" },
    { BYTES("[{\"id\": 1, \"port\": \"/dev/sda\"}]\n"), "meterstick.conf:1: bad section header" },
    { BYTES("\x7F" "ELF\x02\x01\x01"), "meterstick.conf:1: '?ELF?" },
};

static void test_hostile_text_is_refused_with_its_line(void)
{
    auto_text struct text line = { 0 };

    for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
        check_refused(PLAIN, hostile[i].text, hostile[i].size, hostile[i].expect);
    }

    text_add(&line, "[appliance]\nname = ");
    for (unsigned i = 0; i < 2 * MAX_LINE_SIZE; i++) {
        text_add_char(&line, 'a');
    }
    check_refused(PLAIN, line.data, line.size, "meterstick.conf:2: a line of 2007 bytes");
}

/* The worst that fits: it is read in moments. */
static void test_as_many_lines_as_fit_are_an_answer_too(void)
{
    auto_text struct text text = { 0 };

    text_add(&text, "[appliance]\n");
    while (text.size + 16 < CLOSED_MAX_SIZE) {
        text_addf(&text, "%zx=\n", text.size);
    }
    check_refused(PLAIN, text.data, text.size, "meterstick.conf:2: unknown key");
}

static void test_all_faults_are_told_at_once_those_of_the_card_too(void)
{
    auto_problems struct problems problems = { 0 };
    auto_config struct config *config = NULL;
    static const char text[] = "[meter m]\nmodle = x\n[stick]\nconfigure = yes\n[bus c]\nport = /dev/sda\n[oops\n";
    bool configure = true;

    CHECK_EQ(adopt("[stick]\nconfigure = no\n[journal]\nkeep = 3\n" PLAIN, text, strlen(text), &problems, &configure,
                   &config), -EINVAL);
    CHECK(!configure);  // what the card says, not what the stick says
    CHECK_HAS(problems_text(&problems), "meterstick.conf:2: unknown key 'modle' in [meter], did you mean 'model'?");
    CHECK_HAS(problems_text(&problems), "meterstick.conf:4: configure = yes: this cannot be adopted");
    CHECK_HAS(problems_text(&problems), "meterstick.conf:6: port = /dev/sda: of ports only");
    CHECK_HAS(problems_text(&problems), "meterstick.conf:7: bad section header");
    CHECK_HAS(problems_text(&problems), "test-adopt-");
}

static void test_it_is_written_once_and_whole(void)
{
    char directory[] = "/tmp/test-adopt-XXXXXX", path[128];
    auto_free char *text = NULL;
    struct stat before, after;
    size_t size;

    CHECK(mkdtemp(directory));
    (void) snprintf(path, sizeof(path), "%s/" ADOPT_FILE, directory);
    CHECK_EQ(adopt_write(directory, "one", 3), 0);
    CHECK_EQ(stat(path, &before), 0);
    CHECK_EQ(adopt_write(directory, "one", 3), 0);
    CHECK_EQ(stat(path, &after), 0);
    CHECK_EQ(before.st_ino, after.st_ino);
    CHECK_EQ(adopt_write(directory, "other", 5), 0);
    CHECK_EQ(file_read(path, 100, &text, &size), 0);
    CHECK_STR(text, "other");
    CHECK_EQ(adopt_write("/nowhere", "x", 1), -ENOENT);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(directory), 0);
}

TESTS(test_every_key_of_the_closed_set_is_adopted, test_what_runs_or_writes_or_goes_elsewhere_stays_on_the_card,
      test_ports_are_named_in_four_ways_only, test_hostile_text_is_refused_with_its_line,
      test_as_many_lines_as_fit_are_an_answer_too, test_all_faults_are_told_at_once_those_of_the_card_too,
      test_it_is_written_once_and_whole)
