/* SPDX-License-Identifier: MIT */
/*
 * What the kernel says of serial adapters. In /sys/class/tty/ttyUSB0, "device" leads below the USB interface, a folder
 * named "1-1.2:1.0", which is below the USB device, "1-1.2", with its texts (kernel documentation,
 * ABI/stable/sysfs-bus-usb).
 */
#include "drivers/serial.h"

#include "app/base/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* An adapter and where it hangs. */
struct found {
    struct serial_adapter names;
    char device[64];         // "1-1.2"; "" if it is not on USB
    char interface[16];      // "1.0"
    char port[8];            // of an interface with several
    char number[128];        // its serial number
};

/* A one-line file of sysfs, "" if it is not there. */
static void read_attribute(const char *directory, const char *name, char *ret, size_t size)
{
    auto_free char *text = NULL;
    char path[2 * PATH_SIZE];
    size_t length;

    ret[0] = '\0';
    (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (file_read(path, 4096, &text, &length) == 0) {
        (void) snprintf(ret, size, "%s", text_trim(text));
    }
}

static bool is_usb(const char *name)
{
    return text_starts(name, "ttyUSB") || text_starts(name, "ttyACM");
}

/* Whether a UART has hardware behind it: the kernel lists four ttyS on any PC, their type 0 means none. */
static bool has_hardware(const char *root, const char *name)
{
    char directory[PATH_SIZE], type[16];

    if (text_starts(name, "ttyAMA")) {
        return true;
    }
    (void) snprintf(directory, sizeof(directory), "%s/sys/class/tty/%s", root, name);
    read_attribute(directory, "type", type, sizeof(type));
    return *type && !text_equal(type, "0");
}

/* The last folder of a path that is a USB interface; the path ends there afterwards. NULL: there is none. */
static char *cut_at_interface(char *path)
{
    char *slash;

    while ((slash = strrchr(path, '/'))) {
        const char *dash = strchr(slash, '-');

        if (isdigit((unsigned char) slash[1]) && dash && strchr(dash, ':')) {
            return slash + 1;
        }
        *slash = '\0';
    }
    return NULL;
}

/* Where it hangs on USB, and what the device says of itself. */
static void look_at_usb(const char *root, const char *name, struct found *ret)
{
    char link[PATH_SIZE];
    auto_free char *path = NULL;
    char *interface;

    (void) snprintf(link, sizeof(link), "%s/sys/class/tty/%s/device", root, name);
    path = realpath(link, NULL);
    if (!path) {
        return;
    }
    read_attribute(path, "port_number", ret->port, sizeof(ret->port));
    interface = cut_at_interface(path);
    if (!interface) {
        return;
    }
    (void) snprintf(ret->device, sizeof(ret->device), "%.*s", (int) strcspn(interface, ":"), interface);
    (void) snprintf(ret->interface, sizeof(ret->interface), "%s", strchr(interface, ':') + 1);
    interface[-1] = '\0';
    read_attribute(path, "product", ret->names.description, sizeof(ret->names.description));
    read_attribute(path, "serial", ret->number, sizeof(ret->number));
}

/* The link of that udev folder which points to the device; "" if there is none. */
static void find_link(const char *root, const char *folder, const char *name, char *ret, size_t size)
{
    char directory[PATH_SIZE];
    DIR *listing;
    struct dirent *entry;

    (void) snprintf(directory, sizeof(directory), "%s/dev/serial/%s", root, folder);
    listing = opendir(directory);
    while (listing && (entry = readdir(listing))) {
        char link[2 * PATH_SIZE], target[PATH_SIZE];
        ssize_t length;

        (void) snprintf(link, sizeof(link), "%s/%s", directory, entry->d_name);
        length = readlink(link, target, sizeof(target) - 1);
        if (length <= 0) {
            continue;
        }
        target[length] = '\0';
        // Debian 13 has two by path, "...-usb-0:1:1.0-port0" and "...-usbv2-0:1:1.0-port0"; Debian 12 the shorter alone
        if (text_equal(strrchr(target, '/') ? strrchr(target, '/') + 1 : target, name)
            && strlen(link) < (*ret ? strlen(ret) : size)) {
            (void) snprintf(ret, size, "%s", link);
        }
    }
    if (listing) {
        (void) closedir(listing);
    }
}

static void describe(const char *root, const char *name, struct found *ret)
{
    struct serial_adapter *names = &ret->names;

    names->usb = is_usb(name);
    (void) snprintf(names->path, sizeof(names->path), "%s/dev/%s", root, name);
    look_at_usb(root, name, ret);
    if (*names->description == '\0') {
        (void) snprintf(names->description, sizeof(names->description), "%s",
                        names->usb ? "USB serial adapter" : "serial port");
    }
    find_link(root, "by-id", name, names->by_id, sizeof(names->by_id));
    find_link(root, "by-path", name, names->by_path, sizeof(names->by_path));
}

/* USB first, then by name with numbers counted: ttyUSB2 before ttyUSB10. */
static int compare_found(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    return x->names.usb != y->names.usb ? (x->names.usb ? -1 : 1) : strverscmp(x->names.path, y->names.path);
}

/* "1-1.2", and with more of it if the device has several ports. `first` is the device or its serial number. */
static bool is_called(const struct found *found, const char *first, const char *name)
{
    char text[SERIAL_NAME_SIZE];

    if (*first == '\0' || !text_starts(name, first)) {
        return false;
    }
    if (text_equal(name, first)) {
        return true;
    }
    (void) snprintf(text, sizeof(text), "%s:%s", first, found->interface);
    if (text_equal(name, text)) {
        return true;
    }
    (void) snprintf(text, sizeof(text), "%s:%s-port%s", first, found->interface, found->port);
    return text_equal(name, text);
}

/* The shortest of those names that no other port of the same device has. */
static void give_name(const struct found *all, int count, const struct found *found, const char *kind,
                      const char *first, char *ret, size_t size)
{
    bool same_device = false, same_interface = false;
    struct endpoint endpoint;

    for (int i = 0; i < count; i++) {
        if (&all[i] != found && text_equal(all[i].device, found->device)) {
            same_device = true;
            same_interface |= text_equal(all[i].interface, found->interface);
        }
    }
    (void) snprintf(ret, size, "%s:%s%s%s%s%s", kind, first, same_device ? ":" : "",
                    same_device ? found->interface : "", same_interface ? "-port" : "",
                    same_interface ? found->port : "");
    if (endpoint_parse(ret, &endpoint, NULL) < 0) {
        ret[0] = '\0';  // a serial number with blanks in it
    }
}

/* Cheap adapters have no serial number, or all the same: then no name says which of them it is, only where. */
static bool is_unmistakable(const struct found *all, int count, const struct found *found)
{
    for (int i = 0; i < count; i++) {
        if (text_equal(all[i].number, found->number) && !text_equal(all[i].device, found->device)) {
            return false;
        }
    }
    return *found->number != '\0';
}

static int collect(const char *root, struct found **ret)
{
    auto_free struct found *all = calloc(SERIAL_ADAPTERS_MAX, sizeof(*all));
    char directory[PATH_SIZE];
    DIR *listing;
    struct dirent *entry;
    int count = 0;

    if (!all) {
        return -ENOMEM;
    }
    (void) snprintf(directory, sizeof(directory), "%s/sys/class/tty", root);
    listing = opendir(directory);
    while (listing && count < SERIAL_ADAPTERS_MAX && (entry = readdir(listing))) {
        const char *name = entry->d_name;
        bool uart = (text_starts(name, "ttyS") && isdigit((unsigned char) name[4])) || text_starts(name, "ttyAMA");

        if (is_usb(name) || (uart && has_hardware(root, name))) {
            describe(root, name, &all[count++]);
        }
    }
    if (listing) {
        (void) closedir(listing);
    }
    qsort(all, (size_t) count, sizeof(all[0]), compare_found);

    for (int i = 0; i < count; i++) {
        struct serial_adapter *names = &all[i].names;

        if (*all[i].device) {
            give_name(all, count, &all[i], "usb", all[i].device, names->socket, sizeof(names->socket));
        }
        if (is_unmistakable(all, count, &all[i])) {
            give_name(all, count, &all[i], "serial", all[i].number, names->number, sizeof(names->number));
        } else {
            names->by_id[0] = '\0';
        }
    }
    *ret = TAKE(all);
    return count;
}

int serial_list(const char *root, struct serial_adapter **ret)
{
    auto_free struct found *all = NULL;
    auto_free struct serial_adapter *list = NULL;
    int count = collect(root, &all);

    if (count < 0) {
        return count;
    }
    list = calloc((size_t) MAX(count, 1), sizeof(*list));
    if (!list) {
        return -ENOMEM;
    }
    for (int i = 0; i < count; i++) {
        list[i] = all[i].names;
    }
    *ret = TAKE(list);
    return count;
}

int serial_name(const char *root, const char *path, char *ret, size_t size)
{
    auto_free struct found *all = NULL;
    int count;

    if (!strstr(path, "/dev/tty")) {
        return -ENOENT;  // a link, which stays by itself
    }
    count = collect(root, &all);
    for (int i = 0; i < count; i++) {
        const struct serial_adapter *names = &all[i].names;

        if (text_equal(names->path, path) && names->usb) {
            const char *name = *names->number ? names->number : names->socket;

            return *name ? text_copy(ret, size, name) : -ENOENT;
        }
    }
    return count < 0 ? count : -ENOENT;
}

/* --- the one that is meant --- */

static void add_paths(const struct found *all, int count, struct text *ret)
{
    for (int i = 0; i < count; i++) {
        text_addf(ret, "%s%s", i > 0 ? ", " : "", all[i].names.path);
    }
}

/* An adapter that somebody plugged in is meant before the board's own UARTs. */
static int find_only(const struct found *all, int count, struct text *problem)
{
    int usb_count = 0;

    for (int i = 0; i < count; i++) {
        usb_count += all[i].names.usb;
    }
    if (usb_count == 1 || (usb_count == 0 && count == 1)) {
        return 0;
    }
    if (count == 0) {
        text_add(problem, "no serial adapter found; tried: /dev/ttyUSB*, /dev/ttyACM*, /dev/ttyAMA*, /dev/ttyS*");
        return -ENOENT;
    }
    text_add(problem, "more than one serial adapter (");
    add_paths(all, count, problem);
    text_add(problem, "): name one as the port");
    return -ENOTUNIQ;
}

static int find_called(const struct found *all, int count, const struct endpoint *endpoint, struct text *problem)
{
    bool socket = endpoint->kind == ENDPOINT_USB_SOCKET;
    int found = -ENOENT;

    for (int i = 0; i < count; i++) {
        if (!is_called(&all[i], socket ? all[i].device : all[i].number, endpoint->path)) {
            continue;
        }
        if (found >= 0) {
            text_addf(problem, socket ? "USB socket %s has several serial ports ("
                                      : "serial number %s is that of several serial ports (",
                      endpoint->path);
            add_paths(all, count, problem);
            text_add(problem, "): 'meterstick ports' prints a name for each");
            return -ENOTUNIQ;
        }
        found = i;
    }
    if (found < 0) {
        text_addf(problem, socket ? "no serial adapter is plugged into USB socket %s"
                                  : "no serial adapter with serial number %s is plugged in", endpoint->path);
        text_add(problem, count > 0 ? "; serial ports here: " : ", nor any other");
        add_paths(all, count, problem);
    }
    return found;
}

int serial_find(const char *root, const struct endpoint *endpoint, char *ret_path, size_t size, struct text *problem)
{
    auto_free struct found *all = NULL;
    auto_text struct text unheard = { 0 };
    int count, found;

    if (endpoint->kind == ENDPOINT_SERIAL) {
        return text_copy(ret_path, size, endpoint->path);
    }
    if (!endpoint_is_serial(endpoint)) {
        return -EINVAL;
    }
    count = collect(root, &all);
    if (count < 0) {
        return count;
    }
    problem = problem ? problem : &unheard;
    found = endpoint->kind == ENDPOINT_AUTO ? find_only(all, count, problem)
                                            : find_called(all, count, endpoint, problem);
    return found < 0 ? found : text_copy(ret_path, size, all[found].names.path);
}
