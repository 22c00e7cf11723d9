/* SPDX-License-Identifier: MIT */
// link: ms_config
#include "app/config/config.h"

#include "app/base/file.h"
#include "tests/test.h"

#include <errno.h>
#include <sys/stat.h>

static struct config *load(const char *text)
{
    auto_problems struct problems problems = { 0 };
    struct config *config = NULL;
    int r = config_load_text("test.conf", text, strlen(text), &problems, &config);

    if (r < 0) {
        fail_msg("%s", problems_text(&problems));
    }
    return config;
}

static void test_defaults_are_those_of_the_manual(void)
{
    auto_config struct config *config = load("[meter kitchen]\nmodel = schneider-iem2150\n");

    CHECK_EQ(config->appliance.interval_ms, 10000);
    CHECK_EQ(config->journal.commit_ms, 10000);
    CHECK_EQ(config->journal.keep_days, 400);
    CHECK_EQ(config->stick.burst_ms, 60000);
    CHECK(config->stick.configure);
    CHECK_EQ(config->leds.brightness_percent, 10);
    CHECK_EQ(config->bus_count, 1);
    CHECK_EQ(config->buses[0].port.kind, ENDPOINT_AUTO);
    CHECK_EQ(config->meters[0].address, 1);
    CHECK_EQ(config->meters[0].interval_ms, 10000);
    CHECK_EQ(config->meters[0].kind, SOURCE_MODBUS);
    CHECK_EQ(config->meters[0].selection.point_count, 7);  // log = of the model
}

static void test_every_key_arrives(void)
{
    auto_config struct config *config = load(
        "[appliance]\nname = cellar\ninterval = 5 s\ntimezone = Europe/Berlin\nclock = trusted\nlog_level = debug\n"
        "[journal]\ncommit = 2 s\nkeep = 30 days\nbudget = 2 GiB\nkeep_words = yes\n"
        "[stick]\nburst = 5 s\ncsv = energy-scribe\nconfigure = no\n"
        "[leds]\nbrightness = 40 %\ncolours = code\n"
        "[bus a]\nport = /dev/ttyUSB3\nserial = 19200 8E1\nlock = /rs485\nrs485 = kernel\ntimeout = 300 ms\n"
        "[meter m]\nbus = a\nmodel = circutor-cvm-nrg96\naddress = 17\nserial = 9600 8N1\ninterval = 1 s\n"
        "log = voltage_l1_n, energy*\nlog_every = 12 s\nmax_power = 650 kW\nbounds.voltage = 0 .. 20 kV\n"
        "message_size = 20\nlabel = Main\nlocation = Hall 1\n");
    const struct meter_config *meter = &config->meters[0];

    CHECK_STR(config->appliance.name, "cellar");
    CHECK(config->appliance.clock_trusted);
    CHECK_STR(config->appliance.log_level, "debug");
    CHECK_EQ(config->journal.budget_bytes, 2147483648LL);
    CHECK(config->journal.keep_words);
    CHECK_EQ(config->stick.csv, CSV_ENERGY_SCRIBE);
    CHECK(!config->stick.configure);
    CHECK_EQ(config->leds.colours, COLOURS_CODE);
    CHECK_STR(config->buses[0].port.path, "/dev/ttyUSB3");
    CHECK_EQ(config->buses[0].serial.baud, 19200);
    CHECK(config->buses[0].rs485_kernel);
    CHECK_EQ(config->buses[0].timeout_ms, 300);
    CHECK_EQ(meter->address, 17);
    CHECK_EQ(meter->log_every_ms, 12000);
    CHECK_NEAR(meter->max_power_w, 650000, 0);
    CHECK_NEAR(meter->bounds[0].max, 20000, 0);
    CHECK_EQ(meter->message_size, 20);
    CHECK_STR(meter->model->points[meter->selection.points[0]].name, "voltage_l1_n");
    CHECK_EQ(meter->selection.point_count, 9);
}

static void test_a_meter_may_read_its_model_in_another_order(void)
{
    auto_config struct config *config = load("[meter a]\nmodel = schneider-em6400\n"
                                             "[meter b]\nmodel = schneider-em6400\naddress = 2\n"
                                             "word_order = BIG\naddresses = from 0\n"
                                             "[meter c]\nmodel = schneider-em6400\naddress = 3\n");
    int point = model_point(config->meters[0].model, "frequency");

    CHECK(config->meters[0].model == config->meters[2].model);
    CHECK(config->meters[0].model != config->meters[1].model);
    CHECK_STR(config->meters[0].model->points[point].codec->name, "f32.cdab");
    CHECK_STR(config->meters[1].model->points[point].codec->name, "f32.abcd");
    CHECK_EQ(config->meters[0].model->points[point].address, 3914);
    CHECK_EQ(config->meters[1].model->points[point].address, 3915);
}

