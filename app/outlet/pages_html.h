/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * open-me.html: one page that needs nothing but itself: no script, no address. At most PAGES_HTML_SIZE bytes: the
 * pictures of meters that would go beyond are left out, and the page says so.
 */

#include "app/outlet/page_data.h"
#include "app/outlet/page_file.h"

#define PAGES_HTML_SIZE 1000000

struct pages_html {
    const char *appliance;
    const char *settings;          // a configuration with labels of meters; "" = none
    struct page_data *data;
    bool complete;                 // else more is to come
    int64_t written_ms;
};

/* Errors: -ENOMEM, and those of the file */
int pages_html(const struct pages_html *page, struct page_file *file) MUST_CHECK;
