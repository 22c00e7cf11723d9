/* SPDX-License-Identifier: MIT */
// link: ms_outlet

/* Which stick is in, who serves it, and what is told of it: faults 25, 27, 28, 38 and 39 of reliability.md. */

#include "tests/test.h"

#include "app/outlet/sticks_table.h"

static struct block_volume volume(const char *name, unsigned partition, const char *port, const char *serial)
{
    struct block_volume volume = { .partition = partition, .major = 8, .size_bytes = 16000000, .sequence = 1,
                                   .settled = true };

    volume.minor = (unsigned) (name[2] - 'a') * 16 + partition;
    (void) snprintf(volume.node, sizeof(volume.node), partition ? "/dev/%s%u" : "/dev/%s", name, partition);
    (void) snprintf(volume.disk, sizeof(volume.disk), "%s", name);
    (void) snprintf(volume.port, sizeof(volume.port), "%s", port);
    (void) snprintf(volume.serial, sizeof(volume.serial), "%s", serial);
    return volume;
}

static struct stick_report report(const char *id, enum stick_state state, const char *error)
{
    struct stick_report report = { .in = true, .state = state, .percent = NAN, .eta_s = NAN };

    (void) snprintf(report.id, sizeof(report.id), "%s", id);
    (void) snprintf(report.error, sizeof(report.error), "%s", error);
    return report;
}

static void tell(struct sticks_table *table, unsigned entry, const char *id, enum stick_state state, uint64_t now_ms)
{
    struct stick_report said = report(id, state, "");

    sticks_table_told(table, entry, &said, now_ms);
}

static void take(struct sticks_table *table, const struct block_volume *a, const struct block_volume *b,
                 uint64_t now_ms)
{
    struct block_volume volumes[2];
    size_t count = 0;

    if (a) {
        volumes[count++] = *a;
    }
    if (b) {
        volumes[count++] = *b;
    }
    sticks_table_take(table, volumes, count, now_ms);
}

/* All that is to be done now: "+0 -1 ", begin a child for entry 0, let that of 1 go. */
static const char *done(struct sticks_table *table, uint64_t now_ms)
{
    static char text[256];
    enum sticks_action action;
    size_t size = 0;
    unsigned entry;

    text[0] = '\0';
    while ((action = sticks_table_next(table, now_ms, &entry)) != STICKS_NOTHING) {
        CHECK(size < 200);
        size += (size_t) snprintf(text + size, sizeof(text) - size, "%c%u ", action == STICKS_BEGIN ? '+' : '-', entry);
    }
    return text;
}

/* What the status has: "id state" or "id state (error)", each with a semicolon. */
static const char *told(const struct sticks_table *table, uint64_t now_ms)
{
    static char text[1024];
    struct stick_report reports[STICKS_MAX];
    unsigned entries[STICKS_MAX];
    size_t count = sticks_table_reports(table, now_ms, reports, entries), size = 0;

    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        CHECK(table->entries[entries[i]].is_taken);
        size += (size_t) snprintf(text + size, sizeof(text) - size, "%s %s%s%s%s;", reports[i].id,
                                  stick_report_state_name(reports[i].state), *reports[i].error ? " (" : "",
                                  reports[i].error, *reports[i].error ? ")" : "");
    }
    return text;
}

static void test_a_stick_is_served_by_a_child_until_it_is_pulled(void)
{
    struct sticks_table table = { 0 };
    struct block_volume a = volume("sda", 1, "1-1", "A");

    CHECK_STR(done(&table, 0), "");
    CHECK_EQ(sticks_table_due_ms(&table, 0), UINT64_MAX);
    take(&table, &a, NULL, 1000);
    CHECK_EQ(sticks_table_due_ms(&table, 1000), 1000);
    CHECK_STR(done(&table, 1000), "+0 ");
    CHECK_STR(done(&table, 1001), "");
    CHECK_STR(told(&table, 1001), "");                   // it said nothing yet, and is not up to date
    tell(&table, 0, "sda1", STICK_WRITING, 1010);
    CHECK_STR(told(&table, 1010), "sda1 writing;");
    tell(&table, 0, "ABCD-1234", STICK_WRITING, 1300);
    tell(&table, 0, "ABCD-1234", STICK_IDLE, 1500);
    CHECK_STR(told(&table, 1500), "ABCD-1234 idle;");
    take(&table, &a, NULL, 3000);
    CHECK_STR(done(&table, 3000), "");

    take(&table, NULL, NULL, 5000);
    CHECK_STR(done(&table, 5000), "-0 ");
    CHECK_STR(told(&table, 6000), "ABCD-1234 idle;");    // it may have dipped
    CHECK_EQ(sticks_table_due_ms(&table, 5000), 6501);
    CHECK_STR(done(&table, 6501), "");
    CHECK_STR(told(&table, 6501), "");                   // fault 25: within 2 s
    CHECK_EQ(sticks_table_due_ms(&table, 6501), UINT64_MAX);
}

