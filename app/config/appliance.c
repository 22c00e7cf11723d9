/* SPDX-License-Identifier: MIT */

#include "app/config/appliance.h"

#include "app/base/file.h"
#include "app/base/log.h"
#include "app/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The first is the device tree's, as a Pi has it: 16 hexadecimal digits and a NUL. */
static const char *const serial_files[] = {
    "/proc/device-tree/serial-number",
    "/etc/machine-id",
    "/proc/sys/kernel/random/boot_id",  // a container without either: kept in the file from then on
};

void appliance_name_from(const char *serial, char ret[static METER_ID_SIZE])
{
    char digits[] = "0000";
    size_t count = 0;

    for (size_t i = strlen(serial); i > 0 && count < 4; i--) {
        if (isxdigit((unsigned char) serial[i - 1])) {
            digits[3 - count++] = (char) tolower((unsigned char) serial[i - 1]);
        }
    }

    (void) snprintf(ret, METER_ID_SIZE, "meterstick-%s", digits);
}

static int read_line(const char *path, char *ret, size_t size)
{
    auto_free char *text = NULL;
    size_t length;
    int r;

    r = file_read(path, LABEL_SIZE * 2, &text, &length);
    if (r < 0) {
        return r;
    }

    return text_copy(ret, size, text_trim(text));
}

void appliance_name(const char *configured, const char *state_dir, char ret[static METER_ID_SIZE])
{
    char path[PATH_SIZE], serial[LABEL_SIZE * 2] = "", line[METER_ID_SIZE + 1];
    int r;

    if (*configured) {
        (void) snprintf(ret, METER_ID_SIZE, "%s", configured);
        return;
    }

    r = file_path(path, sizeof(path), state_dir, "appliance");
    if (r == 0 && read_line(path, line, sizeof(line)) == 0 && text_is_name(line)) {
        (void) snprintf(ret, METER_ID_SIZE, "%s", line);
        return;
    }

    for (size_t i = 0; i < ARRAY_SIZE(serial_files) && !*serial; i++) {
        if (read_line(serial_files[i], serial, sizeof(serial)) < 0) {
            serial[0] = '\0';
        }
    }
    appliance_name_from(serial, ret);

    if (r == 0) {
        int length = snprintf(line, sizeof(line), "%s\n", ret);

        r = file_replace(path, line, (size_t) length, 0644, true);
    }
    if (r < 0) {
        log_debug("could not keep the appliance's name %s in %s (%s)", ret, state_dir, strerror(-r));
    }
}
