/* SPDX-License-Identifier: MIT */
#include "app/acquire/counter.h"

#include "app/base/macros.h"

#include <assert.h>
#include <math.h>

#define MS_PER_HOUR  3600000.0
#define ROUNDING     (1 + 1e-9)  // of the decimals behind all these doubles
#define NEAR         10          // a tenth of the register from its end is near its end
#define LEARN_FACTOR 2           // above a rise that was proven
#define DIGITS_MIN   5           // the least digits of a display that is taken to begin again at 0...
#define DIGITS_MAX   15          // ...and the most

enum fit { FIT_BELOW, FIT_LINE, FIT_ABOVE };

bool counter_verdict_holds(enum counter_verdict verdict)
{
    return verdict >= COUNTER_STEP_BACK;
}

bool counter_verdict_releases(enum counter_verdict verdict)
{
    return verdict > COUNTER_DROPPED && verdict < COUNTER_STEP_BACK;
}

/* The last bit of a float of that size; 0 of an integer. */
static double last_bit(const struct counter_limits *limits, double value)
{
    double raw = fabs(value / limits->resolution);

    if (limits->float_bits == 0 || !(raw > 0)) {
        return 0;
    }
    return ldexp(limits->resolution, ilogb(raw) + 1 - (int) limits->float_bits) * ROUNDING;
}

static double step(const struct counter_limits *limits, double value)
{
    return limits->float_bits > 0 ? last_bit(limits, value) : limits->resolution;
}

/* By how much it could have risen since, to a value of about that size. */
static double possible(const struct counter_limits *limits, const struct counter_level *since, double value,
                       int64_t ms, double per_hour)
{
    int64_t from = MAX(since->moved_ms, since->ms - COUNTER_SLACK_MS);
    double elapsed_ms = ms > from ? (double) (ms - from) : 0;

    return (per_hour * elapsed_ms / MS_PER_HOUR + step(limits, value)) * ROUNDING;
}

static enum fit fit(const struct counter_limits *limits, const struct counter_level *since, double value, int64_t ms,
                    double per_hour)
{
    if (value < since->value - last_bit(limits, since->value)) {
        return FIT_BELOW;
    }
    return value - since->value <= possible(limits, since, value, ms, per_hour) ? FIT_LINE : FIT_ABOVE;
}

/* A float that fell by its last bit stays where it was, so that it cannot walk down. */
static void move(struct counter_level *level, double value, int64_t ms)
{
    if (value > level->value) {
        level->value = value;
        level->moved_ms = ms;
    }
    level->ms = ms;
}

void counter_init(struct counter *ret, const struct counter_limits *limits, enum counter_memory memory,
                  const struct counter_level *level)
{
    assert(limits->resolution > 0 && limits->per_hour > 0 && limits->most_per_hour >= limits->per_hour);
    *ret = (struct counter){ .limits = *limits, .memory = memory };
    if (memory == COUNTER_KNOWN || memory == COUNTER_KNOWN_SINCE) {
        ret->last = *level;
    }
}

static bool is_known(const struct counter *counter)
{
    return counter->memory == COUNTER_KNOWN || counter->memory == COUNTER_KNOWN_SINCE;
}

static void forget_held(struct counter *counter)
{
    counter->held = 0;
    counter->run = 0;
    counter->run_rose = false;
}

/* --- believing --- */

static void believe(struct counter *counter, double value, int64_t ms)
{
    counter->previous = counter->last;
    counter->has_previous = true;
    move(&counter->last, value, ms);
    counter->memory = COUNTER_KNOWN;
    forget_held(counter);
}

/* A level to go on from that does not follow from the last one. moved_ms: how long it was there is not known. */
static void begin(struct counter *counter, double value, int64_t ms)
{
    counter->last = (struct counter_level){ .value = value, .ms = ms, .moved_ms = ms - COUNTER_SLACK_MS };
    counter->memory = COUNTER_KNOWN;
    counter->has_previous = false;
    forget_held(counter);
}

/* A rise that was proven is possible from now on, unless a person said what is. */
static void learn(struct counter *counter, double rise, int64_t elapsed_ms)
{
    struct counter_limits *limits = &counter->limits;

    if (elapsed_ms > 0) {
        double per_hour = LEARN_FACTOR * rise * MS_PER_HOUR / (double) elapsed_ms;

        limits->per_hour = MAX(limits->per_hour, MIN(per_hour, limits->most_per_hour));
    }
}

/* It goes on from the last believed reading. What was held may lie on the way: then it was only faster than usual. */
static enum counter_verdict go_on(struct counter *counter, double value, int64_t ms)
{
    enum counter_verdict verdict = COUNTER_BELIEVED;

    if (counter->held > 0) {
        verdict = counter->run == counter->held && counter->run_first.value >= counter->last.value
                      && counter->run_last.value <= value ? COUNTER_RISE : COUNTER_DROPPED;
    }
    believe(counter, value, ms);
    return verdict;
}

/* --- holding --- */

static void hold(struct counter *counter, double value, bool all_ones, int64_t ms)
{
    const double most = counter->limits.most_per_hour;

    if (counter->held++ == 0) {
        counter->held_since_ms = ms;
    }
    if (all_ones) {
        counter->run = 0;
        return;
    }
    if (counter->run > 0 && fit(&counter->limits, &counter->run_last, value, ms, most) == FIT_LINE) {
        counter->run++;
        counter->run_rose |= value > counter->run_last.value;
        move(&counter->run_last, value, ms);
        return;
    }
    counter->run = 1;
    counter->run_rose = false;
    counter->run_first = counter->run_last = (struct counter_level){ .value = value, .ms = ms, .moved_ms = ms };
}

