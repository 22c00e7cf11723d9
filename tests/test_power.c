/* SPDX-License-Identifier: MIT */
// link: ms_board

/* Under-voltage, as the kernel's hwmon tells it. */

#include "tests/test.h"

#include "app/base/file.h"
#include "board/power.h"

static char directory[] = "/tmp/test_power.XXXXXX";

static void put(const char *name, const char *text)
{
    char path[128];

    (void) snprintf(path, sizeof(path), "%s/class/hwmon/%s", directory, name);
    *strrchr(path, '/') = '\0';
    CHECK_EQ(file_make_directories(path, 0700), 0);
    path[strlen(path)] = '/';
    CHECK_EQ(file_replace(path, text, strlen(text), 0600, false), 0);
}

static void test_where_there_is_no_sensor_nothing_is_told(void)
{
    CHECK_EQ(power_look("/nowhere"), POWER_STATE_UNTOLD);
    CHECK(mkdtemp(directory));
    CHECK_EQ(power_look(directory), POWER_STATE_UNTOLD);
    put("hwmon0/name", "cpu_thermal\n");
    put("hwmon0/in0_lcrit_alarm", "1\n");
    put("README", "");
    CHECK_EQ(power_look(directory), POWER_STATE_UNTOLD);
}

static void test_the_sensor_may_have_any_number(void)
{
    put("hwmon11/name", "rpi_volt\n");
    CHECK_EQ(power_look(directory), POWER_STATE_UNTOLD);
    put("hwmon11/in0_lcrit_alarm", "0\n");
    CHECK_EQ(power_look(directory), POWER_STATE_GOOD);
    put("hwmon11/in0_lcrit_alarm", "1\n");
    CHECK_EQ(power_look(directory), POWER_STATE_LOW);
    put("hwmon11/in0_lcrit_alarm", "0\n");
    CHECK_EQ(power_look(directory), POWER_STATE_GOOD);
}

static void test_what_is_no_answer_is_untold_and_not_good(void)
{
    static const char *const answers[] = { "", "\n", "2\n", "00\n", "-1\n", "yes\n", "0 1\n" };
    char command[64];

    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        put("hwmon11/in0_lcrit_alarm", answers[i]);
        CHECK_EQ(power_look(directory), POWER_STATE_UNTOLD);
    }
    (void) snprintf(command, sizeof(command), "rm -r %s", directory);
    CHECK_EQ(system(command), 0);
}

TESTS(test_where_there_is_no_sensor_nothing_is_told, test_the_sensor_may_have_any_number,
      test_what_is_no_answer_is_untold_and_not_good)
