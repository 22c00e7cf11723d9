/* SPDX-License-Identifier: MIT */
#include "app/config/import_cvm.h"

#include "app/base/decimal.h"
#include "app/base/limits.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Its numbers a line: the line's own number stands between the two (CVM-05). */
static const struct {
    const char *before;
    const char *after;
} line_points[] = {
    { "voltage_l", "_n" },
    { "current_l", "" },
    { "power_active_l", "" },
    { "power_reactive_l", "" },
    { "power_factor_l", "" },
    { "thd_voltage_l", "" },
    { "thd_current_l", "" },
};

/* Its three-phase numbers (CVM-05). */
static const struct {
    const char *point;
    bool has_banks;
} three_phase_points[] = {
    { "frequency", true },
    { "power_active_total", true },
    { "power_reactive_inductive_total", true },
    { "power_reactive_capacitive_total", true },
    { "cos_phi_total", true },
    { "power_factor_total", true },
    { "voltage_l12", true },
    { "voltage_l23", true },
    { "voltage_l31", true },
    { "power_apparent_total", true },
    { "max_demand", false },
    { "current_avg", true },
    { "current_n", true },
    { "max_demand_l2", false },
    { "max_demand_l3", false },
    { "energy_active_import", false },
    { "energy_reactive_inductive_import", false },
    { "energy_reactive_capacitive_import", false },
    { "energy_apparent_import", false },
    { "energy_active_export", false },
    { "energy_reactive_inductive_export", false },
    { "energy_reactive_capacitive_export", false },
    { "energy_apparent_export", false },
};

enum item { PORT, FILE_BASE, LINE_LIST, THREE_PHASE_LIST, BANK, SAMPLING, LOGGING, URL, ITEMS };

/* In the order of the positional form. */
static const char *const keys[ITEMS] = { "puerto", "archivo",          "lista_por_linea",  "lista_trifasicas",
                                         "cual",   "periodo_muestreo", "periodo_registro", "url" };

struct setup {
    const char *file;
    struct problems *problems;
    char values[ITEMS][PATH_SIZE];
    unsigned lines[ITEMS];         // 0: not given
    bool line_numbers[ARRAY_SIZE(line_points)];
    bool three_phase_numbers[ARRAY_SIZE(three_phase_points)];
    const char *bank;              // "", ".max", ".min"
    uint64_t sampling_ms;
    uint64_t logging_ms;
};

static int key_find(const char *word)
{
    for (int i = 0; i < ITEMS; i++) {
        if (text_equal(keys[i], word)) {
            return i;
        }
    }

    return -1;
}

static void store(struct setup *setup, enum item item, unsigned line, const char *value)
{
    if (setup->lines[item]) {
        problems_add(setup->problems, setup->file, line, "%s stands there twice, first in line %u", keys[item],
                     setup->lines[item]);
        return;
    }

    setup->lines[item] = line;
    if (text_copy(setup->values[item], sizeof(setup->values[item]), value) < 0) {
        problems_add(setup->problems, setup->file, line, "%s: longer than %d bytes", keys[item], PATH_SIZE - 1);
    }
}

/* One line that is neither empty nor a comment. The first decides which form the file has. */
static void read_line(struct setup *setup, unsigned number, char *line, int *form, int *next)
{
    char copy[PATH_SIZE * 2];
    char *rest = copy, *word;
    int item;

    (void) snprintf(copy, sizeof(copy), "%s", line);
    word = text_word(&rest);
    item = key_find(word);
    if (*form < 0) {
        *form = item >= 0;
    }

    if (*form == 0) {
        if (*next < ITEMS) {
            store(setup, (enum item)(*next)++, number, line);
        } else {
            problems_add(setup->problems, setup->file, number, "a ninth line; %d values are expected", ITEMS);
        }
        return;
    }
    if (item < 0) {
        char hint[TEXT_HINT_SIZE];

        problems_add(setup->problems, setup->file, number, "unknown key '%s'%s", word,
                     text_hint(text_nearest(word, keys, ITEMS), hint));
        return;
    }
    store(setup, (enum item) item, number, text_trim(rest));
}

static void read_lines(struct setup *setup, const char *text, size_t size)
{
    static const char bom[] = "\xef\xbb\xbf";
    const char *end = text + size;
    int form = -1, next = 0;

    if (size >= 3 && memcmp(text, bom, 3) == 0) {
        text += 3;
    }
    for (unsigned number = 1; text < end; number++) {
        const char *newline = memchr(text, '\n', (size_t) (end - text)) ?: end;
        char line[PATH_SIZE * 2];
        size_t length = (size_t) (newline - text);

        if (length >= sizeof(line)) {
            problems_add(setup->problems, setup->file, number, "a line of %zu bytes; %zu are allowed", length,
                         sizeof(line) - 1);
        } else if (memchr(text, '\0', length)) {
            problems_add(setup->problems, setup->file, number, "a NUL byte: this is no text file");
        } else {
            char *trimmed;

            memcpy(line, text, length);
            line[length] = '\0';
            trimmed = text_trim(line);
            if (*trimmed && *trimmed != '#') {
                read_line(setup, number, trimmed, &form, &next);
            }
        }
        text = newline < end ? newline + 1 : end;
    }
}

static void take_numbers(struct setup *setup, enum item item, bool *ret, size_t count)
{
    char *rest = setup->values[item], *word;

    while ((word = text_item(&rest))) {
        uint64_t number;

        if (*word == '\0') {
            continue;
        }
        if (text_to_unsigned(word, 0, count - 1, &number) < 0) {
            problems_add(setup->problems, setup->file, setup->lines[item],
                         "%s: '%s': numbers from 0 to %zu are allowed", keys[item], word, count - 1);
            continue;
        }
        ret[number] = true;
    }
}

