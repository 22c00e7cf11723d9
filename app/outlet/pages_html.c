/* SPDX-License-Identifier: MIT */

#include "app/outlet/pages_html.h"

#include "app/base/clock.h"
#include "app/base/ini.h"
#include "app/outlet/markup.h"
#include "app/outlet/page_calendar.h"
#include "app/outlet/pages_html_private.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define METER_SIZE_MAX 30000  // of one meter's part: two curves of 340 columns and 40 lines of tables
#define END_SIZE_MAX   4000   // of what comes after the meters
#define NAMED_MAX      20     // meters left out that are named

/* Well-formed as XML too, so that any parser can check it. */
static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>";

static const char style[] =
    "</title>\n<style>\n"
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1a1e22;--soft:#5a646e;--line:#d5dbe0;--grid:#e6eaed;"
    "--mean:#0a58a6;--band:#a9cbec;--gap:#eceff1;--bar:#3a7cbd}\n"
    "@media (prefers-color-scheme:dark){:root{--paper:#15181b;--ink:#e4e8eb;--soft:#9fa9b3;--line:#3a4148;"
    "--grid:#2a3036;--mean:#86c0f5;--band:#2b5078;--gap:#22272c;--bar:#4f92d4}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:1rem;max-width:56rem;background:var(--paper);color:var(--ink);"
    "font:1rem/1.45 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n"
    "h1{font-size:1.75rem;line-height:1.2;margin:.5rem 0 .25rem}\n"
    "h2{font-size:1.3rem;line-height:1.25;margin:0 0 .25rem;overflow-wrap:anywhere}\n"
    "h3{font-size:1rem;margin:1.5rem 0 .5rem}\n"
    "p{margin:.25rem 0}\n"
    "section{border-top:2px solid var(--line);padding-top:1rem;margin-top:2rem;overflow-x:auto}\n"
    ".soft,small{color:var(--soft);font-size:.9375rem;font-weight:400}\n"
    "table{border-collapse:collapse;width:100%;margin:.75rem 0;font-variant-numeric:tabular-nums;"
    "font-size:.9375rem}\n"
    "caption{text-align:left;font-weight:600;padding-bottom:.25rem}\n"
    "th,td{padding:.3rem .35rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top;"
    "font-weight:400}\n"
    "th.name{text-align:left}\n"
    ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));gap:0 2.5rem;align-items:start}\n"
    "@media (max-width:30rem){th,td{padding:.3rem .2rem}}\n"
    "thead th{color:var(--soft);vertical-align:bottom;line-height:1.25}\n"
    "th[scope=row]{text-align:left;overflow-wrap:anywhere;min-width:5.5rem}\n"
    "th small{display:block;font-size:.875rem;white-space:nowrap}\n"
    "a{color:inherit;text-decoration-color:var(--soft);text-underline-offset:.15em}\n"
    "figure{margin:0}\n"
    ".plot{display:grid;padding-top:.6rem;grid-template-columns:3.25rem 1fr;font-size:.875rem;color:var(--soft);"
    "font-variant-numeric:tabular-nums}\n"
    ".scale{position:relative}\n"
    ".scale span{position:absolute;right:.4rem;transform:translateY(50%);line-height:1;white-space:nowrap}\n"
    ".plot svg{display:block;width:100%;overflow:visible}\n"
    ".power{height:11rem}\n"
    ".energy{height:4.5rem;margin-top:1.25rem}\n"
    ".days{display:flex;text-align:center;line-height:1.25;padding-top:.3rem}\n"
    ".days span{flex-basis:0;min-width:0}\n"
    ".days b{display:block;color:var(--ink);font-weight:600}\n"
    ".days i{display:block;font-style:normal}\n"
    "svg path,svg line{vector-effect:non-scaling-stroke}\n"
    ".grid{stroke:var(--grid);fill:none}\n"
    ".zero{stroke:var(--soft);fill:none}\n"
    ".gap{fill:var(--gap)}\n"
    ".band{fill:var(--band)}\n"
    ".mean{stroke:var(--mean);stroke-width:1.3;fill:none;stroke-linejoin:round}\n"
    ".bar{fill:var(--bar)}\n"
    ".key{white-space:nowrap;margin-left:.9em}\n"
    ".key svg{display:inline-block;width:1.1em;height:.7em;margin-right:.3em}\n"
    ".months td.wide{width:60%;padding-left:0}\n"
    ".months svg{display:block;width:100%;height:1rem;margin-top:.2rem}\n"
    ".months th{white-space:nowrap}\n"
    "ul{padding-left:1.2rem;margin:.75rem 0}\n"
    ".notice{border-left:4px solid var(--mean);padding:.25rem 0 .25rem .75rem;margin:1rem 0}\n"
    "@media print{@page{margin:14mm}\n"
    ":root{color-scheme:light;--paper:#fff;--ink:#000;--soft:#333;--line:#bbb;--grid:#ddd;--mean:#000;--band:#bbb;"
    "--gap:#eee;--bar:#777}\n"
    "html{font-size:9.5pt}body{max-width:none;padding:0}th,td{padding:.2rem .35rem}"
    "section+section,tr,figure{break-inside:avoid}"
    "h2,h3,caption{break-after:avoid}.power{height:9rem}.energy{height:3.5rem}a{text-decoration:none}}\n"
    "</style>\n</head>\n<body>\n";

