/* SPDX-License-Identifier: MIT */
#include "board/block_private.h"

#include "app/base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX     16            // file system on LVM on LUKS on md is 4
#define SMALLEST_SIZE (64 * 1024)   // an extended partition looks like one of 1 KiB, and no file system fits

// What a person mounts; all other mount points are the system's own.
static const char *const persons[] = { "/media/", "/mnt/", "/run/media/" };

/* --- where a device hangs --- */

/* "1-1.2:1.0": an interface of a device on USB. The device's name is what stands before the colon. */
static bool is_interface(const char *folder, size_t size)
{
    const char *colon = memchr(folder, ':', size), *dash = memchr(folder, '-', size);

    return isdigit((unsigned char) folder[0]) && colon && dash && dash < colon;
}

/* "6:0:0:2": host, channel, target, unit. */
static bool parse_address(const char *folder, unsigned *ret_unit)
{
    unsigned host, channel, target, unit;
    int end = 0;

    if (sscanf(folder, "%u:%u:%u:%u%n", &host, &channel, &target, &unit, &end) != 4 || folder[end] != '/') {
        return false;
    }
    *ret_unit = unit;
    return true;
}

/* A folder's name that is followed by '/' or the end, if it fits. */
static bool copy_folder(char *ret, size_t size, const char *folder)
{
    size_t length = strcspn(folder, "/");

    if (length == 0 || length >= size) {
        return false;
    }
    memcpy(ret, folder, length);
    ret[length] = '\0';
    return true;
}

/* Behind ".../block/": "sda" or "sda/sda1". */
static bool parse_names(const char *names, struct block_place *ret)
{
    const char *slash = strchr(names, '/');
    size_t length;

    if (!text_starts(names, "sd") || !copy_folder(ret->disk, sizeof(ret->disk), names)) {
        return false;  // a CD drive on USB is "sr0"
    }
    ret->partition = 0;
    if (!slash) {
        return true;
    }
    length = strlen(ret->disk);
    if (strncmp(slash + 1, ret->disk, length) != 0) {
        return false;
    }
    return sscanf(slash + 1 + length, "%u", &ret->partition) == 1;
}

bool block_parse_path(const char *path, struct block_place *ret)
{
    struct block_place place = { .disk = "" };
    bool is_usb = false, has_address = false;

    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        const char *folder = slash + 1;
        size_t length = strcspn(folder, "/");

        if (text_starts(folder, "usb") && length > 3 && strspn(folder + 3, "0123456789") == length - 3) {
            is_usb = true;
        } else if (is_usb && is_interface(folder, length)) {
            size_t port_length = strcspn(folder, ":");

            if (port_length >= sizeof(place.port)) {
                return false;
            }
            memcpy(place.port, folder, port_length);
            place.port[port_length] = '\0';
            place.usb_size = (size_t) (slash - path);
        } else if (*place.port && parse_address(folder, &place.unit)) {
            has_address = true;
        } else if (has_address && text_starts(folder, "block/")) {
            bool is_disk = parse_names(folder + 6, &place);

            *ret = is_disk ? place : *ret;
            return is_disk;
        }
    }
    return false;
}

/* --- what is in use --- */

static struct block_device *find_name(struct block_device *devices, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (text_equal(devices[i].name, name) || (*devices[i].alias && text_equal(devices[i].alias, name))) {
            return &devices[i];
        }
    }
    return NULL;
}

static struct block_device *find_number(struct block_device *devices, size_t count, unsigned major, unsigned minor)
{
    for (size_t i = 0; i < count; i++) {
        if (devices[i].major == major && devices[i].minor == minor) {
            return &devices[i];
        }
    }
    return NULL;
}

/* The disk of which a device is a partition; NULL: of none. */
static struct block_device *find_disk(struct block_device *devices, size_t count, const struct block_device *device)
{
    const char *end = strrchr(device->path, '/'), *begin = end;
    char name[BLOCK_NAME_SIZE];

    while (begin && begin > device->path && begin[-1] != '/') {
        begin--;
    }
    if (!begin || !copy_folder(name, sizeof(name), begin) || text_equal(name, "block")) {
        return NULL;
    }
    return find_name(devices, count, name);
}

/* A device is used: so is all that it stands on. used_at NULL: by the system. */
static void mark(struct block_device *devices, size_t count, struct block_device *device, const char *used_at,
                 unsigned depth)
{
    struct block_device *disk;

    if (!device || depth > DEPTH_MAX || device->is_system) {
        return;
    }
    if (used_at) {
        (void) snprintf(device->used_at, sizeof(device->used_at), "%s", used_at);
        text_make_printable(device->used_at);
    } else {
        device->is_system = true;
    }
    for (unsigned i = 0; i < device->below_count; i++) {
        mark(devices, count, find_name(devices, count, device->below[i]), used_at, depth + 1);
    }
    disk = find_disk(devices, count, device);
    if (disk) {
        mark(devices, count, disk, used_at, depth + 1);
    }
}

