/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "app/base/file.h"
#include "drivers/serial.h"

#include <errno.h>
#include <sys/stat.h>

/* A tree in place of "/". */
static char root[] = "/tmp/meterstick-serial-XXXXXX";

static void put(const char *path, const char *content)
{
    char whole[512], directory[512];

    CHECK_EQ(file_path(whole, sizeof(whole), root, path), 0);
    CHECK_EQ(text_copy(directory, sizeof(directory), whole), 0);
    *strrchr(directory, '/') = '\0';
    CHECK_EQ(file_make_directories(directory, 0755), 0);
    CHECK_EQ(file_replace(whole, content, strlen(content), 0644, false), 0);
}

static void join(const char *target, const char *path)
{
    char whole[512], placeholder[512];

    (void) snprintf(placeholder, sizeof(placeholder), "%s.made", path);
    put(placeholder, "");
    CHECK_EQ(file_path(whole, sizeof(whole), root, path), 0);
    (void) unlink(whole);
    CHECK_EQ(symlink(target, whole), 0);
}

#define HUB "sys/devices/pci0000:00/0000:00:14.0/usb1/1-1"

/*
 * A tty of an adapter in a socket of a hub, as drivers of usb-serial make them: the tty's device has a folder and a
 * port_number below the interface. port NULL: as cdc_acm does, the tty's device is the interface.
 */
static void plug(const char *name, const char *socket, const char *interface, const char *port, const char *product,
                 const char *number)
{
    char path[256], target[300], folder[300];

    (void) snprintf(folder, sizeof(folder), HUB "/%s", socket);
    (void) snprintf(path, sizeof(path), "%s/idVendor", folder);
    put(path, "0403\n");
    if (product) {
        (void) snprintf(path, sizeof(path), "%.150s/product", folder);
        put(path, product);
    }
    if (number) {
        (void) snprintf(path, sizeof(path), "%.150s/serial", folder);
        put(path, number);
    }
    (void) snprintf(target, sizeof(target), "%.150s/%s:%s%s%s", folder, socket, interface, port ? "/" : "",
                    port ? name : "");
    (void) snprintf(path, sizeof(path), "%.200s/%s", target, port ? "port_number" : "bInterfaceNumber");
    put(path, port ? port : "00\n");
    (void) snprintf(path, sizeof(path), "sys/class/tty/%s/device", name);
    (void) snprintf(folder, sizeof(folder), "../../../../%.250s", target);
    join(folder, path);
}

static void unplug(const char *name)
{
    char command[256];

    (void) snprintf(command, sizeof(command), "rm -r %s/sys/class/tty/%s", root, name);
    CHECK_EQ(system(command), 0);
}

static void remove_tree(void)
{
    char command[128];

    (void) snprintf(command, sizeof(command), "rm -rf %s", root);
    CHECK_EQ(system(command), 0);
    (void) snprintf(root, sizeof(root), "/tmp/meterstick-serial-XXXXXX");
}

/* Without the root, which changes each time. */
static const char *below(const char *path)
{
    return text_starts(path, root) ? path + strlen(root) : path;
}

/* All adapters, a line each: path|description|socket|number|by-id|by-path */
static const char *listed(void)
{
    static char lines[4096];
    auto_free struct serial_adapter *list = NULL;
    int count = serial_list(root, &list);
    size_t size = 0;

    CHECK(count >= 0);
    lines[0] = '\0';
    for (int i = 0; i < count; i++) {
        size += (size_t) snprintf(lines + size, sizeof(lines) - size, "%s|%s|%s|%s|%s|%s\n", below(list[i].path),
                                  list[i].description, list[i].socket, list[i].number, below(list[i].by_id),
                                  below(list[i].by_path));
    }
    return lines;
}

/* What a port means: a path, or the error and its words. */
static const char *found(const char *port, int expect, const char **ret_problem)
{
    static char path[PATH_SIZE], words[1024];
    auto_text struct text problem = { 0 };
    struct endpoint endpoint;

    CHECK_EQ(endpoint_parse(port, &endpoint, NULL), 0);
    (void) snprintf(path, sizeof(path), "kept");
    CHECK_EQ(serial_find(root, &endpoint, path, sizeof(path), &problem), expect);
    (void) snprintf(words, sizeof(words), "%s", text_string(&problem));
    if (ret_problem) {
        *ret_problem = words;
    }
    return below(path);
}

