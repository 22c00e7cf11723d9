/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Anything that gives samples: a Modbus meter, a Current Cost display, a program that prints a CSV line.
 * One interface: open, next(deadline), close. A source is used by one thread.
 */

#include "drivers/modbus_line.h"
#include "drivers/model.h"
#include "drivers/sample.h"

enum source_kind { SOURCE_MODBUS, SOURCE_CURRENTCOST, SOURCE_EXEC };

/* A meter's own limits of a quantity or point, in place of the quantity's. */
struct bounds {
    char name[QUANTITY_NAME_SIZE];     // a quantity ("voltage") or a point ("voltage_l1_n")
    double min, max;
};

/* One current input of a HDHK device, or any point: its own name and factor (PM-03). */
struct input {
    char letter;                       // 'a' to 'p'
    char name[LABEL_SIZE];
    double ratio;                      // multiplies the value; 1 unless configured
};

/* Everything a source must know. Strings and the model are the caller's and outlive the source. */
struct source_setup {
    enum source_kind kind;
    const char *meter;
    const struct bounds *bounds;
    size_t bounds_count;
    const struct input *inputs;
    size_t input_count;

    /* SOURCE_MODBUS, SOURCE_CURRENTCOST */
    const struct model *model;
    const struct selection *selection; // what to read, in this order

    /* SOURCE_MODBUS */
    struct line *line;                 // shared by the meters of a bus, all in one thread
    struct serial_setting serial;      // this meter's; baud 0: the line's
    unsigned unit;                     // 1 to 247 (TCP: 0 to 255)
    unsigned timeout_ms;               // 0: the model's
    unsigned max_registers;            // 0: the model's
    bool yields;                       // other meters wait for the line: -EAGAIN instead of a sleep

    /* SOURCE_CURRENTCOST: port of its own. SOURCE_EXEC: command line for sh -c, and what it prints */
    struct endpoint port;
    const char *command;
    const struct layout *columns;
};

struct source;

#define auto_source CLEANUP(source_closep)

int source_open(const struct source_setup *setup, struct source **ret) MUST_CHECK;
void source_close(struct source *source);
void source_closep(struct source **source);

/* Close what it has open of its own, until the next source_next(). Another source may want it. */
void source_shut(struct source *source);

/* What the numbers of its samples are. Belongs to the source. */
const struct layout *source_layout(const struct source *source);

/*
 * The point that a column is decoded from, and where its words stand in a sample's (SOURCE_MODBUS); NULL for a number
 * that is not of registers.
 */
const struct point *source_point(const struct source *source, unsigned column, unsigned *ret_word_offset);

/*
 * One poll. Returns by the deadline (monotonic clock), and keeps trying for as long as it is asked: a meter that
 * vanished is news, not a reason to give up.
 *
 * Returns 0 if at least one value came: those that did not are NAN with their reason. Otherwise the reason is
 * also in the sample and the result is
 *   -EAGAIN   not asked: a late answer to an earlier request might pass for this one's until timing.not_before_us
 *             (only if setup->yields)
 *   -ETIMEDOUT silent   -EBADMSG damaged answers   -EOPNOTSUPP everything refused
 *   -ENODEV and what line_open() and serial_open() give: the port is not there
 */
int source_next(struct source *source, uint64_t deadline_us, struct sample *ret) MUST_CHECK;

/* Words for the last failure: "timed out 3 times", "no such device /dev/ttyUSB0 ...". */
const char *source_problem(const struct source *source);

/*
 * The texts of the last poll (SOURCE_MODBUS): name and text of the i-th, -ENOENT beyond the last. A text that did not
 * come is NULL.
 */
int source_identity(const struct source *source, unsigned index, const char **ret_name, const char **ret_text);

/* What the bus schedule wants to know: one probe's and one poll's time, and the usual latency. */
struct source_timing {
    uint32_t poll_us;        // of the plan as it is now, predicted; 0 for listening sources
    uint32_t latency_us;     // measured, 0 = none yet
    uint32_t slowest_us;     // of the last few, 0 = none yet
    uint32_t timeout_us;     // in use now
    uint32_t probe_us;       // for source_probe(), of a meter that answered before
    uint64_t not_before_us;  // after -EAGAIN: when it can be asked (monotonic)
    unsigned request_count;  // of one poll
};
void source_timing(const struct source *source, struct source_timing *ret);

/*
 * A short question instead of a whole poll, to see whether a dead meter is back: its shortest request, with the
 * given time-out. 0: it answered, or refused, which is an answer too. The next source_next() polls as usual.
 * Errors: as source_next()
 */
int source_probe(struct source *source, uint32_t timeout_us) MUST_CHECK;

/*
 * What it has learned of its meter and would have to find out again after a restart: one line of words, "" if there is
 * nothing. Returns a number that changes when the words do; with ret NULL only that.
 * And back again, before the first poll. Errors: -ESTALE learned with other settings   -EBADMSG no such words
 */
unsigned source_learned(const struct source *source, struct text *ret);
int source_teach(struct source *source, const char *learned) MUST_CHECK;
