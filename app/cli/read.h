/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The parts of `meterstick read`:
 *
 *     read_meters.c     which meters, from the configuration or the command line
 *     read_poll.c       asking them, the lines side by side
 *     read_format.c     text, CSV and JSON
 *     read_others.c     what other programs print
 *     read.c            the command line, and the loop
 */

#include "app/base/options.h"
#include "app/config/config.h"

#include <pthread.h>

enum read_format { READ_TEXT, READ_CSV, READ_JSON, READ_POWERMETER, READ_ENERGY_SCRIBE };

struct read_options {
    struct options common;
    const char *model, *port, *host, *serial, *registers, *points, *format_name, *word_order, *byte_order;
    uint64_t address, baud, first_number, timeout_ms, message_size, interval_ms, count;
    bool has_interval, header, json, csv, text;
    enum read_format format;   // from here on: worked out by read.c
    enum read_format shape;    // of READ_ENERGY_SCRIBE: READ_JSON, READ_CSV or READ_TEXT
};

#define READ_ADDRESS_NONE 256  // no --address

/* One meter to read. */
struct read_meter {
    const char *name;              // as it is printed
    const char *model_id;          // "exec" for a program
    const struct model *model;     // NULL: a program
    struct model *own;             // the model, if it is not the configuration's
    struct selection selection;
    unsigned group;                // meters of one line, read one after the other
    struct source_setup setup;
    struct source *source;
    struct sample sample;
    int64_t wall_ms;               // of the sample
    int result;                    // of the last poll
    bool told;                     // that it does not answer
    const struct meter_config *configured;  // NULL: from the command line
};

/* A line, and why it could not be opened. */
struct read_line {
    struct line *line;
    int result;
    bool warned;                   // of how the port is shared
};

struct read_job {
    struct config *config;         // NULL: all from the command line
    struct read_line *lines;
    unsigned line_count;
    unsigned group_count;          // lines, then sources that have a port of their own
    struct read_meter *meters;
    unsigned meter_count;
    struct model *model;           // of the command line
    struct bounds *bounds;         // of --register
    struct text scratch;           // output of one poll
    const struct layout *header;   // the layout whose heading was printed last
    char clock_letter;             // now
    pthread_mutex_t printing;      // held while a poll's lines go out
};

/*
 * Fill a zeroed job. Says on stderr what is wrong. The caller clears it with read_job_clear() in any case.
 * Returns an exit code, EXIT_OK to go on.
 */
int read_job_make(struct read_options *options, struct read_job *ret) MUST_CHECK;
void read_job_clear(struct read_job *job);

/* A model of the registers in words: "holding 3028 f32.abcd 1 V, input 12 u16". Errors: -EINVAL, problems say why */
int read_registers_model(const char *registers, unsigned first_number, struct problems *problems,
                         struct model **ret) MUST_CHECK;

/* Ask every meter once, the lines side by side. timeout_ms: for those that talk when they like, or run programs. */
void read_poll(struct read_job *job, uint64_t timeout_ms);

/* Add what one poll found to job->scratch. */
void read_print(const struct read_options *options, struct read_job *job);

/* The parts of it. */
void read_print_powermeter(struct text *ret, const struct read_job *job);
void read_print_energy_scribe(struct text *ret, const struct read_options *options, struct read_job *job,
                              const struct read_meter *meter);

/* The clock letter of now (enum clock_quality of the journal), and a row's quality: "N", "Um". ret has room for 4. */
char read_clock_letter(bool trusted);
void read_quality(const struct read_meter *meter, char letter, char ret[static 4]);
