/* SPDX-License-Identifier: MIT */
// link: ms_board ms_leds

/* Which chip has the header, and the order of bits. What real chips do is in tests/vm/test_vm_gpio.py. */

#include "tests/test.h"

#include "app/base/text.h"
#include "board/gpio_private.h"
#include "leds/blinkt.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* --- the chip --- */

#define NAMED   "GPIO23", "GPIO24"
#define UNNAMED "", ""

static const struct {
    const char *board;
    struct gpio_chip chips[5];
    int expected;
} boards[] = {
    { "nothing", { { .line_count = 0 } }, -ENODEV },
    { "Pi 3, Debian", { { "", "pinctrl-bcm2835", 54, NAMED }, { "", "raspberrypi-exp-gpio", 8, UNNAMED } }, 0 },
    { "Pi 4", { { "", "raspberrypi-exp-gpio", 8, UNNAMED }, { "", "pinctrl-bcm2711", 58, NAMED } }, 1 },
    { "Pi 5, Linux before 6.6.31",
      { { "", "gpio-brcmstb@107d508500", 32, "-", "-" }, { "", "gpio-brcmstb@107d508520", 4, UNNAMED },
        { "", "gpio-brcmstb@107d517c00", 17, UNNAMED }, { "", "gpio-brcmstb@107d517c20", 6, UNNAMED },
        { "", "pinctrl-rp1", 54, NAMED } },
      4 },
    { "Pi 5, today",
      { { "", "pinctrl-rp1", 54, NAMED }, { "", "gpio-brcmstb@107d508500", 32, "-", "-" } },
      0 },
    { "a device tree without names", { { "", "pinctrl-bcm2835", 54, UNNAMED } }, 0 },
    { "a kernel with another label", { { "", "gpio", 8, UNNAMED }, { "", "pinctrl-next", 54, NAMED } }, 1 },
    { "a label before names", { { "", "expander", 32, NAMED }, { "", "pinctrl-bcm2835", 54, UNNAMED } }, 1 },
    { "label and names before a label",
      { { "", "pinctrl-bcm2835", 54, UNNAMED }, { "", "pinctrl-bcm2835", 54, NAMED } },
      1 },
    { "the first of two", { { "", "pinctrl-bcm2711", 58, NAMED }, { "", "pinctrl-bcm2711", 58, NAMED } }, 0 },
    { "too few lines", { { "", "pinctrl-bcm2835", 24, NAMED } }, -ENODEV },
    { "a PC", { { "", "INT34C5:00", 463, UNNAMED }, { "", "cp2112_gpio", 8, UNNAMED } }, -ENODEV },
    { "one name", { { "", "expander", 54, "GPIO23", "" }, { "", "expander", 54, "", "GPIO24" } }, -ENODEV },
    { "names in other places", { { "", "expander", 54, "GPIO24", "GPIO23" } }, -ENODEV },
    { "half a label", { { "", "pinctrl-bcm283", 54, UNNAMED }, { "", "pinctrl-bcm2835x", 54, UNNAMED } }, -ENODEV },
};

static void test_the_chip_with_the_header_is_found_wherever_it_is(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(boards); i++) {
        print_message("%s\n", boards[i].board);
        CHECK_EQ(gpio_choose(boards[i].chips, ARRAY_SIZE(boards[i].chips), 23, 24), boards[i].expected);
    }
    CHECK_EQ(gpio_choose(NULL, 0, 23, 24), -ENODEV);
}

static void test_a_line_that_the_chip_lacks_is_none_of_its(void)
{
    static const struct gpio_chip chip = { "", "pinctrl-bcm2835", 54, UNNAMED };

    CHECK_EQ(gpio_choose(&chip, 1, 53, 0), 0);
    CHECK_EQ(gpio_choose(&chip, 1, 54, 0), -ENODEV);
    CHECK_EQ(gpio_choose(&chip, 1, 0, 54), -ENODEV);
}

/* --- devices that are none --- */

static char directory[] = "/tmp/test_gpio.XXXXXX";

