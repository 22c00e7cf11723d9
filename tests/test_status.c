// SPDX-License-Identifier: MIT
// link: ms_base

#include "tests/test.h"

#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/status.h"

#include <errno.h>
#include <sys/stat.h>

static char run_dir[128];

static void make_run_dir(void)
{
    snprintf(run_dir, sizeof(run_dir), "%s/test-status-XXXXXX", TEST_BINARY_DIR);
    CHECK(mkdtemp(run_dir));
}

static void remove_run_dir(void)
{
    char path[200];

    CHECK_EQ(file_path(path, sizeof(path), run_dir, "stick.json"), 0);
    (void) unlink(path);
    CHECK_EQ(rmdir(run_dir), 0);
}

static void write_status(const char *error)
{
    auto_text struct text text = {};

    status_begin(&text, "stick", "running", error);
    json_add_key(&text, "sticks");
    text_add(&text, "[]");
    CHECK_EQ(status_end_and_replace(&text, run_dir, "stick"), 0);
}

static void test_what_a_program_says_is_read_back_and_believed(void)
{
    auto_json struct json *status = NULL;
    bool fresh = false;

    make_run_dir();
    write_status("the \"stick\" is full");
    CHECK_EQ(status_read(run_dir, "stick", &status, &fresh), 0);
    CHECK(fresh);
    CHECK_STR(json_member_string(status, "program"), "stick");
    CHECK_STR(json_member_string(status, "state"), "running");
    CHECK_STR(json_member_string(status, "error"), "the \"stick\" is full");
    CHECK_EQ(json_member_number(status, "pid"), getpid());
    CHECK(json_is_list(json_member(status, "sticks")));
    remove_run_dir();
}

static void test_no_error_is_null(void)
{
    auto_json struct json *status = NULL;
    bool fresh;

    make_run_dir();
    write_status(NULL);
    CHECK_EQ(status_read(run_dir, "stick", &status, &fresh), 0);
    CHECK(!json_member_string(status, "error"));
    remove_run_dir();
}

static void test_a_program_that_never_ran_or_wrote_nonsense_is_an_error(void)
{
    struct json *status = NULL;
    bool fresh = true;
    char path[200];

    make_run_dir();
    CHECK_EQ(status_read(run_dir, "stick", &status, &fresh), -ENOENT);
    CHECK_EQ(file_path(path, sizeof(path), run_dir, "stick.json"), 0);
    CHECK_EQ(file_replace(path, "[1]", 3, 0644, false), 0);
    CHECK_EQ(status_read(run_dir, "stick", &status, &fresh), -EBADMSG);
    CHECK(!status);
    CHECK(fresh);
    remove_run_dir();
}

static void test_silence_another_boot_and_the_future_are_not_believed(void)
{
    static const char text[] = "{\"boot_id\":\"aaa\",\"boot_ms\":100000}";
    static const char hidden[] = "{\"boot_id\":\"\",\"boot_ms\":100000}";
    auto_json struct json *status = NULL;
    auto_json struct json *empty = NULL;

    CHECK_EQ(json_parse(text, strlen(text), &status, NULL), 0);
    CHECK(status_is_fresh(status, "aaa", 100000));
    CHECK(status_is_fresh(status, "aaa", 106000));
    CHECK(!status_is_fresh(status, "aaa", 106001));
    CHECK(!status_is_fresh(status, "aaa", 99999));
    CHECK(!status_is_fresh(status, "bbb", 100000));
    CHECK(status_is_fresh(status, "", 100000));  // where ProcSubset=pid hides it
    CHECK(!status_is_fresh(status, "", 106001));

    CHECK_EQ(json_parse("{}", 2, &empty, NULL), 0);
    CHECK(!status_is_fresh(empty, "aaa", 0));
    CHECK(!status_is_fresh(empty, "", 0));
    json_free(TAKE(empty));
    CHECK_EQ(json_parse(hidden, strlen(hidden), &empty, NULL), 0);
    CHECK(status_is_fresh(empty, "aaa", 100000));
    CHECK(!status_is_fresh(empty, "aaa", 106001));
}

TESTS(test_what_a_program_says_is_read_back_and_believed, test_no_error_is_null,
      test_a_program_that_never_ran_or_wrote_nonsense_is_an_error,
      test_silence_another_boot_and_the_future_are_not_believed)
