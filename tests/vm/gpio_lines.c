/* SPDX-License-Identifier: MIT */
/*
 * board/gpio alone, for tests on a real kernel; each answer is a line on stdout.
 *
 *     gpio_lines WAY DATA CLOCK send|hold|repeat [FRAME...]
 *
 * WAY    "any" (as the programs do it), "library", "kernel"
 * FRAME  brightness and eight colours: 3:c800c8,00c800,...
 * send   each frame once, and end; hold: then keep the lines until killed; repeat: the frames again and again, and
 *        when that fails, or the lines cannot be had, try again, as `leds` does
 */
#include "board/gpio_private.h"
#include "leds/blinkt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static unsigned data_line, clock_line;

static int open_lines(const char *way, struct gpio **ret)
{
    static const struct gpio_way *const library[] = { &gpio_way_library }, *const kernel[] = { &gpio_way_kernel };

    if (strcmp(way, "any") == 0) {
        return gpio_open("/dev", data_line, clock_line, ret);
    }
    return gpio_open_by("/dev", data_line, clock_line, strcmp(way, "library") == 0 ? library : kernel, 1, ret);
}

static int parse(const char *text, struct frame *ret)
{
    char *next;

    *ret = (struct frame){ .brightness = (uint8_t) strtoul(text, &next, 10) };
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        unsigned long colour = *next ? strtoul(next + 1, &next, 16) : 0;

        ret->pixels[i] = (struct pixel){ (uint8_t) (colour >> 16), (uint8_t) (colour >> 8), (uint8_t) colour };
    }
    return *next ? -EINVAL : 0;
}

static int send_frames(struct gpio *gpio, char **frames)
{
    int r = 0;

    for (; *frames && r == 0; frames++) {
        uint8_t bits[BLINKT_SIZE];
        struct frame frame;

        r = parse(*frames, &frame);
        if (r < 0) {
            return r;
        }
        blinkt_bits(&frame, bits);
        r = gpio_clock_out(gpio, bits, BLINKT_CLOCKS);
    }
    return r;
}

/* Open and send; `ret` is what was opened, which may have failed since. */
static int begin(char **argv, struct gpio **ret)
{
    int r = open_lines(argv[1], ret);

    if (r < 0) {
        return r;
    }
    (void) printf("%s\n", gpio_describe(*ret));
    return send_frames(*ret, &argv[5]);
}

int main(int argc, char **argv)
{
    auto_gpio struct gpio *gpio = NULL;
    bool repeat;
    int r, said = 0;

    if (argc < 5) {
        return 64;
    }
    data_line = (unsigned) strtoul(argv[2], NULL, 10);
    clock_line = (unsigned) strtoul(argv[3], NULL, 10);
    repeat = strcmp(argv[4], "repeat") == 0;
    (void) setvbuf(stdout, NULL, _IOLBF, 0);
    do {
        r = begin(argv, &gpio);
        while (repeat && r == 0) {
            (void) usleep(50000);
            said = 0;
            r = send_frames(gpio, &argv[5]);
        }
        if (r < 0 && r != said) {
            (void) printf("%s\n", strerrorname_np(-r));
            said = r;
        }
        if (repeat) {
            gpio_free(TAKE(gpio));
            (void) usleep(50000);
        }
    } while (repeat);
    while (r == 0 && strcmp(argv[4], "hold") == 0) {
        (void) pause();
    }
    return r < 0 ? 1 : 0;
}
