/* SPDX-License-Identifier: MIT */
#include "app/leds/server.h"

#include "app/base/file.h"
#include "app/base/log.h"
#include "app/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define MODE        0660
#define AT_ONCE_MAX 32    // questions, and then the lights have their turn

void server_begin(struct server *server, const char *run_dir)
{
    struct sockaddr_un address;
    int r;

    *server = (struct server){ .fd = -1 };
    r = file_path(server->path, sizeof(server->path), run_dir, QUESTION_SOCKET);
    if (r >= 0 && strlen(server->path) >= sizeof(address.sun_path)) {
        r = -ENAMETOOLONG;
    }
    if (r < 0) {
        log_warning("%s/%s is too long a name for a socket: 'led' and 'ip' cannot ask", run_dir, QUESTION_SOCKET);
        *server->path = '\0';
    }
}

static struct sockaddr_un address_of(const struct server *server)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", server->path);
    return address;
}

/* What an earlier `leds` left. Errors: -EADDRINUSE  another one is there, or it is no socket of ours */
static int clear_way(const struct server *server)
{
    struct sockaddr_un address = address_of(server);
    auto_close int fd = -1;
    struct stat status;

    if (lstat(server->path, &status) < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(status.st_mode) || status.st_uid != geteuid()) {
        return -EADDRINUSE;
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0 || errno != ECONNREFUSED) {
        return -EADDRINUSE;
    }
    return unlink(server->path) < 0 && errno != ENOENT ? -errno : 0;
}

static int open_socket(struct server *server)
{
    struct sockaddr_un address = address_of(server);
    auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat status;
    int r;

    if (fd < 0) {
        return -errno;
    }
    r = clear_way(server);
    if (r < 0) {
        return r;
    }
    (void) fchmod(fd, MODE);  // so that it is never open to others, not even for a moment
    if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || chmod(server->path, MODE) < 0 ||
        lstat(server->path, &status) < 0) {
        return -errno;
    }

    server->device = status.st_dev;
    server->inode = status.st_ino;
    server->fd = take_fd(&fd);
    return 0;
}

static bool is_there(const struct server *server)
{
    struct stat status;

    return server->fd >= 0 && lstat(server->path, &status) == 0 && status.st_dev == server->device &&
           status.st_ino == server->inode;
}

void server_look(struct server *server, void (*before)(int fd, void *data), void (*after)(int fd, void *data),
                 void *data)
{
    int r;

    if (!*server->path || is_there(server)) {
        return;
    }
    if (server->fd >= 0) {
        before(server->fd, data);
        macros_close(&server->fd);
        server->fd = -1;
    }

    r = open_socket(server);
    if (r >= 0) {
        after(server->fd, data);
    } else if (r != server->error) {
        log_warning("nobody can ask at %s: %s, trying again", server->path, strerror(-r));
    }
    server->error = MIN(r, 0);
}

static void answer(struct server *server, const struct sockaddr_un *to, socklen_t to_size, const char *error)
{
    char text[QUESTION_SIZE];

    if (to_size <= sizeof(to->sun_family)) {
        return;  // nobody who could hear it
    }
    (void) snprintf(text, sizeof(text), error ? "error %s" : "ok", error);
    (void) sendto(server->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *) to, to_size);
}

static const char *consider(struct server *server, const char *bytes, size_t size, uint64_t now_boot_ms,
                            const char *(*take)(const struct question *question, void *data), void *data)
{
    struct question question;

    if (server->second != now_boot_ms / 1000) {
        server->second = now_boot_ms / 1000;
        server->asked = 0;
    }
    if (++server->asked > SERVER_PER_SECOND) {
        return "too many questions: ask again in a second";
    }
    if (question_parse(bytes, size, &question) < 0) {
        return "this is no question: led INDEX COLOUR, or ip [ADDRESS]";
    }
    return take(&question, data);  // cppcheck-suppress returnDanglingLifetime; what it says is not in the question
}

void server_take(struct server *server, uint64_t now_boot_ms,
                 const char *(*take)(const struct question *question, void *data), void *data)
{
    for (unsigned i = 0; i < AT_ONCE_MAX; i++) {
        char bytes[QUESTION_SIZE + 1];  // one more, so that a longer one is seen to be
        struct sockaddr_un from;
        socklen_t from_size = sizeof(from);
        ssize_t size;

        size = recvfrom(server->fd, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *) &from, &from_size);
        if (size < 0) {
            return;
        }
        answer(server, &from, MIN(from_size, (socklen_t) sizeof(from)),
               consider(server, bytes, (size_t) size, now_boot_ms, take, data));
    }
}

void server_end(struct server *server)
{
    if (is_there(server)) {
        (void) unlink(server->path);  // the next one would do it, too
    }
    macros_close(&server->fd);
    server->fd = -1;
}
