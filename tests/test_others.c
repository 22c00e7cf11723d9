/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/others.h"

#define S UINT64_C(1000000)

static char told[4096];   // "code text\n"...
static unsigned told_count;

static void tell(void *data, const char *code, const char *text)
{
    CHECK(data == &told_count);
    told_count++;
    if (strlen(told) + strlen(code) + strlen(text) + 3 < sizeof(told)) {
        (void) strcat(strcat(strcat(strcat(told, code), " "), text), "\n");
    }
}

/* Take a status of `stick`; NULL: none. Returns what was told. */
static const char *take(struct others *others, const char *status, uint64_t now_us)
{
    auto_json struct json *json = NULL;

    told[0] = '\0';
    if (status) {
        CHECK_EQ(json_parse(status, strlen(status), &json, NULL), 0);
    }
    others_take(others, 0, json, now_us, tell, &told_count);
    return told;
}

#define STATUS(state, error, sticks) "{\"state\":\"" state "\",\"error\":" error ",\"sticks\":[" sticks "]}"
#define STICK(id, state) "{\"id\":\"" id "\",\"state\":\"" state "\"}"

/* What is said of each step, which follows the one before. */
static const struct {
    const char *status, *expect;
} steps[] = {
    { STATUS("starting", "null", STICK("A", "idle")), "" },              // as we begin
    { STATUS("running", "null", STICK("A", "idle")), "program stick: running\n" },
    { STATUS("running", "null", STICK("A", "checking")), "" },
    { STATUS("running", "null", STICK("A", "writing")), "" },
    { STATUS("running", "null", STICK("A", "idle")), "" },
    { STATUS("running", "\"the card hangs\"", STICK("A", "idle")), "program stick: running (the card hangs)\n" },
    { STATUS("failed", "\"the card hangs\"", STICK("A", "idle")), "program stick: failed (the card hangs)\n" },
    { STATUS("running", "null", STICK("A", "full")), "program stick: running\nstick A: full\n" },
    { STATUS("running", "null", STICK("A", "full")), "" },
    { STATUS("running", "null", STICK("A", "readonly")), "stick A: readonly\n" },
    { STATUS("running", "null", STICK("A", "writing")), "stick A: no longer readonly\n" },
    { STATUS("running", "null", ""), "stick A: out\n" },
    { STATUS("running", "null", STICK("B", "refused")), "stick B: in, refused\n" },
    { STATUS("running", "null", STICK("A", "slow") "," STICK("B", "failed")), "stick A: in, slow\nstick B: failed\n" },
    { NULL, "program stick: not alive\n" },
    { NULL, "" },
    { STATUS("running", "null", STICK("A", "slow")), "program stick: running\nstick B: out\n" },
    { STATUS("stopped", "null", STICK("A", "slow")), "program stick: stopped\n" },
    { NULL, "" },                                                        // it said so
    { STATUS("starting", "null", STICK("A", "idle")), "program stick: starting\nstick A: no longer slow\n" },
    { "{}", "program stick: \nstick A: out\n" },
};

static void test_changes_are_told_once_and_work_is_no_news(void)
{
    struct others others = { 0 };

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        print_message("step %zu\n", i);
        CHECK_STR(take(&others, steps[i].status, i * 60 * S), steps[i].expect);
    }
}

#define ON(id, node, state, error)                                                                 \
    "{\"id\":\"" id "\",\"node\":\"/dev/" node "\",\"state\":\"" state "\",\"error\":" error "}"

/* Sticks on devices, side by side, with reasons. */
static const struct {
    const char *status, *expect;
} device_steps[] = {
    { STATUS("running", "null", ""), "" },
    { STATUS("running", "null", ON("sda1", "sda1", "idle", "null")), "" },      // nobody has looked at it yet
    { STATUS("running", "null", ON("sda1", "sda1", "writing", "null")), "" },
    { STATUS("running", "null", ON("AB-01", "sda1", "writing", "null")), "stick AB-01: in\n" },
    { STATUS("running", "null", ON("AB-01", "sdb1", "idle", "null")), "" },     // a dip
    { STATUS("running", "null", ON("AB-01", "sdb1", "idle", "null") "," ON("sdc", "sdc", "idle", "null")), "" },
    { STATUS("running", "null", ON("AB-01", "sdb1", "idle", "null") "," ON("sdc", "sdc", "refused", "\"NTFS\"")),
      "stick sdc: in, refused (NTFS)\n" },
    { STATUS("running", "null", ON("AB-01", "sdb1", "idle", "null") "," ON("sdc", "sdc", "writing", "\"NTFS\"")),
      "" },                                                                     // tried again
    { STATUS("running", "null", ON("AB-01", "sdb1", "idle", "null") "," ON("sdc", "sdc", "refused", "\"NTFS\"")), "" },
    { STATUS("running", "null", ON("sdc", "sdc", "refused", "\"NTFS\"") ","
             ON("AB-01", "sdb1", "full", "\"no space\"")), "stick AB-01: full (no space)\n" },
    { STATUS("running", "null", ON("AB-01", "sdb1", "writing", "null")),
      "stick sdc: out\nstick AB-01: no longer full\n" },
    { STATUS("running", "null", ON("CD-02", "sdb1", "writing", "null")),        // another in the same socket
      "stick AB-01: out\nstick CD-02: in\n" },
    { STATUS("running", "null", ON("CD-02", "sdb1", "idle", "null") "," ON("sdd", "sdd", "idle", "null")), "" },
    { STATUS("running", "null", ON("CD-02", "sdb1", "idle", "null")), "" },     // never looked at, and gone
    { STATUS("running", "null", ON("CD-02", "sdb1", "idle", "null") "," ON("sdd", "sdd", "slow", "\"hangs\"")),
      "stick sdd: in, slow (hangs)\n" },
    { STATUS("running", "null", ON("CD-02", "sdb1", "idle", "null") "," ON("EF-03", "sdd", "idle", "null")),
      "stick EF-03: no longer slow\n" },
};

