/* SPDX-License-Identifier: MIT */
#include "app/config/adopt.h"

#include "app/base/file.h"
#include "app/base/limits.h"

#include <string.h>

int adopt_write(const char *state_dir, const char *text, size_t size)
{
    auto_free char *before = NULL;
    char path[PATH_SIZE];
    size_t before_size;
    int r;

    r = file_path(path, sizeof(path), state_dir, ADOPT_FILE);
    if (r < 0) {
        return r;
    }
    if (file_read(path, MAX_FILE_SIZE, &before, &before_size) == 0 && before_size == size
        && memcmp(before, text, size) == 0) {
        return 0;
    }
    return file_replace(path, text, size, 0640, true);
}