/* What was made so far goes out. Returns the file's first error. */
static int emit(struct text *text, struct page_file *file)
{
    if (text->failed) {
        return -ENOMEM;
    }

    page_file_add(file, text_string(text), text->size);
    text_reset(text);
    return file->error;
}

/* --- labels of the configuration --- */

struct label {
    const char *meter;
    char *ret;   // [LABEL_SIZE]
};

static void take_label(const struct ini_entry *entry, void *data)
{
    struct label *label = data;

    if (entry->key && text_equal(entry->kind, "meter") && text_equal(entry->name, label->meter) &&
        text_equal(entry->key, "label")) {
        (void) snprintf(label->ret, LABEL_SIZE, "%s", entry->value);  // a longer one was refused by the configuration
    }
}

static void find_label(const char *settings, const char *meter, char ret[static LABEL_SIZE])
{
    auto_problems struct problems problems = {};
    struct label label = { .meter = meter, .ret = ret };

    ret[0] = '\0';
    if (*settings && ini_read(settings, take_label, &label, &problems) < 0) {
        ret[0] = '\0';  // a page without labels is a page
    }
}

/* --- the whole --- */

void pages_html_add_energy(struct text *text, const struct page_use *use, bool brief)
{
    switch (use->known) {
    case PAGE_NONE:
        markup_add_energy(text, NAN, brief);
        break;
    case PAGE_PENDING:
        text_add(text, "<span title=\"not counted yet\">\xE2\x80\xA6</span>");
        break;
    case PAGE_UNCERTAIN:
        text_add(text, "<span title=\"not known for certain\">?</span>");
        break;
    case PAGE_KNOWN:
        markup_add_energy(text, use->wh, brief);
        break;
    }
}

static void add_top(struct text *text, const struct pages_html *page)
{
    char buffer[CLOCK_TEXT_SIZE], day[PAGE_CALENDAR_SIZE];
    int64_t now_ms;

    text_add(text, head);
    markup_add_text(text, page->appliance);
    text_add(text, style);
    text_add(text, "<header>\n<h1>");
    markup_add_text(text, page->appliance);
    text_add(text, "</h1>\n");
    if (page_data_now(page->data, &now_ms)) {
        text_addf(text, "<p>Readings up to %s %s local time.</p>\n", page_calendar_name(now_ms, PAGE_DAY_LONG, day),
                  clock_format(now_ms, false, "%Y, %H:%M", buffer, sizeof(buffer)));
    } else {
        text_add(text, "<p>There is no reading yet whose time is known.</p>\n");
    }
    text_add(text, "</header>\n");
    if (!page->complete) {
        text_add(text, "<p class=\"notice\">This page is not complete: the logger is still counting what it has. "
                       "Leave the stick in for some minutes, and this page is written once more. Where it says "
                       "\xE2\x80\xA6, nothing has been counted yet.</p>\n");
    }
}

/* The four periods that are in each table: their headings. */
static void add_heading(struct text *text, const struct page_data *data, unsigned index)
{
    char name[PAGE_CALENDAR_SIZE];
    bool is_day = index < 2;

    text_add(text, is_day ? page_calendar_name(page_data_day(data, index), PAGE_DAY_LONG, name)
                          : page_calendar_name(page_data_month(data, index - 2), PAGE_MONTH_LONG, name));
    text_add(text, index == 0 || index == 2 ? "<br/>so far" : "");
}

