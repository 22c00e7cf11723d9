/* SPDX-License-Identifier: MIT */
#include "tests/lock/clients.h"

#include "app/base/log.h"

#include <stdlib.h>

/* The lock once more, with a hook at each step, and with the one line that it logs as a message. */
static void step(int number);
static void guessed(void);
#define PORT_LOCK_STEP(number) step(number)
#undef log_warning
#define log_warning(...) guessed()
#undef log_info
#define log_info(...)    ((void) 0)

#include "drivers/port_lock.c"
#include "drivers/port_lock_semaphore.c"
#include "drivers/port_lock_side.c"

static struct {
    const struct client *client;
    int fatal_step;      // 0: none
    unsigned cycles;     // until that one counts
    unsigned random;
} self;

uint64_t client_now_us(void)
{
    return clock_monotonic_us();
}

static unsigned draw(unsigned below)
{
    self.random = self.random * 1103515245 + 12345;
    return (self.random >> 8) % below;
}

static void say(char what, enum talker_kind kind, bool dirty)
{
    const struct heard heard = { .at_us = clock_monotonic_us(),
                                 .pid = (uint32_t) getpid(),
                                 .what = (uint8_t) what,
                                 .slot = (uint8_t) self.client->slot,
                                 .kind = (uint8_t) kind,
                                 .dirty = dirty };

    if (write(self.client->line, &heard, sizeof(heard)) != sizeof(heard)) {
        _exit(3);
    }
}

static void step(int number)
{
    if (number == self.fatal_step && self.cycles == 0) {
        say('K', TALKER_OURS, false);
        (void) raise(SIGKILL);
    }
}

static void guessed(void)
{
    say('G', TALKER_OURS, false);
}

static void wait_us(uint64_t us)
{
    clock_sleep_until_us(clock_monotonic_us() + us);
}

void client_ours(const struct client *client)
{
    struct port_lock *lock = NULL;

    self.client = client;
    self.random = client->random;
    self.fatal_step = client->kills_itself ? 1 + (int) draw(11) : 0;
    self.cycles = 1 + draw(4);
    if (port_lock_new(client->name, client->directory, &lock) < 0 || port_lock_warning(lock)[0]) {
        fprintf(stderr, "%s\n", lock ? port_lock_warning(lock) : "no lock");
        _exit(4);
    }
    for (;;) {
        bool dirty = false;
        int r = port_lock_take(lock, -1, clock_monotonic_us() + 60000000, &dirty);

        if (r < 0) {
            fprintf(stderr, "ours: %s: %s\n", strerror(-r), port_lock_problem(lock));
            say('T', TALKER_OURS, false);
            continue;
        }
        say('B', TALKER_OURS, dirty);
        wait_us(client->hold_us / 4 + draw(client->hold_us));
        step(8);
        say('E', TALKER_OURS, false);
        wait_us(port_lock_release(lock));
        self.cycles -= self.cycles > 0;
    }
}

/* One turn of a client: wait 2 s by the wall clock, talk, post. */
static void other_turn(sem_t *sem)
{
    const struct client *client = self.client;
    struct timespec until;

    (void) clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 2;
    if (sem_timedwait(sem, &until) < 0) {
        say('T', TALKER_CLIENT, false);
        if (client->unlinks) {
            (void) sem_unlink(client->name);
        }
        return;
    }
    say('B', TALKER_CLIENT, false);
    wait_us(client->hold_us / 4 + draw(client->hold_us));
    say('E', TALKER_CLIENT, false);
    (void) sem_post(sem);
    if (client->rude && draw(5) == 0) {
        (void) sem_post(sem);
    }
}

void client_other(const struct client *client)
{
    sem_t *sem = NULL;

    self.client = client;
    self.random = client->random;
    for (;;) {
        if (!sem) {
            sem = sem_open(client->name, O_CREAT, 0660, 1);
        }
        if (sem == SEM_FAILED) {
            fprintf(stderr, "client: sem_open: %m\n");
            _exit(5);
        }
        other_turn(sem);
        if (!client->keeps_open) {
            (void) sem_close(sem);
            sem = NULL;
        }
        wait_us(500 + draw(4000));
    }
}
