/* SPDX-License-Identifier: MIT */
/*
 * One stick, served as `stick` serves each of its own, without finding it: for tests of the burst alone.
 *
 *     one_stick NODE RUN-DIR [FSCK-LIMIT-MS]
 */

#include "app/base/clock.h"
#include "app/base/log.h"
#include "app/base/status.h"
#include "app/outlet/stick_service.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#define LAST_BURST_MS 3000

static struct stick_report last;
static const char *run_dir;

static void write_status(const char *state)
{
    auto_text struct text text = {};

    status_begin(&text, "stick", state, NULL);
    json_add_key(&text, "sticks");
    text_add(&text, "[{");
    json_add_member_string(&text, "id", last.id);
    json_add_member_string(&text, "state", stick_report_state_name(last.state));
    json_add_member_string(&text, "error", last.error);
    json_add_member_number(&text, "backlog", (double) last.backlog);
    text_add(&text, "}]");
    if (status_end_and_replace(&text, run_dir, "stick") < 0) {
        log_error("no status");
    }
}

static void take_report(const struct stick_report *report, void *data)
{
    (void) data;
    last = *report;
    write_status("running");
}

int main(int argc, char **argv)
{
    struct options options = { .state_dir = "/var/lib/meterstick" };
    struct stick_service_setup setup = { .options = &options, .tell = take_report };
    struct stick_service *service = NULL;
    struct pollfd wait = { .events = POLLIN };
    sigset_t signals;

    if (argc < 3) {
        return 64;
    }
    options.run_dir = run_dir = argv[2];
    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGTERM);
    (void) sigprocmask(SIG_BLOCK, &signals, NULL);
    wait.fd = signalfd(-1, &signals, SFD_CLOEXEC);
    if (wait.fd < 0 || stick_root_new_volume(argv[1], run_dir, &setup.root) < 0 ||
        stick_service_new(&setup, &service) < 0) {
        return 1;
    }
    if (argc > 3) {
        stick_root_set_check_limit(setup.root, strtoull(argv[3], NULL, 10));
    }

    for (;;) {
        uint64_t next_ms = stick_service_step(service, clock_monotonic_ms());
        uint64_t now_ms = clock_monotonic_ms();

        if (poll(&wait, 1, next_ms > now_ms ? (int) MIN(next_ms - now_ms, (uint64_t) 1000) : 0) > 0) {
            break;
        }
    }
    if (stick_service_flush(service, LAST_BURST_MS) < 0) {
        log_warning("the last burst was not written");
    }
    stick_service_free(service);
    stick_root_free(setup.root);
    write_status("stopped");
    return 0;
}