static void test_where_no_udev_runs_a_stick_is_left_in_peace_for_a_second(void)
{
    struct sticks_table table = { 0 };
    struct block_volume disk = volume("sda", 0, "1-1", "A"), a = volume("sda", 1, "1-1", "A");

    disk.settled = a.settled = false;
    take(&table, &disk, NULL, 1000);                     // the kernel has not looked for its partitions yet
    CHECK_STR(done(&table, 1000), "");
    take(&table, &a, NULL, 1300);
    CHECK_STR(done(&table, 1300), "");
    CHECK_EQ(sticks_table_due_ms(&table, 1300), 2300);
    CHECK_STR(done(&table, 2299), "");
    CHECK_STR(done(&table, 2300), "+1 ");
}

/* Its rules give the device to our group: before, we could not open it. */
static void test_where_udev_runs_it_is_waited_for(void)
{
    struct sticks_table table = { 0 };
    struct block_volume a = volume("sda", 1, "1-1", "A");

    a.settled = false;
    a.awaits_udev = true;
    take(&table, &a, NULL, 1000);
    CHECK_EQ(sticks_table_due_ms(&table, 1000), 16000);
    CHECK_STR(done(&table, 8000), "");
    a.settled = true;
    a.awaits_udev = false;
    take(&table, &a, NULL, 8000);
    CHECK_STR(done(&table, 8000), "+0 ");
}

/* So slow that the child was begun before, and could not open it: not a minute later, but now. */
static void test_a_child_that_failed_before_udev_was_done_makes_room(void)
{
    for (int i = 0; i < 2; i++) {
        struct sticks_table table = { 0 };
        struct block_volume a = volume("sda", 1, "1-1", "A");

        a.settled = false;
        a.awaits_udev = true;
        take(&table, &a, NULL, 1000);
        CHECK_STR(done(&table, 16000), "+0 ");
        tell(&table, 0, "sda1", i ? STICK_FAILED : STICK_WRITING, 16000);
        a.settled = true;
        a.awaits_udev = false;
        take(&table, &a, NULL, 17000);
        CHECK_STR(done(&table, 17000), i ? "-0 +0 " : "");
        take(&table, &a, NULL, 18000);
        CHECK_STR(done(&table, 18000), "");
    }
}

/* Fault 27. The device has another name afterwards, or another sequence, or nothing tells that it is another. */
static void test_a_dip_is_one_stick(void)
{
    struct block_volume a = volume("sda", 1, "1-1", "A");
    struct block_volume b = volume("sdb", 1, "1-1", "A"), c = a;

    c.sequence = 2;
    for (int i = 0; i < 2; i++) {
        const struct block_volume *after = i ? &c : &b;
        struct sticks_table table = { 0 };

        take(&table, &a, NULL, 1000);
        CHECK_STR(done(&table, 1000), "+0 ");
        tell(&table, 0, "ABCD-1234", STICK_IDLE, 1500);
        if (i == 0) {
            take(&table, NULL, NULL, 3000);
            CHECK_STR(done(&table, 3000), "-0 ");
        }
        take(&table, after, NULL, 4500);
        CHECK_STR(done(&table, 4500), i == 0 ? "+0 " : "-0 +0 ");
        CHECK_STR(told(&table, 4500), "ABCD-1234 idle;");
        CHECK_EQ(table.entries[0].report.backlog, STICK_BACKLOG_UNKNOWN);  // no longer what it was before
        tell(&table, 0, after->node + 5, STICK_WRITING, 4600);
        CHECK_STR(told(&table, 4600), "ABCD-1234 writing;");
    }
}

/* The kernel waits for a second before it looks for the disk of a USB device that came. */
static void test_a_dip_may_take_longer_while_the_device_is_back_and_its_disk_is_not(void)
{
    struct sticks_table table = { 0 };
    struct block_volume a = volume("sda", 1, "1-1", "A"), b = volume("sdb", 1, "1-1", "A");

    take(&table, &a, NULL, 1000);
    (void) done(&table, 1000);
    tell(&table, 0, "ABCD-1234", STICK_IDLE, 1500);
    take(&table, NULL, NULL, 3000);
    (void) done(&table, 3000);
    sticks_table_returning(&table, 0, true);
    CHECK_EQ(sticks_table_due_ms(&table, 3000), 13001);
    CHECK_STR(done(&table, 13000), "");
    CHECK_STR(told(&table, 13000), "ABCD-1234 idle;");
    take(&table, &b, NULL, 13000);
    CHECK_STR(done(&table, 13000), "+0 ");

    take(&table, NULL, NULL, 19000);
    (void) done(&table, 19000);
    sticks_table_returning(&table, 0, true);
    CHECK_STR(done(&table, 22000), "");
    sticks_table_returning(&table, 0, false);            // and gone again
    CHECK_STR(done(&table, 22000), "");
    CHECK_STR(told(&table, 22000), "");
}

