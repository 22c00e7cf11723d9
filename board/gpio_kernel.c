/* SPDX-License-Identifier: MIT */
/*
 * GPIO by the kernel's own interface, version 2 (<linux/gpio.h>, Linux 5.10 and later; kernel documentation,
 * userspace-api/gpio/chardev.rst). Two files: the chip, and the request that holds the lines until it is closed.
 */
#include "board/gpio_private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdio.h>
#include <sys/ioctl.h>

static int open_chip(const char *path, int *ret)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        return -errno;
    }
    *ret = fd;
    return 0;
}

static int ask(int fd, unsigned long question, void *argument)
{
    return ioctl(fd, question, argument) < 0 ? -errno : 0;
}

/* "" where it has none, or where the kernel is too old to be asked this way. Returns whether it is in use. */
static bool look_at_line(int fd, unsigned line, char ret_name[static GPIO_NAME_SIZE])
{
    struct gpio_v2_line_info info = { .offset = line };

    ret_name[0] = '\0';
    if (ask(fd, GPIO_V2_GET_LINEINFO_IOCTL, &info) < 0) {
        return false;
    }
    (void) snprintf(ret_name, GPIO_NAME_SIZE, "%.*s", (int) sizeof(info.name), info.name);
    return info.flags & GPIO_V2_LINE_FLAG_USED;
}

int gpio_look(const char *path, unsigned data_line, unsigned clock_line, struct gpio_chip *ret)
{
    auto_close int fd = -1;
    struct gpiochip_info info = { .lines = 0 };
    int r;

    r = open_chip(path, &fd);
    if (r < 0) {
        return r;
    }
    r = ask(fd, GPIO_GET_CHIPINFO_IOCTL, &info);
    if (r < 0) {
        return r;
    }

    *ret = (struct gpio_chip){ .line_count = info.lines };
    (void) snprintf(ret->path, sizeof(ret->path), "%s", path);
    (void) snprintf(ret->label, sizeof(ret->label), "%.*s", (int) sizeof(info.label), info.label);
    ret->in_use = look_at_line(fd, data_line, ret->data_name);
    ret->in_use = look_at_line(fd, clock_line, ret->clock_name) || ret->in_use;
    return 0;
}

static int kernel_open(const char *path, unsigned data_line, unsigned clock_line, void **ret)
{
    auto_close int fd = -1;
    auto_free int *lines = NULL;
    struct gpio_v2_line_request request = {
        .offsets = { data_line, clock_line },  // 0 and 1 of the values' bits
        .consumer = GPIO_CONSUMER,
        .config = { .flags = GPIO_V2_LINE_FLAG_OUTPUT },  // no value given: low
        .num_lines = 2,
    };
    int r;

    lines = malloc(sizeof(*lines));
    if (!lines) {
        return -ENOMEM;
    }
    r = open_chip(path, &fd);
    if (r < 0) {
        return r;
    }
    r = ask(fd, GPIO_V2_GET_LINE_IOCTL, &request);
    if (r < 0) {
        return r;
    }

    *lines = request.fd;
    *ret = TAKE(lines);
    return 0;
}

static int kernel_set(void *lines, bool data, bool clock)
{
    struct gpio_v2_line_values values = { .bits = (data ? 1u : 0u) | (clock ? 2u : 0u), .mask = 3 };

    return ask(*(int *) lines, GPIO_V2_LINE_SET_VALUES_IOCTL, &values);
}

static void kernel_close(void *lines)
{
    if (lines) {
        (void) close(*(int *) lines);
        free(lines);
    }
}

static const char *kernel_version(void)
{
    return "2";
}

const struct gpio_way gpio_way_kernel = {
    kernel_open, kernel_set, kernel_close, "the kernel's own interface", kernel_version,
};
