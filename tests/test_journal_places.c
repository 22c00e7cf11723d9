// SPDX-License-Identifier: MIT
// link: ms_journal

/* Readers look in two places, each row once: DESIGN section 4. */

#include "tests/journal_bed.h"

#include "app/base/file.h"
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
    static const char *const left[] = { "lock", "boot" };
    char path[400];

    journal_position_clear(&position);
    journal_remove_all(memory);
    for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
        snprintf(path, sizeof(path), "%s/%s", memory, left[i]);
        (void) unlink(path);
    }
    (void) rmdir(memory);
    remove_directory();
}

/* Rows whose value is their seq, each committed with an event. */
static void add(struct journal *journal, const struct epoch *epoch, int64_t meter, uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        char text[32];

        CHECK_EQ(add_row(journal, epoch, meter, seq, (double) seq), seq);
        snprintf(text, sizeof(text), "e%llu", (unsigned long long) seq);
        CHECK_EQ(journal_add_event(journal, epoch->number, seq, "test", text), 0);
        CHECK_EQ(journal_commit(journal, seq), 0);
    }
}

static struct journal *open_memory(struct epoch *epoch)
{
    struct journal *journal = NULL;

    CHECK_EQ(journal_open_at(memory, false, &position, &journal), 0);
    CHECK_EQ(journal_resume(journal, epoch), 0);
    return journal;
}

static struct journal *open_reader(void)
{
    struct journal *reader = NULL;

    CHECK_EQ(journal_open_read_places(directory, memory, &reader), 0);
    return reader;
}

/* All of them, forwards in batches of each size, backwards, counted, and the events. */
static void check_all(struct journal *reader, uint64_t last)
{
    static const unsigned sizes[] = { 1, 3, 7, 100 };
    struct journal_row rows[100];
    struct journal_event events[100];
    uint64_t number;
    int n;

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint64_t seq = 0;

        while ((n = journal_read(reader, seq, "kitchen", rows, sizes[i])) > 0) {
            for (int j = 0; j < n; j++) {
                CHECK_EQ(rows[j].seq, ++seq);
                CHECK_NEAR(rows[j].values[0], (double) seq, 0);
            }
        }
        CHECK_EQ(n, 0);
        CHECK_EQ(seq, last);

        seq = UINT64_MAX;
        while ((n = journal_read_back(reader, seq, rows, sizes[i])) > 0) {
            for (int j = 0; j < n; j++) {
                CHECK_EQ(rows[j].seq, seq == UINT64_MAX ? last : seq - 1);
                seq = rows[j].seq;
            }
        }
        CHECK_EQ(n, 0);
        CHECK_EQ(seq, 1);
    }

    CHECK_EQ(journal_first_seq(reader, &number), 0);
    CHECK_EQ(number, 1);
    CHECK_EQ(journal_head_seq(reader, &number), 0);
    CHECK_EQ(number, last);
    for (uint64_t after = 0; after <= last; after += 4) {
        CHECK_EQ(journal_backlog(reader, after, &number), 0);
        CHECK_EQ(number, last - after);
    }
    CHECK_EQ(journal_events(reader, 0, events, 100), last);
    for (uint64_t i = 0; i < last; i++) {
        CHECK_EQ(strtoull(events[i].text + 1, NULL, 10), i + 1);
    }
    CHECK(!journal_take_gap(reader, &number));
}

/* The card fails after ten rows, ten are in memory, and come back step by step; a reader is there all the time. */
static void test_a_reader_sees_each_row_once_while_they_move(void)
{
    struct journal *card, *other, *reader;
    struct epoch epoch;
    int64_t meter;

    begin();
    card = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    meter = add_kitchen(card);
    add(card, &epoch, meter, 1, 10);
    CHECK_EQ(journal_get_position(card, &position), 0);
    reader = open_reader();
    check_all(reader, 10);
    journal_close(card);

    other = open_memory(&epoch);
    check_all(reader, 10);
    CHECK_EQ(add_kitchen(other), meter);
    add(other, &epoch, meter, 11, 20);
    check_all(reader, 20);
    journal_close(other);

    CHECK_EQ(journal_open(directory, false, &card), 0);
    CHECK_EQ(journal_resume(card, &epoch), 0);
    for (int i = 0; i < 5; i++) {
        CHECK(journal_copy(card, memory, 4) > 0);  // rows and events
        check_all(reader, 20);
    }
    while (journal_copy(card, memory, 100) > 0) {
    }
    check_all(reader, 20);
    CHECK_EQ(add_kitchen(card), meter);
    add(card, &epoch, meter, 21, 25);
    check_all(reader, 25);  // memory has fewer
    journal_remove_all(memory);
    check_all(reader, 25);
    add(card, &epoch, meter, 26, 30);
    check_all(reader, 30);
    journal_close(card);
    journal_close(reader);
    end();
}

/* What a hung commit wrote after all is in both places. */
static void test_what_both_places_have_is_one_row(void)
{
    struct journal *card, *other, *reader;
    struct epoch epoch;
    int64_t meter;

    begin();
    card = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    meter = add_kitchen(card);
    add(card, &epoch, meter, 1, 10);
    CHECK_EQ(journal_get_position(card, &position), 0);
    other = open_memory(&epoch);
    CHECK_EQ(add_kitchen(other), meter);
    add(other, &epoch, meter, 11, 20);
    add(card, &epoch, meter, 11, 15);
    reader = open_reader();
    check_all(reader, 20);
    journal_close(reader);
    journal_close(other);
    journal_close(card);
    end();
}

