/* SPDX-License-Identifier: MIT */
#pragma once

/* What model_parse.c (a .meter file as a whole), model_keys.c ([model]) and model_points.c ([points]) share. */

#include "app/base/ini.h"
#include "drivers/model.h"

#define MODEL_KEY_COUNT 16  // of [model]

struct model_parsing {
    struct model *model;
    struct problems *problems;
    const struct ini_entry *entry;         // the one at hand
    const char *log;                       // log = list, until all points are known
    unsigned key_lines[MODEL_KEY_COUNT];   // where each key of [model] stands, 0 where it does not
    const char *source;                    // of the points that follow
    bool has_points;
    size_t point_capacity;
};

#define model_fault(parsing, ...)                                                                  \
    problems_add((parsing)->problems, (parsing)->entry->file, (parsing)->entry->line, __VA_ARGS__)

/* A copy that lives as long as the model; "" without memory. */
const char *model_keep(struct model_parsing *parsing, const char *string);

/* model_keys.c: the entry is a key of [model]; and the line of one, 0 if it does not stand there */
void model_read_key(struct model_parsing *parsing);
unsigned model_key_line(const struct model_parsing *parsing, const char *key);

/* model_identify.c: the value of identify = */
void model_read_identify(struct model_parsing *parsing, const char *value);

/* model_points.c: the entry is a line of [points] */
void model_read_point(struct model_parsing *parsing);
