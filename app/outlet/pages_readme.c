/* SPDX-License-Identifier: MIT */

#include "app/outlet/pages_readme.h"

#include "drivers/column.h"

#include <errno.h>
#include <string.h>

static const char about[] =
    "THE READINGS OF '%s'\n"
    "\n"
    "Written by Meterstick, a logger of electricity meters. To look at them, open\n"
    "open-me.html in any browser: it works without a network. To work with them, open\n"
    "the tables in a spreadsheet.\n"
    "\n"
    "Pull the stick whenever its blue light is dark. Nothing is lost: the logger keeps\n"
    "all readings and writes what is missing here when the stick is back.\n"
    "\n"
    "\n"
    "What is here\n"
    "------------\n"
    "  open-me.html   power and energy as pictures: written when the stick comes in, and\n"
    "                 once a day\n"
    "  status.txt     how the logger was when it last wrote here\n"
    "  READ-ME.txt    this text\n"
    "\n"
    "A file meterstick.conf in the root of this stick sets the logger up; RESULT.txt beside\n"
    "it is the answer.\n"
    "\n";

static const char tables[] =
    "  <meter>/2026-11-20.csv      the readings of a meter on that day, local time\n"
    "  <meter>/2026-11-20-r1.csv   goes on where 2026-11-20.csv was changed by somebody, or\n"
    "                              got other columns: what you change stays as it is\n"
    "  <meter>/boot-17.csv         readings from before the logger knew the time; they move\n"
    "                              into the days' files once it does, and this file goes\n"
    "  .cursor.0, .cursor.1        how far this stick has come. Leave them, or all is\n"
    "                              compared anew\n"
    "\n"
    "\n"
    "The tables\n"
    "----------\n"
    "One line for each reading, values separated by commas, decimal points. Numbers are\n"
    "in V, A, W, Wh, Hz and so on, never in thousands. An EMPTY CELL IS A MISSING VALUE:\n"
    "it is not 0.\n"
    "\n"
    "  utc       world time, 2026-11-20T10:00:00.000Z\n"
    "  local     the same in the logger's time zone, without a shift of its own: on the\n"
    "            day on which the clocks go back an hour comes twice, utc tells which\n"
    "  quality   one letter for the clock:\n"
    "              N  known from the network      H  was known, held since\n"
    "              R  battery clock, or a person  C  corrected: learned later\n"
    "              E  an estimate                 U  unknown (boot-<n>.csv only)\n"
    "            then m if a value is missing, g if a counter's reading was not believed\n"
    "            and held back\n"
    "  boot_s    boot-<n>.csv only: seconds since the logger started\n"
    "  seq       number of the reading, never given twice: sort and merge by it\n"
    "\n"
    "Energies are counters: what was used in a time is the last reading minus the first.\n"
    "\n"
    "\n"
    "How to open them\n"
    "----------------\n"
    "  Spreadsheet   open the file; separated by comma, decimal point. Where the decimal\n"
    "                sign is a comma: import as text with language English (USA).\n"
    "  SQLite        sqlite3 all.db \".import --csv 2026-11-20.csv kitchen\"\n"
    "\n"
    "\n"
    "The columns of each meter\n"
    "-------------------------\n";

static const char seed_tables[] =
    "  <meter>/20261120-10.00.00.csv   the readings of a meter from that moment on (UTC),\n"
    "                                  until midnight UTC or a new start of the logger\n"
    "  .cursor.0, .cursor.1            how far this stick has come. Leave them\n"
    "\n"
    "\n"
    "The tables\n"
    "----------\n"
    "The form of energy-scribe: one line for each reading, values separated by commas,\n"
    "names and units as that program had them; Time is UTC. An EMPTY CELL IS A MISSING\n"
    "VALUE: it is not 0.\n"
    "\n"
    "  iEM2150   V, A, kW, kvar, Hz, Wh\n"
    "  DDS238    V, A, W, var, Hz, kWh\n";

static const struct {
    const char *unit, *words;
} units[] = {
    { "%", "percent" },
    { "A", "A, ampere" },
    { "Hz", "Hz, hertz" },
    { "V", "V, volt" },
    { "VA", "VA, volt-ampere" },
    { "VAh", "VAh, volt-ampere-hours" },
    { "W", "W, watt" },
    { "Wh", "Wh, watt-hours" },
    { "degC", "degrees Celsius" },
    { "degF", "degrees Fahrenheit" },
    { "s", "s, seconds" },
    { "var", "var, reactive volt-ampere" },
    { "varh", "varh, reactive volt-ampere-hours" },
};

