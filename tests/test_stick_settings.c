/* SPDX-License-Identifier: MIT */
// link: ms_outlet
#include "app/outlet/stick_settings.h"

#include "app/base/file.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct place {
    char directory[64], config[96], adopted[96], good[96];
    struct options options;
    struct stick_settings settings;
};

static void put(const char *path, const char *text)
{
    CHECK_EQ(file_replace(path, text, strlen(text), 0640, false), 0);
}

static void begin(struct place *place, bool with_config)
{
    *place = (struct place){ .directory = "/tmp/test-stick-settings-XXXXXX" };
    CHECK(mkdtemp(place->directory));
    (void) snprintf(place->config, sizeof(place->config), "%s/meterstick.conf", place->directory);
    (void) snprintf(place->adopted, sizeof(place->adopted), "%s/adopted.conf", place->directory);
    (void) snprintf(place->good, sizeof(place->good), "%s/good.conf", place->directory);
    place->options.state_dir = place->directory;
    place->options.config = with_config ? place->config : NULL;
    place->settings.options = &place->options;
}

static void end(struct place *place)
{
    char path[96];

    (void) unlink(place->config);
    (void) unlink(place->adopted);
    (void) unlink(place->good);
    (void) snprintf(path, sizeof(path), "%s/appliance", place->directory);
    (void) unlink(path);
    CHECK_EQ(rmdir(place->directory), 0);
}

#define METER "[bus b]\nport = tcp:10.0.0.9\n[meter m]\nbus = b\nmodel = schneider-iem2150\n"

static void test_what_was_adopted_is_noticed_beside_a_configuration_that_was_named(void)
{
    struct place place;

    begin(&place, true);
    put(place.config, "[appliance]\nname = hall\n[stick]\nburst = 7 s\n" METER);
    CHECK(stick_settings_look(&place.settings));
    CHECK_STR(place.settings.appliance, "hall");
    CHECK_EQ(place.settings.burst_ms, 7000);
    CHECK(!stick_settings_look(&place.settings));

    put(place.adopted, "[appliance]\nname = cellar\n");
    CHECK(stick_settings_look(&place.settings));
    CHECK_STR(place.settings.appliance, "cellar");
    CHECK_EQ(place.settings.burst_ms, 7000);
    CHECK(!stick_settings_look(&place.settings));

    put(place.adopted, "[appliance]\nname = attic\n");
    CHECK(stick_settings_look(&place.settings));
    CHECK_STR(place.settings.appliance, "attic");

    CHECK_EQ(unlink(place.adopted), 0);
    CHECK(stick_settings_look(&place.settings));
    CHECK_STR(place.settings.appliance, "hall");

    put(place.config, "[appliance]\nname = roof\n" METER);
    CHECK(stick_settings_look(&place.settings));
    CHECK_STR(place.settings.appliance, "roof");
    end(&place);
}

static void test_without_one_it_is_what_acquire_says_is_good(void)
{
    struct place place;

    begin(&place, false);
    CHECK(stick_settings_look(&place.settings));
    CHECK_EQ(place.settings.burst_ms, 60000);
    put(place.good, "[appliance]\nname = hall\n" METER);
    CHECK(stick_settings_look(&place.settings));
    CHECK_STR(place.settings.appliance, "hall");
    put(place.adopted, "[appliance]\nname = cellar\n");
    CHECK(!stick_settings_look(&place.settings));  // good.conf will say so
    end(&place);
}

TESTS(test_what_was_adopted_is_noticed_beside_a_configuration_that_was_named,
      test_without_one_it_is_what_acquire_says_is_good)
