/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "app/acquire/inbox_private.h"

#include "app/base/file.h"
#include "app/config/closed.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GOOD  "[bus b]\nport = tcp:127.0.0.1:502\n[meter m]\nmodel = schneider-iem2150\n"
#define OTHER GOOD "label = other\n"
#define BAD   "[bus b]\nprot = auto\n[meter m]\ndriver = exec\ncommand = reboot\n"

/* An appliance with a directory of its own. */
struct bed {
    char directory[64], config[96];
    struct options options;
    struct inbox_pass pass;
};

static void begin_pass(struct bed *bed)
{
    inbox_seen_clear(&bed->pass.seen);
    bed->pass = (struct inbox_pass){ .options = &bed->options };
    CHECK_EQ(file_path(bed->pass.directory, sizeof(bed->pass.directory), bed->directory, INBOX_DIRECTORY), 0);
    CHECK_EQ(file_path(bed->pass.seen_path, sizeof(bed->pass.seen_path), bed->directory, "inbox.seen"), 0);
    CHECK_EQ(inbox_pass_prepare(&bed->pass), 0);
}

static void make_bed(struct bed *ret, const char *config)
{
    *ret = (struct bed){ .directory = "/tmp/test-inbox-XXXXXX" };
    CHECK(mkdtemp(ret->directory));
    (void) snprintf(ret->config, sizeof(ret->config), "%s/card.conf", ret->directory);
    CHECK_EQ(file_replace(ret->config, config, strlen(config), 0644, false), 0);
    ret->options = (struct options){ .config = ret->config, .state_dir = ret->directory };
    begin_pass(ret);
}

static void clear_bed(struct bed *bed)
{
    char command[128];

    inbox_seen_clear(&bed->pass.seen);
    (void) snprintf(command, sizeof(command), "rm -r %s", bed->directory);
    CHECK_EQ(system(command), 0);
}

static const char *path_of(const struct bed *bed, const char *name)
{
    static char path[PATH_SIZE];

    CHECK_EQ(file_path(path, sizeof(path), bed->directory, name), 0);
    return path;
}

static void check_file(const struct bed *bed, const char *name, const char *expect)
{
    auto_free char *text = NULL;
    size_t size;
    int r = file_read(path_of(bed, name), 1000000, &text, &size);

    CHECK_EQ(r, expect ? 0 : -ENOENT);
    if (expect) {
        CHECK_STR(text, expect);
    }
}

/* As `stick` does it. Returns its name in the inbox. */
static const char *bring(struct bed *bed, const void *bytes, size_t size)
{
    static char name[128];
    char sha256[SHA256_TEXT_SIZE];

    sha256_text(bytes, size, sha256);
    (void) snprintf(name, sizeof(name), "inbox/%s.conf", sha256);
    CHECK_EQ(file_replace(path_of(bed, name), bytes, size, 0644, false), 0);
    return name;
}

static void bring_text(struct bed *bed, const char *text)
{
    const char *name = bring(bed, text, strlen(text));

    CHECK_EQ(inbox_pass_run(&bed->pass), 0);
    check_file(bed, name, NULL);
}

/* The newest answer. */
static void check_answer(const struct bed *bed, const char *content, bool adopted, const char *text)
{
    const struct inbox_answer *answer;
    char sha256[SHA256_TEXT_SIZE];

    sha256_text(content, strlen(content), sha256);
    answer = &bed->pass.seen.answers[bed->pass.seen.count - 1];
    CHECK(bed->pass.seen.count > 0);
    CHECK_STR(answer->sha256, sha256);
    CHECK_EQ(answer->adopted, adopted);
    CHECK_HAS(answer->text, text);
}

static void test_what_is_right_is_adopted_and_once_only(void)
{
    struct bed bed;

    make_bed(&bed, "");
    bring_text(&bed, GOOD);
    check_file(&bed, "adopted.conf", GOOD);
    check_answer(&bed, GOOD, true, "1 meter on 1 bus");
    CHECK_EQ(bed.pass.news.adopted, 1);

    bring_text(&bed, OTHER);
    check_file(&bed, "adopted.conf", OTHER);
    CHECK_STR(bed.pass.seen.answers[0].text, "it was adopted once; another has taken its place since");

    // an old stick changes nothing, not in another run either
    for (unsigned i = 0; i < 2; i++) {
        bed.pass.news.adopted = 0;
        bring_text(&bed, GOOD);
        check_file(&bed, "adopted.conf", OTHER);
        check_answer(&bed, GOOD, true, "another has taken its place");
        CHECK_EQ(bed.pass.news.adopted, 0);
        begin_pass(&bed);
        CHECK_EQ(bed.pass.seen.count, 2);
    }
    clear_bed(&bed);
}

