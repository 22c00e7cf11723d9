/* SPDX-License-Identifier: MIT */
// link: ms_drivers ms_base
#include "tests/test.h"

#include "app/base/clock.h"
#include "drivers/source_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define MESSAGE(sensor, channels) \
    "<msg><src>CC128-v0.11</src><dsb>00089</dsb><time>13:02:39</time><tmpr>18.7</tmpr><sensor>" sensor \
    "</sensor><id>01234</id><type>1</type>" channels "</msg>\r\n"
#define ONE "<ch1><watts>00345</watts></ch1>"
#define THREE \
    "<ch1><watts>00345</watts></ch1><ch2><watts>02151</watts></ch2><ch3><watts>00000</watts></ch3>"
#define IMPULSES \
    "<msg><src>CC128-v0.11</src><dsb>00089</dsb><time>13:02:39</time><tmpr>18.7</tmpr>" \
    "<sensor>4</sensor><id>01234</id><type>2</type><imp>0000014768</imp><ipu>1000</ipu></msg>\r\n"

struct display {
    int fd;  // the display's end of the cable
    char path[64];
    struct model *model;
    struct source *source;
    struct sample sample;
};

static int plug(struct display *display)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    CHECK(fd >= 0);
    CHECK_EQ(grantpt(fd), 0);
    CHECK_EQ(unlockpt(fd), 0);
    CHECK_EQ(ptsname_r(fd, display->path, sizeof(display->path)), 0);
    return fd;
}

static void begin(struct display *display)
{
    static struct selection selection;
    struct source_setup setup = { .kind = SOURCE_CURRENTCOST,
                                  .meter = "house",
                                  .selection = &selection };
    auto_problems struct problems problems = { 0 };

    memset(display, 0, sizeof(*display));
    display->fd = plug(display);
    CHECK_EQ(model_find("currentcost-cc128", &problems, &display->model), 0);
    CHECK_EQ(selection_parse(display->model, "all", "", 0, &problems, &selection), 0);
    setup.model = display->model;
    CHECK_EQ(endpoint_parse(display->path, &setup.port, NULL), 0);
    CHECK_EQ(source_currentcost_open(&setup, &display->source), 0);
}

static void end(struct display *display)
{
    display->source->ops->close(display->source);
    model_free(display->model);
    if (display->fd >= 0) {
        close(display->fd);
    }
}

static void say(struct display *display, const char *text)
{
    CHECK_EQ(write(display->fd, text, strlen(text)), (ssize_t) strlen(text));
}

static int next(struct display *display, unsigned ms)
{
    return display->source->ops->next(display->source, clock_monotonic_us() + ms * 1000u,
                                      &display->sample);
}

static unsigned column(const struct display *display, const char *name)
{
    int index = layout_find(display->source->ops->layout(display->source), name);

    if (index < 0) {
        fail_msg("no column %s", name);
    }
    return (unsigned) index;
}

static double value(const struct display *display, const char *name)
{
    return display->sample.values[column(display, name)];
}

/* The port must be open before the display speaks: opening it drops what came earlier. */
static void open_port(struct display *display)
{
    CHECK_EQ(next(display, 1), -ETIMEDOUT);
}

static void test_each_sensor_has_its_own_column_and_its_clamps_are_summed(void)
{
    struct display display;

    begin(&display);
    open_port(&display);
    say(&display, MESSAGE("0", THREE) MESSAGE("9", ONE) IMPULSES MESSAGE("10", ONE));
    CHECK_EQ(next(&display, 1000), 0);
    CHECK_NEAR(value(&display, "power_active_s0"), 2496, 0);
    CHECK_NEAR(value(&display, "power_active_s0_ch2"), 2151, 0);
    CHECK_NEAR(value(&display, "power_active_s0_ch3"), 0, 0);
    CHECK_NEAR(value(&display, "power_active_s9"), 345, 0);
    CHECK_NAN(value(&display, "power_active_s9_ch2"));
    CHECK_NAN(value(&display, "power_active_s1"));  // not that of sensor 10
    CHECK_NEAR(value(&display, "impulses_s4"), 14768, 0);
    CHECK_NAN(value(&display, "power_active_s4"));
    CHECK_NEAR(value(&display, "temperature"), 18.7, 0);
    CHECK_EQ(display.sample.reasons[column(&display, "power_active_s1")], REASON_NOT_READ);
    CHECK(display.sample.boot_ms > 0);
    end(&display);
}

