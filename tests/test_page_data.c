// SPDX-License-Identifier: MIT
// link: ms_outlet

/* A page is gathered in steps of any size, and can be written at each of them. */

#include "tests/journal_bed.h"

#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/status.h"
#include "app/outlet/page_data.h"
#include "app/outlet/page_file.h"
#include "app/outlet/pages.h"
#include "app/outlet/pages_html.h"

#include <fcntl.h>

#define METERS 3
#define WALL   INT64_C(1795168800000)  // 2026-11-20T10:00:00Z

/* Two days of three meters, an hour apart; the counters end at 30000 Wh and more. */
static struct journal *write_and_read(void)
{
    struct layout layout = layout_of("power_active", "W", "energy_active_import", "Wh");
    struct epoch epoch = { .source = CLOCK_NTP, .wall_ms = WALL, .boot_id = BOOT_A };
    struct journal *writer = NULL, *reader = NULL;
    int64_t ids[METERS];
    char name[8];

    CHECK_EQ(clock_set_timezone("Europe/Berlin"), 0);
    make_directory();
    CHECK_EQ(journal_open(directory, false, &writer), 0);
    CHECK_EQ(journal_add_epoch(writer, &epoch), 0);
    for (int i = 0; i < METERS; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        CHECK_EQ(journal_add_meter(writer, name, "schneider-iem2150", &layout, &ids[i]), 0);
    }
    for (uint64_t hour = 1; hour <= 48; hour++) {
        for (int i = 0; i < METERS; i++) {
            struct journal_row row = { .epoch = epoch.number, .boot_ms = hour * 3600000 + (uint64_t) i, .meter = ids[i],
                                       .quality = "N", .value_count = 2,
                                       .values = { 100.0 * (i + 1), 100.0 * (double) hour * (i + 1) } };
            uint64_t seq;

            CHECK_EQ(journal_add_sample(writer, &row, NULL, 0, &seq), 0);
        }
        CHECK_EQ(journal_commit(writer, hour * 3600000), 0);
    }
    journal_close(writer);
    CHECK_EQ(journal_open_read(directory, &reader), 0);
    return reader;
}

static char *write_page(struct page_data *data, bool complete)
{
    struct pages_html page = { .appliance = "here", .settings = "", .data = data, .complete = complete,
                               .written_ms = WALL };
    struct page_file file = { .fd = -1 };
    char path[256], *text = NULL;
    int folder = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t size;

    CHECK(folder >= 0);
    CHECK_EQ(page_file_begin(&file, folder, "page.html"), 0);
    CHECK_EQ(pages_html(&page, &file), 0);
    CHECK_EQ(page_file_end(&file), 0);
    CHECK_EQ(page_file_end(&file) < 0, 1);  // once is enough
    close(folder);
    snprintf(path, sizeof(path), "%s/page.html", state_dir);
    CHECK_EQ(file_read(path, PAGES_HTML_SIZE, &text, &size), 0);
    CHECK_EQ(file.size, size);
    CHECK_EQ(unlink(path), 0);
    return text;
}

static void test_each_step_gives_a_page(void)
{
    struct journal *reader = write_and_read();
    struct page_data *data = NULL;
    struct page_use use;
    unsigned pages = 0;
    int r;

    CHECK_EQ(page_data_new(reader, &data), 0);
    while ((r = page_data_step(data, 0)) > 0) {
        if (page_data_can_show(data)) {
            char *text = write_page(data, false);

            CHECK_HAS(text, "This page is not complete");
            CHECK_HAS(text, "</html>\n");
            free(text);
            CHECK(pages++ < 200);
        }
    }
    CHECK_EQ(r, 0);
    CHECK(pages > PAGE_DAYS + PAGE_MONTHS);

    use = page_data_day_use(data, 1, 0, 0);  // 22 November from 00:00 to 11:00 in Berlin
    CHECK_EQ(use.known, PAGE_KNOWN);
    CHECK_NEAR(use.wh, 11 * 200, 0);
    use = page_data_day_use(data, 1, 0, 1);
    CHECK_NEAR(use.wh, 23 * 200, 0);
    use = page_data_month_use(data, 2, 0, 0);
    CHECK_NEAR(use.wh, 47 * 300, 0);
    CHECK_EQ(page_data_month_use(data, 2, 0, 1).known, PAGE_NONE);
    CHECK_EQ(page_data_step(data, 0), 0);

    page_data_free(data);
    journal_close(reader);
    remove_directory();
}

