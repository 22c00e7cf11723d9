// SPDX-License-Identifier: MIT
// link: ms_journal

/* A journal that goes on in memory while its card cannot be used: DESIGN section 4. */

#include "tests/journal_bed.h"

#include "app/journal/database.h"
#include "app/journal/journal_copy.h"

#include <errno.h>

static char memory[160];
static struct journal_position position;

static void begin(void)
{
    make_directory();
    snprintf(memory, sizeof(memory), "%s/memory", state_dir);
    position = (struct journal_position){};
}

static void end(void)
{
    char path[400];

    journal_position_clear(&position);
    journal_remove_all(memory);
    snprintf(path, sizeof(path), "%s/lock", memory);
    (void) unlink(path);
    snprintf(path, sizeof(path), "%s/boot", memory);
    (void) unlink(path);
    (void) rmdir(memory);
    remove_directory();
}

/* Rows of the kitchen, their values their numbers, and an event for each; words where the segment has them. */
static void add(struct journal *journal, const struct epoch *epoch, int64_t meter, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        struct journal_row row = { .epoch = epoch->number, .boot_ms = i, .meter = meter, .quality = "N",
                                   .value_count = 2, .values = { i, NAN } };
        const uint16_t word = (uint16_t) i;
        char text[16];
        uint64_t seq;

        CHECK_EQ(journal_add_sample(journal, &row, &word, 1, &seq), 0);
        snprintf(text, sizeof(text), "e%u", i);
        CHECK_EQ(journal_add_event(journal, epoch->number, i, "test", text), 0);
    }
}

static int copy_all(struct journal *card, unsigned each)
{
    int r, count = 0;

    while ((r = journal_copy(card, memory, each)) > 0) {
        count += r;
    }
    return r < 0 ? r : count;
}

/* Rows "from" to "to" are there once, in order, of the meter and the epoch; and their events. */
static void check(unsigned from, unsigned to, uint64_t first_seq)
{
    struct journal_row *rows = calloc(to + 10, sizeof(*rows));
    struct journal_event *events = calloc(to + 10, sizeof(*events));
    struct journal *reader = NULL;
    struct journal_meter *meter = calloc(1, sizeof(*meter));
    struct epoch epoch;
    int count;

    CHECK(rows && events && meter);
    CHECK_EQ(journal_open_read(directory, &reader), 0);
    count = journal_read(reader, first_seq - 1, NULL, rows, to + 10);
    CHECK_EQ(count, to - from + 1);
    for (int i = 0; i < count; i++) {
        CHECK_EQ(rows[i].seq, first_seq + (unsigned) i);
        CHECK_NEAR(rows[i].values[0], from + (unsigned) i, 0);
        CHECK_NAN(rows[i].values[1]);
        CHECK_EQ(journal_meter(reader, rows[i].meter, meter), 0);
        CHECK_STR(meter->name, "kitchen");
        CHECK_EQ(journal_epoch(reader, rows[i].epoch, &epoch), 0);
    }
    CHECK_EQ(journal_events(reader, 0, events, to + 10), to);
    for (unsigned i = 0; i < to; i++) {
        char text[16];

        snprintf(text, sizeof(text), "e%u", i + 1);
        CHECK_STR(events[i].text, text);
    }
    journal_close(reader);
    free(rows);
    free(events);
    free(meter);
}

/* Rows 1 to 5 on the card, and where it stands then. */
static struct journal *begin_card(struct epoch *ret_epoch, int64_t *ret_meter, const char *boot_id)
{
    struct journal *card = open_writer(boot_id, CLOCK_NTP, ret_epoch);

    *ret_meter = add_kitchen(card);
    add(card, ret_epoch, *ret_meter, 1, 5);
    CHECK_EQ(journal_commit(card, 5), 0);
    CHECK_EQ(journal_get_position(card, &position), 0);
    return card;
}

static struct journal *open_memory(struct epoch *epoch)
{
    struct journal *journal = NULL;

    CHECK_EQ(journal_open_at(memory, false, &position, &journal), 0);
    CHECK_EQ(journal_resume(journal, epoch), 0);
    return journal;
}

