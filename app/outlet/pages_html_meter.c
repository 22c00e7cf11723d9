/* SPDX-License-Identifier: MIT */

/* One meter's part of the page. */

#include "app/base/clock.h"
#include "app/outlet/markup.h"
#include "app/outlet/page_calendar.h"
#include "app/outlet/pages_html_private.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* When the readings were: "00:00 - 20:04" of a day, "1 Nov - 21 Nov" of a month. */
static void add_stretch(struct text *text, const struct page_use *use, bool is_day)
{
    char from[PAGE_CALENDAR_SIZE], to[PAGE_CALENDAR_SIZE];

    if (use->known != PAGE_KNOWN && use->known != PAGE_UNCERTAIN) {
        text_addf(text, "<small>%s</small>", use->known == PAGE_NONE ? "no readings" : "not counted yet");
        return;
    }

    if (is_day) {
        (void) clock_format(use->from_ms, false, "%H:%M", from, sizeof(from));
        (void) clock_format(use->to_ms, false, "%H:%M", to, sizeof(to));
    } else {
        (void) page_calendar_name(use->from_ms, PAGE_DAY, from);
        (void) page_calendar_name(use->to_ms, PAGE_DAY, to);
    }
    text_addf(text, "<small>%s \xE2\x80\x93 %s</small>", from, to);
}

static void add_power_cells(struct text *text, const struct page_data *data, unsigned meter, unsigned day)
{
    struct page_power power = { .min = NAN, .max = NAN, .sum = NAN, .count = 1 };

    if (page_data_day_power(data, meter, day, &power) == PAGE_PENDING) {
        text_add(text, "<td>\xE2\x80\xA6</td><td>\xE2\x80\xA6</td><td>\xE2\x80\xA6</td>");
        return;
    }

    text_add(text, "<td>");
    markup_add_power(text, power.min);
    text_add(text, "</td><td>");
    markup_add_power(text, round(power.sum / power.count * 1e3) / 1e3);
    text_add(text, "</td><td>");
    markup_add_power(text, power.max);
    text_add(text, "</td>");
}

/* A line of the table of energy: one of the two newest days, or months. */
static void add_energy_line(struct text *text, const struct page_data *data, unsigned meter, bool is_day,
                            unsigned index)
{
    const struct page_meter *who = &page_data_meters(data)->meters[meter];
    char name[PAGE_CALENDAR_SIZE];

    text_addf(text, "<tr><th scope=\"row\">%s%s",
              is_day ? page_calendar_name(page_data_day(data, index), PAGE_DAY_LONG, name)
                     : page_calendar_name(page_data_month(data, index), PAGE_MONTH_LONG, name),
              index == 0 ? ", so far" : "");
    for (unsigned i = 0; i < PAGE_SERIES && *who->energy[i]; i++) {
        struct page_use use = is_day ? page_data_day_use(data, meter, i, index)
                                     : page_data_month_use(data, meter, i, index);

        if (i == 0) {
            add_stretch(text, &use, is_day);
            text_add(text, "</th>");
        }
        text_add(text, "<td>");
        pages_html_add_energy(text, &use, false);
        text_add(text, "</td>");
    }
    text_add(text, "</tr>\n");
}

static void add_energy_table(struct text *text, const struct page_data *data, unsigned meter)
{
    const bool two = *page_data_meters(data)->meters[meter].energy[1];

    text_addf(text, "<table class=\"numbers\">\n<thead><tr><th scope=\"col\" class=\"name\">Energy, kWh</th>"
                    "<th scope=\"col\">%s</th>%s</tr></thead>\n<tbody>\n",
              two ? "drawn" : "used", two ? "<th scope=\"col\">given back</th>" : "");
    add_energy_line(text, data, meter, true, 0);
    add_energy_line(text, data, meter, true, 1);
    add_energy_line(text, data, meter, false, 0);
    add_energy_line(text, data, meter, false, 1);
    text_add(text, "</tbody>\n</table>\n");
}

