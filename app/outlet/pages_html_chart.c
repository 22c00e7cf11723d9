/* SPDX-License-Identifier: MIT */

/* The pictures of one meter. Text stands around them, not in them, so that it has the same size on each screen. */

#include "app/base/clock.h"
#include "app/outlet/markup.h"
#include "app/outlet/page_calendar.h"
#include "app/outlet/pages_html_private.h"
#include "app/outlet/svg.h"

#include <math.h>
#include <stdio.h>

#define POWER_HEIGHT  400
#define ENERGY_HEIGHT 100
#define MONTH_WIDTH   1000
#define HOUR_MS       3600000
#define PART_MS       (6 * HOUR_MS)  // less is not worth a word

/* The curve of one meter, in kW. */
struct curve {
    const struct page_bucket *buckets;
    const struct page_data *data;
};

static struct svg_column curve_column(unsigned index, const void *data)
{
    const struct page_bucket *bucket = &((const struct curve *) data)->buckets[index];

    return (struct svg_column){ .there = bucket->count > 0,
                                .low = (double) bucket->min / 1e3,
                                .high = (double) bucket->max / 1e3,
                                .middle = (double) bucket->mean / 1e3 };
}

/* The same where it is asked for gaps: a day that was not read yet has none. */
static struct svg_column gap_column(unsigned index, const void *data)
{
    const struct curve *curve = data;
    const int64_t ms = page_data_day(curve->data, PAGE_DAYS - 1) + (int64_t) index * PAGE_BUCKET_MS;
    struct svg_column column = curve_column(index, data);

    for (unsigned day = 0; day < PAGE_DAYS; day++) {
        if (ms >= page_data_day(curve->data, day) && ms < page_data_day_end(curve->data, day)) {
            column.there = column.there || !page_data_day_is_read(curve->data, day);
        }
    }
    return column;
}

/* Where day `index` begins, in columns; the oldest is the first. */
static unsigned day_column(const struct page_data *data, unsigned index)
{
    return (unsigned) ((page_data_day(data, index) - page_data_day(data, PAGE_DAYS - 1)) / PAGE_BUCKET_MS);
}

/* Columns up to the newest reading: what has not come yet is no gap. */
static unsigned columns_so_far(const struct page_data *data, unsigned count)
{
    int64_t now_ms = 0;
    int64_t columns;

    (void) page_data_now(data, &now_ms);
    columns = (now_ms - page_data_day(data, PAGE_DAYS - 1)) / PAGE_BUCKET_MS + 1;
    return (unsigned) MIN(MAX(columns, (int64_t) 0), (int64_t) count);
}

static void add_scale_labels(struct text *text, const struct svg_scale *scale)
{
    unsigned steps = svg_step_count(scale);

    text_add(text, "<div class=\"scale\" aria-hidden=\"true\">");
    for (unsigned i = 0; i <= steps; i++) {
        text_addf(text, "<span style=\"bottom:%.4g%%\">", 100.0 * i / steps);
        markup_add_number(text, svg_step(scale, i), svg_decimals(scale));
        text_add(text, "</span>");
    }
    text_add(text, "</div>\n");
}

/* Lines at the round numbers, and between days. */
static void add_grid(struct text *text, const struct page_data *data, const struct svg_scale *scale, unsigned count,
                     bool with_steps)
{
    text_add(text, "<path class=\"grid\" d=\"");
    for (unsigned i = 0; with_steps && i <= svg_step_count(scale); i++) {
        text_addf(text, "M0 %uh%u", svg_y(scale, svg_step(scale, i)), count);
    }
    for (unsigned i = 0; i < PAGE_DAYS; i++) {
        text_addf(text, "M%u 0v%u", day_column(data, i), scale->height);
    }
    text_addf(text, "M%u 0v%u\"/>\n", count, scale->height);
    text_addf(text, "<path class=\"zero\" d=\"M0 %uh%u\"/>\n", svg_y(scale, 0), count);
}

static void begin_svg(struct text *text, const char *class, unsigned width, unsigned height)
{
    text_addf(text, "<svg class=\"%s\" viewBox=\"0 0 %u %u\" preserveAspectRatio=\"none\" role=\"img\">", class, width,
              height);
}

