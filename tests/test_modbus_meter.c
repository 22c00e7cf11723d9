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
        meter_answered(meter, request);
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
        CHECK(poll_device(&meter, &device, MINUTE_US / 4) <= 7);
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
    later = poll_device(&meter, &device, MINUTE_US / 4);
    check_all_read_but(&device, device.hole);
    CHECK(later < POINTS / 2);
    meter_clear(&meter);
}

/* Fault 10, and a burst of it: a meter that starts refuses all that it is asked. */
static void test_a_meter_that_refused_everything_for_a_moment_is_whole_within_a_minute(void)
{
    auto_model struct model *model = new_model("");
    struct modbus_meter meter;
    struct device device = { 0 }, all = { 0 };

    memset(all.hole, true, sizeof(all.hole));
    init(&meter, model);
    device = all;
    CHECK_EQ(poll_device(&meter, &device, 1), 2 * POINTS - 1);
    CHECK_EQ(poll_device(&meter, &device, MINUTE_US / 4), 0);
    memset(device.hole, false, sizeof(device.hole));
    (void) poll_device(&meter, &device, MINUTE_US / 2 + 1);
    check_all_read_but(&device, device.hole);
    CHECK_EQ(poll_device(&meter, &device, MINUTE_US), 1);  // and all in one request again
    check_all_read_but(&device, device.hole);
    meter_clear(&meter);
}

static void test_a_meter_that_refuses_everything_loses_no_point_for_good(void)
{
    auto_model struct model *model = new_model("");
    struct modbus_meter meter;
    struct device device = { 0 };
    uint64_t now_us = 1;
    unsigned requests = 0;

    memset(device.hole, true, sizeof(device.hole));
    init(&meter, model);
    for (; now_us < 1440 * MINUTE_US; now_us += MINUTE_US / 6) {
        requests += poll_device(&meter, &device, now_us);
    }
    CHECK(requests < 24 * 7 * POINTS);  // six times an hour each, after the first few
    memset(device.hole, false, sizeof(device.hole));
    for (uint64_t end_us = now_us + 10 * MINUTE_US; now_us <= end_us; now_us += MINUTE_US / 6) {
        (void) poll_device(&meter, &device, now_us);
    }
    check_all_read_but(&device, device.hole);
    meter_clear(&meter);
}

static void test_a_refused_point_is_tried_again_alone_and_ever_less_often(void)
{
    auto_model struct model *model = new_model("");
    struct modbus_meter meter;
    struct device device = { .hole = { [7] = true } };
    uint64_t now_us = 1, last_us = 1, longest_us = 0;
    unsigned planned, tried = 0;

    init(&meter, model);
    (void) poll_device(&meter, &device, now_us);
    for (; now_us < 120 * MINUTE_US; now_us += MINUTE_US / 6) {
        bool was_tried;

        CHECK_EQ(meter_plan(&meter, now_us), 0);
        planned = meter.request_count;
        was_tried = meter.slots[7].trial;
        // it stands alone, so its refusal costs one request and no other point (a trial of the barriers costs more)
        if (poll_device(&meter, &device, now_us) == planned && was_tried) {
            tried++;
        }
        check_all_read_but(&device, device.hole);
        if (was_tried) {
            longest_us = MAX(longest_us, now_us - last_us);
            last_us = now_us;
        }
    }
    CHECK(tried >= 8);
    CHECK(longest_us >= 10 * MINUTE_US && longest_us <= 11 * MINUTE_US);

    device.hole[7] = false;
    for (uint64_t end_us = now_us + 11 * MINUTE_US; now_us <= end_us; now_us += MINUTE_US / 6) {
        (void) poll_device(&meter, &device, now_us);
    }
    CHECK(device.read[7]);
    CHECK(!meter.slots[7].trial);
    CHECK_EQ(meter.slots[7].refusals, 0);
    meter_clear(&meter);
}

static void test_joined_reads_are_tried_again_ever_less_often_at_most_after_an_hour(void)
{
    auto_model struct model *model = new_model("");
    struct modbus_meter meter;
    struct device device = { .hates = { [10] = true } };
    uint64_t now_us = 1, last_us = 1, longest_us = 0;
    unsigned split, refused = 0;

    init(&meter, model);
    (void) poll_device(&meter, &device, now_us);
    check_all_read_but(&device, device.hole);  // no point is lost: only the joined request was refused
    split = poll_device(&meter, &device, MINUTE_US / 4);
    CHECK(split > 1);
    CHECK_EQ(split, meter.request_count);      // planned so: nothing was refused again
    for (; now_us < 1440 * MINUTE_US; now_us += MINUTE_US / 6) {
        if (poll_device(&meter, &device, now_us) > split) {
            refused++;
            longest_us = MAX(longest_us, now_us - last_us);
            last_us = now_us;
        }
        check_all_read_but(&device, device.hole);
    }
    CHECK(longest_us >= 60 * MINUTE_US && longest_us <= 61 * MINUTE_US);
    CHECK(refused >= 24 && refused <= 32);     // each hour, and the first few

    device.hates[10] = false;
    for (uint64_t end_us = now_us + 61 * MINUTE_US; now_us <= end_us; now_us += MINUTE_US / 6) {
        (void) poll_device(&meter, &device, now_us);
    }
    CHECK_EQ(poll_device(&meter, &device, now_us), 1);
    check_all_read_but(&device, device.hole);
    CHECK_EQ(meter.barrier_refusals, 0);
    meter_clear(&meter);
}

