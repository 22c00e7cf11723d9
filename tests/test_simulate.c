/* SPDX-License-Identifier: MIT */
// link: ms_drivers ms_base
// sources: app/cli/simulate_fault.c app/cli/simulate_load.c app/cli/simulate_meter.c app/cli/simulate_wire.c
#include "tests/test.h"

#include "app/base/text.h"
#include "app/cli/simulate_fault.h"
#include "app/cli/simulate_wire.h"

static struct model *load_model(const char *id)
{
    auto_problems struct problems problems = { 0 };
    struct model *model = NULL;

    if (model_find(id, &problems, &model) < 0) {
        fail_msg("%s: %s", id, problems_text(&problems));
    }
    return model;
}

static double value(const struct simulated_meter *meter, const char *name, double t)
{
    int point = model_point(meter->model, name);

    CHECK(point >= 0);
    return simulated_meter_value(meter, (size_t) point, t);
}

/* --- the load --- */

static void test_voltage_current_power_and_power_factor_fit_each_other(void)
{
    auto_model struct model *model = load_model("schneider-iem2150");
    struct simulated_meter meter;

    CHECK_EQ(simulated_meter_init(&meter, model, 1, 42), 0);
    for (double t = 0; t < 100000; t += 997) {
        double power = value(&meter, "voltage", t) * value(&meter, "current", t)
                       * value(&meter, "power_factor", t);

        CHECK_NEAR(value(&meter, "power_active", t), power, 1e-6 * power);
        CHECK(value(&meter, "voltage", t) > 220 && value(&meter, "voltage", t) < 240);
        CHECK(value(&meter, "power_factor", t) > 0.5 && value(&meter, "power_factor", t) < 1);
    }
    simulated_meter_clear(&meter);
}

static void test_a_counter_is_the_integral_of_the_power(void)
{
    auto_model struct model *model = load_model("circutor-cvm-nrg96");
    struct simulated_meter meter;
    double sum_wh = 0;

    CHECK_EQ(simulated_meter_init(&meter, model, 1, 42), 0);
    for (double t = 0.5; t < 7200; t++) {
        sum_wh += value(&meter, "power_active_total", t) / 3600;
    }
    CHECK_NEAR(value(&meter, "energy_active_import", 7200)
                   - value(&meter, "energy_active_import", 0),
               sum_wh, 1e-3 * sum_wh);
    CHECK_NEAR(value(&meter, "power_active_l1", 77) + value(&meter, "power_active_l2", 77)
                   + value(&meter, "power_active_l3", 77),
               value(&meter, "power_active_total", 77), 1e-9);
    CHECK(value(&meter, "voltage_l1_n.max", 0) >= value(&meter, "voltage_l1_n", 500));
    CHECK(value(&meter, "voltage_l1_n.min", 0) <= value(&meter, "voltage_l1_n", 500));
    simulated_meter_clear(&meter);
}

static void test_the_same_seed_is_the_same_load_and_another_is_not(void)
{
    auto_model struct model *model = load_model("schneider-iem2150");
    struct simulated_meter one, same, other;

    CHECK_EQ(simulated_meter_init(&one, model, 1, 42), 0);
    CHECK_EQ(simulated_meter_init(&same, model, 1, 42), 0);
    CHECK_EQ(simulated_meter_init(&other, model, 1, 43), 0);
    CHECK(value(&one, "power_active", 1000) == value(&same, "power_active", 1000));
    CHECK(value(&one, "power_active", 1000) != value(&other, "power_active", 1000));
    CHECK(value(&one, "power_active", 1000) != value(&one, "power_active", 1010));
    simulated_meter_clear(&one);
    simulated_meter_clear(&same);
    simulated_meter_clear(&other);
}

/* --- the meter --- */

static unsigned ask(const struct simulated_meter *meter, unsigned table, unsigned address,
                    unsigned count, uint16_t words[static MODBUS_MAX_REGISTERS])
{
    const struct modbus_request request = {
        .unit = 1, .table = table, .address = (uint16_t) address, .count = (uint16_t) count
    };

    return simulated_meter_answer(meter, &request, 0, words);
}

