/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "drivers/modbus_meter.h"

#include <errno.h>

#define MINUTE_US 60000000ULL
#define POINTS    24

static const struct plan_timing timing = { .character_us = 1041.67, .silence_us = 3645.8, .turnaround_us = 10000 };

/* A model with single registers 0 to 23: value_a to value_p, then texts of one register. */
static struct model *new_model(const char *settings)
{
    auto_text struct text text = { 0 };
    auto_problems struct problems problems = { 0 };
    struct model *model = NULL;

    text_addf(&text, "[model]\nid = made-up\naddresses = from 0\n%s\n[points]\n", settings);
    for (int i = 0; i < POINTS; i++) {
        if (i < 16) {
            text_addf(&text, "value_%c holding %d u16 1\n", 'a' + i, i);
        } else {
            text_addf(&text, "text_%c holding %d text.1\n", 'a' + i, i);
        }
    }
    if (model_load_text("made-up.meter", text.data, text.size, &problems, &model) != 0) {
        fail_msg("%s", problems_text(&problems));
    }
    return model;
}

static void select_all(const struct model *model, struct selection *ret)
{
    auto_problems struct problems problems = { 0 };

    CHECK_EQ(selection_parse(model, "all", NULL, 0, &problems, ret), 0);
}

/* A meter that answers for some registers only. */
struct device {
    bool hole[POINTS];       // refused whenever a request touches it
    bool hates[POINTS];      // refuses a request that holds this one and the one before
    unsigned requests;
    bool read[POINTS];
};

static bool device_answers(struct device *device, const struct plan_block *block)
{
    device->requests++;
    for (unsigned i = block->address; i < block->address + block->count; i++) {
        if (i < POINTS && (device->hole[i] || (device->hates[i] && i > block->address))) {
            return false;
        }
    }
    return true;
}

/* Ask for one request the way a poll does: halved until it is answered or stands alone. */
static void ask(struct modbus_meter *meter, struct device *device, const struct meter_request *request, uint64_t now_us)
{
    unsigned middle;
    struct meter_request half;

    if (device_answers(device, &request->block)) {
        for (unsigned i = request->first; i < request->last; i++) {
            device->read[meter->slots[i].point->address] = true;
        }
        return;
    }
    if (request->last - request->first == 1) {
        meter_mute(meter, request->first, (enum reason) 2, now_us);
        return;
    }
    meter_split(meter, request, now_us, &middle);
    CHECK(middle > request->first && middle < request->last);
    half = meter_request_for(meter, request->first, middle);
    ask(meter, device, &half, now_us);
    half = meter_request_for(meter, middle, request->last);
    ask(meter, device, &half, now_us);
}

/* One poll. Returns how many requests it took. */
static unsigned poll_device(struct modbus_meter *meter, struct device *device, uint64_t now_us)
{
    struct meter_request requests[POINTS];
    unsigned count;

    CHECK_EQ(meter_plan(meter, now_us), 0);
    count = meter->request_count;
    CHECK(count <= POINTS);
    memcpy(requests, meter->requests, count * sizeof(requests[0]));
    memset(device->read, 0, sizeof(device->read));
    device->requests = 0;
    for (unsigned i = 0; i < count; i++) {
        ask(meter, device, &requests[i], now_us);
    }
    return device->requests;
}

static void init(struct modbus_meter *meter, const struct model *model)
{
    static struct selection selection;

    select_all(model, &selection);
    CHECK_EQ(meter_init(meter, model, &selection, 0, &timing), 0);
}

static void check_all_read_but(const struct device *device, const bool *hole)
{
    for (unsigned i = 0; i < POINTS; i++) {
        if (device->read[i] == hole[i]) {
            fail_msg("register %u is %s", i, device->read[i] ? "read" : "not read");
        }
    }
}

static void test_a_meter_without_holes_takes_one_request(void)
{
    auto_model struct model *model = new_model("");
    struct modbus_meter meter;
    struct device device = { 0 };

    init(&meter, model);
    CHECK_EQ(poll_device(&meter, &device, 0), 1);
    check_all_read_but(&device, device.hole);
    CHECK_EQ(meter.requests[0].block.count, POINTS);
    CHECK_EQ(meter.requests[0].first, 0);
    CHECK_EQ(meter.requests[0].last, POINTS);
    meter_clear(&meter);
}

