/* SPDX-License-Identifier: MIT */
#include "app/cli/demo_screen.h"

#include "app/base/file.h"
#include "leds/terminal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define CSV_LINES    4    // of the file's end
#define CSV_SIZE_MAX (64 * 1024 * 1024)
#define LINE_END     "\x1b[K\n"  // the rest of an older, longer line is cut
#define BOLD         "\x1b[1m"
#define DIM          "\x1b[2m"
#define PLAIN        "\x1b[0m"

/* What a column of the table shows: the first of these names that a meter has. */
static const struct {
    const char *title, *unit;
    int width, decimals;
    const char *names[3];
} columns[] = {
    { "power",   "W",   6, 0, { "power_active", "power_active_total", "power_active_s0" } },
    { "voltage", "V",   7, 1, { "voltage", "voltage_l1_n" } },
    { "current", "A",   7, 2, { "current", "current_l1" } },
    { "energy",  "kWh", 9, 1, { "energy_active_import" } },
};

int demo_screen_open(struct demo_screen *ret)
{
    static const char enter[] = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";  // own page, no cursor, no wrapping
    struct termios raw;

    *ret = (struct demo_screen){};
    if (tcgetattr(STDIN_FILENO, &ret->before) < 0) {
        return -errno;
    }
    raw = ret->before;
    raw.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0) {
        return -errno;
    }
    ret->raw = true;
    return file_write_all(STDOUT_FILENO, enter, sizeof(enter) - 1);
}

void demo_screen_close(struct demo_screen *screen)
{
    static const char leave[] = "\x1b[?7h\x1b[?25h\x1b[?1049l";

    if (!screen->raw) {
        return;
    }
    (void) tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
    (void) !write(STDOUT_FILENO, leave, sizeof(leave) - 1);  // if the terminal is gone, so is the need
    screen->raw = false;
}

static void add_lights(struct text *text, const struct demo_view *view, enum terminal_mode mode)
{
    static const struct frame dark;
    const char *words[BLINKT_PIXELS];

    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        words[i] = view->has_frame ? view->words[i] : "";
    }
    terminal_add_frame(text, mode, view->has_frame ? &view->frame : &dark, words);
}

static double find_value(const struct json *meter, size_t column)
{
    const struct json *values = json_member(meter, "values");
    double value = NAN;

    for (size_t i = 0; i < ARRAY_SIZE(columns[column].names) && columns[column].names[i] && isnan(value); i++) {
        value = json_member_number(values, columns[column].names[i]);
    }
    return text_equal(columns[column].unit, "kWh") ? value / 1000 : value;  // k is only for the eye
}

static void add_meter(struct text *text, const struct demo_view *view, const struct demo_meter *meter)
{
    const struct json *json = demo_view_meter(view, meter->name);
    const char *state = json ? json_member_string(json, "state") : NULL;
    bool live = state && text_equal(state, "live");

    text_addf(text, "%-10s%-21s%s%-7s" PLAIN, meter->name, meter->model,
              live ? "\x1b[32m" : "\x1b[33m", state ? state : "");
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        double value = find_value(json, i);

        if (live && !isnan(value)) {
            text_addf(text, "%*.*f %s", columns[i].width, columns[i].decimals, value, columns[i].unit);
        } else {
            text_addf(text, "%*s", columns[i].width + 1 + (int) strlen(columns[i].unit), "");
        }
    }
    text_addf(text, "   " DIM "%s" PLAIN LINE_END, meter->where);
}

/* Where the last `count` lines of a text begin. */
static const char *last_lines(const char *text, size_t size, unsigned count)
{
    const char *begin = text + size;

    for (unsigned i = 0; i <= count && begin > text; i++) {
        const char *before = memrchr(text, '\n', (size_t) (begin - text));

        if (!before) {
            return text;
        }
        begin = before;
    }
    return begin > text ? begin + 1 : text;
}

static void add_line(struct text *text, const char *line, size_t length)
{
    text_add_bytes(text, line, length);
    text_add(text, LINE_END);
}

