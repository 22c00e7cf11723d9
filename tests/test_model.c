/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "app/base/file.h"
#include "drivers/model.h"

#include <errno.h>
#include <unistd.h>

#define HEAD "[model]\nid = test\naddresses = from 0\n"
#define FROM_1 "[model]\nid = test\naddresses = from 1\n"
#define NOT_COUNTED "test.meter: no addresses = in [model]: 'from 0' or 'from 1', as the manual counts registers"

static int load(const char *text, struct problems *problems, struct model **ret)
{
    return model_load_text("test.meter", text, strlen(text), problems, ret);
}

static struct model *loaded(const char *text)
{
    auto_problems struct problems problems = { 0 };
    struct model *model = NULL;

    if (load(text, &problems, &model) != 0) {
        fail_msg("%s", problems_text(&problems));
    }
    return model;
}

static void test_a_small_model_has_everything_that_it_says(void)
{
    auto_model struct model *model = loaded(
        "[model]\n"
        "id            = acme-1.5\n"
        "title         = Acme 1.5\n"
        "addresses     = from 1\n"
        "serial        = 19200 8E1\n"
        "source        = Manual, page 7\n"
        "verified      = capture\n"
        "log           = voltage, power_active\n"
        "max_registers = 50\n"
        "align         = even\n"
        "gaps          = read\n"
        "avoid         = 101-110, 201-201\n"
        "timeout       = 750 ms\n"
        "not_available = schneider\n"
        "[points]\n"
        "voltage       holding 3    u32.cdab 0.1 V\n"
        "power_active  input   5    i32.abcd 1 kW   ? sign not certain\n"
        "source = Appendix, page 99\n"
        "serial_number holding 7    text.4\n"
        "current       holding 65535 f32.abcd 1 mA ?\n");
    const struct point *points = model->points;

    CHECK_STR(model->id, "acme-1.5");
    CHECK_STR(model->title, "Acme 1.5");
    CHECK_STR(model->file, "test.meter");
    CHECK_EQ(model->first_number, 1);
    CHECK_EQ(model->serial.baud, 19200);
    CHECK_EQ(model->verified, VERIFIED_CAPTURE);
    CHECK_EQ(model->max_registers, 50);
    CHECK_EQ(model->timeout_ms, 750);
    CHECK(model->even && model->read_gaps && model->schneider_codes && !model->tcp);
    CHECK_EQ(model->avoid_count, 2);
    CHECK(model->avoid[0].first == 100 && model->avoid[0].last == 109);
    CHECK(model->avoid[1].first == 200 && model->avoid[1].last == 200);
    CHECK_EQ(model->point_count, 4);
    CHECK(points[0].table == MODBUS_HOLDING && points[0].number == 3 && points[0].address == 2);
    CHECK(points[0].resolution.digits == 1 && points[0].resolution.exponent == -1);
    CHECK_STR(points[0].unit, "V");
    CHECK_EQ(points[0].line, 16);
    CHECK_STR(points[0].doubt, "");
    CHECK(points[1].table == MODBUS_INPUT && points[1].resolution.exponent == 3);
    CHECK_STR(points[1].unit, "W");
    CHECK_STR(points[1].doubt, "sign not certain");
    CHECK_STR(points[1].source, "Manual, page 7");
    CHECK(points[2].quantity == NULL && points[2].word_count == 4);
    CHECK_STR(points[2].source, "Appendix, page 99");
    CHECK(points[3].address == 65534 && points[3].resolution.exponent == -3);
    CHECK_STR(points[3].doubt, "not certain");
    CHECK(model->logged[0] && model->logged[1] && !model->logged[2] && !model->logged[3]);
}

