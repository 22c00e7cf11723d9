/* SPDX-License-Identifier: MIT */

/*
 * A port that everybody wants and nobody survives:
 *
 *     port_stress --kills N [--ours N] [--clients N] [--python SCRIPT] [--hogs N] [--client-kills N] [--self]
 *                 [--unlink] [--rude] [--hold-us N] [--period-us N] [--seed N]
 *
 * Children take the port and are killed: ours, and one time in so many (--client-kills) a client. With --self ours kill
 * themselves as well, at each step of the protocol. Clients may unlink after a time-out, or post twice (--rude). What
 * they say is judged by observer.c. Prints one line of JSON. Run by root, clients are another user than ours, of the
 * same group, as it is on a real machine.
 */

#include "tests/lock/clients.h"
#include "tests/lock/pace.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { UID_OURS = 64123, UID_CLIENTS = 64124, GID_BOTH = 64125 };

enum role { ROLE_OURS, ROLE_CLIENT, ROLE_PYTHON, ROLE_HOG };

struct child {
    enum role role;
    pid_t pid;
    uint64_t killed_us;  // 0: it lives
};

struct stress {
    unsigned long kills, client_kills_every, ours, clients, hogs, hold_us, period_us, seed;
    const char *python;
    bool kills_itself, unlinks, rude;

    char name[64], directory[64];
    int ends[2];
    struct child children[OBSERVER_TALKERS];
    unsigned count, population;
    unsigned long killed, killed_clients, killed_itself, wrong_ends;
    struct observer observer;
};

static unsigned draw(struct stress *stress, unsigned long below)
{
    stress->seed = stress->seed * 6364136223846793005ul + 1442695040888963407ul;
    return (unsigned) ((stress->seed >> 33) % below);
}

static void become(uid_t uid)
{
    if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(GID_BOTH) < 0 || setuid(uid) < 0)) {
        _exit(6);
    }
    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void live(const struct stress *stress, unsigned slot, enum role role, unsigned random)
{
    struct client client = { .name = stress->name,
                             .directory = stress->directory,
                             .line = stress->ends[1],
                             .slot = slot,
                             .random = random,
                             .kills_itself = stress->kills_itself,
                             .unlinks = stress->unlinks,
                             .rude = stress->rude,
                             .keeps_open = slot % 2,
                             .hold_us = (unsigned) stress->hold_us };
    char line[16], number[16];

    (void) umask(0);  // the clients' files are as their sem_open() says
    switch (role) {
    case ROLE_OURS:
        become(UID_OURS);
        client_ours(&client);
        break;
    case ROLE_CLIENT:
        become(UID_CLIENTS);
        client_other(&client);
        break;
    case ROLE_PYTHON:
        become(UID_CLIENTS);
        (void) snprintf(line, sizeof(line), "%d", stress->ends[1]);
        (void) snprintf(number, sizeof(number), "%u", slot);
        (void) execl("/usr/bin/python3", "python3", stress->python, stress->name, line, number,
                     stress->unlinks ? "unlink" : "keep", NULL);
        break;
    case ROLE_HOG:
        become(UID_CLIENTS);
        for (volatile unsigned work = 0;; work++) {
        }
    }
    _exit(7);
}

static void spawn(struct stress *stress, unsigned slot)
{
    struct child *child = &stress->children[slot];
    unsigned random = draw(stress, 1u << 30);
    pid_t pid = fork();

    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    if (pid == 0) {
        live(stress, slot, child->role, random);
    }
    child->pid = pid;
    child->killed_us = 0;
}

/* Everything that stands in the pipe */
static void listen_to_the_line(struct stress *stress)
{
    struct heard heard[128];
    ssize_t count;

    while ((count = read(stress->ends[0], heard, sizeof(heard))) > 0) {
        for (size_t i = 0; i < (size_t) count / sizeof(heard[0]); i++) {
            observer_hear(&stress->observer, &heard[i]);
            stress->killed_itself += heard[i].what == 'K';
        }
    }
}

static void kill_child(struct stress *stress, unsigned slot)
{
    struct child *child = &stress->children[slot];
    uint64_t now_us = client_now_us();

    if (child->killed_us == 0 && kill(child->pid, SIGKILL) == 0) {
        child->killed_us = now_us;
    }
}

