/* SPDX-License-Identifier: MIT */

/* meterstick export: a meter's rows, or the events, out of the journal, as they stand there, to standard output. */

#include "app/base/clock.h"
#include "app/base/exit.h"
#include "app/base/file.h"
#include "app/base/json.h"
#include "app/base/log.h"
#include "app/base/options.h"
#include "app/journal/journal.h"
#include "app/outlet/csv.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define BATCH_ROWS   256
#define AGAIN_MS     1000
#define AGAIN_MAX    30
#define LAYOUTS_MAX  64  // that one meter ever had

struct export_options {
    struct options common;
    const char *meter, *from, *to, *format;
    bool events;
};

static const struct option_spec specs[] = {
    { "meter", NULL, OPTION_TEXT, offsetof(struct export_options, meter), "M", "whose rows", 0, 0 },
    { "events", NULL, OPTION_FLAG, offsetof(struct export_options, events), NULL,
      "what happened, instead of a meter's rows", 0, 0 },
    { "from", NULL, OPTION_TEXT, offsetof(struct export_options, from), "T",
      "not before: YYYY-MM-DD[ HH:MM[:SS]] local time, or RFC 3339", 0, 0 },
    { "to", NULL, OPTION_TEXT, offsetof(struct export_options, to), "T", "before", 0, 0 },
    { "format", NULL, OPTION_TEXT, offsetof(struct export_options, format), "csv|json",
      "csv (default), or json: one line a row", 0, 0 },
};

static const struct verb_usage usage = {
    .verb = "export",
    .synopsis = "--meter M|--events [--from T] [--to T] [--format csv|json]",
    .summary = "Print what the journal holds of a meter, or its events. What has no time only without --from and --to.",
    .specs = specs,
    .spec_count = ARRAY_SIZE(specs),
};

/* One layout that the meter has had, and where its columns are among all of them. */
struct version {
    int64_t id;
    struct journal_meter meter;
    unsigned column[MAX_POINTS];
};

struct export {
    struct journal *journal;
    bool json;
    bool timed;                       // --from or --to was given
    int64_t from_ms, to_ms;
    struct version *versions[LAYOUTS_MAX];
    unsigned version_count;
    struct layout all;                // columns of all versions, the newest's first
    struct journal_row rows[BATCH_ROWS];
    struct text out;
};

static void export_free(struct export **export)
{
    if (*export) {
        for (unsigned i = 0; i < (*export)->version_count; i++) {
            free((*export)->versions[i]);
        }
        text_clear(&(*export)->out);
        journal_close((*export)->journal);
        free(*export);
    }
}

/* Ask once more while the journal is just being changed. */
static bool again(int r, unsigned *tries)
{
    if (r != -EAGAIN || ++*tries > AGAIN_MAX) {
        return false;
    }

    clock_sleep_until_us(clock_monotonic_us() + AGAIN_MS * 1000);
    return true;
}

/* The same quantity in another unit is another column. */
static int column_of(struct layout *all, const struct column *column, unsigned *ret)
{
    for (unsigned i = 0; i < all->count; i++) {
        if (text_equal(all->columns[i].name, column->name) && text_equal(all->columns[i].unit, column->unit)) {
            *ret = i;
            return 0;
        }
    }
    if (all->count == MAX_POINTS) {
        return -E2BIG;
    }

    all->columns[all->count] = *column;
    *ret = all->count++;
    return 0;
}

static int find_versions(struct export *export, const char *name)
{
    unsigned tries = 0;
    int r;

    for (;;) {
        struct version *version;

        if (export->version_count == LAYOUTS_MAX) {
            return -E2BIG;
        }
        version = calloc(1, sizeof(*version));
        if (!version) {
            return -ENOMEM;
        }
        do {
            r = journal_find_meter(export->journal, name, export->version_count, &version->meter);
        } while (again(r, &tries));
        if (r < 0) {
            free(version);
            return r == -ENOENT && export->version_count > 0 ? 0 : r;
        }

        version->id = version->meter.id;
        export->versions[export->version_count++] = version;
        for (unsigned i = 0; i < version->meter.layout.count; i++) {
            r = column_of(&export->all, &version->meter.layout.columns[i], &version->column[i]);
            if (r < 0) {
                return r;
            }
        }
    }
}

static void add_json(struct text *out, const struct version *version, const struct csv_row *row)
{
    char buffer[CLOCK_TEXT_SIZE];

    text_add_char(out, '{');
    json_add_member_string(out, "meter", version->meter.name);
    json_add_member_string(out, "model", version->meter.model);
    json_add_member_string(out, "time", row->timed ? clock_utc(row->wall_ms, buffer) : NULL);
    json_add_member_string(out, "quality", row->quality);
    json_add_key(out, "seq");
    text_addf(out, "%" PRIu64, row->seq);
    json_add_key(out, "values");
    text_add_char(out, '{');
    for (unsigned i = 0; i < version->meter.layout.count; i++) {
        json_add_member_number(out, version->meter.layout.columns[i].name, i < row->value_count ? row->values[i] : NAN);
    }
    text_add(out, "}}\n");
}