static void add_power_table(struct text *text, const struct page_data *data, unsigned meter)
{
    char name[PAGE_CALENDAR_SIZE];

    text_add(text, "<table class=\"numbers\">\n<thead><tr><th scope=\"col\" class=\"name\">Power, kW</th>"
                   "<th scope=\"col\">lowest</th><th scope=\"col\">mean</th><th scope=\"col\">highest</th></tr>"
                   "</thead>\n<tbody>\n");
    for (unsigned day = 0; day < 2; day++) {
        text_addf(text, "<tr><th scope=\"row\">%s%s</th>",
                  page_calendar_name(page_data_day(data, day), PAGE_DAY_LONG, name), day == 0 ? ", so far" : "");
        add_power_cells(text, data, meter, day);
        text_add(text, "</tr>\n");
    }
    text_add(text, "</tbody>\n</table>\n");
}

/* In how many of the periods shown a counter began anew. */
static unsigned count_levels(const struct page_data *data, unsigned meter, bool *ret_uncertain)
{
    unsigned levels = 0;

    *ret_uncertain = false;
    for (unsigned series = 0; series < PAGE_SERIES; series++) {
        for (unsigned i = 0; i < PAGE_MONTHS; i++) {
            struct page_use use = page_data_month_use(data, meter, series, i);

            levels += use.known == PAGE_KNOWN || use.known == PAGE_UNCERTAIN ? use.levels : 0;
            *ret_uncertain = *ret_uncertain || use.known == PAGE_UNCERTAIN;
        }
    }
    return levels;
}

static void add_count(struct text *text, uint64_t count, const char *one, const char *many, const char *rest)
{
    if (count > 0) {
        text_addf(text, "<li>%" PRIu64 " %s %s</li>\n", count, count == 1 ? one : many, rest);
    }
}

/* The letters of the column "quality", and the events, in words. */
static void add_remarks(struct text *text, const struct page_data *data, unsigned meter)
{
    const struct page_quality *quality = page_data_quality(data, meter);
    bool uncertain;
    unsigned levels = count_levels(data, meter, &uncertain);

    if (quality->slices_without + quality->held + quality->missing + quality->corrected + levels == 0 && !uncertain) {
        return;
    }

    text_add(text, "<ul class=\"soft\">\n");
    add_count(text, quality->slices_without, "reading is", "readings are",
              "missing in the last 7 days: the meter did not answer, or its line was busy.");
    add_count(text, quality->missing, "reading", "readings", "of the last 7 days without some of its values (m).");
    add_count(text, quality->held, "reading", "readings",
              "of the last 7 days with a counter that was not believed and is held back (g).");
    add_count(text, quality->corrected, "reading", "readings",
              "of the last 7 days whose time was learned later (C).");
    add_count(text, levels, "time", "times",
              "the counter began anew (exchange, reset or rollover): the parts before and after are added.");
    if (uncertain) {
        text_add(text, "<li>What the counter did between some readings is not known for certain: their energy is "
                       "shown as ?</li>\n");
    }
    text_add(text, "</ul>\n");
}

void pages_html_add_meter(struct text *text, const struct page_data *data, unsigned meter, const char *label)
{
    const struct page_meter *who = &page_data_meters(data)->meters[meter];

    text_addf(text, "<section id=\"m%u\">\n<h2>", meter);
    markup_add_text(text, who->name);
    text_add(text, "</h2>\n<p class=\"soft\">");
    if (*label) {
        markup_add_text(text, label);
        text_add(text, " \xC2\xB7 ");
    }
    markup_add_text(text, who->model);
    text_add(text, "</p>\n");

    if (!page_data_is_seen(data, meter) && page_data_day_use(data, meter, 0, 0).known != PAGE_PENDING) {
        text_add(text, "<p>No readings in this time.</p>\n");
    } else if (!*who->power && !*who->energy[0]) {
        text_add(text, "<p>This meter logs neither power nor energy: its readings are in the CSV files.</p>\n");
    } else {
        text_add(text, "<div class=\"pair\">\n");
        if (*who->energy[0]) {
            add_energy_table(text, data, meter);
        }
        if (*who->power) {
            add_power_table(text, data, meter);
        }
        text_add(text, "</div>\n");
        pages_html_add_days(text, data, meter);
        pages_html_add_months(text, data, meter);
    }
    add_remarks(text, data, meter);
    text_add(text, "</section>\n");
}
