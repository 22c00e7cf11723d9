/* SPDX-License-Identifier: MIT */

#include "app/outlet/stick_service.h"

#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/log.h"
#include "app/outlet/pages.h"
#include "app/outlet/stick.h"
#include "app/outlet/stick_inbox.h"
#include "app/outlet/stick_progress.h"
#include "app/outlet/stick_settings.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define AGAIN_MS          1000      // the journal is just being changed
#define AGAIN_MAX_MS      8000      // longer than any change of it takes: it cannot be opened,
#define LOST_MS           5000      // and how often it is tried then
#define TRIES_MAX         10        // at most, with nothing written, where there is no later
#define LOOK_MS           1000      // for a stick that is not there, or new settings; and how often to tell
#define GATHER_MS         100       // of work for the next page, and then a pause
#define GATHER_PAUSE_MS   300
#define LIGHT_MS          250       // how long the light says so before the first byte is written

struct stick_service {
    struct stick_service_setup setup;
    const char *config, *state_dir, *run_dir;
    struct stick_settings settings;
    struct stick_inbox inbox;       // a configuration that the stick brings
    uint64_t next_visit_ms;         // for that alone, where there is no journal yet

    struct journal *journal;
    struct pages *pages;
    struct stick *stick;
    int root_fd;                    // while the root is open
    bool in;                        // the stick was there when last looked for
    bool tried_again;               // at once, since it was plugged
    enum stick_state state;
    int error;                      // of the last burst, 0 = none
    struct stick_progress progress;
    uint64_t backlog;
    uint64_t next_burst_ms, next_tell_ms;
    uint64_t again_ms;              // since when the journal is just being changed; 0: it is not
    struct stick_report told;
    uint64_t passed;
    bool gap_told;
    bool once;                      // nobody comes again for what is not ready yet
};

static void close_stick(struct stick_service *service)
{
    stick_close(TAKE(service->stick));
    pages_free(TAKE(service->pages));
    journal_close(TAKE(service->journal));
}

/* The name or the format may be another. */
static void look_for_settings(struct stick_service *service)
{
    if (stick_settings_look(&service->settings)) {
        close_stick(service);
        service->next_burst_ms = 0;
    }
}

int stick_service_new(const struct stick_service_setup *setup, struct stick_service **ret)
{
    struct stick_service *service = calloc(1, sizeof(*service));

    if (!service) {
        return -ENOMEM;
    }

    service->setup = *setup;
    service->config = setup->options->config;
    service->state_dir = setup->options->state_dir;
    service->run_dir = setup->options->run_dir;
    service->settings.options = setup->options;
    service->inbox = (struct stick_inbox){ .state_dir = service->state_dir, .run_dir = service->run_dir };
    service->state = STICK_IDLE;
    service->backlog = STICK_BACKLOG_UNKNOWN;
    look_for_settings(service);
    *ret = service;
    return 0;
}

static void add_error(const struct stick_service *service, struct stick_report *report)
{
    const char *text = stick_root_error(service->setup.root);

    if (service->error == 0 && service->inbox.is_refused) {
        (void) snprintf(report->error, sizeof(report->error), "its " STICK_INBOX_NAME " is refused, see "
                        STICK_INBOX_RESULT " beside it");
    }
    if (service->error == 0) {
        return;
    }
    if (!text) {
        text = service->error == -ENOENT    ? "no journal yet"
               : service->error == -ENODATA ? "the journal cannot be opened"
                                            : strerror(-service->error);
    }
    (void) snprintf(report->error, sizeof(report->error), "%s", text);
}

/* If there is anything new to say, or it is time to say it again. */
static void tell_report(struct stick_service *service)
{
    struct stick_report report = {
        .in = service->in,
        .state = service->state,
        .percent = stick_progress_percent(&service->progress),
        .eta_s = stick_progress_eta_s(&service->progress),
        .backlog = service->backlog,
    };
    uint64_t now_ms = clock_monotonic_ms();

    (void) snprintf(report.id, sizeof(report.id), "%s", stick_root_id(service->setup.root));
    report.gap = service->stick && stick_has_gap(service->stick);
    report.is_configuration_refused = service->inbox.is_refused;
    add_error(service, &report);
    if (now_ms < service->next_tell_ms && stick_report_is_same(&report, &service->told)) {
        return;
    }

    service->told = report;
    service->next_tell_ms = now_ms + LOOK_MS;
    service->setup.tell(&report, service->setup.data);
}

