/* SPDX-License-Identifier: MIT */
#include "leds/scene.h"

#include "app/base/macros.h"
#include "app/base/text.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define START_MS      10000   // ES-01: the first program waited as long; the others are alive by then
#define NEWS_MS       10000   // ten blinks
#define CUT_AGAIN_MS  120000  // longer than the status and the longest address twice after it (90.4 s)
#define BURST_REST_MS 1000    // dark is seen, and who pulls the stick now has seen it
#define BAR_TURN_MS   5000
#define QUIET_MS      60000
#define HALT_QUIET_MS 300000  // a bus that comes and goes is not spelled each time
#define NUMBER_REST_MS 30000  // the longest, of four digits, takes 12.9 s, so most of the time is the status's
#define SEARCH_BAR_MS 5000    // before the minutes, which take 12.9 s at most
#define RESTARTS_MAX  2
#define NO_ADDRESS    "127.0.0.1"

static void spell_next(struct scene_spelling *spelling, const char *text, unsigned times, bool asked)
{
    *spelling = (struct scene_spelling){ .left = times, .asked = asked };
    (void) snprintf(spelling->text, sizeof(spelling->text), "%s", text);
}

int scene_set_address(struct scene *scene, const char *address, unsigned first_times)
{
    bool is_first = !*scene->address;

    if (!spell_can(address)) {
        return -EINVAL;
    }
    if (text_equal(scene->address, address)) {
        return 0;
    }

    (void) snprintf(scene->address, sizeof(scene->address), "%s", address);
    if (is_first) {
        scene->first_times = first_times;
    }
    if (is_first && first_times == 0) {
        (void) snprintf(scene->told, sizeof(scene->told), "%s", address);
    }
    if (scene->read_out.left > 0 && !scene->read_out.asked) {
        // The one that waits, or is read out, is the appliance's no longer.
        spell_next(&scene->read_out, address, text_equal(address, scene->told) ? 0 : scene->read_out.left, false);
        scene->play = scene->play == SCENE_PLAY_ADDRESS ? SCENE_PLAY_NOTHING : scene->play;
    }
    return 0;
}

int scene_read_out(struct scene *scene, const char *address, unsigned times)
{
    if (!spell_can(address)) {
        return -EINVAL;
    }

    if (scene->play == SCENE_PLAY_ADDRESS && text_equal(scene->read_out.text, address)) {
        scene->read_out.left = 1 + times;
        scene->read_out.asked = true;
        return 0;
    }
    spell_next(&scene->read_out, address, times, true);
    scene->play = scene->play == SCENE_PLAY_ADDRESS ? SCENE_PLAY_NOTHING : scene->play;
    return 0;
}

void scene_hold_pixel(struct scene *scene, unsigned pixel, enum colour colour, uint64_t until_boot_ms)
{
    assert(pixel < BLINKT_PIXELS);
    scene->holds[pixel] = (struct scene_hold){ colour, until_boot_ms };
}

static struct scene_spelling *get_playing(struct scene *scene)
{
    return scene->play == SCENE_PLAY_ADDRESS  ? &scene->read_out
           : scene->play == SCENE_PLAY_SEARCH ? &scene->search
                                              : &scene->number;
}

/* How long what is shown before the first symbol is. */
static uint64_t get_lead_ms(const struct scene *scene)
{
    return scene->play == SCENE_PLAY_SEARCH ? SEARCH_BAR_MS : 0;
}

/* It began to blink, or it is worse than before. */
static bool is_new_failure(enum light before, enum light light)
{
    const struct meaning *old = indicator_meaning(before), *now = indicator_meaning(light);

    return now->blinks && (!old->blinks || (now->colour == COLOUR_RED && old->colour != COLOUR_RED));
}

static bool address_waits(const struct scene *scene)
{
    return scene->read_out.left > 0 || scene->halt_waits || !text_equal(scene->address, scene->told);
}

/* Whether a new failure of this pixel has to be seen before an address that waits or is read out. */
static bool may_cut(struct scene *scene, unsigned pixel, uint64_t now_ms)
{
    uint64_t last_ms = scene->cut_ms[pixel];

    if (!address_waits(scene)) {
        return true;
    }
    if (pixel != PIXEL_PROGRAM && last_ms > 0 && now_ms < last_ms + CUT_AGAIN_MS) {
        return false;
    }
    scene->cut_ms[pixel] = now_ms;
    return true;
}

