/* SPDX-License-Identifier: MIT */

/* identify = of [model]: what a meter of this model has in its registers, and no other. */

#include "drivers/model_private.h"

#include <stdio.h>
#include <string.h>

#define IDENTITIES_MAX 8

/* "TABLE NUMBER CODEC": as in [points]. */
static bool read_register(struct model_parsing *parsing, char **rest, struct identity *ret)
{
    const struct model *model = parsing->model;
    const char *table = text_word(rest), *number = text_word(rest), *codec = text_word(rest);
    uint64_t address;

    if (!text_equal(table, "holding") && !text_equal(table, "input")) {
        model_fault(parsing, "identify: '%.30s' is no table; 'holding' (function 3) or 'input' (function 4)", table);
        return false;
    }
    ret->table = text_equal(table, "holding") ? MODBUS_HOLDING : MODBUS_INPUT;
    if (text_to_unsigned(number, model->first_number, 65535 + model->first_number, &address) < 0) {
        model_fault(parsing, "identify: register %.30s; %u to %u are allowed", number, model->first_number,
                    65535 + model->first_number);
        return false;
    }
    ret->address = (uint16_t) (address - model->first_number);
    ret->codec = codec_find(codec, &ret->word_count);
    if (!ret->codec || (ret->codec->result != CODEC_TEXT && !text_equal(ret->codec->name, "u16"))
        || ret->codec->type == TYPE_DATETIME4) {
        model_fault(parsing, "identify: codec '%.30s'; text.N and u16 are allowed", codec);
        return false;
    }
    return true;
}

/* "address", "high address", "100-999", "low 1-12" */
static bool read_number_rule(struct identity *identity, char *rest)
{
    char *word = text_word(&rest);
    char end;

    if (text_equal(word, "low") || text_equal(word, "high")) {
        identity->byte = text_equal(word, "low") ? IDENTITY_LOW : IDENTITY_HIGH;
        word = text_word(&rest);
    }
    if (text_equal(word, "address")) {
        identity->kind = IDENTITY_ADDRESS;
        return *text_trim(rest) == '\0';
    }
    identity->kind = IDENTITY_RANGE;
    return sscanf(word, "%5u-%5u%c", &identity->min, &identity->max, &end) == 2 && identity->min <= identity->max
           && *text_trim(rest) == '\0';
}

static void read_identity(struct model_parsing *parsing, char *item)
{
    struct identity *identity = &parsing->model->identities[parsing->model->identity_count];
    const char *nothing = "or nothing";
    size_t length = strlen(item), ending = strlen(nothing);

    *identity = (struct identity){ 0 };
    if (length > ending && text_ends(item, nothing)) {
        item[length - ending] = '\0';
        identity->optional = true;
    }
    if (!read_register(parsing, &item, identity)) {
        return;
    }
    item = text_trim(item);
    if (identity->codec->result == CODEC_TEXT) {
        identity->kind = IDENTITY_TEXT;
        identity->words = model_keep(parsing, item);
    }
    if (identity->codec->result == CODEC_TEXT ? *item == '\0' : !read_number_rule(identity, item)) {
        model_fault(parsing, "identify: what stands there is expected: words of a text, 'address' or a range such as "
                             "100-999, of a 'low' or 'high' byte");
        return;
    }
    parsing->model->identity_count++;
}

void model_read_identify(struct model_parsing *parsing, const char *value)
{
    auto_free char *copy = strdup(value);
    char *rest = copy, *item;

    if (!copy) {
        return;
    }
    if (model_key_line(parsing, "addresses") == 0) {
        model_fault(parsing, "identify: addresses = must stand before it; how registers are counted must be known");
        return;
    }
    if (!parsing->model->identities) {
        parsing->model->identities = calloc(IDENTITIES_MAX, sizeof(*parsing->model->identities));
    }
    while (parsing->model->identities && (item = text_item(&rest))) {
        if (parsing->model->identity_count == IDENTITIES_MAX) {
            model_fault(parsing, "identify: at most %d registers", IDENTITIES_MAX);
            return;
        }
        read_identity(parsing, item);
    }
}
