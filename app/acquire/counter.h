/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One counter of a meter, and what to believe of its readings (reliability.md section 7, faults 11 and 12). A reading
 * goes on from the last believed one if it is not below it and has risen by no more than the connection can carry since
 * then. Whatever does not is held back; the readings after it say what it was.
 *
 *   what came                                   what follows                                      verdict
 *   a zero, a step back, swapped words, a       readings that go on from the last believed one    dropped
 *   flipped bit, high and low word of two
 *   different moments, a jump that returns
 *   the same, again at every second reading     the same between any two                          dropped, each
 *   all bits set (0xFFFFFFFF)                   whatever: never a level of its own                dropped
 *   from near the register's end to near 0      3 readings in line from there                     rollover
 *   to no more than was used meanwhile          3 readings in line from there                     reset
 *   to where it stood before such a change, or  3 readings in line from there                     return
 *   between the last two believed readings
 *   faster than was believed possible           3 readings that rise as fast, or one that         rise
 *                                               is slow enough again and above what was held
 *   to anything else                            3 readings in line from there                     exchange of the meter
 *
 * "In line": none below the one before, none above what was possible since, and at least one rose, since a meter that
 * is starting or broken shows the same wrong number again and again. One that stands still for 10 min is believed too:
 * the export of a house without a roof never rises.
 *
 * Possible since the last reading means: per_hour for the time between them, and for up to 60 s more in which the
 * counter stood still (meters refresh their counters once in a while), and one step of its resolution. Where nobody
 * said what the connection can carry, a reading alone is believed up to per_hour and readings in line up to
 * most_per_hour; a rise that they prove is believed at once from then on. A float counter may fall by its last bit: it
 * is the same number, rounded otherwise.
 *
 * All times are ms of this boot's clock; what was before it is negative. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

#define COUNTER_IN_LINE   3                  // readings that make a new level
#define COUNTER_STILL_MS  INT64_C(600000)    // or so long, if they stand still
#define COUNTER_SLACK_MS  INT64_C(60000)     // how seldom a meter refreshes its counters

/* What is known of it from its model and configuration. Base units: Wh, varh, VAh, s. */
struct counter_limits {
    double per_hour;        // what it may rise by in an hour, by a single reading's word; Wh: the power in W
    double most_per_hour;   // and by the word of several; not below per_hour
    double resolution;      // the smallest step of an integer; of a float, what 1 is
    unsigned float_bits;    // 24 of binary32, 53 of binary64, 0 of an integer
    double width;           // where its register begins again at 0; 0: nowhere
};

/* Where it stood. */
struct counter_level {
    double value;
    int64_t ms;             // when it was last read there
    int64_t moved_ms;       // when it came there
};

/* What a counter is judged against when the first reading comes. */
enum counter_memory {
    COUNTER_NEW,            // nothing: never seen before; the first reading is believed
    COUNTER_FORGOTTEN,      // it was seen, but the value is out of reach: the first readings must agree with each other
    COUNTER_KNOWN,          // a value and its time
    COUNTER_KNOWN_SINCE,    // a value, and a time after it: how long before is not known
};

struct counter {
    struct counter_limits limits;
    enum counter_memory memory;
    struct counter_level last;      // the last believed reading; not of COUNTER_NEW and COUNTER_FORGOTTEN
    struct counter_level previous;  // the one before it
    struct counter_level former;    // the last one before the counter changed its level
    bool has_previous, has_former;

    unsigned held;                  // readings held back since the last believed one
    int64_t held_since_ms;
    unsigned run;                   // how many of them, up to the last, are in line; 0: that was all ones
    bool run_rose;
    struct counter_level run_first, run_last;
};

enum counter_verdict {
    /* The reading is believed... */
    COUNTER_BELIEVED,
    /* ...and what was held is judged: */
    COUNTER_DROPPED,        // it was wrong
    COUNTER_RISE,           // the counter really rose so fast, or for so long
    COUNTER_ROLLOVER,
    COUNTER_RETURN,
    COUNTER_RESET,
    COUNTER_EXCHANGE,
    COUNTER_AGREED,         // the first readings after COUNTER_FORGOTTEN
    /* The reading is held back, for: */
    COUNTER_STEP_BACK,
    COUNTER_JUMP,
    COUNTER_ALL_ONES,
    COUNTER_UNCONFIRMED,    // nothing to judge it against
};

bool counter_verdict_holds(enum counter_verdict verdict);

/* Whether the verdict moves the counter to another level: everything between dropped and held back. */
bool counter_verdict_releases(enum counter_verdict verdict);

/* What belongs to a verdict and its reading. */
struct counter_judgement {
    enum counter_verdict verdict;
    double before;          // the last believed value; NAN: none
    int64_t elapsed_ms;     // since then; of a level whose time is not known, at least
    double bound;           // COUNTER_JUMP: by how much it could have risen. COUNTER_ROLLOVER: where it began again
    unsigned held;          // readings held back since the last believed one, and this one if it is
    int64_t held_since_ms;  // when the first of them was read
};

/* level: NULL unless the memory knows one. */
void counter_init(struct counter *ret, const struct counter_limits *limits, enum counter_memory memory,
                  const struct counter_level *level);

/*
 * Judge a reading and remember it. all_ones: each bit of its registers is set. A reading that is missing is none: do
 * not call.
 */
void counter_judge(struct counter *counter, double value, bool all_ones, int64_t ms, struct counter_judgement *ret);
