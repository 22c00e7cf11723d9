/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "app/base/clock.h"
#include "app/base/macros.h"
#include "drivers/scan_line.h"

#include <errno.h>

static const char *const ids[] = { "schneider-iem2150", "schneider-iem3000", "schneider-em6400ng", "schneider-em1200h",
                                   "hiking-dds238-2-zn-s", "hdhk-hdxxaxxa16gk", "currentcost-cc128" };

struct models {
    struct model *list[ARRAY_SIZE(ids)];
};

static void load(struct models *ret)
{
    auto_problems struct problems problems = { 0 };

    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        CHECK_EQ(model_find(ids[i], &problems, &ret->list[i]), 0);
    }
}

static void unload(struct models *models)
{
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        model_free(models->list[i]);
    }
}

static struct scan_setup setup_of(const struct models *models)
{
    return (struct scan_setup){ .models = (const struct model *const *) models->list, .model_count = ARRAY_SIZE(ids) };
}

static void test_defaults_at_the_first_address_come_first(void)
{
    char text[SERIAL_SETTING_SIZE];
    struct models models;
    struct scan_setup setup;
    struct scan_order order;
    uint64_t us = 0;
    unsigned pass = 0;

    load(&models);
    setup = setup_of(&models);
    scan_order_make(&setup, &order);
    for (; order.passes[pass].first == 1 && order.passes[pass].is_listed; pass++) {
        CHECK_EQ(order.passes[pass].kind, SCAN_PASS_MODELS);
        us += scan_pass_us(&order.passes[pass], 1);
    }
    CHECK_EQ(pass, 3);
    CHECK_STR(serial_setting_text(&order.passes[0].serial, text), "9600 8N1");  // three models have it
    CHECK_STR(serial_setting_text(&order.passes[1].serial, text), "9600 8E1");
    CHECK_STR(serial_setting_text(&order.passes[2].serial, text), "19200 8E1");
    CHECK_EQ(order.passes[3].kind, SCAN_PASS_LISTEN);
    CHECK(us + SCAN_LISTEN_US < 30 * UINT64_C(1000000));  // a row within 60 s needs that
    CHECK_EQ(order.passes[4].first, 2);
    CHECK_EQ(order.passes[4].last, 247);
    CHECK(order.passes[6].is_listed);
    CHECK(!order.passes[7].is_listed);
    unload(&models);
}

/* Worst case: nobody answers. README and manual tell these figures. */
static void test_a_whole_scan_takes_a_known_time(void)
{
    struct models models;
    struct scan_setup setup;
    struct scan_order order;
    uint64_t all_us = 0, listed_us = 0;

    load(&models);
    setup = setup_of(&models);
    scan_order_make(&setup, &order);
    for (unsigned i = 0; i < order.count; i++) {
        uint64_t us = scan_pass_us(&order.passes[i], order.passes[i].first);

        all_us += us;
        listed_us += order.passes[i].is_listed ? us : 0;
    }
    CHECK(listed_us < 150 * UINT64_C(1000000));
    CHECK(all_us < 25 * 60 * UINT64_C(1000000));
    CHECK(all_us > 15 * 60 * UINT64_C(1000000));  // 32 settings, 247 addresses, 150 ms each
    unload(&models);
}

static const struct {
    const char *model;
    unsigned unit;
    const char *text;          // of a text.20; NULL: numbers
    uint16_t word;
    unsigned points;
    bool refused;
} identity_cases[] = {
    { "schneider-iem2150",    1,  "iEM2150",        0,      4, false },
    { "schneider-iem2150",    1,  "xIEM2150 Rev A", 0,      4, false },
    { "schneider-iem2150",    1,  "iEM3155",        0,      0, true },
    { "schneider-iem2150",    1,  "",               0,      0, true },
    { "schneider-iem3000",    1,  "iEM3155",        0,      4, false },
    { "schneider-em6400ng",   1,  "EM6400NG",       0,      4, false },
    { "schneider-em6400ng",   1,  "",               0,      0, false },  // may have none
    { "schneider-em6400ng",   1,  "PM5110",         0,      0, true },
    { "hiking-dds238-2-zn-s", 5,  NULL,             0x0501, 2, false },
    { "hiking-dds238-2-zn-s", 5,  NULL,             0x0105, 0, true },
    { "hdhk-hdxxaxxa16gk",    12, NULL,             0x120C, 2, false },
    { "hdhk-hdxxaxxa16gk",    12, NULL,             0x0C12, 0, true },
};

