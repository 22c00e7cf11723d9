/* SPDX-License-Identifier: MIT */
/*
 * What the kernel says of block devices. /sys/class/block/sda1 is a link to "../../devices/.../block/sda/sda1", whose
 * folders say where it hangs (kernel documentation, ABI/stable/sysfs-block, ABI/testing/sysfs-block).
 */
#include "board/block.h"

#include "app/base/file.h"
#include "app/base/text.h"
#include "board/block_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PATHS_SIZE  1024
#define TABLE_SIZE  (1024 * 1024)  // mountinfo of a machine full of containers is a tenth of it
#define DEVICES_MAX 1024

/* A one-line file, "" if it is not there. */
static void read_attribute(const char *root, const char *directory, const char *name, char *ret, size_t size)
{
    auto_free char *text = NULL;
    char path[PATHS_SIZE];
    size_t length;

    ret[0] = '\0';
    (void) snprintf(path, sizeof(path), "%s/sys/%s/%s", root, directory, name);
    if (file_read(path, 4096, &text, &length) == 0) {
        (void) snprintf(ret, size, "%s", text_trim(text));
    }
}

static uint64_t read_number(const char *root, const char *directory, const char *name)
{
    char text[32];
    uint64_t value;

    read_attribute(root, directory, name, text, sizeof(text));
    return text_to_unsigned(text, 0, UINT64_MAX, &value) == 0 ? value : 0;
}

static void add_below(struct block_device *device, const char *name)
{
    if (device->below_count < BLOCK_BELOW_MAX && strlen(name) < BLOCK_NAME_SIZE) {
        (void) snprintf(device->below[device->below_count++], BLOCK_NAME_SIZE, "%s", name);
    }
}

/* What device mapper, md and bcache stand on is linked in "slaves"; what a loop stands on is a path. */
static void read_below(const char *root, struct block_device *device)
{
    char path[PATHS_SIZE], file[256];
    struct dirent *entry;
    DIR *listing;

    (void) snprintf(path, sizeof(path), "%s/sys/%s/slaves", root, device->path);
    listing = opendir(path);
    while (listing && (entry = readdir(listing))) {
        if (entry->d_name[0] != '.') {
            add_below(device, entry->d_name);
        }
    }
    if (listing) {
        (void) closedir(listing);
    }
    read_attribute(root, device->path, "loop/backing_file", file, sizeof(file));
    if (text_starts(file, "/dev/")) {
        add_below(device, strrchr(file, '/') + 1);
    }
}

static void read_device(const char *root, struct block_device *device)
{
    struct block_place place;
    char text[64], path[PATHS_SIZE];

    read_attribute(root, device->path, "dev", text, sizeof(text));
    (void) sscanf(text, "%u:%u", &device->major, &device->minor);
    device->size_bytes = read_number(root, device->path, "size") * 512;  // always of 512, whatever its sectors are
    device->sequence = read_number(root, device->path, "diskseq");
    device->read_only = read_number(root, device->path, "ro") != 0;
    read_attribute(root, device->path, "dm/name", device->alias, sizeof(device->alias));
    read_below(root, device);
    (void) snprintf(path, sizeof(path), "%s/run/udev/data/b%u:%u", root, device->major, device->minor);
    device->settled = access(path, F_OK) == 0;  // udev writes it when its rules have run
    (void) snprintf(path, sizeof(path), "%s/run/udev/control", root);
    device->awaits_udev = !device->settled && access(path, F_OK) == 0;
    if (block_parse_path(device->path, &place)) {
        (void) snprintf(path, sizeof(path), "%.*s", (int) place.usb_size, device->path);
        read_attribute(root, path, "serial", device->serial, sizeof(device->serial));
        text_make_printable(device->serial);
    }
}

/* Names and paths of all block devices. Returns whether any of them may be a stick. */
static int list_names(const char *root, struct block_device **ret, size_t *ret_count)
{
    auto_free struct block_device *devices = NULL;
    char directory[PATHS_SIZE];
    size_t count = 0, room = 0;
    bool any = false;
    struct dirent *entry;
    DIR *listing;

    (void) snprintf(directory, sizeof(directory), "%s/sys/class/block", root);
    listing = opendir(directory);
    while (listing && count < DEVICES_MAX && (entry = readdir(listing))) {
        char link[2 * PATHS_SIZE], target[sizeof(devices->path)];
        struct block_place place;
        struct block_device *device;
        const char *path;
        ssize_t length;

        (void) snprintf(link, sizeof(link), "%s/%s", directory, entry->d_name);
        length = readlink(link, target, sizeof(target));
        if (length <= 0 || (size_t) length >= sizeof(target) || strlen(entry->d_name) >= sizeof(device->name)) {
            continue;
        }
        target[length] = '\0';
        path = strstr(target, "devices/");
        if (count == room) {
            room = MAX(2 * room, (size_t) 32);
            device = realloc(devices, room * sizeof(*devices));
            if (!device) {
                (void) closedir(listing);
                return -ENOMEM;
            }
            devices = device;
        }
        device = &devices[count++];
        *device = (struct block_device){ .size_bytes = 0 };
        (void) snprintf(device->name, sizeof(device->name), "%s", entry->d_name);
        (void) snprintf(device->path, sizeof(device->path), "%s", path ? path : "");
        any = any || block_parse_path(device->path, &place);
    }
    if (listing) {
        (void) closedir(listing);
    }
    *ret = TAKE(devices);
    *ret_count = count;
    return any;
}

int block_list(const char *root, const char *ours, struct block_volume *ret)
{
    auto_free struct block_device *devices = NULL;
    auto_free char *mountinfo = NULL, *swaps = NULL;
    char path[PATHS_SIZE];
    size_t count, size;
    int r;

    r = list_names(root, &devices, &count);
    if (r <= 0) {
        return r;  // the usual case costs no more than this
    }
    for (size_t i = 0; i < count; i++) {
        read_device(root, &devices[i]);
    }

    // Read last: what is mounted meanwhile is seen here, or held for itself by the kernel.
    (void) snprintf(path, sizeof(path), "%s/proc/self/mountinfo", root);
    r = file_read(path, TABLE_SIZE, &mountinfo, &size);
    if (r < 0) {
        return r;
    }
    (void) snprintf(path, sizeof(path), "%s/proc/swaps", root);
    r = file_read(path, TABLE_SIZE, &swaps, &size);  // not there under ProcSubset=pid: the kernel holds swap for itself
    return block_choose(devices, count, mountinfo, r < 0 ? "" : swaps, ours, ret);
}

bool block_is_plugged(const char *root, const char *port, const char *serial)
{
    char directory[64], vendor[16], number[64];

    (void) snprintf(directory, sizeof(directory), "bus/usb/devices/%s", port);
    read_attribute(root, directory, "idVendor", vendor, sizeof(vendor));
    read_attribute(root, directory, "serial", number, sizeof(number));
    text_make_printable(number);
    return *vendor && text_equal(number, serial);
}