/* Bury the dead, and let others take their places. */
static void bury(struct stress *stress, bool replace)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (unsigned slot = 0; slot < stress->population; slot++) {
            struct child *child = &stress->children[slot];

            if (child->pid != pid) {
                continue;
            }
            listen_to_the_line(stress);  // its last words
            if (child->killed_us > 0) {
                observer_bury(&stress->observer, slot, child->killed_us);
            }
            if (child->role != ROLE_PYTHON && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) {
                fprintf(stderr, "child %d of kind %d ended with status %d\n", pid, child->role, status);
                stress->wrong_ends++;
            }
            child->pid = 0;
            if (replace) {
                spawn(stress, slot);
            }
        }
    }
}

/* Every other kill meets the one who talks at this moment. */
static unsigned choose(struct stress *stress)
{
    bool client = stress->clients > 0 && stress->client_kills_every > 0
                  && draw(stress, stress->client_kills_every) == 0;
    unsigned first = client ? (unsigned) stress->ours : 0;
    unsigned count = client ? (unsigned) (stress->count - stress->ours) : (unsigned) stress->ours;

    if (draw(stress, 2)) {
        for (unsigned slot = first; slot < first + count; slot++) {
            if (stress->observer.talkers[slot].talking) {
                return slot;
            }
        }
    }
    return first + draw(stress, count);
}

static void run(struct stress *stress)
{
    uint64_t next_us = client_now_us();

    while (stress->killed + stress->killed_itself < stress->kills) {
        struct pollfd line = { .fd = stress->ends[0], .events = POLLIN };
        unsigned slot;

        (void) poll(&line, 1, 1);
        listen_to_the_line(stress);
        bury(stress, true);
        if (client_now_us() < next_us) {
            continue;
        }
        next_us = client_now_us() + stress->period_us / 2 + draw(stress, stress->period_us);
        slot = choose(stress);
        if (stress->children[slot].killed_us == 0) {
            kill_child(stress, slot);
            stress->killed++;
            stress->killed_clients += slot >= stress->ours;
        }
    }
    for (unsigned slot = 0; slot < stress->population; slot++) {
        kill_child(stress, slot);
    }
    for (unsigned slot = 0; slot < stress->population; slot++) {
        while (stress->children[slot].pid > 0) {
            bury(stress, false);
            (void) poll(NULL, 0, 1);
        }
    }
}

/* After all that: one of ours takes it and gives it back, and the semaphore is 1. */
static bool ends_well(struct stress *stress)
{
    sem_t *sem = sem_open(stress->name, 0);
    uint64_t end_us = client_now_us() + 30000000;
    unsigned long before;
    int value = -1;

    stress->kills_itself = false;
    listen_to_the_line(stress);
    if (sem != SEM_FAILED) {
        (void) sem_close(sem);  // it would be in the way of a proof
    }
    before = stress->observer.frames[TALKER_OURS];
    spawn(stress, 0);
    while (stress->observer.frames[TALKER_OURS] < before + 10 && client_now_us() < end_us) {
        listen_to_the_line(stress);
        (void) poll(NULL, 0, 1);
    }
    while (stress->observer.talkers[0].talking) {
        listen_to_the_line(stress);
    }
    // it is in its next turn soon: the value is 1 between two, or it would get none
    while (value != 1 && client_now_us() < end_us) {
        sem = sem_open(stress->name, 0);
        if (sem != SEM_FAILED) {
            (void) sem_getvalue(sem, &value);
            (void) sem_close(sem);
        }
    }
    kill_child(stress, 0);
    (void) waitpid(stress->children[0].pid, NULL, 0);
    return stress->observer.frames[TALKER_OURS] >= before + 10 && value == 1;
}

static void prepare(struct stress *stress)
{
    (void) snprintf(stress->name, sizeof(stress->name), "/meterstick-stress-%d", getpid());
    (void) snprintf(stress->directory, sizeof(stress->directory), "/tmp/meterstick-stress-%d", getpid());
    if (pace_start() < 0 || mkdir(stress->directory, 0770) < 0 || pipe2(stress->ends, 0) < 0
        || fcntl(stress->ends[1], F_SETPIPE_SZ, 1 << 20) < 0 || fcntl(stress->ends[0], F_SETFL, O_NONBLOCK) < 0) {
        perror("prepare");
        exit(1);
    }
    if (geteuid() == 0 && (chown(stress->directory, UID_OURS, GID_BOTH) < 0 || chmod(stress->directory, 02770) < 0)) {
        perror(stress->directory);
        exit(1);
    }
    stress->count = (unsigned) (stress->ours + stress->clients + (stress->python ? 1 : 0));
    stress->population = stress->count + (unsigned) stress->hogs;
    if (stress->population > OBSERVER_TALKERS || stress->ours == 0) {
        fprintf(stderr, "between 1 and %d children\n", OBSERVER_TALKERS);
        exit(64);
    }
    for (unsigned slot = 0; slot < stress->population; slot++) {
        stress->children[slot].role = slot < stress->ours                     ? ROLE_OURS
                                      : slot < stress->ours + stress->clients ? ROLE_CLIENT
                                      : slot < stress->count                  ? ROLE_PYTHON
                                                                              : ROLE_HOG;
    }
}