static void test_the_first_poll_ends_when_a_sensor_comes_round_again(void)
{
    struct display display;
    uint64_t start_ms;

    begin(&display);
    open_port(&display);
    end(&display);
    begin(&display);
    open_port(&display);
    say(&display, MESSAGE("0", ONE) MESSAGE("1", ONE) MESSAGE("0", THREE));
    start_ms = clock_monotonic_ms();
    CHECK_EQ(next(&display, 5000), 0);
    CHECK(clock_monotonic_ms() - start_ms < 2000);
    CHECK_NEAR(value(&display, "power_active_s0"), 2496, 0);  // the newer one
    end(&display);
}

static void test_later_polls_end_when_each_known_sensor_was_heard(void)
{
    struct display display;
    uint64_t start_ms;

    begin(&display);
    open_port(&display);
    say(&display, MESSAGE("0", ONE) MESSAGE("1", ONE));
    CHECK_EQ(next(&display, 100), 0);
    say(&display, MESSAGE("1", THREE) MESSAGE("0", THREE));
    start_ms = clock_monotonic_ms();
    CHECK_EQ(next(&display, 5000), 0);
    CHECK(clock_monotonic_ms() - start_ms < 2000);
    end(&display);
}

/* How long it stands is currentcost_is_fresh()'s; here, that a silent one costs the poll its time and no more. */
static void test_a_sensor_that_misses_a_message_keeps_its_reading_for_a_while(void)
{
    struct display display;

    begin(&display);
    open_port(&display);
    say(&display, MESSAGE("0", ONE) MESSAGE("1", ONE));
    CHECK_EQ(next(&display, 60), 0);
    for (int poll = 2; poll <= 5; poll++) {
        uint64_t start_ms = clock_monotonic_ms();

        say(&display, MESSAGE("0", THREE));
        CHECK_EQ(next(&display, 60), 0);
        CHECK(clock_monotonic_ms() - start_ms >= 55);
        CHECK_NEAR(value(&display, "power_active_s0"), 2496, 0);
        CHECK_NEAR(value(&display, "power_active_s1"), 345, 0);
    }
    end(&display);
}

static void test_silence_and_damage_are_told_apart(void)
{
    struct display display;

    begin(&display);
    CHECK_EQ(next(&display, 30), -ETIMEDOUT);
    CHECK_EQ(display.sample.reasons[0], REASON_TIMEOUT);
    CHECK_HAS(display.source->ops->problem(display.source), "nothing heard");
    say(&display, MESSAGE("0", "<ch1><watts>0034</watts></ch1>"));
    CHECK_EQ(next(&display, 60), -EBADMSG);
    CHECK_EQ(display.sample.reasons[0], REASON_DAMAGED);
    CHECK_EQ(sample_present(&display.sample), 0);
    end(&display);
}

static void test_a_history_message_is_no_reading_and_ends_nothing(void)
{
    struct display display;

    begin(&display);
    open_port(&display);
    say(&display,
        "<msg><src>CC128-v0.11</src><hist><data><sensor>0</sensor><h024>001.1</h024></data></hist></msg>\r\n" MESSAGE(
            "0", ONE));
    CHECK_EQ(next(&display, 60), 0);
    CHECK_NEAR(value(&display, "power_active_s0"), 345, 0);
    end(&display);
}

static void test_an_adapter_that_vanished_is_told_and_found_again(void)
{
    struct display display;
    struct display other = { 0 };

    begin(&display);
    open_port(&display);
    close(display.fd);
    display.fd = -1;
    CHECK_EQ(next(&display, 500), -ENODEV);
    CHECK_EQ(display.sample.reasons[0], REASON_DISCONNECTED);
    CHECK(next(&display, 50) < 0);  // still not there: an error at once, and no crash

    other.fd = plug(&other);  // takes the lowest free number: the one that was freed
    if (strcmp(other.path, display.path) == 0) {
        display.fd = other.fd;
        CHECK_EQ(next(&display, 20), -ETIMEDOUT);
        say(&display, MESSAGE("0", ONE));
        CHECK_EQ(next(&display, 100), 0);
    } else {
        close(other.fd);
    }
    end(&display);
}

TESTS(test_each_sensor_has_its_own_column_and_its_clamps_are_summed,
      test_the_first_poll_ends_when_a_sensor_comes_round_again,
      test_later_polls_end_when_each_known_sensor_was_heard,
      test_a_sensor_that_misses_a_message_keeps_its_reading_for_a_while,
      test_silence_and_damage_are_told_apart, test_a_history_message_is_no_reading_and_ends_nothing,
      test_an_adapter_that_vanished_is_told_and_found_again)
