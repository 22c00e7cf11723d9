/* SPDX-License-Identifier: MIT */

#include "app/outlet/markup.h"

#include "app/base/decimal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NARROW_BLANK "\xE2\x80\xAF"
#define MINUS        "\xE2\x88\x92"
#define DASH         "\xE2\x80\x93"

void markup_add_text(struct text *text, const char *string)
{
    static const struct {
        char c;
        const char *entity;
    } entities[] = { { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&quot;" }, { '\'', "&#39;" } };
    auto_free char *clean = strdup(string);

    if (!clean) {
        text->failed = true;
        return;
    }

    text_make_printable(clean);
    for (const char *c = clean; *c; c++) {
        const char *entity = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(entities) && !entity; i++) {
            entity = entities[i].c == *c ? entities[i].entity : NULL;
        }
        if (entity) {
            text_add(text, entity);
        } else {
            text_add_char(text, *c);
        }
    }
}

void markup_add_number(struct text *text, double value, int decimals)
{
    char digits[400];
    size_t whole;

    if (isnan(value)) {
        text_add(text, DASH);
        return;
    }

    (void) snprintf(digits, sizeof(digits), "%.*f", decimals, fabs(value));
    if (value < 0 && strspn(digits, "0.") != strlen(digits)) {
        text_add(text, MINUS);
    }
    whole = strcspn(digits, ".");
    for (size_t i = 0; digits[i]; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0) {
            text_add(text, NARROW_BLANK);
        }
        text_add_char(text, digits[i]);
    }
}

static void add_thousands(struct text *text, double value, int decimals)
{
    char exact[DECIMAL_SIZE];

    if (isnan(value)) {
        text_add(text, DASH);
        return;
    }

    (void) decimal_print(value, exact);
    text_addf(text, "<data value=\"%s\">", exact);
    markup_add_number(text, value / 1000, decimals);
    text_add(text, "</data>");
}

void markup_add_energy(struct text *text, double wh, bool brief)
{
    double size = fabs(wh) * (brief ? 10 : 1);

    add_thousands(text, wh, size < 99.95e3 ? 2 : size < (brief ? 999.5e3 : 10e6) ? 1 : 0);
}

void markup_add_power(struct text *text, double w)
{
    double size = fabs(w);

    add_thousands(text, w, size < 1e3 ? 3 : size < 100e3 ? 2 : 1);
}