static void test_a_device_that_is_another_at_once_has_its_child_changed(void)
{
    struct sticks_table table = { 0 };
    struct block_volume a = volume("sda", 1, "1-1", "A"), b = volume("sda", 1, "1-1", "B");

    take(&table, &a, NULL, 1000);
    CHECK_STR(done(&table, 1000), "+0 ");
    tell(&table, 0, "ABCD-1234", STICK_IDLE, 1500);
    b.sequence = 2;
    take(&table, &b, NULL, 3000);                        // fault 28: swapped between two looks
    CHECK_STR(done(&table, 3000), "-0 +1 ");
    tell(&table, 1, "EEEE-0001", STICK_WRITING, 3100);
    CHECK_STR(told(&table, 3100), "ABCD-1234 idle;EEEE-0001 writing;");
    CHECK_STR(done(&table, 4501), "");
    CHECK_STR(told(&table, 4501), "EEEE-0001 writing;");
}

/* Cheap sticks have all the same serial number: the file system tells that it was another one. */
static void test_who_looks_the_same_and_has_another_file_system_is_another_stick(void)
{
    struct sticks_table table = { 0 };
    struct block_volume a = volume("sda", 1, "1-1", ""), b = volume("sdb", 1, "1-1", "");

    take(&table, &a, NULL, 1000);
    (void) done(&table, 1000);
    tell(&table, 0, "ABCD-1234", STICK_FULL, 1500);
    take(&table, &b, NULL, 3000);
    CHECK_STR(done(&table, 3000), "-0 +0 ");
    CHECK_STR(told(&table, 3000), "ABCD-1234 full;");
    tell(&table, 0, "sdb1", STICK_WRITING, 3100);
    tell(&table, 0, "EEEE-0001", STICK_WRITING, 3200);
    CHECK_STR(told(&table, 3200), "EEEE-0001 writing;");
}

static void test_who_comes_back_later_or_elsewhere_is_new(void)
{
    struct sticks_table table = { 0 };
    struct block_volume a = volume("sda", 1, "1-1", "A"), elsewhere = volume("sda", 1, "1-2", "A");

    take(&table, &a, NULL, 1000);
    (void) done(&table, 1000);
    tell(&table, 0, "ABCD-1234", STICK_IDLE, 1500);
    take(&table, NULL, NULL, 3000);
    CHECK_STR(done(&table, 3000), "-0 ");
    take(&table, &elsewhere, NULL, 3500);
    CHECK_STR(done(&table, 3500), "+1 ");
    take(&table, &a, &elsewhere, 4501);
    CHECK_STR(told(&table, 4501), "");
    CHECK_STR(done(&table, 4501), "+0 ");
}

/* Fault 39: both are served, and what happens to one is nothing to the other. */
static void test_two_sticks_are_both_served(void)
{
    struct sticks_table table = { 0 };
    struct block_volume a = volume("sda", 1, "1-1", "A"), b = volume("sdb", 0, "1-2", "A");

    take(&table, &a, &b, 1000);
    CHECK_STR(done(&table, 1000), "+0 +1 ");
    tell(&table, 0, "A", STICK_WRITING, 1500);
    tell(&table, 1, "B", STICK_IDLE, 1600);
    CHECK_STR(told(&table, 1600), "A writing;B idle;");
    take(&table, &b, NULL, 2000);
    CHECK_STR(done(&table, 2000), "-0 ");
    CHECK_STR(told(&table, 3501), "A writing;B idle;");
    CHECK_STR(done(&table, 3501), "");
    CHECK_STR(told(&table, 3501), "B idle;");
}

