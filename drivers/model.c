/* SPDX-License-Identifier: MIT */
#include "drivers/model.h"

#include "app/base/pool.h"
#include "drivers/alias.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void model_free(struct model *model)
{
    if (!model) {
        return;
    }
    free(model->points);
    free(model->logged);
    free(model->avoid);
    free(model->identities);
    pool_free(model->memory);
    free(model);
}

void model_freep(struct model **model)
{
    model_free(*model);
}

static int find_point(const struct model *model, const char *name)
{
    for (size_t i = 0; i < model->point_count; i++) {
        if (text_equal(model->points[i].name, name)) {
            return (int) i;
        }
    }
    return -1;
}

int model_point(const struct model *model, const char *name)
{
    const char *alias;
    int index = find_point(model, name);

    if (index >= 0) {
        return index;
    }
    alias = alias_point(name);
    return alias ? find_point(model, alias) : -1;
}

const char *model_nearest_point(const struct model *model, const char *name)
{
    struct nearest nearest = { .word = name };

    for (size_t i = 0; i < model->point_count; i++) {
        nearest_offer(&nearest, model->points[i].name);
    }
    return nearest.best;
}

void point_decode(const struct model *model, const struct point *point, const uint16_t *words,
                  double ret[static 2])
{
    codec_decode(point->codec, words, point->resolution, model->schneider_codes, ret);
}

/* "BIG" is false, "LITTLE" true; NULL keeps what is. */
static int take_order(const char *order, bool *ret_low_first)
{
    if (!order) {
        return 0;
    }
    if (strcasecmp(order, "BIG") != 0 && strcasecmp(order, "LITTLE") != 0) {
        return -EINVAL;
    }
    *ret_low_first = strcasecmp(order, "LITTLE") == 0;
    return 0;
}

int model_reorder(struct model *model, const char *word_order, const char *byte_order)
{
    for (size_t i = 0; i < model->point_count; i++) {
        struct point *point = &model->points[i];
        bool low_word = point->codec->low_word_first, low_byte = point->codec->low_byte_first;

        if (take_order(word_order, &low_word) < 0 || take_order(byte_order, &low_byte) < 0) {
            return -EINVAL;
        }
        point->codec = codec_reorder(point->codec, low_word, low_byte);
    }
    return 0;
}

int model_recount(struct model *model, unsigned first_number)
{
    for (size_t i = 0; i < model->point_count; i++) {
        if (model->points[i].number < first_number) {
            return -ERANGE;
        }
    }
    for (size_t i = 0; i < model->point_count; i++) {
        model->points[i].address = (uint16_t) (model->points[i].number - first_number);
    }
    model->first_number = first_number;
    return 0;
}

/* Numbers that the point stands for: power factors of four quadrants are two. */
static unsigned column_count(const struct point *point)
{
    return point->codec->result == CODEC_TEXT ? 0 : point->codec->result == CODEC_PF4Q ? 2 : 1;
}

/* Add a point unless it is there already. */
static int select_point(const struct model *model, size_t index, struct selection *selection, unsigned *columns)
{
    for (unsigned i = 0; i < selection->point_count; i++) {
        if (selection->points[i] == index) {
            return 0;
        }
    }
    if (selection->point_count == MAX_POINTS || *columns + column_count(&model->points[index]) > MAX_POINTS) {
        return -E2BIG;
    }
    selection->points[selection->point_count++] = (uint16_t) index;
    *columns += column_count(&model->points[index]);
    return 0;
}

/* "log", "all", "voltage*" and plain names. Returns how many points the word stands for. */
static int select_word(const struct model *model, const char *word, struct selection *selection,
                       unsigned *columns)
{
    size_t length = strlen(word);
    bool log = text_equal(word, "log"), all = text_equal(word, "all");
    bool prefix = length > 0 && word[length - 1] == '*';
    int count = 0, r;

    if (!log && !all && !prefix) {
        int index = model_point(model, word);

        return index < 0 ? 0 : (r = select_point(model, (size_t) index, selection, columns)) < 0 ? r : 1;
    }
    for (size_t i = 0; i < model->point_count; i++) {
        if (all || (log && model->logged[i])
            || (prefix && strncmp(model->points[i].name, word, length - 1) == 0)) {
            r = select_point(model, i, selection, columns);
            if (r < 0) {
                return r;
            }
            count++;
        }
    }
    return count;
}

int selection_parse(const struct model *model, const char *list, const char *file, unsigned line,
                    struct problems *problems, struct selection *ret)
{
    auto_free char *copy = strdup(list);
    auto_free struct selection *selection = calloc(1, sizeof(*selection));
    unsigned before = problems->count, columns = 0;
    char *rest = copy, *word;

    if (!copy || !selection) {
        return -ENOMEM;
    }
    while ((word = text_item(&rest))) {
        int r = select_word(model, word, selection, &columns);

        if (r < 0) {
            problems_add(problems, file, line, "more than %d values; name fewer", MAX_POINTS);
            break;
        }
        if (r == 0) {
            char hint[TEXT_HINT_SIZE];

            problems_add(problems, file, line, "%s has no point '%s'%s; 'meterstick models %s' lists them", model->id,
                         word, text_hint(model_nearest_point(model, word), hint), model->id);
        }
    }
    if (problems->count > before) {
        return -EINVAL;
    }

    *ret = *selection;
    return 0;
}

static void add_column(struct layout *layout, const char *name, const char *unit,
                       const struct quantity *quantity)
{
    struct column *column = &layout->columns[layout->count++];

    *column = (struct column){ .quantity = quantity };
    (void) snprintf(column->name, sizeof(column->name), "%s", name);
    (void) snprintf(column->unit, sizeof(column->unit), "%s", unit);
}

/* power_factor_total.max has its direction in power_factor_total_direction.max. */
static void add_direction(struct layout *layout, const struct point *point)
{
    const char *dot = strchr(point->name, '.');
    int length = dot ? (int) (dot - point->name) : (int) strlen(point->name);
    char name[QUANTITY_NAME_SIZE];
    const struct quantity *quantity;

    (void) snprintf(name, sizeof(name), "%.*s_direction", length, point->name);
    quantity = quantity_find(name);  // which has no banks of its own
    (void) snprintf(name, sizeof(name), "%.*s_direction%s", length, point->name, dot ? dot : "");
    add_column(layout, name, "", quantity);
}

void selection_layout(const struct model *model, const struct selection *selection, struct layout *ret)
{
    ret->count = 0;
    for (unsigned i = 0; i < selection->point_count; i++) {
        const struct point *point = &model->points[selection->points[i]];

        if (point->codec->result == CODEC_TEXT) {
            continue;
        }
        add_column(ret, point->name, point->unit, point->quantity);
        if (point->codec->result == CODEC_PF4Q) {
            add_direction(ret, point);
        }
    }
}