static void test_a_model_is_told_by_its_identity(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(identity_cases); i++) {
        auto_problems struct problems problems = { 0 };
        auto_model struct model *model = NULL;
        struct scan_evidence evidence = { 0 };
        uint16_t words[20] = { identity_cases[i].word };

        CHECK_EQ(model_find(identity_cases[i].model, &problems, &model), 0);
        CHECK(model->identity_count > 0);
        if (identity_cases[i].text) {
            codec_encode_text(model->identities[0].codec, identity_cases[i].text, 20, words);
        }
        scan_judge_identity(model, &model->identities[0], identity_cases[i].unit, words, &evidence);
        CHECK_EQ(evidence.points, identity_cases[i].points);
        CHECK_EQ(evidence.refused, identity_cases[i].refused);
    }
}

/* "name=value ..." held against what a model logs; what is not named is not available. */
static void judge(const char *id, const char *readings, struct scan_evidence *ret)
{
    auto_problems struct problems problems = { 0 };
    auto_model struct model *model = NULL;
    auto_free char *copy = strdup(readings);
    char *rest = copy, *word;
    struct selection selection;
    double values[MAX_POINTS];

    CHECK_EQ(model_find(id, &problems, &model), 0);
    CHECK_EQ(selection_parse(model, "log", "test", 0, &problems, &selection), 0);
    for (unsigned i = 0; i < selection.point_count; i++) {
        values[i] = NAN;
    }
    while (*(word = text_word(&rest))) {
        char *equals = strchr(word, '=');
        bool known = false;

        *equals = '\0';
        for (unsigned i = 0; i < selection.point_count; i++) {
            if (text_equal(model->points[selection.points[i]].name, word)) {
                values[i] = strtod(equals + 1, NULL);
                known = true;
            }
        }
        CHECK(known);
    }
    *ret = (struct scan_evidence){ 0 };
    scan_judge_values(model, &selection, values, ret);
}

#define DDS "hiking-dds238-2-zn-s"
#define DDS_IDLE "voltage=231 current=0 power_active=0 power_reactive=0 power_factor=1 frequency=50 "