static void test_it_goes_on_in_memory_and_comes_back(void)
{
    struct journal *card, *other;
    struct epoch epoch, later;
    int64_t meter;

    begin();
    card = begin_card(&epoch, &meter, BOOT_A);
    journal_close(card);

    other = open_memory(&epoch);
    CHECK_STR(journal_id(other), position.id);
    CHECK_EQ(epoch.number, 1);
    CHECK_EQ(journal_next_seq(other), 6);
    CHECK_EQ(add_kitchen(other), meter);
    add(other, &epoch, meter, 6, 20);
    CHECK_EQ(journal_commit(other, 20), 0);
    later = (struct epoch){ .source = CLOCK_HELD, .wall_ms = 5 };
    snprintf(later.boot_id, sizeof(later.boot_id), "%s", BOOT_A);
    CHECK_EQ(journal_add_epoch(other, &later), 0);
    CHECK_EQ(later.number, 2);
    add(other, &later, meter, 21, 30);
    CHECK_EQ(journal_commit(other, 30), 0);

    CHECK_EQ(journal_open(directory, false, &card), 0);
    CHECK_EQ(journal_copy(card, memory, 7), 7);
    journal_close(card);  // killed in the middle
    CHECK_EQ(journal_open(directory, false, &card), 0);
    CHECK_EQ(copy_all(card, 4), 43);
    add(other, &later, meter, 31, 40);  // what came meanwhile
    CHECK_EQ(journal_commit(other, 40), 0);
    CHECK_EQ(copy_all(card, 1000), 20);
    CHECK_EQ(copy_all(card, 1000), 0);
    journal_close(other);
    journal_remove_all(memory);
    CHECK_EQ(copy_all(card, 1000), 0);

    CHECK_EQ(journal_resume(card, &later), 0);
    CHECK_EQ(later.number, 2);
    CHECK_EQ(add_kitchen(card), meter);
    add(card, &later, meter, 41, 42);
    CHECK_EQ(journal_commit(card, 42), 0);
    journal_close(card);
    check(1, 42, 1);
    end();
}

static void test_words_come_back_too(void)
{
    auto_database struct database *database = NULL;
    auto_statement struct statement *statement = NULL;
    struct epoch epoch = { .source = CLOCK_NTP, .wall_ms = 1763000000000 };
    struct journal *card = NULL, *other = NULL;
    char path[512];
    int64_t meter;

    begin();
    snprintf(epoch.boot_id, sizeof(epoch.boot_id), "%s", BOOT_A);
    CHECK_EQ(journal_open(directory, true, &card), 0);
    CHECK_EQ(journal_add_epoch(card, &epoch), 0);
    meter = add_kitchen(card);
    add(card, &epoch, meter, 1, 1);
    CHECK_EQ(journal_commit(card, 1), 0);
    CHECK_EQ(journal_get_position(card, &position), 0);
    CHECK_EQ(journal_open_at(memory, true, &position, &other), 0);
    CHECK_EQ(journal_resume(other, &epoch), 0);
    add(other, &epoch, meter, 2, 3);
    CHECK_EQ(journal_commit(other, 3), 0);
    journal_close(other);
    CHECK_EQ(copy_all(card, 10), 4);
    journal_close(card);

    snprintf(path, sizeof(path), "%s/0000000000000001.db", directory);
    CHECK_EQ(database_open(path, DATABASE_READ, &database), 0);
    CHECK_EQ(statement_new(database, "SELECT words FROM sample ORDER BY seq", &statement), 0);
    for (unsigned i = 1; i <= 3; i++) {
        char words[8];

        snprintf(words, sizeof(words), "%04x", i);
        CHECK_EQ(statement_step(statement), 1);
        CHECK_STR(statement_text(statement, 0), words);
    }
    statement_free(TAKE(statement));
    database_close(TAKE(database));
    end();
}

/* A commit hung or failed, and had come through all the same. */
static void test_what_the_card_has_is_not_copied_once_more(void)
{
    struct journal *card, *other;
    struct epoch epoch;
    int64_t meter;

    begin();
    card = begin_card(&epoch, &meter, BOOT_A);
    add(card, &epoch, meter, 6, 9);
    CHECK_EQ(journal_commit(card, 9), 0);
    CHECK(journal_holds(card, 9, 0));
    CHECK(journal_holds(card, 0, 9));
    CHECK(!journal_holds(card, 10, 0));
    CHECK(!journal_holds(card, 0, 10));

    other = open_memory(&epoch);
    add(other, &epoch, meter, 6, 20);
    CHECK_EQ(journal_commit(other, 20), 0);
    journal_close(other);
    CHECK_EQ(copy_all(card, 1000), 22);
    journal_close(card);
    check(1, 20, 1);
    end();
}

