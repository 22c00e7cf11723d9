/* SPDX-License-Identifier: MIT */

#include "app/outlet/render.h"

#include "app/base/clock.h"
#include "app/formats/energy_scribe.h"
#include "app/outlet/csv.h"
#include "app/outlet/render_meters.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct render {
    struct journal *journal;
    enum csv_format format;
    struct render_meters meters;
    char last_boot[CLOCK_BOOT_ID_SIZE];
    char boot_id[CLOCK_BOOT_ID_SIZE];  // the last one asked for...
    int64_t boot;                      // ...and its first epoch
    int64_t time_ms;                   // the last row placed: its second...
    char day[CLOCK_TEXT_SIZE];         // ...and its day
};

int render_new(struct journal *journal, enum csv_format format, struct render **ret)
{
    struct render *render = calloc(1, sizeof(*render));

    if (!render) {
        return -ENOMEM;
    }

    render->journal = journal;
    render->format = format;
    render->time_ms = -1;
    *ret = render;
    return 0;
}

void render_free(struct render *render)
{
    if (!render) {
        return;
    }

    render_meters_clear(&render->meters);
    free(render);
}

bool render_has_seq(const struct render *render)
{
    return render->format == CSV_METERSTICK;
}

int render_refresh(struct render *render)
{
    return journal_last_boot(render->journal, render->last_boot);
}

static int find_meter(struct render *render, int64_t id, const struct render_meter **ret)
{
    return render_meters_find(&render->meters, render->journal, id, ret);
}

int render_meter_name(struct render *render, int64_t meter, const char **ret)
{
    const struct render_meter *found;
    int r;

    r = find_meter(render, meter, &found);
    if (r < 0) {
        return r;
    }

    *ret = found->name;
    return 0;
}

int render_boot(struct render *render, const struct journal_row *row, int64_t *ret)
{
    struct epoch epoch, first;
    int r;

    r = journal_epoch(render->journal, row->epoch, &epoch);
    if (r >= 0 && (render->boot == 0 || !text_equal(render->boot_id, epoch.boot_id))) {
        r = journal_first_epoch(render->journal, epoch.boot_id, &first);
        if (r >= 0) {
            render->boot = first.number;
            memcpy(render->boot_id, epoch.boot_id, sizeof(render->boot_id));
        }
    }
    if (r < 0) {
        return r == -ENOENT ? -EBADMSG : r;
    }

    *ret = render->boot;
    return 0;
}

int render_boot_is_over(struct render *render, const struct journal_row *row)
{
    int64_t boot;
    int r;

    r = render_boot(render, row, &boot);
    return r < 0 ? r : !text_equal(render->boot_id, render->last_boot);
}