static void test_what_is_not_said_has_its_default(void)
{
    auto_model struct model *model = loaded(HEAD "[points]\nvoltage holding 0 u16 1 V\nmeter_name holding 1 text.2\n");

    CHECK_STR(model->title, "test");
    CHECK_EQ(model->first_number, 0);
    CHECK_EQ(model->max_registers, 125);
    CHECK_EQ(model->timeout_ms, 500);
    CHECK_EQ(model->verified, VERIFIED_DOCUMENT);
    CHECK(!model->even && model->read_gaps && !model->schneider_codes && !model->tcp);
    CHECK(model->logged[0] && !model->logged[1]);  // all numbers
}

/* Each with all that is said about it. */
static const struct { const char *text; const char *problems; } refused[] = {
    { "", "test.meter: no id = in [model]\n" NOT_COUNTED "\ntest.meter: no point in [points]" },
    { HEAD, "test.meter: no point in [points]" },
    { "[model]\nid = Big One\naddresses = from 0\n[points]\nvoltage holding 0 u16 1 V\n",
      "test.meter:2: id = Big One: small letters, digits, '-' and '.', at most 47" },
    { HEAD "titel = x\n[points]\nvoltage holding 0 u16 1 V\n",
      "test.meter:4: unknown key 'titel' in [model], did you mean 'title'?" },
    { HEAD "colour = x\n[points]\nvoltage holding 0 u16 1 V\n", "test.meter:4: unknown key 'colour' in [model]" },
    { HEAD "[pionts]\nx = 1\n[points]\nvoltage holding 0 u16 1 V\n",
      "test.meter:4: unknown section [pionts]; a model has [model] and [points]" },
    { "[model]\nid = test\n[points]\nvoltage holding 0 u16 1 V\n", NOT_COUNTED },
    { HEAD "title = x\naddresses = from 1\ntitle = y\n[points]\nvoltage holding 0 u16 1 V\n",
      "test.meter:5: addresses stands twice; first in line 3\n"
      "test.meter:6: title stands twice; first in line 4" },
    { "[model]\nid = test\naddresses = from 2\n[points]\nvoltage holding 0 u16 1 V\n",
      "test.meter:3: addresses = from 2: 'from 0' or 'from 1', as the manual counts registers" },
    { HEAD "serial = 9600 8X1\n[points]\nvoltage holding 0 u16 1 V\n",
      "test.meter:4: serial = 9600 8X1: speed, data bits, parity and stop bits such as '9600 8N1'" },
    { HEAD "transport = udp\ndriver = mbus\nverified = yes\nalign = odd\ngaps = no\n[points]\n"
           "voltage holding 0 u16 1 V\n",
      "test.meter:4: transport = udp: 'rtu' or 'tcp'\n"
      "test.meter:5: driver = mbus: 'modbus' or 'currentcost'\n"
      "test.meter:6: verified = yes: 'document', 'capture' or 'hardware'\n"
      "test.meter:7: align = odd: only 'even' is known\n"
      "test.meter:8: gaps = no: 'read' or 'avoid'" },
    { HEAD "max_registers = 126\ntimeout = 1 h\nnot_available = zero\navoid = 5-3\n[points]\n"
           "voltage holding 0 u16 1 V\n",
      "test.meter:4: max_registers = 126: a number from 1 to 125\n"
      "test.meter:5: timeout = 1 h: from 20 ms to 10 s\n"
      "test.meter:6: not_available = zero: 'schneider' (0xFFFF, 0x8000... too) or 'nan'\n"
      "test.meter:7: avoid = 5-3: ranges of registers such as 3001-3199" },
    { HEAD "log = voltage, curent\n[points]\nvoltage holding 0 u16 1 V\ncurrent holding 1 u16 1 A\n",
      "test.meter:4: test has no point 'curent', did you mean 'current'?; 'meterstick models test' lists them" },
    { HEAD "log = meter_name\n[points]\nvoltage holding 0 u16 1 V\nmeter_name holding 1 text.2\n",
      "test.meter:4: log: meter_name is a text; only numbers are logged" },
    { HEAD "[points]\nvoltage holding 0\n",
      "test.meter:5: 'voltage holding 0': a point is written  quantity table number codec resolution unit" },
    { HEAD "[points]\nVoltage holding 0 u16 1 V\n",
      "test.meter:5: 'Voltage' is no name of a point: small letters, digits, '_', at most 47" },
    { HEAD "[points]\nvoltge holding 0 u16 1 V\n",
      "test.meter:5: unknown quantity 'voltge', did you mean 'voltage'?" },
    { HEAD "[points]\nvoltage coil 0 u16 1 V\n",
      "test.meter:5: voltage: 'coil' is no table; 'holding' (function 3) or 'input' (function 4)" },
    { HEAD "[points]\nvoltage holding 65536 u16 1 V\n",
      "test.meter:5: voltage: register 65536; 0 to 65535 are allowed" },
    { FROM_1 "[points]\nvoltage holding 0 u16 1 V\ncurrent holding 65537 u16 1 A\n",
      "test.meter:5: voltage: register 0; 1 to 65536 are allowed\n"
      "test.meter:6: current: register 65537; 1 to 65536 are allowed" },
    { HEAD "[points]\nvoltage holding 65535 f32.abcd 1 V\n",
      "test.meter:5: voltage: its 2 registers go beyond the last one" },
    { HEAD "[points]\nvoltage holding 0 f32.abdc 1 V\n",
      "test.meter:5: voltage: unknown codec 'f32.abdc', did you mean 'f32.abcd'?" },
    { HEAD "[points]\nvoltage holding 0 watts 1 V\n", "test.meter:5: voltage: codec 'watts' is of another driver" },
    { HEAD "[points]\nvoltage holding 0 u16 ten V\ncurrent holding 1 u16 0 A\n",
      "test.meter:5: voltage: 'ten' is no resolution; a decimal and a unit such as '0.01 kWh'\n"
      "test.meter:6: current: '0' is no resolution; a decimal and a unit such as '0.01 kWh'" },
    { HEAD "[points]\nvoltage holding 0 u16 1 volt\n", "test.meter:5: voltage: unknown unit 'volt'" },
    { HEAD "[points]\nvoltage holding 0 u16 1 A\n", "test.meter:5: voltage: voltage is measured in V, not in 'A'" },
    { HEAD "[points]\nmeter_name holding 0 text.4 1\n", "test.meter:5: meter_name: a text has no resolution" },
    { HEAD "[points]\nvoltage holding 0 u16 1 V\nvoltage holding 5 u16 1 V\n",
      "test.meter:6: voltage stands twice; first in line 5" },
    { HEAD "[points]\nvoltage holding 0 f32.abcd 1 V\ncurrent holding 1 f32.abcd 1 A\n",
      "test.meter:6: current: register 1 is part of voltage (line 5) already" },
    { HEAD "max_registers = 2\n[points]\nenergy_active_import holding 0 u64.abcd 1 Wh\n",
      "test.meter:6: energy_active_import: 4 registers, but a request holds 2" },
    { HEAD "align = even\n[points]\nvoltage holding 1 u32.abcd 1 V\ncurrent holding 4 u16 1 A\n",
      "test.meter:6: voltage: register 1 begins or ends odd on the wire, but align = even\n"
      "test.meter:7: current: register 4 begins or ends odd on the wire, but align = even" },
    { "[model]\nid = test\navoid = 0-5\naddresses = from 1\n[points]\nvoltage holding 9 u16 1 V\n",
      "test.meter:3: avoid: there is no register 0 where the first is 1" },
    { "[points]\nvoltage holding 1 u16 1 V\n[model]\nid = test\naddresses = from 1\n",
      "test.meter:4: [points] stands before this; how they are counted must be known first\n"
      "test.meter:5: [points] stands before this; how they are counted must be known first" },
    { HEAD "[points\nvoltage holding 0 u16 1 V\n",
      "test.meter:4: bad section header '[points': it is written [kind] or [kind name]; its keys are ignored\n"
      "test.meter: no point in [points]" },
};

