/* SPDX-License-Identifier: MIT */
#include "app/config/scanned.h"

#include "app/base/limits.h"
#include "app/base/log.h"

#include <stdio.h>
#include <string.h>

unsigned scanned_load_models(struct model **ret, unsigned size)
{
    auto_text struct text list = { 0 };
    unsigned count = 0;
    char *rest, *path;

    if (model_list(&list) < 0 || list.size == 0) {
        return 0;
    }
    rest = list.data;
    while ((path = strsep(&rest, "\n")) && count < size) {
        auto_problems struct problems problems = { 0 };

        if (*path && model_load(path, &problems, &ret[count]) == 0) {
            count++;
        } else if (*path) {
            log_warning("%s", problems_text(&problems));
        }
    }
    return count;
}

void scanned_describe(struct text *ret, const struct scan_found *found)
{
    char serial[SERIAL_SETTING_SIZE];

    if (found->kind != SCAN_DISPLAY) {
        text_addf(ret, "address %u", found->address);
    }
    if (found->serial.baud) {
        text_addf(ret, "%s%s", found->kind == SCAN_DISPLAY ? "" : ", ", serial_setting_text(&found->serial, serial));
    }
    switch (found->kind) {
    case SCAN_METER:
    case SCAN_DISPLAY:
        text_addf(ret, ": %s", found->model->id);
        break;
    case SCAN_UNKNOWN:
        text_addf(ret, ": something answers, but as no known model%s%s", *found->reason ? "; " : "", found->reason);
        break;
    case SCAN_DOUBTFUL:
        text_addf(ret, ": %s or %s; what it answers does not tell them apart now", found->model->id, found->other->id);
        break;
    case SCAN_CLASH:
        text_add(ret, ": two meters at one address? All answers are damaged, or come twice; "
                      "give one of them another address");
        break;
    }
}

/* Two buses may have the same model at the same address, so the bus is in the name of all but the first. */
static void add_name(struct text *ret, const struct scan_found *found, const char *bus)
{
    char name[METER_ID_SIZE], end[METER_ID_SIZE];
    const char *dash = strrchr(bus, '-');

    (void) snprintf(end, sizeof(end), "-%u%s", found->address, dash ? dash : "");
    if (found->kind == SCAN_DISPLAY) {
        (void) snprintf(end, sizeof(end), "%s", dash ? dash : "");
    }
    (void) snprintf(name, sizeof(name), "%.*s%s", (int) (sizeof(name) - 1 - strlen(end)), found->model->id, end);
    for (char *c = name; *c; c++) {
        *c = *c == '.' ? '-' : *c;  // allowed in a model's id only
    }
    text_addf(ret, "\n[meter %s]\n", name);
}

static void add_meter(struct text *ret, const struct scan_found *found, const char *bus)
{
    char serial[SERIAL_SETTING_SIZE];

    add_name(ret, found, bus);
    text_addf(ret, "bus     = %s\nmodel   = %s\n", bus, found->model->id);
    if (found->kind == SCAN_METER) {
        text_addf(ret, "address = %u\n", found->address);
    }
    if (found->serial.baud) {
        text_addf(ret, "serial  = %s\n", serial_setting_text(&found->serial, serial));
    }
}

/* The first entry for an address is the one that counts. */
static bool is_second(const struct scan *scan, unsigned index)
{
    for (unsigned i = 0; i < index; i++) {
        if (scan_found_at(scan, i)->kind == SCAN_METER
            && scan_found_at(scan, i)->address == scan_found_at(scan, index)->address) {
            return true;
        }
    }
    return false;
}

unsigned scanned_add(struct text *ret, const struct scan *scan, const char *bus, const char *port)
{
    unsigned count = scan_found_count(scan), meters = 0;

    if (count > 0 && port) {
        text_addf(ret, "\n[bus %s]\nport = %s\n", bus, port);
    }
    for (unsigned i = 0; i < count; i++) {
        const struct scan_found *found = scan_found_at(scan, i);
        bool is_meter = found->kind == SCAN_METER || found->kind == SCAN_DISPLAY;

        if (is_meter && !is_second(scan, i)) {
            add_meter(ret, found, bus);
            meters++;
        } else if (scan_still_stands(scan, i)) {
            text_addf(ret, "\n# %s: ", bus);
            scanned_describe(ret, found);
            text_add(ret, is_meter ? "; another one has this address\n" : "\n");
        }
    }
    return meters;
}