/* Fault 38. */
static void test_a_child_that_waits_for_a_call_is_slow_and_later_left_alone(void)
{
    struct sticks_table table = { 0 };
    struct block_volume a = volume("sda", 1, "1-1", "A");

    take(&table, &a, NULL, 1000);
    (void) done(&table, 1000);
    tell(&table, 0, "ABCD-1234", STICK_WRITING, 2000);
    CHECK_EQ(sticks_table_due_ms(&table, 2000), 32001);
    CHECK_STR(told(&table, 32000), "ABCD-1234 writing;");
    CHECK_STR(told(&table, 32001), "ABCD-1234 slow (no answer for more than 30 s);");
    tell(&table, 0, "ABCD-1234", STICK_IDLE, 60000);
    CHECK_STR(told(&table, 60000), "ABCD-1234 idle;");
    CHECK_STR(done(&table, 360000), "");
    CHECK_EQ(sticks_table_due_ms(&table, 359000), 360001);
    CHECK_STR(done(&table, 360001), "-0 ");
    CHECK_STR(told(&table, 360001), "ABCD-1234 failed (no answer for 5 min: left alone until it is plugged in again);");
    take(&table, &a, NULL, 900000);
    CHECK_STR(done(&table, 900000), "");
    CHECK_EQ(sticks_table_due_ms(&table, 900000), UINT64_MAX);

    take(&table, NULL, NULL, 901000);
    take(&table, &a, NULL, 902000);
    CHECK_STR(done(&table, 902000), "+0 ");
}

static void test_a_child_that_never_says_anything_is_slow_too(void)
{
    struct sticks_table table = { 0 };
    struct block_volume a = volume("sda", 1, "1-1", "A");

    take(&table, &a, NULL, 1000);
    (void) done(&table, 1000);
    CHECK_STR(told(&table, 31000), "");
    CHECK_STR(told(&table, 31001), "sda1 slow (no answer for more than 30 s);");
}

static void test_a_child_that_ends_is_begun_again_ever_more_rarely(void)
{
    static const uint64_t pauses_ms[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };
    struct sticks_table table = { 0 };
    struct block_volume a = volume("sda", 1, "1-1", "A");
    uint64_t now_ms = 1000;

    take(&table, &a, NULL, now_ms);
    CHECK_STR(done(&table, now_ms), "+0 ");
    for (size_t i = 0; i < sizeof(pauses_ms) / sizeof(pauses_ms[0]); i++) {
        tell(&table, 0, "ABCD-1234", STICK_IDLE, now_ms);
        now_ms += 100;
        sticks_table_ended(&table, 0, "was killed by signal 9", now_ms);
        CHECK_STR(told(&table, now_ms), "ABCD-1234 failed (the process that serves it was killed by signal 9);");
        CHECK_EQ(sticks_table_due_ms(&table, now_ms), now_ms + pauses_ms[i]);
        CHECK_STR(done(&table, now_ms + pauses_ms[i] - 1), "");
        now_ms += pauses_ms[i];
        CHECK_STR(done(&table, now_ms), "+0 ");
    }

    tell(&table, 0, "ABCD-1234", STICK_IDLE, now_ms);
    now_ms += 60000;                                     // it lived long enough
    sticks_table_ended(&table, 0, "", now_ms);
    CHECK_STR(told(&table, now_ms), "ABCD-1234 failed (the process that serves it ended);");
    CHECK_STR(done(&table, now_ms + 1000), "+0 ");
}

static void test_what_may_not_be_written_to_has_no_child(void)
{
    struct sticks_table table = { 0 };
    struct block_volume a = volume("sda", 1, "1-1", "A"), b = volume("sdb", 1, "1-2", "B");

    b.read_only = true;
    take(&table, &a, &b, 1000);
    CHECK_STR(done(&table, 1000), "+0 ");
    CHECK_STR(told(&table, 1000), "sdb1 readonly (write-protected);");
    tell(&table, 0, "ABCD-1234", STICK_IDLE, 1500);
    (void) snprintf(a.used_at, sizeof(a.used_at), "/media/pi/A");
    take(&table, &a, &b, 2000);
    CHECK_STR(done(&table, 2000), "-0 ");
    CHECK_STR(told(&table, 2000), "ABCD-1234 refused (in use: mounted on /media/pi/A);"
                                  "sdb1 readonly (write-protected);");
    CHECK_EQ(sticks_table_due_ms(&table, 2000), UINT64_MAX);
    a.used_at[0] = '\0';
    take(&table, &a, &b, 3000);
    CHECK_STR(done(&table, 3000), "+0 ");
}

