// SPDX-License-Identifier: MIT
// link: ms_leds

#include "tests/test.h"

#include "leds/blinkt.h"

/* ES-08: start, then brightness, blue, green, red of each pixel, then 36 clocks of nothing. */
static void test_a_frame_is_the_bytes_of_the_data_sheet(void)
{
    static const struct frame frame = {
        .brightness = 3,
        .pixels = { { 200, 0, 200 }, { 0, 200, 0 }, { 0, 0, 200 }, { 1, 2, 3 }, [7] = { 255, 254, 253 } },
    };
    static const uint8_t expected[] = {
        0x00, 0x00, 0x00, 0x00,                          // 32 clocks
        0xE3, 0xC8, 0x00, 0xC8,  0xE3, 0x00, 0xC8, 0x00, // purple, green
        0xE3, 0xC8, 0x00, 0x00,  0xE3, 0x03, 0x02, 0x01, // blue, and each byte in its place
        0xE3, 0x00, 0x00, 0x00,  0xE3, 0x00, 0x00, 0x00,
        0xE3, 0x00, 0x00, 0x00,  0xE3, 0xFD, 0xFE, 0xFF,
        0x00, 0x00, 0x00, 0x00,  0x00,                   // 36 clocks
    };
    uint8_t bits[BLINKT_SIZE];

    CHECK_EQ(BLINKT_CLOCKS, 324);
    CHECK_EQ(sizeof(bits), sizeof(expected));
    memset(bits, 0xAA, sizeof(bits));
    blinkt_bits(&frame, bits);
    assert_memory_equal(bits, expected, sizeof(expected));
}

static void test_brightness_never_spoils_the_mark_of_a_pixel(void)
{
    struct frame frame = { .brightness = 255 };
    uint8_t bits[BLINKT_SIZE];

    blinkt_bits(&frame, bits);
    CHECK_EQ(bits[4], 0xFF);
    frame.brightness = 0;
    blinkt_bits(&frame, bits);
    CHECK_EQ(bits[4], 0xE0);
}

static void test_ten_percent_is_three_and_a_little_is_not_nothing(void)
{
    CHECK_EQ(blinkt_brightness(10), 3);
    CHECK_EQ(blinkt_brightness(100), 31);
    CHECK_EQ(blinkt_brightness(1000), 31);
    CHECK_EQ(blinkt_brightness(1), 1);
    CHECK_EQ(blinkt_brightness(0), 0);
}

static void test_frames_differ_by_one_colour_or_brightness(void)
{
    struct frame a = { .brightness = 3 }, b = a;

    CHECK(blinkt_equal(&a, &b));
    b.pixels[7].blue = 1;
    CHECK(!blinkt_equal(&a, &b));
    b = a;
    b.brightness = 4;
    CHECK(!blinkt_equal(&a, &b));
}

TESTS(test_a_frame_is_the_bytes_of_the_data_sheet, test_brightness_never_spoils_the_mark_of_a_pixel,
      test_ten_percent_is_three_and_a_little_is_not_nothing, test_frames_differ_by_one_colour_or_brightness)
