/* SPDX-License-Identifier: MIT */
// link: ms_lights

/* An under-voltage is told until the next boot, over a restart of the lights as well. */

#include "tests/test.h"

#include "app/base/file.h"
#include "app/base/macros.h"
#include "app/leds/power_latch.h"

static char sys_dir[] = "/tmp/test_power_latch.XXXXXX";
static char run_dir[] = "/tmp/test_power_latch.XXXXXX";

static void put(const char *name, const char *text)
{
    char path[128];

    (void) snprintf(path, sizeof(path), "%s/class/hwmon/hwmon1", sys_dir);
    CHECK_EQ(file_make_directories(path, 0700), 0);
    (void) snprintf(path, sizeof(path), "%s/class/hwmon/hwmon1/%s", sys_dir, name);
    CHECK_EQ(file_replace(path, text, strlen(text), 0600, false), 0);
}

static enum power_fact look(struct power_latch *latch, const char *boot_id)
{
    return power_latch_look(latch, sys_dir, run_dir, boot_id);
}

static void test_what_was_low_stays_so_until_the_next_boot(void)
{
    struct power_latch latch = {}, again = {}, other_boot = {}, unknown_boot = {};
    char command[128];

    CHECK(mkdtemp(sys_dir) && mkdtemp(run_dir));
    power_latch_begin(&latch, run_dir, "boot-a");
    CHECK_EQ(look(&latch, "boot-a"), POWER_UNTOLD);
    put("name", "rpi_volt\n");
    put("in0_lcrit_alarm", "0\n");
    CHECK_EQ(look(&latch, "boot-a"), POWER_GOOD);
    put("in0_lcrit_alarm", "1\n");
    CHECK_EQ(look(&latch, "boot-a"), POWER_LOW);
    put("in0_lcrit_alarm", "0\n");
    CHECK_EQ(look(&latch, "boot-a"), POWER_LOW);

    power_latch_begin(&again, run_dir, "boot-a");
    CHECK_EQ(look(&again, "boot-a"), POWER_LOW);
    power_latch_begin(&unknown_boot, run_dir, "");
    CHECK_EQ(look(&unknown_boot, ""), POWER_LOW);
    power_latch_begin(&other_boot, run_dir, "boot-b");
    CHECK_EQ(look(&other_boot, "boot-b"), POWER_GOOD);

    (void) snprintf(command, sizeof(command), "rm -r %s", run_dir);
    CHECK_EQ(system(command), 0);
}

static void test_without_a_run_directory_it_is_kept_in_memory_and_written_later(void)
{
    struct power_latch latch = {}, again = {};
    char command[128];

    power_latch_begin(&latch, run_dir, "boot-a");
    put("in0_lcrit_alarm", "1\n");
    CHECK_EQ(look(&latch, "boot-a"), POWER_LOW);
    put("in0_lcrit_alarm", "0\n");
    CHECK_EQ(look(&latch, "boot-a"), POWER_LOW);
    CHECK_EQ(file_make_directories(run_dir, 0700), 0);
    CHECK_EQ(look(&latch, "boot-a"), POWER_LOW);
    power_latch_begin(&again, run_dir, "boot-a");
    CHECK_EQ(look(&again, "boot-a"), POWER_LOW);

    (void) snprintf(command, sizeof(command), "rm -r %s %s", run_dir, sys_dir);
    CHECK_EQ(system(command), 0);
}

TESTS(test_what_was_low_stays_so_until_the_next_boot,
      test_without_a_run_directory_it_is_kept_in_memory_and_written_later)
