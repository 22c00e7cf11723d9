/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * meterstick simulate: what its parts share. One process is one line: a pty or a TCP port with one or more meters, or
 * one display that talks by itself.
 */

#include "app/cli/simulate_meter.h"
#include "app/cli/simulate_wire.h"

#include <stdbool.h>
#include <stdint.h>

#define SIMULATE_METERS 256  // addresses of one line
#define SIMULATE_MODELS 32
#define SIMULATE_ENDS   16  // connections at a time; a pty is one

/* One who listens to us: the pty, or a TCP connection. */
struct simulate_end {
    int fd;  // -1: free
    struct wire wire;
};

struct simulation {
    struct model *models[SIMULATE_MODELS];
    unsigned model_count;
    struct simulated_meter meters[SIMULATE_METERS];
    unsigned meter_count;
    struct faults faults;
    uint64_t start_us;
    bool wire;            // charges wire time
    struct wire pattern;  // what a new end begins with
    struct simulate_end ends[SIMULATE_ENDS];
    struct wire_counters gone;  // of ends that are no more
    int pty_slave_fd;           // kept open, so that the line outlives its users
    int listen_fd;
    char link[PATH_SIZE];
    bool is_display;  // Current Cost
    uint64_t display_next_us;
    uint64_t display_period_us;  // of all sensors together
    unsigned display_sensor;     // the next to talk
    unsigned display_silent;     // bits: sensors that a command killed
    bool quit;
};

double simulation_elapsed_s(const struct simulation *simulation);

/* The meter with that address; NULL if there is none. */
struct simulated_meter *simulation_meter(struct simulation *simulation, unsigned address);

/* simulate_port.c: whether a meter hears what is sent with the line's setting of now */
bool simulate_hears(const struct simulation *simulation, const struct simulated_meter *meter);

/* simulate_port.c: make the pty and its link, or listen. Errors: as the system calls; reason on stderr */
int simulate_open_pty(struct simulation *simulation, const char *link) MUST_CHECK;
int simulate_listen(struct simulation *simulation, const char *address) MUST_CHECK;
void simulate_accept(struct simulation *simulation);
void simulate_hang_up(struct simulation *simulation, struct simulate_end *end);
void simulate_send(struct simulate_end *end, const void *bytes, size_t size);
void simulate_close(struct simulation *simulation);

/* simulate_display.c: let the next sensor talk, or send a history message. */
void simulate_display_talk(struct simulation *simulation);
void simulate_display_history(struct simulation *simulation);

/*
 * simulate_command.c: obey one line of standard input; "ok" or "error: ..." goes to standard output.
 *
 *   kill ADDRESS, revive ADDRESS          the meter (the sensor of a display) falls silent, and talks again
 *   set ADDRESS POINT VALUE|nan|auto      nan: the "not available" code; auto: move again
 *   exception ADDRESS REGISTER|any CODE   code 0 takes it back
 *   fault LIST                            as --fault
 *   late MS, noise N, history             answer late; N bytes of noise now; a display's history message
 *   stats                                 the line's counters as JSON
 *   quit
 */
void simulate_command(struct simulation *simulation, char *line);

/* The counters as one line of JSON on standard output. */
void simulate_print_stats(const struct simulation *simulation);
