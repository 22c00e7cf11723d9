/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "app/base/macros.h"
#include "drivers/model.h"
#include "drivers/quantity.h"

#include <glob.h>

/* How many points the makers' documents give, banks counted each; a lost line would show here. */
static const struct {
    const char *id;
    size_t point_count;
    const char *serial;        // "" on TCP
    unsigned max_registers;    // 0: has none
    enum model_verified verified;
} models[] = {
    { "circutor-cvm-nrg96",   110, "9600 8N1",  40,  VERIFIED_DOCUMENT },
    { "currentcost-cc128",    51,  "57600 8N1", 0,   VERIFIED_CAPTURE },
    { "hdhk-hdxxaxxa16gk",    55,  "9600 8N1",  56,  VERIFIED_DOCUMENT },
    { "hiking-dds238-2-zn-s", 11,  "9600 8N1",  18,  VERIFIED_CAPTURE },
    { "hiking-dds238-2-zn-s-b", 11, "9600 8N1", 18, VERIFIED_DOCUMENT },
    { "schneider-em1200",     52,  "19200 8E1", 64,  VERIFIED_DOCUMENT },
    { "schneider-em1200h",    30,  "9600 8E1",  112, VERIFIED_DOCUMENT },
    { "schneider-em6400",     43,  "9600 8E1",  100, VERIFIED_DOCUMENT },
    { "schneider-em6400ng",   37,  "9600 8E1",  112, VERIFIED_DOCUMENT },
    { "schneider-iem2150",    16,  "9600 8N1",  112, VERIFIED_CAPTURE },
    { "schneider-iem3000",    41,  "19200 8E1", 125, VERIFIED_DOCUMENT },
    { "schneider-pm5100",     74,  "9600 8N1",  120, VERIFIED_DOCUMENT },
    { "schneider-pm8000",     56,  "",          125, VERIFIED_DOCUMENT },
};