static void clean(const struct stress *stress)
{
    char path[192];

    (void) sem_unlink(stress->name);
    (void) snprintf(path, sizeof(path), "%s%s", stress->directory, stress->name);
    (void) unlink(path);
    (void) rmdir(stress->directory);
}

static void report(struct stress *stress, double seconds, bool good_end)
{
    struct observer *observer = &stress->observer;

    printf("{\"seconds\": %.1f, \"users\": %d, \"good_end\": %d, ", seconds, geteuid() == 0, good_end);
    printf("\"kills\": %lu, \"killed_itself\": %lu, \"killed_clients\": %lu, \"killed_talking\": %lu, ",
           stress->killed + stress->killed_itself, stress->killed_itself, stress->killed_clients,
           observer->killed_talking);
    printf("\"ours\": %lu, \"clients\": %lu, \"overlaps_ours\": %lu, \"overlaps_clients\": %lu, ",
           observer->frames[TALKER_OURS], observer->frames[TALKER_CLIENT], observer->overlaps_ours, observer->overlaps);
    printf("\"dirty\": %lu, \"guesses\": %lu, \"timeouts\": %lu, \"wrong_ends\": %lu, ", observer->dirty,
           observer->guesses, observer->timeouts, stress->wrong_ends);
    printf("\"silences\": %zu, \"p99_ms\": %.3f, \"p999_ms\": %.3f, \"longest_ms\": %.3f, ",
           observer->silence_count, observer_silence_us(observer, 990) / 1e3, observer_silence_us(observer, 999) / 1e3,
           observer_silence_us(observer, 1000) / 1e3);
    printf("\"machine_p99_ms\": %.1f, \"machine_p999_ms\": %.1f}\n", pace_late_ms(990), pace_late_ms(999));
}

static void read_options(int argc, char **argv, struct stress *stress)
{
    static const char *const flags[] = { "--self", "--unlink", "--rude" };
    bool *const switches[] = { &stress->kills_itself, &stress->unlinks, &stress->rude };
    static const char *const names[] = { "kills", "ours", "clients", "hogs", "client-kills", "hold-us",
                                         "period-us", "seed" };
    unsigned long *const numbers[] = { &stress->kills, &stress->ours, &stress->clients, &stress->hogs,
                                       &stress->client_kills_every, &stress->hold_us,
                                       &stress->period_us, &stress->seed };

    for (int i = 1; i < argc; i++) {
        bool known = false;

        for (size_t flag = 0; flag < sizeof(flags) / sizeof(flags[0]); flag++) {
            if (strcmp(argv[i], flags[flag]) == 0) {
                *switches[flag] = known = true;
            }
        }
        if (!known && strcmp(argv[i], "--python") == 0 && i + 1 < argc) {
            stress->python = argv[++i];
            known = true;
        }
        for (size_t name = 0; !known && i + 1 < argc && name < sizeof(names) / sizeof(names[0]); name++) {
            if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, names[name]) == 0) {
                *numbers[name] = strtoul(argv[++i], NULL, 10);
                known = true;
            }
        }
        if (!known) {
            fprintf(stderr, "port_stress: what is %s?\n", argv[i]);
            exit(64);
        }
    }
}

int main(int argc, char **argv)
{
    static struct stress stress = { .kills = 100, .ours = 6, .hold_us = 400, .period_us = 3000, .seed = 1 };
    uint64_t began_us = client_now_us();
    bool good_end;

    read_options(argc, argv, &stress);
    prepare(&stress);
    for (unsigned slot = 0; slot < stress.population; slot++) {
        spawn(&stress, slot);
    }
    run(&stress);
    good_end = ends_well(&stress);
    report(&stress, (double) (client_now_us() - began_us) / 1e6, good_end);
    clean(&stress);
    return 0;
}
