/* SPDX-License-Identifier: MIT */
#include "drivers/modbus_late.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>

#define FILE_MODE  0660     // as the side lock's: whoever shares the port
#define FLIGHT_US  3000000  // a hold of the port, and LATE_US
#define LONGEST_US 4000000  // what is beyond was written in another boot

/* The file. Numbers are the machine's own: it never leaves it. */
struct late_file {
    struct late flight;
    struct late entries[LATE_COUNT];
};

void late_init(struct late_list *list)
{
    *list = (struct late_list){ .fd = -1 };
}

void late_clear(struct late_list *list)
{
    macros_close(&list->fd);
    late_init(list);
}

int late_share(struct late_list *list, const char *path)
{
    // no link is followed: the directory is the group's
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, FILE_MODE);

    if (fd < 0) {
        return -errno;
    }
    (void) !fchmod(fd, FILE_MODE);  // the umask took the group's part; not ours to change if another made it
    macros_close(&list->fd);
    list->fd = fd;
    return 0;
}

static bool same_shape(const struct late *late, const struct modbus_request *request)
{
    return late->unit == request->unit && late->table == request->table && late->count == request->count;
}

uint64_t late_until_us(const struct late_list *list, const struct modbus_request *request, uint64_t now_us)
{
    for (size_t i = 0; i < LATE_COUNT; i++) {
        const struct late *late = &list->entries[i];

        if (late->until_us > now_us && same_shape(late, request)) {
            return late->until_us;
        }
    }
    return 0;
}

bool late_is_any(const struct late_list *list, const struct modbus_request *request, uint64_t now_us)
{
    for (size_t i = 0; i < LATE_COUNT; i++) {
        const struct late *late = &list->entries[i];

        if (late->until_us > now_us && late->unit == request->unit && late->table == request->table) {
            return true;
        }
    }
    return false;
}

bool late_lengthen(const struct late_list *list, struct modbus_request *request, uint64_t now_us)
{
    struct modbus_request longer = *request;

    while (late_until_us(list, &longer, now_us) > 0) {
        if (longer.count == MODBUS_MAX_REGISTERS || longer.address + longer.count == 65536) {
            return false;
        }
        longer.count++;
    }
    *request = longer;
    return true;
}

/* In place of one of its shape, else of the one that is over first. */
static void add(struct late_list *list, const struct late *late)
{
    struct late *place = &list->entries[0];

    for (size_t i = 0; i < LATE_COUNT; i++) {
        struct late *entry = &list->entries[i];

        if (entry->unit == late->unit && entry->table == late->table && entry->count == late->count) {
            place = entry;
            break;
        }
        place = entry->until_us < place->until_us ? entry : place;
    }
    if (late->until_us > place->until_us) {
        *place = *late;
    }
}

static struct late late_of(const struct modbus_request *request, uint64_t until_us)
{
    return (struct late){ .unit = request->unit, .table = (uint8_t) request->table, .count = request->count,
                          .until_us = until_us };
}

void late_remember(struct late_list *list, const struct modbus_request *request, uint64_t now_us)
{
    const struct late late = late_of(request, now_us + LATE_US);

    add(list, &late);
    if (list->fd >= 0) {
        // one that cannot be told to others is still known here
        (void) !pwrite(list->fd, list->entries, sizeof(list->entries), offsetof(struct late_file, entries));
    }
}

static void learn(struct late_list *list, const struct late *late, uint64_t now_us)
{
    if (late->count > 0 && late->until_us > now_us && late->until_us <= now_us + LONGEST_US) {
        add(list, late);
    }
}

void late_load(struct late_list *list, bool dirty, uint64_t now_us)
{
    struct late_file file = { 0 };  // what the file does not have yet is none

    if (list->fd < 0 || pread(list->fd, &file, sizeof(file), 0) <= 0) {
        return;
    }
    for (size_t i = 0; i < LATE_COUNT; i++) {
        learn(list, &file.entries[i], now_us);
    }
    if (dirty) {
        learn(list, &file.flight, now_us);
    }
}

void late_depart(const struct late_list *list, const struct modbus_request *request, uint64_t now_us)
{
    const struct late flight = late_of(request, now_us + FLIGHT_US);

    if (list->fd >= 0) {
        (void) !pwrite(list->fd, &flight, sizeof(flight), offsetof(struct late_file, flight));
    }
}