/* Facts typed from the documents, not from the model files. The address is the one on the wire. */
static const struct {
    const char *model;
    const char *point;
    enum modbus_table table;
    uint16_t address;
    unsigned word_count;
    const char *codec;
    const char *unit;
    double raw_one;            // what a raw 1 means in the base unit
} facts[] = {
    { "schneider-iem2150", "voltage", MODBUS_HOLDING, 0x0BD3, 2, "f32.abcd", "V", 1 },
    { "schneider-iem2150", "power_active", MODBUS_HOLDING, 3053, 2, "f32.abcd", "W", 1000 },
    { "schneider-iem2150", "power_factor", MODBUS_HOLDING, 3083, 2, "pf4q.abcd", "", 1 },
    { "schneider-iem2150", "energy_active_import", MODBUS_HOLDING, 45099, 2, "f32.abcd", "Wh", 1 },
    { "schneider-iem2150", "energy_active_export", MODBUS_HOLDING, 45101, 2, "f32.abcd", "Wh", 1 },
    { "schneider-pm5100", "power_active_total", MODBUS_HOLDING, 3059, 2, "f32.abcd", "W", 1000 },
    { "schneider-pm5100", "voltage_ln_avg", MODBUS_HOLDING, 3035, 2, "f32.abcd", "V", 1 },
    { "schneider-pm5100", "energy_active_import", MODBUS_HOLDING, 3203, 4, "i64.abcd", "Wh", 1 },
    { "schneider-pm5100", "energy_active_import_f32", MODBUS_HOLDING, 2699, 2, "f32.abcd", "Wh", 1000 },
    { "schneider-pm5100", "thd_voltage_ln_avg", MODBUS_HOLDING, 21337, 2, "f32.abcd", "%", 1 },
    { "schneider-pm5100", "firmware_z", MODBUS_HOLDING, 1639, 1, "u16", "", 1 },
    { "schneider-pm8000", "energy_apparent_export", MODBUS_HOLDING, 3239, 4, "i64.abcd", "VAh", 1 },
    { "schneider-pm8000", "frequency", MODBUS_HOLDING, 3109, 2, "f32.abcd", "Hz", 1 },
    { "schneider-em6400ng", "current_l1", MODBUS_HOLDING, 2999, 2, "f32.abcd", "A", 1 },
    { "schneider-em6400ng", "power_active_l1", MODBUS_HOLDING, 3053, 2, "f32.abcd", "W", 1000 },
    { "schneider-em6400", "voltage_ll_avg", MODBUS_HOLDING, 3908, 2, "f32.cdab", "V", 1 },
    { "schneider-em6400", "energy_active_import", MODBUS_HOLDING, 3960, 2, "f32.cdab", "Wh", 1 },
    { "schneider-em1200", "power_apparent_total", MODBUS_HOLDING, 3048, 2, "f32.cdab", "VA", 1 },
    { "schneider-em1200", "run_seconds", MODBUS_HOLDING, 3264, 2, "u32.cdab", "s", 1 },
    { "schneider-em1200h", "energy_active_import_f32", MODBUS_HOLDING, 2699, 2, "f32.abcd", "Wh", 1000 },
    { "schneider-iem3000", "energy_active_import_l1", MODBUS_HOLDING, 3517, 4, "i64.abcd", "Wh", 1 },
    { "schneider-iem3000", "energy_active_import_f32", MODBUS_HOLDING, 45099, 2, "f32.abcd", "Wh", 1 },
    { "hiking-dds238-2-zn-s", "energy_active_total", MODBUS_HOLDING, 0, 2, "u32.abcd", "Wh", 10 },
    { "hiking-dds238-2-zn-s", "energy_active_export", MODBUS_HOLDING, 8, 2, "u32.abcd", "Wh", 10 },
    { "hiking-dds238-2-zn-s", "energy_active_import", MODBUS_HOLDING, 0x0A, 2, "u32.abcd", "Wh", 10 },
    { "hiking-dds238-2-zn-s", "power_reactive", MODBUS_HOLDING, 0x0F, 1, "i16", "var", 1 },
    { "hiking-dds238-2-zn-s", "settings", MODBUS_HOLDING, 0x15, 1, "u16", "", 1 },
    { "hiking-dds238-2-zn-s-b", "energy_active_export", MODBUS_HOLDING, 4, 2, "u32.abcd", "Wh", 10 },
    { "hiking-dds238-2-zn-s-b", "energy_active_import", MODBUS_HOLDING, 6, 2, "u32.abcd", "Wh", 10 },
    { "hiking-dds238-2-zn-s-b", "power_reactive", MODBUS_HOLDING, 0x0F, 1, "i16", "var", 1 },
    { "circutor-cvm-nrg96", "voltage_l1_n", MODBUS_INPUT, 0, 2, "u32.abcd", "V", 0.1 },
    { "circutor-cvm-nrg96", "power_factor_total", MODBUS_INPUT, 0x26, 2, "i32.abcd", "", 0.01 },
    { "circutor-cvm-nrg96", "energy_active_import", MODBUS_INPUT, 0x3C, 2, "u32.abcd", "Wh", 1 },
    { "circutor-cvm-nrg96", "voltage_l1_n.max", MODBUS_INPUT, 0x60, 2, "u32.abcd", "V", 0.1 },
    { "circutor-cvm-nrg96", "current_n.min", MODBUS_INPUT, 264, 2, "u32.abcd", "A", 0.001 },
    { "hdhk-hdxxaxxa16gk", "current_a", MODBUS_HOLDING, 8, 1, "u16", "A", 0.01 },
    { "hdhk-hdxxaxxa16gk", "current_p", MODBUS_HOLDING, 23, 1, "u16", "A", 0.01 },
    { "hdhk-hdxxaxxa16gk", "frequency_a", MODBUS_HOLDING, 24, 1, "u16", "Hz", 0.1 },
    { "hdhk-hdxxaxxa16gk", "ct_ratio_p", MODBUS_HOLDING, 55, 1, "u16", "", 1 },
};

/* A shipped model, which must load without a word. */
static struct model *load(const char *id)
{
    auto_problems struct problems problems = { 0 };
    struct model *model = NULL;
    char path[PATH_SIZE];
    int r;

    snprintf(path, sizeof(path), "%s/../drivers/models/%s.meter", TEST_SOURCE_DIR, id);
    r = model_load(path, &problems, &model);
    if (r < 0 || problems.count > 0) {
        fail_msg("%s: %d\n%s", id, r, problems_text(&problems));
    }
    CHECK_STR(model->id, id);
    return model;
}

static void test_every_model_loads_with_all_its_points(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
        auto_model struct model *model = load(models[i].id);
        char serial[SERIAL_SETTING_SIZE];

        CHECK_EQ(model->point_count, models[i].point_count);
        if (models[i].max_registers > 0) {
            CHECK_EQ(model->max_registers, models[i].max_registers);
        }
        CHECK_EQ(model->driver, models[i].max_registers > 0 ? MODEL_MODBUS : MODEL_CURRENTCOST);
        CHECK_EQ(model->verified, models[i].verified);
        CHECK_EQ(model->tcp, *models[i].serial == '\0');
        if (!model->tcp) {
            CHECK_STR(serial_setting_text(&model->serial, serial), models[i].serial);
        }
        CHECK(*model->title && *model->source);
    }
}

