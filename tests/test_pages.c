// SPDX-License-Identifier: MIT
// link: ms_outlet

/* What the page is made of: days and months, text and numbers, columns, and what events say of sums. */

#include "tests/test.h"

#include "app/base/clock.h"
#include "app/outlet/markup.h"
#include "app/outlet/page_calendar.h"
#include "app/outlet/page_levels.h"
#include "app/outlet/page_meters.h"
#include "app/outlet/pages_readme.h"

#define HOUR INT64_C(3600000)

static const struct {
    const char *zone, *when;
    int days;
    const char *begin;
    int hours;
} day_cases[] = {
    { "Europe/Berlin", "2026-11-21 20:04", 0, "2026-11-20T23:00:00.000Z", 24 },
    { "Europe/Berlin", "2026-11-21 00:00", 0, "2026-11-20T23:00:00.000Z", 24 },
    { "Europe/Berlin", "2026-11-21 20:04", -21, "2026-10-30T23:00:00.000Z", 24 },
    { "Europe/Berlin", "2026-10-27 12:00", -2, "2026-10-24T22:00:00.000Z", 25 },
    { "Europe/Berlin", "2026-10-25 01:30", 0, "2026-10-24T22:00:00.000Z", 25 },
    { "Europe/Berlin", "2026-03-29 23:59", 0, "2026-03-28T23:00:00.000Z", 23 },
    { "Europe/Berlin", "2026-03-29 12:00", 1, "2026-03-29T22:00:00.000Z", 24 },
    { "Europe/Berlin", "2027-01-01 12:00", -1, "2026-12-30T23:00:00.000Z", 24 },
    { "UTC", "2026-02-28 12:00", 1, "2026-03-01T00:00:00.000Z", 24 },
    { "Asia/Kathmandu", "2026-11-21 12:00", 0, "2026-11-20T18:15:00.000Z", 24 },
    { "America/Santiago", "2026-09-06 12:00", 0, "2026-09-06T04:00:00.000Z", 23 },  // it begins at 01:00
    { "Australia/Lord_Howe", "2026-10-04 12:00", 0, "2026-10-03T13:30:00.000Z", 24 },  // half an hour less
};

static void test_days_are_those_of_the_zone(void)
{
    char text[CLOCK_TEXT_SIZE];

    for (size_t i = 0; i < sizeof(day_cases) / sizeof(day_cases[0]); i++) {
        int64_t when, begin, end;

        CHECK_EQ(clock_set_timezone(day_cases[i].zone), 0);
        CHECK_EQ(clock_parse(day_cases[i].when, &when), 0);
        begin = page_calendar_day(when, day_cases[i].days);
        end = page_calendar_day(when, day_cases[i].days + 1);
        CHECK_STR(clock_utc(begin, text), day_cases[i].begin);
        CHECK_EQ((end - begin + HOUR / 2) / HOUR, day_cases[i].hours);
        CHECK_EQ(page_calendar_day(begin, 0), begin);
        CHECK_EQ(page_calendar_day(end - 1, 0), begin);
    }
}

static void test_months_are_those_of_the_zone(void)
{
    char text[CLOCK_TEXT_SIZE], name[PAGE_CALENDAR_SIZE];
    int64_t when;

    CHECK_EQ(clock_set_timezone("Europe/Berlin"), 0);
    CHECK_EQ(clock_parse("2026-03-31 23:30", &when), 0);
    CHECK_STR(clock_utc(page_calendar_month(when, 0), text), "2026-02-28T23:00:00.000Z");
    CHECK_STR(clock_utc(page_calendar_month(when, 1), text), "2026-03-31T22:00:00.000Z");
    CHECK_STR(clock_utc(page_calendar_month(when, -3), text), "2025-11-30T23:00:00.000Z");
    CHECK_STR(page_calendar_name(when, PAGE_DAY_LONG, name), "Tue 31 Mar");
    CHECK_STR(page_calendar_name(when, PAGE_DAY, name), "31 Mar");
    CHECK_STR(page_calendar_name(when, PAGE_MONTH_LONG, name), "Mar 2026");
}

