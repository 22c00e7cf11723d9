/* SPDX-License-Identifier: MIT */
// link: ms_config
#include "app/config/config_compare.h"

#include "app/base/file.h"
#include "tests/test.h"

#include <sys/stat.h>

static struct config *load(const char *text)
{
    auto_problems struct problems problems = { 0 };
    struct config *config = NULL;
    int r = config_load_text("test.conf", text, strlen(text), &problems, &config);

    if (r < 0) {
        fail_msg("%s: %s", text, problems_text(&problems));
    }
    return config;
}

/* Every key of a bus and of a meter, what stands there before and after, and whether that is another thing to ask. */
static const struct {
    const char *kind, *key, *before, *after;
    bool is_same;
    const char *beside;  // what must stand there too
} keys[] = {
    { "bus", "lock", "/a", "/b" },
    { "bus", "lock", NULL, "none" },
    { "bus", "port", "/dev/ttyUSB0", "/dev/ttyUSB1" },
    { "bus", "port", "auto", "/dev/ttyUSB1" },
    { "bus", "port", "tcp:a", "tcp:c" },
    { "bus", "port", "tcp:a", "rtu-tcp:a" },
    { "bus", "port", "tcp:a:502", "tcp:a:503" },
    { "bus", "port", "tcp:a:502", "tcp:a", true },
    { "bus", "rs485", "adapter", "kernel", false, "port = /dev/ttyUSB0" },
    { "bus", "serial", "9600 8N1", "19200 8N1" },
    { "bus", "serial", "9600 8N1", "9600 8E1" },
    { "bus", "serial", "9600 8N1", "9600 8N2" },
    { "bus", "timeout", "100 ms", "200 ms" },
    { "bus", "timeout", "100 ms", "0.1 s", true },
    { "meter", "address", "1", "2" },
    { "meter", "addresses", "from 1", "from 0" },
    { "meter", "bounds.", "voltage = 0 .. 100", "voltage = 0 .. 200" },
    { "meter", "bounds.", "voltage = 0 .. 100", "voltage = 1 .. 100" },
    { "meter", "bounds.", "voltage = 0 .. 100", "current = 0 .. 100" },
    { "meter", "bus", "a", "b", false, NULL },
    { "meter", "byte_order", "BIG", "LITTLE" },
    { "meter", "columns", "voltage V", "current A", false, "driver = exec\ncommand = x" },
    { "meter", "columns", "voltage V", "voltage V, current A", false, "driver = exec\ncommand = x" },
    { "meter", "command", "echo 1", "echo 2", false, "driver = exec\ncolumns = voltage V" },
    { "meter", "driver", NULL, "exec", false, NULL },
    { "meter", "input.", "a = Oven", "a = Oven, 2", false, "model = hdhk-hdxxaxxa16gk" },
    { "meter", "input.", "a = Oven", "b = Oven", false, "model = hdhk-hdxxaxxa16gk" },
    { "meter", "input.", "a = Oven", "a = Fridge", false, "model = hdhk-hdxxaxxa16gk" },
    { "meter", "interval", "1 s", "2 s" },
    { "meter", "interval", NULL, "10 s", true },
    { "meter", "label", "one", "two", true },
    { "meter", "location", "one", "two", true },
    { "meter", "log", "voltage", "current" },
    { "meter", "log", "voltage, current", "current, voltage" },
    { "meter", "log_every", "20 s", "30 s" },
    { "meter", "max_power", NULL, "1 kW" },
    { "meter", "max_power", "1 kW", "2 kW" },
    { "meter", "max_power", "1 kW", "1000 W", true },
    { "meter", "message_size", "10", "11" },
    { "meter", "model", "schneider-iem2150", "schneider-iem3000", false, NULL },
    { "meter", "serial", "9600 8N1", "9600 8E1" },
    { "meter", "timeout", "100 ms", "200 ms" },
    { "meter", "word_order", "BIG", "LITTLE" },
};

static void add_key(struct text *text, size_t i, const char *value)
{
    size_t length = strlen(keys[i].key);

    if (value && keys[i].key[length - 1] == '.') {
        text_addf(text, "%s%s\n", keys[i].key, value);
    } else if (value) {
        text_addf(text, "%s = %s\n", keys[i].key, value);
    }
}

static struct config *load_with(size_t i, const char *value)
{
    bool of_bus = text_equal(keys[i].kind, "bus");
    const char *beside = keys[i].beside ? keys[i].beside : "";
    auto_text struct text text = {};

    if (text_equal(keys[i].key, "driver")) {
        return load(value ? "[meter m]\ndriver = exec\ncommand = x\ncolumns = voltage V\n"
                          : "[meter m]\nmodel = schneider-iem2150\n");
    }
    text_add(&text, "[bus a]\n");
    if (of_bus) {
        text_addf(&text, "%s\n", beside);
        add_key(&text, i, value);
    }
    text_add(&text, "[bus b]\nport = tcp:b\n[meter m]\n");
    if (!of_bus && !strstr(beside, "exec")) {
        text_add(&text, text_equal(keys[i].key, "bus") ? "" : "bus = a\n");
        text_add(&text, text_equal(keys[i].key, "model") || strstr(beside, "model") ? ""
                                                                                    : "model = schneider-iem2150\n");
    } else if (of_bus) {
        text_add(&text, "bus = a\nmodel = schneider-iem2150\n");
    }
    if (!of_bus) {
        text_addf(&text, "%s\n", beside);
        add_key(&text, i, value);
    }
    return load(text_string(&text));
}

