/* SPDX-License-Identifier: MIT */

#include "app/outlet/sticks.h"

#include "app/base/clock.h"
#include "app/base/log.h"
#include "app/base/status.h"
#include "app/base/text.h"
#include "app/outlet/stick_status.h"
#include "app/outlet/sticks_table.h"
#include "board/hotplug.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#define LOOK_MS        2000  // also where udev tells of each change: it may have lost one
#define LOOK_ALONE_MS  1000  // where it tells nothing
#define LAST_MS        4000  // of the five seconds that a stop may take
#define KILL_MS        30000 // for a child that is let go: it may have something to unmount
#define LEFT_MAX       16    // children that were let go and have not ended: they hang in a call

/* A child that is none of an entry any more. */
struct left {
    pid_t pid;
    uint64_t kill_ms;        // 0: it was
};

struct sticks {
    struct sticks_setup setup;
    struct sticks_table table;
    struct sticks_child children[STICKS_MAX];
    struct left left[LEFT_MAX];
    struct hotplug *hotplug; // NULL: no udev
    int child_fd;            // readable: a child ended
    sigset_t signals_before;
    uint64_t look_ms, status_ms;
    int find_error;
    bool was_full;

    struct stick_report told[STICKS_MAX];  // what the status file says
    bool is_told_in[STICKS_MAX];           // and what the log
    size_t told_count;
};

/* --- what is told --- */

static const struct stick_report *find_told(const struct sticks *sticks, const char *id)
{
    for (size_t i = 0; i < sticks->told_count; i++) {
        if (text_equal(sticks->told[i].id, id)) {
            return &sticks->told[i];
        }
    }
    return NULL;
}

static bool is_trouble(const struct stick_report *report)
{
    return report->state != STICK_IDLE && report->state != STICK_CHECKING && report->state != STICK_WRITING;
}

/* What children cannot log, since they do not know or are not there. The change, not the repetition. */
static void log_changes(struct sticks *sticks, const struct stick_report *reports, const unsigned *entries,
                        size_t count)
{
    bool is_told_in[STICKS_MAX] = {};

    for (size_t i = 0; i < count; i++) {
        const struct stick_report *was = find_told(sticks, reports[i].id);
        const struct sticks_entry *entry = &sticks->table.entries[entries[i]];

        is_told_in[i] = was && sticks->is_told_in[was - sticks->told];
        if (!is_told_in[i] && (entry->is_named || is_trouble(&reports[i]))) {
            log_info("stick %s is in (%s, USB socket %s)", reports[i].id, entry->volume.node, entry->volume.port);
            is_told_in[i] = true;
        }
        if ((!entry->has_child || reports[i].state == STICK_SLOW) && is_trouble(&reports[i]) &&
            !(was && was->state == reports[i].state && text_equal(was->error, reports[i].error))) {
            log_warning("stick %s: %s", reports[i].id, reports[i].error);
        }
    }
    for (size_t i = 0; i < sticks->told_count; i++) {
        bool is_there = false;

        for (size_t k = 0; k < count; k++) {
            is_there = is_there || text_equal(reports[k].id, sticks->told[i].id);
        }
        if (!is_there && sticks->is_told_in[i]) {
            log_info("stick %s is gone: the journal keeps what comes", sticks->told[i].id);
        }
    }
    memcpy(sticks->is_told_in, is_told_in, sizeof(is_told_in));
}

/* If anything changed, or it is time to show that we live. */
static void tell(struct sticks *sticks, const char *state, bool is_due)
{
    struct stick_report reports[STICKS_MAX];
    unsigned entries[STICKS_MAX];
    const char *nodes[STICKS_MAX];
    uint64_t now_ms = clock_monotonic_ms();
    size_t count = sticks_table_reports(&sticks->table, now_ms, reports, entries);
    bool is_same = count == sticks->told_count;
    int r;

    for (size_t i = 0; i < count; i++) {
        nodes[i] = sticks->table.entries[entries[i]].volume.node;
        is_same = is_same && stick_report_is_same(&reports[i], &sticks->told[i]);
    }
    if (is_same && !is_due && now_ms < sticks->status_ms) {
        return;
    }

    log_changes(sticks, reports, entries, count);
    memcpy(sticks->told, reports, sizeof(reports[0]) * count);
    sticks->told_count = count;
    r = stick_status_write(sticks->setup.run_dir, state, reports, nodes, count);
    if (r < 0) {
        log_debug("status not written (%s)", strerror(-r));
    }
    sticks->status_ms = now_ms + STATUS_EVERY_MS / 2;
}

/* --- children --- */

static void leave(struct sticks *sticks, struct sticks_child *child)
{
    pid_t pid = child->pid;

    sticks_child_close(child);
    if (pid <= 0) {
        return;
    }
    (void) kill(pid, SIGTERM);
    for (size_t i = 0; i < LEFT_MAX; i++) {
        if (sticks->left[i].pid == 0) {
            sticks->left[i] = (struct left){ pid, clock_monotonic_ms() + KILL_MS };
            return;
        }
    }
    (void) kill(pid, SIGKILL);  // it stays as a name without a process until we end
}

