/* SPDX-License-Identifier: MIT */
#include "app/cli/simulate.h"

#include "app/base/text.h"
#include "drivers/currentcost.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>

/* All take the rest of the line. NULL: done, else what is wrong, a static string. */
typedef const char *command_function(struct simulation *simulation, char *rest);

static const char *mark_dead(struct simulation *simulation, char *rest, bool dead)
{
    struct simulated_meter *meter;
    uint64_t address;

    if (text_to_unsigned(text_word(&rest), 0, 255, &address) < 0) {
        return "an address is expected";
    }
    if (simulation->is_display && address < CURRENTCOST_SENSORS) {
        simulation->display_silent = dead ? simulation->display_silent | 1u << address
                                          : simulation->display_silent & ~(1u << address);
        return NULL;
    }
    meter = simulation_meter(simulation, (unsigned) address);
    if (!meter) {
        return "there is no such meter";
    }
    meter->dead = dead;
    return NULL;
}

static const char *command_kill(struct simulation *simulation, char *rest)
{
    return mark_dead(simulation, rest, true);
}

static const char *command_revive(struct simulation *simulation, char *rest)
{
    return mark_dead(simulation, rest, false);
}

/* The meter whose address is the next word; a display is meant by any. */
static struct simulated_meter *next_meter(struct simulation *simulation, char **rest)
{
    uint64_t address;

    if (text_to_unsigned(text_word(rest), 0, 255, &address) < 0) {
        return NULL;
    }
    return simulation->is_display ? &simulation->meters[0]
                                  : simulation_meter(simulation, (unsigned) address);
}

static const char *command_set(struct simulation *simulation, char *rest)
{
    struct simulated_meter *meter = next_meter(simulation, &rest);
    const char *point = text_word(&rest);
    const char *word = text_word(&rest);
    double value = text_equal(word, "nan") ? NAN : HUGE_VAL;

    if (!meter) {
        return "there is no such meter";
    }
    if (!text_equal(word, "nan") && !text_equal(word, "auto")
        && text_to_double(word, -DBL_MAX, DBL_MAX, &value) < 0) {
        return "a number, nan or auto is expected";
    }
    return simulated_meter_set(meter, point, value) < 0 ? "there is no such point" : NULL;
}

static const char *command_exception(struct simulation *simulation, char *rest)
{
    struct simulated_meter *meter = next_meter(simulation, &rest);
    const char *where = text_word(&rest);
    uint64_t address = 0, code;

    if (!meter) {
        return "there is no such meter";
    }
    if (!text_equal(where, "any") && text_to_unsigned(where, 0, UINT16_MAX, &address) < 0) {
        return "a register or any is expected";
    }
    if (text_to_unsigned(text_word(&rest), 0, 255, &code) < 0) {
        return "a code from 0 to 255 is expected";
    }
    return simulated_meter_refuse(meter, text_equal(where, "any") ? -1 : (int) address,
                                  (uint8_t) code)
                   < 0
               ? "there are too many already"
               : NULL;
}

static const char *command_fault(struct simulation *simulation, char *rest)
{
    const char *problem = NULL;

    return faults_parse(rest, &simulation->faults, simulation->meters, simulation->meter_count,
                        &problem)
                   < 0
               ? problem
               : NULL;
}

static const char *command_late(struct simulation *simulation, char *rest)
{
    uint64_t ms;

    if (text_to_unsigned(text_word(&rest), 0, 60000, &ms) < 0) {
        return "a number of ms is expected";
    }
    simulation->faults.late_ms = ms;
    simulation->faults.probability[FAULT_LATE] = ms > 0;
    return NULL;
}

static const char *command_noise(struct simulation *simulation, char *rest)
{
    uint8_t noise[4096];
    uint64_t size;

    if (text_to_unsigned(text_word(&rest), 1, sizeof(noise), &size) < 0) {
        return "a number of bytes is expected";
    }
    for (size_t i = 0; i < size; i++) {
        noise[i] = (uint8_t) (load_random(&simulation->faults.dice) >> 32);
    }
    for (size_t i = 0; i < SIMULATE_ENDS; i++) {
        if (simulation->ends[i].fd >= 0) {
            simulate_send(&simulation->ends[i], noise, size);
        }
    }
    return NULL;
}

static const char *command_history(struct simulation *simulation, char *rest)
{
    (void) rest;
    if (!simulation->is_display) {
        return "only a display has one";
    }
    simulate_display_history(simulation);
    return NULL;
}

static const char *command_stats(struct simulation *simulation, char *rest)
{
    (void) rest;
    simulate_print_stats(simulation);
    return "";
}

static const char *command_quit(struct simulation *simulation, char *rest)
{
    (void) rest;
    simulation->quit = true;
    return NULL;
}

static const struct {
    const char *name;
    command_function *function;
} commands[] = {
    { "exception", command_exception },
    { "fault", command_fault },
    { "history", command_history },
    { "kill", command_kill },
    { "late", command_late },
    { "noise", command_noise },
    { "quit", command_quit },
    { "revive", command_revive },
    { "set", command_set },
    { "stats", command_stats },
};

void simulate_command(struct simulation *simulation, char *line)
{
    const char *name = text_word(&line);
    const char *problem = "there is no such command";

    if (*name == '\0') {
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (text_equal(commands[i].name, name)) {
            problem = commands[i].function(simulation, line);
        }
    }
    if (!problem) {
        (void) printf("ok\n");
    } else if (*problem != '\0') {
        (void) printf("error: %s: %s\n", name, problem);
    }
    (void) fflush(stdout);
}
