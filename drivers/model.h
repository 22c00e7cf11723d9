/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Meter models: what a .meter file says. docs/adding-a-meter.md describes the format.
 * A loaded model is immutable and may be shared between threads.
 */

#include "app/base/limits.h"
#include "app/base/problems.h"
#include "drivers/codec.h"
#include "drivers/modbus_plan.h"
#include "drivers/sample.h"
#include "drivers/serial.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One line of [points]. */
struct point {
    char name[QUANTITY_NAME_SIZE];
    const struct quantity *quantity;   // NULL for texts
    enum modbus_table table;
    unsigned number;                   // as printed
    uint16_t address;                  // on the wire
    const struct codec *codec;
    unsigned word_count;
    struct decimal resolution;         // raw x resolution = base unit
    char unit[UNIT_SIZE];              // base unit
    unsigned line;                     // in the file
    const char *doubt;                 // what is not certain about it, "" if nothing
    const char *source;
};

enum model_driver { MODEL_MODBUS, MODEL_CURRENTCOST };

enum model_verified { VERIFIED_DOCUMENT, VERIFIED_CAPTURE, VERIFIED_HARDWARE };

enum identity_kind { IDENTITY_TEXT, IDENTITY_ADDRESS, IDENTITY_RANGE };
enum identity_byte { IDENTITY_WHOLE, IDENTITY_LOW, IDENTITY_HIGH };

/* What a meter of a model has in some registers: one item of identify =. */
struct identity {
    enum modbus_table table;
    uint16_t address;                  // on the wire
    unsigned word_count;
    const struct codec *codec;         // a text, or u16
    enum identity_kind kind;
    enum identity_byte byte;           // which the rule is about, of u16
    const char *words;                 // of a text: one of them is in it, whatever the case of its letters
    unsigned min, max;                 // IDENTITY_RANGE
    bool optional;                     // "or nothing": a meter that has no such register may be one, too
};

struct model {
    char id[MODEL_ID_SIZE];
    char title[LABEL_SIZE];
    const char *file;                  // where it was read from
    const char *source;
    enum model_driver driver;          // of MODEL_CURRENTCOST: a point's number is the sensor, its table means nothing
    enum model_verified verified;
    unsigned first_number;             // 0 or 1: what the manual calls the first register
    bool tcp;                          // speaks Modbus TCP by itself
    struct serial_setting serial;      // baud 0 if tcp
    unsigned timeout_ms;               // 500 unless the file says otherwise
    bool schneider_codes;              // not_available = schneider
    unsigned max_registers;
    bool even;
    bool read_gaps;
    struct plan_range *avoid;
    size_t avoid_count;
    struct identity *identities;
    size_t identity_count;
    struct point *points;
    size_t point_count;
    bool *logged;                      // [point_count] named by log =
    struct pool *memory;               // what the strings live in
};

#define auto_model CLEANUP(model_freep)

/*
 * Load a model file. The caller frees *ret with model_free().
 * Errors: -ENOENT, -EACCES, ... the file; -EINVAL problems say file, line and reason, all of them
 */
int model_load(const char *path, struct problems *problems, struct model **ret) MUST_CHECK;
int model_load_text(const char *name, const char *text, size_t size, struct problems *problems,
                    struct model **ret) MUST_CHECK;
void model_free(struct model *model);
void model_freep(struct model **model);

/*
 * Find a model by id: in METERSTICK_MODELS (a directory, for tests) alone if it is set, else in
 * /etc/meterstick/models, then in the models beside the program: <bin>/models, <bin>/../share/meterstick/models.
 * A name with a '/' or ending in .meter is a file's path.
 *
 * Errors: -ENOENT; problems name the nearest known model. Else as model_load()
 */
int model_find(const char *id, struct problems *problems, struct model **ret) MUST_CHECK;

/*
 * Adapt a model that nobody shares to one meter of it (FX-02, FX-06).
 *
 * word_order, byte_order  "BIG" or "LITTLE" in any case, for all numbers; NULL keeps the model's
 * Errors: -EINVAL another word (AUTO would mean this computer's order, which says nothing about the meter)
 */
int model_reorder(struct model *model, const char *word_order, const char *byte_order) MUST_CHECK;

/* Count its registers from 0 or from 1 instead. Errors: -ERANGE register 0 where the first is 1 */
int model_recount(struct model *model, unsigned first_number) MUST_CHECK;

/* Paths of all models that model_find() would find, sorted by id, one a line. */
int model_list(struct text *ret) MUST_CHECK;

/* The index of a point by name, or by its FX name (FX-09: "current_phase_a"); -1 if there is none. */
int model_point(const struct model *model, const char *name);
const char *model_nearest_point(const struct model *model, const char *name);

/* Decode a point's words. As codec_decode(). */
void point_decode(const struct model *model, const struct point *point, const uint16_t *words,
                  double ret[static 2]);

/*
 * The points to read, in the order asked for, and what their numbers are.
 *
 * A list is "log" (what the model logs by default), "all", or names with commas: a point's, or "voltage*"
 * for all that begin so. Errors: -EINVAL; problems name file:line, the word and the nearest point
 */
struct selection {
    unsigned point_count;
    uint16_t points[MAX_POINTS];       // indices into model->points
};

int selection_parse(const struct model *model, const char *list, const char *file, unsigned line,
                    struct problems *problems, struct selection *ret) MUST_CHECK;
void selection_layout(const struct model *model, const struct selection *selection, struct layout *ret);
