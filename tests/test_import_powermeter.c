/* SPDX-License-Identifier: MIT */
// link: ms_config ms_drivers ms_base
#include "tests/test.h"

#include "app/config/import_powermeter.h"

#include <errno.h>

/* Its sample, shortened: numbers stand as numbers and as strings. */
static const char two_devices[] =
    "\n[{\"id\": 1, \"port\": \"/dev/ttyUSB0\", \"timeout\": 1, \"stopbits\": 1, \"bytesize\": 8, \"parity\": \"N\","
    "   \"baudrate\": \"9600\", \"inputs\": ["
    "     {\"input\": \"b\", \"ratio\": 0.01, \"name\": \"Rack #3, left\"},"
    "     {\"input\": \"a\", \"ratio\": 0.1, \"name\": \"Input a\"}]},"
    " {\"id\": \"UPS\", \"port\": \"/dev/ttyUSB1\", \"timeout\": \"2\", \"stopbits\": 2, \"bytesize\": 8,"
    "   \"parity\": \"E\", \"baudrate\": 19200, \"inputs\": [{\"input\": \"p\", \"ratio\": 0.07, \"name\": \"P\"}]}]";

static int convert(const char *json, struct problems *problems, struct text *ret)
{
    return import_powermeter("powermeter.json", json, strlen(json), problems, ret);
}

static void test_devices_become_buses_and_meters(void)
{
    auto_problems struct problems problems = { 0 };
    auto_text struct text text = { 0 };

    CHECK_EQ(convert(two_devices, &problems, &text), 0);
    CHECK_HAS(text.data, "[bus ttyusb0]\nport = /dev/ttyUSB0\ntimeout = 1 s\n");
    CHECK_HAS(text.data, "[meter device-1]\nbus = ttyusb0\nmodel = hdhk-hdxxaxxa16gk\naddress = 1\n"
                         "serial = 9600 8N1\n");
    CHECK_HAS(text.data, "input.b = Rack No.3, left, 1\ninput.a = Input a, 10\nlog = current_a, current_b\n");
    CHECK_HAS(text.data, "[meter device-ups]\nbus = ttyusb1\n");
    CHECK_HAS(text.data, "serial = 19200 8E2\nlabel = UPS\ninput.p = P, 7\n");
}

static void test_names_come_back_as_they_were(void)
{
    auto_problems struct problems problems = { 0 };
    auto_config struct config *config = NULL;
    auto_text struct text text = { 0 };

    CHECK_EQ(convert(two_devices, &problems, &text), 0);
    (void) !config_load_text("made", text.data, text.size, &problems, &config);
    CHECK_STR(problems_text(&problems), "");
    import_powermeter_names(two_devices, strlen(two_devices), config);
    CHECK_EQ(config->meter_count, 2);
    CHECK_EQ(config->meters[0].input_count, 2);
    for (unsigned i = 0; i < 2; i++) {
        const struct input *input = &config->meters[0].inputs[i];

        CHECK_STR(input->name, input->letter == 'b' ? "Rack #3, left" : "Input a");
    }
    CHECK_NEAR(config->meters[1].inputs[0].ratio, 7, 0);
}

static void test_wrong_values_are_refused_with_device_and_key(void)
{
    static const struct {
        const char *json;
        const char *problem;
    } cases[] = {
        { "[{]", "powermeter.json: not JSON: line 1" },
        { "{}", "a list of 1 to" },
        { "[]", "a list of 1 to" },
        { "[7]", "device 1: an object" },
        { "[{\"id\":1,\"port\":\"/dev/x\",\"inputs\":[{\"input\":\"q\",\"ratio\":1,\"name\":\"n\"}]}]",
          "device 1, id 1: input \"q\": a letter from a to p is allowed" },
        { "[{\"id\":1,\"port\":\"/dev/x\",\"inputs\":[{\"input\":\"a\",\"ratio\":0,\"name\":\"n\"}]}]", "input a: ratio" },
        { "[{\"id\":1,\"port\":\"/dev/x\",\"inputs\":[{\"input\":\"a\",\"ratio\":1,\"name\":\"\"}]}]", "input a: name" },
        { "[{\"id\":1,\"port\":\"/dev/x\",\"inputs\":[{\"input\":\"a\",\"ratio\":1,\"name\":\"n\"},"
          "{\"input\":\"A\",\"ratio\":1,\"name\":\"n\"}]}]", "twice" },
        { "[{\"id\":1,\"port\":\"/dev/x\",\"inputs\":[]}]", "inputs must be a list" },
        { "[{\"id\":1,\"inputs\":[{\"input\":\"a\",\"ratio\":1,\"name\":\"n\"}]}]", "port must be a device" },
        { "[{\"id\":1,\"port\":\"/dev/x\",\"parity\":\"X\",\"inputs\":[]}]", "parity must be" },
        { "[{\"id\":1,\"port\":\"/dev/x\",\"baudrate\":\"fast\",\"inputs\":[]}]", "baudrate must be a whole number" },
        { "[{\"id\":1,\"port\":\"/dev/x\",\"bytesize\":7,\"inputs\":[]}]", "bytesize must be" },
        { "[{\"id\":1,\"prot\":\"/dev/x\",\"inputs\":[]}]", "unknown key \"prot\", did you mean \"port\"?" },
        { "[{\"port\":\"/dev/x\",\"inputs\":[]}]", "id must be" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_problems struct problems problems = { 0 };
        auto_text struct text text = { 0 };

        CHECK_EQ(convert(cases[i].json, &problems, &text), -EINVAL);
        CHECK_HAS(problems_text(&problems), cases[i].problem);
        CHECK_EQ(text.size, 0);
    }
}

TESTS(test_devices_become_buses_and_meters, test_names_come_back_as_they_were,
      test_wrong_values_are_refused_with_device_and_key)
