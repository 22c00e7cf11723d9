/* SPDX-License-Identifier: MIT */

#include "app/outlet/pages.h"

#include "app/base/clock.h"
#include "app/base/status.h"
#include "app/outlet/page_data.h"
#include "app/outlet/page_file.h"
#include "app/outlet/pages_html.h"
#include "app/outlet/pages_readme.h"
#include "app/outlet/pages_status.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define README "READ-ME.txt"
#define STATUS "status.txt"
#define HTML   "open-me.html"

#define FIRST_GATHER_MS 400       // while the stick is open: for a page of a meter or two that is enough
#define WHOLE_GATHER_MS 30000
#define LATER_GATHER_MS 20
#define PART_METERS     10        // a page of more is large: it is not written in part at once
#define PART_MS         300000    // but then
#define AGAIN_MS        3600000   // after a failure
#define FREE_BYTES_MIN  (4 << 20) // what is left belongs to the data

struct pages {
    char appliance[METER_ID_SIZE];
    char run_dir[PATH_SIZE], settings[PATH_SIZE];
    struct journal *journal;
    enum csv_format format;
    bool whole;

    bool is_new;                  // the stick, to us
    double free_bytes;            // on it, about; NAN: not known
    struct text readme;           // as it is on the stick; empty: not known
    struct text status_lasts;     // likewise, without the times that only tick
    uint64_t next_readme_ms, next_status_ms, next_html_ms;
    uint64_t met_ms;              // when it came
    struct page_data *data;       // being gathered; NULL: no page is due
    bool shown;                   // a page with a part of it is on the stick
};

int pages_new(const struct pages_setup *setup, struct pages **ret)
{
    struct pages *pages = calloc(1, sizeof(*pages));
    int r;

    if (!pages) {
        return -ENOMEM;
    }

    pages->journal = setup->journal;
    pages->format = setup->format;
    pages->whole = setup->whole;
    pages->is_new = true;
    pages->free_bytes = NAN;
    r = text_copy(pages->appliance, sizeof(pages->appliance), setup->appliance);
    if (r >= 0) {
        r = text_copy(pages->run_dir, sizeof(pages->run_dir), setup->run_dir);
    }
    if (r >= 0) {
        r = text_copy(pages->settings, sizeof(pages->settings), setup->settings ? setup->settings : "");
    }
    if (r < 0) {
        pages_free(pages);
        return r;
    }

    *ret = pages;
    return 0;
}

void pages_free(struct pages *pages)
{
    if (!pages) {
        return;
    }

    page_data_free(pages->data);
    text_clear(&pages->readme);
    text_clear(&pages->status_lasts);
    free(pages);
}

void pages_stick_is_in(struct pages *pages)
{
    pages->is_new = true;
}

void pages_free_bytes(struct pages *pages, double bytes)
{
    pages->free_bytes = bytes;
}

/* What we know of a stick that has just come in. */
static void meet_stick(struct pages *pages, int folder_fd, uint64_t now_ms)
{
    static const char *const names[] = { README, STATUS, HTML };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        page_file_remove_leftover(folder_fd, names[i]);
    }
    text_reset(&pages->readme);
    text_reset(&pages->status_lasts);
    pages->next_readme_ms = pages->next_status_ms = pages->next_html_ms = 0;
    pages->met_ms = now_ms;
    page_data_free(TAKE(pages->data));
    pages->shown = false;
}

static int write_text(int folder_fd, const char *name, const struct text *text)
{
    auto_page_file struct page_file file = { .fd = -1 };
    int r;

    r = page_file_begin(&file, folder_fd, name);
    if (r < 0) {
        return r;
    }

    page_file_add(&file, text_string(text), text->size);
    return page_file_end(&file);
}

static bool is_same(const struct text *a, const struct text *b)
{
    return a->size == b->size && memcmp(text_string(a), text_string(b), a->size) == 0;
}

static int write_readme(struct pages *pages, int folder_fd, uint64_t now_ms)
{
    auto_text struct text text = {};
    int r;

    if (now_ms < pages->next_readme_ms) {
        return 0;
    }
    pages->next_readme_ms = now_ms + PAGES_STATUS_MS;

    r = pages_readme(&text, pages->appliance, pages->format, pages->journal);
    if (r >= 0 && !is_same(&text, &pages->readme)) {
        if (pages->readme.size > 0 || !page_file_holds(folder_fd, README, &text)) {
            r = write_text(folder_fd, README, &text);
        }
        if (r >= 0) {
            text_clear(&pages->readme);
            pages->readme = text;
            text = (struct text){};
        }
    }
    return r;
}