static void test_a_refused_point_is_found_and_everything_else_read_in_the_same_poll(void)
{
    auto_model struct model *model = new_model("");

    for (unsigned hole = 0; hole < POINTS; hole++) {
        struct modbus_meter meter;
        struct device device = { .hole = { [0] = false } };

        device.hole[hole] = true;
        init(&meter, model);
        CHECK(poll_device(&meter, &device, 0) <= 12);  // 1 + 2 log2(24)
        check_all_read_but(&device, device.hole);
        // from then on it is known: the point is not asked for, and nothing is refused
        CHECK(poll_device(&meter, &device, MINUTE_US) <= 7);
        check_all_read_but(&device, device.hole);
        CHECK_EQ(meter.slots[hole].muted_reason, 2);
        meter_clear(&meter);
    }
}

static void test_several_holes_are_found_at_once(void)
{
    auto_model struct model *model = new_model("");
    struct modbus_meter meter;
    struct device device = { .hole = { [0] = true, [5] = true, [6] = true, [23] = true } };
    unsigned later;

    init(&meter, model);
    (void) poll_device(&meter, &device, 0);
    check_all_read_but(&device, device.hole);
    later = poll_device(&meter, &device, MINUTE_US);
    check_all_read_but(&device, device.hole);
    CHECK(later < POINTS / 2);
    meter_clear(&meter);
}

static void test_a_meter_that_refuses_everything_loses_no_point_for_good(void)
{
    auto_model struct model *model = new_model("");
    struct modbus_meter meter;
    struct device device = { 0 }, all = { 0 };

    memset(all.hole, true, sizeof(all.hole));
    init(&meter, model);
    device = all;
    CHECK_EQ(poll_device(&meter, &device, 0), 2 * POINTS - 1);
    CHECK_EQ(poll_device(&meter, &device, 5 * MINUTE_US), 0);
    memset(device.hole, false, sizeof(device.hole));
    (void) poll_device(&meter, &device, 11 * MINUTE_US);
    check_all_read_but(&device, device.hole);
    meter_clear(&meter);
}

static void test_a_muted_point_is_asked_for_again_after_ten_minutes(void)
{
    auto_model struct model *model = new_model("");
    struct modbus_meter meter;
    struct device device = { .hole = { [7] = true } };

    init(&meter, model);
    (void) poll_device(&meter, &device, 1);
    CHECK(!device.read[7]);
    device.hole[7] = false;
    (void) poll_device(&meter, &device, 10 * MINUTE_US);
    CHECK(!device.read[7]);
    (void) poll_device(&meter, &device, 10 * MINUTE_US + 1);
    CHECK(device.read[7]);
    meter_clear(&meter);
}

static void test_barriers_are_forgotten_after_an_hour_and_joined_reads_tried_again(void)
{
    auto_model struct model *model = new_model("");
    struct modbus_meter meter;
    struct device device = { .hates = { [10] = true } };
    unsigned split;

    init(&meter, model);
    (void) poll_device(&meter, &device, 0);
    check_all_read_but(&device, device.hole);  // no point is lost: only the joined request was refused
    split = poll_device(&meter, &device, MINUTE_US);
    CHECK(split > 1);
    CHECK_EQ(split, meter.request_count);  // planned so: nothing was refused again
    CHECK_EQ(poll_device(&meter, &device, 59 * MINUTE_US), split);
    device.hates[10] = false;
    CHECK_EQ(poll_device(&meter, &device, 61 * MINUTE_US), 1);
    check_all_read_but(&device, device.hole);
    meter_clear(&meter);
}

static void test_the_requests_serve_every_slot_once_whatever_is_muted(void)
{
    auto_model struct model *model = new_model("gaps = avoid");
    uint32_t state = 7;

    for (int round = 0; round < 300; round++) {
        struct modbus_meter meter;
        struct device device = { 0 };

        for (int i = 0; i < POINTS; i++) {
            state = state * 1664525 + 1013904223;
            device.hole[i] = state >> 24 < 60;
            device.hates[i] = (state >> 16 & 0xFF) < 40;
        }
        init(&meter, model);
        (void) poll_device(&meter, &device, 0);
        check_all_read_but(&device, device.hole);
        (void) poll_device(&meter, &device, MINUTE_US);
        check_all_read_but(&device, device.hole);
        for (unsigned i = 1; i < meter.request_count; i++) {
            CHECK(meter.requests[i].first >= meter.requests[i - 1].last);
        }
        meter_clear(&meter);
    }
}

