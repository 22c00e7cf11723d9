// SPDX-License-Identifier: MIT
// link: ms_journal

#include "tests/journal_bed.h"

struct seen {
    uint64_t seqs[64];
    unsigned count, wanted;
};

static bool see_row(void *data, const struct journal_row *row)
{
    struct seen *seen = data;

    CHECK(seen->count < 64);
    seen->seqs[seen->count++] = row->seq;
    return seen->count < seen->wanted;
}

static void see_event(void *data, const struct journal_event *event)
{
    struct seen *seen = data;

    seen->seqs[seen->count++] = (uint64_t) event->id;
}

static struct journal *reader_of_three_days(void)
{
    struct journal *writer, *reader = NULL;
    struct epoch epoch;

    make_directory();
    writer = open_writer(BOOT_A, CLOCK_NTP, &epoch);
    CHECK_EQ(journal_add_event(writer, epoch.number, 1, "back", "kitchen: answers again"), 0);
    write_three_days(writer, &epoch, add_kitchen(writer));
    CHECK_EQ(journal_add_event(writer, epoch.number, 2, "other", ""), 0);
    CHECK_EQ(journal_add_event(writer, epoch.number, 3, "lost", ""), 0);
    CHECK_EQ(journal_commit(writer, 51 * 3600 * 1000), 0);
    journal_close(writer);
    CHECK_EQ(journal_open_read(directory, &reader), 0);
    return reader;
}

static void test_rows_are_found_between_two_numbers_from_either_end(void)
{
    struct journal *reader = reader_of_three_days();
    struct seen seen = { .wanted = 3 };
    struct journal_search search = { .after_seq = 24, .last_seq = 51, .each = see_row, .data = &seen };

    CHECK_EQ(journal_search(reader, &search), 0);
    CHECK_EQ(seen.count, 3);
    CHECK_EQ(seen.seqs[0], 25);  // the last of the first segment
    CHECK_EQ(seen.seqs[2], 27);

    seen.count = 0;
    search.newest_first = true;
    search.meter = "kitchen";
    CHECK_EQ(journal_search(reader, &search), 0);
    CHECK_EQ(seen.seqs[0], 51);
    CHECK_EQ(seen.seqs[2], 49);

    seen = (struct seen){ .wanted = 60 };
    search.newest_first = false;
    search.last_seq = 27;
    CHECK_EQ(journal_search(reader, &search), 0);
    CHECK_EQ(seen.count, 3);  // not one behind

    search.meter = "cellar";
    seen.count = 0;
    CHECK_EQ(journal_search(reader, &search), 0);
    CHECK_EQ(seen.count, 0);
    journal_close(reader);
    remove_directory();
}

static void test_events_are_found_from_the_newest_segment_on(void)
{
    struct journal *reader = reader_of_three_days();
    struct journal_event_walk walk = { 0 };
    struct seen seen = { 0 };
    unsigned steps = 0;
    int r;

    while ((r = journal_events_back(reader, &walk, " back lost ", see_event, &seen)) > 0) {
        CHECK(steps++ < 10);
    }
    CHECK_EQ(r, 0);
    CHECK_EQ(seen.count, 2);
    CHECK(seen.seqs[0] > seen.seqs[1]);
    journal_close(reader);
    remove_directory();
}

TESTS(test_rows_are_found_between_two_numbers_from_either_end,
      test_events_are_found_from_the_newest_segment_on)
