/* SPDX-License-Identifier: MIT */
#include "board/power.h"

#include "app/base/file.h"
#include "app/base/text.h"

#include <dirent.h>
#include <stdio.h>

#define PATH_SIZE 512

/* Whether the one-line file says exactly that. */
static bool says(const char *directory, const char *sensor, const char *name, const char *word)
{
    auto_free char *text = NULL;
    char path[PATH_SIZE];
    size_t size;

    (void) snprintf(path, sizeof(path), "%s/%s/%s", directory, sensor, name);
    return file_read(path, 4096, &text, &size) == 0 && text_equal(text_trim(text), word);
}

enum power_state power_look(const char *sys_dir)
{
    enum power_state state = POWER_STATE_UNTOLD;
    char directory[PATH_SIZE / 2];
    struct dirent *entry;
    DIR *listing;

    (void) snprintf(directory, sizeof(directory), "%s/class/hwmon", sys_dir);
    listing = opendir(directory);
    while (listing && state == POWER_STATE_UNTOLD && (entry = readdir(listing))) {
        if (!text_starts(entry->d_name, "hwmon") || !says(directory, entry->d_name, "name", "rpi_volt")) {
            continue;
        }
        if (says(directory, entry->d_name, "in0_lcrit_alarm", "1")) {
            state = POWER_STATE_LOW;
        } else if (says(directory, entry->d_name, "in0_lcrit_alarm", "0")) {
            state = POWER_STATE_GOOD;
        }
    }
    if (listing) {
        (void) closedir(listing);
    }
    return state;
}
