/* SPDX-License-Identifier: MIT */
#include "app/leds/watch.h"

#include "app/base/limits.h"
#include "app/base/status.h"

#include <stdio.h>

bool watch_changed(const char *path, struct watch_seen *seen)
{
    struct watch_seen now = {};
    struct stat info;
    bool changed;

    if (stat(path, &info) == 0) {
        now = (struct watch_seen){ info.st_ino, info.st_mtim };
    }
    changed = now.inode != seen->inode || now.changed.tv_sec != seen->changed.tv_sec ||
              now.changed.tv_nsec != seen->changed.tv_nsec;
    *seen = now;
    return changed;
}

void watch_read(struct watch *watch, const char *run_dir)
{
    char path[PATH_SIZE];
    bool fresh = false;

    (void) snprintf(path, sizeof(path), "%s/%s.json", run_dir, watch->program);
    if (watch_changed(path, &watch->seen)) {
        struct json *status = NULL;

        json_free(watch->status);
        watch->status = NULL;
        if (status_read(run_dir, watch->program, &status, &fresh) == 0) {
            watch->status = status;
        }
    }
}

const struct json *watch_believe(const struct watch *watch, const char *boot_id, uint64_t now_boot_ms)
{
    return watch->status && status_is_fresh(watch->status, boot_id, now_boot_ms) ? watch->status : NULL;
}

void watch_clear(struct watch *watch)
{
    json_free(watch->status);
    watch->status = NULL;
}