static void test_inputs_have_names_and_factors(void)
{
    auto_config struct config *config = load("[meter rack]\nmodel = hdhk-hdxxaxxa16gk\n"
                                             "input.a = Server room\ninput.b = UPS, left, 2.5\n");

    CHECK_EQ(config->meters[0].input_count, 2);
    CHECK_STR(config->meters[0].inputs[0].name, "Server room");
    CHECK_NEAR(config->meters[0].inputs[0].ratio, 1, 0);
    CHECK_STR(config->meters[0].inputs[1].name, "UPS, left");
    CHECK_NEAR(config->meters[0].inputs[1].ratio, 2.5, 0);
}

static const struct { const char *text, *says; } refusals[] = {
    { "[aplliance]\nname = x\n", "test.conf:1: unknown section [aplliance], did you mean [appliance]?" },
    { "name = x\n", "test.conf:1: 'name' stands before the first [section]" },
    { "[appliance]\ninterval = 10 s\ninterval = 5 s\n", "test.conf:3: 'interval' stands twice" },
    { "[appliance]\nintervall = 10 s\n",
      "test.conf:2: unknown key 'intervall' in [appliance], did you mean 'interval'?" },
    { "[appliance]\ninterval = ten\n", "test.conf:2: interval = ten: a time from 100 ms" },
    { "[appliance]\ninterval = -3\n", "test.conf:2: interval = -3" },
    { "[appliance]\nname = Con\n", "test.conf:2: name = Con" },
    { "[appliance]\nname = con\n", "test.conf:2: name = con" },
    { "[appliance]\ntimezone = Europe/Berlni\n", "no such time zone" },
    { "[appliance]\nclock = maybe\n", "'auto' or 'trusted'" },
    { "[appliance x]\nname = y\n", "[appliance] takes no name" },
    { "[journal]\nkeep = 3 days\n", "from 7 days" },
    { "[journal]\nbudget = 1 kB\n", "at least 64 MiB" },
    { "[leds]\nbrightness = 0 %\n", "from 1 % to 100 %" },
    { "[bus A]\nport = auto\n", "test.conf:1: [bus A]: a name has small letters" },
    { "[bus a]\nport = ttyUSB0\n", "a device such as /dev/ttyUSB0" },
    { "[bus a]\nport = tcp:host:99999\n", "a device such as" },
    { "[bus a]\nserial = 9600 8X1\n", "such as '9600 8N1'" },
    { "[bus a]\nserial = 9601 8N1\n", "speeds are 300 to" },
    { "[bus a]\nlock = rs485\n", "the name of a semaphore" },
    { "[bus a]\nport = /dev/x\n[bus b]\nport = /dev/x\n", "[bus b] and [bus a] have the same port /dev/x" },
    { "[meter m]\naddress = 2\n", "test.conf:1: [meter m] needs model =" },
    { "[meter m]\nmodel = schneider-iem215\n", "did you mean 'schneider-iem2150'?" },
    { "[meter m]\nmodel = iem2150\n", "did you mean 'schneider-iem2150'?" },
    { "[meter m]\nmodel = schneider-iem2150\naddress = 300\n", "test.conf:3: address = 300" },
    { "[meter m]\nmodel = schneider-iem2150\naddress = 0\n", "has address 0; 1 to 247" },
    { "[meter m]\nmodel = schneider-iem2150\nlog = voltag\n",
      "test.conf:3: schneider-iem2150 has no point 'voltag', did you mean 'voltage'" },
    { "[meter m]\nmodel = schneider-iem2150\nlog = meter_name\n", "meter_name is a text" },
    { "[meter m]\nmodel = schneider-iem2150\nbounds.voltag = 0 .. 1\n",
      "unknown quantity 'voltag', did you mean 'voltage'?" },
    { "[meter m]\nmodel = schneider-iem2150\nbounds.voltage = 9 .. 1\n", "lowest and highest value" },
    { "[meter m]\nmodel = schneider-iem2150\nbounds.voltage = 0 .. 1 kW\n", "lowest and highest value" },
    { "[meter m]\nmodel = schneider-iem2150\nmax_power = 3 V\n", "the most that the connection can carry" },
    { "[meter m]\nmodel = schneider-iem2150\nbus = b\n[bus a]\n", "there is no [bus b]" },
    { "[meter m]\nmodel = schneider-iem2150\n[bus a]\nport = /dev/a\n[bus b]\nport = /dev/b\n",
      "needs bus =, since there are 2 buses" },
    { "[meter m]\nmodel = schneider-iem2150\n[meter n]\nmodel = schneider-iem2150\n",
      "[meter n] and [meter m] (line 1) both have address 1" },
    { "[meter m]\nmodel = schneider-iem2150\nword_order = AUTO\n", "which says nothing about the meter" },
    { "[meter m]\nmodel = hdhk-hdxxaxxa16gk\naddresses = from 1\n", "has a register 0" },
    { "[meter m]\nmodel = hdhk-hdxxaxxa16gk\ninput.q = x\n", "inputs are input.a to input.p" },
    { "[meter m]\ndriver = exec\ncolumns = power_active\n", "needs command =" },
    { "[meter m]\ndriver = exec\ncommand = x\n", "needs columns =" },
    { "[meter m]\ndriver = exec\ncommand = x\ncolumns = powr_active\n",
      "unknown quantity 'powr_active' in columns, did you mean 'power_active'" },
    { "[meter m]\ndriver = exec\ncommand = x\ncolumns = power_active V\n",
      "power_active is measured in W, not in 'V'" },
    { "[bus a]\n[meter m]\nmodel = currentcost-cc128\n[meter n]\nmodel = schneider-iem2150\n", "a port of its own" },
    { "[meter m]\nmodel = schneider-iem2150\ninterval = 10 s\nlog_every = 5 s\n",
      "log_every shorter than its interval" },
};

