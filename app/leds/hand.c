/* SPDX-License-Identifier: MIT */
#include "app/leds/hand.h"

#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/limits.h"
#include "app/leds/ask.h"
#include "app/leds/settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct option_spec hand_specs[1] = {
    { "record", NULL, OPTION_TEXT, offsetof(struct hand_options, record), "FILE",
      "append the frames to a file instead, a JSON line each", 0, 0 },
};

int hand_ask(const char *verb, const struct hand_options *options, const char *question)
{
    char answer[QUESTION_SIZE + 1];
    int r;

    if (options->record) {
        return 0;
    }
    r = ask_leds(options->common.run_dir, question, answer);
    if (r == -EPROTO) {
        (void) fprintf(stderr, "meterstick %s: the running leds says: %s\n", verb, answer);
        return r;
    }
    if (r < 0 && r != -ENOENT) {
        (void) fprintf(stderr, "meterstick %s: %s/%s cannot be asked (%s), trying the lights themselves\n", verb,
                       options->common.run_dir, QUESTION_SOCKET, strerror(-r));
    }
    return r < 0 ? 0 : 1;
}

static uint8_t find_brightness(const char *state_dir)
{
    struct settings settings = settings_default;
    auto_free char *text = NULL;
    char path[PATH_SIZE];
    size_t size;

    if (file_path(path, sizeof(path), state_dir, "good.conf") >= 0 &&
        file_read(path, MAX_FILE_SIZE, &text, &size) >= 0) {
        settings_read(text, size, &settings);
    }
    return settings.brightness;
}

int hand_begin(struct hand *hand, const char *verb, const struct hand_options *options)
{
    int r;

    *hand = (struct hand){ .blinkt = !options->record, .brightness = find_brightness(options->common.state_dir) };
    r = record_open(&hand->record, options->record);
    if (r < 0) {
        (void) fprintf(stderr, "meterstick %s: %s: %s\n", verb, options->record, strerror(-r));
    }
    return r;
}

int hand_show(struct hand *hand, const char *verb, const enum colour colours[static BLINKT_PIXELS])
{
    struct frame frame = { .brightness = hand->brightness };
    enum light lights[BLINKT_PIXELS];
    uint64_t now_ms = clock_boot_ms();
    int r;

    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        frame.pixels[i] = indicator_pixel(colours[i]);
        lights[i] = LIGHT_UNSAID;
    }
    record_frame(&hand->record, &frame, lights, now_ms);
    if (!hand->blinkt) {
        return 0;
    }
    r = lamp_try(&hand->lamp, &frame);
    if (r < 0) {
        (void) fprintf(stderr, "meterstick %s: no lights: %s\n", verb, lamp_explain(r));
    }
    return r;
}

void hand_end(struct hand *hand)
{
    lamp_clear(&hand->lamp);
    record_close(&hand->record);
}