/* A meter and a clock that came up while the card was away are known as well. */
static void test_what_memory_alone_knows_counts(void)
{
    struct layout layout = layout_of("current", "A", NULL, NULL);
    struct journal_meter *meter = calloc(1, sizeof(*meter));
    struct journal *card, *other, *reader;
    struct epoch unknown, known;
    struct journal_row row;
    char quality[4], boot[37];
    int64_t kitchen, hall, wall_ms;

    begin();
    card = open_writer(BOOT_A, CLOCK_UNKNOWN, &unknown);
    kitchen = add_kitchen(card);
    add(card, &unknown, kitchen, 1, 3);
    CHECK_EQ(journal_get_position(card, &position), 0);
    journal_close(card);
    other = open_memory(&unknown);
    CHECK_EQ(add_kitchen(other), kitchen);
    CHECK_EQ(journal_add_meter(other, "hall", "schneider-iem2150", &layout, &hall), 0);
    known = unknown;
    known.source = CLOCK_NTP;
    known.wall_ms = 1763300000000;
    CHECK_EQ(journal_add_epoch(other, &known), 0);
    CHECK_EQ(add_row(other, &known, hall, 4000, 4), 4);
    CHECK_EQ(journal_commit(other, 4000), 0);

    reader = open_reader();
    CHECK_EQ(journal_find_meter(reader, NULL, 0, meter), 0);
    CHECK_STR(meter->name, "hall");
    CHECK_EQ(journal_find_meter(reader, NULL, 1, meter), 0);
    CHECK_STR(meter->name, "kitchen");
    CHECK_EQ(meter->id, kitchen);
    CHECK_EQ(journal_find_meter(reader, NULL, 2, meter), -ENOENT);
    CHECK_EQ(journal_find_meter(reader, "kitchen", 0, meter), 0);
    CHECK_EQ(journal_meter(reader, hall, meter), 0);
    CHECK_STR(meter->name, "hall");
    CHECK_EQ(journal_read(reader, 0, NULL, &row, 1), 1);
    CHECK_EQ(journal_row_time(reader, &row, &wall_ms, quality), 0);
    CHECK_STR(quality, "Cm");
    CHECK_EQ(wall_ms, 1763300000001);
    CHECK_EQ(journal_first_epoch(reader, BOOT_A, &known), 0);
    CHECK_EQ(known.number, unknown.number);
    CHECK_EQ(journal_last_boot(reader, boot), 0);
    CHECK_STR(boot, BOOT_A);
    journal_close(reader);
    journal_close(other);
    free(meter);
    end();
}

static void test_segments_of_another_journal_are_left_alone(void)
{
    struct journal *card, *other, *reader;
    struct journal_row rows[8];
    struct epoch epoch;
    char path[400];
    int64_t meter;

    begin();
    card = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    meter = add_kitchen(card);
    add(card, &epoch, meter, 1, 3);
    CHECK_EQ(journal_new_position(&position), 0);
    snprintf(position.boot_id, sizeof(position.boot_id), "%s", BOOT_A);
    epoch.number = 0;
    other = open_memory(&epoch);
    CHECK(strcmp(journal_id(other), journal_id(card)) != 0);
    CHECK_EQ(journal_add_meter(other, "kitchen", "schneider-iem2150",
                               &(struct layout){ .count = 1, .columns = { { .name = "voltage", .unit = "V" } } },
                               &meter), 0);
    (void) add_row(other, &epoch, meter, 1, 1);
    CHECK_EQ(journal_commit(other, 1), 0);

    reader = open_reader();
    CHECK_STR(journal_id(reader), journal_id(card));
    CHECK_EQ(journal_read(reader, 0, NULL, rows, 8), 3);
    journal_close(reader);

    // The card is away: what is in memory is a journal as well, and stays that when the card is back.
    snprintf(path, sizeof(path), "%s.away", directory);
    CHECK_EQ(rename(directory, path), 0);
    reader = open_reader();
    CHECK_STR(journal_id(reader), journal_id(other));
    CHECK_EQ(journal_read(reader, 0, NULL, rows, 8), 1);
    CHECK_EQ(rename(path, directory), 0);
    CHECK_EQ(journal_read(reader, 0, NULL, rows, 8), 1);
    journal_close(reader);
    journal_close(other);
    journal_close(card);
    end();
}

/* The card's directory gives errors: it is waited for, then what is in memory is all there is. */
static void test_a_card_that_gives_errors_is_waited_for_and_then_passed(void)
{
    struct journal *card, *other, *reader;
    struct journal_row rows[8];
    struct epoch epoch;
    char path[400];
    int64_t meter;

    begin();
    card = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    meter = add_kitchen(card);
    add(card, &epoch, meter, 1, 3);
    CHECK_EQ(journal_get_position(card, &position), 0);
    journal_close(card);
    other = open_memory(&epoch);
    CHECK_EQ(add_kitchen(other), meter);
    add(other, &epoch, meter, 4, 5);
    reader = open_reader();

    snprintf(path, sizeof(path), "%s.away", directory);
    CHECK_EQ(rename(directory, path), 0);
    CHECK_EQ(file_replace(directory, "x", 1, 0640, false), 0);
    CHECK_EQ(journal_read(reader, 0, NULL, rows, 8), -ENOTDIR);
    journal_set_patience(reader, 0);
    CHECK_EQ(journal_read(reader, 0, NULL, rows, 8), 2);
    CHECK_EQ(rows[0].seq, 4);
    CHECK_EQ(unlink(directory), 0);
    CHECK_EQ(rename(path, directory), 0);
    CHECK_EQ(journal_read(reader, 0, NULL, rows, 8), 5);
    journal_close(reader);
    journal_close(other);
    end();
}

TESTS(test_a_reader_sees_each_row_once_while_they_move, test_what_both_places_have_is_one_row,
      test_what_memory_alone_knows_counts, test_segments_of_another_journal_are_left_alone,
      test_a_card_that_gives_errors_is_waited_for_and_then_passed)