static void test_no_model_is_shipped_that_is_not_tested(void)
{
    glob_t found;

    CHECK_EQ(glob(TEST_SOURCE_DIR "/../drivers/models/*.meter", 0, NULL, &found), 0);
    CHECK_EQ(found.gl_pathc, ARRAY_SIZE(models));
    globfree(&found);
}

static void test_every_model_has_a_capture(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
        char pattern[PATH_SIZE];
        glob_t found;

        snprintf(pattern, sizeof(pattern), "%s/captures/%s/*.capture", TEST_SOURCE_DIR, models[i].id);
        if (glob(pattern, 0, NULL, &found) != 0) {
            fail_msg("%s has no capture", models[i].id);
        }
        globfree(&found);
    }
}

static void test_points_are_on_the_wire_where_the_documents_say(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(facts); i++) {
        auto_model struct model *model = load(facts[i].model);
        int index = model_point(model, facts[i].point);
        const struct point *point;

        if (index < 0) {
            fail_msg("%s has no %s", facts[i].model, facts[i].point);
        }
        point = &model->points[index];
        CHECK_STR(point->name, facts[i].point);
        CHECK_EQ(point->table, facts[i].table);
        CHECK_EQ(point->address, facts[i].address);
        CHECK_EQ(point->number, facts[i].address + model->first_number);
        CHECK_EQ(point->word_count, facts[i].word_count);
        CHECK_STR(point->codec->name, facts[i].codec);
        CHECK_STR(point->unit, facts[i].unit);
        CHECK_NEAR(decimal_scale_signed(1, point->resolution), facts[i].raw_one, 0);
    }
}

static void test_every_point_is_a_quantity_in_a_unit_of_its_own_with_a_source(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
        auto_model struct model *model = load(models[i].id);

        for (size_t j = 0; j < model->point_count; j++) {
            const struct point *point = &model->points[j];
            const struct quantity *quantity = quantity_find(point->name);

            if (!quantity || !*point->source) {
                fail_msg("%s: %s has no quantity or source", model->id, point->name);
            }
            CHECK(point->word_count <= model->max_registers);
            CHECK_EQ(model_point(model, point->name), j);
            if (point->codec->result != CODEC_TEXT) {
                CHECK(point->quantity == quantity);
                CHECK(quantity_has_unit(quantity, point->unit));
            }
        }
    }
}

static void test_no_register_belongs_to_two_points(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
        auto_model struct model *model = load(models[i].id);

        for (size_t j = 0; model->driver == MODEL_MODBUS && j < model->point_count; j++) {
            for (size_t k = 0; k < j; k++) {
                const struct point *a = &model->points[j], *b = &model->points[k];

                if (a->table == b->table && a->address < b->address + b->word_count &&
                    b->address < a->address + a->word_count) {
                    fail_msg("%s: %s overlaps %s", model->id, a->name, b->name);
                }
            }
        }
    }
}

static void test_what_is_logged_by_default_are_readings_not_settings(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
        auto_model struct model *model = load(models[i].id);
        unsigned logged = 0;

        for (size_t j = 0; j < model->point_count; j++) {
            const struct point *point = &model->points[j];

            if (!model->logged[j]) {
                continue;
            }
            logged++;
            CHECK(point->codec->result != CODEC_TEXT);
            CHECK(point->quantity->kind != QUANTITY_FACT);
            CHECK_STR(quantity_bank(point->name), "");
            CHECK(strncmp(point->name, "thd_", 4) != 0);
        }
        CHECK(logged >= 7 && logged <= 24);
    }
}

static void test_doubts_are_marked_where_the_documents_leave_them(void)
{
    auto_model struct model *em6400 = load("schneider-em6400");
    auto_model struct model *em1200 = load("schneider-em1200");
    auto_model struct model *cvm = load("circutor-cvm-nrg96");
    auto_model struct model *dds238 = load("hiking-dds238-2-zn-s");
    int index = model_point(em6400, "energy_reactive_capacitive_export");

    CHECK_HAS(em6400->points[index].doubt, "inferred");
    CHECK_STR(em6400->points[model_point(em6400, "energy_active_import")].doubt, "");
    CHECK_HAS(em1200->points[model_point(em1200, "power_active_total")].doubt, "unit");
    CHECK_HAS(em1200->points[model_point(em1200, "voltage_l1_n")].doubt, "EM1220");
    CHECK_STR(em1200->points[model_point(em1200, "power_factor_avg")].doubt, "");
    CHECK_HAS(cvm->points[model_point(cvm, "max_demand")].doubt, "unit");
    CHECK_HAS(dds238->points[model_point(dds238, "energy_active_export")].doubt, "another firmware");
}