static void test_adapters_are_listed_usb_first_and_uarts_only_with_hardware(void)
{
    CHECK(mkdtemp(root));
    CHECK_STR(listed(), "");

    put("sys/class/tty/ttyS0/type", "4\n");
    put("sys/class/tty/ttyS1/type", "0\n");
    put("sys/class/tty/tty1/dev", "4:1\n");
    put("sys/class/tty/ttyprintk/dev", "5:3\n");
    put("sys/class/tty/console/dev", "5:1\n");
    CHECK_STR(listed(), "/dev/ttyS0|serial port||||\n");

    put("sys/class/tty/ttyAMA0/dev", "204:64\n");
    plug("ttyUSB10", "1-1.2", "1.0", "0\n", "FT232R USB UART\n", "A50285BI\n");
    plug("ttyUSB2", "1-1.3", "1.0", "0\n", NULL, NULL);
    plug("ttyACM0", "1-1.4", "1.0", NULL, "Pico\n", "E6612\n");
    CHECK_STR(listed(), "/dev/ttyACM0|Pico|usb:1-1.4|serial:E6612||\n"
                        "/dev/ttyUSB2|USB serial adapter|usb:1-1.3|||\n"
                        "/dev/ttyUSB10|FT232R USB UART|usb:1-1.2|serial:A50285BI||\n"
                        "/dev/ttyAMA0|serial port||||\n"
                        "/dev/ttyS0|serial port||||\n");
    remove_tree();
}

static void test_links_of_udev_are_names_too_if_they_are_one_adapters_own(void)
{
    CHECK(mkdtemp(root));
    plug("ttyUSB0", "1-1.2", "1.0", "0\n", "FT232R USB UART\n", "A50285BI\n");
    plug("ttyUSB1", "1-1.3", "1.0", "0\n", "USB Serial\n", NULL);  // a CH340
    join("../../ttyUSB0", "dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0");
    join("../../ttyUSB1", "dev/serial/by-id/usb-1a86_USB_Serial-if00-port0");  // the next CH340 would be called so, too
    join("../../ttyUSB7", "dev/serial/by-id/usb-other");
    join("../../ttyUSB0", "dev/serial/by-path/pci-0000:00:14.0-usbv2-0:1.2:1.0-port0");
    join("../../ttyUSB0", "dev/serial/by-path/pci-0000:00:14.0-usb-0:1.2:1.0-port0");
    CHECK_STR(listed(), "/dev/ttyUSB0|FT232R USB UART|usb:1-1.2|serial:A50285BI"
                        "|/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0"
                        "|/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.2:1.0-port0\n"
                        "/dev/ttyUSB1|USB Serial|usb:1-1.3|||\n");
    remove_tree();
}

static void test_auto_is_the_only_adapter_and_before_the_boards_own_uarts(void)
{
    const char *problem;

    CHECK(mkdtemp(root));
    CHECK_STR(found("auto", -ENOENT, &problem), "kept");
    CHECK_STR(problem, "no serial adapter found; tried: /dev/ttyUSB*, /dev/ttyACM*, /dev/ttyAMA*, /dev/ttyS*");
    put("sys/class/tty/ttyS0/type", "4\n");
    CHECK_STR(found("auto", 0, NULL), "/dev/ttyS0");
    put("sys/class/tty/ttyAMA0/dev", "204:64\n");
    CHECK_STR(found("auto", -ENOTUNIQ, NULL), "kept");

    plug("ttyUSB10", "1-1.2", "1.0", "0\n", NULL, NULL);
    CHECK_STR(found("auto", 0, NULL), "/dev/ttyUSB10");
    plug("ttyUSB2", "1-1.3", "1.0", "0\n", NULL, NULL);
    CHECK_STR(found("auto", -ENOTUNIQ, &problem), "kept");
    CHECK_HAS(problem, "more than one serial adapter (");
    CHECK_HAS(problem, "/dev/ttyUSB2, ");
    CHECK_HAS(problem, "/dev/ttyUSB10, ");
    remove_tree();
}