static void look_at_lights(struct scene *scene, const enum light lights[static BLINKT_PIXELS], uint64_t now_ms)
{
    bool is_news = !scene->begun;

    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        if (scene->begun && is_new_failure(scene->lights[i], lights[i])) {
            is_news = may_cut(scene, i, now_ms) || is_news;
        }
        if (scene->begun && lights[i] != scene->lights[i]) {
            scene->holds[i] = (struct scene_hold){};
        }
        scene->lights[i] = lights[i];
    }
    if (is_news) {
        scene->status_until_ms = now_ms + (scene->begun ? NEWS_MS : START_MS);
    }
    if (is_news && scene->play != SCENE_PLAY_NOTHING) {
        get_playing(scene)->from_ms = 0;
        scene->play = SCENE_PLAY_NOTHING;
    }
}

/* While a stick is being written its light is seen, whatever was shown. */
static void look_at_sticks(struct scene *scene, const struct facts *facts, uint64_t now_ms)
{
    struct scene_spelling *playing = get_playing(scene);
    bool bar = facts->stick_writing && !isnan(facts->stick_percent);

    if (facts->stick_writing && scene->play != SCENE_PLAY_NOTHING) {
        playing->from_ms = playing->interrupted < RESTARTS_MAX || scene->play == SCENE_PLAY_SEARCH
                               ? 0 : spell_resume_ms(playing->text, now_ms - scene->play_begin_ms);
        playing->interrupted++;
        scene->play = SCENE_PLAY_NOTHING;
    }
    if (facts->stick_writing || scene->writing) {
        scene->writing_rest_ms = now_ms + BURST_REST_MS;
    }
    if (bar && !scene->bar) {
        scene->bar_begin_ms = now_ms;
    }
    scene->bar = bar;
    scene->writing = facts->stick_writing;
}

static void look_at_halts(struct scene *scene, const struct facts *facts, uint64_t now_ms)
{
    if (!facts->halted) {
        scene->halt_waits = false;
    } else if (scene->begun && !scene->halted && now_ms >= scene->halt_quiet_until_ms) {
        scene->halt_waits = true;
        scene->halt_quiet_until_ms = now_ms + HALT_QUIET_MS;
    }
    scene->halted = facts->halted;
}

/* An address that nobody asked for. */
static void plan_address(struct scene *scene, uint64_t now_ms)
{
    bool is_first = !*scene->told;
    bool is_first_real = text_equal(scene->told, NO_ADDRESS);  // it came too late for the start
    unsigned times;

    if (scene->read_out.left > 0 || now_ms < scene->quiet_until_ms || !*scene->address) {
        return;
    }
    if (!text_equal(scene->address, scene->told)) {
        times = is_first || is_first_real ? MAX(scene->first_times, 1u) : 1;
    } else if (scene->halt_waits) {
        times = 1;
    } else {
        return;
    }
    spell_next(&scene->read_out, scene->address, times, false);
}

static bool is_silent(const struct facts *facts, unsigned number)
{
    for (unsigned i = 0; i < facts->silent_count; i++) {
        if (facts->silent_numbers[i] == number) {
            return true;
        }
    }
    return false;
}

/* What is no longer so is not spelled. */
static void look_at_meters(struct scene *scene, const struct facts *facts, uint64_t now_ms)
{
    bool is_yellow = scene->lights[PIXEL_ACQUISITION] == LIGHT_ACQUISITION_SILENT;

    if (!is_yellow || (scene->number.left > 0 && !is_silent(facts, scene->last_number))) {
        scene->play = scene->play == SCENE_PLAY_NUMBER ? SCENE_PLAY_NOTHING : scene->play;
        scene->number.left = 0;
    }
    if (!is_yellow) {
        scene->last_number = 0;
        scene->number_due_ms = now_ms + NEWS_MS;
    }
}

/* The silent meter after the last one that was spelled, by its number. */
static void plan_number(struct scene *scene, const struct facts *facts, uint64_t now_ms)
{
    bool is_yellow = scene->lights[PIXEL_ACQUISITION] == LIGHT_ACQUISITION_SILENT;
    unsigned number;
    char text[SPELL_TEXT_SIZE];

    if (!is_yellow || scene->number.left > 0 || now_ms < scene->number_due_ms || facts->silent_count == 0) {
        return;
    }

    number = facts->silent_numbers[0];
    for (unsigned i = facts->silent_count; i > 0; i--) {
        number = facts->silent_numbers[i - 1] > scene->last_number ? facts->silent_numbers[i - 1] : number;
    }
    scene->last_number = number;
    (void) snprintf(text, sizeof(text), "%u", number);
    spell_next(&scene->number, text, 1, false);
}

