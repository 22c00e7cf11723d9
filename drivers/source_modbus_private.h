/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Between source_modbus.c, which opens a meter and makes numbers of its registers, and source_modbus_ask.c, which asks
 * for them; nobody else includes this.
 */

#include "drivers/modbus_latency.h"
#include "drivers/modbus_meter.h"
#include "drivers/source_ops.h"

/* One point of the selection, in the poll at hand. */
struct selected {
    const struct point *point;
    uint16_t word_offset;                     // in the sample's words
    uint8_t reason;                           // enum reason; REASON_NONE: its words are there
    char *text;                               // of CODEC_TEXT
};

struct modbus_source {
    struct source source;
    char meter_name[METER_ID_SIZE];
    struct line *line;
    struct serial_setting serial;
    unsigned unit;
    struct latency latency;
    bool yields;                              // other meters wait: no sleep until late answers are over
    bool refuses_longer;                      // requests than its plan has
    bool busy;                                // asked for time again and again: others do not wait for it any more
    bool heard;                               // in this poll: an answer or a refusal of its own
    bool refused;                             // in this poll
    unsigned attempts;                        // of the last request
    enum reason reason;                       // why the last one brought nothing
    unsigned silences;                        // time-outs in this poll since it was heard
    uint64_t not_before_us;                   // -EAGAIN: when it can be asked
    const struct model *model;
    struct modbus_meter meter;
    struct selected *points;                  // in the order of the selection
    unsigned point_count;
    uint16_t word_count;
    struct layout *layout;                    // as long as it has columns
    struct source_limit *limits;
    uint64_t first_byte_ms;
    uint64_t waited_before_us;                // for the port, until this poll began
    uint64_t patience_us;                     // to wait for it in this poll, beyond the deadline
    char problem[160];
};

/*
 * Ask for all points of the plan until the deadline; those that come have their words in the sample, the others their
 * reason. Returns 0 if a request was answered, else an error of source_next().
 */
int modbus_ask_all(struct modbus_source *source, uint64_t deadline_us, struct sample *ret) MUST_CHECK;

/* As source_probe(). */
int modbus_probe(struct modbus_source *source, uint32_t timeout_us) MUST_CHECK;

/* Put a failure into words, for source_problem(): that of so many requests, for that reason. 0: none. */
void modbus_explain(struct modbus_source *source, int error, unsigned requests, enum reason reason);
