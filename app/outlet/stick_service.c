/* SPDX-License-Identifier: MIT */

#include "app/outlet/stick_service.h"

#include "app/base/clock.h"
#include "app/base/file.h"
#include "app/base/log.h"
#include "app/base/status.h"
#include "app/config/appliance.h"
#include "app/outlet/stick.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#define PROGRAM           "stick"
#define BURST_DEFAULT_MS  60000
#define AGAIN_MS          1000      // the journal is just being changed
#define LOOK_MS           1000      // for a stick that is not there, or new settings
#define LIGHT_MS          250       // how long the light says so before the first byte is written

struct stick_service {
    const struct options *options;
    const char *config, *state_dir, *run_dir, *directory;
    struct timespec settings_at;    // good.conf, as last read
    bool settings_read;
    uint64_t burst_ms;
    enum csv_format format;
    char appliance[METER_ID_SIZE];

    struct journal *journal;
    struct stick *stick;
    bool in;                        // the stick was there when last looked for
    const char *state;              // of the stick
    int error;                      // of the last burst, 0 = none
    bool catching_up;
    uint64_t backlog, backlog_begin, backlog_begin_ms;
    uint64_t next_burst_ms, next_status_ms;
    uint64_t passed;
    bool gap_told;
};

static void close_stick(struct stick_service *service)
{
    stick_close(TAKE(service->stick));
    journal_close(TAKE(service->journal));
}

static void default_settings(struct stick_service *service)
{
    service->burst_ms = BURST_DEFAULT_MS;
    service->format = CSV_METERSTICK;
    appliance_name("", service->state_dir, service->appliance);
}

static void take_settings(struct stick_service *service, const char *path)
{
    auto_config struct config *config = NULL;
    auto_problems struct problems problems = {};
    int r;

    r = config_load(path, service->state_dir, &problems, &config);
    if (r < 0) {
        if (r != -ENOENT || service->config) {
            log_warning("settings of %s cannot be used, the defaults are: %s", path, problems_text(&problems));
        }
        default_settings(service);
        return;
    }

    config_set_up_log(config, "stick", service->options);
    service->burst_ms = config->stick.burst_ms;
    service->format = config->stick.csv;
    appliance_name(config->appliance.name, service->state_dir, service->appliance);
    if (clock_set_timezone(config->appliance.timezone) < 0) {
        log_warning("no time zone '%s': the system's is used", config->appliance.timezone);
    }
}

/* At first, and whenever acquire has written good.conf anew. */
static void look_for_settings(struct stick_service *service)
{
    char path[PATH_SIZE];
    struct stat status = {};
    int r = 0;

    if (!service->config) {
        r = file_path(path, sizeof(path), service->state_dir, "good.conf");
    }
    if (r < 0 || stat(service->config ? service->config : path, &status) < 0) {
        status = (struct stat){};
    }
    if (service->settings_read && status.st_mtim.tv_sec == service->settings_at.tv_sec &&
        status.st_mtim.tv_nsec == service->settings_at.tv_nsec) {
        return;
    }

    service->settings_read = true;
    service->settings_at = status.st_mtim;
    if (status.st_mtim.tv_sec == 0 && !service->config) {
        default_settings(service);
    } else {
        take_settings(service, service->config ? service->config : path);
    }
    close_stick(service);  // the name or the format may be another
    service->next_burst_ms = 0;
}

int stick_service_new(const struct options *options, const char *directory, struct stick_service **ret)
{
    struct stick_service *service = calloc(1, sizeof(*service));

    if (!service) {
        return -ENOMEM;
    }

    service->options = options;
    service->config = options->config;
    service->state_dir = options->state_dir;
    service->run_dir = options->run_dir;
    service->directory = directory;
    service->state = "idle";
    look_for_settings(service);
    *ret = service;
    return 0;
}

static void add_stick(struct stick_service *service, struct text *text)
{
    uint64_t done = service->backlog_begin - MIN(service->backlog_begin, service->backlog);
    uint64_t ms = clock_monotonic_ms() - service->backlog_begin_ms;
    double percent = NAN, eta_s = NAN;

    if (service->catching_up && service->backlog_begin > 0) {
        percent = (double) (done * 100 / service->backlog_begin);
        eta_s = done > 0 ? rint((double) service->backlog * (double) ms / (double) done / 1000) : NAN;
    }

    text_add_char(text, '{');
    json_add_member_string(text, "id", service->directory);
    json_add_member_string(text, "state", service->state);
    json_add_member_number(text, "percent", percent);
    json_add_member_number(text, "eta_s", eta_s);
    json_add_key(text, "backlog");
    text_addf(text, "%" PRIu64, service->backlog);
    json_add_key(text, "gap");
    text_add(text, service->stick && stick_has_gap(service->stick) ? "true" : "false");
    text_add_char(text, '}');
}

static const char *error_text(const struct stick_service *service)
{
    if (!service->in || service->error == 0) {
        return NULL;
    }

    return service->error == -ENOENT ? "no journal yet" : strerror(-service->error);
}

static void write_status(struct stick_service *service, const char *state)
{
    auto_text struct text text = {};
    int r;

    status_begin(&text, PROGRAM, state, error_text(service));
    json_add_key(&text, "sticks");
    text_add_char(&text, '[');
    if (service->in) {
        add_stick(service, &text);
    }
    text_add_char(&text, ']');

    r = status_end_and_replace(&text, service->run_dir, PROGRAM);
    if (r < 0) {
        log_debug("status not written (%s)", strerror(-r));
    }
    service->next_status_ms = clock_monotonic_ms() + STATUS_EVERY_MS / 2;
}

