// SPDX-License-Identifier: MIT
// link: ms_outlet

#include "tests/test.h"

#include "app/outlet/cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL "01234567-89ab-4cde-8f01-23456789abcd"

static char folder[128];
static int folder_fd;

static void make_folder(void)
{
    snprintf(folder, sizeof(folder), "%s/test-cursor-XXXXXX", TEST_BINARY_DIR);
    CHECK(mkdtemp(folder));
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    CHECK(folder_fd >= 0);
}

static void remove_folder(void)
{
    (void) unlinkat(folder_fd, ".cursor.0", 0);
    (void) unlinkat(folder_fd, ".cursor.1", 0);
    close(folder_fd);
    CHECK_EQ(rmdir(folder), 0);
}

static void fill(struct cursor *cursor)
{
    struct cursor_file *file;

    strcpy(cursor->journal, JOURNAL);
    cursor->dated = 4294967296;
    cursor->undated = 4294967300;
    CHECK_EQ(cursor_add_file(cursor, &file), 0);
    strcpy(file->name, "kitchen/2026-11-20-r1.csv");
    file->length = 170000000;
    file->crc = 0xdeadbeef;
    file->first = 7;
    file->last = 4294967296;
    file->meter = 3;
    CHECK_EQ(cursor_add_file(cursor, &file), 0);
    strcpy(file->name, "kitchen/boot-17.csv");
    file->boot = 17;
    file->undated = true;
}

static void scribble(const char *slot, off_t at, const char *bytes, bool cut)
{
    auto_close int fd = openat(folder_fd, slot, O_RDWR);

    CHECK(fd >= 0);
    CHECK_EQ(pwrite(fd, bytes, strlen(bytes), at), strlen(bytes));
    CHECK(!cut || ftruncate(fd, at) == 0);
}

static void test_a_cursor_comes_back_as_it_was(void)
{
    auto_cursor struct cursor cursor = {}, back = {};

    make_folder();
    fill(&cursor);
    CHECK_EQ(cursor_load(folder_fd, &back), -ENOENT);
    CHECK_EQ(cursor_save(folder_fd, &cursor), 0);
    CHECK_EQ(cursor.generation, 1);
    CHECK_EQ(cursor_load(folder_fd, &back), 0);
    CHECK_STR(back.journal, JOURNAL);
    CHECK_EQ(back.generation, 1);
    CHECK_EQ(back.dated, 4294967296);
    CHECK_EQ(back.undated, 4294967300);
    CHECK_EQ(back.file_count, 2);
    CHECK_STR(back.files[0].name, "kitchen/2026-11-20-r1.csv");
    CHECK_EQ(back.files[0].length, 170000000);
    CHECK_EQ(back.files[0].crc, 0xdeadbeef);
    CHECK_EQ(back.files[0].first, 7);
    CHECK_EQ(back.files[0].last, 4294967296);
    CHECK_EQ(back.files[0].meter, 3);
    CHECK(!back.files[0].undated);
    CHECK_EQ(back.files[1].boot, 17);
    CHECK(back.files[1].undated);
    remove_folder();
}

static void test_the_newest_valid_slot_counts(void)
{
    auto_cursor struct cursor cursor = {}, back = {};

    make_folder();
    fill(&cursor);
    for (int i = 0; i < 5; i++) {
        cursor.dated++;
        CHECK_EQ(cursor_save(folder_fd, &cursor), 0);
    }
    CHECK_EQ(cursor_load(folder_fd, &back), 0);
    CHECK_EQ(back.generation, 5);
    CHECK_EQ(back.dated, 4294967301);

    // The fifth went to slot 1: torn, the fourth counts; and the next save does not touch that one.
    scribble(".cursor.1", 40, "#", false);
    CHECK_EQ(cursor_load(folder_fd, &back), 0);
    CHECK_EQ(back.generation, 4);
    CHECK_EQ(back.dated, 4294967300);
    CHECK_EQ(cursor_save(folder_fd, &back), 0);
    scribble(".cursor.0", 60, "", true);
    CHECK_EQ(cursor_load(folder_fd, &back), 0);
    CHECK_EQ(back.generation, 5);
    scribble(".cursor.1", 0, "", true);
    CHECK_EQ(cursor_load(folder_fd, &back), -EBADMSG);
    CHECK_EQ(back.generation, 5);
    remove_folder();
}

static void test_a_shorter_cursor_leaves_nothing_of_the_longer_one(void)
{
    auto_cursor struct cursor cursor = {}, back = {};

    make_folder();
    fill(&cursor);
    CHECK_EQ(cursor_save(folder_fd, &cursor), 0);
    CHECK_EQ(cursor_save(folder_fd, &cursor), 0);
    cursor_remove_file(&cursor, 0);
    CHECK_EQ(cursor_save(folder_fd, &cursor), 0);
    CHECK_EQ(cursor_load(folder_fd, &back), 0);
    CHECK_EQ(back.generation, 3);
    CHECK_EQ(back.file_count, 1);
    CHECK_STR(back.files[0].name, "kitchen/boot-17.csv");
    remove_folder();
}

static void test_every_damaged_byte_is_noticed_and_leaves_the_result_alone(void)
{
    auto_cursor struct cursor cursor = {}, back = { .dated = 7 };
    auto_text struct text text = {};

    fill(&cursor);
    cursor_print(&text, &cursor);
    for (size_t i = 0; i < text.size; i++) {
        text.data[i] ^= 1;
        CHECK_EQ(cursor_parse(text.data, text.size, &back), -EBADMSG);
        text.data[i] ^= 1;
        CHECK_EQ(cursor_parse(text.data, i, &back), -EBADMSG);
    }
    CHECK_EQ(back.dated, 7);
    CHECK_EQ(cursor_parse(text.data, text.size, &back), 0);
}

static void test_the_checksum_is_that_of_zip(void)
{
    CHECK_EQ(cursor_crc(0, "123456789", 9), 0xcbf43926);  // the check value of CRC-32/ISO-HDLC
    CHECK_EQ(cursor_crc(cursor_crc(0, "1234", 4), "56789", 5), 0xcbf43926);
}

TESTS(test_a_cursor_comes_back_as_it_was, test_the_newest_valid_slot_counts,
      test_a_shorter_cursor_leaves_nothing_of_the_longer_one,
      test_every_damaged_byte_is_noticed_and_leaves_the_result_alone, test_the_checksum_is_that_of_zip)
