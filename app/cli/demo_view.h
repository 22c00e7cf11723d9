/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the demo shows: taken only from what the real programs wrote, the frames of leds, the status of acquire and the
 * files on the stick.
 */

#include "app/base/json.h"
#include "app/base/text.h"
#include "app/cli/demo_plant.h"
#include "leds/blinkt.h"

#define DEMO_WORD_SIZE 16

struct demo_view {
    off_t frames_offset;          // how far frames.jsonl is read
    bool has_frame;
    struct frame frame;
    char words[BLINKT_PIXELS][DEMO_WORD_SIZE];
    struct json *acquire;         // NULL: no status to be believed
};

/* Read what is new. */
void demo_view_update(struct demo_view *view, const struct demo_plant *plant);
void demo_view_clear(struct demo_view *view);

/* A meter of acquire's status by name, NULL if there is none. */
const struct json *demo_view_meter(const struct demo_view *view, const char *name);

/* The newest CSV file of a meter on the stick (also while it is pulled). Errors: -ENOENT none yet */
int demo_view_csv(const struct demo_plant *plant, const char *meter, char *ret, size_t size) MUST_CHECK;

/* Rows that reached a meter's CSV files, headers not counted. */
unsigned demo_view_rows(const struct demo_plant *plant, const char *meter);
