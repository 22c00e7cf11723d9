/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "app/base/clock.h"
#include "drivers/source.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <stdatomic.h>
#include <termios.h>

#define DEADLINE_US 5000000

static const char model_text[] = "[model]\n"
                                 "id = test-meter\n"
                                 "title = A meter of this test\n"
                                 "source = this test\n"
                                 "serial = 115200 8N1\n"
                                 "addresses = from 0\n"
                                 "verified = document\n"
                                 "max_registers = 10\n"
                                 "log = voltage\n"
                                 "[points]\n"
                                 "voltage holding 0 u16 1 V\n";

/* A meter on a pty: 230 V, so long after it was asked. */
struct rig {
    int fd, keeper;
    atomic_uint delay_us;
    atomic_uint exception;      // 0: it answers
    atomic_uint request_count;
    atomic_bool stop;
    pthread_t thread;
    struct model *model;
    struct selection selection;
    struct line *line;
    struct source *source;
    struct sample sample;
};

static void *answer(void *data)
{
    struct rig *rig = data;
    uint8_t bytes[64], frame[MODBUS_MAX_ANSWER_SIZE];
    const uint16_t word = 230;

    while (!rig->stop) {
        struct pollfd waiting = { .fd = rig->fd, .events = POLLIN };
        struct modbus_request request;
        size_t skipped;

        if (poll(&waiting, 1, 20) > 0 && read(rig->fd, bytes, sizeof(bytes)) == 8
            && modbus_request_find(MODBUS_RTU, bytes, 8, &request, &skipped) == 8) {
            unsigned exception = rig->exception;
            size_t size = exception ? modbus_exception_build(MODBUS_RTU, &request, (uint8_t) exception, frame)
                                    : modbus_answer_build(MODBUS_RTU, &request, &word, frame);

            clock_sleep_until_us(clock_monotonic_us() + rig->delay_us);
            rig->request_count++;
            (void) !write(rig->fd, frame, size);
        }
    }
    return NULL;
}

static void start(struct rig *rig, unsigned delay_us)
{
    auto_problems struct problems problems = { 0 };
    struct endpoint endpoint = { .kind = ENDPOINT_SERIAL };
    struct source_setup setup = { .kind = SOURCE_MODBUS, .meter = "m", .unit = 1 };
    struct termios terminal;

    *rig = (struct rig){ .delay_us = delay_us };
    CHECK_EQ(openpty(&rig->fd, &rig->keeper, endpoint.path, NULL, NULL), 0);
    CHECK_EQ(tcgetattr(rig->keeper, &terminal), 0);
    cfmakeraw(&terminal);
    CHECK_EQ(tcsetattr(rig->keeper, TCSANOW, &terminal), 0);
    CHECK_EQ(pthread_create(&rig->thread, NULL, answer, rig), 0);

    CHECK_EQ(model_load_text("test-meter.meter", model_text, sizeof(model_text) - 1, &problems, &rig->model), 0);
    CHECK_EQ(selection_parse(rig->model, "all", "", 0, &problems, &rig->selection), 0);
    CHECK_EQ(line_new(&endpoint, &rig->model->serial, &rig->line), 0);
    setup.line = rig->line;
    setup.model = rig->model;
    setup.selection = &rig->selection;
    CHECK_EQ(source_open(&setup, &rig->source), 0);
}

static void stop(struct rig *rig)
{
    source_close(rig->source);
    line_close(rig->line);
    model_free(rig->model);
    rig->stop = true;
    (void) pthread_join(rig->thread, NULL);
    (void) close(rig->keeper);
    (void) close(rig->fd);
}

/* Poll so often; the shortest time that a poll took. */
static uint64_t poll_times(struct rig *rig, unsigned times)
{
    uint64_t least_us = UINT64_MAX;

    for (unsigned i = 0; i < times; i++) {
        uint64_t start_us = clock_monotonic_us();

        CHECK_EQ(source_next(rig->source, start_us + DEADLINE_US, &rig->sample), 0);
        CHECK_NEAR(rig->sample.values[0], 230, 0.0);
        least_us = MIN(least_us, clock_monotonic_us() - start_us);
    }
    return least_us;
}

static void test_a_meter_that_became_faster_is_not_slept_for_as_before(void)
{
    struct rig rig;

    start(&rig, 40000);
    CHECK(poll_times(&rig, 12) >= 40000);
    rig.delay_us = 5000;
    (void) poll_times(&rig, 40);
    CHECK(poll_times(&rig, 10) < 20000);
    stop(&rig);
}

static void test_a_meter_that_became_slower_loses_no_value(void)
{
    struct rig rig;
    struct source_timing timing;

    start(&rig, 2000);
    (void) poll_times(&rig, 12);
    rig.delay_us = 60000;
    CHECK(poll_times(&rig, 12) >= 60000);
    source_timing(rig.source, &timing);
    CHECK(timing.timeout_us >= 180000);
    stop(&rig);
}

/* Exceptions 5 and 6 ask for time. Who never has enough of it must not keep the others of the bus waiting. Fault 10. */
static void test_a_meter_that_asks_for_time_has_some_but_not_for_ever(void)
{
    struct rig rig;

    start(&rig, 1000);
    (void) poll_times(&rig, 3);
    for (unsigned code = 5; code <= 6; code++) {
        uint64_t start_us = clock_monotonic_us();
        unsigned before = rig.request_count;

        rig.exception = code;
        CHECK_EQ(source_next(rig.source, start_us + DEADLINE_US, &rig.sample), -EOPNOTSUPP);
        CHECK(clock_monotonic_us() - start_us >= 200000);  // asked three times
        CHECK_EQ(rig.request_count, before + 3);
        CHECK_EQ(rig.sample.reasons[0], code);
        for (unsigned i = 1; i <= 5; i++) {
            CHECK_EQ(source_next(rig.source, clock_monotonic_us() + DEADLINE_US, &rig.sample), -EOPNOTSUPP);
            CHECK_EQ(rig.request_count, before + 3 + i);
        }
        rig.exception = 0;
        (void) poll_times(&rig, 1);
    }
    stop(&rig);
}

TESTS(test_a_meter_that_asks_for_time_has_some_but_not_for_ever,
      test_a_meter_that_became_faster_is_not_slept_for_as_before, test_a_meter_that_became_slower_loses_no_value)
