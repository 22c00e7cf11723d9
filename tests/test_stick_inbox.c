// SPDX-License-Identifier: MIT
// link: ms_outlet

/* What goes from a stick into the inbox, and what RESULT.txt says. */

#include "app/outlet/stick_inbox.h"

#include "app/base/file.h"
#include "app/base/limits.h"
#include "app/base/macros.h"
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char bed[64];
static int root_fd;
static struct stick_inbox inbox;

static const char *path_of(const char *name)
{
    static char path[PATH_SIZE];

    CHECK_EQ(file_path(path, sizeof(path), bed, name), 0);
    return path;
}

static void put(const char *name, const char *text)
{
    CHECK_EQ(file_replace(path_of(name), text, strlen(text), 0644, false), 0);
}

static void begin_bed(void)
{
    static char state_dir[80];

    (void) snprintf(bed, sizeof(bed), "/tmp/test-stick-inbox-XXXXXX");
    CHECK(mkdtemp(bed));
    CHECK_EQ(mkdir(path_of("stick"), 0755), 0);
    CHECK_EQ(mkdir(path_of("state"), 0755), 0);
    (void) snprintf(state_dir, sizeof(state_dir), "%s/state", bed);
    root_fd = open(path_of("stick"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(root_fd >= 0);
    inbox = (struct stick_inbox){ .state_dir = state_dir, .run_dir = bed };
}

static void end_bed(void)
{
    char command[128];

    CHECK_EQ(close(root_fd), 0);
    (void) snprintf(command, sizeof(command), "rm -r %s", bed);
    CHECK_EQ(system(command), 0);
}

static unsigned count_waiting(void)
{
    DIR *stream = opendir(path_of("state/inbox"));
    struct dirent *entry;
    unsigned count = 0;

    while (stream && (entry = readdir(stream))) {
        count += entry->d_name[0] != '.';
    }
    if (stream) {
        CHECK_EQ(closedir(stream), 0);
    }
    return count;
}

static void check_result(const char *expect)
{
    auto_free char *text = NULL;
    size_t size;
    int r = file_read(path_of("stick/RESULT.txt"), 10000, &text, &size);

    CHECK_EQ(r, expect ? 0 : -ENOENT);
    if (expect) {
        CHECK_HAS(text, expect);
    }
}

static void answer(const char *sha256, const char *result, const char *text)
{
    auto_text struct text status = {};

    text_addf(&status, "{\"inbox\":[{\"sha256\":\"%s\",\"result\":\"%s\",\"text\":\"%s\"}]}", sha256, result, text);
    put("acquire.json", status.data);
}

static void test_the_answer_in_plain_words(void)
{
    static const struct { enum stick_inbox_result result; const char *text, *expect; } cases[] = {
        { STICK_INBOX_ADOPTED, "2 meters on 1 bus", "\r\n\r\nADOPTED: 2 meters on 1 bus.\r\n" },
        { STICK_INBOX_OFF, "", "\r\nNOT TAKEN: the logger is set to take nothing from a stick (configure = no).\r\n" },
        { STICK_INBOX_REFUSED, "meterstick.conf:7: unknown key 'x'\nmeterstick.conf: no meter\n/etc/m.conf:2: bad",
          "What is wrong:\r\n\r\n  line 7: unknown key 'x'\r\n  no meter\r\n  /etc/m.conf:2: bad\r\n\r\nA file" },
        { STICK_INBOX_REFUSED, "", "What is wrong:\r\n\r\n\r\nA file" },
        { STICK_INBOX_REFUSED, "meterstick.conf:", "What is wrong:\r\n\r\n  \r\n\r\nA file" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_text struct text text = {};

        stick_inbox_say(&text, cases[i].result, "house", "abc", cases[i].text);
        CHECK(text_starts(text.data, "The logger 'house' has read meterstick.conf on this stick.\r\n"));
        CHECK_HAS(text.data, cases[i].expect);
        CHECK(text_ends(text.data, "\r\nSHA-256 of the file: abc\r\n"));
    }
}

static void test_it_is_brought_once_and_answered_once(void)
{
    struct stat before, after;
    char sha256[SHA256_TEXT_SIZE], name[96];

    begin_bed();
    stick_inbox_visit(&inbox, root_fd, true, "house", 1000);
    CHECK(!inbox.is_waiting && count_waiting() == 0);

    put("stick/meterstick.conf", "[meter m]\n");
    sha256_text("[meter m]\n", 10, sha256);
    stick_inbox_visit(&inbox, root_fd, true, "house", 1000);
    CHECK(inbox.is_waiting && count_waiting() == 1);
    CHECK_STR(inbox.sha256, sha256);
    check_result(NULL);
    CHECK(!stick_inbox_is_answered(&inbox, 2000));

    // taken, and no answer: not brought again at once, since it may be just being read
    (void) snprintf(name, sizeof(name), "state/inbox/%s.conf", sha256);
    CHECK_EQ(unlink(path_of(name)), 0);
    stick_inbox_visit(&inbox, root_fd, true, "house", 30000);
    CHECK_EQ(count_waiting(), 0);
    stick_inbox_visit(&inbox, root_fd, true, "house", 70000);
    CHECK_EQ(count_waiting(), 1);

    answer(sha256, "refused", "meterstick.conf:1: what");
    CHECK(stick_inbox_is_answered(&inbox, 80000));
    stick_inbox_visit(&inbox, root_fd, true, "house", 80000);
    CHECK(!inbox.is_waiting && inbox.is_refused);
    check_result("  line 1: what\r\n");
    CHECK_EQ(stat(path_of("stick/RESULT.txt"), &before), 0);
    stick_inbox_visit(&inbox, root_fd, true, "house", 90000);
    CHECK_EQ(stat(path_of("stick/RESULT.txt"), &after), 0);
    CHECK(before.st_ino == after.st_ino && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    CHECK(!stick_inbox_is_answered(&inbox, 99000));

    // changed, and taken away
    put("stick/meterstick.conf", "[meter n]\n");
    stick_inbox_visit(&inbox, root_fd, true, "house", 91000);
    CHECK(inbox.is_waiting && !inbox.is_refused && count_waiting() == 2);
    CHECK_EQ(unlink(path_of("stick/meterstick.conf")), 0);
    stick_inbox_visit(&inbox, root_fd, true, "house", 92000);
    CHECK(!inbox.is_waiting && !*inbox.sha256);
    end_bed();
}

static void test_what_is_no_file_goes_nowhere(void)
{
    auto_free char *large = calloc(1, 128 * 1024 + 2);

    begin_bed();
    CHECK_EQ(symlink("/etc/passwd", path_of("stick/meterstick.conf")), 0);
    stick_inbox_visit(&inbox, root_fd, true, "house", 1000);
    check_result("  it is a link; a file is expected\r\n");
    CHECK_EQ(unlink(path_of("stick/meterstick.conf")), 0);
    CHECK_EQ(mkfifo(path_of("stick/meterstick.conf"), 0644), 0);
    stick_inbox_visit(&inbox, root_fd, true, "house", 1000);
    check_result("  it is no file\r\n");

    CHECK(large);
    memset(large, '#', 128 * 1024 + 1);
    put("stick/meterstick.conf", large);
    stick_inbox_visit(&inbox, root_fd, true, "house", 1000);
    check_result("  it is larger than 128 KiB");
    CHECK(inbox.is_refused && !inbox.is_waiting && count_waiting() == 0);

    put("stick/meterstick.conf", "[stick]\nconfigure = yes\n");
    stick_inbox_visit(&inbox, root_fd, false, "house", 1000);
    check_result("NOT TAKEN");
    CHECK(!inbox.is_refused && count_waiting() == 0);
    end_bed();
}

static void test_a_stick_that_nobody_reads_does_not_fill_the_card(void)
{
    begin_bed();
    for (unsigned i = 0; i < 20; i++) {
        char text[16];

        (void) snprintf(text, sizeof(text), "# %u\n", i);
        put("stick/meterstick.conf", text);
        stick_inbox_visit(&inbox, root_fd, true, "house", 1000 + i);
    }
    CHECK_EQ(count_waiting(), 8);
    end_bed();
}

TESTS(test_the_answer_in_plain_words, test_it_is_brought_once_and_answered_once, test_what_is_no_file_goes_nowhere,
      test_a_stick_that_nobody_reads_does_not_fill_the_card)