static void test_a_meter_answers_and_refuses_as_its_model_says(void)
{
    auto_model struct model *model = load_model("schneider-iem2150");
    struct simulated_meter meter;
    uint16_t words[MODBUS_MAX_REGISTERS];

    CHECK_EQ(simulated_meter_init(&meter, model, 1, 42), 0);
    CHECK_EQ(simulated_meter_set(&meter, "voltage", 230), 0);
    CHECK_EQ(ask(&meter, 3, 3027, 2, words), 0);
    CHECK_EQ(words[0], 0x4366);  // 230.0 as binary32
    CHECK_EQ(words[1], 0x0000);
    CHECK_EQ(simulated_meter_set(&meter, "voltage", NAN), 0);
    CHECK_EQ(ask(&meter, 3, 3027, 2, words), 0);
    CHECK_EQ(words[0], 0xFFC0);
    CHECK_EQ(ask(&meter, 3, 3028, 1, words), 0);    // half of it is a register, too
    CHECK_EQ(ask(&meter, 3, 2999, 112, words), 0);  // gaps read 0
    CHECK_EQ(ask(&meter, 3, 10, 2, words), 2);
    CHECK_EQ(ask(&meter, 4, 3027, 2, words), 2);
    CHECK_EQ(ask(&meter, 6, 3027, 2, words), 1);
    CHECK_EQ(ask(&meter, 3, 2999, 113, words), 3);
    CHECK_EQ(ask(&meter, 3, 3027, 0, words), 3);
    CHECK_EQ(simulated_meter_refuse(&meter, 3028, 6), 0);
    CHECK_EQ(ask(&meter, 3, 3027, 2, words), 6);
    CHECK_EQ(ask(&meter, 3, 2999, 2, words), 0);
    CHECK_EQ(simulated_meter_refuse(&meter, 3028, 0), 0);
    CHECK_EQ(ask(&meter, 3, 3027, 2, words), 0);
    simulated_meter_clear(&meter);
}

/* --- the wire --- */

#define CHARACTER_US 1000.0
#define SILENCE_US   3500.0

static const struct modbus_request question = {
    .unit = 1, .table = MODBUS_HOLDING, .address = 0, .count = 10
};

static struct wire slow_wire(void)
{
    return (struct wire){
        .character_us = CHARACTER_US, .silence_us = SILENCE_US, .turnaround_us = 10000, .rtu = true
    };
}

/* Ask at a time; the answer has 25 characters. */
static void transact(struct wire *wire, uint64_t at_us)
{
    uint8_t bytes[MODBUS_REQUEST_SIZE];
    struct modbus_request request;
    struct answer answer = { .size = 25 };

    wire_receive(wire, bytes, modbus_request_build(MODBUS_RTU, &question, bytes), at_us);
    CHECK(wire_request(wire, &request));
    CHECK_EQ(request.count, 10);
    wire_answer(wire, &answer);
}

static void test_the_answer_comes_in_eights_at_the_times_of_its_characters(void)
{
    static const struct {
        size_t size;
        uint64_t at_us;
    } chunks[] = { { 8, 29500 }, { 8, 37500 }, { 8, 45500 }, { 1, 46500 } };
    struct wire wire = slow_wire();
    const uint8_t *bytes;

    transact(&wire, 100000);
    for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
        CHECK_EQ(wire_next_us(&wire), 100000 + chunks[i].at_us);
        CHECK_EQ(wire_due(&wire, 100000 + chunks[i].at_us - 1, &bytes), 0);
        CHECK_EQ(wire_due(&wire, 100000 + chunks[i].at_us, &bytes), chunks[i].size);
    }
    CHECK_EQ(wire_next_us(&wire), UINT64_MAX);
    // 8 + 25 characters, two silences, the turnaround: bus-timing's T(10)
    CHECK_NEAR(wire.counters.busy_us, 33 * CHARACTER_US + 2 * SILENCE_US + 10000, 1e-6);
}

static void test_what_comes_into_a_running_transaction_is_a_collision(void)
{
    struct wire wire = slow_wire();
    const uint8_t *bytes;
    struct modbus_request request;

    transact(&wire, 100000);
    wire_receive(&wire, (const uint8_t *) "12345678", 8, 120000);
    CHECK_EQ(wire.counters.collisions, 8);
    CHECK(!wire_request(&wire, &request));
    while (wire_due(&wire, 146500, &bytes) > 0) {
    }
    CHECK_EQ(wire.counters.silence_violations, 0);
}

static void test_a_request_too_soon_after_an_answer_is_a_violation(void)
{
    struct wire wire = slow_wire();
    const uint8_t *bytes;

    transact(&wire, 100000);
    while (wire_due(&wire, 146500, &bytes) > 0) {
    }
    transact(&wire, 146500 + 3500);
    CHECK_EQ(wire.counters.silence_violations, 0);
    while (wire_due(&wire, 300000, &bytes) > 0) {
    }
    transact(&wire, 150000 + 46500 + 3499);
    CHECK_EQ(wire.counters.silence_violations, 1);
    CHECK_EQ(wire.counters.collisions, 0);
}