static const char *in_directory(const char *name)
{
    static char path[sizeof(directory) + 64];

    (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void add_file(const char *name, mode_t mode)
{
    int fd = open(in_directory(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    CHECK(fd >= 0);
    (void) close(fd);
}

static void test_what_is_no_chip_is_no_device(void)
{
    struct gpio *gpio = NULL;

    CHECK(mkdtemp(directory));
    CHECK_EQ(gpio_open(in_directory("gone"), 23, 24, &gpio), -ENODEV);
    CHECK_EQ(gpio_open(directory, 23, 24, &gpio), -ENODEV);
    add_file("gpiochip0", 0600);
    add_file("gpiochipX", 0600);
    CHECK_EQ(mkdir(in_directory("gpiochip7"), 0700), 0);
    CHECK_EQ(gpio_open(directory, 23, 24, &gpio), -ENODEV);
    CHECK(!gpio);
    gpio_free(NULL);
}

static void test_no_permission_is_not_no_device(void)
{
    struct gpio *gpio = NULL;
    uid_t user = geteuid();

    add_file("gpiochip10", 0000);
    CHECK_EQ(chmod(directory, 0755), 0);
    CHECK(user != 0 || seteuid(65534) == 0);  // nothing is forbidden to root
    CHECK_EQ(gpio_open(directory, 23, 24, &gpio), -EACCES);
    CHECK(user != 0 || seteuid(0) == 0);
    CHECK(!gpio);

    CHECK_EQ(unlink(in_directory("gpiochip0")), 0);
    CHECK_EQ(unlink(in_directory("gpiochipX")), 0);
    CHECK_EQ(unlink(in_directory("gpiochip10")), 0);
    CHECK_EQ(rmdir(in_directory("gpiochip7")), 0);
    CHECK_EQ(rmdir(directory), 0);
}

/* --- bits --- */

/* What a pixel sees: data is read where the clock rises. */
struct wire {
    bool data, clock;
    unsigned calls, rises, fails_at;
    uint8_t bits[BLINKT_SIZE];
};

static int wire_set(void *argument, bool data, bool clock)
{
    struct wire *wire = argument;

    if (++wire->calls == wire->fails_at) {
        return -ENODEV;
    }
    CHECK(data == wire->data || !clock);  // data never changes while the clock is to be high
    if (clock && !wire->clock) {
        CHECK(wire->rises / 8 < sizeof(wire->bits));
        wire->bits[wire->rises / 8] |= (uint8_t) ((data ? 0x80 : 0) >> wire->rises % 8);
        wire->rises++;
    }
    wire->data = data;
    wire->clock = clock;
    return 0;
}

static void test_each_bit_is_there_when_the_clock_rises(void)
{
    static const struct frame frame = { .brightness = 3, .pixels = { { 1, 2, 3 }, [7] = { 255, 0x80, 0x55 } } };
    struct wire wire = { .calls = 0 };
    uint8_t bits[BLINKT_SIZE];

    blinkt_bits(&frame, bits);
    CHECK_EQ(gpio_send(wire_set, &wire, bits, BLINKT_CLOCKS), 0);
    CHECK_EQ(wire.rises, 324);
    assert_memory_equal(wire.bits, bits, sizeof(bits));
    CHECK(!wire.data && !wire.clock);
    CHECK_EQ(wire.calls, 2 * 324 + 1);
}

static void test_the_last_bit_does_not_stay_on_the_wire(void)
{
    static const uint8_t bits[] = { 0xFF, 0xE0 };
    struct wire wire = { .calls = 0 };

    CHECK_EQ(gpio_send(wire_set, &wire, bits, 11), 0);
    CHECK_EQ(wire.rises, 11);
    assert_memory_equal(wire.bits, bits, sizeof(bits));
    CHECK(!wire.data && !wire.clock);
}

static void test_an_error_ends_it_at_once(void)
{
    static const uint8_t bits[BLINKT_SIZE];

    for (unsigned call = 1; call <= 2 * 324 + 1; call += 18) {
        struct wire wire = { .fails_at = call };

        CHECK_EQ(gpio_send(wire_set, &wire, bits, BLINKT_CLOCKS), -ENODEV);
        CHECK_EQ(wire.calls, call);
    }
}

TESTS(test_the_chip_with_the_header_is_found_wherever_it_is, test_a_line_that_the_chip_lacks_is_none_of_its,
      test_what_is_no_chip_is_no_device, test_no_permission_is_not_no_device,
      test_each_bit_is_there_when_the_clock_rises, test_the_last_bit_does_not_stay_on_the_wire,
      test_an_error_ends_it_at_once)
