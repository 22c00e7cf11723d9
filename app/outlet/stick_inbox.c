/* SPDX-License-Identifier: MIT */

#include "app/outlet/stick_inbox.h"

#include "app/base/file.h"
#include "app/base/log.h"
#include "app/base/status.h"
#include "app/config/closed.h"
#include "app/outlet/page_file.h"
#include "app/outlet/pages_readme.h"
#include "app/outlet/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DIRECTORY   "inbox"
#define WAITING_MAX 8       // files that nobody takes: a stick does not fill the card
#define AGAIN_MS    60000   // the same once more: it has gone from the inbox, and there was no answer
#define LOOK_MS     1000

/* Errors: of the stick; *ret_why says what is wrong with the file itself, and there are no bytes then. */
static int read_brought(int root_fd, char **ret, size_t *ret_size, const char **ret_why)
{
    auto_close int fd = tree_open(root_fd, STICK_INBOX_NAME, O_RDONLY);
    auto_free char *bytes = NULL;
    struct stat status;
    int r;

    *ret_why = NULL;
    if (fd == -ELOOP || fd == -EXDEV) {
        *ret_why = "it is a link; a file is expected";
        return 0;
    }
    if (fd < 0) {
        return fd;
    }
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode)) {
        *ret_why = "it is no file";
        return 0;
    }
    if (status.st_size > CLOSED_MAX_SIZE) {
        *ret_why = "it is larger than 128 KiB; this is no configuration";
        return 0;
    }

    bytes = malloc((size_t) status.st_size + 1);
    if (!bytes) {
        return -ENOMEM;
    }
    r = tree_read(fd, 0, bytes, (size_t) status.st_size);
    if (r < 0) {
        return r;
    }
    *ret = TAKE(bytes);
    *ret_size = (size_t) status.st_size;
    return 0;
}

/* What acquire has said of it. An answer stays true when acquire has ended since. false: nothing yet */
static bool find_answer(const struct stick_inbox *inbox, struct text *ret, enum stick_inbox_result *ret_result)
{
    auto_json struct json *status = NULL;
    const struct json *answers;
    bool is_fresh;

    if (status_read(inbox->run_dir, "acquire", &status, &is_fresh) < 0) {
        return false;
    }
    answers = json_member(status, "inbox");
    for (size_t i = json_count(answers); i > 0; i--) {
        const struct json *answer = json_item(answers, i - 1);
        const char *sha256 = json_member_string(answer, "sha256"), *result = json_member_string(answer, "result");
        const char *text = json_member_string(answer, "text");

        if (sha256 && result && text_equal(sha256, inbox->sha256)) {
            *ret_result = text_equal(result, "adopted") ? STICK_INBOX_ADOPTED : STICK_INBOX_REFUSED;
            text_add(ret, text ? text : "");
            return !ret->failed;
        }
    }
    return false;
}

static unsigned count_waiting(const char *directory)
{
    DIR *stream = opendir(directory);
    struct dirent *entry;
    unsigned count = 0;

    while (stream && (entry = readdir(stream))) {
        count += sha256_is_text(entry->d_name, ".conf");
    }
    if (stream) {
        (void) closedir(stream);
    }
    return count;
}

/* Into the inbox, where it stays until acquire takes it. */
static void bring(struct stick_inbox *inbox, const char *bytes, size_t size, uint64_t now_ms)
{
    char directory[PATH_SIZE], path[PATH_SIZE], name[SHA256_TEXT_SIZE + 8];
    int r;

    (void) snprintf(name, sizeof(name), "%s.conf", inbox->sha256);
    r = file_path(directory, sizeof(directory), inbox->state_dir, DIRECTORY);
    r = r < 0 ? r : file_path(path, sizeof(path), directory, name);
    if (r == 0 && access(path, F_OK) == 0) {
        return;
    }
    if (inbox->brought_ms > 0 && now_ms - inbox->brought_ms < AGAIN_MS) {
        return;
    }

    r = r < 0 ? r : file_make_directories(directory, 0750);
    if (r == 0 && count_waiting(directory) >= WAITING_MAX) {
        r = -EBUSY;
    }
    r = r < 0 ? r : file_replace(path, bytes, size, 0640, true);
    if (r < 0 && r != inbox->error) {
        log_warning("a stick's " STICK_INBOX_NAME " cannot be put into %s: %s; tried again at each burst", directory,
                    r == -EBUSY ? "acquire has not taken those that wait there" : strerror(-r));
    }
    inbox->error = r;
    if (r < 0) {
        return;
    }
    inbox->brought_ms = now_ms;
    log_info("a stick's " STICK_INBOX_NAME " (%.12s...) waits for acquire in %s", inbox->sha256, directory);
}

