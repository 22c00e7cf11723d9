/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Looking for meters on a line: which question comes next, and what the answers mean. Pure: no I/O, the time comes from
 * the caller, who asks one question at a time, whenever the line has time for it.
 *
 * Who answers the general question is asked for the identity and then for all that each model logs; a model is taken
 * only if the answers speak for it (scan_judge.h) and for no other. It is asked once more after a pause: if its answer
 * is damaged then, or something came unasked meanwhile, two meters talk at one address.
 */

#include "drivers/modbus_line.h"
#include "drivers/scan_judge.h"
#include "drivers/scan_order.h"

struct scan;

#define auto_scan CLEANUP(scan_freep)

/* Errors: -ENOMEM. The models must outlive it; whatever else the setup points to need not. */
int scan_new(const struct scan_setup *setup, struct scan **ret) MUST_CHECK;

/* Before the first question: this meter was found by an earlier scan. */
void scan_know(struct scan *scan, const struct model *model, const struct serial_setting *serial, unsigned address);
void scan_free(struct scan *scan);
void scan_freep(struct scan **scan);

enum scan_step {
    SCAN_ASK,     // ret->request
    SCAN_LISTEN,  // for messages of a display, for ret->timeout_us
    SCAN_WAIT,    // until ret->until_us
    SCAN_DONE,
};

struct scan_question {
    struct serial_setting serial;      // baud 0: on TCP
    struct modbus_request request;
    uint32_t timeout_us;
    uint64_t until_us;
};

/* What is to be done now. Asking again without an answer gives the same. */
enum scan_step scan_next(struct scan *scan, uint64_t now_us, struct scan_question *ret);

/*
 * There is no time for it: it wants so much, and there is so much. Whether it should be asked all the same, with a
 * shorter time-out, because no pause is longer.
 */
bool scan_put_off(struct scan *scan, uint64_t now_us, uint64_t wanted_us, uint64_t pause_us);

/*
 * What came of it: r and result of line_transact(), words of the request. r may be -ENODEV and the like: then the same
 * question comes again.
 */
void scan_answer(struct scan *scan, uint64_t now_us, int r, const struct line_result *result, const uint16_t *words);

/* What came of listening: whether a whole message of a display was heard. */
void scan_heard(struct scan *scan, bool message);

enum scan_found_kind {
    SCAN_METER,
    SCAN_DISPLAY,     // its port is its own: the scan is done
    SCAN_UNKNOWN,     // something answers, but as no model
    SCAN_DOUBTFUL,    // as two models
    SCAN_CLASH,       // two meters at one address
};

struct scan_found {
    enum scan_found_kind kind;
    struct serial_setting serial;
    unsigned address;
    const struct model *model;         // SCAN_METER, SCAN_DISPLAY, SCAN_DOUBTFUL
    const struct model *other;         // SCAN_DOUBTFUL
    char reason[SCAN_REASON_SIZE];     // for people, "" if there is nothing to say
};

/*
 * All that was found until now, in the order in which it was. A damaged answer counts as found only if nothing else
 * was at its address in the end: scan_is_news() says whether an entry still stands.
 */
unsigned scan_found_count(const struct scan *scan);
const struct scan_found *scan_found_at(const struct scan *scan, unsigned index);
bool scan_still_stands(const struct scan *scan, unsigned index);

struct scan_progress {
    uint64_t done_us, total_us;        // if nobody more answers
    const struct scan_pass *pass;      // NULL: done
    unsigned address;
};

void scan_get_progress(const struct scan *scan, struct scan_progress *ret);

/* As text for people: "9600 8N1, address 17 of 247: 12 %, 14 min left". */
#define SCAN_TEXT_SIZE 160
const char *scan_progress_text(const struct scan *scan, char buffer[static SCAN_TEXT_SIZE]);