/* Whether the readings held back are a level of their own. */
static bool is_level(const struct counter *counter)
{
    return counter->run >= COUNTER_IN_LINE
           && (counter->run_rose || !is_known(counter)
               || counter->run_last.ms - counter->run_first.ms >= COUNTER_STILL_MS);
}

/* --- what a level is --- */

/* Whether it went from near that end to near 0. */
static bool went_over(const struct counter *counter, double width)
{
    const struct counter_limits *limits = &counter->limits;
    const struct counter_level *level = &counter->run_first, *old = &counter->last;
    double to_end = width - old->value;

    return to_end > 0 && MAX(to_end, level->value) <= width / NEAR
           && to_end + level->value <= possible(limits, old, level->value, level->ms, limits->per_hour);
}

/* Where it began again at 0: the register's width, or a power of ten as displays have it. 0: it did not. */
static double rolled_over_at(const struct counter *counter)
{
    if (went_over(counter, counter->limits.width)) {
        return counter->limits.width;
    }
    for (int digits = DIGITS_MIN; digits <= DIGITS_MAX; digits++) {
        const double width = pow(10, digits);

        if (went_over(counter, width)) {
            return width;
        }
    }
    return 0;
}

static bool returns(const struct counter *counter)
{
    const struct counter_limits *limits = &counter->limits;
    const struct counter_level *level = &counter->run_first;

    if (counter->has_former && fit(limits, &counter->former, level->value, level->ms, limits->per_hour) == FIT_LINE) {
        return true;
    }
    // between the last two: then the last one was wrong
    return counter->has_previous && counter->last.value > level->value
           && fit(limits, &counter->previous, level->value, level->ms, limits->per_hour) == FIT_LINE;
}

/* Whether it goes on rising as fast as it jumped, or jumped for as long as nobody knows. */
static bool rises(const struct counter *counter)
{
    const struct counter_limits *limits = &counter->limits;
    const struct counter_level *first = &counter->run_first, *last = &counter->run_last;

    if (first->value < counter->last.value) {
        return false;
    }
    return counter->memory == COUNTER_KNOWN_SINCE
           || fit(limits, first, last->value, last->ms, limits->per_hour) == FIT_ABOVE;
}

static enum counter_verdict classify(const struct counter *counter, double *ret_width)
{
    const struct counter_limits *limits = &counter->limits;
    const struct counter_level *level = &counter->run_first, *old = &counter->last;

    if (!is_known(counter)) {
        return COUNTER_AGREED;
    }
    *ret_width = rolled_over_at(counter);
    if (*ret_width > 0) {
        return COUNTER_ROLLOVER;
    }
    if (returns(counter)) {
        return COUNTER_RETURN;
    }
    if (level->value < old->value && level->value <= possible(limits, old, level->value, level->ms, limits->per_hour)) {
        return COUNTER_RESET;
    }
    return rises(counter) ? COUNTER_RISE : COUNTER_EXCHANGE;
}

static void release(struct counter *counter, enum counter_verdict verdict)
{
    const struct counter_level first = counter->run_first, last = counter->run_last, old = counter->last;
    const bool had_old = is_known(counter);

    if (verdict == COUNTER_RISE) {
        learn(counter, last.value - first.value, last.ms - first.ms);
    }
    begin(counter, last.value, last.ms);
    counter->last.moved_ms = last.moved_ms;
    if (verdict != COUNTER_RISE && had_old) {
        counter->former = old;
        counter->has_former = true;
    }
}

void counter_judge(struct counter *counter, double value, bool all_ones, int64_t ms, struct counter_judgement *ret)
{
    const struct counter_limits *limits = &counter->limits;
    const bool known = is_known(counter);
    const enum fit fits = known ? fit(limits, &counter->last, value, ms, limits->per_hour) : FIT_ABOVE;

    *ret = (struct counter_judgement){ .before = known ? counter->last.value : NAN,
                                       .elapsed_ms = known && ms > counter->last.ms ? ms - counter->last.ms : 0,
                                       .held = counter->held,
                                       .held_since_ms = counter->held_since_ms };
    if (counter->memory == COUNTER_NEW && !all_ones) {
        ret->verdict = counter->held > 0 ? COUNTER_DROPPED : COUNTER_BELIEVED;
        begin(counter, value, ms);
        return;
    }
    if (known && fits == FIT_LINE) {
        ret->verdict = go_on(counter, value, ms);
        return;
    }

    hold(counter, value, all_ones, ms);
    ret->held = counter->held;
    ret->held_since_ms = counter->held_since_ms;
    if (!all_ones && is_level(counter)) {
        ret->held--;  // this one is believed
        ret->verdict = classify(counter, &ret->bound);
        release(counter, ret->verdict);
    } else if (all_ones) {
        ret->verdict = COUNTER_ALL_ONES;
    } else if (!known) {
        ret->verdict = COUNTER_UNCONFIRMED;
    } else if (fits == FIT_BELOW) {
        ret->verdict = COUNTER_STEP_BACK;
    } else {
        ret->verdict = COUNTER_JUMP;
        ret->bound = possible(limits, &counter->last, value, ms, limits->per_hour);
    }
}
