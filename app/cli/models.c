/* SPDX-License-Identifier: MIT */
/* meterstick models: which meters are known, what each point of one is, and how it would be read. */
#include "app/base/decimal.h"
#include "app/base/exit.h"
#include "app/base/options.h"
#include "app/cli/verbs.h"
#include "drivers/model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TURNAROUND_MS 10  // what bus times are quoted with; real meters take 2 to 50

struct models_options {
    struct options common;
    const char *check;
    const char *serial;
    const char *points;
    uint64_t turnaround_ms;
    bool plan;
};

static const struct option_spec specs[] = {
    { "check", NULL, OPTION_TEXT, offsetof(struct models_options, check), "FILE",
      "say everything that is wrong with a model file", 0, 0 },
    { "plan", NULL, OPTION_FLAG, offsetof(struct models_options, plan), NULL,
      "the requests that read it, and how long the line is busy", 0, 0 },
    { "serial", NULL, OPTION_TEXT, offsetof(struct models_options, serial), "SETTING",
      "for --plan, \"9600 8N1\" (the model's)", 0, 0 },
    { "points", NULL, OPTION_TEXT, offsetof(struct models_options, points), "LIST",
      "for --plan: all (default), log, or names with commas", 0, 0 },
    { "turnaround", NULL, OPTION_DURATION, offsetof(struct models_options, turnaround_ms), "TIME",
      "for --plan: how long the meter thinks (10 ms)", 0, 10000 },
};

static const struct verb_usage usage = {
    .verb = "models",
    .synopsis = "[MODEL|FILE] [--plan]",
    .summary = "List the known meters, or the points of one.",
    .specs = specs,
    .spec_count = ARRAY_SIZE(specs),
    .max_arguments = 1,
};

static const char *const verified_names[] = {
    [VERIFIED_DOCUMENT] = "document",
    [VERIFIED_CAPTURE] = "capture",
    [VERIFIED_HARDWARE] = "hardware",
};

static const char *interface_text(const struct model *model, char buffer[static SERIAL_SETTING_SIZE])
{
    return model->tcp ? "Modbus TCP" : serial_setting_text(&model->serial, buffer);
}

/* ---- the list ---- */

static int list_models(void)
{
    auto_text struct text paths = { 0 };
    char *rest, *path;
    int r, code = EXIT_OK;

    r = model_list(&paths);
    if (r < 0) {
        (void) fprintf(stderr, "meterstick models: %s\n", strerror(-r));
        return EXIT_IO;
    }
    if (paths.size == 0) {
        (void) fprintf(stderr, "meterstick models: there are none; they stand beside the program or in "
                               "/etc/meterstick/models\n");
        return EXIT_CONFIG;
    }
    rest = paths.data;
    while ((path = strsep(&rest, "\n"))) {
        auto_problems struct problems problems = { 0 };
        auto_model struct model *model = NULL;
        char serial[SERIAL_SETTING_SIZE];

        if (*path == '\0') {
            continue;
        }
        r = model_load(path, &problems, &model);
        if (r < 0) {
            (void) fprintf(stderr, "%s\n", problems.count ? problems_text(&problems) : strerror(-r));
            code = EXIT_CONFIG;
            continue;
        }
        (void) printf("%-26s %-44s %-10s  %s\n", model->id, model->title, interface_text(model, serial),
                      verified_names[model->verified]);
    }
    return code;
}

/* ---- one model ---- */

static const char *table_text(const struct model *model, const struct point *point)
{
    return model->driver == MODEL_CURRENTCOST ? "message" : point->table == MODBUS_INPUT ? "input" : "holding";
}

