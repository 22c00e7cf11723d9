/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "drivers/line_open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <pty.h>
#include <sys/file.h>
#include <termios.h>

static const struct serial_setting at_9600 = { 9600, 'N', 8, 1 };

static void test_settings_are_read_and_written_the_same(void)
{
    static const char *const good[] = { "9600 8N1", "19200 8E1", "300 7O2", "115200 8N2", "230400 8N1", "57600 8E1" };
    char text[SERIAL_SETTING_SIZE];
    struct serial_setting setting;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        CHECK_EQ(serial_setting_parse(good[i], &setting), 0);
        CHECK_STR(serial_setting_text(&setting, text), good[i]);
    }
    CHECK_EQ(serial_setting_parse("9600 8n1", &setting), 0);
    CHECK_STR(serial_setting_text(&setting, text), "9600 8N1");
    CHECK_EQ(serial_setting_parse("19200 8E1", &setting), 0);
    CHECK(setting.baud == 19200 && setting.data_bits == 8 && setting.parity == 'E' && setting.stop_bits == 1);
}

static void test_impossible_settings_are_refused(void)
{
    static const char *const bad[] = { "", "9600", "9600 8N", "9600 8N1 ", "9600 8N11", "9600 9N1", "9600 6N1",
                                       "9600 8X1",
                                       "9600 8N3", "9600 8N0", "9601 8N1", "0 8N1", "-9600 8N1", "96008N1", "1152008N1",
                                       "9600,8N1", "9600 8 N 1", "8N1 9600", "9600  8N1", " 9600 8N1", "460800 8N1",
                                       "9600 8{1" };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct serial_setting setting = at_9600;

        if (serial_setting_parse(bad[i], &setting) != -EINVAL) {
            fail_msg("'%s' is no setting", bad[i]);
        }
        CHECK(setting.baud == 9600 && setting.parity == 'N');
    }
}

