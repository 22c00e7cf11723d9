/* SPDX-License-Identifier: MIT */
/* One pass over the inbox. */

#include "app/acquire/inbox_private.h"

#include "app/acquire/configuration.h"
#include "app/base/file.h"
#include "app/base/log.h"
#include "app/config/adopt.h"
#include "app/config/closed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 16  // of one pass; the stick program leaves fewer there

#define NAME       "meterstick.conf"
#define NO_LONGER  "it was adopted once; another has taken its place since"
#define ONCE       "it was refused before"

/* A regular file, and no link to one. Errors: -EFBIG, -ELOOP, -EBADMSG it is none */
static int read_regular(const char *path, char **ret, size_t *ret_size)
{
    auto_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    auto_free char *bytes = NULL;
    struct stat status;
    size_t size = 0;
    ssize_t n;

    if (fd < 0 || fstat(fd, &status) < 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode)) {
        return -EBADMSG;
    }
    if (status.st_size > CLOSED_MAX_SIZE) {
        return -EFBIG;
    }
    bytes = malloc((size_t) status.st_size + 1);
    if (!bytes) {
        return -ENOMEM;
    }
    while (size < (size_t) status.st_size && (n = read(fd, bytes + size, (size_t) status.st_size - size)) != 0) {
        if (n < 0) {
            return -errno;
        }
        size += (size_t) n;
    }
    bytes[size] = '\0';

    *ret = TAKE(bytes);
    *ret_size = size;
    return 0;
}

/* Whole lines, as many as an answer holds. */
static void put_problems(const struct problems *problems, struct text *ret)
{
    const char *line = problems_text(problems);
    unsigned told = 0;

    for (size_t length; *line; line += length + (line[length] == '\n')) {
        length = strcspn(line, "\n");
        if (ret->size + length + 40 > INBOX_ANSWER_SIZE) {
            text_addf(ret, "\n...and %u more", problems->count - told);
            return;
        }
        text_add(ret, ret->size > 0 ? "\n" : "");
        text_add_bytes(ret, line, length);
        told++;
    }
}

/* Whoever was adopted before is told so if his stick asks again. Errors: -ENOMEM */
static int put_adopted(struct inbox_pass *pass, const char *sha256, const char *text)
{
    for (unsigned i = 0; i < pass->seen.count; i++) {
        struct inbox_answer *answer = &pass->seen.answers[i];

        if (answer->adopted && answer->text) {
            char *now = strdup(NO_LONGER);

            if (!now) {
                return -ENOMEM;
            }
            free(answer->text);
            answer->text = now;
        }
    }
    return inbox_seen_put(&pass->seen, sha256, true, true, text);
}

static void tell(struct inbox_pass *pass, const char *sha256, bool adopted, const char *text)
{
    if (adopted) {
        pass->news.adopted++;
        log_info(NAME " (%.12s...) is adopted: %s", sha256, text);
    } else {
        (void) snprintf(pass->news.refused, sizeof(pass->news.refused), NAME " (%.12s...): %.*s", sha256,
                        (int) MIN(strcspn(text, "\n"), (size_t) 110), text);
        log_warning(NAME " (%.12s...) is refused, the configuration before goes on: %s", sha256, text);
    }
}

/* Adopt it or not. Errors: of the card: it is not answered yet */
static int answer(struct inbox_pass *pass, const char *sha256, const char *bytes, size_t size)
{
    auto_problems struct problems problems = { 0 };
    auto_text struct text text = { 0 };
    bool configure;
    int r;

    r = configuration_try(pass->options, NAME, bytes, size, &problems, &configure, &text);
    if (r < 0 && r != -EINVAL) {
        return r;
    }
    if (!configure) {
        r = inbox_seen_put(&pass->seen, sha256, false, false, "configure = no: nothing is taken from a stick");
        return r;  // not for good: it may be switched on
    }
    if (r == 0) {
        r = adopt_write(pass->options->state_dir, bytes, size);
        r = r < 0 ? r : put_adopted(pass, sha256, text_string(&text));
    } else {
        put_problems(&problems, &text);
        r = inbox_seen_put(&pass->seen, sha256, false, true, text_string(&text));
    }
    if (r < 0) {
        return r;
    }
    r = inbox_seen_save(&pass->seen, pass->seen_path);
    if (r == 0) {
        tell(pass, sha256, pass->seen.answers[pass->seen.count - 1].adopted, text_string(&text));
    } else {
        inbox_seen_drop(&pass->seen);  // what is not on the card was not answered
    }
    return r;
}