static void test_a_page_that_is_given_up_leaves_nothing(void)
{
    struct journal *reader = write_and_read();
    struct page_data *data = NULL;
    struct page_file file = { .fd = -1 };
    int folder = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK_EQ(page_data_new(reader, &data), 0);
    CHECK(page_data_step(data, 0) > 0);
    page_data_free(data);  // half way

    page_file_abandon(&file);
    CHECK_EQ(page_file_begin(&file, folder, "page.html"), 0);
    page_file_add(&file, "half", 4);
    page_file_abandon(&file);
    close(folder);
    journal_close(reader);
    remove_directory();    // it is empty
}

#define MINUTE UINT64_C(60000)
#define HOUR   (60 * MINUTE)

static int folder_of_pages;

static ino_t inode_of(const char *name)
{
    struct stat status;

    CHECK_EQ(fstatat(folder_of_pages, name, &status, 0), 0);
    return status.st_ino;
}

/* Whether a burst at that time writes a file anew. */
static bool writes(struct pages *pages, uint64_t now_ms, const char *name)
{
    ino_t before = inode_of(name);

    CHECK_EQ(pages_write(pages, folder_of_pages, now_ms), 0);
    return inode_of(name) != before;
}

static void say_of_acquire(const char *error)
{
    auto_text struct text text = {};

    status_begin(&text, "acquire", "running", error);
    json_add_key(&text, "meters");
    text_add(&text, "[]");
    CHECK_EQ(status_end_and_replace(&text, state_dir, "acquire"), 0);
}

static void test_each_is_written_when_it_has_something_to_say(void)
{
    struct journal *reader = write_and_read();
    struct pages_setup setup = { .appliance = "here", .journal = reader, .run_dir = state_dir, .whole = true };
    const uint64_t now_ms = clock_monotonic_ms();
    struct pages *pages = NULL;

    folder_of_pages = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_EQ(pages_new(&setup, &pages), 0);
    say_of_acquire(NULL);
    CHECK_EQ(pages_write(pages, folder_of_pages, now_ms), 0);
    CHECK(inode_of("READ-ME.txt") && inode_of("open-me.html"));

    // The present is said again and again, or acquire would be taken for dead.
    for (uint64_t minute = 1; minute < 30; minute++) {
        say_of_acquire(NULL);
        CHECK(!writes(pages, now_ms + minute * MINUTE, "status.txt"));
    }
    CHECK(!writes(pages, now_ms + 23 * HOUR, "open-me.html"));
    say_of_acquire("a card is full");
    CHECK(writes(pages, now_ms + 23 * HOUR, "status.txt"));
    say_of_acquire("another error");
    CHECK(!writes(pages, now_ms + 23 * HOUR + 9 * MINUTE, "status.txt"));  // not twice in 10 min
    say_of_acquire("another error");
    CHECK(writes(pages, now_ms + 23 * HOUR + 10 * MINUTE, "status.txt"));
    CHECK(writes(pages, now_ms + 24 * HOUR, "open-me.html"));
    CHECK(!writes(pages, now_ms + 24 * HOUR + 1, "open-me.html"));
    CHECK(!writes(pages, now_ms + 47 * HOUR, "READ-ME.txt"));

    pages_stick_is_in(pages);
    CHECK(writes(pages, now_ms + 47 * HOUR, "open-me.html"));
    CHECK(!writes(pages, now_ms + 47 * HOUR, "READ-ME.txt"));
    pages_stick_is_in(pages);
    pages_free_bytes(pages, 1e6);  // what is left belongs to the readings
    CHECK(!writes(pages, now_ms + 48 * HOUR, "open-me.html"));
    pages_free_bytes(pages, 1e9);
    CHECK(writes(pages, now_ms + 48 * HOUR, "open-me.html"));

    pages_free(pages);
    CHECK_EQ(unlinkat(folder_of_pages, "READ-ME.txt", 0), 0);
    CHECK_EQ(unlinkat(folder_of_pages, "status.txt", 0), 0);
    CHECK_EQ(unlinkat(folder_of_pages, "open-me.html", 0), 0);
    CHECK_EQ(unlinkat(folder_of_pages, "acquire.json", 0), 0);
    close(folder_of_pages);
    journal_close(reader);
    remove_directory();
}

TESTS(test_each_step_gives_a_page,
      test_a_page_that_is_given_up_leaves_nothing,
      test_each_is_written_when_it_has_something_to_say)
