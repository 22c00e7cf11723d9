/* SPDX-License-Identifier: MIT */

#include "app/base/status.h"

#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* 1000 meters, each with 300 bytes and the 110 values of the largest model at 45, and again half as much. */
#define STATUS_SIZE_MAX (8 * 1024 * 1024)

static int status_path(char *ret, size_t size, const char *run_dir, const char *program)
{
    char name[LABEL_SIZE];

    if (snprintf(name, sizeof(name), "%s.json", program) >= (int) sizeof(name)) {
        return -ENAMETOOLONG;
    }

    return file_path(ret, size, run_dir, name);
}

void status_begin(struct text *ret, const char *program, const char *state, const char *error)
{
    char boot_id[CLOCK_BOOT_ID_SIZE];

    clock_boot_id(boot_id);

    text_reset(ret);
    text_add_char(ret, '{');
    json_add_member_string(ret, "program", program);
    json_add_key(ret, "pid");
    text_addf(ret, "%ld", (long) getpid());
    json_add_member_string(ret, "boot_id", boot_id);
    json_add_key(ret, "boot_ms");
    text_addf(ret, "%" PRIu64, clock_boot_ms());
    json_add_member_string(ret, "state", state);
    json_add_member_string(ret, "error", error);
}

int status_end_and_replace(struct text *text, const char *run_dir, const char *program)
{
    char path[PATH_SIZE];
    int r;

    text_add(text, "}\n");
    if (text->failed) {
        return -ENOMEM;
    }

    r = status_path(path, sizeof(path), run_dir, program);
    if (r < 0) {
        return r;
    }

    return file_replace(path, text->data, text->size, 0644, false);
}

bool status_is_fresh(const struct json *status, const char *boot_id, uint64_t now_boot_ms)
{
    const char *its_boot_id = json_member_string(status, "boot_id");
    double its_boot_ms = json_member_number(status, "boot_ms");

    if (!its_boot_id || (*its_boot_id && *boot_id && !text_equal(its_boot_id, boot_id))) {
        return false;
    }

    // A time ahead of now is no proof of life either; NAN fails both comparisons.
    return its_boot_ms <= (double) now_boot_ms &&
           its_boot_ms + STATUS_STALE_MS >= (double) now_boot_ms;
}

int status_read(const char *run_dir, const char *program, struct json **ret, bool *ret_fresh)
{
    auto_json struct json *status = NULL;
    auto_free char *text = NULL;
    char path[PATH_SIZE];
    char boot_id[CLOCK_BOOT_ID_SIZE];
    size_t size;
    int r;

    r = status_path(path, sizeof(path), run_dir, program);
    if (r < 0) {
        return r;
    }

    r = file_read(path, STATUS_SIZE_MAX, &text, &size);
    if (r < 0) {
        return r;
    }

    r = json_parse(text, size, &status, NULL);
    if (r < 0) {
        return r;
    }
    if (!json_is_map(status)) {
        return -EBADMSG;
    }

    clock_boot_id(boot_id);
    *ret_fresh = status_is_fresh(status, boot_id, clock_boot_ms());
    *ret = TAKE(status);
    return 0;
}
