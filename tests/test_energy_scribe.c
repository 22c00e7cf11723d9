/* SPDX-License-Identifier: MIT */
// link: ms_formats ms_drivers ms_base
#include "tests/test.h"

#include "app/formats/energy_scribe.h"

#define WALL_MS 1700000000123  // 2023-11-14T22:13:20.123Z

static struct layout layout;

static void layout_of(const char *const *names, unsigned count)
{
    memset(&layout, 0, sizeof(layout));
    layout.count = count;
    for (unsigned i = 0; i < count; i++) {
        (void) snprintf(layout.columns[i].name, sizeof(layout.columns[i].name), "%s", names[i]);
    }
}

static const char *const iem2150_names[] = { "voltage",      "current",                "power_active",
                                             "power_reactive", "power_factor", "power_factor_direction",
                                             "frequency",    "energy_active_import" };

/* The frames in the comments of the iEM2150 program, decoded: 43 6f 97 0a and so on. */
static const double iem2150_values[] = { 239.59, 0.025, 0.042, -5.389, 0.0006, -1, 49.987, 172.843 };

static struct energy_scribe_reading iem2150_reading(const double *values)
{
    layout_of(iem2150_names, ARRAY_SIZE(iem2150_names));
    return (struct energy_scribe_reading){ "schneider-iem2150", &layout, values, WALL_MS, NULL, 0 };
}

static void test_headings_are_theirs_byte_for_byte(void)
{
    auto_text struct text text = { 0 };

    energy_scribe_header(&text, "schneider-iem2150");
    CHECK_STR(text_string(&text), "\"Time\",\"Voltage\",\"Current\",\"Power\",\"Reactive power\",\"Power factor\","
                                  "\"Power factor direction\",\"Frequency\",\"Cumulative energy\"");
    text_reset(&text);
    energy_scribe_header(&text, "hiking-dds238-2-zn-s");
    CHECK_STR(text_string(&text), "\"Time\",\"Voltage\",\"Current\",\"Power\",\"Reactive power\",\"Power factor\","
                                  "\"Frequency\",\"Cumulative energy\"");
    text_reset(&text);
    energy_scribe_header(&text, "currentcost-cc128");
    CHECK_STR(text_string(&text), "\"Time\", \"Watts #1\", \"Watts #2\", \"Watts #3\", \"Watts #4\", \"Watts #5\", "
                                  "\"Watts #6\", \"Watts #7\", \"Watts #8\", \"Watts #9\", \"Watts #0\"");
}

static void test_iem2150_row_is_v_a_kw_kvar_hz_wh(void)
{
    struct energy_scribe_reading reading = iem2150_reading(iem2150_values);
    auto_text struct text text = { 0 };

    energy_scribe_row(&text, &reading);
    CHECK_STR(text_string(&text),
              "\"2023/11/14 22:13:20\",239.59,0.025,0.000042,-0.005389,0.0006,\"leading\",49.987,172.843");
}

static void test_missing_values_are_empty_fields(void)
{
    const double values[] = { NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN };
    struct energy_scribe_reading reading = iem2150_reading(values);
    auto_text struct text text = { 0 };

    energy_scribe_row(&text, &reading);
    CHECK_STR(text_string(&text), "\"2023/11/14 22:13:20\",,,,,,,,");
    text_reset(&text);
    energy_scribe_json(&text, &reading);
    CHECK_HAS(text_string(&text), "\"voltage\": {\"present_value\": null}");
}

static void test_iem2150_json_quotes_the_direction_and_has_underscores(void)
{
    struct energy_scribe_reading reading = iem2150_reading(iem2150_values);
    auto_text struct text text = { 0 };

    energy_scribe_json(&text, &reading);
    CHECK_STR(text_string(&text), "{\n"
                                  "    \"version\": 1,\n"
                                  "    \"timestamp\": \"2023/11/14 22:13:20\",\n"
                                  "    \"points\": {\n"
                                  "        \"voltage\": {\"present_value\": 239.59},\n"
                                  "        \"current\": {\"present_value\": 0.025},\n"
                                  "        \"power\": {\"present_value\": 0.000042},\n"
                                  "        \"reactive_power\": {\"present_value\": -0.005389},\n"
                                  "        \"power_factor\": {\"present_value\": 0.0006},\n"
                                  "        \"power_factor_direction\": {\"present_value\": \"leading\"},\n"
                                  "        \"frequency\": {\"present_value\": 49.987},\n"
                                  "        \"energy\": {\"present_value\": 172.843}\n"
                                  "    }\n"
                                  "}\n");
}