static void test_every_refusal_says_file_line_and_reason(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        auto_problems struct problems problems = { 0 };
        struct model *model = NULL;

        if (load(refused[i].text, &problems, &model) != -EINVAL) {
            fail_msg("case %zu is taken", i);
        }
        CHECK(model == NULL);
        CHECK_STR(problems_text(&problems), refused[i].problems);
    }
}

static void test_registers_of_different_tables_do_not_overlap(void)
{
    auto_model struct model *model = loaded(HEAD "[points]\nvoltage holding 0 f32.abcd 1 V\n"
                                                 "current input 0 f32.abcd 1 A\n"
                                                 "frequency holding 2 u16 0.1 Hz\n");

    CHECK_EQ(model->point_count, 3);
}

static void test_more_points_than_a_sample_holds_need_a_list(void)
{
    auto_text struct text text = { 0 };
    auto_problems struct problems problems = { 0 };
    struct model *model = NULL;
    unsigned number = 0;

    text_add(&text, HEAD "[points]\n");
    for (int tariff = 1; tariff <= 8; tariff++) {
        for (int copy = 0; copy < 4; copy++) {
            static const char *const phases[] = { "l1", "l2", "l3", "total" };
            static const char *const kinds[] = { "import", "export", "sum" };
            static const char *const copies[] = { "", "_f32", "_f64", "_b2" };

            for (int i = 0; i < 12; i++) {
                text_addf(&text, "energy_active_%s_%s_t%d%s holding %u u16 1 Wh\n", kinds[i / 4], phases[i % 4], tariff,
                          copies[copy], number++);
            }
        }
    }
    CHECK_EQ(load(text.data, &problems, &model), -EINVAL);
    CHECK_HAS(problems_text(&problems), "more than 256 values; name fewer");
}

