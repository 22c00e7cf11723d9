/* SPDX-License-Identifier: MIT */

/* A .meter file as a whole. */

#include "drivers/model_private.h"

#include "app/base/file.h"
#include "app/base/pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *model_keep(struct model_parsing *parsing, const char *string)
{
    const char *copy = pool_string(parsing->model->memory, string);

    return copy ? copy : "";
}

static void take_entry(const struct ini_entry *entry, void *data)
{
    struct model_parsing *parsing = data;

    parsing->entry = entry;
    if (text_equal(entry->kind, "points")) {
        parsing->has_points = true;
        if (entry->key) {
            model_read_point(parsing);
        }
    } else if (text_equal(entry->kind, "model")) {
        if (entry->key) {
            model_read_key(parsing);
        }
    } else if (entry->key == NULL || *entry->kind == '\0') {
        model_fault(parsing, "unknown section [%s]; a model has [model] and [points]", entry->kind);
    }
}

/* Registers in two points at once, and points that a request cannot hold. */
static void check_registers(const struct model_parsing *parsing, const char *file)
{
    const struct model *model = parsing->model;

    for (size_t i = 0; i < model->point_count; i++) {
        const struct point *a = &model->points[i];

        if (a->word_count > model->max_registers) {
            problems_add(parsing->problems, file, a->line, "%s: %u registers, but a request holds %u", a->name,
                         a->word_count, model->max_registers);
        }
        if (model->even && (a->address % 2 != 0 || a->word_count % 2 != 0)) {
            problems_add(parsing->problems, file, a->line,
                         "%s: register %u begins or ends odd on the wire, but align = even", a->name, a->number);
        }
        for (size_t j = 0; j < i && model->driver == MODEL_MODBUS; j++) {
            const struct point *b = &model->points[j];

            if (a->table == b->table && a->address < b->address + b->word_count
                && b->address < a->address + a->word_count) {
                problems_add(parsing->problems, file, a->line,
                             "%s: register %u is part of %s (line %u) already", a->name, a->number, b->name,
                             b->line);
            }
        }
    }
}

/* What log = names; without it, every number. */
static int mark_logged(struct model_parsing *parsing, const char *file)
{
    struct model *model = parsing->model;
    unsigned log_line = model_key_line(parsing, "log");
    auto_free struct selection *selection = calloc(1, sizeof(*selection));
    int r;

    model->logged = calloc(MAX(model->point_count, (size_t) 1), sizeof(*model->logged));
    if (!selection || !model->logged) {
        return -ENOMEM;
    }
    r = selection_parse(model, parsing->log ? parsing->log : "all", file, log_line, parsing->problems,
                        selection);
    if (r < 0) {
        return r;
    }
    for (unsigned i = 0; i < selection->point_count; i++) {
        const struct point *point = &model->points[selection->points[i]];

        if (point->codec->result == CODEC_TEXT && parsing->log && strstr(parsing->log, point->name)) {
            problems_add(parsing->problems, file, log_line, "log: %s is a text; only numbers are logged",
                         point->name);
        }
        model->logged[selection->points[i]] = point->codec->result != CODEC_TEXT;
    }
    return 0;
}

static void finish(struct model_parsing *parsing, const char *file, unsigned problems_before)
{
    struct model *model = parsing->model;
    // where every point was refused, that is said already
    bool empty = model->point_count == 0 && (!parsing->has_points || parsing->problems->count == problems_before);

    if (model_key_line(parsing, "id") == 0) {
        problems_add(parsing->problems, file, 0, "no id = in [model]");
    }
    // a guess would read every register's neighbour, and its numbers may well look right
    if (model->driver == MODEL_MODBUS && model_key_line(parsing, "addresses") == 0) {
        problems_add(parsing->problems, file, 0,
                     "no addresses = in [model]: 'from 0' or 'from 1', as the manual counts registers");
    }
    if (empty) {
        problems_add(parsing->problems, file, 0, "no point in [points]");
    }
    for (size_t i = 0; i < model->avoid_count; i++) {
        if (model->avoid[i].first < model->first_number) {
            problems_add(parsing->problems, file, model_key_line(parsing, "avoid"),
                         "avoid: there is no register 0 where the first is 1");
            continue;
        }
        model->avoid[i].first = (uint16_t) (model->avoid[i].first - model->first_number);
        model->avoid[i].last = (uint16_t) (model->avoid[i].last - model->first_number);
    }
    if (*model->title == '\0') {
        (void) snprintf(model->title, sizeof(model->title), "%s", model->id);
    }
    check_registers(parsing, file);
}

int model_load_text(const char *name, const char *text, size_t size, struct problems *problems,
                    struct model **ret)
{
    auto_model struct model *model = calloc(1, sizeof(*model));
    struct model_parsing parsing = { .model = model, .problems = problems, .source = "" };
    unsigned before = problems->count;
    int r;

    if (!model || !(model->memory = pool_new())) {
        return -ENOMEM;
    }
    model->max_registers = MODBUS_MAX_REGISTERS;
    model->read_gaps = true;
    model->timeout_ms = 500;
    model->source = "";
    model->file = model_keep(&parsing, name);

    r = ini_read_text(name, text, size, take_entry, &parsing, problems);
    if (r == -ENOMEM) {
        return r;
    }
    finish(&parsing, name, before);
    if (problems->count == before) {
        r = mark_logged(&parsing, name);
        if (r == -ENOMEM) {
            return r;
        }
    }
    if (problems->count > before) {
        return -EINVAL;
    }

    *ret = TAKE(model);
    return 0;
}

int model_load(const char *path, struct problems *problems, struct model **ret)
{
    auto_free char *text = NULL;
    size_t size;
    int r;

    r = file_read(path, MAX_FILE_SIZE, &text, &size);
    if (r < 0) {
        return r;
    }
    return model_load_text(path, text, size, problems, ret);
}