/* acquire begins while the card is read-only, but its journal was open before. */
static void test_a_boot_that_begins_in_memory(void)
{
    struct journal *card, *other;
    struct epoch epoch;
    int64_t meter;

    begin();
    card = begin_card(&epoch, &meter, BOOT_A);
    journal_close(card);

    epoch = (struct epoch){ .source = CLOCK_UNKNOWN };
    snprintf(epoch.boot_id, sizeof(epoch.boot_id), "%s", BOOT_B);
    other = open_memory(&epoch);
    CHECK_EQ(epoch.number, 2);
    CHECK_EQ(journal_next_seq(other), BLOCK);
    CHECK_EQ(add_kitchen(other), meter);
    add(other, &epoch, meter, 6, 20);
    CHECK_EQ(journal_commit(other, 20), 0);
    journal_close(other);

    CHECK_EQ(journal_open(directory, false, &card), 0);
    CHECK_EQ(copy_all(card, 10), 30);
    journal_close(card);
    check(6, 20, BLOCK);
    end();
}

/* The card can be read as far as its names say, no more: nothing may be given twice. */
static void test_a_position_that_is_guessed(void)
{
    struct journal *card, *other;
    struct epoch epoch;
    int64_t meter, guessed;

    begin();
    CHECK_EQ(journal_guess_position(directory, &position), -ENOENT);
    card = begin_card(&epoch, &meter, BOOT_A);
    journal_close(card);
    CHECK_EQ(journal_guess_position(directory, &position), 0);

    epoch.number = 0;
    other = open_memory(&epoch);
    CHECK_EQ(journal_next_seq(other), BLOCK);
    guessed = add_kitchen(other);
    CHECK(guessed != meter);
    add(other, &epoch, guessed, 6, 20);
    CHECK_EQ(journal_commit(other, 20), 0);
    journal_close(other);

    CHECK_EQ(journal_open(directory, false, &card), 0);
    CHECK_EQ(copy_all(card, 1000), 30);
    CHECK_EQ(journal_resume(card, &epoch), 0);
    CHECK_EQ(add_kitchen(card), meter);
    add(card, &epoch, meter, 21, 21);
    CHECK_EQ(journal_commit(card, 21), 0);
    journal_close(card);
    check(6, 21, BLOCK);
    end();
}

static void test_rows_that_were_lost_leave_a_hole_and_a_new_segment(void)
{
    struct journal_row rows[20];
    struct journal *card, *other, *reader;
    struct epoch epoch;
    int64_t meter;

    begin();
    card = begin_card(&epoch, &meter, BOOT_A);
    other = open_memory(&epoch);
    journal_skip(other, 9, 0);
    add(other, &epoch, meter, 9, 10);
    journal_skip(other, 13, 0);
    add(other, &epoch, meter, 13, 14);
    CHECK_EQ(journal_commit(other, 14), 0);
    journal_close(other);
    CHECK_EQ(copy_all(card, 1000), 8);
    journal_close(card);

    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_read(reader, 0, NULL, rows, 20), 9);
    for (unsigned i = 5; i < 9; i++) {
        CHECK_EQ(rows[i].seq, (uint64_t) rows[i].values[0]);
    }
    journal_close(reader);
    CHECK_EQ(access(segment_path(9, (char[512]){}), F_OK), 0);
    CHECK_EQ(access(segment_path(13, (char[512]){}), F_OK), 0);
    end();
}