static void test_an_adapter_is_found_by_socket_and_by_number_whatever_its_device_is_called(void)
{
    const char *problem;

    CHECK(mkdtemp(root));
    plug("ttyUSB0", "1-1.2", "1.0", "0\n", NULL, "FTA\n");
    plug("ttyUSB1", "1-1.3", "1.0", "0\n", NULL, "FTB\n");
    CHECK_STR(found("usb:1-1.2", 0, NULL), "/dev/ttyUSB0");
    CHECK_STR(found("usb:1-1.3", 0, NULL), "/dev/ttyUSB1");
    CHECK_STR(found("serial:FTA", 0, NULL), "/dev/ttyUSB0");
    CHECK_STR(found("serial:FTB", 0, NULL), "/dev/ttyUSB1");
    CHECK_STR(found("serial:FTB:1.0", 0, NULL), "/dev/ttyUSB1");  // longer than need be
    CHECK_STR(found("usb:1-1.3:1.0-port0", 0, NULL), "/dev/ttyUSB1");
    CHECK_STR(found("/dev/serial/x", 0, NULL), "/dev/serial/x");  // a path is what it is
    CHECK_STR(found("tcp:host", -EINVAL, NULL), "kept");

    CHECK_STR(found("usb:1-1", -ENOENT, &problem), "kept");  // the beginning of a name is no name
    CHECK_HAS(problem, "no serial adapter is plugged into USB socket 1-1; serial ports here: ");
    CHECK_HAS(problem, "/dev/ttyUSB1");
    CHECK_STR(found("serial:FT", -ENOENT, &problem), "kept");
    CHECK_HAS(problem, "no serial adapter with serial number FT is plugged in");

    // swapped: the sockets stay where they are, the numbers go along
    unplug("ttyUSB0");
    unplug("ttyUSB1");
    CHECK_STR(found("usb:1-1.2", -ENOENT, NULL), "kept");
    plug("ttyUSB0", "1-1.3", "1.0", "0\n", NULL, "FTA\n");
    plug("ttyUSB5", "1-1.2", "1.0", "0\n", NULL, "FTB\n");
    CHECK_STR(found("usb:1-1.2", 0, NULL), "/dev/ttyUSB5");
    CHECK_STR(found("usb:1-1.3", 0, NULL), "/dev/ttyUSB0");
    CHECK_STR(found("serial:FTA", 0, NULL), "/dev/ttyUSB0");
    CHECK_STR(found("serial:FTB", 0, NULL), "/dev/ttyUSB5");
    remove_tree();
}

static void test_a_port_of_several_is_named_by_more(void)
{
    const char *problem;

    CHECK(mkdtemp(root));
    plug("ttyUSB0", "1-1.2", "1.0", "0\n", "Quad RS232-HS\n", "FT4\n");
    plug("ttyUSB1", "1-1.2", "1.1", "0\n", NULL, NULL);
    plug("ttyUSB2", "1-1.3", "1.0", "0\n", "Moxa\n", "M X\n");  // no name can have a blank
    plug("ttyUSB3", "1-1.3", "1.0", "1\n", NULL, NULL);
    CHECK_STR(listed(), "/dev/ttyUSB0|Quad RS232-HS|usb:1-1.2:1.0|serial:FT4:1.0||\n"
                        "/dev/ttyUSB1|Quad RS232-HS|usb:1-1.2:1.1|serial:FT4:1.1||\n"
                        "/dev/ttyUSB2|Moxa|usb:1-1.3:1.0-port0|||\n"
                        "/dev/ttyUSB3|Moxa|usb:1-1.3:1.0-port1|||\n");
    CHECK_STR(found("usb:1-1.2:1.1", 0, NULL), "/dev/ttyUSB1");
    CHECK_STR(found("serial:FT4:1.0", 0, NULL), "/dev/ttyUSB0");
    CHECK_STR(found("usb:1-1.3:1.0-port1", 0, NULL), "/dev/ttyUSB3");
    CHECK_STR(found("usb:1-1.2", -ENOTUNIQ, &problem), "kept");
    CHECK_HAS(problem, "USB socket 1-1.2 has several serial ports");
    CHECK_STR(found("usb:1-1.3:1.0", -ENOTUNIQ, NULL), "kept");
    CHECK_STR(found("serial:FT4", -ENOTUNIQ, NULL), "kept");
    remove_tree();
}

static void test_a_number_that_two_adapters_have_names_neither(void)
{
    const char *problem;

    CHECK(mkdtemp(root));
    plug("ttyUSB0", "1-1.2", "1.0", "0\n", "CP2102\n", "0001\n");
    join("../../ttyUSB0", "dev/serial/by-id/usb-Silicon_Labs_CP2102_0001-if00-port0");
    CHECK_HAS(listed(), "|serial:0001|/dev/serial/by-id/usb-Silicon_Labs_CP2102_0001-if00-port0|");
    plug("ttyUSB1", "1-1.3", "1.0", "0\n", "CP2102\n", "0001\n");
    CHECK_STR(listed(), "/dev/ttyUSB0|CP2102|usb:1-1.2|||\n"
                        "/dev/ttyUSB1|CP2102|usb:1-1.3|||\n");
    CHECK_STR(found("serial:0001", -ENOTUNIQ, &problem), "kept");
    CHECK_HAS(problem, "serial number 0001 is that of several serial ports");
    remove_tree();
}

TESTS(test_adapters_are_listed_usb_first_and_uarts_only_with_hardware,
      test_links_of_udev_are_names_too_if_they_are_one_adapters_own,
      test_auto_is_the_only_adapter_and_before_the_boards_own_uarts,
      test_an_adapter_is_found_by_socket_and_by_number_whatever_its_device_is_called,
      test_a_port_of_several_is_named_by_more, test_a_number_that_two_adapters_have_names_neither)
