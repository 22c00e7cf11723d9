// SPDX-License-Identifier: MIT
// link: ms_journal

#include "tests/test.h"

#include "app/journal/segment.h"
#include "app/journal/stored.h"
#include "drivers/column.h"

#include <errno.h>

static void test_values_are_written_as_shortest_decimals_and_null(void)
{
    static const double values[] = { 230.1, NAN, 0, -12, 1e21, INFINITY };
    double back[MAX_POINTS];
    auto_text struct text text = {};
    unsigned count = 0;

    stored_add_values(&text, values, ARRAY_SIZE(values));
    CHECK_STR(text_string(&text), "[230.1,null,0,-12,1e+21,null]");
    CHECK_EQ(stored_parse_values(text_string(&text), back, &count), 0);
    CHECK_EQ(count, 6);
    CHECK_NEAR(back[4], 1e21, 0.0);
    CHECK_NAN(back[5]);
    CHECK_EQ(stored_parse_values("[]", back, &count), 0);
    CHECK_EQ(count, 0);
    CHECK_EQ(stored_parse_values("[ 1.5, null ,-2 ]", back, &count), 0);
    CHECK_EQ(count, 3);
    CHECK_NEAR(back[2], -2, 0.0);
}

static void test_damaged_values_are_refused(void)
{
    static const char *const damaged[] = { "", "[", "[1", "[1,", "[1,]", "[,1]", "1]", "[1]x", "[nan]", "[1 2]", "[inf]",
                                           "[+1]", "[1e999]", "[nul]", "{}", "[-]" };
    double back[MAX_POINTS] = { 7 };
    unsigned count = 9;

    for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
        CHECK_EQ(stored_parse_values(damaged[i], back, &count), -EBADMSG);
    }
    CHECK_EQ(count, 9);
    CHECK_NEAR(back[0], 7, 0.0);
}

static void test_more_values_than_any_meter_has_are_refused(void)
{
    auto_text struct text text = {};
    double back[MAX_POINTS];
    unsigned count = 9;

    text_add(&text, "[0");
    for (int i = 0; i < MAX_POINTS; i++) {
        text_add(&text, ",0");
    }
    text_add(&text, "]");
    CHECK_EQ(stored_parse_values(text_string(&text), back, &count), -EBADMSG);
}

static void test_layouts_come_back_and_damaged_ones_leave_the_result_alone(void)
{
    struct layout *layout = calloc(1, sizeof(*layout)), *back = calloc(1, sizeof(*back));
    auto_text struct text text = {};

    layout->count = 2;
    strcpy(layout->columns[0].name, "power_active");
    strcpy(layout->columns[0].unit, "W");
    strcpy(layout->columns[1].name, "no_longer_known");
    stored_add_layout(&text, layout);
    CHECK_STR(text_string(&text),
              "[{\"quantity\":\"power_active\",\"unit\":\"W\"},{\"quantity\":\"no_longer_known\",\"unit\":\"\"}]");
    CHECK_EQ(stored_parse_layout(text.data, text.size, back), 0);
    CHECK_EQ(back->count, 2);
    CHECK(back->columns[0].quantity);
    CHECK(!back->columns[1].quantity);
    CHECK_EQ(stored_parse_layout("[{}]", 4, back), -EBADMSG);
    CHECK_EQ(stored_parse_layout("{}", 2, back), -EBADMSG);
    CHECK_EQ(stored_parse_layout("[", 1, back), -EBADMSG);
    CHECK_EQ(back->count, 2);
    free(layout);
    free(back);
}

static void test_columns_are_called_by_quantity_and_unit(void)
{
    static const struct {
        struct column column;
        const char *label;
    } cases[] = {
        { { "power_active", "W", NULL }, "power_active_w" },
        { { "voltage_l1_n.max", "V", NULL }, "voltage_l1_n.max_v" },
        { { "thd_voltage_l1", "%", NULL }, "thd_voltage_l1_percent" },
        { { "power_factor", "", NULL }, "power_factor" },
        { { "energy_reactive_import", "varh", NULL }, "energy_reactive_import_varh" },
    };
    char buffer[COLUMN_LABEL_SIZE];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_STR(column_label(&cases[i].column, buffer), cases[i].label);
    }
}

static void test_segment_names_hold_the_first_seq_in_16_digits(void)
{
    char name[SEGMENT_NAME_SIZE];
    const char *ending;
    uint64_t first = 0;

    CHECK_STR(segment_name(42, ".db", name), "0000000000000042.db");
    CHECK_STR(segment_name(SEGMENT_SEQ_MAX, ".db-journal", name), "9999999999999999.db-journal");
    CHECK_EQ(segment_parse("0000004294967296.db-wal", &first, &ending), 0);
    CHECK_EQ(first, 4294967296);
    CHECK_STR(ending, ".db-wal");
    CHECK_EQ(segment_parse("000000000000042.db", &first, &ending), -EINVAL);
    CHECK_EQ(segment_parse("0000000000000000.db", &first, &ending), -EINVAL);
    CHECK_EQ(segment_parse("lock", &first, &ending), -EINVAL);
    CHECK_EQ(segment_parse("id", &first, &ending), -EINVAL);
}

static void test_a_boot_begins_above_everything_before_it(void)
{
    CHECK_EQ(segment_next_boot(0), 1);
    CHECK_EQ(segment_next_boot(1), SEGMENT_BOOT_ROWS);
    CHECK_EQ(segment_next_boot(SEGMENT_BOOT_ROWS - 1), SEGMENT_BOOT_ROWS);
    CHECK_EQ(segment_next_boot(SEGMENT_BOOT_ROWS), 2 * SEGMENT_BOOT_ROWS);
}

TESTS(test_values_are_written_as_shortest_decimals_and_null, test_damaged_values_are_refused,
      test_more_values_than_any_meter_has_are_refused,
      test_layouts_come_back_and_damaged_ones_leave_the_result_alone, test_columns_are_called_by_quantity_and_unit,
      test_segment_names_hold_the_first_seq_in_16_digits, test_a_boot_begins_above_everything_before_it)