static void test_every_refusal_says_line_word_and_what_is_allowed(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        auto_problems struct problems problems = { 0 };
        struct config *config = NULL;

        CHECK_EQ(config_load_text("test.conf", refusals[i].text, strlen(refusals[i].text), &problems, &config),
                 -EINVAL);
        CHECK(config == NULL);
        CHECK_HAS(problems_text(&problems), refusals[i].says);
    }
}

static void test_all_faults_are_told_at_once(void)
{
    static const char text[] = "[appliance]\nintervall = 1\n[bus a]\nserial = x\n[meter m]\nmodel = nothing\n";
    auto_problems struct problems problems = { 0 };
    struct config *config = NULL;

    CHECK_EQ(config_load_text("test.conf", text, strlen(text), &problems, &config), -EINVAL);
    CHECK_EQ(problems.count, 3);
}

static void write_file(const char *directory, const char *name, const char *text)
{
    char path[256];

    (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
    CHECK_EQ(file_replace(path, text, strlen(text), 0644, false), 0);
}

static void test_what_was_adopted_wins_key_by_key_and_the_merged_result_means_the_same(void)
{
    char directory[] = "/tmp/test-config-XXXXXX", path[256];
    auto_problems struct problems problems = { 0 };
    auto_config struct config *config = NULL, *again = NULL;
    auto_text struct text merged = { 0 };

    CHECK(mkdtemp(directory));
    write_file(directory, "a.conf", "[appliance]\nname = old\ninterval = 20 s\n"
                                    "[meter m]\nmodel = schneider-iem2150\n");
    write_file(directory, "adopted.conf", "[appliance]\nname = new\n[meter m]\naddress = 7\n");
    (void) snprintf(path, sizeof(path), "%s/a.conf", directory);
    CHECK_EQ(config_load(path, directory, &problems, &config), 0);
    CHECK_STR(config->appliance.name, "new");
    CHECK_EQ(config->appliance.interval_ms, 20000);
    CHECK_EQ(config->meters[0].address, 7);

    CHECK_EQ(config_write(config, &merged), 0);
    CHECK_EQ(config_load_text("good.conf", merged.data, merged.size, &problems, &again), 0);
    CHECK_STR(again->appliance.name, "new");
    CHECK_EQ(again->meters[0].address, 7);

    config_free(TAKE(again));
    CHECK_EQ(config_load(path, NULL, &problems, &again), 0);
    CHECK_STR(again->appliance.name, "old");
}

static void test_a_stick_cannot_bring_a_program_to_run(void)
{
    char directory[] = "/tmp/test-config-XXXXXX", path[256];
    auto_problems struct problems problems = { 0 };
    struct config *config = NULL;

    CHECK(mkdtemp(directory));
    write_file(directory, "a.conf", "[meter m]\nmodel = schneider-iem2150\n");
    write_file(directory, "adopted.conf", "[meter n]\ndriver = exec\ncommand = reboot\ncolumns = power_active\n");
    (void) snprintf(path, sizeof(path), "%s/a.conf", directory);
    CHECK_EQ(config_load(path, directory, &problems, &config), -EINVAL);
    CHECK_HAS(problems_text(&problems), "adopted.conf:3: command = reboot: this cannot be adopted");
}

static void test_a_file_that_is_not_there_is_named(void)
{
    auto_problems struct problems problems = { 0 };
    struct config *config = NULL;

    CHECK_EQ(config_load("/nowhere/x.conf", "/nowhere", &problems, &config), -ENOENT);
    CHECK_HAS(problems_text(&problems), "/nowhere/x.conf: No such file");
}

TESTS(test_defaults_are_those_of_the_manual, test_every_key_arrives,
      test_a_meter_may_read_its_model_in_another_order, test_inputs_have_names_and_factors,
      test_every_refusal_says_line_word_and_what_is_allowed, test_all_faults_are_told_at_once,
      test_what_was_adopted_wins_key_by_key_and_the_merged_result_means_the_same,
      test_a_stick_cannot_bring_a_program_to_run, test_a_file_that_is_not_there_is_named)
