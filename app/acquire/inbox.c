/* SPDX-License-Identifier: MIT */
#include "app/acquire/inbox.h"

#include "app/acquire/inbox_private.h"
#include "app/acquire/thread.h"
#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define EACH_US UINT64_C(60000000)  // where nobody tells, and after a failure of the card

struct inbox {
    struct inbox_pass pass;         // the thread's, while it runs
    const char *const *boot_files;
    struct text status;             // of the pass before
    int fd;                         // inotify's
    void (*changed)(void *data);
    void *data;

    struct thread thread;
    bool runs;
    bool asked;
    uint64_t again_us;
    int result;
};

static void take_status(struct inbox *inbox)
{
    text_reset(&inbox->status);
    inbox_seen_add_json(&inbox->pass.seen, &inbox->status);
}

int inbox_new(const struct options *options, const char *const *boot_files, struct inbox **ret)
{
    struct inbox *inbox = calloc(1, sizeof(*inbox));
    int r;

    if (!inbox) {
        return -ENOMEM;
    }
    inbox->fd = -1;
    inbox->boot_files = boot_files;
    inbox->pass.options = options;
    r = file_path(inbox->pass.directory, sizeof(inbox->pass.directory), options->state_dir, INBOX_DIRECTORY);
    r = r < 0 ? r : file_path(inbox->pass.seen_path, sizeof(inbox->pass.seen_path), options->state_dir, "inbox.seen");
    if (r < 0) {
        inbox_free(inbox);
        return r;
    }

    *ret = inbox;
    return 0;
}

void inbox_free(struct inbox *inbox)
{
    if (!inbox) {
        return;
    }
    if (inbox->fd >= 0) {
        (void) close(inbox->fd);
    }
    inbox_seen_clear(&inbox->pass.seen);
    text_clear(&inbox->status);
    free(inbox);
}

static void explain(struct inbox *inbox, int r)
{
    if (r < 0 && r != inbox->result) {
        log_warning("%s: %s; what sticks bring is taken later", inbox->pass.directory, strerror(-r));
    }
    inbox->result = r;
}

void inbox_begin(struct inbox *inbox)
{
    struct inbox_pass *pass = &inbox->pass;
    int r;

    r = inbox_pass_prepare(pass);
    if (r == 0) {
        for (size_t i = 0; inbox->boot_files[i]; i++) {
            inbox_pass_copy(pass, inbox->boot_files[i]);
        }
        r = inbox_pass_run(pass);
    }
    explain(inbox, r);
    take_status(inbox);
}

int inbox_watch(struct inbox *inbox, void (*changed)(void *data), void *data)
{
    inbox->changed = changed;
    inbox->data = data;
    inbox->asked = true;  // what came before it was watched
    inbox->pass.news.adopted = 0;  // in force from the beginning
    inbox->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return inbox->fd < 0 ? -errno : 0;
}

int inbox_fd(const struct inbox *inbox)
{
    return inbox->fd;
}

/* The card may hang in each of these. */
static void run(void *data)
{
    struct inbox *inbox = data;
    int r;

    r = inbox_pass_prepare(&inbox->pass);
    if (r == 0 && inbox->fd >= 0) {
        (void) inotify_add_watch(inbox->fd, inbox->pass.directory, IN_MOVED_TO | IN_ONLYDIR);  // else the minute does
    }
    r = r < 0 ? r : inbox_pass_run(&inbox->pass);
    explain(inbox, r);
    inbox->changed(inbox->data);
}

static void drain(const struct inbox *inbox, bool *ret_some)
{
    char events[sizeof(struct inotify_event) + NAME_MAX + 1];

    while (inbox->fd >= 0 && read(inbox->fd, events, sizeof(events)) > 0) {
        *ret_some = true;
    }
}

bool inbox_step(struct inbox *inbox, struct inbox_news *ret_news)
{
    uint64_t now_us = clock_monotonic_us();
    bool is_over = inbox->runs && thread_join(&inbox->thread, 0) == 0;

    drain(inbox, &inbox->asked);
    if (is_over) {
        inbox->runs = false;
        take_status(inbox);
        *ret_news = inbox->pass.news;
        inbox->pass.news = (struct inbox_news){ 0 };
    }
    if (!inbox->runs && (inbox->asked || now_us >= inbox->again_us)) {
        inbox->asked = false;
        inbox->again_us = now_us + EACH_US;
        inbox->runs = thread_start(&inbox->thread, "inbox", run, inbox) == 0;
    }
    return is_over && (ret_news->adopted > 0 || *ret_news->refused);
}

void inbox_add_status(const struct inbox *inbox, struct text *ret)
{
    text_add(ret, inbox->status.size > 0 && !inbox->status.failed ? inbox->status.data : "[]");
}

bool inbox_end(struct inbox *inbox, uint64_t deadline_us)
{
    return !inbox->runs || thread_join(&inbox->thread, deadline_us) == 0;
}