static struct model *for_selections(void)
{
    return loaded(HEAD "log = current, voltage_l1_n\n[points]\n"
                       "voltage_l1_n       holding 0  f32.abcd 1 V\n"
                       "voltage_l2_n       holding 2  f32.abcd 1 V\n"
                       "current            holding 4  f32.abcd 1 A\n"
                       "power_active_total holding 6  f32.abcd 1 kW\n"
                       "meter_name         holding 8  text.4\n"
                       "power_factor_total holding 12 pf4q.abcd 1\n"
                       "power_factor_total.max holding 14 pf4q.abcd 1\n");
}

/* A selection as text: the points' names. */
static const char *selected(const struct model *model, const char *list)
{
    static char names[512];
    auto_problems struct problems problems = { 0 };
    struct selection selection;

    if (selection_parse(model, list, "a.conf", 7, &problems, &selection) != 0) {
        (void) snprintf(names, sizeof(names), "%s", problems_text(&problems));
        return names;
    }
    names[0] = '\0';
    for (unsigned i = 0; i < selection.point_count; i++) {
        (void) snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i > 0 ? " " : "",
                        model->points[selection.points[i]].name);
    }
    return names;
}

static void test_points_are_chosen_by_name_beginning_or_word(void)
{
    auto_model struct model *model = for_selections();

    CHECK_STR(selected(model, "log"), "voltage_l1_n current");
    CHECK_STR(selected(model, "all"), "voltage_l1_n voltage_l2_n current power_active_total meter_name "
                                      "power_factor_total "
                                      "power_factor_total.max");
    CHECK_STR(selected(model, "current, voltage_l1_n"), "current voltage_l1_n");
    CHECK_STR(selected(model, "voltage*"), "voltage_l1_n voltage_l2_n");
    CHECK_STR(selected(model, "voltage_l2_n,voltage*,current,current"), "voltage_l2_n voltage_l1_n current");
    CHECK_STR(selected(model, "log, power_factor_total"), "voltage_l1_n current power_factor_total");
    // FlexPower's names
    CHECK_STR(selected(model, "voltage_phase_a, active_power_total"), "voltage_l1_n power_active_total");
}