static const char *unit_words(const char *unit)
{
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (text_equal(units[i].unit, unit)) {
            return units[i].words;
        }
    }

    return unit;
}

/* Meters with the same columns. */
struct group {
    struct text names, columns;
};

struct groups {
    struct group *groups;
    unsigned count;
    struct text seen;   // " kitchen cellar ": the newest columns of a name count
    bool failed;
};

static void clear_groups(struct groups *groups)
{
    for (unsigned i = 0; i < groups->count; i++) {
        text_clear(&groups->groups[i].names);
        text_clear(&groups->groups[i].columns);
    }
    free(groups->groups);
    text_clear(&groups->seen);
}

static void add_columns(struct text *text, const struct layout *layout)
{
    char label[COLUMN_LABEL_SIZE];

    for (unsigned i = 0; i < layout->count; i++) {
        const struct column *column = &layout->columns[i];
        bool counter = column->quantity && column->quantity->kind == QUANTITY_COUNTER;

        text_addf(text, "    %-40s %s%s\n", column_label(column, label), unit_words(column->unit),
                  counter ? "; a counter" : "");
    }
}

static void add_name(struct text *names, const char *name)
{
    const char *last_line = names->size > 0 ? strrchr(names->data, '\n') : NULL;
    size_t width = names->size - (last_line ? (size_t) (last_line - names->data) : 0);

    text_add(names, names->size == 0 ? "  " : width + strlen(name) > 78 ? ",\n  " : ", ");
    text_add(names, name);
}

/* Newest first. */
static void take_meter(void *data, const struct journal_meter *meter)
{
    auto_text struct text columns = {}, word = {};
    struct groups *groups = data;
    struct group *grown;

    text_addf(&word, " %s ", meter->name);
    add_columns(&columns, &meter->layout);
    groups->failed = groups->failed || word.failed || columns.failed;
    if (groups->failed || strstr(text_string(&groups->seen), word.data)) {
        return;
    }
    text_add(&groups->seen, word.data);

    for (unsigned i = 0; i < groups->count; i++) {
        if (text_equal(text_string(&groups->groups[i].columns), text_string(&columns))) {
            add_name(&groups->groups[i].names, meter->name);
            return;
        }
    }

    grown = reallocarray(groups->groups, groups->count + 1, sizeof(*grown));
    if (!grown) {
        groups->failed = true;
        return;
    }
    groups->groups = grown;
    grown[groups->count] = (struct group){ .columns = columns };
    columns = (struct text){};
    add_name(&grown[groups->count++].names, meter->name);
}

int pages_readme(struct text *ret, const char *appliance, enum csv_format format, struct journal *journal)
{
    CLEANUP(clear_groups) struct groups groups = {};
    auto_text struct text text = {};
    int r;

    text_addf(&text, about, appliance);
    text_add(&text, format == CSV_METERSTICK ? tables : seed_tables);
    if (format == CSV_METERSTICK) {
        r = journal_each_meter(journal, take_meter, &groups);
        if (r < 0) {
            return r;
        }
    }
    for (unsigned i = 0; i < groups.count; i++) {
        text_addf(&text, "%s%s\n%s", i > 0 ? "\n" : "", text_string(&groups.groups[i].names),
                  text_string(&groups.groups[i].columns));
    }
    if (format == CSV_METERSTICK && groups.count == 0) {
        text_add(&text, "  No meter has answered yet.\n");
    }

    pages_readme_finish(&text, ret);
    return groups.failed || text.failed || ret->failed ? -ENOMEM : 0;
}

void pages_readme_finish(const struct text *text, struct text *ret)
{
    const char *bytes = text_string(text);

    for (const char *at = bytes; *at; at++) {
        if ((unsigned char) *at >= 0x80) {
            text_add(ret, "\xEF\xBB\xBF");
            break;
        }
    }
    for (; *bytes; bytes++) {
        text_add(ret, *bytes == '\n' ? "\r" : "");
        text_add_char(ret, *bytes);
    }
}
