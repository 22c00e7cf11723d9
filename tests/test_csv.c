// SPDX-License-Identifier: MIT
// link: ms_outlet

#include "tests/test.h"

#include "app/outlet/csv.h"

#include <stdlib.h>

static struct layout *make_layout(void)
{
    struct layout *layout = calloc(1, sizeof(*layout));

    layout->count = 4;
    strcpy(layout->columns[0].name, "voltage_l1_n.max");
    strcpy(layout->columns[0].unit, "V");
    strcpy(layout->columns[1].name, "power_active");
    strcpy(layout->columns[1].unit, "W");
    strcpy(layout->columns[2].name, "power_factor");
    strcpy(layout->columns[3].name, "thd_voltage_l1");
    strcpy(layout->columns[3].unit, "%");
    return layout;
}

static void test_the_heading_names_quantity_and_unit(void)
{
    struct layout *layout = make_layout();
    auto_text struct text text = {};

    csv_add_header(&text, layout, false);
    CHECK_STR(text_string(&text),
              "utc,local,quality,voltage_l1_n.max_v,power_active_w,power_factor,thd_voltage_l1_percent,seq\r\n");
    text_reset(&text);
    csv_add_header(&text, layout, true);
    CHECK(text_starts(text_string(&text), "boot_s,utc,local,quality,voltage"));
    free(layout);
}

static void test_a_row_has_utc_local_and_empty_fields_for_what_is_missing(void)
{
    static const double values[] = { 230.1, -1250, NAN };
    struct csv_row row = { .timed = true, .wall_ms = 1795168800000, .quality = "Nm", .boot_ms = 61005,
                           .values = values, .value_count = 3, .seq = 4294967296 };
    auto_text struct text text = {};

    csv_add_row(&text, &row, 4, false);
    CHECK_STR(text_string(&text), "2026-11-20T10:00:00.000Z,2026-11-20 11:00:00,Nm,230.1,-1250,,,4294967296\r\n");
    text_reset(&text);
    row.timed = false;
    row.quality = "U";
    csv_add_row(&text, &row, 2, true);
    CHECK_STR(text_string(&text), "61.005,,,U,230.1,-1250,4294967296\r\n");
}

static void test_texts_are_quoted_and_no_formula(void)
{
    static const struct {
        const char *field, *csv;
    } cases[] = {
        { "kitchen", "kitchen" },          { "a,b", "\"a,b\"" },   { "say \"x\"", "\"say \"\"x\"\"\"" },
        { "two\nlines", "\"two\nlines\"" }, { "=1+1", "\"'=1+1\"" }, { "@x", "\"'@x\"" },
        { "-5", "\"'-5\"" },               { "", "" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_text struct text text = {};

        csv_add_text(&text, cases[i].field);
        CHECK_STR(text_string(&text), cases[i].csv);
    }
}

static void test_the_seq_of_a_line_is_found_however_it_was_saved(void)
{
    static const struct {
        const char *line;
        uint64_t seq;
    } cases[] = {
        { "2026-11-20T10:00:00.000Z,x,N,1,4294967296\r", 4294967296 },
        { "a;b;42", 42 },
        { "\"a\",\"b\",\"42\"\r", 42 },
        { "a\t42", 42 },
        { "42", 42 },
        { "a,4.29E+09", 0 },
        { "a,1.5", 0 },
        { "utc,local,quality,seq", 0 },
        { "", 0 },
        { "a,", 0 },
        { "a,12345678901234567", 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(csv_line_seq(cases[i].line, strlen(cases[i].line)), cases[i].seq);
    }
}

TESTS(test_the_heading_names_quantity_and_unit, test_a_row_has_utc_local_and_empty_fields_for_what_is_missing,
      test_texts_are_quoted_and_no_formula, test_the_seq_of_a_line_is_found_however_it_was_saved)
