/* SPDX-License-Identifier: MIT */
#include "leds/facts.h"

#include "app/base/macros.h"
#include "app/base/status.h"
#include "app/base/text.h"

#include <math.h>

/* A state that a program says of itself, as long as it is alive. */
static bool is_running(const struct json *status)
{
    const char *state = json_member_string(status, "state");

    return state && (text_equal(state, "running") || text_equal(state, "starting") || text_equal(state, "failed"));
}

/* One of these, and with the list that the lights are about: half a status is none. */
static bool is_whole(const struct json *status, const char *list)
{
    return is_running(status) && json_is_list(json_member(status, list));
}

/*
 * Live is not enough: only a row that is committed, and not long ago, is a reading. Returns until when it is one;
 * 0 if it is not even now. What was committed since may stand in the next status only.
 */
static uint64_t good_until_ms(const struct json *meter, uint64_t now_boot_ms, uint64_t commit_ms)
{
    const char *state = json_member_string(meter, "state");
    double committed_ms = json_member_number(meter, "committed_boot_ms");
    double slice_ms = json_member_number(meter, "slice_ms");
    double until_ms = committed_ms + 3 * slice_ms + (double) commit_ms + STATUS_EVERY_MS;

    if (!state || !text_equal(state, "live") || !((double) now_boot_ms < until_ms)) {
        return 0;
    }
    return until_ms < (double) UINT64_MAX ? (uint64_t) ceil(until_ms) : UINT64_MAX;
}

static void gather_search(const struct json *scan, struct facts *ret)
{
    const char *state = json_member_string(scan, "state");

    ret->searching = state && text_equal(state, "running");
    if (ret->searching) {
        ret->searching_anew = json_member_number(scan, "rounds") > 0;
        ret->search_percent = json_member_number(scan, "percent");
        ret->search_left_min = fmax(1, ceil(json_member_number(scan, "left_s") / 60));
    }
}

static void gather_acquire(const struct json *acquire, uint64_t now_boot_ms, uint64_t commit_ms, struct facts *ret)
{
    const struct json *meters = json_member(acquire, "meters");
    const char *state = json_member_string(acquire, "state");
    const char *journal_state = json_member_string(json_member(acquire, "journal"), "state");

    ret->acquire_alive = true;
    ret->acquisition_failed = text_equal(state, "failed");
    ret->meter_count = (unsigned) json_count(meters);
    for (unsigned i = 0; i < ret->meter_count; i++) {
        uint64_t until_ms = good_until_ms(json_item(meters, i), now_boot_ms, commit_ms);

        ret->any_reading |= json_member_number(json_item(meters, i), "committed_boot_ms") > 0;
        if (until_ms > 0) {
            ret->meter_good_count++;
            ret->turns_boot_ms = MIN(ret->turns_boot_ms, until_ms);
        } else if (ret->silent_count < FACTS_SILENT_MAX) {
            ret->silent_numbers[ret->silent_count++] = i + 1;
        }
    }
    gather_search(json_member(acquire, "scan"), ret);
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
        double percent = json_member_number(one, "percent");

        state = state ? state : "failed";  // a stick of which nothing is known is not a good one
        ret->stick_behind |= !text_equal(state, "idle") || json_member_string(one, "error") || !(backlog <= 0);
        if (text_equal(state, "checking") || text_equal(state, "writing")) {
            ret->stick_writing = true;
            ret->stick_percent = fmin(ret->stick_percent, percent);  // of a number and NAN, the number
        } else if (text_equal(state, "refused")) {
            ret->stick_refused = true;
        } else if (!text_equal(state, "idle")) {
            ret->stick_failed = true;
        }
    }
}

void facts_gather(const struct json *acquire, const struct json *stick, uint64_t now_boot_ms, uint64_t commit_ms,
                  struct facts *ret)
{
    *ret = (struct facts){ .stick_percent = NAN, .search_percent = NAN, .search_left_min = NAN,
                           .turns_boot_ms = UINT64_MAX };
    if (is_whole(acquire, "meters")) {
        gather_acquire(acquire, now_boot_ms, commit_ms, ret);
    }
    ret->halted = !ret->acquire_alive || ret->acquisition_failed;
    if (is_whole(stick, "sticks")) {
        gather_stick(stick, ret);
    }
}