/* A word of mountinfo, with "\040" for a blank and so on. Returns where the next begins. */
static const char *take_word(const char *text, char *ret, size_t size)
{
    size_t length = 0;

    while (*text && *text != ' ' && *text != '\n') {
        unsigned code = (unsigned char) *text++;

        if (code == '\\' && sscanf(text, "%3o", &code) == 1) {
            text += MIN(strspn(text, "01234567"), (size_t) 3);
        }
        if (length + 1 < size) {
            ret[length++] = (char) code;
        }
    }
    ret[length] = '\0';
    return *text == ' ' ? text + 1 : text;
}

/* Whether a path is that folder, or below it. */
static bool is_below(const char *path, const char *folder)
{
    size_t length = strlen(folder);

    return strncmp(path, folder, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

static bool is_persons(const char *mount_point)
{
    for (size_t i = 0; i < ARRAY_SIZE(persons); i++) {
        if (text_starts(mount_point, persons[i])) {
            return true;
        }
    }
    return text_equal(mount_point, "/mnt");
}

/*
 * "36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/sda1 rw": see proc(5). btrfs has a number that is no device's, and
 * only the source tells.
 */
static void mark_mounted(struct block_device *devices, size_t count, const char *line, const char *ours)
{
    char number[32], mount_point[512], word[512];
    struct block_device *device;
    unsigned major, minor;
    const char *next = line;

    for (int i = 0; i < 2; i++) {
        next = take_word(next, word, sizeof(word));
    }
    next = take_word(next, number, sizeof(number));
    next = take_word(next, word, sizeof(word));
    next = take_word(next, mount_point, sizeof(mount_point));
    if (sscanf(number, "%u:%u", &major, &minor) != 2 || (ours && is_below(mount_point, ours))) {
        return;
    }
    do {
        next = take_word(next, word, sizeof(word));
    } while (*word && !text_equal(word, "-"));
    next = take_word(next, word, sizeof(word));  // the type
    (void) take_word(next, word, sizeof(word));  // the source

    device = find_number(devices, count, major, minor);
    if (!device && text_starts(word, "/dev/")) {
        device = find_name(devices, count, strrchr(word, '/') + 1);
    }
    mark(devices, count, device, is_persons(mount_point) ? mount_point : NULL, 0);
}

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return *line ? line + 1 : line;
}

static void mark_used(struct block_device *devices, size_t count, const char *mountinfo, const char *swaps,
                      const char *ours)
{
    for (const char *line = mountinfo; *line; line = next_line(line)) {
        mark_mounted(devices, count, line, ours);
    }
    for (const char *line = swaps; *line; line = next_line(line)) {
        char path[512];

        (void) take_word(line, path, sizeof(path));
        path[strcspn(path, "\t")] = '\0';
        if (text_starts(path, "/dev/")) {
            mark(devices, count, find_name(devices, count, strrchr(path, '/') + 1), NULL, 0);
        }
    }
}

/* --- the volumes --- */

static int compare_volumes(const void *a, const void *b)
{
    const struct block_volume *x = a, *y = b;
    int names = strverscmp(x->disk, y->disk);

    return names != 0 ? names : (int) x->partition - (int) y->partition;
}

/* A disk with partitions, however many, is no volume itself. */
static bool has_partition(const struct block_device *devices, size_t count, const struct block_device *disk)
{
    size_t length = strlen(disk->path);

    for (size_t i = 0; i < count; i++) {
        if (strncmp(devices[i].path, disk->path, length) == 0 && devices[i].path[length] == '/'
            && devices[i].size_bytes >= SMALLEST_SIZE) {
            return true;
        }
    }
    return false;
}

int block_choose(struct block_device *devices, size_t count, const char *mountinfo, const char *swaps,
                 const char *ours, struct block_volume *ret)
{
    int found = 0;

    mark_used(devices, count, mountinfo, swaps, ours);
    for (size_t i = 0; i < count && found < BLOCK_VOLUMES_MAX; i++) {
        const struct block_device *device = &devices[i], *disk = device;
        struct block_volume *volume = &ret[found];
        struct block_place place;

        if (device->size_bytes < SMALLEST_SIZE || !block_parse_path(device->path, &place)) {
            continue;
        }
        if (place.partition > 0) {
            disk = find_name(devices, count, place.disk);
        }
        if (!disk || disk->is_system || (disk == device && has_partition(devices, count, disk))) {
            continue;
        }
        *volume = (struct block_volume){ .partition = place.partition, .major = device->major, .minor = device->minor,
                                         .size_bytes = device->size_bytes, .sequence = disk->sequence,
                                         .read_only = device->read_only || disk->read_only, .settled = device->settled,
                                         .awaits_udev = device->awaits_udev, .unit = place.unit };
        (void) snprintf(volume->node, sizeof(volume->node), "/dev/%s", device->name);
        (void) snprintf(volume->disk, sizeof(volume->disk), "%s", place.disk);
        (void) snprintf(volume->port, sizeof(volume->port), "%s", place.port);
        (void) snprintf(volume->serial, sizeof(volume->serial), "%s", disk->serial);
        (void) snprintf(volume->used_at, sizeof(volume->used_at), "%s",
                        *device->used_at ? device->used_at : disk->used_at);
        found++;
    }
    qsort(ret, (size_t) found, sizeof(ret[0]), compare_volumes);
    return found;
}
