/* SPDX-License-Identifier: MIT */
#include "app/cli/demo_view.h"

#include "app/base/file.h"
#include "app/base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TAIL_SIZE    8192                // of the recorded frames: some twenty lines
#define CSV_SIZE_MAX (64 * 1024 * 1024)  // of a day, many times over

static int parse_frame(const struct json *json, struct demo_view *view)
{
    const struct json *pixels = json_member(json, "pixels");
    const struct json *words = json_member(json, "words");

    if (json_count(pixels) != BLINKT_PIXELS || json_count(words) != BLINKT_PIXELS) {
        return -EBADMSG;
    }
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        const char *pixel = json_as_string(json_item(pixels, i));
        const char *word = json_as_string(json_item(words, i));
        unsigned long colour = pixel ? strtoul(pixel, NULL, 16) : 0;

        view->frame.pixels[i] = (struct pixel){ (uint8_t) (colour >> 16), (uint8_t) (colour >> 8), (uint8_t) colour };
        (void) snprintf(view->words[i], sizeof(view->words[i]), "%s", word ? word : "");
    }
    return 0;
}

/* The last whole line that leds has recorded. */
static void update_frame(struct demo_view *view, const struct demo_plant *plant)
{
    auto_close int fd = -1;
    auto_json struct json *json = NULL;
    char path[PATH_SIZE + 32], tail[TAIL_SIZE];
    char *end, *begin;
    struct stat info;
    ssize_t size;

    (void) snprintf(path, sizeof(path), "%s/frames.jsonl", plant->directory);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0 || info.st_size == view->frames_offset) {
        return;
    }
    size = pread(fd, tail, sizeof(tail), info.st_size > TAIL_SIZE ? info.st_size - TAIL_SIZE : 0);
    end = size > 0 ? memrchr(tail, '\n', (size_t) size) : NULL;
    if (!end) {
        return;
    }
    begin = memrchr(tail, '\n', (size_t) (end - tail));
    begin = begin ? begin + 1 : tail;
    if (json_parse(begin, (size_t) (end - begin), &json, NULL) == 0 && parse_frame(json, view) == 0) {
        view->has_frame = true;
        view->frames_offset = info.st_size;
    }
}

void demo_view_update(struct demo_view *view, const struct demo_plant *plant)
{
    struct json *status = NULL;
    char run_dir[PATH_SIZE + 8];
    bool fresh = false;

    update_frame(view, plant);
    (void) snprintf(run_dir, sizeof(run_dir), "%s/run", plant->directory);
    json_free(view->acquire);
    view->acquire = NULL;
    if (status_read(run_dir, "acquire", &status, &fresh) < 0) {
        return;
    }
    if (fresh) {
        view->acquire = status;
    } else {
        json_free(status);
    }
}

void demo_view_clear(struct demo_view *view)
{
    json_free(view->acquire);
    view->acquire = NULL;
}

const struct json *demo_view_meter(const struct demo_view *view, const char *name)
{
    const struct json *meters = json_member(view->acquire, "meters");

    for (size_t i = 0; i < json_count(meters); i++) {
        const char *its_name = json_member_string(json_item(meters, i), "name");

        if (its_name && text_equal(its_name, name)) {
            return json_item(meters, i);
        }
    }
    return NULL;
}

/* Paths of a meter's CSV files, oldest first. The caller frees with globfree(), also after 0. */
static size_t find_csv(const struct demo_plant *plant, const char *meter, glob_t *ret)
{
    char pattern[PATH_SIZE + 128];

    (void) snprintf(pattern, sizeof(pattern), "%s/%s/kwhmeter/*/%s/*.csv", plant->directory,
                    plant->stick_out ? "stick-pulled" : "stick", meter);
    return glob(pattern, 0, NULL, ret) == 0 ? ret->gl_pathc : 0;
}

int demo_view_csv(const struct demo_plant *plant, const char *meter, char *ret, size_t size)
{
    glob_t paths = {};
    size_t count = find_csv(plant, meter, &paths);
    int r = count > 0 ? text_copy(ret, size, paths.gl_pathv[count - 1]) : -ENOENT;

    globfree(&paths);
    return r;
}

unsigned demo_view_rows(const struct demo_plant *plant, const char *meter)
{
    glob_t paths = {};
    size_t count = find_csv(plant, meter, &paths);
    unsigned rows = 0;

    for (size_t i = 0; i < count; i++) {
        auto_free char *text = NULL;
        unsigned lines = 0;
        size_t size;

        if (file_read(paths.gl_pathv[i], CSV_SIZE_MAX, &text, &size) < 0) {
            continue;  // pulled between two looks
        }
        for (size_t j = 0; j < size; j++) {
            lines += text[j] == '\n';
        }
        rows += lines > 0 ? lines - 1 : 0;
    }
    globfree(&paths);
    return rows;
}