static void write_result(int root_fd, const struct text *text)
{
    auto_page_file struct page_file file = { .fd = -1 };
    int r;

    if (text->failed || page_file_holds(root_fd, STICK_INBOX_RESULT, text)) {
        return;
    }
    r = page_file_begin(&file, root_fd, STICK_INBOX_RESULT);
    if (r == 0) {
        page_file_add(&file, text->data, text->size);
        r = page_file_end(&file);
    }
    if (r < 0) {
        log_debug(STICK_INBOX_RESULT " was not written (%s)", strerror(-r));
    }
}

void stick_inbox_forget(struct stick_inbox *inbox)
{
    inbox->sha256[0] = '\0';
    inbox->is_waiting = inbox->is_refused = false;
    inbox->brought_ms = 0;
}

/* Another file than before begins anew. */
static void note(struct stick_inbox *inbox, const char *sha256)
{
    if (!text_equal(inbox->sha256, sha256)) {
        stick_inbox_forget(inbox);
        memcpy(inbox->sha256, sha256, sizeof(inbox->sha256));
    }
}

void stick_inbox_visit(struct stick_inbox *inbox, int root_fd, bool configure, const char *appliance, uint64_t now_ms)
{
    enum stick_inbox_result result = STICK_INBOX_REFUSED;
    auto_text struct text answer = {}, text = {};
    char sha256[SHA256_TEXT_SIZE] = "";
    auto_free char *bytes = NULL;
    const char *why;
    size_t size = 0;
    int r;

    r = read_brought(root_fd, &bytes, &size, &why);
    if (r == -ENOENT) {
        stick_inbox_forget(inbox);
    }
    if (r < 0) {
        return;
    }

    if (bytes) {
        sha256_text(bytes, size, sha256);
    }
    note(inbox, sha256);
    inbox->is_waiting = false;
    if (!configure) {
        result = STICK_INBOX_OFF;
    } else if (why) {
        text_add(&answer, why);
    } else if (!find_answer(inbox, &answer, &result)) {
        inbox->is_waiting = true;
        bring(inbox, bytes, size, now_ms);
        return;
    }

    inbox->is_refused = result == STICK_INBOX_REFUSED;
    stick_inbox_say(&text, result, appliance, sha256, text_string(&answer));
    write_result(root_fd, &text);
}

bool stick_inbox_is_answered(struct stick_inbox *inbox, uint64_t now_ms)
{
    auto_text struct text answer = {};
    enum stick_inbox_result result;

    if (!inbox->is_waiting || now_ms < inbox->looked_ms + LOOK_MS) {
        return false;
    }
    inbox->looked_ms = now_ms;
    return find_answer(inbox, &answer, &result);
}

/* "meterstick.conf:7: what" is about line 7 of this file; what names another file stays as it is. */
static void add_line(struct text *text, const char *line, size_t length)
{
    static const char own[] = STICK_INBOX_NAME ":";
    size_t skip = strncmp(line, own, strlen(own)) == 0 ? strlen(own) : 0;

    text_add(text, "  ");
    if (skip > 0 && line[skip] >= '0' && line[skip] <= '9') {
        text_add(text, "line ");
    } else if (skip > 0 && line[skip] == ' ') {
        skip++;
    }
    text_add_bytes(text, line + skip, length - MIN(skip, length));
    text_add_char(text, '\n');
}

void stick_inbox_say(struct text *ret, enum stick_inbox_result result, const char *appliance, const char *sha256,
                     const char *text)
{
    auto_text struct text lines = {};

    text_addf(&lines, "The logger '%s' has read " STICK_INBOX_NAME " on this stick.\n\n", appliance);
    switch (result) {
    case STICK_INBOX_ADOPTED:
        text_addf(&lines, "ADOPTED: %s.\n", text);
        break;
    case STICK_INBOX_OFF:
        text_add(&lines, "NOT TAKEN: the logger is set to take nothing from a stick (configure = no).\n");
        break;
    case STICK_INBOX_REFUSED:
        text_add(&lines, "REFUSED: nothing of it is taken, the configuration before goes on. What is wrong:\n\n");
        for (size_t length; *text; text += length + (text[length] == '\n')) {
            length = strcspn(text, "\n");
            add_line(&lines, text, length);
        }
        break;
    }
    text_add(&lines, "\nA file that was answered is not taken again. To have it taken, change anything in it,\n"
                     "a word behind a # will do.\n");
    if (*sha256) {
        text_addf(&lines, "\nSHA-256 of the file: %s\n", sha256);
    }

    if (lines.failed) {
        ret->failed = true;
    } else {
        pages_readme_finish(&lines, ret);
    }
}
