/* SPDX-License-Identifier: MIT */
/* Models that no file has: single registers from the command line, and a model in another byte order. */
#include "app/cli/read.h"

#include "drivers/codec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COMMAND_LINE "--register"

/* What a register is called that came without a name. */
static const struct {
    const char *base;
    const char *name;
} names[] = {
    { "V", "voltage" },          { "A", "current" },            { "W", "power_active" },
    { "VA", "power_apparent" },  { "var", "power_reactive" },   { "Hz", "frequency" },
    { "Wh", "energy_active_total" }, { "varh", "energy_reactive_sum" }, { "VAh", "energy_apparent_sum" },
    { "%", "thd_voltage" },      { "degC", "temperature" },     { "s", "run_seconds" },
};

static const char *name_of_unit(const char *unit)
{
    const char *base;
    int exponent;

    if (quantity_unit(unit, &base, &exponent) == 0) {
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
            if (text_equal(names[i].base, base)) {
                return names[i].name;
            }
        }
    }

    return "value";
}

/* "[NAME] TABLE NUMBER CODEC [RESOLUTION [UNIT]]" as a line of [points]. */
static void add_point(struct text *ret, char *words, unsigned index, unsigned count)
{
    char *first = text_word(&words);
    bool has_name = !text_equal(first, "holding") && !text_equal(first, "input");
    char *table = has_name ? text_word(&words) : first;
    char *number = text_word(&words);
    char *codec_name = text_word(&words);
    char *resolution = text_word(&words);
    char *unit = text_trim(words);
    char one[2];
    unsigned word_count;
    const struct codec *codec = codec_find(codec_name, &word_count);
    const char *name = has_name ? first : name_of_unit(unit);

    if (!has_name && codec && codec->result == CODEC_TEXT) {
        name = "meter_name";
    } else if (!has_name && codec && codec->result == CODEC_PF4Q) {
        name = "power_factor";
    }
    text_add(ret, name);
    if (count > 1 && !has_name && text_equal(name, "value") && index < MAX_INPUTS) {
        text_addf(ret, "_%c", 'a' + (int) index);
    }
    if (*resolution == '\0' && !(codec && codec->result == CODEC_TEXT)) {
        resolution = strcpy(one, "1");
    }
    text_addf(ret, " %s %s %s %s %s\n", table, number, codec_name, resolution, unit);
}

int read_registers_model(const char *registers, unsigned first_number, struct problems *problems,
                         struct model **ret)
{
    auto_text struct text file = { 0 };
    auto_free char *copy = strdup(registers);
    char *rest = copy, *words;
    unsigned count = 1;

    if (!copy) {
        return -ENOMEM;
    }
    if (strpbrk(registers, "\r\n#")) {
        problems_add(problems, COMMAND_LINE, 0, "one line is expected: \"holding 3028 f32.abcd 1 V\"");
        return -EINVAL;
    }

    for (const char *c = registers; *c; c++) {
        count += *c == ',';
    }
    text_addf(&file, "[model]\nid = register\ntitle = registers of the command line\naddresses = from %u\n"
                     "serial = 9600 8N1\nsource = " COMMAND_LINE "\nverified = document\nmax_registers = 125\n"
                     "log = all\n[points]\n", first_number);
    for (unsigned i = 0; (words = text_item(&rest)); i++) {
        add_point(&file, words, i, count);
    }
    if (file.failed) {
        return -ENOMEM;
    }
    return model_load_text(COMMAND_LINE, file.data, file.size, problems, ret);
}