static void test_a_name_that_is_not_there_is_told_with_the_nearest(void)
{
    auto_model struct model *model = for_selections();

    CHECK_STR(selected(model, "curent, voltage_l1"),
              "a.conf:7: test has no point 'curent', did you mean 'current'?; 'meterstick models test' lists them\n"
              "a.conf:7: test has no point 'voltage_l1', did you mean 'voltage_l1_n'?; 'meterstick models test' lists "
              "them");
    CHECK_STR(selected(model, "something*"), "a.conf:7: test has no point 'something*'; 'meterstick models test' "
                                             "lists them");
    CHECK_HAS(selected(model, ""), "has no point ''");
    CHECK_HAS(selected(model, "current_phase_b"), "has no point 'current_phase_b'");
    CHECK_EQ(model_point(model, "current"), 2);
    CHECK_EQ(model_point(model, "nothing"), -1);
}

static void test_a_power_factor_of_four_quadrants_takes_two_columns_and_a_text_none(void)
{
    auto_model struct model *model = for_selections();
    auto_problems struct problems problems = { 0 };
    struct selection selection;
    static struct layout layout;

    CHECK_EQ(selection_parse(model, "meter_name, power_factor_total.max, power_factor_total, power_active_total",
             NULL, 0,
                             &problems, &selection), 0);
    selection_layout(model, &selection, &layout);
    CHECK_EQ(layout.count, 5);
    CHECK_STR(layout.columns[0].name, "power_factor_total.max");
    CHECK_STR(layout.columns[1].name, "power_factor_total_direction.max");
    CHECK_STR(layout.columns[2].name, "power_factor_total");
    CHECK_STR(layout.columns[3].name, "power_factor_total_direction");
    CHECK_STR(layout.columns[4].name, "power_active_total");
    CHECK_STR(layout.columns[4].unit, "W");
    CHECK_STR(layout.columns[3].unit, "");
    for (unsigned i = 0; i < layout.count; i++) {
        CHECK(layout.columns[i].quantity);
    }
    CHECK_EQ(layout_find(&layout, "power_factor_total"), 2);
    CHECK_EQ(layout_find(&layout, "meter_name"), -1);
}

static void test_a_point_is_decoded_by_its_model(void)
{
    static const uint16_t words[] = { 0x3830, 0x2928 }, none[] = { 0xFFFF };
    auto_model struct model *model = loaded(HEAD "not_available = schneider\n[points]\n"
                                                 "power_active holding 0 f32.abcd 1 kW\n"
                                                 "current holding 2 u16 0.01 A\n");
    auto_model struct model *plain = loaded(HEAD "[points]\ncurrent holding 2 u16 0.01 A\n");
    double ret[2];

    point_decode(model, &model->points[0], words, ret);
    CHECK(ret[0] == 0.042);  // 4.2e-05 kW
    point_decode(model, &model->points[1], none, ret);
    CHECK_NAN(ret[0]);
    point_decode(plain, &plain->points[0], none, ret);
    CHECK(ret[0] == 655.35);
}

