/* SPDX-License-Identifier: MIT */
/*
 * What a test asks of the guest, over a virtio serial port. A request is a line and bytes behind it, an answer as well:
 *
 *     exec SIZE MILLISECONDS   + a command for sh -c      ->  STATUS SIZE  + what it wrote to stdout and stderr
 *     put MODE SIZE PATHSIZE   + path and content         ->  ERRNO 0
 *     get 0 PATHSIZE           + path                     ->  ERRNO SIZE   + content
 *
 * STATUS is that of the shell; 1000 and the signal if one ended it; 2000 if the time was over. What a command starts in
 * the background must not hold its output. One request at a time; whatever is wrong with the port itself ends the
 * agent, and systemd starts it again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void read_all(int fd, char *data, size_t size)
{
    while (size > 0) {
        ssize_t count = read(fd, data, size);

        if (count == 0 || (count < 0 && errno == EAGAIN)) {  // nobody at the other end: wait for somebody
            (void) usleep(20000);
            continue;
        }
        if (count < 0) {
            exit(1);
        }
        data += count;
        size -= (size_t) count;
    }
}

static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t count = write(fd, data, size);

        if (count < 0) {
            exit(1);
        }
        data += count;
        size -= (size_t) count;
    }
}

static void answer(int fd, int status, const char *data, size_t size)
{
    char line[64];
    int length = snprintf(line, sizeof(line), "%d %zu\n", status, size);

    write_all(fd, line, (size_t) length);
    write_all(fd, data, size);
}

static char *take(int fd, size_t size)
{
    char *data = calloc(1, size + 1);

    if (!data) {
        exit(1);
    }
    read_all(fd, data, size);
    return data;
}

static long now_ms(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* All that a descriptor gives until its end. Returns false if the time was over first. */
static bool drain(int fd, long until_ms, char **ret, size_t *ret_size)
{
    size_t room = 0;

    for (;;) {
        struct pollfd waiting = { .fd = fd, .events = POLLIN };
        long left_ms = until_ms - now_ms();
        ssize_t count;

        if (left_ms <= 0 || poll(&waiting, 1, (int) left_ms) == 0) {
            return false;
        }
        if (*ret_size == room) {
            room = room ? 2 * room : 65536;
            *ret = realloc(*ret, room);
            if (!*ret) {
                exit(1);
            }
        }
        count = read(fd, *ret + *ret_size, room - *ret_size);
        if (count <= 0) {
            return true;
        }
        *ret_size += (size_t) count;
    }
}

static void run(int port, const char *command, long limit_ms)
{
    int output[2], status = 0;
    size_t size = 0;
    char *data = NULL;
    bool ended;
    pid_t child;

    if (pipe2(output, O_CLOEXEC) < 0 || (child = fork()) < 0) {
        answer(port, 3000, "", 0);
        return;
    }
    if (child == 0) {
        (void) setsid();
        (void) dup2(open("/dev/null", O_RDONLY), 0);
        (void) dup2(output[1], 1);
        (void) dup2(output[1], 2);
        (void) execl("/bin/sh", "sh", "-c", command, (char *) NULL);
        _exit(127);
    }
    (void) close(output[1]);
    ended = drain(output[0], now_ms() + limit_ms, &data, &size);
    if (!ended) {
        (void) kill(-child, SIGKILL);
    }
    (void) close(output[0]);
    (void) waitpid(child, &status, 0);
    answer(port, !ended ? 2000 : WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status), data, size);
    free(data);
}

static void put(int port, const char *path, const char *data, size_t size, unsigned mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    int error = fd < 0 ? errno : 0;

    if (fd >= 0) {
        if (write(fd, data, size) != (ssize_t) size || fchmod(fd, mode) < 0) {
            error = errno ? errno : EIO;
        }
        (void) close(fd);
    }
    answer(port, error, "", 0);
}

static void get(int port, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    char *data = NULL;

    if (fd < 0) {
        answer(port, errno, "", 0);
        return;
    }
    (void) drain(fd, now_ms() + 60000, &data, &size);
    (void) close(fd);
    answer(port, 0, data, size);
    free(data);
}

int main(int argc, char **argv)
{
    int port = open(argc > 1 ? argv[1] : "/dev/virtio-ports/meterstick", O_RDWR | O_CLOEXEC);

    if (port < 0) {
        return 1;
    }
    for (;;) {
        char line[128], *path, *data;
        size_t first = 0, second = 0, length = 0;
        unsigned mode = 0;

        do {
            read_all(port, &line[length], 1);
        } while (line[length] != '\n' && ++length < sizeof(line) - 1);
        line[length] = '\0';

        if (sscanf(line, "exec %zu %zu", &first, &second) == 2) {
            data = take(port, first);
            run(port, data, (long) second);
            free(data);
        } else if (sscanf(line, "put %o %zu %zu", &mode, &first, &second) == 3) {
            path = take(port, second);
            data = take(port, first);
            put(port, path, data, first, mode);
            free(path);
            free(data);
        } else if (sscanf(line, "get 0 %zu", &second) == 1) {
            path = take(port, second);
            get(port, path);
            free(path);
        }  // anything else: bytes of a test that was killed
    }
}
