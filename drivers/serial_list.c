/* SPDX-License-Identifier: MIT */
#include "drivers/serial.h"

#include "app/base/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LISTED_MAX 64

/* A serial device of this machine. */
struct adapter {
    char path[PATH_SIZE];
    char description[128];
    char stable[PATH_SIZE];  // of /dev/serial/by-id, "" if it has none
    bool usb;
};

/* A one-line file of sysfs, "" if it is not there. */
static void read_attribute(const char *path, char *ret, size_t size)
{
    auto_free char *text = NULL;
    size_t length;

    ret[0] = '\0';
    if (file_read(path, 4096, &text, &length) == 0) {
        (void) snprintf(ret, size, "%s", text_trim(text));
    }
}

/* "FT232R USB UART" from the USB device that the tty hangs on, a few directories up. */
static void describe(const char *root, const char *name, char *ret, size_t size)
{
    static const char *const places[] = { "device/../product", "device/../../product", "device/../../../product" };

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        char path[2 * PATH_SIZE];

        (void) snprintf(path, sizeof(path), "%s/sys/class/tty/%s/%s", root, name, places[i]);
        read_attribute(path, ret, size);
        if (*ret) {
            return;
        }
    }
    (void) snprintf(ret, size, "%s", text_starts(name, "ttyUSB") || text_starts(name, "ttyACM") ? "USB serial adapter"
                                                                                              : "serial port");
}

/* The name under /dev/serial/by-id that points to the device. */
static void find_stable(const char *root, const char *name, char *ret, size_t size)
{
    char directory[PATH_SIZE];
    DIR *listing;
    struct dirent *entry;

    ret[0] = '\0';
    (void) snprintf(directory, sizeof(directory), "%s/dev/serial/by-id", root);
    listing = opendir(directory);
    while (listing && (entry = readdir(listing))) {
        char link[2 * PATH_SIZE], target[PATH_SIZE];
        ssize_t length;

        (void) snprintf(link, sizeof(link), "%s/%s", directory, entry->d_name);
        length = readlink(link, target, sizeof(target) - 1);
        if (length > 0) {
            target[length] = '\0';
            if (strrchr(target, '/') && text_equal(strrchr(target, '/') + 1, name)) {
                (void) snprintf(ret, size, "%s", link);
            }
        }
    }
    if (listing) {
        (void) closedir(listing);
    }
}

/* Whether a UART has hardware behind it: the kernel lists four ttyS on any PC, their type 0 means none. */
static bool has_hardware(const char *root, const char *name)
{
    char path[2 * PATH_SIZE], type[16];

    if (text_starts(name, "ttyAMA")) {
        return true;
    }
    (void) snprintf(path, sizeof(path), "%s/sys/class/tty/%s/type", root, name);
    read_attribute(path, type, sizeof(type));
    return *type && !text_equal(type, "0");
}

static bool is_usb(const char *name)
{
    return text_starts(name, "ttyUSB") || text_starts(name, "ttyACM");
}

/* USB first, then by name with numbers counted: ttyUSB2 before ttyUSB10. */
static int compare_adapters(const void *a, const void *b)
{
    const struct adapter *x = a, *y = b;

    return x->usb != y->usb ? (x->usb ? -1 : 1) : strverscmp(x->path, y->path);
}

static int collect(const char *root, struct adapter *ret, int max)
{
    char directory[PATH_SIZE];
    DIR *listing;
    struct dirent *entry;
    int count = 0;

    (void) snprintf(directory, sizeof(directory), "%s/sys/class/tty", root);
    listing = opendir(directory);
    while (listing && count < max && (entry = readdir(listing))) {
        const char *name = entry->d_name;
        bool uart = (text_starts(name, "ttyS") && isdigit((unsigned char) name[4])) || text_starts(name, "ttyAMA");

        if (!is_usb(name) && !(uart && has_hardware(root, name))) {
            continue;
        }
        ret[count].usb = is_usb(name);
        (void) snprintf(ret[count].path, sizeof(ret[count].path), "%s/dev/%s", root, name);
        describe(root, name, ret[count].description, sizeof(ret[count].description));
        find_stable(root, name, ret[count].stable, sizeof(ret[count].stable));
        count++;
    }
    if (listing) {
        (void) closedir(listing);
    }
    qsort(ret, (size_t) count, sizeof(ret[0]), compare_adapters);
    return count;
}

int serial_list(const char *root, struct text *ret)
{
    auto_free struct adapter *adapters = calloc(LISTED_MAX, sizeof(*adapters));
    int count;

    if (!adapters) {
        return -ENOMEM;
    }
    count = collect(root, adapters, LISTED_MAX);
    for (int i = 0; i < count; i++) {
        text_addf(ret, "%s\t%s\t%s\n", adapters[i].path, adapters[i].description, adapters[i].stable);
    }
    return ret->failed ? -ENOMEM : count;
}

int serial_find_only(const char *root, char *ret_path, size_t size, struct text *tried)
{
    auto_free struct adapter *adapters = calloc(LISTED_MAX, sizeof(*adapters));
    int count, usb_count = 0;

    if (!adapters) {
        return -ENOMEM;
    }
    count = collect(root, adapters, LISTED_MAX);
    for (int i = 0; i < count; i++) {
        usb_count += adapters[i].usb;
        if (tried) {
            text_addf(tried, "%s%s", i > 0 ? ", " : "", adapters[i].path);
        }
    }
    // an adapter that somebody plugged in is meant before the board's own UARTs
    if (usb_count == 1 || (usb_count == 0 && count == 1)) {
        return text_copy(ret_path, size, adapters[0].path);
    }
    if (tried && count == 0) {
        text_add(tried, "/dev/ttyUSB*, /dev/ttyACM*, /dev/ttyAMA*, /dev/ttyS*");
    }
    return count == 0 ? -ENOENT : -ENOTUNIQ;
}
