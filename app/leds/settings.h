/* SPDX-License-Identifier: MIT */
#pragma once

/* What `leds` takes from <state-dir>/good.conf, the configuration that `acquire` last found valid. */

#include "app/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct settings {
    uint8_t brightness;   // 0 to 31
    bool code_colours;    // ES-11
    uint64_t commit_ms;   // how late a row may be committed
    char log_level[16];   // "" if it says nothing of it
    char log_file[PATH_SIZE];
};

extern const struct settings settings_default;

/*
 * Read them from the text of a good.conf. Whatever is absent or nonsense has its default: a light that is too dim
 * is no reason to be dark.
 */
void settings_read(const char *text, size_t size, struct settings *ret);