static void print_point(const struct model *model, size_t index)
{
    const struct point *point = &model->points[index];
    char resolution[DECIMAL_SIZE + UNIT_SIZE + 2] = "", address[16] = "", codec[24];

    if (point->quantity) {
        char number[DECIMAL_SIZE];

        (void) decimal_print(decimal_scale_signed(1, point->resolution), number);
        (void) snprintf(resolution, sizeof(resolution), "%s%s%s", number, point->unit[0] ? " " : "", point->unit);
    }
    if (model->driver == MODEL_MODBUS) {
        (void) snprintf(address, sizeof(address), "0x%04X", point->address);
    }
    if (point->codec->word_count == 0 && point->codec->result == CODEC_TEXT) {
        (void) snprintf(codec, sizeof(codec), "text.%u", point->word_count);
    } else {
        (void) snprintf(codec, sizeof(codec), "%s", point->codec->name);
    }
    (void) printf("%-35s %-7s %6u  %-6s  %-11s %-12s %s", point->name, table_text(model, point), point->number, address,
                  codec, resolution, model->logged[index] ? "log" : "   ");
    if (*point->doubt) {
        (void) printf("  DOUBTFUL: %s", point->doubt);
    }
    (void) printf("\n");
}

static void print_model(const struct model *model)
{
    char serial[SERIAL_SETTING_SIZE];
    const char *source = model->source;

    (void) printf("%s  %s\n", model->id, model->title);
    (void) printf("  interface      %s\n", interface_text(model, serial));
    (void) printf("  register no.   from %u, as printed; the wire counts from 0\n", model->first_number);
    if (model->driver == MODEL_MODBUS) {
        (void) printf("  a request      at most %u registers%s%s\n", model->max_registers,
                      model->even ? ", even address and count" : "", model->read_gaps ? "" : ", no gaps");
    }
    (void) printf("  verified by    %s\n  source         %s\n  file           %s\n\n", verified_names[model->verified],
                  model->source, model->file);
    (void) printf("%-35s %-7s %6s  %-6s  %-11s %-12s %s\n", "point", "table", "number", "wire", "codec", "resolution",
                  "");
    for (size_t i = 0; i < model->point_count; i++) {
        if (model->points[i].source && !text_equal(model->points[i].source, source)) {
            source = model->points[i].source;
            (void) printf("# source: %s\n", source);
        }
        print_point(model, i);
    }
}

/* ---- --plan ---- */

static int plan_model(const struct model *model, const struct selection *selection, const struct plan_timing *timing,
                      struct plan_block *ret_blocks)
{
    struct plan_span spans[MAX_POINTS];
    const struct plan_limits limits = {
        .max_registers = model->max_registers,
        .even = model->even,
        .read_gaps = model->read_gaps,
        .avoid = model->avoid,
        .avoid_count = model->avoid_count,
    };

    for (unsigned i = 0; i < selection->point_count; i++) {
        const struct point *point = &model->points[selection->points[i]];

        spans[i] = (struct plan_span){ point->table, point->address, (uint16_t) point->word_count };
    }
    return plan_make(spans, selection->point_count, &limits, timing, ret_blocks);
}

static unsigned points_inside(const struct model *model, const struct selection *selection,
                              const struct plan_block *block)
{
    unsigned count = 0;

    for (unsigned i = 0; i < selection->point_count; i++) {
        const struct point *point = &model->points[selection->points[i]];

        count += point->table == block->table && point->address >= block->address &&
                 point->address + point->word_count <= (unsigned) block->address + block->count;
    }

    return count;
}

static void print_plan(const struct model *model, const struct selection *selection, const struct plan_timing *timing,
                       const struct plan_block *blocks, int block_count)
{
    unsigned characters = 0, registers = 0;

    (void) printf("%-4s %-7s %6s  %-6s %9s %6s %10s %9s\n", "#", "table", "number", "wire", "registers", "points",
                  "characters", "ms");
    for (int i = 0; i < block_count; i++) {
        unsigned here = 8 + 5 + 2u * blocks[i].count;

        (void) printf("%-4d %-7s %6u  0x%04X %9u %6u %10u %9.2f\n", i + 1,
                      blocks[i].table == MODBUS_INPUT ? "input" : "holding", blocks[i].address + model->first_number,
                      blocks[i].address, blocks[i].count, points_inside(model, selection, &blocks[i]), here,
                      plan_block_us(timing, blocks[i].count) / 1000);
        characters += here;
        registers += blocks[i].count;
    }
    (void) printf("%-4s %-7s %6s  %-6s %9u %6u %10u %9.2f\n", "sum", "", "", "", registers, selection->point_count,
                  characters, plan_us(timing, blocks, (size_t) block_count) / 1000);
}

