/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "app/base/file.h"
#include "drivers/serial.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <sys/file.h>
#include <sys/stat.h>
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
        CHECK_STR(cases[i].kind == ENDPOINT_SERIAL ? endpoint.path : endpoint.host, cases[i].place);
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
                                       "tcp:host:0x1F6", "tcp:host: 502" };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct endpoint endpoint = { .kind = ENDPOINT_TCP, .host = "kept" };
        const char *problem = NULL;

        if (endpoint_parse(bad[i], &endpoint, &problem) != -EINVAL) {
            fail_msg("'%s' is no endpoint", bad[i]);
        }
        CHECK_HAS(problem, "'tcp:HOST:PORT'");
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

/* A tree in place of "/". */
static char root[] = "/tmp/meterstick-serial-XXXXXX";

static void put(const char *path, const char *content)
{
    char whole[256], directory[256];

    CHECK_EQ(file_path(whole, sizeof(whole), root, path), 0);
    CHECK_EQ(text_copy(directory, sizeof(directory), whole), 0);
    *strrchr(directory, '/') = '\0';
    CHECK_EQ(file_make_directories(directory, 0755), 0);
    CHECK_EQ(file_replace(whole, content, strlen(content), 0644, false), 0);
}

/* A tty whose USB device has a product name, three directories above it as with FTDI's. */
static void plug(const char *name, const char *product)
{
    char path[128], link[256], target[128];

    (void) snprintf(path, sizeof(path), "sys/devices/%s-usb/interface/%s/x", name, name);
    put(path, "");
    if (product) {
        (void) snprintf(path, sizeof(path), "sys/devices/%s-usb/product", name);
        put(path, product);
    }
    (void) snprintf(path, sizeof(path), "sys/class/tty/%s/dev", name);
    put(path, "188:0\n");
    (void) snprintf(link, sizeof(link), "%s/sys/class/tty/%s/device", root, name);
    (void) snprintf(target, sizeof(target), "../../../devices/%s-usb/interface/%s", name, name);
    CHECK_EQ(symlink(target, link), 0);
}

static const char *listed(void)
{
    static struct text list;

    text_reset(&list);
    CHECK(serial_list(root, &list) >= 0);
    // without the root, which changes each time
    for (char *place; list.data && (place = strstr(list.data, root));) {
        memmove(place, place + strlen(root), strlen(place + strlen(root)) + 1);
    }
    return text_string(&list);
}

static void remove_tree(void)
{
    char command[64];

    (void) snprintf(command, sizeof(command), "rm -r %s", root);
    CHECK_EQ(system(command), 0);
}

static void test_adapters_are_listed_usb_first_and_uarts_only_with_hardware(void)
{
    auto_text struct text tried = { 0 };
    char path[PATH_SIZE];

    CHECK(mkdtemp(root));
    CHECK_STR(listed(), "");
    CHECK_EQ(serial_find_only(root, path, sizeof(path), &tried), -ENOENT);
    CHECK_STR(text_string(&tried), "/dev/ttyUSB*, /dev/ttyACM*, /dev/ttyAMA*, /dev/ttyS*");

    put("sys/class/tty/ttyS0/type", "4\n");
    put("sys/class/tty/ttyS1/type", "0\n");
    put("sys/class/tty/tty1/dev", "4:1\n");
    put("sys/class/tty/ttyprintk/dev", "5:3\n");
    put("sys/class/tty/console/dev", "5:1\n");
    CHECK_STR(listed(), "/dev/ttyS0\tserial port\t\n");
    CHECK_EQ(serial_find_only(root, path, sizeof(path), NULL), 0);
    CHECK_STR(path + strlen(root), "/dev/ttyS0");

    put("sys/class/tty/ttyAMA0/dev", "204:64\n");
    CHECK_EQ(serial_find_only(root, path, sizeof(path), NULL), -ENOTUNIQ);

    // one that somebody plugged in is meant before the board's own
    plug("ttyUSB10", "FT232R USB UART\n");
    CHECK_EQ(serial_find_only(root, path, sizeof(path), NULL), 0);
    CHECK_STR(path + strlen(root), "/dev/ttyUSB10");

    plug("ttyUSB2", NULL);
    put("dev/serial/by-id/x", "");
    CHECK_EQ(chdir(root), 0);
    CHECK_EQ(symlink("../../ttyUSB10", "dev/serial/by-id/usb-FTDI_FT232R_A1-if00-port0"), 0);
    CHECK_EQ(symlink("../../ttyUSB1", "dev/serial/by-id/usb-other"), 0);
    CHECK_EQ(chdir("/"), 0);
    CHECK_STR(listed(), "/dev/ttyUSB2\tUSB serial adapter\t\n"
                        "/dev/ttyUSB10\tFT232R USB UART\t/dev/serial/by-id/usb-FTDI_FT232R_A1-if00-port0\n"
                        "/dev/ttyAMA0\tserial port\t\n"
                        "/dev/ttyS0\tserial port\t\n");
    text_reset(&tried);
    CHECK_EQ(serial_find_only(root, path, sizeof(path), &tried), -ENOTUNIQ);
    CHECK_HAS(text_string(&tried), "/dev/ttyUSB2, ");
    CHECK_HAS(text_string(&tried), "/dev/ttyUSB10, ");
    remove_tree();
}

TESTS(test_settings_are_read_and_written_the_same, test_impossible_settings_are_refused,
      test_characters_and_silences_take_their_time, test_endpoints_are_read_and_written_the_same,
      test_what_is_no_endpoint_is_refused_with_what_is_allowed, test_a_device_is_opened_raw_with_its_setting,
      test_bytes_from_before_the_opening_are_nobodys, test_a_device_in_use_is_busy_until_it_is_closed,
      test_what_is_no_serial_device_is_told_apart,
      test_adapters_are_listed_usb_first_and_uarts_only_with_hardware)