static void add_power(struct text *text, const struct page_data *data, unsigned meter,
                      const struct page_bucket *buckets, unsigned count)
{
    const struct curve curve = { buckets, data };
    const unsigned so_far = columns_so_far(data, count);
    double min = 0, max = 0;
    struct svg_scale scale;

    for (unsigned i = 0; i < so_far; i++) {
        min = buckets[i].count > 0 ? fmin(min, (double) buckets[i].min / 1e3) : min;
        max = buckets[i].count > 0 ? fmax(max, (double) buckets[i].max / 1e3) : max;
    }
    scale = svg_scale(min, max, 5, POWER_HEIGHT);

    add_scale_labels(text, &scale);
    begin_svg(text, "power", count, POWER_HEIGHT);
    text_add(text, "<title>Power of ");
    markup_add_text(text, page_data_meters(data)->meters[meter].name);
    text_add(text, " in the last 7 days</title><desc>From ");
    markup_add_number(text, min, svg_decimals(&scale) + 1);
    text_add(text, " to ");
    markup_add_number(text, max, svg_decimals(&scale) + 1);
    text_add(text, " kW; the means of half hours as a line, lowest to highest as a band, nothing where there is no "
                   "reading</desc>\n<path class=\"gap\" d=\"");
    svg_add_gaps(text, &scale, so_far, gap_column, &curve);
    text_add(text, "\"/>\n");
    add_grid(text, data, &scale, count, true);
    text_add(text, "<path class=\"band\" d=\"");
    svg_add_band(text, &scale, so_far, curve_column, &curve);
    text_add(text, "\"/>\n<path class=\"mean\" d=\"");
    svg_add_steps(text, &scale, so_far, curve_column, &curve);
    text_add(text, "\"/>\n</svg>\n");
}

static void add_energy(struct text *text, const struct page_data *data, unsigned meter, unsigned count)
{
    struct svg_scale scale;
    double max = 0;

    for (unsigned i = 0; i < PAGE_DAYS; i++) {
        struct page_use use = page_data_day_use(data, meter, 0, i);

        max = use.known == PAGE_KNOWN ? fmax(max, use.wh / 1e3) : max;
    }
    scale = svg_scale(0, max, 2, ENERGY_HEIGHT);
    scale.high = max > 0 ? max : 1;  // its numbers stand below

    text_add(text, "<div class=\"scale\" aria-hidden=\"true\"></div>\n");
    begin_svg(text, "energy", count, ENERGY_HEIGHT);
    text_add(text, "<title>Energy of ");
    markup_add_text(text, page_data_meters(data)->meters[meter].name);
    text_add(text, " in each of the last 7 days</title><desc>Bars, whose numbers stand below</desc>\n");
    add_grid(text, data, &scale, count, false);
    text_add(text, "<g class=\"bar\">");
    for (unsigned i = PAGE_DAYS; i > 0; i--) {
        struct page_use use = page_data_day_use(data, meter, 0, i - 1);
        unsigned begin = day_column(data, i - 1);
        unsigned end = i == 1 ? count : day_column(data, i - 2);

        if (use.known == PAGE_KNOWN) {
            svg_add_bar(text, &scale, begin + 5, end - begin - 10, use.wh / 1e3);
        }
    }
    text_add(text, "</g>\n</svg>\n");
}

/* Under the pictures: the days, as wide as they are long, and their energy. */
static void add_day_labels(struct text *text, const struct page_data *data, unsigned meter, bool with_energy)
{
    text_addf(text, "<div class=\"scale\">%s</div>\n<div class=\"days\">",
              with_energy ? "<span style=\"bottom:.5em\">kWh</span>" : "");
    for (unsigned i = PAGE_DAYS; i > 0; i--) {
        struct page_use use = page_data_day_use(data, meter, 0, i - 1);
        char name[PAGE_CALENDAR_SIZE], day[8];

        // its name begins with the day of the week
        text_addf(text, "<span style=\"flex-grow:%d\"><i>%.3s</i><i>%s</i>",
                  (int) ((page_data_day_end(data, i - 1) - page_data_day(data, i - 1)) / HOUR_MS),
                  page_calendar_name(page_data_day(data, i - 1), PAGE_DAY_LONG, name),
                  clock_format(page_data_day(data, i - 1), false, "%d", day, sizeof(day)));
        if (with_energy) {
            text_add(text, "<b>");
            pages_html_add_energy(text, &use, true);
            text_add(text, "</b>");
        }
        text_add(text, "</span>");
    }
    text_add(text, "</div>\n");
}

static void add_key(struct text *text, const char *class, const char *path, const char *words)
{
    text_addf(text, " <span class=\"key\"><svg viewBox=\"0 0 2 2\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
                    "<path class=\"%s\" d=\"%s\"/></svg>%s</span>", class, path, words);
}