/* As the core does: the bus that a meter is on counts by its name. */
static bool is_same(const struct config *a, const struct config *b)
{
    return a->meters[0].bus == b->meters[0].bus && config_meter_is_same(&a->meters[0], &b->meters[0])
           && (a->bus_count == 0 || config_bus_is_same(a, 0, b, 0));
}

static void test_each_key_makes_another_bus_unless_only_people_look_at_it(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        auto_config struct config *before = load_with(i, keys[i].before);
        auto_config struct config *after = load_with(i, keys[i].after);
        auto_config struct config *again = load_with(i, keys[i].before);

        if (is_same(before, after) != keys[i].is_same || is_same(after, before) != keys[i].is_same) {
            fail_msg("%s = %s and %s: %s", keys[i].key, keys[i].before, keys[i].after,
                     keys[i].is_same ? "not the same" : "the same");
        }
        CHECK(is_same(before, again));
    }
}

/* Of the tables in app/config: a key that is new there has to be new here. */
static void test_no_key_is_forgotten(void)
{
    static const char *const files[] = { "keys.c", "keys_meter.c" };
    unsigned found = 0;

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        auto_free char *text = NULL;
        char path[PATH_SIZE], kind[16], key[32];
        size_t size;

        (void) snprintf(path, sizeof(path), "%s/../app/config/%s", TEST_SOURCE_DIR, files[i]);
        CHECK_EQ(file_read(path, MAX_FILE_SIZE, &text, &size), 0);
        for (const char *at = text; (at = strstr(at, "\n    { \"")); at++) {
            bool known = false;

            if (sscanf(at, " { \"%15[a-z]\", \"%31[a-z0-9_.]\",", kind, key) != 2
                || (!text_equal(kind, "bus") && !text_equal(kind, "meter"))) {
                continue;
            }
            for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
                known |= text_equal(keys[k].kind, kind) && text_equal(keys[k].key, key);
            }
            if (!known) {
                fail_msg("[%s] %s = is compared by nobody: config_compare.c, and the table above", kind, key);
            }
            found++;
        }
    }
    CHECK(found >= 25);
}

/* A user's own model counts as it is read, not by its name. */
static void test_another_model_of_the_same_name_is_another_meter(void)
{
    static const struct {
        const char *from, *to;
        bool is_same;
    } changes[] = {
        { "# nothing", "# something", true },
        { "1 V", "0.1 V", false },
        { "3028", "3030", false },
        { "holding  3028", "input    3028", false },
        { "f32.abcd  1 V", "f32.cdab  1 V", false },
        { "9600 8N1", "9600 8E1", false },
        { "timeout   = 300 ms", "timeout   = 400 ms", false },
        { "9-10", "9-11", false },
        { "first", "second", true },
    };
    static const char model[] = "# nothing\n[model]\nid        = own\ntitle     = first\naddresses = from 1\n"
                                "serial    = 9600 8N1\nsource    = manual\nverified  = document\nlog       = voltage\n"
                                "timeout   = 300 ms\navoid     = 9-10\n"
                                "[points]\nvoltage holding  3028 f32.abcd  1 V\n";
    char directory[] = "/tmp/meterstick-compare-XXXXXX", path[64], text[128];

    CHECK(mkdtemp(directory));
    (void) snprintf(path, sizeof(path), "%s/own.meter", directory);
    (void) snprintf(text, sizeof(text), "[meter m]\nmodel = %s\n", path);
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        auto_config struct config *before = NULL, *after = NULL;
        auto_text struct text changed = {};
        const char *at = strstr(model, changes[i].from);

        CHECK(at);
        text_addf(&changed, "%.*s%s%s", (int) (at - model), model, changes[i].to, at + strlen(changes[i].from));
        CHECK_EQ(file_replace(path, model, strlen(model), 0644, false), 0);
        before = load(text);
        CHECK_EQ(file_replace(path, changed.data, changed.size, 0644, false), 0);
        after = load(text);
        if (is_same(before, after) != changes[i].is_same) {
            fail_msg("%s: %s", changes[i].to, changes[i].is_same ? "not the same" : "the same");
        }
    }
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(directory), 0);
}

/* The second bus gets another default lock than the first. */
static void test_a_bus_that_was_the_second_and_is_the_first_is_another(void)
{
    auto_config struct config *second = load("[bus x]\nport = /dev/ttyUSB0\n[bus a]\nport = /dev/ttyUSB1\n"
                                             "[meter m]\nbus = a\nmodel = schneider-iem2150\n");
    auto_config struct config *first = load("[bus a]\nport = /dev/ttyUSB1\n[bus x]\nport = /dev/ttyUSB0\n"
                                            "[meter m]\nbus = a\nmodel = schneider-iem2150\n");
    auto_config struct config *tcp = load("[bus x]\nport = tcp:h\n[bus a]\nport = /dev/ttyUSB1\n"
                                          "[meter m]\nbus = a\nmodel = schneider-iem2150\n");

    CHECK(!config_bus_is_same(second, 1, first, 0));
    CHECK(config_bus_is_same(tcp, 1, first, 0));
}

TESTS(test_each_key_makes_another_bus_unless_only_people_look_at_it, test_no_key_is_forgotten,
      test_another_model_of_the_same_name_is_another_meter,
      test_a_bus_that_was_the_second_and_is_the_first_is_another)
