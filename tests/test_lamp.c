/* SPDX-License-Identifier: MIT */
// link: ms_leds
// sources: app/leds/lamp.c

/* When a Blinkt is drawn to, and what happens when there is none: a make-believe board/gpio counts. */

#include "tests/test.h"

#include "app/base/log.h"
#include "app/base/macros.h"
#include "app/leds/lamp.h"
#include "board/gpio.h"
#include "leds/indicator.h"

#include <errno.h>
#include <stdbool.h>

struct gpio {
    unsigned clocks;
};

static struct gpio lines;
static bool taken;                 // the lines are ours
static int open_error, clock_error;
static unsigned opened, drawn;
static uint8_t last[BLINKT_SIZE];

int gpio_open(const char *dev_dir, unsigned data_line, unsigned clock_line, struct gpio **ret)
{
    CHECK_STR(dev_dir, "/dev");
    CHECK_EQ(data_line, 23);
    CHECK_EQ(clock_line, 24);
    CHECK(!taken);
    opened++;
    if (open_error < 0) {
        return open_error;
    }
    taken = true;
    *ret = &lines;
    return 0;
}

int gpio_clock_out(struct gpio *gpio, const uint8_t *bits, unsigned clocks)
{
    CHECK(taken && gpio == &lines);
    CHECK_EQ(clocks, 324);
    memcpy(last, bits, sizeof(last));
    drawn += clock_error == 0;
    return clock_error;
}

void gpio_free(struct gpio *gpio)
{
    taken = taken && !gpio;
}

const char *gpio_describe(const struct gpio *gpio)
{
    (void) gpio;
    return "make-believe lines";
}

static void begin(void)
{
    taken = false;
    open_error = clock_error = 0;
    opened = drawn = 0;
}

static void test_a_frame_is_drawn_when_it_is_another_and_once_a_minute(void)
{
    struct frame frame = { .brightness = 3, .pixels[2] = { .blue = 200 } };
    struct lamp lamp = {};
    uint8_t bits[BLINKT_SIZE];

    begin();
    for (uint64_t now_ms = 1000; now_ms < 1000 + LAMP_REFRESH_MS; now_ms += 100) {
        CHECK_EQ(lamp_show(&lamp, &frame, now_ms), 0);
    }
    CHECK_EQ(drawn, 1);
    blinkt_bits(&frame, bits);
    CHECK(memcmp(bits, last, sizeof(bits)) == 0);
    CHECK_EQ(lamp_show(&lamp, &frame, 1000 + LAMP_REFRESH_MS), 0);
    CHECK_EQ(drawn, 2);
    frame.pixels[2].blue = 0;
    CHECK_EQ(lamp_show(&lamp, &frame, 1001 + LAMP_REFRESH_MS), 0);
    CHECK_EQ(drawn, 3);
    CHECK_EQ(opened, 1);
    lamp_clear(&lamp);
    CHECK(!taken);
}

/* Fault 64. */
static void test_where_there_is_none_it_is_tried_again_ever_more_seldom(void)
{
    static const unsigned tries_s[] = { 0, 1, 3, 7, 15, 31, 63, 123, 183, 243 };
    const struct frame frame = { .brightness = 3 };
    struct lamp lamp = {};
    unsigned expected = 0;

    begin();
    open_error = -ENODEV;
    for (unsigned now_s = 0; now_s < 300; now_s++) {
        CHECK_EQ(lamp_show(&lamp, &frame, now_s * 1000), -ENODEV);
        CHECK_EQ(lamp_show(&lamp, &frame, now_s * 1000 + 500), -ENODEV);
        expected += expected < ARRAY_SIZE(tries_s) && tries_s[expected] == now_s;
        CHECK_EQ(opened, expected);
    }
    CHECK_EQ(expected, ARRAY_SIZE(tries_s));
    open_error = 0;
    CHECK_EQ(lamp_show(&lamp, &frame, 303000), 0);
    CHECK_EQ(drawn, 1);
    lamp_clear(&lamp);
}

static void test_one_that_goes_away_is_given_back_and_taken_again(void)
{
    const struct frame frame = { .brightness = 3 }, other = { .brightness = 4 };
    struct lamp lamp = {};

    begin();
    CHECK_EQ(lamp_show(&lamp, &frame, 1000), 0);
    clock_error = -ENODEV;
    CHECK_EQ(lamp_show(&lamp, &other, 2000), -ENODEV);
    CHECK(!taken);
    CHECK_EQ(lamp_show(&lamp, &other, 2999), -ENODEV);
    CHECK_EQ(opened, 1);
    clock_error = 0;
    CHECK_EQ(lamp_show(&lamp, &other, 3000), 0);
    CHECK_EQ(drawn, 2);
    CHECK_EQ(lamp.error, 0);
    lamp_clear(&lamp);
}

static void test_it_is_told_once(void)
{
    static const char path[] = "/tmp/test_lamp.log";
    const struct frame frame = { .brightness = 3 };
    struct lamp lamp = {};
    char text[4096] = "", *rest = text;
    unsigned count = 0;
    FILE *file;

    begin();
    (void) remove(path);
    CHECK_EQ(log_setup("test", NULL, path), 0);
    open_error = -EACCES;
    for (uint64_t now_ms = 0; now_ms < 600000; now_ms += 1000) {
        CHECK_EQ(lamp_show(&lamp, &frame, now_ms), -EACCES);
    }
    CHECK_EQ(log_setup("test", NULL, "stderr"), 0);
    file = fopen(path, "r");
    CHECK(file);
    (void) !fread(text, 1, sizeof(text) - 1, file);
    (void) fclose(file);
    (void) remove(path);
    while ((rest = strstr(rest, "no permission"))) {
        rest++;
        count++;
    }
    CHECK_EQ(count, 1);
}

static void test_what_is_left_is_one_frame_and_busy_lines_are_waited_for(void)
{
    const struct frame frame = { .brightness = 3 };

    begin();
    CHECK_EQ(lamp_leave(&frame), 0);
    CHECK_EQ(drawn, 1);
    CHECK(!taken);
    open_error = -EBUSY;
    opened = 0;
    CHECK_EQ(lamp_leave(&frame), -EBUSY);
    CHECK_EQ(opened, 10);
    open_error = -ENODEV;
    opened = 0;
    CHECK_EQ(lamp_leave(&frame), -ENODEV);
    CHECK_EQ(opened, 1);
}

TESTS(test_a_frame_is_drawn_when_it_is_another_and_once_a_minute,
      test_where_there_is_none_it_is_tried_again_ever_more_seldom,
      test_one_that_goes_away_is_given_back_and_taken_again, test_it_is_told_once,
      test_what_is_left_is_one_frame_and_busy_lines_are_waited_for)
