/* SPDX-License-Identifier: MIT */
#include "board/gpio.h"

#include "board/gpio_private.h"

#include <errno.h>
#include <stdio.h>

struct gpio {
    const struct gpio_way *way;
    void *lines;
    char description[128];
};

/* The kernel says -EPERM where a sandbox forbids the device (cgroup), and -ENXIO where it has no driver any more. */
static int translate(int error)
{
    switch (error) {
    case -EPERM:
        return -EACCES;
    case -ENOENT:
    case -ENXIO:
        return -ENODEV;
    default:
        return error;
    }
}

int gpio_open_by(const char *dev_dir, unsigned data_line, unsigned clock_line, const struct gpio_way *const *ways,
                 size_t way_count, struct gpio **ret)
{
    auto_gpio struct gpio *gpio = NULL;
    struct gpio_chip chip;
    int r;

    r = gpio_find(dev_dir, data_line, clock_line, &chip);
    if (r < 0) {
        return r;
    }
    if (chip.in_use) {  // the kernel asks line by line: it would drive the first, and then find the second in use
        return -EBUSY;
    }
    gpio = calloc(1, sizeof(*gpio));
    if (!gpio) {
        return -ENOMEM;
    }

    // libgpiod 1.6 gets -EINVAL of a kernel without the first interface, as Debian's are from Linux 7.1 on.
    r = -ENODEV;
    for (size_t i = 0; i < way_count && !gpio->lines && r != -EBUSY && r != -EACCES; i++) {
        gpio->way = ways[i];
        r = translate(gpio->way->open(chip.path, data_line, clock_line, &gpio->lines));
    }
    if (r < 0) {
        return r;
    }

    (void) snprintf(gpio->description, sizeof(gpio->description), "%s lines %u and %u by %s %s", chip.label, data_line,
                    clock_line, gpio->way->name, gpio->way->version());
    *ret = TAKE(gpio);
    return 0;
}

int gpio_open(const char *dev_dir, unsigned data_line, unsigned clock_line, struct gpio **ret)
{
    static const struct gpio_way *const ways[] = { &gpio_way_library, &gpio_way_kernel };

    return gpio_open_by(dev_dir, data_line, clock_line, ways, ARRAY_SIZE(ways), ret);
}

void gpio_free(struct gpio *gpio)
{
    if (gpio) {
        if (gpio->lines) {
            gpio->way->close(gpio->lines);
        }
        free(gpio);
    }
}

void gpio_freep(struct gpio **gpio)
{
    gpio_free(*gpio);
}

int gpio_send(int (*set)(void *lines, bool data, bool clock), void *lines, const uint8_t *bits, unsigned clocks)
{
    int r;

    for (unsigned i = 0; i < clocks; i++) {
        bool data = bits[i / 8] & (0x80 >> i % 8);

        r = set(lines, data, false);
        if (r < 0) {
            return r;
        }
        r = set(lines, data, true);
        if (r < 0) {
            return r;
        }
    }
    return set(lines, false, false);
}

int gpio_clock_out(struct gpio *gpio, const uint8_t *bits, unsigned clocks)
{
    return translate(gpio_send(gpio->way->set, gpio->lines, bits, clocks));
}

const char *gpio_describe(const struct gpio *gpio)
{
    return gpio->description;
}
