/* SPDX-License-Identifier: MIT */

#include "app/outlet/sticks_life.h"

#include "app/base/clock.h"
#include "app/base/log.h"
#include "app/outlet/stick_service.h"

#include <poll.h>
#include <string.h>

#define LAST_BURST_MS 2000  // with a step that is under way, and the unmounting, of the four seconds that we have

static void tell(const struct stick_report *report, void *data)
{
    sticks_child_tell(data, report);
}

/* Until a signal ends it, or nobody listens. Returns whether the last burst is wanted. */
static bool serve(struct stick_service *service, const struct sticks_child_life *child)
{
    struct pollfd polls[] = { { .fd = child->signal_fd, .events = POLLIN }, { .fd = child->report_fd } };

    for (;;) {
        uint64_t now_ms = clock_monotonic_ms();
        uint64_t next_ms = stick_service_step(service, now_ms);

        now_ms = clock_monotonic_ms();
        (void) poll(polls, ARRAY_SIZE(polls), next_ms > now_ms ? (int) MIN(next_ms - now_ms, (uint64_t) 1000) : 0);
        if (polls[1].revents) {
            return false;  // the stick is gone, or another process is to serve it
        }
        if (polls[0].revents) {
            return true;
        }
    }
}

int sticks_life_serve(const struct sticks_child_life *child, void *data)
{
    const struct sticks_life *life = data;
    auto_stick_root struct stick_root *root = NULL;
    struct stick_service *service = NULL;
    struct stick_service_setup setup = { .options = life->options, .is_watched = true, .tell = tell,
                                         .data = (void *) child };
    int r;

    r = stick_root_new_volume(child->volume.node, life->mount_parent, &root);
    if (r >= 0) {
        setup.root = root;
        r = stick_service_new(&setup, &service);
    }
    if (r < 0) {
        log_error("%s cannot be served (%s)", child->volume.node, strerror(-r));
        return 1;
    }

    if (life->is_once) {
        r = stick_service_flush(service, UINT64_MAX);
    } else if (serve(service, child)) {
        r = stick_service_flush(service, LAST_BURST_MS);
        if (r < 0) {
            log_debug("the last burst was not written (%s)", strerror(-r));
        }
        r = 0;
    }

    stick_service_free(service);
    return r < 0 ? 1 : 0;
}