static void tell_state(struct stick_service *service, enum stick_state state)
{
    service->state = state;
    tell_report(service);
}

/*
 * What opening the root is about; said again and again while fsck is at work. The light says so before the first byte
 * is written; while a stick is only looked at, it does not.
 */
static void tell_opening(enum stick_state state, void *data)
{
    struct stick_service *service = data;
    bool was_lit = service->state == STICK_CHECKING || service->state == STICK_WRITING;

    tell_state(service, state);
    if (!was_lit) {
        clock_sleep_until_us(clock_monotonic_us() + LIGHT_MS * 1000);
    }
}

void stick_service_free(struct stick_service *service)
{
    if (service) {
        (void) stick_root_close(service->setup.root);  // nothing was promised
        close_stick(service);
        free(service);
    }
}

/* They stand in the folder of the appliance, and read the same journal. */
static int open_pages(struct stick_service *service, struct journal *journal)
{
    struct pages_setup setup = { .appliance = service->settings.appliance, .journal = journal,
                                 .format = service->settings.format, .run_dir = service->run_dir,
                                 .whole = service->once };
    char path[PATH_SIZE];
    int r;

    r = file_path(path, sizeof(path), service->state_dir, "good.conf");
    if (r < 0) {
        return r;
    }
    setup.settings = service->config ? service->config : path;
    return pages_new(&setup, &service->pages);
}

/* The journal of now: it may have been begun, or put aside and begun anew, since the last time. */
static int open_stick(struct stick_service *service)
{
    auto_journal struct journal *journal = NULL;
    char path[PATH_SIZE], memory[PATH_SIZE];
    int r;

    r = file_path(path, sizeof(path), service->state_dir, "journal");
    if (r >= 0) {
        r = file_path(memory, sizeof(memory), service->run_dir, "journal");
    }
    if (r >= 0) {
        r = journal_open_read_places(path, memory, &journal);
    }
    if (r < 0) {
        return r;
    }
    if (service->journal && text_equal(journal_id(service->journal), journal_id(journal))) {
        return 0;
    }

    // Who began the journal has written its settings before: a name from then on, not two folders.
    look_for_settings(service);
    close_stick(service);
    r = open_pages(service, journal);
    if (r >= 0) {
        r = stick_open(&(struct stick_setup){ .appliance = service->settings.appliance, .journal = journal,
                                              .format = service->settings.format, .pages = service->pages },
                       &service->stick);
    }
    if (r < 0) {
        return r;
    }

    service->journal = TAKE(journal);
    service->passed = 0;
    service->gap_told = false;
    return 0;
}

static void log_presence(const struct stick_service *service)
{
    if (!service->setup.is_watched) {
        log_info(service->in ? "stick %s is in" : "stick %s is gone: the journal keeps what comes",
                 stick_root_id(service->setup.root));
    }
}

/* The change is logged, not the repetition. */
static void log_result(struct stick_service *service, int r)
{
    const char *id = stick_root_id(service->setup.root);
    const char *error = stick_root_error(service->setup.root);
    uint64_t passed = service->stick ? stick_passed(service->stick) : service->passed;

    if (r < 0 && service->in && !stick_root_is_in(service->setup.root)) {
        service->in = false;  // whatever the error was that said so
        service->error = 0;
        log_presence(service);
        return;
    }
    if (passed > service->passed) {
        log_warning("%" PRIu64 " rows of a boot that never knew the time have no place in energy-scribe files",
                    passed - service->passed);
        service->passed = passed;
    }
    if (service->stick && stick_has_gap(service->stick) && !service->gap_told) {
        log_warning("stick %s misses rows after number %" PRIu64 ": the journal has them no more, or they are damaged",
                    id, stick_gap_after(service->stick));
        service->gap_told = true;
    }
    if (r == service->error || r == -EAGAIN) {
        return;
    }

    if (r == 0) {
        log_info("stick %s is written to again", id);
    } else if (r == -ENOENT) {
        log_info("no journal in %s yet: waiting for one", service->state_dir);
    } else if (r == -ENODATA) {
        log_error("the journal in %s cannot be opened for %d s now: has another user written it? Trying again",
                  service->state_dir, AGAIN_MAX_MS / 1000);
    } else if (service->stick && stick_journal_failed(service->stick)) {
        log_error("the journal cannot be read (%s), trying again", strerror(-r));
    } else {
        log_error("stick %s cannot be written to (%s), nothing is lost, trying again every %" PRIu64 " s",
                  id, error ? error : strerror(-r), service->settings.burst_ms / 1000);
    }
    service->error = r;
}

