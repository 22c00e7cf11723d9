/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "app/base/macros.h"
#include "drivers/quantity.h"

#include <errno.h>

static const struct {
    const char *name;
    const char *quantity;
} known[] = {
    { "voltage", "voltage" },
    { "voltage_l1_n", "voltage" },
    { "voltage_ll_avg", "voltage" },
    { "voltage_ln_avg_b2", "voltage" },
    { "voltage_l1_n.max", "voltage" },
    { "thd_voltage_l31", "thd_voltage" },
    { "current_n.min", "current" },
    { "current_avg_b2", "current" },
    { "current_g", "current" },
    { "current_p", "current" },
    { "frequency_p", "frequency" },
    { "frequency_d", "frequency" },
    { "frequency_division", "frequency_division" },
    { "frequency_b2", "frequency" },
    { "range_i_p", "range" },
    { "ct_ratio_a", "ct_ratio" },
    { "power_reactive_l1", "power_reactive" },
    { "power_reactive_inductive_total.min", "power_reactive_inductive" },
    { "power_factor_avg", "power_factor" },
    { "power_factor_direction", "power_factor_direction" },
    { "power_factor_l1_direction", "power_factor_direction" },
    { "power_factor_total_direction", "power_factor_direction" },
    { "cos_phi_total.max", "cos_phi" },
    { "energy_active_import", "energy_active_import" },
    { "energy_active_import_l3_f32", "energy_active_import" },
    { "energy_active_import_t2", "energy_active_import" },
    { "energy_active_import_l1_t2_f32", "energy_active_import" },
    { "energy_reactive_capacitive_export", "energy_reactive_capacitive_export" },
    { "max_demand_l3", "max_demand" },
    { "power_active_s0", "power_active" },
    { "power_active_s9_ch3", "power_active" },
    { "power_ch1", "power" },
    { "impulses_s4", "impulses" },
    { "impulses_per_unit", "impulses_per_unit" },
    { "temperature", "temperature" },
    { "value_c", "value" },
};

static const char *const unknown[] = {
    "",          "voltage_l9",       "volltage",      "voltage.avg",        "voltage_l1_n.",
    "voltage_",  "voltage__l1",      "_voltage",      "voltage_l1_l2",      "voltage_l1_n.max.min",
    "current_q", "current_l1_n",     "current_l12",   "power",              "power_l1",
    "range",     "range_a",          "energy_active", "energy_active_import.max",
    "frequency_division_a",          "meter_name.max", "power_active_s10",  "power_active_s1_ch4",
    "power_active_ch1_s1",           "power_active_s1_s2", "temperature_s0_ch1",
    "power_factor_direction_l1",     "voltage_direction", "power_factor_l9_direction",
    "power_factor_direction.max",    "current_f32_l1",    "Voltage",        "voltage l1",
};

static void test_names_with_phase_copy_and_bank_are_found(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        const struct quantity *quantity = quantity_find(known[i].name);

        if (!quantity) {
            fail_msg("%s is not found", known[i].name);
        }
        CHECK_STR(quantity->name, known[i].quantity);
    }
}

static void test_names_that_are_none_are_refused(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
        if (quantity_find(unknown[i])) {
            fail_msg("\"%s\" is found as %s", unknown[i], quantity_find(unknown[i])->name);
        }
    }
}

static void test_the_bank_is_what_follows_the_dot(void)
{
    CHECK_STR(quantity_bank("voltage_l1_n.max"), "max");
    CHECK_STR(quantity_bank("voltage_l1_n"), "");
}

static void test_the_table_is_sorted_and_consistent(void)
{
    size_t count;
    const struct quantity *all = quantity_all(&count);

    CHECK(count > 50);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(all[i - 1].name, all[i].name) >= 0) {
            fail_msg("%s stands behind %s", all[i].name, all[i - 1].name);
        }
        CHECK(strlen(all[i].name) < QUANTITY_NAME_SIZE);
        CHECK(all[i].min < all[i].max);
        CHECK(all[i].suffixes != 0);
        CHECK(all[i].decimals >= 0);
    }
}

static void test_every_unit_of_the_table_is_a_base_unit_with_a_suffix(void)
{
    size_t count;
    const struct quantity *all = quantity_all(&count);

    for (size_t i = 0; i < count; i++) {
        char list[UNIT_SIZE];
        char *rest = NULL;

        snprintf(list, sizeof(list), "%s", all[i].units);
        for (char *unit = strtok_r(list, " ", &rest); unit; unit = strtok_r(NULL, " ", &rest)) {
            const char *base = NULL;
            int exponent = 1;

            CHECK_EQ(quantity_unit(unit, &base, &exponent), 0);
            CHECK_STR(base, unit);
            CHECK_EQ(exponent, 0);
            CHECK(quantity_has_unit(&all[i], unit));
            CHECK(*quantity_unit_suffix(unit) != '\0');
        }
    }
}

static void test_bounds_take_real_readings_and_refuse_absurd_ones(void)
{
    const struct quantity *voltage = quantity_find("voltage_l1_n");
    const struct quantity *import = quantity_find("energy_active_import");

    CHECK(voltage->min <= 0 && voltage->max >= 760);
    CHECK(voltage->max < 8013.8);  // CVM-19: a medium-voltage site sets bounds of its own
    CHECK(quantity_find("frequency_a")->min <= 0);
    CHECK(quantity_find("power_active")->min <= -1e6);
    CHECK(quantity_find("power_factor")->max >= 1.0000001);
    CHECK(quantity_find("power_factor")->max < 42949672.06);  // CVM: a negative one read as unsigned
    CHECK(quantity_find("power_active")->max < 4294952803.0);
    CHECK(quantity_find("current_a")->max >= 655.35);
    CHECK(import->min == 0);
    CHECK(import->max >= 4294967296.0);
    CHECK(quantity_find("energy_active_net")->min < 0);
}