static void test_a_model_is_found_by_id_or_path_and_the_nearest_proposed(void)
{
    static const char acme[] = HEAD "[points]\ncurrent holding 2 u16 1 A\n";
    char directory[] = "/tmp/meterstick-models-XXXXXX", path[128], kept[512];
    auto_problems struct problems problems = { 0 };
    auto_model struct model *by_id = NULL, *by_path = NULL;
    auto_text struct text list = { 0 };
    struct model *none = NULL;

    CHECK(mkdtemp(directory));
    (void) snprintf(kept, sizeof(kept), "%s", getenv("METERSTICK_MODELS") ? getenv("METERSTICK_MODELS") : "");
    CHECK_EQ(setenv("METERSTICK_MODELS", directory, 1), 0);
    CHECK_EQ(model_find("acme-one", &problems, &none), -ENOENT);
    CHECK_STR(problems_text(&problems), "there is no model 'acme-one', nor any other");

    (void) snprintf(path, sizeof(path), "%s/acme-one.meter", directory);
    CHECK_EQ(file_replace(path, acme, strlen(acme), 0644, false), 0);
    problems_clear(&problems);
    if (model_find("acme-one", &problems, &by_id) != 0 || model_find(path, &problems, &by_path) != 0) {
        fail_msg("%s", problems_text(&problems));
    }
    CHECK_STR(by_path->file, path);
    CHECK_EQ(model_list(&list), 0);
    CHECK_HAS(text_string(&list), "/acme-one.meter\n");

    CHECK_EQ(model_find("acme-onn", &problems, &none), -ENOENT);
    CHECK_STR(problems_text(&problems), "there is no model 'acme-onn', did you mean 'acme-one'?; 'meterstick models' "
                                        "lists them");
    problems_clear(&problems);
    CHECK_EQ(model_find("one", &problems, &none), -ENOENT);
    CHECK_HAS(problems_text(&problems), "did you mean 'acme-one'?");
    problems_clear(&problems);
    CHECK_EQ(model_find("./absent.meter", &problems, &none), -ENOENT);
    CHECK_HAS(problems_text(&problems), "./absent.meter: No such file");
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(directory), 0);
    CHECK_EQ(setenv("METERSTICK_MODELS", kept, 1), 0);
}

static void test_models_are_listed_by_id_and_a_part_of_an_id_means_the_first(void)
{
    static const char *const names[] = { "acme-one-b", "acme-one", "acme-one.5" };
    char directory[] = "/tmp/meterstick-models-XXXXXX", path[128], kept[512];
    auto_problems struct problems problems = { 0 };
    auto_text struct text list = { 0 };
    struct model *none = NULL;
    const char *first, *second, *third;

    CHECK(mkdtemp(directory));
    (void) snprintf(kept, sizeof(kept), "%s", getenv("METERSTICK_MODELS") ? getenv("METERSTICK_MODELS") : "");
    CHECK_EQ(setenv("METERSTICK_MODELS", directory, 1), 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        (void) snprintf(path, sizeof(path), "%s/%s.meter", directory, names[i]);
        CHECK_EQ(file_replace(path, "", 0, 0644, false), 0);
    }
    CHECK_EQ(model_list(&list), 0);
    first = strstr(text_string(&list), "/acme-one.meter\n");
    second = strstr(text_string(&list), "/acme-one-b.meter\n");
    third = strstr(text_string(&list), "/acme-one.5.meter\n");
    CHECK(first && second && third && first < second && second < third);
    CHECK_EQ(model_find("one", &problems, &none), -ENOENT);
    CHECK_HAS(problems_text(&problems), "did you mean 'acme-one'?");

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        (void) snprintf(path, sizeof(path), "%s/%s.meter", directory, names[i]);
        CHECK_EQ(unlink(path), 0);
    }
    CHECK_EQ(rmdir(directory), 0);
    CHECK_EQ(setenv("METERSTICK_MODELS", kept, 1), 0);
}

TESTS(test_a_small_model_has_everything_that_it_says, test_what_is_not_said_has_its_default,
      test_every_refusal_says_file_line_and_reason, test_registers_of_different_tables_do_not_overlap,
      test_more_points_than_a_sample_holds_need_a_list, test_points_are_chosen_by_name_beginning_or_word,
      test_a_name_that_is_not_there_is_told_with_the_nearest,
      test_a_power_factor_of_four_quadrants_takes_two_columns_and_a_text_none, test_a_point_is_decoded_by_its_model,
      test_a_model_is_found_by_id_or_path_and_the_nearest_proposed,
      test_models_are_listed_by_id_and_a_part_of_an_id_means_the_first)
