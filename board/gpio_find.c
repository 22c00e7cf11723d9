/* SPDX-License-Identifier: MIT */
#include "board/gpio_private.h"

#include "app/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHIPS_MAX 32  // a Pi 5 has five, and each hat with an expander one more

/* Of the kernel's drivers, which give them to the chip that has the header. */
static const char *const labels[] = {
    "pinctrl-bcm2711",  // Pi 4, 400, Compute Module 4
    "pinctrl-bcm2835",  // Pi 1 to 3, Zero, Zero 2
    "pinctrl-rp1",      // Pi 5
};

static bool has_label(const struct gpio_chip *chip)
{
    for (size_t i = 0; i < ARRAY_SIZE(labels); i++) {
        if (text_equal(chip->label, labels[i])) {
            return true;
        }
    }
    return false;
}

/* As the device trees of Linux and of the Raspberry Pi name the lines of the header. */
static bool is_named(const char *name, unsigned line)
{
    char expected[GPIO_NAME_SIZE];

    (void) snprintf(expected, sizeof(expected), "GPIO%u", line);
    return text_equal(name, expected);
}

int gpio_choose(const struct gpio_chip *chips, size_t count, unsigned data_line, unsigned clock_line)
{
    int best = -ENODEV;
    unsigned best_rank = 0;

    for (size_t i = 0; i < count; i++) {
        const struct gpio_chip *chip = &chips[i];
        bool named = is_named(chip->data_name, data_line) && is_named(chip->clock_name, clock_line);
        unsigned rank = (has_label(chip) ? 2 : 0) + (named ? 1 : 0);

        if (MAX(data_line, clock_line) < chip->line_count && rank > best_rank) {
            best = (int) i;
            best_rank = rank;
        }
    }
    return best;
}

static int compare(const void *a, const void *b)
{
    unsigned first = *(const unsigned *) a, second = *(const unsigned *) b;

    return (first > second) - (first < second);
}

/* The numbers of the chips in a directory, in order. Returns how many. */
static size_t list(const char *dev_dir, unsigned ret[static CHIPS_MAX])
{
    size_t count = 0;
    struct dirent *entry;
    DIR *listing;

    listing = opendir(dev_dir);
    while (listing && count < CHIPS_MAX && (entry = readdir(listing))) {
        uint64_t number;

        if (text_starts(entry->d_name, "gpiochip")
            && text_to_unsigned(entry->d_name + strlen("gpiochip"), 0, UINT32_MAX, &number) == 0) {
            ret[count++] = (unsigned) number;
        }
    }
    if (listing) {
        (void) closedir(listing);
    }
    qsort(ret, count, sizeof(ret[0]), compare);
    return count;
}

int gpio_find(const char *dev_dir, unsigned data_line, unsigned clock_line, struct gpio_chip *ret)
{
    struct gpio_chip chips[CHIPS_MAX];
    unsigned numbers[CHIPS_MAX];
    size_t listed = list(dev_dir, numbers), count = 0;
    bool forbidden = false;
    int r;

    for (size_t i = 0; i < listed; i++) {
        char path[GPIO_PATH_SIZE];

        if ((size_t) snprintf(path, sizeof(path), "%s/gpiochip%u", dev_dir, numbers[i]) >= sizeof(path)) {
            return -ENAMETOOLONG;
        }
        r = gpio_look(path, data_line, clock_line, &chips[count]);
        forbidden = forbidden || r == -EACCES || r == -EPERM;
        count += r == 0 ? 1 : 0;  // one that went meanwhile, or is none, is not the one
    }

    r = gpio_choose(chips, count, data_line, clock_line);
    if (r < 0) {
        return forbidden ? -EACCES : r;
    }
    *ret = chips[r];
    return 0;
}
