/* SPDX-License-Identifier: MIT */
/*
 * Our loop on one line: poll the same points of some meters again and again, without a pause, and print how long
 * each cycle took beside what the plan says that the line needs. PORT "-" polls nothing and prints the plan, a
 * request a line, for the reference loop.
 *
 *   bench_cycle PORT "9600 8N1" MODEL POINTS FIRST-ADDRESS LAST-ADDRESS MAX-REGISTERS CYCLES [LOCK]
 *
 * MAX-REGISTERS 0 is the model's. LOCK is the semaphore by which the port is shared. Prints one line of JSON. The first
 * cycle, in which it learns, counts only where it is the only one.
 */
#include "app/base/clock.h"
#include "drivers/modbus_meter.h"
#include "drivers/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TURNAROUND_US 10000  // that of `meterstick simulate --wire`
#define POLL_US       20000000
#define MAX_CYCLES    1000

struct bench {
    struct endpoint port;
    struct serial_setting serial;
    struct model *model;
    struct selection selection;
    unsigned first, last;      // addresses
    unsigned max_registers;
    unsigned cycles;
    const char *lock;          // NULL: the port is ours alone
    struct line *line;
    struct source *sources[256];
    struct sample sample;
    unsigned missing;
    uint64_t cycle_us[MAX_CYCLES];
};

static int take_arguments(struct bench *bench, char **argv)
{
    auto_problems struct problems problems = { 0 };
    const char *problem = "";
    int r;

    if (serial_setting_parse(argv[2], &bench->serial) < 0
        || (strcmp(argv[1], "-") != 0 && endpoint_parse(argv[1], &bench->port, &problem) < 0)) {
        (void) fprintf(stderr, "bench_cycle: %s %s: %s\n", argv[1], argv[2], problem);
        return -EINVAL;
    }
    r = model_find(argv[3], &problems, &bench->model);
    if (r == 0) {
        r = selection_parse(bench->model, argv[4], "POINTS", 0, &problems, &bench->selection);
    }
    if (r < 0) {
        (void) fprintf(stderr, "bench_cycle: %s: %s\n", strerror(-r), problems_text(&problems));
        return r;
    }
    bench->first = (unsigned) atoi(argv[5]);
    bench->last = (unsigned) atoi(argv[6]);
    bench->max_registers = (unsigned) atoi(argv[7]);
    bench->cycles = (unsigned) atoi(argv[8]);
    bench->lock = argv[9];
    return bench->last < 256 && bench->first <= bench->last && bench->cycles <= MAX_CYCLES ? 0 : -ERANGE;
}

/* The best plan for a meter whose turnaround is known. */
static int make_plan(const struct bench *bench, struct modbus_meter *ret)
{
    const struct plan_timing timing = { .character_us = serial_character_us(&bench->serial),
                                        .silence_us = serial_silence_us(&bench->serial),
                                        .turnaround_us = TURNAROUND_US };

    return meter_init(ret, bench->model, &bench->selection, bench->max_registers, &timing);
}

static void print_plan(const struct bench *bench, const struct modbus_meter *plan)
{
    for (unsigned unit = bench->first; unit <= bench->last; unit++) {
        for (unsigned i = 0; i < plan->request_count; i++) {
            const struct plan_block *block = &plan->requests[i].block;

            (void) printf("%u %u %u %u\n", unit, (unsigned) block->table, block->address, block->count);
        }
    }
}

static int open_sources(struct bench *bench)
{
    struct source_setup setup = { .kind = SOURCE_MODBUS, .meter = "bench", .model = bench->model,
                                  .selection = &bench->selection, .serial = bench->serial,
                                  .max_registers = bench->max_registers };
    int r = line_new(&bench->port, &bench->serial, &bench->line);

    if (r == 0 && bench->lock) {
        r = line_share(bench->line, bench->lock, true);
    }
    if (r < 0) {
        return r;
    }
    setup.line = bench->line;
    for (unsigned unit = bench->first; r == 0 && unit <= bench->last; unit++) {
        setup.unit = unit;
        r = source_open(&setup, &bench->sources[unit]);
    }
    return r < 0 ? r : line_open(bench->line, clock_monotonic_us() + POLL_US);
}

static void run_cycles(struct bench *bench)
{
    for (unsigned cycle = 0; cycle < bench->cycles; cycle++) {
        uint64_t start_us = clock_monotonic_us();

        for (unsigned unit = bench->first; unit <= bench->last; unit++) {
            int r = source_next(bench->sources[unit], clock_monotonic_us() + POLL_US, &bench->sample);

            bench->missing += bench->sample.value_count - (r == 0 ? sample_present(&bench->sample) : 0);
        }
        bench->cycle_us[cycle] = clock_monotonic_us() - start_us;
    }
}

static void print_result(const struct bench *bench, const struct modbus_meter *plan)
{
    unsigned meters = bench->last - bench->first + 1, requests = 0;
    double limit_us = 0;

    for (unsigned i = 0; i < plan->request_count; i++) {
        limit_us += plan_us(&plan->timing, &plan->requests[i].block, 1);
        requests++;
    }
    (void) printf("{\"points\":%u,\"requests\":%u,\"limit_us\":%.1f,\"missing\":%u,\"cycle_us\":[",
                  bench->selection.point_count * meters, requests * meters, limit_us * meters, bench->missing);
    for (unsigned i = bench->cycles > 1; i < bench->cycles; i++) {
        (void) printf("%s%llu", i > 1 ? "," : "", (unsigned long long) bench->cycle_us[i]);
    }
    (void) printf("]}\n");
}

static void clear(struct bench *bench)
{
    for (unsigned i = 0; i < 256; i++) {
        source_close(bench->sources[i]);
    }
    line_close(bench->line);
    model_free(bench->model);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    struct modbus_meter plan = { 0 };
    int r = argc == 9 || argc == 10 ? take_arguments(&bench, argv) : -EINVAL;

    if (r == 0) {
        r = make_plan(&bench, &plan);
    }
    if (r == 0 && strcmp(argv[1], "-") == 0) {
        print_plan(&bench, &plan);
    } else if (r == 0) {
        r = open_sources(&bench);
        if (r == 0) {
            run_cycles(&bench);
            print_result(&bench, &plan);
        }
    }
    if (r < 0) {
        (void) fprintf(stderr, "bench_cycle: %s%s%s\n", strerror(-r), bench.line ? ": " : "",
                       bench.line ? line_problem(bench.line) : "");
    }
    meter_clear(&plan);
    clear(&bench);
    return r < 0;
}