static int show_plan(const struct models_options *options, const struct model *model)
{
    auto_problems struct problems problems = { 0 };
    struct plan_block blocks[MAX_POINTS];
    struct plan_timing timing = { .turnaround_us = (double) options->turnaround_ms * 1000 };
    struct serial_setting serial = model->serial;
    char text[SERIAL_SETTING_SIZE];
    struct selection selection;
    int r;

    if (model->driver != MODEL_MODBUS) {
        (void) printf("%s talks by itself: nothing is asked\n", model->id);
        return EXIT_OK;
    }
    if (options->serial && serial_setting_parse(options->serial, &serial) < 0) {
        (void) fprintf(stderr, "meterstick models: --serial \"%s\": \"9600 8N1\" or the like is expected\n",
                       options->serial);
        return EXIT_USAGE;
    }
    if (selection_parse(model, options->points ? options->points : "all", "--points", 0, &problems, &selection) < 0) {
        (void) fprintf(stderr, "%s\n", problems_text(&problems));
        return EXIT_USAGE;
    }
    if (serial.baud) {
        timing.character_us = serial_character_us(&serial);
        timing.silence_us = serial_silence_us(&serial);
    }

    r = plan_model(model, &selection, &timing, blocks);
    if (r < 0) {
        (void) fprintf(stderr, "meterstick models: %s\n", strerror(-r));
        return EXIT_CONFIG;
    }
    (void) printf("%s at %s, turnaround %llu ms: %d request%s\n", model->id,
                  serial.baud ? serial_setting_text(&serial, text) : "Modbus TCP",
                  (unsigned long long) options->turnaround_ms, r, r == 1 ? "" : "s");
    print_plan(model, &selection, &timing, blocks, r);
    return EXIT_OK;
}

/* ---- the verb ---- */

static int check_file(const char *path)
{
    auto_problems struct problems problems = { 0 };
    auto_model struct model *model = NULL;
    int r;

    r = model_load(path, &problems, &model);
    if (r < 0) {
        (void) fprintf(stderr, "%s%s%s\n", problems.count ? "" : path, problems.count ? "" : ": ",
                       problems.count ? problems_text(&problems) : strerror(-r));
        return EXIT_CONFIG;
    }
    (void) printf("%s is right: %s, %zu points\n", path, model->id, model->point_count);
    return EXIT_OK;
}

int verb_models(int argc, char **argv)
{
    struct models_options options = { .turnaround_ms = TURNAROUND_MS };
    auto_problems struct problems problems = { 0 };
    auto_model struct model *model = NULL;
    int r;

    r = options_parse(&usage, argc, argv, &options);
    if (r != 0) {
        return r < 0 ? EXIT_USAGE : EXIT_OK;
    }
    if (options.check) {
        return check_file(options.check);
    }
    if (options.common.argument_count == 0) {
        if (options.plan) {
            (void) fprintf(stderr, "meterstick models: --plan of which model?\n");
            return EXIT_USAGE;
        }
        return list_models();
    }

    r = model_find(options.common.arguments[0], &problems, &model);
    if (r < 0) {
        (void) fprintf(stderr, "%s\n", problems.count ? problems_text(&problems) : strerror(-r));
        return r == -ENOENT ? EXIT_USAGE : EXIT_CONFIG;
    }
    if (options.plan) {
        return show_plan(&options, model);
    }
    print_model(model);
    return EXIT_OK;
}
