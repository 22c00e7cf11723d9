// SPDX-License-Identifier: MIT
// link: ms_outlet

/* What is told of one stick, and when. */

#include "tests/journal_bed.h"

#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/text.h"
#include "app/outlet/stick_service.h"
#include "app/outlet/stick_status.h"

#include <errno.h>
#include <ftw.h>

#define REPORTS_MAX 64

struct told {
    struct stick_report reports[REPORTS_MAX];
    uint64_t at_ms[REPORTS_MAX];
    unsigned count;
};

static char stick_dir[160];
static struct told told;
static struct stick_root *root;
static struct stick_service *service;

static void take(const struct stick_report *report, void *data)
{
    struct told *to = data;

    if (to->count < REPORTS_MAX) {
        to->at_ms[to->count] = clock_monotonic_ms();
        to->reports[to->count++] = *report;
    }
}

static void begin_service(void)
{
    static struct options options;
    struct stick_service_setup setup = { .options = &options, .tell = take, .data = &told };

    told.count = 0;
    options = (struct options){ .state_dir = state_dir, .run_dir = state_dir };
    CHECK_EQ(stick_root_new_directory(stick_dir, &root), 0);
    setup.root = root;
    CHECK_EQ(stick_service_new(&setup, &service), 0);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void) status;
    (void) kind;
    (void) walk;
    return remove(path);
}