static int make_status(const struct pages *pages, struct text *ret, struct text *ret_lasts)
{
    auto_json struct json *acquire = NULL;
    auto_text struct text text = {};
    struct pages_status status = { .appliance = pages->appliance, .free_bytes = pages->free_bytes };
    bool fresh = false;
    int r;

    if (status_read(pages->run_dir, "acquire", &acquire, &fresh) < 0) {
        fresh = false;
    }
    status.acquire = fresh ? acquire : NULL;
    status.now_boot_ms = clock_boot_ms();
    status.now_ms = clock_wall_ms();
    r = pages_status(&status, &text, ret_lasts);
    if (r >= 0) {
        pages_readme_finish(&text, ret);
        r = ret->failed ? -ENOMEM : 0;
    }
    return r;
}

static int write_status(struct pages *pages, int folder_fd, uint64_t now_ms)
{
    auto_text struct text text = {}, lasts = {};
    int r;

    if (now_ms < pages->next_status_ms) {
        return 0;
    }

    r = make_status(pages, &text, &lasts);
    if (r < 0 || is_same(&lasts, &pages->status_lasts)) {
        return r;
    }
    r = write_text(folder_fd, STATUS, &text);
    pages->next_status_ms = now_ms + PAGES_STATUS_MS;
    if (r >= 0) {
        text_clear(&pages->status_lasts);
        pages->status_lasts = lasts;
        lasts = (struct text){};
    }
    return r;
}

/* A page is due. Returns 1 while it is being gathered. */
static int gather(struct pages *pages, uint64_t until_ms)
{
    int r = 0;

    if (!pages->data) {
        r = page_data_new(pages->journal, &pages->data);
    }
    if (r >= 0) {
        r = page_data_step(pages->data, until_ms);
    }
    if (r < 0 && r != -EAGAIN) {
        page_data_free(TAKE(pages->data));
    }
    return r;
}

int pages_gather(struct pages *pages, uint64_t until_ms)
{
    if (pages->is_new || clock_monotonic_ms() < pages->next_html_ms) {
        return 0;
    }
    return gather(pages, until_ms);
}

static int write_page(struct pages *pages, int folder_fd, bool complete)
{
    auto_page_file struct page_file file = { .fd = -1 };
    const struct pages_html page = { .appliance = pages->appliance, .settings = pages->settings, .data = pages->data,
                                     .complete = complete, .written_ms = clock_wall_ms() };
    int r;

    r = page_file_begin(&file, folder_fd, HTML);
    if (r >= 0) {
        r = pages_html(&page, &file);
    }
    return r < 0 ? r : page_file_end(&file);
}

/* A page with what is known so far is better than none, and goes to the stick only once. */
static bool may_show_part(const struct pages *pages, uint64_t now_ms)
{
    return !pages->shown && page_data_can_show(pages->data) &&
           (page_data_meters(pages->data)->count <= PART_METERS || now_ms - pages->met_ms >= PART_MS);
}

static int write_html(struct pages *pages, int folder_fd, uint64_t now_ms, bool first)
{
    int r;

    if (now_ms < pages->next_html_ms || pages->free_bytes < FREE_BYTES_MIN) {
        return 0;
    }

    r = gather(pages, now_ms + (!first ? LATER_GATHER_MS : pages->whole ? WHOLE_GATHER_MS : FIRST_GATHER_MS));
    if (r == -EAGAIN) {
        return 0;
    }
    if (r == 0 || (r > 0 && may_show_part(pages, now_ms))) {
        bool complete = r == 0;

        r = write_page(pages, folder_fd, complete);
        pages->shown = true;
        if (complete && r >= 0) {
            page_data_free(TAKE(pages->data));
            pages->next_html_ms = now_ms + PAGES_HTML_MS;
        }
    }
    if (r < 0) {
        page_data_free(TAKE(pages->data));
        pages->next_html_ms = now_ms + AGAIN_MS;
    }
    return MIN(r, 0);
}

int pages_write(struct pages *pages, int folder_fd, uint64_t now_ms)
{
    bool first = pages->is_new;
    int r, status_r, html_r;

    if (first) {
        meet_stick(pages, folder_fd, now_ms);
        pages->is_new = false;
    }

    r = write_readme(pages, folder_fd, now_ms);
    status_r = write_status(pages, folder_fd, now_ms);
    html_r = write_html(pages, folder_fd, now_ms, first);
    return r < 0 ? r : status_r < 0 ? status_r : html_r;
}
