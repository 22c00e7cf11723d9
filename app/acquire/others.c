/* SPDX-License-Identifier: MIT */
#include "app/acquire/others.h"

#include "app/base/status.h"

#include <stdio.h>
#include <string.h>

static const char *const names[OTHERS_PROGRAMS] = { "stick", "leds" };

const char *others_name(unsigned program)
{
    return names[program];
}

/* Where an event of one program goes, and whether it may. */
struct teller {
    struct rate *rate;
    uint64_t now_us;
    others_tell *tell;
    void *data;
};

static void say(const struct teller *teller, const char *code, const char *text)
{
    char whole[QUEUE_TEXT_SIZE];
    unsigned left_out = 0;

    if (!rate_allows(teller->rate, teller->now_us, &left_out)) {
        return;
    }
    if (left_out > 0) {
        (void) snprintf(whole, sizeof(whole), "%.200s (%u such events were left out before)", text, left_out);
        text = whole;
    }
    teller->tell(teller->data, code, text);
}

static void copy(char *ret, size_t size, const char *text)
{
    (void) snprintf(ret, size, "%s", text ? text : "");
}

/* --- programs --- */

static void say_program(const struct teller *teller, unsigned number, const struct others_program *program)
{
    char text[QUEUE_TEXT_SIZE];

    if (program->silent) {
        (void) snprintf(text, sizeof(text), "%s: not alive", names[number]);
    } else if (*program->error) {
        (void) snprintf(text, sizeof(text), "%s: %s (%s)", names[number], program->state, program->error);
    } else {
        (void) snprintf(text, sizeof(text), "%s: %s", names[number], program->state);
    }
    say(teller, "program", text);
}

/* --- sticks --- */

/* "": a state in which all is well. Words that we do not know are none of ours. */
static const char *trouble_of(const char *state)
{
    static const char *const troubles[] = { "failed", "full", "readonly", "refused", "slow" };

    for (size_t i = 0; state && i < ARRAY_SIZE(troubles); i++) {
        if (text_equal(state, troubles[i])) {
            return troubles[i];
        }
    }
    return "";
}

static bool is_busy(const char *state)
{
    return state && (text_equal(state, "checking") || text_equal(state, "writing"));
}

static unsigned read_sticks(const struct json *status, struct others_stick ret[static OTHERS_STICKS])
{
    const struct json *sticks = json_member(status, "sticks");
    unsigned count = 0;

    for (size_t i = 0; i < json_count(sticks) && count < OTHERS_STICKS; i++) {
        const struct json *stick = json_item(sticks, i);

        if (json_member_string(stick, "id")) {
            struct others_stick *one = &ret[count++];

            *one = (struct others_stick){ .gap = json_as_bool(json_member(stick, "gap")) };
            copy(one->id, sizeof(one->id), json_member_string(stick, "id"));
            copy(one->node, sizeof(one->node), json_member_string(stick, "node"));
            copy(one->trouble, sizeof(one->trouble), trouble_of(json_member_string(stick, "state")));
            one->is_busy = is_busy(json_member_string(stick, "state"));
            copy(one->error, sizeof(one->error), json_member_string(stick, "error"));
        }
    }
    return count;
}

/* It has a name of its own, or is no device and needs none: else "sda1" on /dev/sda1. */
static bool is_named(const struct others_stick *stick)
{
    const char *slash = strrchr(stick->node, '/');

    return !slash || !text_equal(slash + 1, stick->id);
}

static const struct others_stick *find(const struct others_stick *sticks, unsigned count, const char *id)
{
    for (unsigned i = 0; i < count; i++) {
        if (text_equal(sticks[i].id, id)) {
            return &sticks[i];
        }
    }
    return NULL;
}

/* The same stick before, be it without its name. */
static const struct others_stick *find_before(const struct others_program *before, const struct others_stick *stick)
{
    const struct others_stick *was = find(before->sticks, before->stick_count, stick->id);

    for (unsigned i = 0; !was && *stick->node && i < before->stick_count; i++) {
        if (text_equal(before->sticks[i].node, stick->node) && !is_named(&before->sticks[i])) {
            was = &before->sticks[i];
        }
    }
    return was;
}

