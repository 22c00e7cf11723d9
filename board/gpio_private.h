/* SPDX-License-Identifier: MIT */
#pragma once

/* Between the files gpio*.c, and for their tests. */

#include "board/gpio.h"

#include <stdbool.h>
#include <stddef.h>

#define GPIO_CONSUMER  "meterstick"
#define GPIO_NAME_SIZE 32  // the kernel's GPIO_MAX_NAME_SIZE, with the NUL
#define GPIO_PATH_SIZE 256

/* What a chip says of itself. */
struct gpio_chip {
    char path[GPIO_PATH_SIZE];        // "/dev/gpiochip0"
    char label[GPIO_NAME_SIZE];
    unsigned line_count;
    char data_name[GPIO_NAME_SIZE];   // of the line with the data line's number; "" if it has none
    char clock_name[GPIO_NAME_SIZE];
    bool in_use;                      // either of them, by another program or by the kernel
};

/* One way to drive two lines. `lines` is what its open() made. */
struct gpio_way {
    int (*open)(const char *path, unsigned data_line, unsigned clock_line, void **ret);  // errors as gpio_open()
    int (*set)(void *lines, bool data, bool clock);
    void (*close)(void *lines);       // accepts NULL
    const char *name;                 // "libgpiod"
    const char *(*version)(void);     // "1.6.3", of what runs and not of what it was built with
};

/* By libgpiod, and by the kernel's own interface, version 2 (Linux 5.10 and later). */
extern const struct gpio_way gpio_way_library, gpio_way_kernel;

/* gpio_open() by these ways in turn; the next is asked where one cannot, not where it may not. */
int gpio_open_by(const char *dev_dir, unsigned data_line, unsigned clock_line, const struct gpio_way *const *ways,
                 size_t way_count, struct gpio **ret) MUST_CHECK;

/* gpio_clock_out() through any function that sets both lines. Returns its first error. */
int gpio_send(int (*set)(void *lines, bool data, bool clock), void *lines, const uint8_t *bits,
              unsigned clocks) MUST_CHECK;

/* Ask a chip. Errors: those of open() (-EACCES, -ENOENT...), -ENOTTY it is none */
int gpio_look(const char *path, unsigned data_line, unsigned clock_line, struct gpio_chip *ret) MUST_CHECK;

/*
 * Which of the chips has the header: one with a Pi's label and the names of the lines, else with the label, else with
 * the names; the first of several such. Pure. Returns its index, or -ENODEV.
 */
int gpio_choose(const struct gpio_chip *chips, size_t count, unsigned data_line, unsigned clock_line) MUST_CHECK;

/* The chip in dev_dir that has the header. Errors: -ENODEV, -EACCES */
int gpio_find(const char *dev_dir, unsigned data_line, unsigned clock_line, struct gpio_chip *ret) MUST_CHECK;