void stick_service_free(struct stick_service *service)
{
    if (service) {
        write_status(service, "stopped");
        close_stick(service);
        free(service);
    }
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
    r = stick_open(&(struct stick_setup){ .directory = service->directory, .appliance = service->appliance,
                                          .journal = journal, .format = service->format }, &service->stick);
    if (r < 0) {
        return r;
    }

    service->journal = TAKE(journal);
    service->passed = 0;
    service->gap_told = false;
    return 0;
}

static const char *state_of(int error)
{
    switch (error) {
    case 0:
    case -EAGAIN:
    case -ENOENT:  // no journal yet
        return "idle";
    case -ENOSPC:
    case -EDQUOT:
        return "full";
    case -EROFS:
    case -EACCES:
    case -EPERM:
        return "readonly";
    }

    return "failed";
}

/* The change is logged, not the repetition. */
static void tell(struct stick_service *service, int r)
{
    uint64_t passed = service->stick ? stick_passed(service->stick) : service->passed;

    if (r == -ENODEV && service->in) {
        service->in = false;
        service->error = 0;
        log_info("stick %s is gone: the journal keeps what comes", service->directory);
        return;
    }
    if (passed > service->passed) {
        log_warning("%" PRIu64 " rows of a boot that never knew the time have no place in energy-scribe files",
                    passed - service->passed);
        service->passed = passed;
    }
    if (service->stick && stick_has_gap(service->stick) && !service->gap_told) {
        log_warning("stick %s misses rows after number %" PRIu64 ": the journal has them no more, or they are damaged",
                    service->directory, stick_gap_after(service->stick));
        service->gap_told = true;
    }
    if (r == service->error || r == -EAGAIN) {
        return;
    }

    if (r == 0) {
        log_info("stick %s is written to again", service->directory);
    } else if (r == -ENOENT) {
        log_info("no journal in %s yet: waiting for one", service->state_dir);
    } else if (service->stick && stick_journal_failed(service->stick)) {
        log_error("the journal cannot be read (%s), trying again", strerror(-r));
    } else {
        log_error("stick %s cannot be written to (%s), nothing is lost, trying again every %" PRIu64 " s",
                  service->directory, strerror(-r), service->burst_ms / 1000);
    }
    service->error = r;
}

static void look_at_backlog(struct stick_service *service, bool begin)
{
    uint64_t backlog;

    if (stick_backlog(service->stick, &backlog) == 0) {
        service->backlog = backlog;
    }
    if (begin) {
        service->backlog_begin = service->backlog;
        service->backlog_begin_ms = clock_monotonic_ms();
    }
}

/* One after another until the stick is up to date, or so long. */
static int burst(struct stick_service *service, uint64_t until_ms)
{
    int r;

    r = open_stick(service);
    while (r >= 0) {
        r = stick_burst(service->stick);
        if (r <= 0) {
            break;
        }

        look_at_backlog(service, !service->catching_up);
        service->catching_up = true;
        if (clock_monotonic_ms() >= until_ms) {
            break;
        }
        if (clock_monotonic_ms() >= service->next_status_ms) {
            write_status(service, "running");
        }
    }
    if (r == 0) {
        look_at_backlog(service, false);
        service->catching_up = false;
    }

    return r;
}

int stick_service_flush(struct stick_service *service, uint64_t most_ms)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t until_ms = most_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + most_ms;
    int r;

    service->in = stick_is_in_directory(service->directory);
    service->state = "writing";
    write_status(service, "running");
    do {
        r = service->in ? burst(service, until_ms) : -ENODEV;
        if (r == -EAGAIN) {
            clock_sleep_until_us(clock_monotonic_us() + AGAIN_MS * 1000);
        }
    } while (r == -EAGAIN && clock_monotonic_ms() < MIN(until_ms, now_ms + 10 * AGAIN_MS));
    if (r == -ENODEV && !service->in) {
        log_error("no stick at %s", service->directory);
    } else {
        tell(service, MIN(r, 0));
    }

    service->state = state_of(MIN(r, 0));
    return MIN(r, 0);
}

uint64_t stick_service_step(struct stick_service *service, uint64_t now_ms)
{
    bool was_in = service->in;
    int r;

    look_for_settings(service);
    service->in = stick_is_in_directory(service->directory);
    if (service->in != was_in) {
        log_info(service->in ? "stick %s is in" : "stick %s is gone: the journal keeps what comes", service->directory);
        service->next_burst_ms = 0;
        service->error = 0;
        service->catching_up = false;
        service->state = "idle";
        write_status(service, "running");
    }

    if (service->in && now_ms >= service->next_burst_ms) {
        service->state = "writing";
        write_status(service, "running");
        if (!service->catching_up) {
            clock_sleep_until_us(clock_monotonic_us() + LIGHT_MS * 1000);
        }
        r = burst(service, clock_monotonic_ms() + LOOK_MS);
        tell(service, MIN(r, 0));
        service->state = r > 0 ? "writing" : state_of(r);
        service->next_burst_ms = r > 0 ? 0 : now_ms + (r == -EAGAIN || r == -ENOENT ? AGAIN_MS : service->burst_ms);
        write_status(service, "running");
    }
    if (clock_monotonic_ms() >= service->next_status_ms) {
        write_status(service, "running");
    }

    return service->in ? MIN(service->next_burst_ms, service->next_status_ms) : service->next_status_ms;
}