static void test_what_is_wrong_is_refused_with_every_line_and_changes_nothing(void)
{
    struct bed bed;

    make_bed(&bed, "");
    bring_text(&bed, GOOD);
    bring_text(&bed, BAD);
    check_file(&bed, "adopted.conf", GOOD);
    check_answer(&bed, BAD, false, "meterstick.conf:2: unknown key 'prot' in [bus], did you mean 'port'?");
    check_answer(&bed, BAD, false, "meterstick.conf:4: driver = exec: a program to run");
    check_answer(&bed, BAD, false, "meterstick.conf:5: command = reboot: this cannot be adopted");
    CHECK_HAS(bed.pass.news.refused, "unknown key 'prot'");

    bring_text(&bed, "# nothing at all\n");
    check_answer(&bed, "# nothing at all\n", false, "meterstick.conf: there is no meter");
    check_file(&bed, "adopted.conf", GOOD);

    begin_pass(&bed);
    bring_text(&bed, BAD);  // answered again in the same words
    check_answer(&bed, BAD, false, "meterstick.conf:4: driver = exec: a program to run");
    clear_bed(&bed);
}

static void test_the_card_says_whether_anything_is_taken(void)
{
    struct bed bed;

    make_bed(&bed, "[stick]\nconfigure = no\n" GOOD);
    bring_text(&bed, OTHER);
    check_answer(&bed, OTHER, false, "configure = no");
    bring_text(&bed, "[stick]\nconfigure = yes\n");
    check_answer(&bed, "[stick]\nconfigure = yes\n", false, "configure = no");
    check_file(&bed, "adopted.conf", NULL);

    // not for good: it may be switched on
    CHECK_EQ(file_replace(bed.config, "", 0, 0644, false), 0);
    bring_text(&bed, OTHER);
    check_file(&bed, "adopted.conf", OTHER);
    clear_bed(&bed);
}

static void test_of_two_that_wait_the_later_one_wins(void)
{
    struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
    const char *name;
    struct bed bed;

    for (unsigned i = 0; i < 2; i++) {
        make_bed(&bed, "");
        name = bring(&bed, i ? GOOD : OTHER, strlen(i ? GOOD : OTHER));
        CHECK_EQ(utimensat(AT_FDCWD, path_of(&bed, name), times, 0), 0);
        (void) bring(&bed, i ? OTHER : GOOD, strlen(i ? OTHER : GOOD));
        CHECK_EQ(inbox_pass_run(&bed.pass), 0);
        check_file(&bed, "adopted.conf", i ? OTHER : GOOD);
        clear_bed(&bed);
    }
}

static void test_what_no_stick_brings_is_not_taken(void)
{
    auto_free char *large = calloc(1, CLOSED_MAX_SIZE + 1);
    const char *name = "inbox/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.conf";
    struct bed bed;

    CHECK(large);
    make_bed(&bed, "");
    memset(large, '#', CLOSED_MAX_SIZE + 1);
    CHECK_EQ(file_replace(path_of(&bed, "secret"), GOOD, strlen(GOOD), 0644, false), 0);
    CHECK_EQ(symlink("../secret", path_of(&bed, name)), 0);
    CHECK_EQ(inbox_pass_run(&bed.pass), 0);
    check_file(&bed, name, NULL);
    check_file(&bed, "secret", GOOD);

    CHECK_EQ(file_replace(path_of(&bed, name), GOOD, strlen(GOOD), 0644, false), 0);  // not what its name says
    CHECK_EQ(inbox_pass_run(&bed.pass), 0);
    check_file(&bed, name, NULL);

    CHECK_EQ(file_replace(path_of(&bed, "inbox/x.conf"), GOOD, strlen(GOOD), 0644, false), 0);
    (void) bring(&bed, large, CLOSED_MAX_SIZE + 1);
    CHECK_EQ(inbox_pass_run(&bed.pass), 0);
    CHECK_EQ(bed.pass.seen.count, 0);
    check_file(&bed, "adopted.conf", NULL);

    (void) bring(&bed, large, CLOSED_MAX_SIZE);  // as large as it may be, and nothing in it
    CHECK_EQ(inbox_pass_run(&bed.pass), 0);
    CHECK_EQ(bed.pass.seen.count, 1);
    clear_bed(&bed);
}