static void end_service(void)
{
    stick_service_free(service);
    stick_root_free(root);
    CHECK_EQ(nftw(state_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void begin(bool with_journal)
{
    struct journal *writer;
    struct epoch epoch;

    make_directory();
    snprintf(stick_dir, sizeof(stick_dir), "%s/stick", state_dir);
    CHECK_EQ(mkdir(stick_dir, 0755), 0);
    if (with_journal) {
        writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
        add_row(writer, &epoch, add_kitchen(writer), 1, 1);
        CHECK_EQ(journal_commit(writer, 10), 0);
        journal_close(writer);
    }
    begin_service();
}

static void step_for(uint64_t ms)
{
    uint64_t end_ms = clock_monotonic_ms() + ms;

    while (clock_monotonic_ms() < end_ms) {
        uint64_t next_ms = stick_service_step(service, clock_monotonic_ms());

        clock_sleep_until_us(MIN(next_ms, end_ms) * 1000);
    }
}

static void test_a_burst_is_told_before_and_after_it_and_again_each_second(void)
{
    begin(true);
    step_for(3500);
    CHECK(told.count >= 5);
    CHECK(told.reports[0].in);
    CHECK_STR(told.reports[0].id, stick_dir);
    CHECK_EQ(told.reports[0].state, STICK_IDLE);
    CHECK_EQ(told.reports[1].state, STICK_WRITING);
    CHECK_EQ(told.reports[2].state, STICK_IDLE);
    CHECK(told.at_ms[2] - told.at_ms[1] >= 250);  // the light is seen before anything is written
    for (unsigned i = 1; i < told.count; i++) {
        CHECK(told.at_ms[i] - told.at_ms[i - 1] < 2500);
        CHECK_STR(told.reports[i].error, "");
        CHECK_NAN(told.reports[i].percent);
    }
    end_service();
}

static void test_a_stick_that_goes_is_told_at_once_and_comes_back_with_a_burst(void)
{
    char away[200];
    unsigned before;

    begin(true);
    step_for(600);
    CHECK(told.reports[told.count - 1].in);
    snprintf(away, sizeof(away), "%s/away", state_dir);
    CHECK_EQ(rename(stick_dir, away), 0);
    before = told.count;
    (void) stick_service_step(service, clock_monotonic_ms());
    CHECK_EQ(told.count, before + 1);
    CHECK(!told.reports[before].in);
    CHECK_EQ(rename(away, stick_dir), 0);
    (void) stick_service_step(service, clock_monotonic_ms());
    CHECK_EQ(told.reports[before + 2].state, STICK_WRITING);
    CHECK_EQ(told.reports[told.count - 1].state, STICK_IDLE);
    end_service();
}

static void test_no_journal_yet_is_an_error_and_no_light(void)
{
    begin(false);
    (void) stick_service_step(service, clock_monotonic_ms());
    CHECK_EQ(told.reports[told.count - 1].state, STICK_IDLE);
    CHECK_STR(told.reports[told.count - 1].error, "no journal yet");
    for (unsigned i = 0; i < told.count; i++) {
        CHECK(told.reports[i].state != STICK_WRITING);
    }
    end_service();
}

static void test_the_last_burst_writes_and_closes(void)
{
    auto_free char *name = NULL, *text = NULL;
    char path[400];
    size_t size;

    begin(true);
    CHECK_EQ(stick_service_flush(service, 3000), 0);
    CHECK(!stick_root_is_open(root));
    snprintf(path, sizeof(path), "%s/appliance", state_dir);
    CHECK_EQ(file_read(path, 100, &name, &size), 0);
    snprintf(path, sizeof(path), "%s/kwhmeter/%s/status.txt", stick_dir, text_trim(name));
    CHECK_EQ(file_read(path, 65536, &text, &size), 0);
    CHECK_HAS(text, "Free space    about ");
    end_service();
}

static void test_the_status_file_names_the_sticks_that_are_in_each_with_its_error(void)
{
    struct stick_report reports[] = {
        { .in = false, .id = "1111-1111", .error = "gone" },
        { .in = true, .id = "2222-2222", .state = STICK_WRITING, .percent = 50, .eta_s = 10, .backlog = 7,
          .gap = true },
        { .in = true, .id = "3333-3333", .state = STICK_REFUSED, .percent = NAN, .eta_s = NAN, .error = "NTFS" },
    };
    const char *nodes[] = { "/dev/sda1", "/dev/sdb1", "/dev/sdc" };
    auto_free char *text = NULL;
    char path[300];
    size_t size;

    make_directory();
    CHECK_EQ(stick_status_write(state_dir, "running", reports, nodes, ARRAY_SIZE(reports)), 0);
    CHECK_EQ(file_path(path, sizeof(path), state_dir, "stick.json"), 0);
    CHECK_EQ(file_read(path, 4096, &text, &size), 0);
    CHECK_HAS(text, "\"state\":\"running\",\"error\":null,\"sticks\":["
                    "{\"id\":\"2222-2222\",\"node\":\"/dev/sdb1\",\"state\":\"writing\",\"percent\":50,\"eta_s\":10,"
                    "\"backlog\":7,\"gap\":true,\"error\":null},"
                    "{\"id\":\"3333-3333\",\"node\":\"/dev/sdc\",\"state\":\"refused\",\"percent\":null,\"eta_s\":null,"
                    "\"backlog\":0,\"gap\":false,\"error\":\"NTFS\"}]}");
    free(TAKE(text));

    // what no stick can help is the program's own error
    reports[1].state = STICK_IDLE;
    strcpy(reports[1].error, "no journal yet");
    CHECK_EQ(stick_status_write(state_dir, "running", reports, NULL, ARRAY_SIZE(reports)), 0);
    CHECK_EQ(file_read(path, 4096, &text, &size), 0);
    CHECK_HAS(text, "\"error\":\"no journal yet\",\"sticks\":[{\"id\":\"2222-2222\",\"state\":\"idle\",");
    CHECK_EQ(nftw(state_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void test_reports_that_say_the_same_are_known(void)
{
    struct stick_report a = { .in = true, .id = "1234-ABCD", .percent = NAN, .eta_s = NAN }, b = a;

    CHECK(stick_report_is_same(&a, &b));
    b.percent = 3;
    CHECK(!stick_report_is_same(&a, &b));
    b = a;
    strcpy(b.error, "full");
    CHECK(!stick_report_is_same(&a, &b));
    b = a;
    b.state = STICK_SLOW;
    CHECK(!stick_report_is_same(&a, &b));
    CHECK_STR(stick_report_state_name(STICK_READONLY), "readonly");
}

static void test_every_error_of_a_burst_has_its_state(void)
{
    static const struct {
        int error;
        enum stick_state state;
    } cases[] = {
        { 0, STICK_IDLE },           { -EAGAIN, STICK_IDLE },    { -ENOENT, STICK_IDLE },
        { -ENODATA, STICK_FAILED },  { -EIO, STICK_FAILED },     { -ENODEV, STICK_FAILED },
        { -ENOSPC, STICK_FULL },     { -EDQUOT, STICK_FULL },    { -EROFS, STICK_READONLY },
        { -EACCES, STICK_READONLY }, { -EBUSY, STICK_REFUSED },  { -EMEDIUMTYPE, STICK_REFUSED },
        { -EUCLEAN, STICK_REFUSED }, { -EBADMSG, STICK_FAILED },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(stick_report_state_of(cases[i].error), cases[i].state);
    }
}

TESTS(test_a_burst_is_told_before_and_after_it_and_again_each_second,
      test_a_stick_that_goes_is_told_at_once_and_comes_back_with_a_burst, test_no_journal_yet_is_an_error_and_no_light,
      test_the_last_burst_writes_and_closes, test_the_status_file_names_the_sticks_that_are_in_each_with_its_error,
      test_reports_that_say_the_same_are_known, test_every_error_of_a_burst_has_its_state)
