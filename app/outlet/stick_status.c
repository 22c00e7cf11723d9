/* SPDX-License-Identifier: MIT */

#include "app/outlet/stick_status.h"

#include "app/base/status.h"

#include <math.h>

static void add_stick(struct text *text, const struct stick_report *report, const char *node)
{
    text_add_char(text, '{');
    json_add_member_string(text, "id", report->id);
    if (node) {
        json_add_member_string(text, "node", node);
    }
    json_add_member_string(text, "state", stick_report_state_name(report->state));
    json_add_member_number(text, "percent", report->percent);
    json_add_member_number(text, "eta_s", report->eta_s);
    json_add_member_number(text, "backlog", report->backlog == STICK_BACKLOG_UNKNOWN ? NAN : (double) report->backlog);
    json_add_key(text, "gap");
    text_add(text, report->gap ? "true" : "false");
    if (report->is_configuration_refused) {
        json_add_member_string(text, "configuration", "refused");
    }
    json_add_member_string(text, "error", *report->error ? report->error : NULL);
    text_add_char(text, '}');
}

int stick_status_write(const char *run_dir, const char *state, const struct stick_report *reports,
                       const char *const *nodes, size_t count)
{
    auto_text struct text text = {};
    const char *error = NULL;
    bool first = true;

    for (size_t i = 0; i < count && !error; i++) {
        error = reports[i].in && reports[i].state == STICK_IDLE && *reports[i].error ? reports[i].error : NULL;
    }

    status_begin(&text, "stick", state, error);
    json_add_key(&text, "sticks");
    text_add_char(&text, '[');
    for (size_t i = 0; i < count; i++) {
        if (reports[i].in) {
            text_add(&text, first ? "" : ",");
            add_stick(&text, &reports[i], nodes ? nodes[i] : NULL);
            first = false;
        }
    }
    text_add_char(&text, ']');

    return status_end_and_replace(&text, run_dir, "stick");
}