static void look_at_backlog(struct stick_service *service)
{
    uint64_t backlog;

    if (stick_backlog(service->stick, &backlog) == 0) {
        service->backlog = backlog;
    }
}

/* There is more to write. How much is asked once a second: the journal has to look at many segments for it. */
static void look_at_progress(struct stick_service *service)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (service->progress.on && now_ms < service->next_tell_ms) {
        return;
    }

    look_at_backlog(service);
    if (service->backlog == STICK_BACKLOG_UNKNOWN) {
        return;
    }
    if (service->progress.on) {
        stick_progress_look(&service->progress, service->backlog, now_ms);
    } else {
        stick_progress_begin(&service->progress, service->backlog, now_ms);
    }
}

static int open_root(struct stick_service *service, int *ret_fd)
{
    uint64_t free_bytes;
    int r;

    r = stick_root_open(service->setup.root, tell_opening, service, ret_fd);
    if (r >= 0) {
        pages_free_bytes(service->pages,
                         stick_root_space(service->setup.root, &free_bytes) ? (double) free_bytes : NAN);
    }
    return r;
}

/* One after another until the stick is up to date, or so long. */
static int write_bursts(struct stick_service *service, uint64_t until_ms)
{
    struct stick_root *root = service->setup.root;
    int r;

    do {
        r = stick_burst(service->stick, service->root_fd, stick_root_device_fd(root));
        if (r <= 0) {
            break;
        }

        look_at_progress(service);
        tell_report(service);
    } while (clock_monotonic_ms() < until_ms);
    if (r == 0) {
        look_at_backlog(service);
        stick_progress_end(&service->progress);
    }

    return r;
}

static void visit(struct stick_service *service)
{
    stick_inbox_visit(&service->inbox, service->root_fd, service->settings.configure, service->settings.appliance,
                      clock_monotonic_ms());
}

/* No journal yet, since acquire has no configuration to begin with, perhaps: the stick may bring the first one. */
static void visit_alone(struct stick_service *service)
{
    struct stick_root *root = service->setup.root;
    uint64_t now_ms = clock_monotonic_ms();

    if (now_ms < service->next_visit_ms && !stick_inbox_is_answered(&service->inbox, now_ms)) {
        return;
    }
    service->next_visit_ms = now_ms + service->settings.burst_ms;
    if (stick_root_open(root, stick_root_is_volume(root) ? tell_opening : NULL, service, &service->root_fd) >= 0) {
        visit(service);
    }
    (void) stick_root_close(root);  // nothing was promised
}

static int burst_once(struct stick_service *service, uint64_t until_ms)
{
    struct stick_root *root = service->setup.root;
    int r, close_r;

    r = open_stick(service);
    if (r >= 0 && !stick_root_is_open(root)) {
        r = open_root(service, &service->root_fd);
    }
    if (r >= 0) {
        visit(service);
        r = write_bursts(service, until_ms);
    } else if (r == -ENOENT && !service->once) {
        visit_alone(service);
    }
    if (r > 0) {
        return r;
    }

    close_r = stick_root_close(root);
    return r < 0 ? r : close_r;
}

/*
 * Returns 1, and the root stays open, if there is more to write; else what became of it. A stick that says it is clean
 * may be none that the kernel bears: a folder without a cluster is what fsck.fat 4.2 leaves when it is called once. It
 * is dirty then, and a check takes that away.
 */