static void test_the_halves_of_a_request_keep_the_models_alignment(void)
{
    static const char text[] = "[model]\nid = even\naddresses = from 0\nalign = even\n[points]\n"
                               "value_a holding 0 u32.abcd 1\nvalue_b holding 2 u32.abcd 1\n"
                               "value_c holding 6 u32.abcd 1\n";
    auto_problems struct problems problems = { 0 };
    auto_model struct model *model = NULL;
    struct modbus_meter meter;
    struct meter_request half;

    CHECK_EQ(model_load_text("even.meter", text, strlen(text), &problems, &model), 0);
    init(&meter, model);
    half = meter_request_for(&meter, 1, 3);
    CHECK_EQ(half.block.address, 2);
    CHECK_EQ(half.block.count, 6);
    CHECK_EQ(half.block.table, MODBUS_HOLDING);
    meter_clear(&meter);
}

static void test_the_configurations_limit_makes_requests_shorter_never_longer(void)
{
    auto_model struct model *model = new_model("max_registers = 10");
    static struct selection selection;
    struct modbus_meter meter;

    select_all(model, &selection);
    CHECK_EQ(meter_init(&meter, model, &selection, 0, &timing), 0);
    CHECK_EQ(meter.request_count, 3);
    meter_clear(&meter);
    CHECK_EQ(meter_init(&meter, model, &selection, 6, &timing), 0);
    CHECK_EQ(meter.request_count, 4);
    meter_clear(&meter);
    CHECK_EQ(meter_init(&meter, model, &selection, 100, &timing), 0);
    CHECK_EQ(meter.request_count, 3);
    meter_clear(&meter);
}

static void test_a_value_longer_than_the_limit_is_told(void)
{
    static const char text[] = "[model]\nid = long\naddresses = from 0\n[points]\nvalue_a holding 0 u64.abcd 1\n";
    auto_problems struct problems problems = { 0 };
    auto_model struct model *model = NULL;
    static struct selection selection;
    struct modbus_meter meter;

    CHECK_EQ(model_load_text("long.meter", text, strlen(text), &problems, &model), 0);
    select_all(model, &selection);
    CHECK_EQ(meter_init(&meter, model, &selection, 3, &timing), -EMSGSIZE);
    meter_clear(&meter);
}

static void test_only_a_turnaround_that_is_a_quarter_off_makes_a_new_plan(void)
{
    auto_model struct model *model = new_model("");
    struct modbus_meter meter;

    init(&meter, model);
    CHECK(!meter.stale);
    meter_learn_turnaround(&meter, 12000);
    CHECK(!meter.stale);
    CHECK_NEAR(meter.timing.turnaround_us, 10000, 0);
    meter_learn_turnaround(&meter, 13000);
    CHECK(meter.stale);
    CHECK_NEAR(meter.timing.turnaround_us, 13000, 0);
    CHECK_EQ(meter_plan(&meter, 0), 0);
    CHECK(!meter.stale);
    meter_clear(&meter);
}

TESTS(test_a_meter_without_holes_takes_one_request,
      test_a_refused_point_is_found_and_everything_else_read_in_the_same_poll, test_several_holes_are_found_at_once,
      test_a_meter_that_refuses_everything_loses_no_point_for_good,
      test_a_muted_point_is_asked_for_again_after_ten_minutes,
      test_barriers_are_forgotten_after_an_hour_and_joined_reads_tried_again,
      test_the_requests_serve_every_slot_once_whatever_is_muted,
      test_the_halves_of_a_request_keep_the_models_alignment,
      test_the_configurations_limit_makes_requests_shorter_never_longer,
      test_a_value_longer_than_the_limit_is_told,
      test_only_a_turnaround_that_is_a_quarter_off_makes_a_new_plan)