static void add_overview(struct text *text, const struct page_data *data, struct page_file *file)
{
    const struct page_meters *meters = page_data_meters(data);

    text_add(text, "<table>\n<caption>Energy in kWh</caption>\n<thead><tr><th scope=\"col\" class=\"name\">"
                   "Meter</th>");
    for (unsigned i = 0; i < 4; i++) {
        text_add(text, "<th scope=\"col\">");
        add_heading(text, data, i);
        text_add(text, "</th>");
    }
    text_add(text, "</tr></thead>\n<tbody>\n");
    for (unsigned i = 0; i < meters->count; i++) {
        struct page_use uses[4] = {
            page_data_day_use(data, i, 0, 0), page_data_day_use(data, i, 0, 1),
            page_data_month_use(data, i, 0, 0), page_data_month_use(data, i, 0, 1),
        };

        text_addf(text, "<tr><th scope=\"row\"><a href=\"#m%u\">", i);
        markup_add_text(text, meters->meters[i].name);
        text_add(text, "</a></th>");
        for (unsigned j = 0; j < ARRAY_SIZE(uses); j++) {
            text_add(text, "<td>");
            pages_html_add_energy(text, &uses[j], false);
            text_add(text, "</td>");
        }
        text_add(text, "</tr>\n");
        (void) emit(text, file);  // its error is kept
    }
    text_add(text, "</tbody>\n</table>\n");
}

/* What had to be left out, and what all numbers have in common. */
static void add_bottom(struct text *text, const struct pages_html *page, unsigned shown)
{
    const struct page_meters *meters = page_data_meters(page->data);
    uint64_t unknown = page_data_unknown_rows(page->data);
    char buffer[CLOCK_TEXT_SIZE];

    text_add(text, "<section>\n<h2>About these numbers</h2>\n<ul>\n");
    if (shown < meters->count) {
        text_addf(text, "<li>The parts of %u meters are left out, since this page may have 1 MB at most:",
                  meters->count - shown);
        for (unsigned i = shown; i < meters->count && i < shown + NAMED_MAX; i++) {
            text_add(text, i == shown ? " " : ", ");
            markup_add_text(text, meters->meters[i].name);
        }
        text_add(text, meters->count - shown > NAMED_MAX ? " and more" : "");
        text_add(text, ". Their energy is in the table above, all their readings are in the CSV files.</li>\n");
    }
    if (unknown > 0) {
        text_addf(text, "<li>About %" PRIu64 " readings are in no number here, because nobody knows when they were: "
                        "they are in the files boot-&lt;n&gt;.csv.</li>\n", unknown);
    }
    text_add(text,
             "<li>The energy of a time is the last reading of the counter in it minus the first. What was used "
             "between the last reading of a day and the first of the next is in the month, and in neither "
             "day.</li>\n"
             "<li>Where readings are missing nothing is drawn, and nothing is made up: \xE2\x80\x93 means that "
             "there is no reading, ? that what the counter did is not known for certain.</li>\n"
             "<li>Days and months are those of the logger\xE2\x80\x99s time zone; a day on which the clocks change has "
             "23 or 25 hours.</li>\n"
             "<li>Each number stands in the page exactly as well, in W and Wh, for programs to read; all readings are "
             "in the CSV files beside this page.</li>\n</ul>\n");
    text_addf(text, "<p class=\"soft\">Written by Meterstick %s when its clock said %s.</p>\n", METERSTICK_VERSION,
              clock_local(page->written_ms, buffer));
    text_add(text, "</section>\n</body>\n</html>\n");
}

int pages_html(const struct pages_html *page, struct page_file *file)
{
    const struct page_meters *meters = page_data_meters(page->data);
    auto_text struct text text = {};
    char label[LABEL_SIZE];
    int64_t now_ms;
    unsigned shown = 0;
    int r;

    add_top(&text, page);
    if (page_data_now(page->data, &now_ms)) {
        if (meters->count > 1) {
            add_overview(&text, page->data, file);
        }
        text_add(&text, "<main>\n");
        r = emit(&text, file);
        while (r == 0 && shown < meters->count && file->size + METER_SIZE_MAX + END_SIZE_MAX <= PAGES_HTML_SIZE) {
            find_label(page->settings, meters->meters[shown].name, label);
            pages_html_add_meter(&text, page->data, shown++, label);
            r = emit(&text, file);
        }
        text_add(&text, "</main>\n");
    } else {
        shown = meters->count;
    }

    add_bottom(&text, page, shown);
    return emit(&text, file);
}