int render_boot_is_known(struct render *render, int64_t boot)
{
    struct epoch first, known;
    int r;

    r = journal_epoch(render->journal, boot, &first);
    if (r < 0) {
        return r == -ENOENT ? 0 : r;  // pruned by now
    }

    r = journal_known_epoch(render->journal, first.boot_id, &known);
    return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

/* The text of a second's day, or of the second itself: made once for all rows of a slice. */
static const char *day_text(struct render *render, int64_t wall_ms)
{
    if (render->time_ms < 0 || wall_ms / 1000 != render->time_ms / 1000) {
        render->time_ms = wall_ms;
        if (render->format == CSV_METERSTICK) {
            (void) clock_day(wall_ms, render->day);
        } else {
            (void) clock_format(wall_ms, true, "%Y%m%d-%H.%M.%S", render->day, sizeof(render->day));
        }
    }

    return render->day;
}

int render_place(struct render *render, const struct journal_row *row, struct place *ret)
{
    const struct render_meter *meter;
    char quality[4];
    int64_t wall_ms;
    int r;

    r = find_meter(render, row->meter, &meter);
    if (r < 0) {
        return r;
    }
    if (render->format == CSV_ENERGY_SCRIBE && !energy_scribe_logs(meter->model)) {
        return RENDER_NOWHERE;
    }

    r = journal_row_time(render->journal, row, &wall_ms, quality);
    if (r < 0) {
        return r;
    }
    if (quality[0] == CLOCK_ESTIMATED || quality[0] == CLOCK_UNKNOWN) {
        return RENDER_WAITS;
    }

    *ret = (struct place){ .meter = row->meter };
    (void) snprintf(ret->base, sizeof(ret->base), "%s/%s", meter->name, day_text(render, wall_ms));
    ret->prefix = strlen(ret->base);
    if (render->format == CSV_ENERGY_SCRIBE) {
        ret->prefix = strlen(meter->name) + strlen("/20261120");
        r = render_boot(render, row, &ret->boot);
        if (r < 0) {
            return r;
        }
    }

    return RENDER_PLACED;
}

int render_place_undated(struct render *render, const struct journal_row *row, struct place *ret)
{
    const struct render_meter *meter;
    struct epoch epoch;
    int64_t boot;
    int r;

    r = find_meter(render, row->meter, &meter);
    if (r >= 0) {
        r = journal_epoch(render->journal, row->epoch, &epoch);
    }
    if (r < 0) {
        return r;
    }
    if (render->format == CSV_ENERGY_SCRIBE || clock_quality_known(epoch.source)) {
        return RENDER_NOWHERE;
    }

    r = render_boot(render, row, &boot);
    if (r < 0) {
        return r;
    }

    *ret = (struct place){ .meter = row->meter, .boot = boot, .undated = true };
    (void) snprintf(ret->base, sizeof(ret->base), "%s/boot-%" PRId64, meter->name, boot);
    ret->prefix = strlen(ret->base);
    return RENDER_PLACED;
}

int render_add_header(struct render *render, const struct place *place, struct text *text)
{
    const struct render_meter *meter;
    int r;

    r = find_meter(render, place->meter, &meter);
    if (r < 0) {
        return r;
    }

    if (render->format == CSV_METERSTICK) {
        csv_add_header(text, meter->layout, place->undated);
    } else {
        energy_scribe_header(text, meter->model);
        text_add_char(text, '\n');
    }
    return text->failed ? -ENOMEM : 0;
}

static int add_table_row(struct render *render, const struct place *place, const struct journal_row *row,
                         unsigned columns, struct text *text)
{
    struct csv_row csv = {
        .quality = row->quality,
        .boot_ms = row->boot_ms,
        .values = row->values,
        .value_count = row->value_count,
        .seq = row->seq,
        .timed = true,
    };
    char quality[4];
    struct epoch epoch;
    int r;

    if (place->undated) {
        r = journal_epoch(render->journal, row->epoch, &epoch);
        csv.timed = r >= 0 && epoch.source == CLOCK_ESTIMATED;
        csv.wall_ms = csv.timed ? epoch.wall_ms + (int64_t) row->boot_ms : 0;
    } else {
        r = journal_row_time(render->journal, row, &csv.wall_ms, quality);
        csv.quality = quality;
    }
    if (r < 0) {
        return r;
    }

    csv_add_row(text, &csv, columns, place->undated);
    return 0;
}

static int add_energy_scribe_row(struct render *render, const struct render_meter *meter,
                                 const struct journal_row *row, struct text *text)
{
    struct energy_scribe_reading reading = { .model = meter->model, .layout = meter->layout };
    double values[MAX_POINTS];
    char quality[4];
    int r;

    r = journal_row_time(render->journal, row, &reading.wall_ms, quality);
    if (r < 0) {
        return r;
    }

    for (unsigned i = 0; i < meter->layout->count; i++) {
        values[i] = i < row->value_count ? row->values[i] : NAN;
    }
    reading.values = values;
    energy_scribe_row(text, &reading);
    text_add_char(text, '\n');
    return 0;
}

int render_add_row(struct render *render, const struct place *place, const struct journal_row *row,
                   struct text *text)
{
    const struct render_meter *meter;
    int r;

    r = find_meter(render, row->meter, &meter);
    if (r < 0) {
        return r;
    }

    if (render->format == CSV_METERSTICK) {
        r = add_table_row(render, place, row, meter->layout->count, text);
    } else {
        r = add_energy_scribe_row(render, meter, row, text);
    }
    if (r < 0) {
        return r;
    }

    return text->failed ? -ENOMEM : 0;
}

int render_same_header(struct render *render, int64_t a, int64_t b)
{
    struct place place_a = { .meter = a }, place_b = { .meter = b };
    auto_text struct text text_a = {}, text_b = {};
    int r;

    if (a == b) {
        return 1;
    }

    r = render_add_header(render, &place_a, &text_a);
    if (r >= 0) {
        r = render_add_header(render, &place_b, &text_b);
    }
    return r < 0 ? r : text_equal(text_string(&text_a), text_string(&text_b));
}