static void take_bank(struct setup *setup)
{
    static const struct {
        const char *word;
        const char *bank;
    } banks[] = { { "instant", "" }, { "now", "" }, { "max", ".max" }, { "min", ".min" } };

    for (size_t i = 0; i < ARRAY_SIZE(banks); i++) {
        if (text_equal(setup->values[BANK], banks[i].word)) {
            setup->bank = banks[i].bank;
            return;
        }
    }

    problems_add(setup->problems, setup->file, setup->lines[BANK], "%s: '%s': instant, now, max or min is allowed",
                 keys[BANK], setup->values[BANK]);
}

static uint64_t take_period(struct setup *setup, enum item item, uint64_t unit_ms, const char *unit)
{
    uint64_t ms = 1000;

    if (text_to_duration_ms(setup->values[item], unit_ms, 100, 86400000, &ms) < 0) {
        problems_add(setup->problems, setup->file, setup->lines[item],
                     "%s: '%s': a number of %s is expected, 0.1 s to a day", keys[item], setup->values[item], unit);
    }
    return ms;
}

static void check(struct setup *setup)
{
    for (int i = 0; i < URL; i++) {
        if (!setup->lines[i]) {
            problems_add(setup->problems, setup->file, 0, "%s is missing (value %d of 8)", keys[i], i + 1);
        }
    }
    if (setup->problems->count) {
        return;
    }

    take_numbers(setup, LINE_LIST, setup->line_numbers, ARRAY_SIZE(line_points));
    take_numbers(setup, THREE_PHASE_LIST, setup->three_phase_numbers, ARRAY_SIZE(three_phase_points));
    take_bank(setup);
    setup->sampling_ms = take_period(setup, SAMPLING, 1000, "seconds");
    setup->logging_ms = take_period(setup, LOGGING, 60000, "minutes");
    if (setup->logging_ms < setup->sampling_ms) {
        problems_add(setup->problems, setup->file, setup->lines[LOGGING], "%s is shorter than %s", keys[LOGGING],
                     keys[SAMPLING]);
    }
}

static void add_point(struct text *ret, const char *point, const char *bank)
{
    text_addf(ret, "%s%s%s", ret->size ? "," : "", point, bank);
}

/* The list, in the order of the columns. Returns how many stay without the bank that was asked for. */
static unsigned add_points(const struct setup *setup, struct text *ret)
{
    unsigned without_bank = 0;

    for (int line = 1; line <= 3; line++) {
        for (size_t i = 0; i < ARRAY_SIZE(line_points); i++) {
            char point[QUANTITY_NAME_SIZE];

            if (setup->line_numbers[i]) {
                (void) snprintf(point, sizeof(point), "%s%d%s", line_points[i].before, line, line_points[i].after);
                add_point(ret, point, setup->bank);
            }
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(three_phase_points); i++) {
        if (setup->three_phase_numbers[i]) {
            bool plain = *setup->bank && !three_phase_points[i].has_banks;

            add_point(ret, three_phase_points[i].point, plain ? "" : setup->bank);
            without_bank += plain;
        }
    }

    return without_bank;
}

/* COM ports are Windows' own: there the only adapter is meant. */
static void add_port(const struct setup *setup, struct text *ret)
{
    const char *port = setup->values[PORT];

    if (strncasecmp(port, "com", 3) == 0 && isdigit((unsigned char) port[3])) {
        text_addf(ret, "port = auto                # was %s: the only adapter, or its /dev/serial/by-id/ name\n", port);
    } else {
        text_addf(ret, "port = %s%s\n", *port == '/' || strchr(port, ':') ? "" : "/dev/", port);
    }
}

int import_cvm(const char *name, const char *text, size_t size, struct problems *problems, struct text *ret)
{
    struct problems mine = { 0 };
    struct setup setup = { .file = name, .problems = &mine, .bank = "" };
    auto_text struct text points = { 0 };
    unsigned without_bank;

    read_lines(&setup, text, size);
    check(&setup);
    if (mine.count == 0 && add_points(&setup, &points) == 0 && points.size == 0) {
        problems_add(&mine, name, setup.lines[LINE_LIST], "no quantity is named");
    }
    if (mine.count) {
        if (problems->text.size) {
            text_add_char(&problems->text, '\n');
        }
        text_add(&problems->text, problems_text(&mine));
        problems->count += mine.count;
        problems_clear(&mine);
        return -EINVAL;
    }

    text_reset(&points);
    without_bank = add_points(&setup, &points);
    text_addf(ret, "# made from the CVM setup %s\n", name);
    text_addf(ret, "# its log file was %s: ours are on the stick, a folder a meter, a file a day\n",
              setup.values[FILE_BASE]);
    if (setup.lines[URL]) {
        text_addf(ret, "# its url was %s\n", setup.values[URL]);
    }
    if (without_bank) {
        text_addf(ret, "# energies and maximum demands have no %s: they are logged as they are\n", setup.bank + 1);
    }
    text_add(ret, "\n[bus cvm]\n");
    add_port(&setup, ret);
    text_addf(ret, "serial = 9600 8N1\n\n[meter cvm]\nbus = cvm\nmodel = circutor-cvm-nrg96\naddress = 1\n");
    text_addf(ret, "interval = %llu ms\nlog_every = %llu ms\nlog = %s\n", (unsigned long long) setup.sampling_ms,
              (unsigned long long) setup.logging_ms, text_string(&points));
    return ret->failed || points.failed ? -ENOMEM : 0;
}
