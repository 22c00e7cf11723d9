/* SPDX-License-Identifier: MIT */
#include "app/leds/ask.h"

#include "app/base/file.h"
#include "app/base/limits.h"
#include "app/base/text.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ANSWER_MS 1000

/* A socket with an abstract name of its own, to which it can answer. */
static int open_socket(const char *run_dir, int *ret)
{
    const struct sockaddr_un own = { .sun_family = AF_UNIX };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char path[PATH_SIZE];
    int r;

    r = file_path(path, sizeof(path), run_dir, QUESTION_SOCKET);
    if (r < 0) {
        return r;
    }
    if (text_copy(address.sun_path, sizeof(address.sun_path), path) < 0) {
        return -ENOENT;  // it could have none either
    }
    if (fd < 0 || bind(fd, (const struct sockaddr *) &own, sizeof(own.sun_family)) < 0 ||
        connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0) {
        return errno == ECONNREFUSED || errno == ENOTDIR ? -ENOENT : -errno;
    }

    *ret = take_fd(&fd);
    return 0;
}

int ask_leds(const char *run_dir, const char *question, char answer[static QUESTION_SIZE + 1])
{
    struct pollfd waiting = { .events = POLLOUT };
    auto_close int fd = -1;
    ssize_t size;
    int r;

    r = open_socket(run_dir, &fd);
    if (r < 0) {
        return r;
    }
    waiting.fd = fd;
    if (poll(&waiting, 1, ANSWER_MS) <= 0 || send(fd, question, strlen(question), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        return -ENOENT;
    }
    waiting.events = POLLIN;
    if (poll(&waiting, 1, ANSWER_MS) <= 0) {
        return -ENOENT;
    }
    size = recv(fd, answer, QUESTION_SIZE, MSG_DONTWAIT);
    if (size < 0) {
        return -ENOENT;  // it has ended meanwhile
    }

    answer[size] = '\0';
    text_make_printable(answer);
    return text_equal(answer, "ok") ? 0 : -EPROTO;
}
