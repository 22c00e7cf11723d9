/* SPDX-License-Identifier: MIT */
#include "app/leds/record.h"

#include "app/base/file.h"
#include "app/base/json.h"
#include "app/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

int record_open(struct record *record, const char *path)
{
    *record = (struct record){ .path = path, .fd = -1 };
    if (!path) {
        return 0;
    }
    record->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
    return record->fd < 0 ? -errno : 0;
}

void record_close(struct record *record)
{
    macros_close(&record->fd);  // each frame was written as it was shown
    record->fd = -1;
}

void record_frame(struct record *record, const struct frame *frame, const enum light lights[static BLINKT_PIXELS],
                  uint64_t now_boot_ms)
{
    auto_text struct text line = {};
    int r;

    if (record->fd < 0) {
        return;
    }
    text_addf(&line, "{\"boot_ms\":%" PRIu64 ",\"brightness\":%u,\"pixels\":[", now_boot_ms, frame->brightness);
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        const struct pixel *pixel = &frame->pixels[i];

        text_addf(&line, "%s\"%02x%02x%02x\"", i ? "," : "", pixel->red, pixel->green, pixel->blue);
    }
    text_add(&line, "],\"words\":[");
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        text_add(&line, i ? "," : "");
        json_add_string(&line, indicator_meaning(lights[i])->word);
    }
    text_add(&line, "]}\n");

    r = line.failed ? -ENOMEM : file_write_all(record->fd, line.data, line.size);
    if (r < 0 && !record->failed) {
        log_warning("cannot write frames to %s: %s, trying again at the next one", record->path, strerror(-r));
    }
    record->failed = r < 0;
}
