/* SPDX-License-Identifier: MIT */
// link: ms_config ms_drivers ms_base
#include "tests/test.h"

#include "app/config/config.h"
#include "app/config/import_cvm.h"

#include <errno.h>

/* The labelled form, as its setup_02.dat has it. */
static const char labelled[] = "# Archivo del puerto USB\r\n"
                               "puerto com6\r\n"
                               "archivo Datos.csv\r\n"
                               "lista_por_linea 0,1,2,3,4\r\n"
                               "lista_trifasicas 1,2,3,4,5,6,7,8\r\n"
                               "cual instant\r\n"
                               "periodo_muestreo 1.0\r\n"
                               "periodo_registro 0.2\r\n"
                               "url http://10.0.0.1/register.php\r\n";

/* The positional form, which is what its parser could read. */
static const char positional[] = "/dev/ttyUSB0\n# a comment\nDatos.csv\n0, 6\n0,10,15,22\nmax\n2\n1\n";

static int convert(const char *text, struct problems *problems, struct text *ret)
{
    return import_cvm("setup.dat", text, strlen(text), problems, ret);
}

static void test_labelled_form_keeps_order_and_periods(void)
{
    auto_problems struct problems problems = { 0 };
    auto_text struct text text = { 0 };

    CHECK_EQ(convert(labelled, &problems, &text), 0);
    CHECK_HAS(text.data, "port = auto");
    CHECK_HAS(text.data, "interval = 1000 ms\nlog_every = 12000 ms\n");
    CHECK_HAS(text.data,
              "log = voltage_l1_n,current_l1,power_active_l1,power_reactive_l1,power_factor_l1,"
              "voltage_l2_n,current_l2,power_active_l2,power_reactive_l2,power_factor_l2,"
              "voltage_l3_n,current_l3,power_active_l3,power_reactive_l3,power_factor_l3,"
              "power_active_total,power_reactive_inductive_total,power_reactive_capacitive_total,cos_phi_total,"
              "power_factor_total,voltage_l12,voltage_l23,voltage_l31\n");
    CHECK_HAS(text.data, "# its url was http://10.0.0.1/register.php\n");
}

static void test_positional_form_and_a_bank(void)
{
    auto_problems struct problems problems = { 0 };
    auto_text struct text text = { 0 };

    CHECK_EQ(convert(positional, &problems, &text), 0);
    CHECK_HAS(text.data, "port = /dev/ttyUSB0\n");
    CHECK_HAS(text.data, "log = voltage_l1_n.max,thd_current_l1.max,voltage_l2_n.max,thd_current_l2.max,"
                         "voltage_l3_n.max,thd_current_l3.max,frequency.max,max_demand,energy_active_import,"
                         "energy_apparent_export\n");
    CHECK_HAS(text.data, "have no max: they are logged as they are");
}

static void test_result_is_a_right_configuration(void)
{
    static const char all[] = "com1\nd.csv\n0,1,2,3,4,5,6\n"
                              "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22\nmin\n1\n1\n";
    static const struct {
        const char *text;
        unsigned points;
    } cases[] = { { labelled, 23 }, { positional, 10 }, { all, 44 } };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_problems struct problems problems = { 0 };
        auto_config struct config *config = NULL;
        auto_text struct text text = { 0 };

        CHECK_EQ(convert(cases[i].text, &problems, &text), 0);
        (void) !config_load_text("made", text.data, text.size, &problems, &config);
        CHECK_STR(problems_text(&problems), "");
        CHECK_EQ(config->meter_count, 1);
        CHECK_EQ(config->meters[0].selection.point_count, cases[i].points);
        CHECK_STR(config->meters[0].model->id, "circutor-cvm-nrg96");
    }
}

static void test_wrong_values_are_refused_with_their_line(void)
{
    static const struct {
        const char *text;
        const char *problem;
    } cases[] = {
        { "", "setup.dat: puerto is missing" },
        { "com1\nd.csv\n0,7\n1\nnow\n1\n1\n", "setup.dat:3: lista_por_linea: '7': numbers from 0 to 6" },
        { "com1\nd.csv\n0\n23\nnow\n1\n1\n", "setup.dat:4: lista_trifasicas: '23': numbers from 0 to 22" },
        { "com1\nd.csv\n0\n1\nmaximo\n1\n1\n", "setup.dat:5: cual: 'maximo': instant, now, max or min" },
        { "com1\nd.csv\n0\n1\nnow\n-1\n1\n", "setup.dat:6: periodo_muestreo: '-1'" },
        { "com1\nd.csv\n0\n1\nnow\n30\n0.1\n", "setup.dat:7: periodo_registro is shorter" },
        { "com1\nd.csv\n0\n1\nnow\n1\n1\nu\nv\n", "setup.dat:9: a ninth line" },
        { "com1\nd.csv\n\n1\nnow\n1\n1\n", "is missing" },
        { "puerto com1\narchivos d.csv\n", "setup.dat:2: unknown key 'archivos', did you mean 'archivo'?" },
        { "puerto com1\npuerto com2\n", "setup.dat:2: puerto stands there twice, first in line 1" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_problems struct problems problems = { 0 };
        auto_text struct text text = { 0 };

        CHECK_EQ(convert(cases[i].text, &problems, &text), -EINVAL);
        CHECK_HAS(problems_text(&problems), cases[i].problem);
        CHECK_EQ(text.size, 0);
    }
}

TESTS(test_labelled_form_keeps_order_and_periods, test_positional_form_and_a_bank,
      test_result_is_a_right_configuration, test_wrong_values_are_refused_with_their_line)
