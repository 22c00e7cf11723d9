/* SPDX-License-Identifier: MIT */
#include "drivers/model.h"

#include "app/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ENDING ".meter"
#define NAMES_MAX 512  // model files in all directories

/* Where models are looked for, the first wins. Returns how many. */
static int directories(char ret[static 3][PATH_SIZE])
{
    const char *only = getenv("METERSTICK_MODELS");
    char program[PATH_SIZE - 32];

    if (only && *only) {
        return text_copy(ret[0], PATH_SIZE, only) < 0 ? 0 : 1;
    }
    (void) snprintf(ret[0], PATH_SIZE, "/etc/meterstick/models");
    if (file_program_directory(program, sizeof(program)) < 0) {
        return 1;
    }
    (void) snprintf(ret[1], PATH_SIZE, "%s/models", program);
    // installed: <prefix>/bin/meterstick and <prefix>/libexec/meterstick/meterstick-acquire
    (void) snprintf(ret[2], PATH_SIZE, "%s/%s/share/meterstick/models", program,
                    text_ends(program, "/libexec/meterstick") ? "../.." : "..");
    return 3;
}

/* By id: the ending must not count, for '-' sorts before its dot. */
static int compare_paths(const void *a, const void *b)
{
    const char *x = strrchr(*(char *const *) a, '/'), *y = strrchr(*(char *const *) b, '/');
    size_t x_size = strlen(x) - strlen(ENDING), y_size = strlen(y) - strlen(ENDING);
    int r = strncmp(x, y, MIN(x_size, y_size));

    return r != 0 ? r : (x_size > y_size) - (x_size < y_size);
}

/* Add the model files of a directory whose names are not there yet. */
static int collect(const char *directory, char **paths, size_t *count)
{
    DIR *listing = opendir(directory);
    struct dirent *entry;

    if (!listing) {
        return 0;  // a place that need not be there
    }
    while ((entry = readdir(listing)) && *count < NAMES_MAX) {
        bool known = false;
        char path[PATH_SIZE];

        if (!text_ends(entry->d_name, ENDING) || file_path(path, sizeof(path), directory, entry->d_name) < 0) {
            continue;
        }
        for (size_t i = 0; i < *count && !known; i++) {
            known = text_equal(strrchr(paths[i], '/') + 1, entry->d_name);
        }
        if (!known) {
            paths[*count] = strdup(path);
            *count += paths[*count] != NULL;
        }
    }
    (void) closedir(listing);
    return 0;
}

int model_list(struct text *ret)
{
    char places[3][PATH_SIZE];
    char *paths[NAMES_MAX];
    size_t count = 0;
    int place_count = directories(places);
    int r = 0;

    for (int i = 0; i < place_count && r == 0; i++) {
        r = collect(places[i], paths, &count);
    }
    qsort(paths, count, sizeof(paths[0]), compare_paths);
    for (size_t i = 0; i < count; i++) {
        text_addf(ret, "%s\n", paths[i]);
        free(paths[i]);
    }
    return ret->failed ? -ENOMEM : r;
}

static void say_unknown(const char *id, struct problems *problems)
{
    auto_text struct text list = { 0 };
    struct nearest nearest = { .word = id };
    char hint[TEXT_HINT_SIZE];
    char *rest, *path;

    if (model_list(&list) < 0 || !list.data) {
        problems_add(problems, NULL, 0, "there is no model '%s', nor any other", id);
        return;
    }
    for (rest = list.data; (path = strsep(&rest, "\n")) && *path;) {
        char *name = strrchr(path, '/') + 1;

        name[strlen(name) - strlen(ENDING)] = '\0';
        nearest_offer(&nearest, name);
        if (strlen(id) >= 3 && strstr(name, id) && !(nearest.best && strstr(nearest.best, id))) {
            nearest = (struct nearest){ .word = id, .best = name };  // "iem2150" means schneider-iem2150
        }
    }
    problems_add(problems, NULL, 0, "there is no model '%s'%s; 'meterstick models' lists them", id,
                 text_hint(nearest.best, hint));
}

int model_find(const char *id, struct problems *problems, struct model **ret)
{
    char places[3][PATH_SIZE];
    int place_count, r;

    if (strchr(id, '/') || text_ends(id, ENDING)) {
        r = model_load(id, problems, ret);
        if (r < 0 && r != -EINVAL) {
            problems_add(problems, id, 0, "%s", strerror(-r));
        }
        return r;
    }

    place_count = directories(places);
    for (int i = 0; i < place_count; i++) {
        char path[2 * PATH_SIZE];

        if ((size_t) snprintf(path, sizeof(path), "%s/%s" ENDING, places[i], id) >= sizeof(path)) {
            break;
        }
        r = model_load(path, problems, ret);
        if (r == -EACCES) {
            problems_add(problems, path, 0, "%s", strerror(-r));
        }
        if (r != -ENOENT && r != -ENOTDIR) {
            return r;
        }
    }
    say_unknown(id, problems);
    return -ENOENT;
}