static void look_at_search(struct scene *scene, const struct facts *facts, uint64_t now_ms)
{
    if (!facts->searching || isnan(facts->search_percent) || isnan(facts->search_left_min)) {
        scene->play = scene->play == SCENE_PLAY_SEARCH ? SCENE_PLAY_NOTHING : scene->play;
        scene->search.left = 0;
        scene->search_due_ms = now_ms + NEWS_MS;
    }
}

/* Since it may have waited for its turn, the minutes are those of now. */
static void plan_search(struct scene *scene, const struct facts *facts, uint64_t now_ms)
{
    char text[SPELL_TEXT_SIZE];

    if (now_ms < scene->search_due_ms) {
        scene->search.left = 0;
        return;
    }
    (void) snprintf(text, sizeof(text), "%u", (unsigned) fmin(facts->search_left_min, 9999));
    spell_next(&scene->search, text, 1, false);
}

/* What is being spelled has come to its end. */
static void finish(struct scene *scene, uint64_t now_ms)
{
    struct scene_spelling *playing = get_playing(scene);

    if (scene->play == SCENE_PLAY_NOTHING
        || now_ms - scene->play_begin_ms < get_lead_ms(scene) + spell_length_ms(playing->text)) {
        return;
    }

    if (scene->play == SCENE_PLAY_ADDRESS && text_equal(playing->text, scene->address)) {
        memcpy(scene->told, scene->address, sizeof(scene->told));
        scene->halt_waits = false;
    }
    playing->left--;
    playing->interrupted = 0;
    playing->from_ms = 0;
    if (playing->left > 0) {
        scene->play_begin_ms = now_ms - SPELL_EDGE_MS;  // it has just been dark: 2 s between the two (ES-01)
        return;
    }

    if (scene->play == SCENE_PLAY_ADDRESS) {
        scene->quiet_until_ms = now_ms + QUIET_MS;
        scene->number.left = 0;  // the status first
    }
    scene->number_due_ms = scene->search_due_ms = now_ms + NUMBER_REST_MS;
    scene->search_is_next = scene->play == SCENE_PLAY_NUMBER;
    scene->play = SCENE_PLAY_NOTHING;
}

/* What has its turn. A number that is not shown now is not planned either, so that none is left out. */
static enum scene_play choose_play(struct scene *scene, const struct facts *facts, uint64_t now_ms)
{
    plan_address(scene, now_ms);
    if (scene->read_out.left > 0) {
        return SCENE_PLAY_ADDRESS;
    }
    plan_search(scene, facts, now_ms);
    if (scene->search.left == 0 || !scene->search_is_next) {
        plan_number(scene, facts, now_ms);
        if (scene->number.left > 0 && now_ms >= scene->number_due_ms) {
            return SCENE_PLAY_NUMBER;
        }
    }
    return scene->search.left > 0 ? SCENE_PLAY_SEARCH : SCENE_PLAY_NOTHING;
}

static void begin(struct scene *scene, const struct facts *facts, uint64_t now_ms)
{
    bool may_begin = !scene->writing && now_ms >= scene->status_until_ms && now_ms >= scene->writing_rest_ms;

    if (scene->play != SCENE_PLAY_NOTHING || !may_begin) {
        return;
    }

    scene->play = choose_play(scene, facts, now_ms);
    if (scene->play != SCENE_PLAY_NOTHING) {
        scene->play_begin_ms = now_ms - get_playing(scene)->from_ms;
    }
}

static void draw_colours(const enum colour colours[static BLINKT_PIXELS], struct frame *frame)
{
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        frame->pixels[i] = indicator_pixel(colours[i]);
    }
}

/* White as far as it has come: one pixel at least, and never all. */
static void draw_bar(double percent, enum colour rest, struct frame *frame)
{
    unsigned done = 1 + (unsigned) (fmin(fmax(percent, 0), 99) * (BLINKT_PIXELS - 1) / 100);
    enum colour colours[BLINKT_PIXELS];

    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        colours[i] = i < done ? COLOUR_WHITE : rest;
    }
    draw_colours(colours, frame);
}

static void draw_holds(struct scene *scene, uint64_t now_ms, struct frame *frame)
{
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        if (now_ms < scene->holds[i].until_boot_ms && !(i == PIXEL_WRITING && scene->writing)) {
            frame->pixels[i] = indicator_pixel(scene->holds[i].colour);
        }
    }
}