static void test_sticks_have_the_names_of_their_file_systems_and_their_troubles_a_reason(void)
{
    struct others others = { 0 };

    for (size_t i = 0; i < ARRAY_SIZE(device_steps); i++) {
        print_message("step %zu\n", i);
        CHECK_STR(take(&others, device_steps[i].status, i * 60 * S), device_steps[i].expect);
    }
}

/* DESIGN section 4: a cursor older than the oldest segment produces a gap event. */
static void test_a_stick_that_misses_rows_is_told_once(void)
{
    static const char with[] = STATUS("running", "null", "{\"id\":\"A\",\"state\":\"idle\",\"gap\":true}");
    static const char without[] = STATUS("running", "null", "{\"id\":\"A\",\"state\":\"idle\",\"gap\":false}");
    struct others others = { 0 };

    (void) take(&others, without, 0);
    CHECK_STR(take(&others, with, 1), "gap A: misses rows that the journal has no more\n");
    CHECK_STR(take(&others, with, 2), "");
    CHECK_STR(take(&others, without, 3), "");
    CHECK_STR(take(&others, STATUS("running", "null", ""), 4), "stick A: out\n");
    CHECK_STR(take(&others, with, 5), "stick A: in\ngap A: misses rows that the journal has no more\n");
}

static void test_who_comes_after_us_is_told(void)
{
    struct others others = { 0 };

    CHECK_STR(take(&others, NULL, 0), "");
    CHECK_STR(take(&others, NULL, 1), "");
    CHECK_STR(take(&others, STATUS("running", "null", STICK("A", "idle")), 2), "program stick: running\nstick A: in\n");
}

static void test_whoever_flaps_has_ten_events_a_minute(void)
{
    struct others others = { 0 };

    told_count = 0;
    for (uint64_t second = 0; second < 3600; second++) {
        (void) take(&others, second % 2 ? STATUS("running", "null", STICK("A", "full"))
                                        : STATUS("running", "null", STICK("A", "idle")), second * S);
    }
    CHECK(told_count >= 590 && told_count <= 610);
    CHECK_HAS(take(&others, STATUS("running", "null", ""), 7200 * S), "stick A: out (");
    CHECK_HAS(told, " such events were left out before)");
}

static void test_what_is_long_or_of_another_kind_does_no_harm(void)
{
    struct others others = { 0 };
    char status[2048], many[2048] = "";

    (void) take(&others, "{\"state\":7,\"error\":[],\"sticks\":{}}", 0);
    CHECK_STR(take(&others, "{\"state\":7,\"error\":[],\"sticks\":[1,null,{\"id\":3},{}]}", 1), "");
    (void) snprintf(status, sizeof(status),
                    "{\"state\":\"%0300d\",\"error\":\"%0900d\",\"sticks\":[{\"id\":\"%0400d\"}]}", 1, 2, 3);
    CHECK(strlen(take(&others, status, 2)) < 2 * QUEUE_TEXT_SIZE);
    CHECK_STR(take(&others, status, 3), "");
    for (int i = 0; i < 40; i++) {
        (void) snprintf(many + strlen(many), sizeof(many) - strlen(many), "%s{\"id\":\"%d\"}", i ? "," : "", i);
    }
    (void) snprintf(status, sizeof(status), "{\"sticks\":[%.1900s]}", many);
    (void) take(&others, status, 100 * S);
    CHECK_EQ(others.programs[0].stick_count, OTHERS_STICKS);
}

static void test_each_program_is_for_itself(void)
{
    struct others others = { 0 };

    (void) take(&others, STATUS("running", "null", ""), 0);
    told[0] = '\0';
    others_take(&others, 1, NULL, 0, tell, &told_count);
    CHECK_STR(told, "");
    CHECK_STR(take(&others, NULL, 1), "program stick: not alive\n");
    CHECK_STR(others_name(0), "stick");
    CHECK_STR(others_name(1), "leds");
}

TESTS(test_changes_are_told_once_and_work_is_no_news,
      test_sticks_have_the_names_of_their_file_systems_and_their_troubles_a_reason,
      test_a_stick_that_misses_rows_is_told_once,
      test_who_comes_after_us_is_told, test_whoever_flaps_has_ten_events_a_minute,
      test_what_is_long_or_of_another_kind_does_no_harm, test_each_program_is_for_itself)