/* What a restart forgets would be found again by refusals, at the cost of the others. */
static void test_holes_are_remembered_over_a_restart_and_refused_points_tried_at_once(void)
{
    auto_model struct model *model = new_model("");
    auto_text struct text saved = { 0 }, again = { 0 };
    struct device device = { .hole = { [3] = true }, .hates = { [10] = true, [20] = true } };
    struct modbus_meter meter, later;
    unsigned requests;

    init(&meter, model);
    meter_save(&meter, &saved);
    CHECK_STR(text_string(&saved), "");
    (void) poll_device(&meter, &device, 1);
    requests = poll_device(&meter, &device, 2);
    meter_save(&meter, &saved);
    CHECK_HAS(text_string(&saved), " refused:3:3:2:1");

    init(&later, model);
    CHECK_EQ(meter_restore(&later, text_string(&saved), 1000), 0);
    meter_save(&later, &again);
    CHECK_STR(text_string(&again), text_string(&saved));
    CHECK_EQ(poll_device(&later, &device, 1001), requests + 1);  // the refused point, alone
    check_all_read_but(&device, device.hole);
    CHECK_EQ(poll_device(&later, &device, 1002), requests);
    device.hole[3] = false;
    meter_clear(&later);

    init(&later, model);
    CHECK_EQ(meter_restore(&later, text_string(&saved), 1000), 0);
    CHECK_EQ(poll_device(&later, &device, 1001), requests + 1);
    check_all_read_but(&device, device.hole);  // it answers again: found with the first poll
    device = (struct device){ 0 };
    CHECK_EQ(poll_device(&later, &device, 1000 + 10 * MINUTE_US), 1);
    meter_save(&later, &again);
    CHECK_STR(text_string(&again), "");
    meter_clear(&later);
    meter_clear(&meter);
}

static void test_what_was_learned_with_other_settings_or_is_damaged_is_not_taken(void)
{
    static const char *const damaged[] = {
        "", "nonsense", "%s x", "%s barrier", "%s barrier:", "%s barrier:3", "%s barrier:3:24", "%s barrier:9:1",
        "%s barrier:3:0", "%s barrier:3:99999999999", "%s refused:3:3", "%s refused:3:3:2", "%s refused:3:3:2:0",
        "%s refused:3:3:99:1", "%s refused:3:3:2:200", "%s again:77", "%s barrier:3:-1", "%s barrier:3:4 \x80\xFF",
    };
    auto_model struct model *model = new_model(""), *other = new_model("max_registers = 10");
    auto_text struct text saved = { 0 }, again = { 0 };
    struct device device = { .hole = { [3] = true } };
    struct modbus_meter meter, later;

    init(&meter, model);
    (void) poll_device(&meter, &device, 1);
    meter_save(&meter, &saved);
    init(&later, other);
    CHECK_EQ(meter_restore(&later, text_string(&saved), 1), -ESTALE);
    meter_clear(&later);

    init(&later, model);
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        char line[128], settings[9];

        (void) snprintf(settings, sizeof(settings), "%.8s", text_string(&saved));
        (void) snprintf(line, sizeof(line), damaged[i], settings);
        CHECK_EQ(meter_restore(&later, line, 1), -EBADMSG);
        meter_save(&later, &again);
        CHECK_STR(text_string(&again), "");  // as it was
    }
    meter_clear(&later);
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
        (void) poll_device(&meter, &device, MINUTE_US / 4);
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

/* Section 4 of the read plan's arithmetic: a short turnaround makes more requests, a long one fewer. */
static void test_a_plan_follows_the_measured_turnaround(void)
{
    static const char text[] = "[model]\nid = apart\naddresses = from 0\nmax_registers = 125\n[points]\n"
                               "value_a holding 0 u16 1\nvalue_b holding 12 u16 1\nvalue_c holding 40 u16 1\n";
    static const struct { double turnaround_us; unsigned requests; } steps[] = {
        { 10000, 2 }, { 2000, 3 }, { 2200, 3 }, { 50000, 1 }, { 10000, 2 },
    };
    auto_problems struct problems problems = { 0 };
    auto_model struct model *model = NULL;
    struct modbus_meter meter;

    CHECK_EQ(model_load_text("apart.meter", text, strlen(text), &problems, &model), 0);
    init(&meter, model);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        meter_learn_turnaround(&meter, steps[i].turnaround_us);
        CHECK_EQ(meter_plan(&meter, 1), 0);
        CHECK_EQ(meter.request_count, steps[i].requests);
    }
    meter_clear(&meter);
}

TESTS(test_a_meter_without_holes_takes_one_request,
      test_a_refused_point_is_found_and_everything_else_read_in_the_same_poll, test_several_holes_are_found_at_once,
      test_a_meter_that_refused_everything_for_a_moment_is_whole_within_a_minute,
      test_a_meter_that_refuses_everything_loses_no_point_for_good,
      test_a_refused_point_is_tried_again_alone_and_ever_less_often,
      test_joined_reads_are_tried_again_ever_less_often_at_most_after_an_hour,
      test_holes_are_remembered_over_a_restart_and_refused_points_tried_at_once,
      test_what_was_learned_with_other_settings_or_is_damaged_is_not_taken, test_a_plan_follows_the_measured_turnaround,
      test_the_requests_serve_every_slot_once_whatever_is_muted,
      test_the_halves_of_a_request_keep_the_models_alignment,
      test_the_configurations_limit_makes_requests_shorter_never_longer,
      test_a_value_longer_than_the_limit_is_told,
      test_only_a_turnaround_that_is_a_quarter_off_makes_a_new_plan)