static void add_csv(struct export *export, const struct version *version, struct csv_row *row)
{
    double values[MAX_POINTS];

    for (unsigned i = 0; i < export->all.count; i++) {
        values[i] = NAN;
    }
    for (unsigned i = 0; i < MIN(row->value_count, version->meter.layout.count); i++) {
        values[version->column[i]] = row->values[i];
    }

    row->values = values;
    row->value_count = export->all.count;
    csv_add_row(&export->out, row, export->all.count, false);
    row->values = NULL;  // ours end here
}

static int add_row(struct export *export, const struct journal_row *row)
{
    char quality[4] = "";
    struct csv_row csv = {
        .quality = quality,
        .boot_ms = row->boot_ms,
        .values = row->values,
        .value_count = row->value_count,
        .seq = row->seq,
    };
    unsigned i = 0;
    int r;

    r = journal_row_time(export->journal, row, &csv.wall_ms, quality);
    if (r < 0 && r != -EBADMSG) {
        return r;
    }
    if (r < 0) {
        (void) snprintf(quality, sizeof(quality), "%c%s", CLOCK_UNKNOWN, row->quality + 1);  // its epoch is damaged
    }

    csv.timed = quality[0] != CLOCK_UNKNOWN;
    if (export->timed && (!csv.timed || csv.wall_ms < export->from_ms || csv.wall_ms >= export->to_ms)) {
        return 0;
    }

    while (i < export->version_count && export->versions[i]->id != row->meter) {
        i++;
    }
    if (i == export->version_count) {
        return 0;  // a layout begun since we looked: the next export has it
    }
    if (export->json) {
        add_json(&export->out, export->versions[i], &csv);
    } else {
        add_csv(export, export->versions[i], &csv);
    }
    return export->out.failed ? -ENOMEM : 0;
}

static int flush(struct export *export)
{
    if (export->out.size > 0 && fwrite(export->out.data, 1, export->out.size, stdout) != export->out.size) {
        return -EIO;
    }

    text_reset(&export->out);
    return 0;
}

static int print_rows(struct export *export, const char *name)
{
    unsigned tries = 0;
    uint64_t after = 0;
    int n, r;

    if (!export->json) {
        csv_add_header(&export->out, &export->all, false);
    }

    for (;;) {
        n = journal_read(export->journal, after, name, export->rows, BATCH_ROWS);
        if (again(n, &tries)) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? n : flush(export);
        }

        for (int i = 0; i < n; i++) {
            do {
                r = add_row(export, &export->rows[i]);
            } while (again(r, &tries));
            if (r < 0) {
                return r;
            }
        }
        after = export->rows[n - 1].seq;
        r = flush(export);
        if (r < 0) {
            return r;
        }
    }
}

static void add_event(struct text *out, bool json, const struct csv_row *time, const struct journal_event *event)
{
    char buffer[CLOCK_TEXT_SIZE];

    if (json) {
        text_add_char(out, '{');
        json_add_member_string(out, "time", time->timed ? clock_utc(time->wall_ms, buffer) : NULL);
        json_add_member_string(out, "quality", time->quality);
        json_add_member_string(out, "event", event->code);
        json_add_member_string(out, "text", event->text);
        text_add(out, "}\n");
        return;
    }

    text_addf(out, "%s,", time->timed ? clock_utc(time->wall_ms, buffer) : "");
    text_addf(out, "%s,%s,", time->timed ? clock_local(time->wall_ms, buffer) : "", time->quality);
    csv_add_text(out, event->code);
    text_add_char(out, ',');
    csv_add_text(out, event->text);
    text_add(out, "\r\n");
}

/* An event's time is told as a row's is. */
static int print_event(struct export *export, const struct journal_event *event)
{
    struct journal_row *row = &export->rows[0];
    char quality[4] = { CLOCK_UNKNOWN };
    struct csv_row time = { .quality = quality };
    struct epoch epoch;
    int r;

    r = journal_epoch(export->journal, event->epoch, &epoch);
    if (r >= 0) {
        *row = (struct journal_row){ .epoch = event->epoch, .boot_ms = event->boot_ms };
        row->quality[0] = (char) epoch.source;
        r = journal_row_time(export->journal, row, &time.wall_ms, quality);
    }
    if (r < 0 && r != -ENOENT && r != -EBADMSG) {
        return r;
    }

    time.timed = quality[0] != CLOCK_UNKNOWN;
    if (!export->timed || (time.timed && time.wall_ms >= export->from_ms && time.wall_ms < export->to_ms)) {
        add_event(&export->out, export->json, &time, event);
    }
    return export->out.failed ? -ENOMEM : flush(export);
}

static int print_events(struct export *export)
{
    struct journal_event events[16];
    unsigned tries = 0;
    int64_t after = 0;
    int n, r;

    if (!export->json) {
        text_add(&export->out, "utc,local,quality,event,text\r\n");
    }
    while ((n = journal_events(export->journal, after, events, ARRAY_SIZE(events))) != 0) {
        if (again(n, &tries)) {
            continue;
        }
        if (n < 0) {
            return n;
        }
        for (int i = 0; i < n; i++) {
            do {
                r = print_event(export, &events[i]);
            } while (again(r, &tries));
            if (r < 0) {
                return r;
            }
            after = events[i].id;
        }
    }

    return flush(export);
}

