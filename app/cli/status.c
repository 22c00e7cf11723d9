/* SPDX-License-Identifier: MIT */
/* meterstick status: what the resident programs say of themselves, for people and for monitoring. */
#include "app/base/status.h"

#include "app/base/clock.h"
#include "app/base/exit.h"
#include "app/base/file.h"
#include "app/base/limits.h"
#include "app/base/options.h"
#include "app/cli/verbs.h"
#include "leds/facts.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LONGEST_COMMIT_MS 60000  // [journal] commit may be so long, and is not in the status

struct status_options {
    struct options common;
    bool json;
};

static const struct option_spec specs[] = {
    { "json", NULL, OPTION_FLAG, offsetof(struct status_options, json), NULL, "everything, as one JSON object", 0, 0 },
};

static const struct verb_usage usage = {
    .verb = "status",
    .synopsis = "",
    .summary = "Show meters, clock, journal and sticks. Exit 0: all well, 1: something is failed, silent or stale.",
    .specs = specs,
    .spec_count = ARRAY_SIZE(specs),
};

/* One resident program. A machine without lights has no `leds`, so that one may be missing. */
struct program {
    const char *name;
    bool optional;
    char *text;            // of its status file, NULL if there is none
    struct json *json;
    bool fresh;
};

static int program_load(struct program *program, const char *run_dir, const char *boot_id)
{
    char path[PATH_SIZE], name[METER_ID_SIZE + 8];
    size_t size;
    int r;

    (void) snprintf(name, sizeof(name), "%s.json", program->name);
    r = file_path(path, sizeof(path), run_dir, name);
    if (r < 0) {
        return r;
    }
    r = file_read(path, MAX_FILE_SIZE, &program->text, &size);
    if (r < 0) {
        return r == -ENOENT ? 0 : r;
    }
    r = json_parse(program->text, size, &program->json, NULL);
    if (r < 0) {
        return r;
    }
    program->fresh = status_is_fresh(program->json, boot_id, clock_boot_ms());
    return 0;
}

static bool program_well(const struct program *program)
{
    const char *state = json_member_string(program->json, "state");

    if (!program->json) {
        return program->optional;
    }
    return program->fresh && state && (text_equal(state, "running") || text_equal(state, "starting"));
}

static const char *or_dash(const char *string)
{
    return string && *string ? string : "-";
}

static void print_program(const struct program *program, uint64_t boot_ms)
{
    const char *state = json_member_string(program->json, "state");
    const char *error = json_member_string(program->json, "error");
    double then_ms = json_member_number(program->json, "boot_ms");
    char age[TEXT_DURATION_SIZE] = "";

    if (!program->json) {
        (void) printf("%-9s not running\n", program->name);
        return;
    }
    if (!program->fresh && then_ms >= 0 && (double) boot_ms >= then_ms) {
        (void) text_duration(boot_ms - (uint64_t) then_ms, age);
    }
    (void) printf("%-9s %s%s%s%s%s\n", program->name,
                  program->fresh                                ? or_dash(state)
                  : state && text_equal(state, "stopped") ? "stopped"
                                                                : "no sign of life",
                  *age ? " for " : "", age, error ? ": " : "", error ? error : "");
}

/* "12 s" from a number of ms; "-" if there is none. */
static const char *duration_or_dash(double ms, char buffer[static TEXT_DURATION_SIZE])
{
    if (!(ms >= 0)) {
        return "-";
    }
    return text_duration((uint64_t) ms, buffer);
}

/* By the rules of the lights: what a red or yellow one would say is not well. The clock may still be learned. */
static bool all_well(const struct program *acquire, const struct program *stick, uint64_t boot_ms)
{
    struct facts facts;

    facts_gather(acquire->fresh ? acquire->json : NULL, stick->fresh ? stick->json : NULL, boot_ms, LONGEST_COMMIT_MS,
                 &facts);
    return facts.acquire_alive && !facts.acquisition_failed && facts.meter_good_count == facts.meter_count &&
           facts.journal_ok && facts.stick_alive && !facts.stick_failed && !facts.stick_refused;
}

static void print_meters(const struct json *acquire, uint64_t boot_ms)
{
    const struct json *meters = json_member(acquire, "meters");

    if (json_count(meters) > 0) {
        (void) printf("\n%4s %-20s %-8s %-14s %-10s %-12s %s\n", "no.", "meter", "state", "last row", "cycle",
                      "next probe", "last error");
    }
    for (size_t i = 0; i < json_count(meters); i++) {
        const struct json *meter = json_item(meters, i);
        const char *state = json_member_string(meter, "state");
        double committed_ms = json_member_number(meter, "committed_boot_ms");
        double cycle_ms = json_member_number(meter, "cycle_ms");
        char age[TEXT_DURATION_SIZE], cycle[TEXT_DURATION_SIZE], probe[TEXT_DURATION_SIZE];

        if (isnan(cycle_ms)) {
            cycle_ms = json_member_number(meter, "slice_ms");
        }
        // The number is that which the lights spell in red while the meter is silent.
        (void) printf("%4zu %-20s %-8s %-14s %-10s %-12s %s\n", i + 1, or_dash(json_member_string(meter, "name")),
                      or_dash(state),
                      committed_ms > 0 ? duration_or_dash((double) boot_ms - committed_ms, age) : "never",
                      duration_or_dash(cycle_ms, cycle),
                      duration_or_dash(json_member_number(meter, "next_probe_s") * 1000, probe),
                      or_dash(json_member_string(meter, "last_error")));
    }
}

