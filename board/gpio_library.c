/* SPDX-License-Identifier: MIT */
/*
 * GPIO by libgpiod: version 1 (Debian 12) or 2 (Debian 13), as GPIO_LIBRARY_MAJOR says. They share no call but
 * gpiod_chip_open(path). Its errors are in errno.
 */
#include "board/gpio_private.h"

#include <errno.h>
#include <gpiod.h>
#include <stdio.h>

static int failed(void)
{
    return errno > 0 ? -errno : -EIO;
}

#if GPIO_LIBRARY_MAJOR == 1

struct lines {
    struct gpiod_chip *chip;
    struct gpiod_line_bulk bulk;  // data, clock
};

static void library_close(void *argument)
{
    struct lines *lines = argument;

    if (lines) {
        if (lines->chip) {
            gpiod_chip_close(lines->chip);  // its lines as well
        }
        free(lines);
    }
}

static void closep(struct lines **lines)
{
    library_close(*lines);
}

static int library_open(const char *path, unsigned data_line, unsigned clock_line, void **ret)
{
    CLEANUP(closep) struct lines *lines = NULL;
    unsigned offsets[] = { data_line, clock_line };
    const int low[] = { 0, 0 };

    lines = calloc(1, sizeof(*lines));
    if (!lines) {
        return -ENOMEM;
    }
    lines->chip = gpiod_chip_open(path);
    if (!lines->chip || gpiod_chip_get_lines(lines->chip, offsets, ARRAY_SIZE(offsets), &lines->bulk) < 0
        || gpiod_line_request_bulk_output(&lines->bulk, GPIO_CONSUMER, low) < 0) {
        return failed();
    }

    *ret = TAKE(lines);
    return 0;
}

static int library_set(void *argument, bool data, bool clock)
{
    struct lines *lines = argument;
    const int values[] = { data, clock };

    return gpiod_line_set_value_bulk(&lines->bulk, values) < 0 ? failed() : 0;
}

static const char *library_version(void)
{
    return gpiod_version_string();
}

#else

#define auto_chip     CLEANUP(closep_chip)
#define auto_settings CLEANUP(freep_settings)
#define auto_config   CLEANUP(freep_config)
#define auto_request  CLEANUP(freep_request)

static void closep_chip(struct gpiod_chip **chip)
{
    if (*chip) {
        gpiod_chip_close(*chip);  // what was asked of it stays
    }
}

static void freep_settings(struct gpiod_line_settings **settings)
{
    gpiod_line_settings_free(*settings);
}

static void freep_config(struct gpiod_line_config **config)
{
    gpiod_line_config_free(*config);
}

static void freep_request(struct gpiod_request_config **request)
{
    gpiod_request_config_free(*request);
}

static int library_open(const char *path, unsigned data_line, unsigned clock_line, void **ret)
{
    auto_chip struct gpiod_chip *chip = NULL;
    auto_settings struct gpiod_line_settings *settings = NULL;
    auto_config struct gpiod_line_config *config = NULL;
    auto_request struct gpiod_request_config *request = NULL;
    const unsigned offsets[] = { data_line, clock_line };
    struct gpiod_line_request *lines;

    chip = gpiod_chip_open(path);
    if (!chip) {
        return failed();
    }
    settings = gpiod_line_settings_new();
    config = gpiod_line_config_new();
    request = gpiod_request_config_new();
    if (!settings || !config || !request) {
        return -ENOMEM;
    }

    gpiod_request_config_set_consumer(request, GPIO_CONSUMER);
    if (gpiod_line_settings_set_direction(settings, GPIOD_LINE_DIRECTION_OUTPUT) < 0
        || gpiod_line_settings_set_output_value(settings, GPIOD_LINE_VALUE_INACTIVE) < 0
        || gpiod_line_config_add_line_settings(config, offsets, ARRAY_SIZE(offsets), settings) < 0) {
        return failed();
    }
    lines = gpiod_chip_request_lines(chip, request, config);
    if (!lines) {
        return failed();
    }

    *ret = lines;
    return 0;
}

static int library_set(void *lines, bool data, bool clock)
{
    const enum gpiod_line_value values[] = {  // in the order in which they were asked for
        data ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE,
        clock ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE,
    };

    return gpiod_line_request_set_values(lines, values) < 0 ? failed() : 0;
}

static void library_close(void *lines)
{
    if (lines) {
        gpiod_line_request_release(lines);
    }
}

static const char *library_version(void)
{
    return gpiod_api_version();
}

#endif

const struct gpio_way gpio_way_library = {
    library_open, library_set, library_close, "libgpiod", library_version,
};
