/* SPDX-License-Identifier: MIT */
// link: ms_base
#include "tests/test.h"

#include "app/base/file.h"
#include "app/base/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Standard error goes to a file while a test looks at it, since cmocka itself writes there. */
static char capture_path[] = "/tmp/meterstick-log-XXXXXX";
static int kept_stderr = -1;

static void begin_capture(void)
{
    int fd = mkstemp(capture_path);

    CHECK(fd >= 0);
    (void) fflush(stderr);
    kept_stderr = dup(STDERR_FILENO);
    (void) dup2(fd, STDERR_FILENO);
    (void) close(fd);
}

/* What systemd does for a service whose output it takes. */
static void claim_journal(int fd)
{
    struct stat status;
    char name[64];

    CHECK_EQ(fstat(fd, &status), 0);
    (void) snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t) status.st_dev, (uintmax_t) status.st_ino);
    CHECK_EQ(setenv("JOURNAL_STREAM", name, 1), 0);
}

/* What was written since; the caller frees it. */
static char *end_capture(void)
{
    char *text = NULL;
    size_t size;
    int r;

    (void) dup2(kept_stderr, STDERR_FILENO);
    (void) close(kept_stderr);
    r = file_read(capture_path, 1 << 20, &text, &size);
    (void) unlink(capture_path);
    memcpy(strrchr(capture_path, '-'), "-XXXXXX", 8);
    CHECK_EQ(r, 0);
    return text;
}

static void write_all_levels(void)
{
    log_error("it %s", "failed");
    log_warning("take care");
    log_info("it goes on");
    log_debug("byte %02x", 0x5A);
}

static void test_a_line_has_time_program_and_level(void)
{
    static const char pattern[] = "0000-00-00 00:00:00 acquire: error: it failed\n"
                                  "0000-00-00 00:00:00 acquire: warning: take care\n"
                                  "0000-00-00 00:00:00 acquire: it goes on\n";
    auto_free char *text = NULL;

    (void) unsetenv("JOURNAL_STREAM");
    begin_capture();
    CHECK_EQ(log_setup("acquire", "info", NULL), 0);
    write_all_levels();
    text = end_capture();
    for (char *c = text; *c; c++) {
        *c = isdigit((unsigned char) *c) ? '0' : *c;
    }
    CHECK_STR(text, pattern);
}

static void test_under_systemd_a_line_begins_with_its_priority_and_has_no_time(void)
{
    auto_free char *text = NULL;

    begin_capture();
    claim_journal(STDERR_FILENO);
    CHECK_EQ(log_setup("acquire", "debug", "stderr"), 0);
    write_all_levels();
    text = end_capture();
    CHECK_STR(text, "<3>it failed\n<4>take care\n<6>it goes on\n<7>byte 5a\n");

    (void) setenv("JOURNAL_STREAM", "", 1);
    CHECK_EQ(log_setup("acquire", NULL, NULL), 0);
    begin_capture();
    log_info("x");
    free(text);
    text = end_capture();
    CHECK_HAS(text, " acquire: x\n");
    (void) unsetenv("JOURNAL_STREAM");
}

static void test_a_standard_error_that_was_redirected_is_not_systemds(void)
{
    auto_free char *text = NULL;

    begin_capture();
    claim_journal(kept_stderr);
    CHECK_EQ(log_setup("acquire", "info", "stderr"), 0);
    log_info("x");
    text = end_capture();
    (void) unsetenv("JOURNAL_STREAM");
    CHECK_HAS(text, " acquire: x\n");
}

static void test_the_level_decides_and_an_unknown_one_changes_nothing(void)
{
    auto_free char *text = NULL;

    begin_capture();
    CHECK_EQ(log_setup("leds", "error", NULL), 0);
    CHECK(log_is_on(LOG_LEVEL_ERROR) && !log_is_on(LOG_LEVEL_WARNING));
    write_all_levels();
    CHECK_EQ(log_setup("leds", "loud", NULL), -EINVAL);
    CHECK_EQ(log_setup("leds", "", NULL), -EINVAL);
    CHECK(!log_is_on(LOG_LEVEL_WARNING));
    CHECK_EQ(log_setup("leds", NULL, NULL), 0);
    CHECK(!log_is_on(LOG_LEVEL_WARNING));
    CHECK_EQ(log_setup("leds", "debug", NULL), 0);
    CHECK(log_is_on(LOG_LEVEL_DEBUG));
    text = end_capture();
    CHECK_HAS(text, " leds: error: it failed\n");
    CHECK(!strstr(text, "take care") && !strstr(text, "goes on"));
}

static void test_a_meters_text_cannot_forge_a_line(void)
{
    auto_free char *text = NULL;

    begin_capture();
    claim_journal(STDERR_FILENO);
    CHECK_EQ(log_setup("acquire", "info", NULL), 0);
    log_warning("meter says '%s'", "a\n<0>root: \x1B[31mred\r\t\x7F Küche");
    text = end_capture();
    CHECK_STR(text, "<4>meter says 'a <0>root: ?[31mred??? Küche'\n");
    (void) unsetenv("JOURNAL_STREAM");
}

static void test_a_line_that_is_too_long_is_cut_and_ends(void)
{
    static char endless[5000];
    auto_free char *text = NULL;

    memset(endless, 'x', sizeof(endless) - 1);
    begin_capture();
    CHECK_EQ(log_setup("acquire", "info", NULL), 0);
    log_info("%s", endless);
    log_info("next");
    text = end_capture();
    CHECK_EQ(strchr(text, '\n') - text, 2046);
    CHECK_HAS(text, "xxx\n");
    CHECK_HAS(text, " acquire: next\n");
}

static void test_a_file_is_appended_to_until_stderr_is_asked_for_again(void)
{
    char path[] = "/tmp/meterstick-logfile-XXXXXX";
    auto_free char *text = NULL, *in_file = NULL;
    size_t size;
    int fd = mkstemp(path);

    CHECK_EQ(write(fd, "before\n", 7), 7);
    (void) close(fd);
    begin_capture();
    claim_journal(STDERR_FILENO);  // not the file
    CHECK_EQ(log_setup("stick", "info", path), 0);
    log_info("in the file");
    CHECK_EQ(log_setup("stick", NULL, NULL), 0);
    log_info("still in the file");
    CHECK_EQ(log_setup("stick", NULL, "/nowhere/at/all.log"), -ENOENT);
    log_info("there too");
    CHECK_EQ(log_setup("stick", NULL, "stderr"), 0);
    log_info("on stderr");
    text = end_capture();
    (void) unsetenv("JOURNAL_STREAM");
    CHECK_STR(text, "<6>on stderr\n");
    CHECK_EQ(file_read(path, 10000, &in_file, &size), 0);
    CHECK_EQ(strncmp(in_file, "before\n20", 9), 0);
    CHECK_HAS(in_file, " stick: in the file\n");
    CHECK_HAS(in_file, " stick: still in the file\n");
    CHECK_HAS(in_file, " stick: there too\n");
    (void) unlink(path);
}

TESTS(test_a_line_has_time_program_and_level,
      test_under_systemd_a_line_begins_with_its_priority_and_has_no_time,
      test_a_standard_error_that_was_redirected_is_not_systemds,
      test_the_level_decides_and_an_unknown_one_changes_nothing, test_a_meters_text_cannot_forge_a_line,
      test_a_line_that_is_too_long_is_cut_and_ends,
      test_a_file_is_appended_to_until_stderr_is_asked_for_again)