static void print_journal(const struct json *acquire)
{
    const struct json *clock = json_member(acquire, "clock");
    const struct json *journal = json_member(acquire, "journal");
    const char *state = json_member_string(journal, "state");
    char seq[32];

    if (!acquire) {
        return;
    }
    (void) snprintf(seq, sizeof(seq), "%.0f", json_member_number(journal, "seq"));
    (void) printf("\nclock     %s (%s)\n", json_as_bool(json_member(clock, "known")) ? "known" : "not known yet",
                  or_dash(json_member_string(clock, "quality")));
    (void) printf("journal   %s, %s rows, id %s\n", or_dash(state),
                  isnan(json_member_number(journal, "seq")) ? "-" : seq, or_dash(json_member_string(journal, "id")));
}

/* Meters that nobody has named are looked for. */
static void print_scan(const struct json *acquire)
{
    const struct json *scan = json_member(acquire, "scan"), *ports = json_member(scan, "ports");
    const char *state = json_member_string(scan, "state");

    bool looks = state && (text_equal(state, "running") || text_equal(state, "waiting"));

    for (size_t i = 0; looks && i < json_count(ports); i++) {
        (void) printf("scan      %s: %s\n", or_dash(json_member_string(json_item(ports, i), "bus")),
                      or_dash(json_member_string(json_item(ports, i), "text")));
    }
    if (looks && json_count(ports) == 0) {
        (void) printf("scan      no adapter is plugged in\n");
    }
}

/* What became of the last configuration that somebody brought: the boot partition has no RESULT.txt. */
static void print_inbox(const struct json *acquire)
{
    const struct json *inbox = json_member(acquire, "inbox");
    const struct json *last = json_count(inbox) > 0 ? json_item(inbox, json_count(inbox) - 1) : NULL;
    const char *text = json_member_string(last, "text");

    if (last) {
        (void) printf("brought   %s: %.8s...", or_dash(json_member_string(last, "result")),
                      or_dash(json_member_string(last, "sha256")));
        for (const char *line = text ? text : ""; *line; line += strcspn(line, "\n")) {
            line += strspn(line, "\r\n");
            (void) printf("%s%.*s", *line ? "\n          " : "", (int) strcspn(line, "\r\n"), line);
        }
        (void) printf("\n");
    }
}

static void print_sticks(const struct json *stick)
{
    const struct json *sticks = json_member(stick, "sticks");

    if (stick && json_count(sticks) == 0) {
        (void) printf("sticks    none; the journal keeps everything until one comes\n");
    }
    for (size_t i = 0; i < json_count(sticks); i++) {
        const struct json *one = json_item(sticks, i);
        const char *state = json_member_string(one, "state");
        double percent = json_member_number(one, "percent");
        double eta_s = json_member_number(one, "eta_s");
        double backlog = json_member_number(one, "backlog");
        const char *error = json_member_string(one, "error");
        char eta[TEXT_DURATION_SIZE];

        (void) printf("stick     %s: %s", or_dash(json_member_string(one, "id")), or_dash(state));
        if (error) {
            (void) printf(" (%s)", error);
        }
        if (json_as_bool(json_member(one, "gap"))) {
            (void) printf(", misses rows that the journal has no more");
        }
        if (backlog > 0) {
            (void) printf(", %.0f rows to write", backlog);
        }
        if (percent >= 0 && percent < 100) {
            (void) printf(", %.0f %% caught up", percent);
        }
        if (eta_s > 0) {
            (void) printf(", %s to go", duration_or_dash(eta_s * 1000, eta));
        }
        (void) printf("\n");
    }
}

/* The files as they are, whether they are to be believed, and the verdict. */
static void print_json(const struct program *programs, size_t count, bool well)
{
    (void) printf("{");
    for (size_t i = 0; i < count; i++) {
        (void) printf("\"%s\":%s,", programs[i].name, programs[i].json ? programs[i].text : "null");
    }
    (void) printf("\"fresh\":{");
    for (size_t i = 0; i < count; i++) {
        (void) printf("%s\"%s\":%s", i ? "," : "", programs[i].name, programs[i].fresh ? "true" : "false");
    }
    (void) printf("},\"well\":%s}\n", well ? "true" : "false");
}

int verb_status(int argc, char **argv)
{
    struct program programs[] = { { "acquire" }, { "stick" }, { "leds", .optional = true } };
    struct status_options options = { 0 };
    char boot_id[CLOCK_BOOT_ID_SIZE];
    uint64_t boot_ms;
    bool well = true;
    int r;

    r = options_parse(&usage, argc, argv, &options);
    if (r != 0) {
        return r < 0 ? EXIT_USAGE : EXIT_OK;
    }

    clock_boot_id(boot_id);
    for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
        r = program_load(&programs[i], options.common.run_dir, boot_id);
        if (r < 0) {
            (void) fprintf(stderr, "meterstick status: %s/%s.json: %s\n", options.common.run_dir, programs[i].name,
                           strerror(-r));
        }
        well = well && r == 0 && program_well(&programs[i]);
    }
    boot_ms = clock_boot_ms();  // after all was read: what is ahead of now is not believed
    well = all_well(&programs[0], &programs[1], boot_ms) && well;

    if (options.json) {
        print_json(programs, ARRAY_SIZE(programs), well);
    } else {
        for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
            print_program(&programs[i], boot_ms);
        }
        print_meters(programs[0].json, boot_ms);
        print_journal(programs[0].json);
        print_scan(programs[0].fresh ? programs[0].json : NULL);
        print_inbox(programs[0].fresh ? programs[0].json : NULL);
        print_sticks(programs[1].json);
    }
    for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
        json_free(programs[i].json);
        free(programs[i].text);
    }
    return well ? EXIT_OK : EXIT_SOMETHING_WRONG;
}