static void test_points_of_the_iem3000_name_their_own_source(void)
{
    auto_model struct model *model = load("schneider-iem3000");

    CHECK_HAS(model->points[model_point(model, "energy_active_import_l1")].source, "mbmd");
    CHECK(!strstr(model->points[model_point(model, "energy_active_import_l1")].source, "DOCA0005EN"));
    CHECK_HAS(model->points[model_point(model, "voltage_l2_n")].source, "DOCA0005EN");
}

static void test_limits_of_the_line_are_those_of_the_documents(void)
{
    auto_model struct model *em6400 = load("schneider-em6400");
    auto_model struct model *em1200 = load("schneider-em1200");
    auto_model struct model *hdhk = load("hdhk-hdxxaxxa16gk");

    CHECK_EQ(em6400->avoid_count, 2);
    CHECK_EQ(em6400->avoid[0].first, 3000);
    CHECK_EQ(em6400->avoid[0].last, 3198);
    CHECK_EQ(em6400->avoid[1].first, 3720);
    CHECK_EQ(em6400->avoid[1].last, 3774);
    CHECK(em1200->even);
    CHECK(!em6400->even);
    CHECK(em1200->schneider_codes);
    CHECK(!hdhk->schneider_codes);  // 0xFFFF is 655.35 A
}

/* At 9600 8N1, and a meter that takes 5 ms to begin its answer. */
static int plan_all(const struct model *model, struct plan_block *ret_blocks)
{
    static const struct plan_timing timing = { .character_us = 1041.7, .silence_us = 3645.8,
                                               .turnaround_us = 5000 };
    struct plan_limits limits = { .max_registers = model->max_registers, .even = model->even,
                                  .read_gaps = model->read_gaps, .avoid = model->avoid,
                                  .avoid_count = model->avoid_count };
    struct plan_span spans[MAX_POINTS];

    for (size_t i = 0; i < model->point_count; i++) {
        const struct point *point = &model->points[i];

        spans[i] = (struct plan_span){ point->table, point->address, (uint16_t) point->word_count };
    }
    return plan_make(spans, model->point_count, &limits, &timing, ret_blocks);
}

static void test_all_points_are_read_in_the_blocks_that_the_documents_know(void)
{
    static const struct {
        const char *id;
        uint16_t first;    // of a block that takes so many registers at once
        uint16_t count;
        int most;          // requests for all points
    } plans[] = {
        { "circutor-cvm-nrg96", 0, 40, 7 },        // 20 variables a request
        { "hdhk-hdxxaxxa16gk", 0, 56, 1 },         // the maker's own example
        { "hiking-dds238-2-zn-s", 0, 18, 3 },
        { "schneider-em6400", 3900, 74, 2 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(plans); i++) {
        auto_model struct model *model = load(plans[i].id);
        struct plan_block blocks[MAX_BLOCKS];
        int count = plan_all(model, blocks);
        bool found = false;

        CHECK(count > 0 && count <= plans[i].most);
        for (int j = 0; j < count; j++) {
            CHECK(blocks[j].count <= model->max_registers);
            found = found || (blocks[j].address == plans[i].first && blocks[j].count == plans[i].count);
        }
        if (!found) {
            fail_msg("%s: no block of %u registers from %u", plans[i].id, plans[i].count, plans[i].first);
        }
    }
}

TESTS(test_every_model_loads_with_all_its_points, test_no_model_is_shipped_that_is_not_tested,
      test_every_model_has_a_capture, test_points_are_on_the_wire_where_the_documents_say,
      test_every_point_is_a_quantity_in_a_unit_of_its_own_with_a_source,
      test_no_register_belongs_to_two_points, test_what_is_logged_by_default_are_readings_not_settings,
      test_doubts_are_marked_where_the_documents_leave_them,
      test_points_of_the_iem3000_name_their_own_source, test_limits_of_the_line_are_those_of_the_documents,
      test_all_points_are_read_in_the_blocks_that_the_documents_know)