static void begin(struct sticks *sticks, unsigned entry)
{
    char how[STICKS_CHILD_HOW_SIZE + 40];
    int r;

    r = sticks_child_begin(&sticks->table.entries[entry].volume, sticks->setup.work, sticks->setup.data,
                           &sticks->children[entry]);
    if (r < 0) {
        (void) snprintf(how, sizeof(how), "cannot be begun (%s)", strerror(-r));
        sticks_table_ended(&sticks->table, entry, how, clock_monotonic_ms());
    }
}

static void hear(struct sticks *sticks, unsigned entry)
{
    struct stick_report report;

    while (sticks->children[entry].pid > 0 && sticks_child_hear(&sticks->children[entry], &report) > 0) {
        sticks_table_told(&sticks->table, entry, &report, clock_monotonic_ms());
        tell(sticks, "running", false);  // each state is seen, be it for a moment
    }
}

/* Those that ended: what they said before counts first. */
static void reap(struct sticks *sticks)
{
    char how[STICKS_CHILD_HOW_SIZE];

    for (unsigned i = 0; i < STICKS_MAX; i++) {
        pid_t pid = sticks->children[i].pid;

        if (pid > 0 && sticks_child_is_over(pid, how)) {
            hear(sticks, i);
            sticks_child_close(&sticks->children[i]);
            sticks_table_ended(&sticks->table, i, how, clock_monotonic_ms());
        }
    }
    for (size_t i = 0; i < LEFT_MAX; i++) {
        struct left *left = &sticks->left[i];

        if (left->pid > 0 && sticks_child_is_over(left->pid, how)) {
            *left = (struct left){};
        } else if (left->pid > 0 && left->kill_ms > 0 && clock_monotonic_ms() >= left->kill_ms) {
            (void) kill(left->pid, SIGKILL);
            left->kill_ms = 0;
        }
    }
}

/* --- what is plugged in --- */

/* Those whose disk is away: is the USB device back? */
static void look_for_return(struct sticks *sticks)
{
    for (unsigned i = 0; i < STICKS_MAX; i++) {
        const struct sticks_entry *entry = &sticks->table.entries[i];

        if (entry->is_taken && entry->is_away) {
            sticks_table_returning(&sticks->table, i, sticks->setup.is_plugged(sticks->setup.data, &entry->volume));
        }
    }
}

static void look(struct sticks *sticks)
{
    struct block_volume volumes[BLOCK_VOLUMES_MAX];
    int count;

    count = sticks->setup.find(sticks->setup.data, volumes);
    sticks->look_ms = clock_monotonic_ms() + sticks->setup.look_ms;
    if (count < 0) {
        if (count != sticks->find_error) {
            log_error("cannot tell which disks are in use (%s): no stick is touched", strerror(-count));
        }
        sticks->find_error = count;
        return;
    }

    sticks->find_error = 0;
    look_for_return(sticks);
    sticks_table_take(&sticks->table, volumes, (size_t) count, clock_monotonic_ms());
    if (sticks->table.is_full && !sticks->was_full) {
        log_warning("more than %d volumes are in: the rest waits until one is pulled", STICKS_MAX);
    }
    sticks->was_full = sticks->table.is_full;
}

static void drain_hotplug(struct sticks *sticks)
{
    struct hotplug_event event;

    while (hotplug_next(sticks->hotplug, &event) > 0) {
        sticks->look_ms = 0;
    }
}

/* --- the loop --- */

static void act(struct sticks *sticks)
{
    enum sticks_action action;
    unsigned entry;

    look_for_return(sticks);
    while ((action = sticks_table_next(&sticks->table, clock_monotonic_ms(), &entry)) != STICKS_NOTHING) {
        if (action == STICKS_BEGIN) {
            begin(sticks, entry);
        } else {
            leave(sticks, &sticks->children[entry]);
        }
    }
}

/* Wait for whatever comes, at most until then. Returns whether we are to end. */
static bool wait_until(struct sticks *sticks, uint64_t until_ms)
{
    struct pollfd polls[3 + STICKS_MAX];
    uint64_t now_ms = clock_monotonic_ms();
    struct signalfd_siginfo ignored;
    bool is_end;

    polls[0] = (struct pollfd){ .fd = sticks->setup.signal_fd, .events = POLLIN };
    polls[1] = (struct pollfd){ .fd = sticks->child_fd, .events = POLLIN };
    polls[2] = (struct pollfd){ .fd = sticks->hotplug ? hotplug_fd(sticks->hotplug) : -1, .events = POLLIN };
    for (unsigned i = 0; i < STICKS_MAX; i++) {
        polls[3 + i] = (struct pollfd){ .fd = sticks->children[i].pid > 0 ? sticks->children[i].fd : -1,
                                        .events = POLLIN };
    }
    if (poll(polls, ARRAY_SIZE(polls), until_ms > now_ms ? (int) MIN(until_ms - now_ms, (uint64_t) LOOK_MS) : 0) < 0) {
        return false;
    }

    is_end = polls[0].revents != 0;
    while (polls[1].revents != 0 && read(sticks->child_fd, &ignored, sizeof(ignored)) > 0) {
    }
    if (polls[2].revents != 0) {
        drain_hotplug(sticks);
    }
    for (unsigned i = 0; i < STICKS_MAX; i++) {
        if (polls[3 + i].revents != 0) {
            hear(sticks, i);
        }
    }
    reap(sticks);
    return is_end;
}

