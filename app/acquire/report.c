/* SPDX-License-Identifier: MIT */
#include "app/acquire/report.h"

#include "app/base/json.h"

#include <inttypes.h>
#include <math.h>

const char *report_meter_state(enum health_state state)
{
    switch (state) {
    case HEALTH_LIVE:
        return "live";
    case HEALTH_REFUSED:
        return "refused";
    case HEALTH_NEW:
    case HEALTH_SILENT:
        break;
    }
    return "silent";
}

static void add_unsigned(struct text *text, const char *key, uint64_t value)
{
    json_add_key(text, key);
    text_addf(text, "%" PRIu64, value);
}

static void add_values(struct text *text, const struct report_meter *meter)
{
    json_add_key(text, "values");
    text_add_char(text, '{');
    for (unsigned i = 0; i < meter->status->value_count; i++) {
        json_add_key(text, meter->layout->columns[i].name);
        json_add_number(text, meter->values[i]);
    }
    text_add_char(text, '}');
}

void report_add_meter(struct text *text, const struct report_meter *meter)
{
    const struct bus_meter_status *status = meter->status;
    bool is_probed = status->state == HEALTH_SILENT;
    // its bus began anew a moment ago: what it was is told by the age of its last row
    bool goes_on = status->state == HEALTH_NEW && meter->committed_boot_ms > 0;
    uint64_t wait_us = status->next_us > meter->now_us ? status->next_us - meter->now_us : 0;

    text_add_char(text, '{');
    json_add_key(text, "name");
    json_add_string(text, meter->name);
    json_add_key(text, "state");
    json_add_string(text, report_meter_state(goes_on ? HEALTH_LIVE : status->state));
    json_add_key(text, "committed_boot_ms");
    json_add_number(text, meter->committed_boot_ms ? (double) meter->committed_boot_ms : NAN);
    add_unsigned(text, "slice_ms", MAX(meter->row_ms, status->cycle_ms));
    json_add_key(text, "next_probe_s");
    json_add_number(text, is_probed ? (double) ((wait_us + 999999) / 1000000) : NAN);
    json_add_key(text, "last_error");
    json_add_string(text, *status->problem ? status->problem : NULL);
    json_add_key(text, "cycle_ms");
    json_add_number(text, status->cycle_ms ? status->cycle_ms : NAN);
    json_add_key(text, "latency_ms");
    json_add_number(text, status->latency_us ? round(status->latency_us / 100.0) / 10 : NAN);
    add_unsigned(text, "skipped", status->skipped);
    add_values(text, meter);
    text_add_char(text, '}');
}

void report_add_clock(struct text *text, enum clock_quality quality)
{
    const char letter[2] = { (char) quality, '\0' };

    json_add_key(text, "clock");
    text_add_char(text, '{');
    json_add_key(text, "known");
    text_add(text, clock_quality_known(quality) ? "true" : "false");
    json_add_key(text, "quality");
    json_add_string(text, letter);
    text_add_char(text, '}');
}

void report_add_journal(struct text *text, const struct writer_status *status)
{
    json_add_key(text, "journal");
    text_add_char(text, '{');
    json_add_key(text, "id");
    json_add_string(text, *status->journal_id ? status->journal_id : NULL);
    add_unsigned(text, "seq", status->last_seq);
    json_add_key(text, "state");
    json_add_string(text, writer_state_text(status->state));
    add_unsigned(text, "lost", status->lost);
    text_add_char(text, '}');
}
