/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Between scan.c, which goes through the addresses, scan_candidate.c, which holds a model against who answers, and
 * scan_found.c and scan_progress.c, which say what came of it.
 */

#include "drivers/modbus_meter.h"
#include "drivers/scan.h"

#define SCAN_FOUND_MAX 600

/* A model that is held against an address. */
struct candidate {
    const struct model *model;         // NULL: none
    struct selection selection;
    struct modbus_meter meter;
    double values[MAX_POINTS];         // the first number of each selected point
    struct scan_evidence evidence;
    size_t identity;                   // the next to ask for
    unsigned request;                  // the next of the plan
    bool without_gaps;                 // a joined request was refused
};

/* Begin; what was there before is freed. Errors: -ENOMEM and what meter_init() gives */
int candidate_begin(struct candidate *candidate, const struct model *model,
                    const struct serial_setting *serial) MUST_CHECK;
void candidate_clear(struct candidate *candidate);

/* The next request, unit left out. false: it is judged. */
bool candidate_next(const struct candidate *candidate, struct modbus_request *ret);

/* The answer to it: words, or NULL with an exception, or NULL and 0 if there was none. */
void candidate_answer(struct candidate *candidate, unsigned unit, const uint16_t *words, unsigned exception);

/* The first request that a meter of the model answers: to find it, and to ask once more. */
int candidate_first(const struct model *model, const struct serial_setting *serial,
                    struct modbus_request *ret) MUST_CHECK;

enum scan_state { SCAN_SEEKING, SCAN_JUDGING, SCAN_CONFIRMING };

struct scan {
    struct scan_setup setup;
    struct scan_order order;
    uint64_t pass_us[SCAN_PASSES_MAX];
    unsigned pass, address, question;  // where it is
    enum scan_state state;
    unsigned attempts, damaged;        // at the question at hand
    uint64_t until_us;                 // nothing is asked before
    uint64_t put_off_us;               // since when there was no time for the question; 0: there was
    uint64_t pause_us;                 // the longest that there was for a question lately
    bool pauses_are_known;
    uint32_t latency_us;               // of who answers, the longest
    bool exact;                        // of requests: a longer one says nothing

    unsigned model;                    // SCAN_JUDGING: index of the candidate
    struct candidate candidate;
    const struct model *best, *rival;  // those that the answers speak for
    unsigned best_points, rival_points;
    char reason[SCAN_REASON_SIZE];     // why the likeliest of the others is not it
    unsigned reason_points;
    struct modbus_request confirm;

    struct scan_found found[SCAN_FOUND_MAX];
    unsigned found_count;
};

/* Where it is; NULL: done. */
const struct scan_pass *scan_pass_of(const struct scan *scan);

/* At the address where it is. */
void scan_add_found(struct scan *scan, enum scan_found_kind kind, const struct model *model, const char *reason);
bool scan_has_meter(const struct scan *scan, unsigned address);
