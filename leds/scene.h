/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the eight pixels show now: the status, a catch-up bar, an address that is read out, the number of a silent
 * meter, how far a search for meters has come. Pure: the time is an argument, the boot clock in ms, and never goes
 * back.
 *
 * The status is what is seen mostly, and what everything else makes way for:
 *
 *  - For its first 10 s, and for 10 s after a new failure, nothing but the status is shown. New is a light that began
 *    to blink or turned from yellow to red. What it cuts off is shown again later, from the beginning. So that a meter
 *    that comes and goes all the time cannot keep an address from being read, a pixel other than 0 cuts off only if it
 *    has not done so for 2 min.
 *  - While a stick is being written, pixel 2 is lit: no spelling. An address goes on 1 s after the burst, from its
 *    beginning; from the third time on with the symbol that was interrupted, so that bursts of every 5 s cannot keep
 *    it from its end.
 *  - While a stick catches up (facts->stick_percent), 5 s of the status and 5 s of the bar take turns: pixels are
 *    white as far as it has come and blue from there, so all are lit, and one at least is blue: do not pull.
 *  - An address: read out twice at the start, once when it changes and after a halt, but not before the status
 *    has been shown for a minute since the last time; at once when asked for.
 *  - The numbers of silent meters, in red, one each 30 s, in turn; only while pixel 1 is yellow: where no meter
 *    gives readings there is nothing to find out.
 *  - While meters are looked for: 5 s of a bar, white as far as it has come and cyan from there, so that none is blue;
 *    then the minutes that are left, in cyan. Once each 30 s, in turn with the numbers of silent meters; what makes
 *    way for a failure or a stick begins anew.
 *  - A held pixel lies above all of these. Its hold ends early when its own light has something else to say, and pixel
 *    2 is not held while a stick is being written.
 */

#include "leds/spell.h"

/* What is being spelled, or waits for it. */
struct scene_spelling {
    char text[SPELL_TEXT_SIZE];
    unsigned left;              // how often still, 0: nothing
    bool asked;                 // by a person
    unsigned interrupted;       // how often by bursts
    uint64_t from_ms;           // where it begins
};

struct scene_hold {
    enum colour colour;
    uint64_t until_boot_ms;     // 0: none
};

enum scene_play { SCENE_PLAY_NOTHING, SCENE_PLAY_ADDRESS, SCENE_PLAY_NUMBER, SCENE_PLAY_SEARCH };

/* By value; zero-initialised is "nothing asked, nothing shown yet". All of it belongs to scene.c. */
struct scene {
    bool begun;
    enum light lights[BLINKT_PIXELS];        // of the last look
    uint64_t status_until_ms;                // nothing else before
    uint64_t cut_ms[BLINKT_PIXELS];          // when its failure last held up an address, 0: never
    struct scene_hold holds[BLINKT_PIXELS];

    bool writing;                            // a stick, at the last look
    uint64_t writing_rest_ms;                // no spelling before
    bool bar;
    uint64_t bar_begin_ms;

    char address[SPELL_TEXT_SIZE];           // the appliance's, "" not known yet
    char told[SPELL_TEXT_SIZE];              // the one that was last read out to its end, or needs not be
    unsigned first_times;
    uint64_t quiet_until_ms;                 // no read-out that nobody asked for
    bool halted, halt_waits;
    uint64_t halt_quiet_until_ms;

    unsigned last_number;                    // of a meter, 0: none was spelled yet
    uint64_t number_due_ms;
    uint64_t search_due_ms;
    bool search_is_next;                     // of these two

    struct scene_spelling read_out, number, search;
    enum scene_play play;
    uint64_t play_begin_ms;                  // when its time line began
};

/*
 * The appliance's address is this now; "127.0.0.1" if it has none. It is read out by the rules above.
 *
 * first_times  how often the first one is: 2; 0 for not at all
 * Errors: -EINVAL  not 1 to 15 digits and dots; nothing is changed
 */
int scene_set_address(struct scene *scene, const char *address, unsigned first_times);

/*
 * Somebody asks for an address, which need not be the appliance's. It replaces one that waits or is being read out;
 * the same one is not begun anew, but read out so many times more.
 *
 * Errors: -EINVAL  not 1 to 15 digits and dots; nothing is changed
 */
int scene_read_out(struct scene *scene, const char *address, unsigned times);

/* Show a colour, COLOUR_DARK included, at one pixel until then; 0 ends the hold. Another one replaces it. */
void scene_hold_pixel(struct scene *scene, unsigned pixel, enum colour colour, uint64_t until_boot_ms);

/*
 * What is to be shown at now.
 *
 * ret_lights        the status, whatever is shown in its place
 * ret_next_boot_ms  when the frame changes by itself at the latest, later than now; UINT64_MAX: never. Facts that
 *                   change by themselves have facts->turns_boot_ms in it, but not the age of the status files.
 */
void scene_frame(struct scene *scene, const struct facts *facts, uint64_t now_boot_ms, uint8_t brightness,
                 bool code_colours, struct frame *ret_frame, enum light ret_lights[static BLINKT_PIXELS],
                 uint64_t *ret_next_boot_ms);