static const struct {
    const char *text, *expect;
} text_cases[] = {
    { "plain", "plain" },
    { "<b>a & \"b\"</b> 'c'", "&lt;b&gt;a &amp; &quot;b&quot;&lt;/b&gt; &#39;c&#39;" },
    { "Küche", "Küche" },
    { "\x1b[31m\x07", "?[31m?" },
    { "\xff\xc0\xaf", "???" },
    { "]]><!--", "]]&gt;&lt;!--" },
    { "", "" },
};

static void test_markup_is_only_text(void)
{
    for (size_t i = 0; i < sizeof(text_cases) / sizeof(text_cases[0]); i++) {
        auto_text struct text text = {};

        markup_add_text(&text, text_cases[i].text);
        CHECK_STR(text_string(&text), text_cases[i].expect);
    }
}

#define THIN "\xE2\x80\xAF"

static const struct {
    double wh;
    const char *whole, *brief;
} energy_cases[] = {
    { 0, "<data value=\"0\">0.00</data>", "<data value=\"0\">0.00</data>" },
    { 1234, "<data value=\"1234\">1.23</data>", "<data value=\"1234\">1.23</data>" },
    { 12345, "<data value=\"12345\">12.35</data>", "<data value=\"12345\">12.3</data>" },
    { 123456, "<data value=\"123456\">123.5</data>", "<data value=\"123456\">123</data>" },
    { 12345678.5, "<data value=\"12345678.5\">12" THIN "346</data>",
      "<data value=\"12345678.5\">12" THIN "346</data>" },
    { NAN, "\xE2\x80\x93", "\xE2\x80\x93" },
};

static void test_energies_are_in_kwh_for_the_eye_and_exact_for_machines(void)
{
    auto_text struct text power = {};

    for (size_t i = 0; i < sizeof(energy_cases) / sizeof(energy_cases[0]); i++) {
        auto_text struct text whole = {}, brief = {};

        markup_add_energy(&whole, energy_cases[i].wh, false);
        markup_add_energy(&brief, energy_cases[i].wh, true);
        CHECK_STR(text_string(&whole), energy_cases[i].whole);
        CHECK_STR(text_string(&brief), energy_cases[i].brief);
    }
    markup_add_power(&power, -42.5);
    CHECK_STR(text_string(&power), "<data value=\"-42.5\">\xE2\x88\x92" "0.043</data>");
}

static struct layout layout_of(const char *const *names, const char *const *units)
{
    struct layout layout = { 0 };

    for (; *names; names++, units++) {
        snprintf(layout.columns[layout.count].name, QUANTITY_NAME_SIZE, "%s", *names);
        snprintf(layout.columns[layout.count++].unit, UNIT_SIZE, "%s", *units);
    }
    return layout;
}

static void test_the_columns_that_matter_are_found(void)
{
    static const char *const units[] = { "V", "W", "W", "Wh", "Wh", "varh", NULL };
    static const char *const three[] = { "voltage_l1_n", "power_active_l1", "power_active_total",
                                         "energy_active_import", "energy_active_export", "energy_reactive_import",
                                         NULL };
    static const char *const radio[] = { "temperature", "power_active_s0", "power_active_s1", NULL };
    static const char *const demand[] = { "voltage", "power_active_demand", "power_active_l1.max", NULL };
    static const char *const old[] = { "voltage", "power_active", "current", "energy_active_import_f32", NULL };
    struct layout layout = layout_of(three, units);

    CHECK_EQ(page_meters_power(&layout), 2);
    CHECK_EQ(page_meters_energy(&layout, 0), 3);
    CHECK_EQ(page_meters_energy(&layout, 1), 4);
    layout = layout_of(radio, units);
    CHECK_EQ(page_meters_power(&layout), 1);
    CHECK_EQ(page_meters_energy(&layout, 0), -1);
    layout = layout_of(demand, units);
    CHECK_EQ(page_meters_power(&layout), -1);
    layout = layout_of(old, units);
    CHECK_EQ(page_meters_energy(&layout, 0), 3);
}