static const struct { const char *model, *readings; bool refused; unsigned points; } value_cases[] = {
    { DDS, "voltage=230.1 current=4.3 power_active=980 power_reactive=120 power_factor=0.99 frequency=50.01 "
           "energy_active_total=1230 energy_active_import=1000 energy_active_export=230", false, 7 },
    // no load, nothing counted yet: a voltage and a frequency are enough to be some meter, not to be this one
    { DDS, DDS_IDLE "energy_active_total=0 energy_active_import=0 energy_active_export=0", false, 3 },
    { DDS, DDS_IDLE "energy_active_total=9990 energy_active_import=0 energy_active_export=0", true, 3 },
    { DDS, "voltage=1e30 current=1 power_active=1 power_reactive=1 frequency=50 energy_active_total=0", true, 3 },
    { DDS, "voltage=230 current=1 power_active=30000 power_reactive=1 power_factor=1 frequency=50", true, 3 },
    { DDS, "voltage=230 current=1 power_active=230 power_reactive=1 power_factor=1 frequency=0", true, 3 },
    { DDS, "voltage=230 current=1 power_active=230 power_reactive=1 power_factor=1 frequency=17.2", true, 3 },
    { DDS, "voltage=230 frequency=50", true, 3 },  // most is missing
    { "schneider-iem3000", "voltage_l1_n=230 voltage_l2_n=231 voltage_l3_n=229 current_l1=1 current_l2=1 current_l3=1 "
                           "power_active_l1=200 power_active_l2=210 power_active_l3=190 power_active_total=600 "
                           "power_reactive_total=30 power_apparent_total=601 power_factor_total=0.99 frequency=49.9",
      false, 7 },
    { "schneider-iem3000", "voltage_l1_n=230 voltage_l2_n=231 voltage_l3_n=229 current_l1=1 current_l2=1 current_l3=1 "
                           "power_active_l1=200 power_active_l2=210 power_active_l3=190 power_active_total=600 "
                           "power_reactive_total=30 power_apparent_total=60 frequency=49.9", true, 5 },
    // registers of another meter, and zeroes where it has none
    { "schneider-iem3000", "voltage_l1_n=230 voltage_l2_n=0 voltage_l3_n=0 current_l1=5 current_l2=0 current_l3=0 "
                           "power_active_l1=1178 power_active_l2=0 power_active_l3=0 power_active_total=0 "
                           "power_reactive_total=0 power_apparent_total=0 power_factor_total=0.97 frequency=50",
      true, 3 },
};

static void test_values_must_agree_with_each_other(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(value_cases); i++) {
        struct scan_evidence evidence;

        judge(value_cases[i].model, value_cases[i].readings, &evidence);
        if (evidence.refused != value_cases[i].refused || evidence.points != value_cases[i].points) {
            fail_msg("case %zu: %u points, %s", i, evidence.points, evidence.reason);
        }
    }
}

static void test_a_map_that_has_all_of_another_is_preferred(void)
{
    struct models models;

    load(&models);
    CHECK(scan_has_all_of(models.list[2], models.list[3]));   // EM6400NG, EM1200H
    CHECK(!scan_has_all_of(models.list[3], models.list[2]));
    CHECK(!scan_has_all_of(models.list[0], models.list[3]));
    CHECK(!scan_has_all_of(models.list[2], models.list[2]));
    unload(&models);
}

/* A line on which nobody is: the scan comes to its end, and counts down as it said. */
static void test_silence_ends_as_foreseen(void)
{
    const struct line_result silent = { .fault = MODBUS_SILENT };
    struct scan_progress progress;
    struct scan_question question;
    uint64_t now_us = 1, last_us = 0;
    struct scan *scan = NULL;
    struct models models;
    struct scan_setup setup;
    enum scan_step step;

    load(&models);
    setup = setup_of(&models);
    CHECK_EQ(scan_new(&setup, &scan), 0);
    while ((step = scan_next(scan, now_us, &question)) != SCAN_DONE) {
        scan_get_progress(scan, &progress);
        CHECK(progress.done_us >= last_us);
        CHECK(progress.done_us <= progress.total_us);
        last_us = progress.done_us;
        if (step == SCAN_WAIT) {
            now_us = question.until_us;
        } else if (step == SCAN_LISTEN) {
            scan_heard(scan, false);
        } else {
            now_us += question.timeout_us;
            CHECK(question.request.table == MODBUS_HOLDING || question.request.table == MODBUS_INPUT);
            scan_answer(scan, now_us, -ETIMEDOUT, &silent, NULL);
        }
    }
    scan_get_progress(scan, &progress);
    CHECK_EQ(progress.done_us, progress.total_us);
    CHECK_EQ(scan_found_count(scan), 0);
    scan_free(scan);
    unload(&models);
}

