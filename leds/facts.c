/* SPDX-License-Identifier: MIT */
#include "leds/facts.h"

#include "app/base/text.h"

#include <math.h>

/* A state that a program says of itself, as long as it is alive. */
static bool is_running(const struct json *status)
{
    const char *state = json_member_string(status, "state");

    return state && (text_equal(state, "running") || text_equal(state, "starting") || text_equal(state, "failed"));
}

/* Live is not enough: only a row that is committed, and not long ago, is a reading. */
static bool is_good(const struct json *meter, uint64_t now_boot_ms, uint64_t commit_ms)
{
    const char *state = json_member_string(meter, "state");
    double committed_ms = json_member_number(meter, "committed_boot_ms");
    double slice_ms = json_member_number(meter, "slice_ms");

    if (!state || !text_equal(state, "live") || isnan(committed_ms) || isnan(slice_ms)) {
        return false;
    }
    return (double) now_boot_ms - committed_ms < 3 * slice_ms + (double) commit_ms;
}

static void gather_acquire(const struct json *acquire, uint64_t now_boot_ms, uint64_t commit_ms, struct facts *ret)
{
    const struct json *meters = json_member(acquire, "meters");
    const char *state = json_member_string(acquire, "state");
    const char *journal_state = json_member_string(json_member(acquire, "journal"), "state");

    ret->acquire_alive = true;
    ret->acquisition_failed = text_equal(state, "failed");
    ret->meter_count = (unsigned) json_count(meters);
    for (size_t i = 0; i < json_count(meters); i++) {
        ret->meter_good_count += is_good(json_item(meters, i), now_boot_ms, commit_ms);
    }
    ret->journal_ok = journal_state && text_equal(journal_state, "ok");
    ret->clock_known = json_as_bool(json_member(json_member(acquire, "clock"), "known"));
}

static void gather_stick(const struct json *stick, struct facts *ret)
{
    const struct json *sticks = json_member(stick, "sticks");

    ret->stick_alive = true;
    ret->stick_failed = text_equal(json_member_string(stick, "state"), "failed");
    ret->stick_count = (unsigned) json_count(sticks);
    for (size_t i = 0; i < json_count(sticks); i++) {
        const struct json *one = json_item(sticks, i);
        const char *state = json_member_string(one, "state");
        double backlog = json_member_number(one, "backlog");

        state = state ? state : "failed";  // a stick of which nothing is known is not a good one
        if (text_equal(state, "checking") || text_equal(state, "writing")) {
            ret->stick_writing = true;
        } else if (text_equal(state, "refused")) {
            ret->stick_refused = true;
        } else if (!text_equal(state, "idle")) {
            ret->stick_failed = true;
        }
        if (!isnan(backlog) && backlog > 0) {
            ret->stick_behind = true;
        }
    }
}

void facts_gather(const struct json *acquire, const struct json *stick, uint64_t now_boot_ms, uint64_t commit_ms,
                  struct facts *ret)
{
    *ret = (struct facts){};
    if (is_running(acquire)) {
        gather_acquire(acquire, now_boot_ms, commit_ms, ret);
    }
    if (is_running(stick)) {
        gather_stick(stick, ret);
    }
}