static void test_a_meter_that_does_not_answer_leaves_the_line_free_after_the_request(void)
{
    struct wire wire = slow_wire();
    uint8_t bytes[MODBUS_REQUEST_SIZE];
    struct modbus_request request;
    const uint8_t *due;
    struct answer none = { 0 };

    wire_receive(&wire, bytes, modbus_request_build(MODBUS_RTU, &question, bytes), 100000);
    CHECK(wire_request(&wire, &request));
    wire_answer(&wire, &none);
    CHECK_EQ(wire_next_us(&wire), 108000);
    CHECK_EQ(wire_due(&wire, 108000, &due), 0);
    CHECK(!wire.busy);
    CHECK_EQ(wire.counters.silent, 1);
}

/* --- faults --- */

static void one_answer(const char *list, struct answer *ret, enum modbus_fault *ret_fault)
{
    struct faults faults = { .dice = 7 };
    const char *problem = "";
    uint16_t words[MODBUS_MAX_REGISTERS] = { 1, 2, 3 };
    struct modbus_answer found;

    if (faults_parse(list, &faults, NULL, 0, &problem) < 0) {
        fail_msg("%s: %s", list, problem);
    }
    faults_answer(&faults, MODBUS_RTU, &question, 0, words, ret);
    modbus_answer_find(MODBUS_RTU, &question, ret->bytes, ret->size, &found);
    *ret_fault = found.fault;
}

static const struct {
    const char *list;
    enum modbus_fault fault;
} fault_cases[] = {
    { "none", MODBUS_ANSWERED },
    { "crc=0%", MODBUS_ANSWERED },
    { "drop", MODBUS_SILENT },
    { "crc", MODBUS_CRC },
    { "echo", MODBUS_ANSWERED },
    { "noise", MODBUS_ANSWERED },
    { "wrong-unit", MODBUS_WRONG_UNIT },
    { "wrong-function", MODBUS_WRONG_FUNCTION },
    { "wrong-length", MODBUS_BYTE_COUNT },
};

static void test_each_fault_is_what_it_says(void)
{
    struct answer answer;
    enum modbus_fault fault;

    for (size_t i = 0; i < ARRAY_SIZE(fault_cases); i++) {
        one_answer(fault_cases[i].list, &answer, &fault);
        if (fault != fault_cases[i].fault) {
            fail_msg("%s: fault %d", fault_cases[i].list, (int) fault);
        }
    }
    one_answer("cut", &answer, &fault);
    CHECK(answer.size < 25 && fault != MODBUS_ANSWERED);
    one_answer("late=700ms, fragment=5ms", &answer, &fault);
    CHECK_EQ(answer.late_ms, 700);
    CHECK_EQ(answer.fragment_ms, 5);
}

static void test_a_probability_is_about_kept(void)
{
    struct faults faults = { .dice = 7 };
    uint16_t words[MODBUS_MAX_REGISTERS] = { 0 };
    const char *problem;
    int dropped = 0;

    CHECK_EQ(faults_parse("drop=10%", &faults, NULL, 0, &problem), 0);
    for (int i = 0; i < 10000; i++) {
        struct answer answer;

        faults_answer(&faults, MODBUS_RTU, &question, 0, words, &answer);
        dropped += answer.size == 0;
    }
    CHECK(dropped > 850 && dropped < 1150);
}

static void test_a_fault_that_is_none_is_refused(void)
{
    static const char *const lists[] = { "dorp",      "drop=",         "drop=2",
                                         "drop=101%", "late",          "late=x",
                                         "exception", "exception=256", "exception=2@x" };
    struct faults faults = { .dice = 7 };
    struct simulated_meter meter = { 0 };

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        const char *problem = NULL;

        if (faults_parse(lists[i], &faults, &meter, 1, &problem) == 0) {
            fail_msg("%s is taken", lists[i]);
        }
        CHECK(problem);
    }
}

TESTS(test_voltage_current_power_and_power_factor_fit_each_other,
      test_a_counter_is_the_integral_of_the_power,
      test_the_same_seed_is_the_same_load_and_another_is_not,
      test_a_meter_answers_and_refuses_as_its_model_says,
      test_the_answer_comes_in_eights_at_the_times_of_its_characters,
      test_what_comes_into_a_running_transaction_is_a_collision,
      test_a_request_too_soon_after_an_answer_is_a_violation,
      test_a_meter_that_does_not_answer_leaves_the_line_free_after_the_request,
      test_each_fault_is_what_it_says, test_a_probability_is_about_kept,
      test_a_fault_that_is_none_is_refused)