static void test_lines_have_the_right_units(void)
{
    struct energy_scribe_reading reading = iem2150_reading(iem2150_values);
    auto_text struct text text = { 0 };

    energy_scribe_lines(&text, &reading);
    CHECK_STR(text_string(&text), "2023/11/14 22:13:20\n239.59 V\n0.025 A\n0.000042 kW\n-0.005389 kvar\n0.0006 pf\n"
                                  "leading pf direction\n49.987 Hz\n172.843 Wh\n");
}

static void test_dds238_power_may_be_negative_and_energy_is_kwh(void)
{
    static const char *const names[] = { "energy_active_import", "voltage",      "current",  "power_active",
                                         "power_reactive",       "power_factor", "frequency" };
    const double values[] = { 1234560, 230.1, 1.23, -250, -12, 0.999, 50.01 };
    const struct energy_scribe_reading reading = { "hiking-dds238-2-zn-s", &layout, values, WALL_MS, NULL, 0 };
    auto_text struct text text = { 0 };

    layout_of(names, ARRAY_SIZE(names));
    energy_scribe_row(&text, &reading);
    CHECK_STR(text_string(&text), "\"2023/11/14 22:13:20\",230.1,1.23,-250,-12,0.999,50.01,1234.56");
}

static void test_current_cost_sensor_0_has_its_own_column(void)
{
    static const char *const names[] = { "power_active_s0", "power_active_s1", "power_active_s9" };
    const double values[] = { 345, NAN, 12 };
    const struct energy_scribe_reading reading = { "currentcost-cc128", &layout, values, WALL_MS, NULL, 0 };
    auto_text struct text text = { 0 };

    layout_of(names, ARRAY_SIZE(names));
    energy_scribe_row(&text, &reading);
    CHECK_STR(text_string(&text), "\"2023/11/14 22:13:20\",,,,,,,,,12,345");
}

static void test_pm5100_keeps_its_columns_when_values_are_missing(void)
{
    static const char *const names[] = { "firmware_x", "firmware_y", "firmware_z", "voltage_l1_n",
                                         "power_active_total", "serial_number" };
    static const struct energy_scribe_text texts[] = { { "manufacturer", "Schneider, \"Electric\"" },
                                                       { "meter_model", NULL } };
    const double values[] = { 1, 22, 3, 230.5, 1500, 4711 };
    const struct energy_scribe_reading reading = { "schneider-pm5100", &layout, values, WALL_MS, texts, 2 };
    auto_text struct text row = { 0 };
    auto_text struct text header = { 0 };
    unsigned commas = 0;

    layout_of(names, ARRAY_SIZE(names));
    energy_scribe_row(&row, &reading);
    energy_scribe_header(&header, "schneider-pm5100");
    CHECK(text_starts(row.data, "\"Schneider, \"\"Electric\"\"\",,4711,1.22.3,230.5,,"));
    CHECK(text_ends(row.data, ",,,2023-11-14T22:13:20.123Z"));
    CHECK_HAS(row.data, ",1.5,");
    for (const char *c = header.data; *c; c++) {
        commas += *c == ',';
    }
    CHECK_EQ(commas, 41);  // 41 fields and the time

    text_reset(&row);
    energy_scribe_json(&row, &reading);
    CHECK_STR(row.data, "{\n    \"manufacturer_label\": \"Schneider, \\\"Electric\\\"\",\n"
                        "    \"serial_number_label\": 4711,\n    \"firmware_version_status\": \"1.22.3\",\n"
                        "    \"line1_neutral_voltage_sensor\": 230.5,\n    \"total_power_sensor\": 1.5,\n"
                        "    \"timestamp\": \"2023-11-14T22:13:20.123Z\"\n}\n");
    text_reset(&row);
    energy_scribe_lines(&row, &reading);
    CHECK_HAS(row.data, "\nline1_neutral_voltage_sensor                                : 230.5\n");
}

static void test_only_three_models_had_log_files(void)
{
    CHECK(energy_scribe_logs("schneider-iem2150") && energy_scribe_logs("hiking-dds238-2-zn-s"));
    CHECK(energy_scribe_logs("currentcost-cc128") && energy_scribe_logs("hiking-dds238-2-zn-s-b"));
    CHECK(energy_scribe_knows("schneider-pm5100") && !energy_scribe_logs("schneider-pm5100"));
    CHECK(!energy_scribe_knows("schneider-pm8000"));
    CHECK(energy_scribe_points("schneider-pm8000") == NULL);
}

TESTS(test_headings_are_theirs_byte_for_byte, test_iem2150_row_is_v_a_kw_kvar_hz_wh,
      test_missing_values_are_empty_fields, test_iem2150_json_quotes_the_direction_and_has_underscores,
      test_lines_have_the_right_units, test_dds238_power_may_be_negative_and_energy_is_kwh,
      test_current_cost_sensor_0_has_its_own_column, test_pm5100_keeps_its_columns_when_values_are_missing,
      test_only_three_models_had_log_files)