/* Where the file is, its header and its last rows. */
static void add_csv(struct text *text, const struct demo_plant *plant, const char *meter)
{
    auto_free char *csv = NULL;
    char path[PATH_SIZE + 128];
    const char *header_end, *line;
    size_t size = 0;
    unsigned shown = 0;

    if (demo_view_csv(plant, meter, path, sizeof(path)) < 0 || file_read(path, CSV_SIZE_MAX, &csv, &size) < 0) {
        text_addf(text, BOLD "CSV of %s" PLAIN " " DIM "(nothing on the stick yet)" PLAIN LINE_END, meter);
    } else {
        text_addf(text, BOLD "CSV" PLAIN " %s" LINE_END, path + strlen(plant->directory) + 1);
    }
    header_end = size > 0 ? memchr(csv, '\n', size) : NULL;
    if (header_end) {
        text_add(text, DIM);
        add_line(text, csv, (size_t) (header_end - csv) - (header_end > csv && header_end[-1] == '\r'));
        text_add(text, PLAIN);
        line = last_lines(csv, size, CSV_LINES);
        line = MAX(line, header_end + 1);
        while (line < csv + size) {
            const char *end = memchr(line, '\n', (size_t) (csv + size - line));

            if (!end) {
                break;
            }
            add_line(text, line, (size_t) (end - line) - (end > line && end[-1] == '\r'));
            line = end + 1;
            shown++;
        }
    }
    for (unsigned i = shown; i < CSV_LINES; i++) {
        text_add(text, LINE_END);
    }
}

void demo_screen_add(struct text *text, const struct demo_view *view, const struct demo_plant *plant,
                     uint64_t elapsed_ms, unsigned shown, const char *news)
{
    unsigned seconds = (unsigned) (elapsed_ms / 1000);
    auto_text struct text lights = {};
    char *line, *rest;

    text_addf(text, "\x1b[H" BOLD "Meterstick" PLAIN " demo: the meters are simulated, everything else is real  %u:%02u"
              LINE_END LINE_END, seconds / 60, seconds % 60);
    add_lights(&lights, view, terminal_mode_of(STDOUT_FILENO));
    rest = lights.data;
    while (rest && (line = strsep(&rest, "\n")) && rest) {
        add_line(text, line, strlen(line));
    }
    text_addf(text, LINE_END BOLD "%-10s%-21s%-7s", "meter", "model", "state");
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        text_addf(text, "%*s", columns[i].width + 1 + (int) strlen(columns[i].unit), columns[i].title);
    }
    text_add(text, PLAIN LINE_END);
    for (unsigned i = 0; i < DEMO_METERS; i++) {
        add_meter(text, view, &demo_meters[i]);
    }
    if (plant->stick_out) {
        text_add(text, "\x1b[33mThe stick is pulled: readings go on into the journal." PLAIN LINE_END);
    } else {
        text_add(text, LINE_END);
    }
    add_csv(text, plant, demo_meters[shown].name);
    text_addf(text, LINE_END BOLD "k" PLAIN " %s %s   " BOLD "s" PLAIN " %s the stick   " BOLD "m" PLAIN
              " next CSV   " BOLD "q" PLAIN " quit" LINE_END, plant->victim_dead ? "revive" : "kill",
              demo_meters[DEMO_VICTIM].name, plant->stick_out ? "put back" : "pull");
    text_addf(text, DIM "%s" PLAIN "\x1b[K\x1b[J", news);
}

void demo_screen_add_plain(struct text *text, const struct demo_view *view, const struct demo_plant *plant,
                           uint64_t elapsed_ms)
{
    text_addf(text, "%3u s  lights ", (unsigned) (elapsed_ms / 1000));
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        text_addf(text, "%c ", view->has_frame ? terminal_letter(&view->frame.pixels[i]) : '?');
    }
    text_add(text, " rows on the stick:");
    for (unsigned i = 0; i < DEMO_METERS; i++) {
        text_addf(text, " %s %u", demo_meters[i].name, demo_view_rows(plant, demo_meters[i].name));
    }
    text_add(text, "\n");
}