static void test_only_what_rises_is_a_counter(void)
{
    CHECK_EQ(quantity_find("energy_active_import_f32")->kind, QUANTITY_COUNTER);
    CHECK_EQ(quantity_find("impulses")->kind, QUANTITY_COUNTER);
    CHECK_EQ(quantity_find("energy_active_net")->kind, QUANTITY_FACT);
    CHECK_EQ(quantity_find("max_demand")->kind, QUANTITY_FACT);
    CHECK_EQ(quantity_find("power_factor_direction")->kind, QUANTITY_FACT);
    CHECK_EQ(quantity_find("power_active_total")->kind, QUANTITY_GAUGE);
    CHECK_EQ(quantity_find("serial_number")->kind, QUANTITY_FACT);
}

static void test_obis_codes_of_the_energies_are_the_standard_ones(void)
{
    CHECK_STR(quantity_find("energy_active_import")->obis, "1.8.0");
    CHECK_STR(quantity_find("energy_active_export")->obis, "2.8.0");
    CHECK_STR(quantity_find("energy_reactive_import")->obis, "3.8.0");
    CHECK_STR(quantity_find("energy_reactive_export")->obis, "4.8.0");
    CHECK_STR(quantity_find("settings")->obis, "");
}

static const struct {
    const char *unit;
    const char *base;
    int exponent;
} unit_cases[] = {
    { "kWh", "Wh", 3 },   { "mA", "A", -3 },   { "1", "", 0 },       { "", "", 0 },       { "%", "%", 0 },
    { "kvarh", "varh", 3 }, { "kVAr", "var", 3 }, { "MW", "W", 6 },  { "degC", "degC", 0 },
};

static void test_units_of_data_sheets_become_base_units(void)
{
    const char *base = "untouched";
    int exponent = 7;

    CHECK_EQ(quantity_unit("furlong", &base, &exponent), -EINVAL);
    CHECK_EQ(quantity_unit("KWH", &base, &exponent), -EINVAL);
    CHECK_STR(base, "untouched");
    CHECK_EQ(exponent, 7);

    for (size_t i = 0; i < ARRAY_SIZE(unit_cases); i++) {
        CHECK_EQ(quantity_unit(unit_cases[i].unit, &base, &exponent), 0);
        CHECK_STR(base, unit_cases[i].base);
        CHECK_EQ(exponent, unit_cases[i].exponent);
    }
}

static void test_a_quantity_has_only_its_own_units(void)
{
    CHECK(quantity_has_unit(quantity_find("voltage"), "V"));
    CHECK(!quantity_has_unit(quantity_find("voltage"), "VA"));
    CHECK(!quantity_has_unit(quantity_find("voltage"), ""));
    CHECK(!quantity_has_unit(quantity_find("power_apparent"), "V"));
    CHECK(quantity_has_unit(quantity_find("power_factor"), ""));
    CHECK(!quantity_has_unit(quantity_find("power_factor"), "%"));
    CHECK(quantity_has_unit(quantity_find("max_demand"), "W"));
    CHECK(quantity_has_unit(quantity_find("max_demand"), "VA"));
    CHECK(quantity_has_unit(quantity_find("max_demand"), "A"));
    CHECK(!quantity_has_unit(quantity_find("max_demand"), "V"));
}

static void test_columns_end_in_their_unit(void)
{
    CHECK_STR(quantity_unit_suffix("V"), "v");
    CHECK_STR(quantity_unit_suffix("degC"), "degc");
    CHECK_STR(quantity_unit_suffix("%"), "percent");
    CHECK_STR(quantity_unit_suffix(""), "");
    CHECK_STR(quantity_unit_suffix("furlong"), "");
}

static void test_a_misspelt_name_gets_the_nearest_known_one(void)
{
    CHECK_STR(quantity_nearest("volltage"), "voltage");
    CHECK_STR(quantity_nearest("volltage_l1_n.max"), "voltage");
    CHECK_STR(quantity_nearest("voltage_l9"), "voltage");
    CHECK_STR(quantity_nearest("energy_actve_import"), "energy_active_import");
    CHECK_STR(quantity_nearest("energy_actve_import_l1_f32"), "energy_active_import");
    CHECK(!quantity_nearest("blinkenlights"));
    CHECK(!quantity_nearest(""));
}

TESTS(test_names_with_phase_copy_and_bank_are_found, test_names_that_are_none_are_refused,
      test_the_bank_is_what_follows_the_dot, test_the_table_is_sorted_and_consistent,
      test_every_unit_of_the_table_is_a_base_unit_with_a_suffix,
      test_bounds_take_real_readings_and_refuse_absurd_ones, test_only_what_rises_is_a_counter,
      test_obis_codes_of_the_energies_are_the_standard_ones, test_units_of_data_sheets_become_base_units,
      test_a_quantity_has_only_its_own_units, test_columns_end_in_their_unit,
      test_a_misspelt_name_gets_the_nearest_known_one)
