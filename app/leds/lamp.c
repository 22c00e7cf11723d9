/* SPDX-License-Identifier: MIT */
#include "app/leds/lamp.h"

#include "app/base/clock.h"
#include "app/base/log.h"
#include "board/gpio.h"

#include <errno.h>
#include <string.h>

#define DATA_LINE   23  // ES-08
#define CLOCK_LINE  24
#define DEV_DIR     "/dev"
#define FIRST_MS    1000
#define LAST_MS     60000
#define LEAVE_TRIES 10
#define LEAVE_US    UINT64_C(100000)

const char *lamp_explain(int error)
{
    switch (error) {
    case -ENODEV:
    case -ENOENT:
        return "this machine has no header of a Raspberry Pi";
    case -EACCES:
    case -EPERM:
        return "no permission for the GPIO lines 23 and 24";
    case -EBUSY:
        return "another program has the GPIO lines 23 and 24";
    }
    return strerror(-error);
}

/* ONE message, however often it is tried. */
static void note(struct lamp *lamp, int r, uint64_t now_ms)
{
    if (r >= 0) {
        log_info("Blinkt: %s", gpio_describe(lamp->gpio));
        *lamp = (struct lamp){ .gpio = lamp->gpio };
        return;
    }
    if (!lamp->told || r != lamp->error) {
        log_warning("no lights on a Blinkt: %s; trying again, every 60 s in the end", lamp_explain(r));
    }
    lamp->told = true;
    lamp->error = r;
    lamp->wait_ms = lamp->wait_ms == 0 ? FIRST_MS : MIN(lamp->wait_ms * 2, (uint64_t) LAST_MS);
    lamp->next_try_ms = now_ms + lamp->wait_ms;
}

static int clock_out(struct gpio *gpio, const struct frame *frame)
{
    uint8_t bits[BLINKT_SIZE];

    blinkt_bits(frame, bits);
    return gpio_clock_out(gpio, bits, BLINKT_CLOCKS);
}

int lamp_try(struct lamp *lamp, const struct frame *frame)
{
    int r;

    r = lamp->gpio ? 0 : gpio_open(DEV_DIR, DATA_LINE, CLOCK_LINE, &lamp->gpio);
    if (r >= 0) {
        r = clock_out(lamp->gpio, frame);
    }
    if (r < 0) {
        gpio_free(TAKE(lamp->gpio));
    }
    return r;
}

int lamp_show(struct lamp *lamp, const struct frame *frame, uint64_t now_ms)
{
    bool was_open = lamp->gpio;
    int r;

    if (!was_open && now_ms < lamp->next_try_ms) {
        return lamp->error;
    }
    if (was_open && blinkt_equal(frame, &lamp->frame) && now_ms < lamp->shown_ms + LAMP_REFRESH_MS) {
        return 0;
    }

    r = lamp_try(lamp, frame);
    if (r < 0 || !was_open) {
        note(lamp, r, now_ms);
    }
    if (r < 0) {
        return r;
    }

    lamp->frame = *frame;
    lamp->shown_ms = now_ms;
    return 0;
}

int lamp_leave(const struct frame *frame)
{
    struct lamp lamp = {};
    int r;

    r = lamp_try(&lamp, frame);
    for (unsigned i = 1; i < LEAVE_TRIES && r == -EBUSY; i++) {
        clock_sleep_until_us(clock_monotonic_us() + LEAVE_US);  // the kernel is still clearing up behind whoever had it
        r = lamp_try(&lamp, frame);
    }
    lamp_clear(&lamp);
    return r;
}

void lamp_clear(struct lamp *lamp)
{
    gpio_free(TAKE(lamp->gpio));
}