/* "ID: in", "ID: full (No space left on device)", "ID: no longer full", ... */
static void say_stick(const struct teller *teller, const struct others_stick *stick, const char *what,
                      const char *trouble, const char *error)
{
    char text[QUEUE_TEXT_SIZE];

    (void) snprintf(text, sizeof(text), *error ? "%s: %s%s%s (%s)" : "%s: %s%s%s", stick->id, what,
                    *what && *trouble ? " " : "", trouble, error);
    say(teller, "stick", text);
}

static void say_gap(const struct teller *teller, const struct others_stick *stick)
{
    char text[QUEUE_TEXT_SIZE];

    (void) snprintf(text, sizeof(text), "%s: misses rows that the journal has no more", stick->id);
    say(teller, "gap", text);
}

static void compare_stick(const struct teller *teller, const struct others_stick *was, struct others_stick *stick)
{
    const char *before = was && was->is_told ? was->trouble : "";

    if (stick->is_busy && *stick->error) {
        copy(stick->trouble, sizeof(stick->trouble), before);  // tried again: it is what it was until that is done
    }
    stick->is_told = was && was->is_told;
    if (!stick->is_told && (*stick->trouble || is_named(stick))) {
        stick->is_told = true;
        say_stick(teller, stick, *stick->trouble ? "in," : "in", stick->trouble, *stick->trouble ? stick->error : "");
    } else if (*stick->trouble && !text_equal(stick->trouble, before)) {
        say_stick(teller, stick, "", stick->trouble, stick->error);
    } else if (*before && !*stick->trouble) {
        say_stick(teller, stick, "no longer", before, "");
    }
    if (stick->gap && !(was && was->gap)) {
        say_gap(teller, stick);
    }
}

static void compare_sticks(const struct teller *teller, const struct others_program *before,
                           struct others_stick *sticks, unsigned count)
{
    for (unsigned i = 0; i < before->stick_count; i++) {
        const struct others_stick *was = &before->sticks[i];
        bool is_there = false;

        for (unsigned k = 0; k < count; k++) {
            is_there = is_there || find_before(before, &sticks[k]) == was;
        }
        if (!is_there && was->is_told) {
            say_stick(teller, was, "out", "", "");
        }
    }
    for (unsigned i = 0; i < count; i++) {
        compare_stick(teller, find_before(before, &sticks[i]), &sticks[i]);
    }
}

/* --- both --- */

void others_take(struct others *others, unsigned number, const struct json *status, uint64_t now_us, others_tell *tell,
                 void *data)
{
    struct others_program *program = &others->programs[number];
    const struct teller teller = { &program->rate, now_us, tell, data };
    struct others_program now = { .seen = true, .rate = program->rate };

    if (!status) {
        if (program->seen && !program->silent && !text_equal(program->state, "stopped")) {
            program->silent = true;
            say_program(&teller, number, program);
        }
        program->seen = program->silent = true;
        return;  // its sticks are where they were, for all we know
    }

    copy(now.state, sizeof(now.state), json_member_string(status, "state"));
    copy(now.error, sizeof(now.error), json_member_string(status, "error"));
    now.stick_count = read_sticks(status, now.sticks);
    if (program->seen && (program->silent || !text_equal(now.state, program->state)
                          || !text_equal(now.error, program->error))) {
        say_program(&teller, number, &now);
    }
    if (program->seen) {
        compare_sticks(&teller, program, now.sticks, now.stick_count);
    } else {
        for (unsigned i = 0; i < now.stick_count; i++) {
            now.sticks[i].is_told = is_named(&now.sticks[i]) || *now.sticks[i].trouble;
        }
    }
    now.rate = program->rate;
    *program = now;
}

void others_look(struct others *others, const char *run_dir, uint64_t now_us, others_tell *tell, void *data)
{
    for (unsigned i = 0; i < OTHERS_PROGRAMS; i++) {
        auto_json struct json *status = NULL;
        bool fresh = false;
        int r = status_read(run_dir, names[i], &status, &fresh);

        others_take(others, i, r == 0 && fresh ? status : NULL, now_us, tell, data);
    }
}