static void test_a_copy_on_the_boot_partition_goes_the_same_way(void)
{
    struct bed bed;

    make_bed(&bed, "");
    CHECK_EQ(mkdir(path_of(&bed, "boot"), 0755), 0);
    inbox_pass_copy(&bed.pass, path_of(&bed, "boot/meterstick.conf"));
    CHECK_EQ(file_replace(path_of(&bed, "boot/meterstick.conf"), GOOD, strlen(GOOD), 0644, false), 0);
    for (unsigned i = 0; i < 2; i++) {
        inbox_pass_copy(&bed.pass, path_of(&bed, "boot/meterstick.conf"));
        CHECK_EQ(inbox_pass_run(&bed.pass), 0);
        check_file(&bed, "adopted.conf", i ? OTHER : GOOD);
        bring_text(&bed, OTHER);
        begin_pass(&bed);
    }
    clear_bed(&bed);
}

static void test_the_card_fails_and_nothing_is_answered(void)
{
    struct bed bed;
    const char *name;

    make_bed(&bed, "");
    bring_text(&bed, BAD);
    CHECK_EQ(mkdir(path_of(&bed, "adopted.conf.tmp"), 0755), 0);  // it cannot be written
    name = bring(&bed, GOOD, strlen(GOOD));
    CHECK_EQ(inbox_pass_run(&bed.pass), -EISDIR);
    check_file(&bed, name, GOOD);
    check_answer(&bed, BAD, false, "");
    CHECK_EQ(rmdir(path_of(&bed, "adopted.conf.tmp")), 0);

    CHECK_EQ(mkdir(path_of(&bed, "inbox.seen.tmp"), 0755), 0);
    CHECK_EQ(inbox_pass_run(&bed.pass), -EISDIR);
    check_file(&bed, name, GOOD);
    check_answer(&bed, BAD, false, "");
    CHECK_EQ(rmdir(path_of(&bed, "inbox.seen.tmp")), 0);

    CHECK_EQ(inbox_pass_run(&bed.pass), 0);
    check_file(&bed, name, NULL);
    check_answer(&bed, GOOD, true, "1 meter");
    begin_pass(&bed);
    CHECK_EQ(bed.pass.seen.count, 2);
    clear_bed(&bed);
}

static void test_answers_are_kept_in_bounds(void)
{
    struct inbox_seen seen = { 0 }, again = { 0 };
    auto_text struct text json = { 0 };
    char sha256[SHA256_TEXT_SIZE], path[] = "/tmp/test-inbox-XXXXXX";
    int fd = mkstemp(path);

    CHECK(fd >= 0 && close(fd) == 0);
    for (unsigned i = 0; i < INBOX_SEEN_MAX + 5; i++) {
        sha256_text(&i, sizeof(i), sha256);
        CHECK_EQ(inbox_seen_put(&seen, sha256, i % 2, true, "line 1\nline \"2\""), 0);
    }
    CHECK_EQ(seen.count, INBOX_SEEN_MAX);
    CHECK(!seen.answers[seen.count - 1 - INBOX_ANSWERS].text && seen.answers[seen.count - INBOX_ANSWERS].text);
    CHECK_EQ(inbox_seen_save(&seen, path), 0);
    CHECK_EQ(inbox_seen_load(&again, path), 0);
    CHECK_EQ(again.count, INBOX_SEEN_MAX);
    for (unsigned i = 0; i < again.count; i++) {
        CHECK_STR(again.answers[i].sha256, seen.answers[i].sha256);
        CHECK_EQ(again.answers[i].adopted, seen.answers[i].adopted);
    }
    CHECK_STR(again.answers[again.count - 1].text, "line 1\nline \"2\"");
    inbox_seen_add_json(&again, &json);
    CHECK_HAS(json.data, "\"result\":\"adopted\",\"text\":\"line 1\\u000aline \\\"2\\\"\"}");

    CHECK_EQ(file_replace(path, "{\"answers\":[{\"sha256\":\"x\"}]}", 28, 0644, false), 0);
    CHECK_EQ(inbox_seen_load(&again, path), -EBADMSG);
    CHECK_EQ(again.count, 0);
    CHECK_EQ(file_replace(path, "\0\0\0", 3, 0644, false), 0);
    CHECK_EQ(inbox_seen_load(&again, path), -EBADMSG);
    inbox_seen_clear(&seen);
    CHECK_EQ(unlink(path), 0);
}

TESTS(test_what_is_right_is_adopted_and_once_only, test_what_is_wrong_is_refused_with_every_line_and_changes_nothing,
      test_the_card_says_whether_anything_is_taken, test_of_two_that_wait_the_later_one_wins,
      test_what_no_stick_brings_is_not_taken, test_a_copy_on_the_boot_partition_goes_the_same_way,
      test_the_card_fails_and_nothing_is_answered, test_answers_are_kept_in_bounds)