static void test_characters_and_silences_take_their_time(void)
{
    static const struct { struct serial_setting setting; double character_us, silence_us; } cases[] = {
        { { 9600, 'N', 8, 1 }, 1041.6667, 3645.8333 },   { { 9600, 'E', 8, 1 }, 1145.8333, 4010.4167 },
        { { 9600, 'N', 8, 2 }, 1145.8333, 4010.4167 },   { { 19200, 'E', 8, 1 }, 572.9167, 2005.2083 },
        { { 38400, 'N', 8, 1 }, 260.4167, 1750 },        { { 115200, 'N', 8, 1 }, 86.8056, 1750 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_NEAR(serial_character_us(&cases[i].setting), cases[i].character_us, 1e-3);
        CHECK_NEAR(serial_silence_us(&cases[i].setting), cases[i].silence_us, 1e-3);
    }
}

static void test_endpoints_are_read_and_written_the_same(void)
{
    static const struct { const char *text; enum endpoint_kind kind; const char *place, *service, *again; } cases[] = {
        { "auto", ENDPOINT_AUTO, "", "", "auto" },
        { "/dev/ttyUSB0", ENDPOINT_SERIAL, "/dev/ttyUSB0", "", "/dev/ttyUSB0" },
        { "/dev/serial/by-id/usb-FTDI_x:y", ENDPOINT_SERIAL, "/dev/serial/by-id/usb-FTDI_x:y", "",
          "/dev/serial/by-id/usb-FTDI_x:y" },
        { "usb:1-1.2", ENDPOINT_USB_SOCKET, "1-1.2", "", "usb:1-1.2" },
        { "usb:2-1", ENDPOINT_USB_SOCKET, "2-1", "", "usb:2-1" },
        { "usb:10-1.2.3.4:1.1", ENDPOINT_USB_SOCKET, "10-1.2.3.4:1.1", "", "usb:10-1.2.3.4:1.1" },
        { "usb:1-1:1.0-port2", ENDPOINT_USB_SOCKET, "1-1:1.0-port2", "", "usb:1-1:1.0-port2" },
        { "serial:A50285BI", ENDPOINT_USB_NUMBER, "A50285BI", "", "serial:A50285BI" },
        { "serial:FT:1.0", ENDPOINT_USB_NUMBER, "FT:1.0", "", "serial:FT:1.0" },
        { "tcp:meter.local", ENDPOINT_TCP, "meter.local", "502", "tcp:meter.local:502" },
        { "tcp:192.0.2.7:1502", ENDPOINT_TCP, "192.0.2.7", "1502", "tcp:192.0.2.7:1502" },
        { "rtu-tcp:gateway:4001", ENDPOINT_RTU_TCP, "gateway", "4001", "rtu-tcp:gateway:4001" },
        { "tcp:[::1]:503", ENDPOINT_TCP, "::1", "503", "tcp:[::1]:503" },
        { "tcp:[2001:db8::7]", ENDPOINT_TCP, "2001:db8::7", "502", "tcp:[2001:db8::7]:502" },
        { "rtu-tcp:[fe80::1%eth0]:65535", ENDPOINT_RTU_TCP, "fe80::1%eth0", "65535", "rtu-tcp:[fe80::1%eth0]:65535" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct endpoint endpoint;
        char text[ENDPOINT_TEXT_SIZE];

        CHECK_EQ(endpoint_parse(cases[i].text, &endpoint, NULL), 0);
        CHECK_EQ(endpoint.kind, cases[i].kind);
        CHECK_STR(endpoint_is_serial(&endpoint) ? endpoint.path : endpoint.host, cases[i].place);
        CHECK_EQ(endpoint_is_serial(&endpoint), !*cases[i].service);
        CHECK_STR(endpoint.service, cases[i].service);
        CHECK_STR(endpoint_text(&endpoint, text), cases[i].again);
    }
}

static void test_what_is_no_endpoint_is_refused_with_what_is_allowed(void)
{
    static const char *const bad[] = { "", "ttyUSB0", "COM3", "Auto", "tcp", "tcp:", "tcp::502", "tcp:host:",
                                       "tcp:host:0",
                                       "tcp:host:65536", "tcp:host:http", "tcp:host:-1", "tcp:::1", "tcp:::1:502",
                                       "tcp:[::1",
                                       "tcp:[]:502", "tcp:[::1]x:502", "tcp:a b:502", "tcp:host/x:502", "udp:host:502",
                                       "tcp:host:0x1F6", "tcp:host: 502",
                                       "usb", "usb:", "usb:1", "usb:1-", "usb:-1", "usb:1-1.", "usb:1-1:", "usb:1-1:1.",
                                       "usb:1-1x", "usb:1-1/../x", "usb:1-1:1.0-port", "usb:1-1:1.0-portx",
                                       "usb:ttyUSB0", "usb:1-1-2", "serial:", "serial:A B", "serial:../x" };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct endpoint endpoint = { .kind = ENDPOINT_TCP, .host = "kept" };
        const char *problem = NULL;

        if (endpoint_parse(bad[i], &endpoint, &problem) != -EINVAL) {
            fail_msg("'%s' is no endpoint", bad[i]);
        }
        CHECK_HAS(problem, "'tcp:HOST:PORT'");
        CHECK_HAS(problem, "'usb:SOCKET'");
        CHECK_STR(endpoint.host, "kept");
    }
}

/* A pseudo terminal: the other end's descriptor, and its name. */
static int open_pty(char *ret_name)
{
    int master, slave;

    CHECK_EQ(openpty(&master, &slave, ret_name, NULL, NULL), 0);
    (void) close(slave);
    return master;
}

static void test_a_device_is_opened_raw_with_its_setting(void)
{
    static const struct serial_setting odd = { 19200, 'O', 7, 2 };
    char name[64];
    auto_close int master = open_pty(name);
    auto_close int fd = serial_open(name, &odd);
    struct termios terminal;

    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_EQ(tcgetattr(fd, &terminal), 0);
    CHECK_EQ(cfgetospeed(&terminal), B19200);
    CHECK_EQ(cfgetispeed(&terminal), B19200);
    CHECK_EQ(terminal.c_lflag & (ICANON | ECHO | ISIG), 0);
    CHECK_EQ(terminal.c_iflag & (ICRNL | IXON | ISTRIP), 0);
    CHECK_EQ(terminal.c_oflag & OPOST, 0);
    CHECK(terminal.c_cflag & PARODD);
    CHECK(terminal.c_cflag & CSTOPB);
    CHECK(terminal.c_cflag & CLOCAL);

    CHECK_EQ(serial_configure(fd, &at_9600), 0);
    CHECK_EQ(tcgetattr(fd, &terminal), 0);
    CHECK_EQ(cfgetospeed(&terminal), B9600);
    CHECK_EQ(terminal.c_cflag & (PARODD | CSTOPB), 0);
}

static void test_a_pseudo_terminal_has_no_parity_and_is_opened_again_all_the_same(void)
{
    static const struct serial_setting even = { 19200, 'E', 8, 1 };
    char name[64];
    auto_close int master = open_pty(name);

    for (int i = 0; i < 3; i++) {
        auto_close int fd = serial_open(name, &even);

        CHECK(fd >= 0);
        CHECK_EQ(serial_configure(fd, &even), 0);
    }
}

static void test_bytes_from_before_the_opening_are_nobodys(void)
{
    char name[64], byte;
    auto_close int master = open_pty(name);
    auto_close int keeper = open(name, O_RDWR | O_NOCTTY);
    int fd;

    CHECK_EQ(write(master, "old\n", 4), 4);
    (void) usleep(5000);
    fd = serial_open(name, &at_9600);
    CHECK(fd >= 0);
    CHECK(read(fd, &byte, 1) <= 0);
    (void) close(fd);
}

static void test_a_device_in_use_is_busy_until_it_is_closed(void)
{
    char name[64];
    auto_close int master = open_pty(name);
    int fd = serial_open(name, &at_9600);

    CHECK(fd >= 0);
    CHECK_EQ(serial_open(name, &at_9600), -EBUSY);
    (void) close(fd);
    fd = serial_open(name, &at_9600);
    CHECK(fd >= 0);
    (void) close(fd);
}

static void test_what_is_no_serial_device_is_told_apart(void)
{
    static const struct serial_setting impossible = { 12345, 'N', 8, 1 };
    char name[64];
    auto_close int master = open_pty(name);

    CHECK_EQ(serial_open("/dev/ttyNOWHERE", &at_9600), -ENOENT);
    CHECK_EQ(serial_open("/dev/null", &at_9600), -ENOTTY);
    CHECK_EQ(serial_open("/etc/passwd/x", &at_9600), -ENOTDIR);
    CHECK_EQ(serial_open("/tmp", &at_9600), -EISDIR);
    CHECK_EQ(serial_open(name, &impossible), -EINVAL);
    CHECK_EQ(serial_configure(-1, &at_9600), -EBADF);
}

static void test_a_driver_that_cannot_turn_the_transceiver_says_so(void)
{
    struct endpoint endpoint = { .kind = ENDPOINT_SERIAL, .rs485_kernel = true };
    auto_text struct text problem = { 0 };
    char name[64];
    auto_close int master = open_pty(name);
    int fd;

    CHECK_EQ(text_copy(endpoint.path, sizeof(endpoint.path), name), 0);
    CHECK_EQ(line_open_endpoint(&endpoint, &at_9600, 0, &problem), -ENOTTY);
    CHECK_HAS(text_string(&problem), name);
    CHECK_HAS(text_string(&problem), "rs485 = kernel");
    CHECK_HAS(text_string(&problem), "rs485 = adapter");

    endpoint.rs485_kernel = false;  // and the descriptor was closed: else it would be busy
    text_reset(&problem);
    fd = line_open_endpoint(&endpoint, &at_9600, 0, &problem);
    CHECK(fd >= 0);
    CHECK_STR(text_string(&problem), "");
    CHECK_EQ(serial_set_rs485(fd), -ENOTTY);
    (void) close(fd);
    fd = serial_set_rs485(-1);
    CHECK(fd == -EBADF || fd == -ENOTTY);  // the latter by qemu-user, which does not know the request
}

/* What TIOCGRS485 finds, and what TIOCSRS485 is then asked for. */
static void test_delays_and_polarity_of_the_board_stay(void)
{
    static const struct { uint32_t before, after; } cases[] = {
        { 0, SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND },
        { SER_RS485_RTS_ON_SEND | SER_RS485_RX_DURING_TX, SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND },
        { SER_RS485_RTS_AFTER_SEND, SER_RS485_ENABLED | SER_RS485_RTS_AFTER_SEND },
        { SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND | SER_RS485_TERMINATE_BUS,
          SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND | SER_RS485_TERMINATE_BUS },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(serial_rs485_flags(cases[i].before), cases[i].after);
    }
}

TESTS(test_settings_are_read_and_written_the_same, test_impossible_settings_are_refused,
      test_characters_and_silences_take_their_time, test_endpoints_are_read_and_written_the_same,
      test_what_is_no_endpoint_is_refused_with_what_is_allowed, test_a_device_is_opened_raw_with_its_setting,
      test_a_pseudo_terminal_has_no_parity_and_is_opened_again_all_the_same,
      test_bytes_from_before_the_opening_are_nobodys, test_a_device_in_use_is_busy_until_it_is_closed,
      test_what_is_no_serial_device_is_told_apart, test_a_driver_that_cannot_turn_the_transceiver_says_so,
      test_delays_and_polarity_of_the_board_stay)
