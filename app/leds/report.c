/* SPDX-License-Identifier: MIT */
#include "app/leds/report.h"

#include "app/base/status.h"

int report_write(const char *run_dir, const struct report *report)
{
    auto_text struct text text = {};

    status_begin(&text, "leds", report->state, report->error);
    json_add_member_string(&text, "address", report->address);
    json_add_key(&text, "lights");
    text_add(&text, "[");
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        const struct meaning *meaning = indicator_meaning(report->lights[i]);

        text_addf(&text, "%s{\"pixel\":\"%s\",\"colour\":\"%s\",\"blinks\":%s,\"text\":", i ? "," : "",
                  indicator_pixel_name((enum indicator_pixel) i), indicator_colour_name(meaning->colour),
                  meaning->blinks ? "true" : "false");
        json_add_string(&text, meaning->text);
        text_add(&text, "}");
    }
    text_add(&text, "]");
    return status_end_and_replace(&text, run_dir, "leds");
}

void report_add_line(struct text *text, const struct report *report)
{
    if (report->error) {
        text_addf(text, "no Blinkt: %s; ", report->error);
    }
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        text_addf(text, "%s%s %s", i ? ", " : "", indicator_pixel_name((enum indicator_pixel) i),
                  indicator_meaning(report->lights[i])->word);
    }
}