/* Whether a row's meter is gone from the list, or is the one that the list should have had. */
static int row_is_lost(struct export *export, const struct journal_row *row, const char *name)
{
    auto_free struct journal_meter *meter = malloc(sizeof(*meter));
    unsigned tries = 0;
    int r;

    if (!meter) {
        return -ENOMEM;
    }

    do {
        r = journal_meter(export->journal, row->meter, meter);
    } while (again(r, &tries));
    return r == -ENOENT ? 1 : r < 0 ? r : text_equal(meter->name, name);
}

/* Whether the newest rows are of a meter that nobody can name: a damaged journal has lost its list. */
static int rows_are_lost(struct export *export, const char *name)
{
    unsigned tries = 0;
    int n, r;

    do {
        n = journal_read_back(export->journal, UINT64_MAX, export->rows, BATCH_ROWS);
    } while (again(n, &tries));
    for (int i = 0; i < n; i++) {
        if (i > 0 && export->rows[i].meter == export->rows[i - 1].meter) {
            continue;
        }
        r = row_is_lost(export, &export->rows[i], name);
        if (r != 0) {
            return r;
        }
    }

    return MIN(n, 0);
}

/* The journal does not know the meter. Who asks has erred only if the list is sound. Returns the exit code. */
static int say_unknown(struct export *export, const char *name)
{
    auto_free struct journal_meter *meter = calloc(1, sizeof(*meter));
    auto_text struct text names = {};
    int r;

    r = rows_are_lost(export, name);
    if (r < 0) {
        log_error("export of '%s' ended early (%s)", name, strerror(-r));
        return EXIT_IO;
    }
    if (r > 0) {
        log_error("the journal is damaged: it has rows whose meter cannot be told, perhaps of '%s'", name);
        return EXIT_IO;
    }

    for (unsigned i = 0; meter && journal_find_meter(export->journal, NULL, i, meter) == 0; i++) {
        if (!strstr(text_string(&names), meter->name)) {
            text_addf(&names, "%s%s", i > 0 ? ", " : "", meter->name);
        }
    }
    if (names.size == 0) {
        log_error("the journal has no meter at all: nothing was logged yet, or it is damaged");
        return EXIT_IO;
    }
    log_error("the journal has no meter '%s'; it has: %s", name, text_string(&names));
    return EXIT_USAGE;
}

static int parse(const struct export_options *options, struct export *ret)
{
    ret->from_ms = INT64_MIN;
    ret->to_ms = INT64_MAX;
    ret->timed = options->from || options->to;
    ret->json = options->format && text_equal(options->format, "json");
    if (!options->meter == !options->events) {
        log_error("whose rows? give --meter M, or --events");
        return -EINVAL;
    }
    if (options->format && !ret->json && !text_equal(options->format, "csv")) {
        log_error("--format %s: it is csv or json", options->format);
        return -EINVAL;
    }
    if ((options->from && clock_parse(options->from, &ret->from_ms) < 0) ||
        (options->to && clock_parse(options->to, &ret->to_ms) < 0)) {
        log_error("--from and --to are YYYY-MM-DD[ HH:MM[:SS]] in local time, or RFC 3339");
        return -EINVAL;
    }

    return 0;
}

int main(int argc, char **argv)
{
    CLEANUP(export_free) struct export *export = calloc(1, sizeof(*export));
    struct export_options options = {};
    char path[PATH_SIZE], memory[PATH_SIZE];
    uint64_t after;
    int r;

    r = options_parse(&usage, argc - 1, argv + 1, &options);
    if (r != 0) {
        return r < 0 ? EXIT_USAGE : EXIT_OK;
    }
    if (!export || file_path(path, sizeof(path), options.common.state_dir, "journal") < 0 ||
        file_path(memory, sizeof(memory), options.common.run_dir, "journal") < 0) {
        return EXIT_IO;
    }
    if (parse(&options, export) < 0) {
        return EXIT_USAGE;
    }

    r = journal_open_read_places(path, memory, &export->journal);
    if (r < 0) {
        log_error("no journal in %s (%s)", path, strerror(-r));
        return EXIT_IO;
    }

    journal_set_patience(export->journal, 0);  // nobody would come back for what it passes
    r = options.events ? print_events(export) : find_versions(export, options.meter);
    if (r == -ENOENT && !options.events) {
        return say_unknown(export, options.meter);
    }
    if (r >= 0 && !options.events) {
        r = print_rows(export, options.meter);
    }
    if (r >= 0 && fflush(stdout) != 0) {
        r = -errno;
    }
    if (r < 0) {
        log_error("export of '%s' ended early (%s)", options.events ? "events" : options.meter, strerror(-r));
        return EXIT_IO;
    }
    if (journal_take_gap(export->journal, &after)) {
        log_warning("rows after number %" PRIu64 " are left out: they cannot be read", after);
    }

    return EXIT_OK;
}
