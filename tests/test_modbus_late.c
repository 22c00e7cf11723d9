/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "drivers/modbus_late.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct modbus_request two = { .unit = 5, .table = MODBUS_HOLDING, .address = 100, .count = 2 };

static struct modbus_request other(uint8_t unit, enum modbus_table table, uint16_t address, uint16_t count)
{
    return (struct modbus_request){ .unit = unit, .table = table, .address = address, .count = count };
}

static void test_what_was_given_up_may_come_for_two_seconds(void)
{
    const struct modbus_request elsewhere = other(5, MODBUS_HOLDING, 900, 2);
    const struct modbus_request strangers[] = { other(6, MODBUS_HOLDING, 100, 2), other(5, MODBUS_INPUT, 100, 2),
                                                other(5, MODBUS_HOLDING, 100, 3) };
    struct late_list list;

    late_init(&list);
    CHECK_EQ(late_until_us(&list, &two, 1000), 0);
    late_remember(&list, &two, 1000);
    CHECK_EQ(late_until_us(&list, &two, 1000), 2001000);
    CHECK_EQ(late_until_us(&list, &elsewhere, 2000999), 2001000);  // answers carry no address
    CHECK_EQ(late_until_us(&list, &two, 2001000), 0);
    for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
        CHECK_EQ(late_until_us(&list, &strangers[i], 1000), 0);
        CHECK_EQ(late_is_any(&list, &strangers[i], 1000), i == 2);
    }
    late_remember(&list, &two, 5000);  // again: from then on
    CHECK_EQ(late_until_us(&list, &two, 1000), 2005000);
    late_clear(&list);
}

static void test_a_request_is_made_longer_until_nothing_late_has_its_length(void)
{
    struct late_list list;
    struct modbus_request request = two, last = other(5, MODBUS_HOLDING, 65534, 2);
    struct modbus_request longest = other(5, MODBUS_HOLDING, 0, 124);

    late_init(&list);
    CHECK(late_lengthen(&list, &request, 0));
    CHECK_EQ(request.count, 2);
    for (uint16_t count = 2; count < 6; count++) {
        const struct modbus_request given_up = other(5, MODBUS_HOLDING, 7, count);

        late_remember(&list, &given_up, 0);
    }
    CHECK(late_lengthen(&list, &request, 0));
    CHECK_EQ(request.count, 6);
    CHECK_EQ(request.address, 100);
    CHECK(!late_lengthen(&list, &last, 0));  // there are no more registers behind it
    CHECK_EQ(last.count, 2);

    late_remember(&list, &longest, 0);
    longest.count = 125;
    late_remember(&list, &longest, 0);
    longest.count = 124;
    CHECK(!late_lengthen(&list, &longest, 0));
    CHECK_EQ(longest.count, 124);
    late_clear(&list);
}

static void test_the_oldest_gives_way_when_there_are_too_many(void)
{
    struct late_list list;

    late_init(&list);
    for (unsigned i = 0; i <= LATE_COUNT; i++) {
        const struct modbus_request request = other((uint8_t) (1 + i), MODBUS_HOLDING, 0, 1);

        late_remember(&list, &request, 100 + i);
    }
    CHECK_EQ(late_until_us(&list, &(struct modbus_request){ 1, MODBUS_HOLDING, 0, 1 }, 200), 0);
    CHECK(late_until_us(&list, &(struct modbus_request){ 2, MODBUS_HOLDING, 0, 1 }, 200) > 0);
    CHECK(late_until_us(&list, &(struct modbus_request){ 1 + LATE_COUNT, MODBUS_HOLDING, 0, 1 }, 200) > 0);
    late_clear(&list);
}

/* --- several programs --- */

static char directory[] = "/tmp/meterstick-late-XXXXXX";
static char path[64];

static void start_sharing(struct late_list *a, struct late_list *b)
{
    if (path[0] == '\0') {
        CHECK(mkdtemp(directory));
        (void) snprintf(path, sizeof(path), "%s/rs485.late", directory);
    }
    late_init(a);
    late_init(b);
    CHECK_EQ(late_share(a, path), 0);
    CHECK_EQ(late_share(b, path), 0);
}

static void stop_sharing(struct late_list *a, struct late_list *b)
{
    late_clear(a);
    late_clear(b);
    (void) unlink(path);
}

static void test_a_program_learns_what_another_gave_up(void)
{
    struct late_list a, b;
    struct stat status;

    start_sharing(&a, &b);
    CHECK_EQ(stat(path, &status), 0);
    CHECK_EQ(status.st_mode & 0777, 0660);
    late_load(&b, false, 1000);
    CHECK_EQ(late_until_us(&b, &two, 1000), 0);
    late_remember(&a, &two, 1000);
    CHECK_EQ(late_until_us(&b, &two, 1000), 0);
    late_load(&b, false, 1500);
    CHECK_EQ(late_until_us(&b, &two, 1500), 2001000);
    late_load(&b, false, 3000000);
    CHECK_EQ(late_until_us(&b, &two, 3000000), 0);
    stop_sharing(&a, &b);
}

static void test_what_a_dead_program_had_asked_for_is_given_up_too(void)
{
    struct late_list a, b;

    start_sharing(&a, &b);
    late_depart(&a, &two, 1000);
    late_load(&b, false, 1000);
    CHECK_EQ(late_until_us(&b, &two, 1000), 0);  // it was answered: the port was given back
    late_load(&b, true, 1000);
    CHECK(late_until_us(&b, &two, 1000) >= 2001000);
    stop_sharing(&a, &b);
}

static void test_a_damaged_file_or_one_of_another_boot_is_worth_nothing(void)
{
    static const uint8_t noise[64] = { 5, 3, 2, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };
    struct late_list a, b;

    start_sharing(&a, &b);
    late_remember(&a, &two, UINT64_C(1000000000000));
    late_load(&b, true, 1000);
    CHECK_EQ(late_until_us(&b, &two, 1000), 0);
    CHECK_EQ(truncate(path, 0), 0);
    late_load(&b, true, 1000);
    CHECK_EQ(pwrite(a.fd, noise, sizeof(noise), 0), sizeof(noise));
    late_load(&b, true, 1000);
    CHECK_EQ(late_until_us(&b, &two, 1000), 0);
    stop_sharing(&a, &b);
}

static void test_links_and_missing_directories_are_not_followed(void)
{
    struct late_list a, b;
    char link[80];

    start_sharing(&a, &b);
    (void) snprintf(link, sizeof(link), "%s/link", directory);
    CHECK_EQ(symlink("/etc/passwd", link), 0);
    CHECK_EQ(late_share(&a, link), -ELOOP);
    CHECK_EQ(late_share(&a, "/no-such-directory/rs485.late"), -ENOENT);
    (void) unlink(link);
    stop_sharing(&a, &b);
    (void) rmdir(directory);
}

TESTS(test_what_was_given_up_may_come_for_two_seconds,
      test_a_request_is_made_longer_until_nothing_late_has_its_length,
      test_the_oldest_gives_way_when_there_are_too_many, test_a_program_learns_what_another_gave_up,
      test_what_a_dead_program_had_asked_for_is_given_up_too,
      test_a_damaged_file_or_one_of_another_boot_is_worth_nothing,
      test_links_and_missing_directories_are_not_followed)