/* The nearest of the times that lie ahead. */
static void offer(uint64_t time_ms, uint64_t now_ms, uint64_t *next_ms)
{
    if (time_ms > now_ms && time_ms < *next_ms) {
        *next_ms = time_ms;
    }
}

/* When something else has its turn. */
static uint64_t find_next(const struct scene *scene, const struct facts *facts, uint64_t now_ms)
{
    uint64_t next_ms = UINT64_MAX;

    offer(facts->turns_boot_ms, now_ms, &next_ms);
    for (unsigned i = 0; i < BLINKT_PIXELS; i++) {
        offer(scene->holds[i].until_boot_ms, now_ms, &next_ms);
    }
    if (scene->bar) {
        uint64_t turns = (now_ms - scene->bar_begin_ms) / BAR_TURN_MS + 1;

        offer(scene->bar_begin_ms + turns * BAR_TURN_MS, now_ms, &next_ms);
        offer(scene->status_until_ms, now_ms, &next_ms);
    }
    if (address_waits(scene) || facts->silent_count > 0 || facts->searching) {
        offer(scene->status_until_ms, now_ms, &next_ms);
        offer(scene->writing_rest_ms, now_ms, &next_ms);
        offer(scene->quiet_until_ms, now_ms, &next_ms);
        offer(scene->number_due_ms, now_ms, &next_ms);
        offer(scene->search_due_ms, now_ms, &next_ms);
    }
    return next_ms;
}

static bool is_bar_turn(const struct scene *scene, uint64_t now_ms)
{
    return scene->bar && now_ms >= scene->status_until_ms && (now_ms - scene->bar_begin_ms) / BAR_TURN_MS % 2 == 1;
}

/* What is being spelled, and what goes before it. */
static void draw_play(struct scene *scene, const struct facts *facts, uint64_t now_ms, struct frame *frame,
                      uint64_t *next_ms)
{
    enum colour digits = scene->play == SCENE_PLAY_ADDRESS  ? COLOUR_BLUE
                         : scene->play == SCENE_PLAY_SEARCH ? COLOUR_CYAN
                                                            : COLOUR_RED;
    uint64_t begin_ms = scene->play_begin_ms + get_lead_ms(scene);
    enum colour colours[BLINKT_PIXELS];
    uint64_t rest_ms;

    if (now_ms < begin_ms) {
        draw_bar(facts->search_percent, COLOUR_CYAN, frame);
        offer(begin_ms, now_ms, next_ms);
        return;
    }
    spell_look(get_playing(scene)->text, digits, now_ms - begin_ms, colours, &rest_ms);
    draw_colours(colours, frame);
    offer(now_ms + rest_ms, now_ms, next_ms);
}

static void draw(struct scene *scene, const struct facts *facts, uint64_t now_ms, bool code_colours,
                 struct frame *frame, uint64_t *next_ms)
{
    if (scene->play != SCENE_PLAY_NOTHING) {
        draw_play(scene, facts, now_ms, frame, next_ms);
    } else if (is_bar_turn(scene, now_ms)) {
        draw_bar(facts->stick_percent, code_colours ? COLOUR_GREEN : COLOUR_BLUE, frame);
    } else {
        indicator_frame(scene->lights, now_ms, frame->brightness, code_colours, frame);
        if (indicator_blinks(scene->lights)) {
            offer(now_ms - now_ms % INDICATOR_HALF_BLINK_MS + INDICATOR_HALF_BLINK_MS, now_ms, next_ms);
        }
    }
    draw_holds(scene, now_ms, frame);
}

void scene_frame(struct scene *scene, const struct facts *facts, uint64_t now_boot_ms, uint8_t brightness,
                 bool code_colours, struct frame *ret_frame, enum light ret_lights[static BLINKT_PIXELS],
                 uint64_t *ret_next_boot_ms)
{
    struct frame frame = { .brightness = brightness };
    uint64_t next_ms;

    indicator_choose(facts, ret_lights);
    finish(scene, now_boot_ms);
    look_at_lights(scene, ret_lights, now_boot_ms);
    look_at_sticks(scene, facts, now_boot_ms);
    look_at_halts(scene, facts, now_boot_ms);
    look_at_meters(scene, facts, now_boot_ms);
    look_at_search(scene, facts, now_boot_ms);
    begin(scene, facts, now_boot_ms);
    scene->begun = true;

    next_ms = find_next(scene, facts, now_boot_ms);
    draw(scene, facts, now_boot_ms, code_colours, &frame, &next_ms);
    *ret_frame = frame;
    *ret_next_boot_ms = next_ms;
}