/* An old stick: it is told what it was told. */
static int answer_again(struct inbox_pass *pass, const struct inbox_answer *before)
{
    auto_free char *text = strdup(before->text && *before->text ? before->text : before->adopted ? NO_LONGER : ONCE);
    char sha256[SHA256_TEXT_SIZE];

    memcpy(sha256, before->sha256, sizeof(sha256));
    return text ? inbox_seen_put(&pass->seen, sha256, before->adopted, true, text) : -ENOMEM;
}

static int take(struct inbox_pass *pass, const char *name)
{
    auto_free char *bytes = NULL;
    char path[PATH_SIZE], sha256[SHA256_TEXT_SIZE];
    const struct inbox_answer *before;
    size_t size;
    int r;

    r = file_path(path, sizeof(path), pass->directory, name);
    r = r < 0 ? r : read_regular(path, &bytes, &size);
    if (r == 0) {
        sha256_text(bytes, size, sha256);
    }
    if (r == -EFBIG || r == -ELOOP || r == -EBADMSG || (r == 0 && !text_starts(name, sha256))) {
        log_warning("%s is not what a stick brought, it is removed", path);
    } else if (r < 0) {
        return r;
    } else {
        before = inbox_seen_find(&pass->seen, sha256);
        r = before && before->lasting ? answer_again(pass, before) : answer(pass, sha256, bytes, size);
        if (r < 0) {
            return r;
        }
    }

    if (unlink(path) < 0 && errno != ENOENT) {
        return -errno;
    }
    return file_sync_directory(pass->directory);
}

/* In the order in which they came, as far as the clock knows: of two the later one wins. */
struct waiting {
    char name[SHA256_TEXT_SIZE + 8];
    struct timespec time;
};

static int compare(const void *a, const void *b)
{
    const struct waiting *one = a, *other = b;

    if (one->time.tv_sec != other->time.tv_sec) {
        return one->time.tv_sec < other->time.tv_sec ? -1 : 1;
    }
    if (one->time.tv_nsec != other->time.tv_nsec) {
        return one->time.tv_nsec < other->time.tv_nsec ? -1 : 1;
    }
    return strcmp(one->name, other->name);
}

static int list(const char *directory, struct waiting ret[static FILES_MAX], size_t *ret_count)
{
    DIR *stream = opendir(directory);
    struct dirent *entry;
    struct stat status;

    if (!stream) {
        return -errno;
    }
    *ret_count = 0;
    while (*ret_count < FILES_MAX && (entry = readdir(stream))) {
        if (sha256_is_text(entry->d_name, ".conf")
            && fstatat(dirfd(stream), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
            struct waiting *waiting = &ret[(*ret_count)++];

            (void) snprintf(waiting->name, sizeof(waiting->name), "%.69s", entry->d_name);
            waiting->time = status.st_mtim;
        }
    }
    (void) closedir(stream);
    qsort(ret, *ret_count, sizeof(ret[0]), compare);
    return 0;
}

int inbox_pass_prepare(struct inbox_pass *pass)
{
    int r;

    r = file_make_directories(pass->directory, 0750);
    if (r < 0 || pass->loaded) {
        return r;
    }
    r = inbox_seen_load(&pass->seen, pass->seen_path);
    if (r == -EBADMSG) {
        log_warning("%s is damaged and begun anew; what a stick brought long ago may be taken again", pass->seen_path);
    }
    pass->loaded = r == 0 || r == -ENOENT || r == -EBADMSG;
    return pass->loaded ? 0 : r;
}

int inbox_pass_run(struct inbox_pass *pass)
{
    struct waiting waiting[FILES_MAX];
    size_t count = 0;
    int r;

    r = list(pass->directory, waiting, &count);
    for (size_t i = 0; i < count && r == 0; i++) {
        r = take(pass, waiting[i].name);
    }
    return r;
}

void inbox_pass_copy(struct inbox_pass *pass, const char *path)
{
    char copy[PATH_SIZE], name[SHA256_TEXT_SIZE + 8], sha256[SHA256_TEXT_SIZE];
    auto_free char *bytes = NULL;
    size_t size = 0;
    int r;

    r = read_regular(path, &bytes, &size);
    if (r == 0) {
        sha256_text(bytes, size, sha256);
        (void) snprintf(name, sizeof(name), "%s.conf", sha256);
        r = inbox_seen_find(&pass->seen, sha256) ? 0 : file_path(copy, sizeof(copy), pass->directory, name);
        if (r == 0 && !inbox_seen_find(&pass->seen, sha256)) {
            r = file_replace(copy, bytes, size, 0640, true);
        }
    }
    if (r < 0 && r != -ENOENT) {
        log_warning("%s is not taken: %s", path,
                    r == -EBADMSG || r == -ELOOP ? "it is no file" : r == -EFBIG ? "it is too large" : strerror(-r));
    }
}