void pages_html_add_days(struct text *text, const struct page_data *data, unsigned meter)
{
    const struct page_meter *who = &page_data_meters(data)->meters[meter];
    char from[PAGE_CALENDAR_SIZE], to[PAGE_CALENDAR_SIZE];
    unsigned count;
    const struct page_bucket *buckets = page_data_curve(data, meter, &count);

    if (!buckets && !*who->energy[0]) {
        return;
    }

    text_addf(text, "<h3>The last 7 days: %s \xE2\x80\x93 %s</h3>\n<figure>\n",
              page_calendar_name(page_data_day(data, PAGE_DAYS - 1), PAGE_DAY, from),
              page_calendar_name(page_data_day(data, 0), PAGE_DAY, to));
    if (buckets && *who->power) {
        text_add(text, "<figcaption class=\"soft\">Power in kW");
        add_key(text, "mean", "M0 1h2", "mean of half an hour");
        add_key(text, "band", "M0 0h2v2h-2z", "lowest to highest");
        add_key(text, "gap", "M0 0h2v2h-2z", "no reading");
        text_add(text, "</figcaption>\n");
    }
    text_add(text, "<div class=\"plot\">\n");
    if (buckets && *who->power) {
        add_power(text, data, meter, buckets, count);
    }
    if (*who->energy[0]) {
        add_energy(text, data, meter, count);
    }
    add_day_labels(text, data, meter, *who->energy[0]);
    text_add(text, "</div>\n</figure>\n");
}

/* Where readings begin late or end early: a part of a month is not to be taken for the month. */
static void add_part(struct text *text, const struct page_data *data, unsigned meter, unsigned month)
{
    struct page_use use = page_data_month_use(data, meter, 0, month);
    char from[PAGE_CALENDAR_SIZE], to[PAGE_CALENDAR_SIZE];

    if (use.known != PAGE_KNOWN ||
        (use.from_ms < page_data_month(data, month) + PART_MS &&
         (month == 0 || use.to_ms >= page_data_month(data, month - 1) - PART_MS))) {
        return;
    }

    text_addf(text, "<small>%s \xE2\x80\x93 %s</small>", page_calendar_name(use.from_ms, PAGE_DAY, from),
              page_calendar_name(use.to_ms, PAGE_DAY, to));
}

/* A line of the table of months, with its bar. */
static void add_month(struct text *text, const struct page_data *data, unsigned meter, unsigned month, double max_wh)
{
    const struct page_meter *who = &page_data_meters(data)->meters[meter];
    char name[PAGE_CALENDAR_SIZE];

    text_addf(text, "<tr><th scope=\"row\">%s",
              page_calendar_name(page_data_month(data, month), PAGE_MONTH_LONG, name));
    add_part(text, data, meter, month);
    text_add(text, "</th><td class=\"wide\">");
    for (unsigned i = 0; i < PAGE_SERIES; i++) {
        struct page_use use = page_data_month_use(data, meter, i, month);

        if (i == 0 && use.known == PAGE_KNOWN) {
            text_addf(text, "<svg viewBox=\"0 0 %d 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
                            "<rect class=\"bar\" width=\"%ld\" height=\"1\"/></svg>", MONTH_WIDTH,
                      max_wh > 0 ? lround(use.wh / max_wh * MONTH_WIDTH) : 0);
        }
        text_add(text, i == 0 ? "</td>" : "");
        if (*who->energy[i]) {
            text_add(text, "<td>");
            pages_html_add_energy(text, &use, false);
            text_add(text, "</td>");
        }
    }
    text_add(text, "</tr>\n");
}

void pages_html_add_months(struct text *text, const struct page_data *data, unsigned meter)
{
    const struct page_meter *who = &page_data_meters(data)->meters[meter];
    unsigned count = 0;
    double max_wh = 0;

    for (unsigned i = 0; i < PAGE_MONTHS; i++) {
        struct page_use use = page_data_month_use(data, meter, 0, i);

        if (use.known == PAGE_KNOWN || use.known == PAGE_UNCERTAIN) {
            count = i + 1;  // before the first there was no meter
        }
        max_wh = use.known == PAGE_KNOWN ? fmax(max_wh, use.wh) : max_wh;
    }
    if (!*who->energy[0] || count == 0) {
        return;
    }

    text_add(text, "<h3>Each month</h3>\n<table class=\"months\">\n<thead><tr><th scope=\"col\" "
                   "class=\"name\">Month</th><td class=\"wide\"></td>");
    text_addf(text, "<th scope=\"col\">%s<br/>kWh</th>%s</tr></thead>\n<tbody>\n",
              *who->energy[1] ? "drawn" : "used",
              *who->energy[1] ? "<th scope=\"col\">given back<br/>kWh</th>" : "");
    for (unsigned i = 0; i < count; i++) {
        add_month(text, data, meter, i, max_wh);
    }
    text_add(text, "</tbody>\n</table>\n");
}
