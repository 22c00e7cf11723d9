/* SPDX-License-Identifier: MIT */
/*
 * Looks at `stick` from within the guest and tells each change at once, over a virtio serial port, a line each:
 *
 *     BOOT_MS state idle,writing    the states of the sticks in stick.json ("-": none)
 *     BOOT_MS committed 7012,null   of acquire.json: when the last row of each meter that is committed began
 *     BOOT_MS mounts 1              how many vfat and exfat there are in the mount namespace of the process
 *     BOOT_MS remove sda            what the kernel says of block devices (add, remove)
 *     BOOT_MS end                   the process is gone
 *
 * BOOT_MS is the boot clock, with its microseconds. Mounts are told by poll() on mountinfo: none is missed that lasts
 * as long as it takes to read that file.
 *
 *     watch PID STATUS-FILE [PORT]     PORT: of another name, or a file that is there
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PORT "/dev/virtio-ports/watch"

struct watch {
    int out, process, mounts, files, events;
    const char *path;           // of the status file
    char state[512], committed[512];  // as last told
    int mount_count;
};

__attribute__((format(printf, 2, 3))) static void tell(const struct watch *watch, const char *format, ...)
{
    struct timespec now;
    char line[1024];
    va_list arguments;
    int length;

    (void) clock_gettime(CLOCK_BOOTTIME, &now);
    length = snprintf(line, sizeof(line), "%lld.%03ld ", (long long) now.tv_sec * 1000 + now.tv_nsec / 1000000,
                      now.tv_nsec / 1000 % 1000);
    va_start(arguments, format);
    length += vsnprintf(line + length, sizeof(line) - (size_t) length - 1, format, arguments);
    va_end(arguments);
    line[length++] = '\n';
    if (write(watch->out, line, (size_t) length) != length) {
        exit(1);
    }
}

static size_t read_whole(int fd, char *data, size_t size)
{
    size_t length = 0;
    ssize_t count;

    while (length < size - 1 && (count = read(fd, data + length, size - 1 - length)) > 0) {
        length += (size_t) count;
    }
    data[length] = '\0';
    return length;
}

/* What stands behind each `key` of the list behind `begin`, in their order, "-" if nothing; tells it if it is new. */
static void look_for(const struct watch *watch, const char *text, const char *begin, const char *key, const char *end,
                     const char *kind, char told[static 512])
{
    char found[512] = "";
    const char *place = strstr(text, begin);

    if (!place && *told == '\0') {
        return;  // a status of another program
    }
    while (place && (place = strstr(place, key)) && strlen(found) < sizeof(found) - 32) {
        place += strlen(key);
        (void) snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%.*s", found[0] ? "," : "",
                        (int) strcspn(place, end), place);
    }
    if (!found[0]) {
        (void) strcpy(found, "-");
    }
    if (strcmp(found, told) != 0) {
        (void) strcpy(told, found);
        tell(watch, "%s %s", kind, found);
    }
}

static void look_at_status(struct watch *watch)
{
    static char text[65536];
    int fd = open(watch->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return;
    }
    (void) read_whole(fd, text, sizeof(text));
    (void) close(fd);
    look_for(watch, text, "\"sticks\":[", "\"state\":\"", "\"", "state", watch->state);
    look_for(watch, text, "\"meters\":[", "\"committed_boot_ms\":", ",}", "committed", watch->committed);
}

static void look_at_mounts(struct watch *watch)
{
    static char text[262144];
    int count = 0;

    if (lseek(watch->mounts, 0, SEEK_SET) < 0 || read_whole(watch->mounts, text, sizeof(text)) == 0) {
        return;
    }
    for (const char *place = text; (place = strstr(place, " - ")); place++) {
        count += strncmp(place + 3, "vfat ", 5) == 0 || strncmp(place + 3, "exfat ", 6) == 0;
    }
    if (count != watch->mount_count) {
        watch->mount_count = count;
        tell(watch, "mounts %d", count);
    }
}

/* ACTION@PATH, and then what else there is: only of block devices. */
static void look_at_event(const struct watch *watch)
{
    char data[8192];
    ssize_t size = recv(watch->events, data, sizeof(data) - 1, MSG_DONTWAIT);
    char *place;

    if (size <= 0) {
        return;
    }
    data[size] = '\0';
    place = strstr(data, "/block/");
    if (place && (strncmp(data, "add@", 4) == 0 || strncmp(data, "remove@", 7) == 0)) {
        tell(watch, "%.*s %s", (int) strcspn(data, "@"), data, basename(place));
    }
}

static int open_events(void)
{
    struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

    return fd >= 0 && bind(fd, (struct sockaddr *) &address, sizeof(address)) == 0 ? fd : -1;
}

int main(int argc, char **argv)
{
    struct watch watch = { .mount_count = -1 };
    char path[64], folder[256];

    if (argc < 3) {
        return 64;
    }
    (void) snprintf(path, sizeof(path), "/proc/%s/mountinfo", argv[1]);
    (void) snprintf(folder, sizeof(folder), "%s", argv[2]);
    watch.path = argv[2];
    watch.out = open(argc > 3 ? argv[3] : PORT, O_WRONLY | O_CLOEXEC);
    watch.process = (int) syscall(SYS_pidfd_open, atoi(argv[1]), 0);
    watch.mounts = open(path, O_RDONLY | O_CLOEXEC);
    watch.files = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    watch.events = open_events();
    if (watch.out < 0 || watch.process < 0 || watch.mounts < 0 || watch.events < 0 ||
        inotify_add_watch(watch.files, dirname(folder), IN_MOVED_TO) < 0) {
        return 1;
    }
    look_at_status(&watch);
    look_at_mounts(&watch);

    for (;;) {
        struct pollfd waiting[] = { { watch.mounts, POLLPRI, 0 }, { watch.files, POLLIN, 0 },
                                    { watch.events, POLLIN, 0 }, { watch.process, POLLIN, 0 } };
        char data[4096];

        if (poll(waiting, 4, -1) <= 0) {
            continue;
        }
        if (waiting[0].revents) {
            look_at_mounts(&watch);
        }
        if (waiting[2].revents) {
            look_at_event(&watch);
        }
        if (waiting[1].revents) {
            (void) read_whole(watch.files, data, sizeof(data));
            look_at_status(&watch);
        }
        if (waiting[3].revents) {
            look_at_mounts(&watch);
            tell(&watch, "end");
            return 0;
        }
    }
}