static void test_damage_at_each_attempt_is_a_clash_and_a_port_that_is_gone_is_nothing(void)
{
    const struct line_result damaged = { .fault = MODBUS_CRC }, none = { 0 };
    struct scan_question question, again;
    struct scan *scan = NULL;
    struct models models;
    struct scan_setup setup;

    load(&models);
    setup = setup_of(&models);
    CHECK_EQ(scan_new(&setup, &scan), 0);
    CHECK_EQ(scan_next(scan, 1, &question), SCAN_ASK);
    scan_answer(scan, 1, -ENODEV, &none, NULL);
    CHECK_EQ(scan_next(scan, 1, &again), SCAN_ASK);
    CHECK_EQ(again.request.address, question.request.address);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t now_us = 1000000 * (i + 1);

        CHECK_EQ(scan_found_count(scan), 0);
        CHECK_EQ(scan_next(scan, now_us, &question), SCAN_ASK);
        CHECK_EQ(question.request.unit, 1);
        scan_answer(scan, now_us, -EBADMSG, &damaged, NULL);
    }
    CHECK_EQ(scan_found_count(scan), 1);
    CHECK_EQ(scan_found_at(scan, 0)->kind, SCAN_CLASH);
    scan_free(scan);
    unload(&models);
}

/* The port is not there, so that asking shows as an error. */
static void test_a_question_that_would_not_be_over_in_time_is_not_asked(void)
{
    uint64_t until_us = clock_monotonic_us() + 300000, again_us = 0;
    struct scan_question question = { .serial = { 9600, 'N', 8, 1 }, .request.count = 2, .timeout_us = 150000 };
    struct endpoint endpoint;
    struct line *line = NULL;
    struct scan *scan = NULL;
    struct models models;
    struct scan_setup setup;

    load(&models);
    setup = setup_of(&models);
    CHECK_EQ(scan_new(&setup, &scan), 0);
    CHECK_EQ(endpoint_parse("/dev/there-is-no-such-port", &endpoint, NULL), 0);
    CHECK_EQ(line_new(&endpoint, &question.serial, &line), 0);
    CHECK_EQ(scan_line_step(scan, line, until_us, &again_us), 0);  // it may take half a second
    CHECK_EQ(again_us, until_us);
    CHECK_EQ(scan_line_step(scan, line, clock_monotonic_us() + 5000000, &again_us), -ENOENT);
    CHECK(scan_line_worst_us(&question) > 150000 + 50000);
    CHECK(scan_line_worst_us(&question) < 350000);
    line_close(line);
    scan_free(scan);
    unload(&models);
}

/* Where pauses are shorter than a time-out, the longest that there are must do. */
static void test_short_pauses_are_used_after_a_while(void)
{
    struct scan *scan = NULL;
    struct models models;
    struct scan_setup setup;

    load(&models);
    setup = setup_of(&models);
    CHECK_EQ(scan_new(&setup, &scan), 0);
    CHECK(!scan_put_off(scan, 1000000, 600000, 400000));
    CHECK(!scan_put_off(scan, 3000000, 600000, 400000));
    CHECK(scan_put_off(scan, 5000000, 600000, 400000));
    scan_answer(scan, 5000000, -ETIMEDOUT, &(struct line_result){ 0 }, NULL);
    CHECK(scan_put_off(scan, 6000000, 600000, 390000));   // known now: a whole pause at once,
    CHECK(!scan_put_off(scan, 6100000, 600000, 200000));  // but not the rest of one,
    CHECK(!scan_put_off(scan, 6200000, 300000, 250000));  // nor what would fit into the next
    scan_free(scan);
    unload(&models);
}

TESTS(test_defaults_at_the_first_address_come_first, test_a_whole_scan_takes_a_known_time,
      test_a_model_is_told_by_its_identity, test_values_must_agree_with_each_other,
      test_a_map_that_has_all_of_another_is_preferred, test_silence_ends_as_foreseen,
      test_damage_at_each_attempt_is_a_clash_and_a_port_that_is_gone_is_nothing,
      test_a_question_that_would_not_be_over_in_time_is_not_asked, test_short_pauses_are_used_after_a_while)