static bool has_children(const struct sticks *sticks)
{
    for (unsigned i = 0; i < STICKS_MAX; i++) {
        if (sticks->children[i].pid > 0) {
            return true;
        }
    }
    return false;
}

/* Fault 43: the last bursts, and the end regardless. */
static void end(struct sticks *sticks)
{
    uint64_t until_ms = clock_monotonic_ms() + LAST_MS;

    for (unsigned i = 0; i < STICKS_MAX; i++) {
        if (sticks->children[i].pid > 0) {
            (void) kill(sticks->children[i].pid, SIGTERM);
        }
    }
    sticks->setup.signal_fd = -1;  // it remains readable
    sticks->table.is_once = true;  // nobody is begun again
    while (has_children(sticks) && clock_monotonic_ms() < until_ms) {
        (void) wait_until(sticks, MIN(until_ms, sticks->status_ms));
        tell(sticks, "running", false);
    }
    for (unsigned i = 0; i < STICKS_MAX; i++) {
        if (sticks->children[i].pid > 0) {
            log_warning("the last burst on %s was not done in %d s", sticks->table.entries[i].volume.node,
                        LAST_MS / 1000);
            (void) kill(sticks->children[i].pid, SIGKILL);
            sticks_child_close(&sticks->children[i]);
        }
    }
    for (size_t i = 0; i < LEFT_MAX; i++) {
        if (sticks->left[i].pid > 0) {
            (void) kill(sticks->left[i].pid, SIGKILL);
        }
    }
    tell(sticks, "stopped", true);
}

static int prepare(struct sticks *sticks, const struct sticks_setup *setup)
{
    sigset_t signals;
    int r;

    *sticks = (struct sticks){ .setup = *setup, .child_fd = -1 };
    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &signals, &sticks->signals_before) < 0) {
        return -errno;
    }
    sticks->child_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (sticks->child_fd < 0) {
        return -errno;
    }

    r = hotplug_new("block", &sticks->hotplug);
    if (r < 0) {
        log_debug("udev does not tell of sticks (%s): looking every second", strerror(-r));
    }
    if (setup->look_ms == 0) {
        sticks->setup.look_ms = r < 0 ? LOOK_ALONE_MS : LOOK_MS;
    }
    return 0;
}

static void clear(struct sticks *sticks)
{
    hotplug_free(sticks->hotplug);
    if (sticks->child_fd >= 0) {
        (void) close(sticks->child_fd);
    }
    (void) sigprocmask(SIG_SETMASK, &sticks->signals_before, NULL);
}

static uint64_t due_ms(const struct sticks *sticks)
{
    uint64_t due = MIN(sticks->look_ms, sticks->status_ms);

    for (size_t i = 0; i < LEFT_MAX; i++) {
        if (sticks->left[i].pid > 0 && sticks->left[i].kill_ms > 0) {
            due = MIN(due, sticks->left[i].kill_ms);
        }
    }
    return MIN(due, sticks_table_due_ms(&sticks->table, clock_monotonic_ms()));
}

/* One round: look, do, tell, wait. Returns whether we are to end. */
static bool step(struct sticks *sticks)
{
    if (clock_monotonic_ms() >= sticks->look_ms) {
        look(sticks);
    }
    act(sticks);
    tell(sticks, "running", false);
    if (sticks->setup.alive) {
        sticks->setup.alive(sticks->setup.data, sticks->told_count);
    }
    return wait_until(sticks, due_ms(sticks));
}

int sticks_serve(const struct sticks_setup *setup)
{
    struct sticks sticks;
    int r;

    r = prepare(&sticks, setup);
    if (r == 0) {
        while (!step(&sticks)) {
        }
        end(&sticks);
    }
    clear(&sticks);
    return r;
}

/* What became of all of them. */
static int result(const struct sticks *sticks)
{
    if (sticks->find_error < 0) {
        return sticks->find_error;
    }
    for (size_t i = 0; i < sticks->told_count; i++) {
        if (sticks->told[i].state != STICK_IDLE) {
            return -EIO;
        }
    }
    return sticks->told_count > 0 ? 0 : -ENODEV;
}

int sticks_serve_once(const struct sticks_setup *setup)
{
    struct sticks sticks;
    bool is_end = false;
    int r;

    r = prepare(&sticks, setup);
    if (r == 0) {
        sticks.table.is_once = true;
        look(&sticks);
        while (!is_end && !sticks_table_is_over(&sticks.table)) {
            is_end = step(&sticks);
        }
        end(&sticks);
        r = is_end ? -EINTR : result(&sticks);
    }
    clear(&sticks);
    return r;
}