static void test_a_segment_that_was_set_aside_does_not_keep_rows_from_coming_back(void)
{
    struct journal *card, *other, *reader;
    struct journal_row rows[20];
    struct epoch epoch;
    char path[512], aside[600];
    int64_t meter;
    FILE *file;

    begin();
    card = begin_card(&epoch, &meter, BOOT_A);
    other = open_memory(&epoch);
    add(other, &epoch, meter, 6, 9);
    CHECK_EQ(journal_commit(other, 9), 0);
    journal_close(card);
    file = fopen(segment_path(1, path), "w");
    CHECK(file && fputs("not a database", file) > 0 && fclose(file) == 0);

    CHECK_EQ(journal_open(directory, false, &card), 0);
    CHECK_EQ(journal_copy(card, memory, 2), 2);
    CHECK_EQ(copy_all(card, 1000), 6);
    CHECK_EQ(journal_resume(card, &epoch), 0);
    meter = add_kitchen(card);
    add(card, &epoch, meter, 10, 10);
    CHECK_EQ(journal_commit(card, 10), 0);
    journal_close(card);
    journal_close(other);

    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_EQ(journal_read(reader, 0, NULL, rows, 20), 5);
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(rows[i].seq, 6 + i);
        CHECK_NEAR(rows[i].values[0], 6 + i, 0);
    }
    journal_close(reader);
    snprintf(aside, sizeof(aside), "%s.bad", path);
    CHECK_EQ(access(aside, F_OK), 0);
    end();
}

/* Nothing could be read at all: memory has a journal of its own, which is kept beside the other. */
static void test_a_journal_of_its_own_is_moved_as_it_is(void)
{
    struct journal *other, *reader;
    struct journal_row rows[30];
    struct epoch epoch = { .source = CLOCK_NTP, .wall_ms = 1763000000000 };
    char id[JOURNAL_ID_SIZE];
    int64_t meter;

    begin();
    CHECK_EQ(journal_new_position(&position), 0);
    snprintf(epoch.boot_id, sizeof(epoch.boot_id), "%s", BOOT_A);
    other = open_memory(&epoch);
    meter = add_kitchen(other);
    CHECK_EQ(journal_next_seq(other), BLOCK);
    add(other, &epoch, meter, 1, 20);
    CHECK_EQ(journal_commit(other, 20), 0);
    journal_close(other);
    CHECK_EQ(journal_directory_id(memory, id), 0);
    CHECK_STR(id, position.id);

    CHECK_EQ(journal_move_oldest(memory, directory), 1);
    CHECK_EQ(journal_move_oldest(memory, directory), 0);
    CHECK_EQ(journal_directory_id(memory, id), -ENOENT);
    check(1, 20, BLOCK);
    CHECK_EQ(journal_open_read(directory, &reader), 0);
    CHECK_STR(journal_id(reader), position.id);
    CHECK_EQ(journal_read(reader, 0, NULL, rows, 30), 20);
    journal_close(reader);
    end();
}

static void test_the_oldest_in_memory_goes_when_it_is_full(void)
{
    static struct journal_row row;
    struct journal *card, *other, *reader;
    struct epoch epoch;
    uint64_t seq, first;
    int64_t meter;
    int dropped;

    begin();
    card = begin_card(&epoch, &meter, BOOT_A);
    other = open_memory(&epoch);
    row = (struct journal_row){ .epoch = epoch.number, .meter = meter, .quality = "N", .value_count = MAX_POINTS };
    for (unsigned i = 0; i < MAX_POINTS; i++) {
        row.values[i] = i / 3.0;
    }
    for (unsigned i = 0; i < 4000; i++) {
        CHECK_EQ(journal_add_sample(other, &row, NULL, 0, &seq), 0);
        if (i % 500 == 499) {
            CHECK_EQ(journal_commit(other, 1), 0);
        }
    }
    CHECK_EQ(journal_drop(other, 64 << 20), 0);
    dropped = journal_drop(other, 8 << 20);
    CHECK(dropped > 500);
    CHECK_EQ(journal_drop(other, 8 << 20), 0);
    CHECK_EQ(journal_open_read(memory, &reader), 0);
    CHECK_EQ(journal_first_seq(reader, &first), 0);
    CHECK_EQ(first, 6 + (unsigned) dropped);
    journal_close(reader);

    CHECK_EQ(copy_all(card, 2000), 4000 - dropped);
    CHECK_EQ(journal_last_seq(card), 4005);
    journal_close(other);
    journal_close(card);
    end();
}

TESTS(test_it_goes_on_in_memory_and_comes_back, test_words_come_back_too,
      test_what_the_card_has_is_not_copied_once_more,
      test_a_boot_that_begins_in_memory, test_a_position_that_is_guessed,
      test_rows_that_were_lost_leave_a_hole_and_a_new_segment,
      test_a_segment_that_was_set_aside_does_not_keep_rows_from_coming_back,
      test_a_journal_of_its_own_is_moved_as_it_is, test_the_oldest_in_memory_goes_when_it_is_full)