static int burst(struct stick_service *service, uint64_t until_ms)
{
    struct stick_root *root = service->setup.root;
    int r = burst_once(service, until_ms);

    if (r == -EIO && !service->tried_again && service->stick && !stick_journal_failed(service->stick) &&
        stick_root_is_volume(root) && stick_root_is_in(root)) {
        service->tried_again = true;
        log_info("stick %s: %s, once more", stick_root_id(root), strerror(-r));
        r = burst_once(service, until_ms);
    }
    return r;
}

int stick_service_flush(struct stick_service *service, uint64_t most_ms)
{
    struct stick_root *root = service->setup.root;
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t until_ms = most_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + most_ms;
    unsigned tries = 0;
    int r;

    service->once = most_ms == UINT64_MAX;
    service->in = stick_root_is_in(root);
    do {
        now_ms = clock_monotonic_ms();
        r = service->in ? burst(service, until_ms) : -ENODEV;
        // One that went on for a while has written something: the journal may be busy again later.
        tries = clock_monotonic_ms() - now_ms > AGAIN_MS ? 1 : tries + 1;
        if (r == -EAGAIN) {
            clock_sleep_until_us(clock_monotonic_us() + AGAIN_MS * 1000);
        }
    } while (r == -EAGAIN && tries < TRIES_MAX && clock_monotonic_ms() < until_ms);
    if (r > 0) {
        r = stick_root_close(root);
    }
    if (r == -ENODEV && !service->in) {
        log_error("no stick at %s", stick_root_id(root));
    } else {
        log_result(service, r);
    }

    tell_state(service, stick_report_state_of(r));
    return r;
}

static void look_for_stick(struct stick_service *service)
{
    struct stick_root *root = service->setup.root;
    bool was_in = service->in;

    service->in = stick_root_is_in(root);
    if (service->in == was_in) {
        return;
    }

    log_presence(service);
    if (!service->in) {
        (void) stick_root_close(root);  // it was not safe, and nothing can be done about it
    } else if (service->pages) {
        pages_stick_is_in(service->pages);
    }
    service->next_burst_ms = service->next_visit_ms = 0;
    service->error = 0;
    service->tried_again = false;
    service->backlog = STICK_BACKLOG_UNKNOWN;
    stick_inbox_forget(&service->inbox);
    stick_progress_end(&service->progress);
    tell_state(service, STICK_IDLE);
}

/* While the stick is closed the next page is gathered, a little at a time. Returns when to go on. */
static uint64_t gather_pages(struct stick_service *service)
{
    int r = 0;

    if (service->in && service->stick && !stick_root_is_open(service->setup.root)) {
        r = pages_gather(service->pages, clock_monotonic_ms() + GATHER_MS);
    }
    return r > 0 ? clock_monotonic_ms() + GATHER_PAUSE_MS : UINT64_MAX;
}

/* A journal that is "just being changed" for long is one that cannot be opened: -ENODATA. */
static int lose_patience(struct stick_service *service, int r, uint64_t now_ms)
{
    if (r != -EAGAIN) {
        service->again_ms = 0;
        return r;
    }
    service->again_ms = service->again_ms ? service->again_ms : now_ms;
    return now_ms - service->again_ms < AGAIN_MAX_MS ? r : -ENODATA;
}

static uint64_t pause_ms(const struct stick_service *service, int r)
{
    return r == -EAGAIN || r == -ENOENT ? AGAIN_MS : r == -ENODATA ? LOST_MS : service->settings.burst_ms;
}

uint64_t stick_service_step(struct stick_service *service, uint64_t now_ms)
{
    uint64_t next_ms;
    int r;

    look_for_settings(service);
    look_for_stick(service);
    if (service->in && (now_ms >= service->next_burst_ms || stick_inbox_is_answered(&service->inbox, now_ms))) {
        r = lose_patience(service, burst(service, clock_monotonic_ms() + LOOK_MS), now_ms);
        log_result(service, MIN(r, 0));
        service->next_burst_ms = r > 0 ? 0 : now_ms + pause_ms(service, r);
        tell_state(service, r > 0 ? STICK_WRITING : stick_report_state_of(r));
    }
    next_ms = gather_pages(service);
    tell_report(service);

    return MIN(next_ms, service->in ? MIN(service->next_burst_ms, service->next_tell_ms) : service->next_tell_ms);
}