static const struct {
    const char *code, *text;
    double expect;      // to be added to a difference across it
    unsigned count;     // of levels between
} level_cases[] = {
    { "released", "kitchen: energy_active_import seq 43 words 0005 value 5 Wh is a reset, from 1000 Wh; 3 held since "
                  "seq 41 released", 995, 1 },
    { "released", "kitchen: energy_active_import seq 43 value 20 Wh is another level (meter exchange), from 1000 Wh; "
                  "3 held released", 980, 1 },
    { "released", "kitchen: energy_active_import seq 43 words ffff value 12 Wh is a rollover at 1000000 Wh, from "
                  "999990 Wh; 3 held since seq 41 released", 1000000, 1 },
    { "released", "kitchen: energy_active_import seq 43 value 1000 Wh is a return to where the counter stood "
                  "earlier, from 7 Wh; 3 held released", -993, 1 },
    { "released", "kitchen: energy_active_import seq 43 value 5000 Wh is a rise, faster or for longer than was known "
                  "to be possible (max_power), from 1000 Wh; 3 held released", 0, 0 },
    { "released", "kitchen: energy_active_import seq 43 value 5 Wh is agreed by readings in line; 3 held released",
      NAN, 1 },
    { "released", "kitchen: energy_active_export seq 43 value 5 Wh is a reset, from 1000 Wh; 3 held released", 0, 0 },
    { "released", "cellar: energy_active_import seq 43 value 5 Wh is a reset, from 1000 Wh; 3 held released", 0, 0 },
    { "released", "kitchen: energy_active_import seq 50 value 5 Wh is a reset, from 1000 Wh; 3 held released", 0, 0 },
    { "released", "kitchen: energy_active_import", 0, 0 },
    { "released", "kitchen", 0, 0 },
    { "back", "kitchen: answers again, 7 slices without a row", 0, 0 },
};

static void test_events_say_where_a_counter_began_anew(void)
{
    struct page_meter meter = { .name = "kitchen", .energy = { "energy_active_import" } };
    struct page_meters meters = { .meters = &meter, .count = 1 };

    for (size_t i = 0; i < sizeof(level_cases) / sizeof(level_cases[0]); i++) {
        struct journal_event event = { .id = 1 };
        struct page_levels levels = { 0 };
        unsigned count;

        snprintf(event.code, sizeof(event.code), "%s", level_cases[i].code);
        snprintf(event.text, sizeof(event.text), "%s", level_cases[i].text);
        page_levels_take(&levels, &meters, &event);
        page_levels_take(&levels, &meters, &event);  // told twice
        CHECK_NEAR(page_levels_correction(&levels, 0, 0, 10, 49, &count), level_cases[i].expect, 0);
        CHECK_EQ(count, level_cases[i].count);
        CHECK_NEAR(page_levels_correction(&levels, 0, 0, 43, 49, &count), 0, 0);  // it begins with that row
        CHECK_EQ(levels.absence_count, *level_cases[i].code == 'b');
        CHECK_EQ(levels.absence_count ? levels.absences[0].slices : 7, 7);
        page_levels_clear(&levels);
    }
}

static void test_texts_open_in_any_editor(void)
{
    auto_text struct text plain = {}, more = {}, result = {}, marked = {};

    text_add(&plain, "a\n\nb\n");
    pages_readme_finish(&plain, &result);
    CHECK_STR(text_string(&result), "a\r\n\r\nb\r\n");
    text_add(&more, "Küche\n");
    pages_readme_finish(&more, &marked);
    CHECK_STR(text_string(&marked), "\xEF\xBB\xBF" "Küche\r\n");
}

TESTS(test_days_are_those_of_the_zone,
      test_months_are_those_of_the_zone,
      test_markup_is_only_text,
      test_energies_are_in_kwh_for_the_eye_and_exact_for_machines,
      test_the_columns_that_matter_are_found,
      test_events_say_where_a_counter_began_anew,
      test_texts_open_in_any_editor)
