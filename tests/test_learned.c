/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/learned.h"
#include "app/base/file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define S 1000000ull

static char directory[64], path[96];

static void set_up(void)
{
    (void) snprintf(directory, sizeof(directory), "/tmp/meterstick-learned-XXXXXX");
    CHECK(mkdtemp(directory));
    (void) snprintf(path, sizeof(path), "%s/learned", directory);
}

static void tear_down(void)
{
    (void) unlink(path);
    CHECK_EQ(rmdir(directory), 0);
}

static struct learned *open_learned(void)
{
    struct learned *learned = NULL;

    CHECK_EQ(learned_open(directory, true, &learned), 0);
    return learned;
}

static void check_words(struct learned *learned, const char *meter, const char *words)
{
    auto_text struct text text = { 0 };

    learned_get(learned, meter, &text);
    CHECK_STR(text_string(&text), words);
}

static void check_file(const char *expected)
{
    auto_free char *text = NULL;
    size_t size;

    CHECK_EQ(file_read(path, LEARNED_FILE_SIZE, &text, &size), 0);
    CHECK_STR(text, expected);
}

static void test_what_was_learned_is_there_after_a_restart(void)
{
    struct learned *learned;

    set_up();
    learned = open_learned();
    check_words(learned, "kitchen", "");
    check_words(learned, "plant", "");
    learned_put(learned, "kitchen", "0011aabb again:0 barrier:3:40");
    learned_save(learned, 1);
    learned_close(learned);
    check_file("meterstick learned 1\nkitchen 0011aabb again:0 barrier:3:40\n");

    learned = open_learned();
    check_words(learned, "plant", "");
    check_words(learned, "kitchen", "0011aabb again:0 barrier:3:40");
    learned_put(learned, "kitchen", "");
    learned_put(learned, "plant", "x y");
    learned_save(learned, 1);
    learned_close(learned);
    check_file("meterstick learned 1\nplant x y\n");

    CHECK_EQ(learned_open(directory, false, &learned), 0);  // the card hangs
    check_words(learned, "plant", "");
    learned_close(learned);
    tear_down();
}

static void test_it_is_written_at_a_change_and_at_most_once_in_ten_minutes(void)
{
    struct learned *learned;
    struct stat before, after;
    unsigned writes = 0;

    set_up();
    learned = open_learned();
    learned_save(learned, 1);
    CHECK_EQ(access(path, F_OK), -1);  // nothing to write
    for (uint64_t now_us = 1; now_us < 3600 * S; now_us += 10 * S) {
        char words[32];

        (void) snprintf(words, sizeof(words), "w %u", (unsigned) (now_us / S));
        (void) unlink(path);
        learned_put(learned, "kitchen", words);
        learned_save(learned, now_us);
        writes += access(path, F_OK) == 0;
    }
    CHECK_EQ(writes, 6);
    learned_save(learned, 7200 * S);
    CHECK_EQ(stat(path, &before), 0);
    learned_put(learned, "kitchen", "w 3590");
    learned_save(learned, 9000 * S);
    CHECK_EQ(stat(path, &after), 0);
    CHECK_EQ(before.st_ino, after.st_ino);  // the same words again are no change
    learned_close(learned);
    tear_down();
}

static void test_a_meter_that_is_no_more_goes_with_the_next_change(void)
{
    struct learned *learned;

    set_up();
    CHECK_EQ(file_replace(path, "meterstick learned 1\nold a\nnew b\n", 33, 0644, false), 0);
    learned = open_learned();
    check_words(learned, "new", "b");
    learned_put(learned, "new", "c");
    learned_save(learned, 1);
    learned_close(learned);
    check_file("meterstick learned 1\nnew c\n");
    tear_down();
}

static void test_a_damaged_or_foreign_file_is_as_none(void)
{
    static const struct { const char *text; size_t size; } cases[] = {
        { "", 0 },
        { "meterstick learned 2\nkitchen a\n", 31 },
        { "meterstick learned 1", 20 },
        { "meterstick learned 1\nkitchen a\nplant b", 38 },     // cut off
        { "meterstick learned 1\nkitchen\n", 29 },
        { "meterstick learned 1\nkitchen a\nkitchen b\n", 41 },
        { "meterstick learned 1\nKITCHEN a\n", 31 },
        { "meterstick learned 1\nkitchen \xFF\xFE\n", 32 },
        { "meterstick learned 1\nkitchen a\0b\n", 33 },
        { "{\"learned\":1}\n", 14 },
        { "\n\n\n", 3 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct learned *learned;

        set_up();
        CHECK_EQ(file_replace(path, cases[i].text, cases[i].size, 0644, false), 0);
        learned = open_learned();
        check_words(learned, "kitchen", "");
        learned_put(learned, "kitchen", "again");
        learned_save(learned, 1);
        learned_close(learned);
        check_file("meterstick learned 1\nkitchen again\n");
        tear_down();
    }
}

static void test_its_size_is_bounded(void)
{
    auto_text struct text text = { 0 };
    struct learned *learned;
    struct stat status;
    char name[16];

    set_up();
    learned = open_learned();
    while (text.size < LEARNED_WORDS_SIZE - 10) {
        text_add(&text, "barrier:3:1 ");
    }
    learned_put(learned, "long", text_string(&text));
    while (text.size < LEARNED_WORDS_SIZE) {
        text_add(&text, "barrier:3:1 ");
    }
    learned_put(learned, "too-long", text_string(&text));
    check_words(learned, "too-long", "");
    text.data[4000] = '\0';
    for (unsigned i = 0; i < 2000; i++) {
        (void) snprintf(name, sizeof(name), "m%u", i);
        learned_put(learned, name, text_string(&text));
    }
    learned_save(learned, 1);
    learned_close(learned);
    CHECK_EQ(stat(path, &status), 0);
    CHECK(status.st_size <= LEARNED_FILE_SIZE);
    learned = open_learned();
    check_words(learned, "m0", text_string(&text));
    learned_close(learned);
    tear_down();
}

static void test_a_card_that_cannot_be_written_is_tried_again_later(void)
{
    struct learned *learned;
    char temporary[128];

    set_up();
    (void) snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    learned = open_learned();
    learned_put(learned, "kitchen", "a");
    CHECK_EQ(mkdir(temporary, 0755), 0);  // in the way
    learned_save(learned, 1);
    CHECK_EQ(access(path, F_OK), -1);
    (void) rmdir(temporary);
    learned_save(learned, LEARNED_EACH_US + 2);
    check_file("meterstick learned 1\nkitchen a\n");
    learned_close(learned);
    tear_down();
}

TESTS(test_what_was_learned_is_there_after_a_restart,
      test_it_is_written_at_a_change_and_at_most_once_in_ten_minutes,
      test_a_meter_that_is_no_more_goes_with_the_next_change, test_a_damaged_or_foreign_file_is_as_none,
      test_its_size_is_bounded, test_a_card_that_cannot_be_written_is_tried_again_later)
