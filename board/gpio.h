/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Two lines of the Raspberry Pi's header, of which one clocks out what the other says.
 *
 * The chip that has the header is found by its label ("pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"), else by the
 * names of the two lines ("GPIO23"); never by its number, which differs between kernels (raspberrypi/linux#6144). On
 * each Pi a line's number is that of the BCM pin. The lines are asked for as "meterstick", and no other line ever is.
 *
 * What is shown stays when the lines are given back: the kernel may make them inputs, and no clock is heard then.
 */

#include "app/base/macros.h"

#include <stdint.h>

struct gpio;

#define auto_gpio CLEANUP(gpio_freep)

/*
 * Take the two lines, as outputs, both low.
 *
 * dev_dir  "/dev"
 *
 * Errors: -ENODEV  no chip of a Pi, or it has just gone    -EBUSY   another program has one of the lines
 *         -EACCES  no permission for its device, or for one that may be it; also where a sandbox forbids it
 *         others   what the kernel says
 * Nothing was driven then. Each of them may be tried again later.
 */
int gpio_open(const char *dev_dir, unsigned data_line, unsigned clock_line, struct gpio **ret) MUST_CHECK;
void gpio_free(struct gpio *gpio);
void gpio_freep(struct gpio **gpio);

/*
 * For each bit, from the highest of the first byte: data is set with the clock low, then the clock goes high. Ends
 * with both low. It takes about 2 ms for 324 clocks, and whoever listens must not mind a pause anywhere.
 *
 * Errors: -ENODEV  the chip is gone: free this, open again    others: what the kernel says
 */
int gpio_clock_out(struct gpio *gpio, const uint8_t *bits, unsigned clocks) MUST_CHECK;

/* "pinctrl-bcm2711 lines 23 and 24 by libgpiod 1.6.3", for the log. Belongs to the gpio. */
const char *gpio_describe(const struct gpio *gpio);