/* A card of a Raspberry Pi: boot partition and ext4. */
static void test_what_cannot_be_served_is_no_news_beside_what_can(void)
{
    struct sticks_table table = { 0 };
    struct block_volume a = volume("sda", 1, "1-1", "A"), b = volume("sda", 2, "1-1", "A");
    struct stick_report refused = report("sda2", STICK_REFUSED, "ext4 is not for us");

    take(&table, &a, &b, 1000);
    CHECK_STR(done(&table, 1000), "+0 +1 ");
    sticks_table_told(&table, 1, &refused, 1100);
    CHECK_STR(told(&table, 1100), "");                   // the other has not said anything yet
    CHECK_STR(told(&table, 6100), "sda2 refused (ext4 is not for us);");
    tell(&table, 0, "ABCD-1234", STICK_WRITING, 6200);
    CHECK_STR(told(&table, 6200), "ABCD-1234 writing;");
    tell(&table, 0, "ABCD-1234", STICK_FULL, 6200);
    CHECK_STR(told(&table, 6200), "ABCD-1234 full;");
    refused.state = STICK_WRITING;                       // each burst it is tried again
    sticks_table_told(&table, 1, &refused, 6300);
    CHECK_STR(told(&table, 6300), "ABCD-1234 full;");
    refused.error[0] = '\0';                             // and now it can be
    sticks_table_told(&table, 1, &refused, 6400);
    CHECK_STR(told(&table, 6400), "ABCD-1234 full;sda2 writing;");
    refused = report("sda2", STICK_REFUSED, "ext4 is not for us");
    sticks_table_told(&table, 1, &refused, 6500);

    refused = report("sda1", STICK_REFUSED, "LUKS is not for us");
    sticks_table_told(&table, 0, &refused, 7000);
    CHECK_STR(told(&table, 7000), "ABCD-1234 refused (LUKS is not for us);");
}

static void test_no_more_than_there_is_room_for(void)
{
    struct sticks_table table = { 0 };
    struct block_volume volumes[STICKS_MAX + 1];

    for (unsigned i = 0; i <= STICKS_MAX; i++) {
        volumes[i] = volume("sda", i + 1, "1-1", "A");
    }
    sticks_table_take(&table, volumes, STICKS_MAX + 1, 1000);
    CHECK_STR(done(&table, 1000), "+0 +1 +2 +3 +4 +5 +6 +7 ");
    CHECK(table.is_full);
    sticks_table_take(&table, volumes + 1, STICKS_MAX, 2000);
    CHECK_STR(done(&table, 2000), "-0 ");
    sticks_table_take(&table, volumes + 1, STICKS_MAX, 4000);
    CHECK_STR(done(&table, 4000), "+0 ");
    CHECK(!table.is_full);
}

static void test_once_each_child_is_begun_once(void)
{
    struct sticks_table table = { .is_once = true };
    struct block_volume a = volume("sda", 1, "1-1", "A"), b = volume("sdb", 1, "1-2", "B");

    CHECK(sticks_table_is_over(&table));
    b.read_only = true;
    take(&table, &a, &b, 1000);
    CHECK(!sticks_table_is_over(&table));
    CHECK_STR(done(&table, 1000), "+0 ");
    tell(&table, 0, "ABCD-1234", STICK_IDLE, 1500);
    CHECK(!sticks_table_is_over(&table));
    sticks_table_ended(&table, 0, "", 2000);
    CHECK(sticks_table_is_over(&table));
    CHECK_STR(done(&table, 100000), "");
    CHECK_STR(told(&table, 2000), "ABCD-1234 idle;sdb1 readonly (write-protected);");

    table = (struct sticks_table){ .is_once = true };
    take(&table, &a, NULL, 1000);
    (void) done(&table, 1000);
    sticks_table_ended(&table, 0, "ended with 1", 2000);
    CHECK(sticks_table_is_over(&table));
    CHECK_STR(told(&table, 2000), "sda1 failed (the process that serves it ended with 1);");
}

TESTS(test_a_stick_is_served_by_a_child_until_it_is_pulled,
      test_where_no_udev_runs_a_stick_is_left_in_peace_for_a_second, test_where_udev_runs_it_is_waited_for,
      test_a_child_that_failed_before_udev_was_done_makes_room,
      test_a_dip_is_one_stick,
      test_a_dip_may_take_longer_while_the_device_is_back_and_its_disk_is_not,
      test_a_device_that_is_another_at_once_has_its_child_changed,
      test_who_looks_the_same_and_has_another_file_system_is_another_stick,
      test_who_comes_back_later_or_elsewhere_is_new, test_two_sticks_are_both_served,
      test_a_child_that_waits_for_a_call_is_slow_and_later_left_alone,
      test_a_child_that_never_says_anything_is_slow_too, test_a_child_that_ends_is_begun_again_ever_more_rarely,
      test_what_may_not_be_written_to_has_no_child, test_what_cannot_be_served_is_no_news_beside_what_can,
      test_no_more_than_there_is_room_for, test_once_each_child_is_begun_once)
